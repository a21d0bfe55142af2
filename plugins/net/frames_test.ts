import { assert, assertEquals, assertThrows } from "@std/assert";
import { randomBelow } from "../../tests/random.ts";
import {
  FrameReader,
  FramingError,
  isFrameLength,
  LENGTH_BYTES,
  MAX_FRAME_BYTES,
  MAX_LENGTH,
} from "./frames.ts";

function framed(length: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES + body.length);
  new DataView(bytes.buffer).setUint32(0, length);
  bytes.set(body, LENGTH_BYTES);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The frames of a stream that comes in these pieces. */
function read(reader: FrameReader, pieces: Iterable<Uint8Array>): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const piece of pieces) {
    reader.feed(piece);
    for (;;) {
      const frame = reader.next();
      if (frame === undefined) break;
      frames.push(frame.slice());
    }
  }
  return frames;
}

function* piecesOf(
  stream: Uint8Array,
  below: (limit: number) => number,
  longest: number,
): Iterable<Uint8Array> {
  for (let at = 0; at < stream.length;) {
    const end = at + below(longest + 1);
    yield stream.slice(at, end);
    at = end;
  }
}

Deno.test("frames: whatever pieces a stream comes in", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const below = randomBelow(seed);
    const sent = Array.from({ length: 1 + below(20) }, () => {
      // Mostly what is usual, and the edges.
      const lengths = [
        0,
        1,
        13,
        14,
        60,
        1514,
        below(2000),
        65536,
        65537,
        69632,
      ];
      const body = new Uint8Array(lengths[below(lengths.length)]);
      for (let i = 0; i < body.length; i++) body[i] = below(256);
      return body;
    });
    const stream = joined(sent.map((body) => framed(body.length, body)));
    const longest = [1, 3, 70, 5000, 200_000][seed % 5];
    const got = read(
      new FrameReader(),
      piecesOf(stream, below, stream.length > 50_000 ? 5000 : longest),
    );
    assertEquals(got, sent.filter((body) => isFrameLength(body.length)));
  }
});

Deno.test("frames: a length that none has ends the stream", () => {
  for (const length of [MAX_LENGTH + 1, 2 ** 31, 2 ** 32 - 1]) {
    const reader = new FrameReader();
    assertThrows(
      () => read(reader, [framed(length, new Uint8Array(0))]),
      FramingError,
      `a frame of ${length} bytes, expected 69632 at most`,
    );
  }
  assertEquals(
    read(new FrameReader(), [framed(MAX_LENGTH, new Uint8Array(100))]),
    [],
  );
});

Deno.test("frames: no stream does more than end", () => {
  let ended = 0;
  for (let seed = 1; seed <= 2000; seed++) {
    const below = randomBelow(seed);
    const body = new Uint8Array(below(300));
    for (let i = 0; i < body.length; i++) body[i] = below(256);
    // Good ones before a damaged one, or only noise.
    const stream = seed % 3 === 0 ? body : joined([
      framed(20, new Uint8Array(20)),
      framed(body.length, body),
      framed(body.length + below(3) - 1, body),
      framed(below(2) === 0 ? below(100) : below(2 ** 32), body),
    ]);
    for (let i = below(3); i > 0; i--) stream[below(stream.length)] ^= 1 << i;
    try {
      for (
        const frame of read(new FrameReader(), piecesOf(stream, below, 99))
      ) {
        assert(isFrameLength(frame.length) && frame.length <= MAX_FRAME_BYTES);
      }
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      ended++;
    }
  }
  assert(ended > 100);
});
