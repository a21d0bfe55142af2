import { assert, assertEquals, assertThrows } from "@std/assert";
import { ReplayError } from "./error.ts";
import {
  CHECK,
  END,
  type Entry,
  EntryWriter,
  INPUTS,
  writeHeader,
} from "./log.ts";
import { LogFile, type LogSource, logSource } from "./log_file.ts";

const DIGEST = { state: 1, memory: 2, disks: 3, sent: 4 };

/** Entries with inputs of very different lengths, a check now and then, an end. */
function madeUp(count: number): Entry[] {
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    const position = { count: i * 1000, time: i * 4000 + i % 3 };
    if (i === count - 1) {
      entries.push({ type: END, ...position, digest: DIGEST });
    } else if (i % 50 === 49) {
      entries.push({
        type: CHECK,
        ...position,
        digest: { ...DIGEST, sent: i },
      });
    } else {
      const length = i % 777 === 700 ? 600_000 : i % 1500;
      const bytes = new Uint8Array(length).fill(i);
      const event = { channel: i % 5, again: false, bytes };
      entries.push({ type: INPUTS, ...position, events: [event] });
    }
  }
  return entries;
}

function fileOf(entries: readonly Entry[]): Uint8Array {
  const writer = new EntryWriter({ count: 0, time: 0 });
  const parts = [
    writeHeader({ some: "header" }),
    ...entries.map((entry) => writer.write(entry)),
  ];
  const bytes = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Bytes of which it is known how many were read. */
class CountedSource implements LogSource {
  sum = 0;
  most = 0;
  opened = false;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    this.opened = true;
    const bytes = this.bytes.slice(offset, offset + length);
    this.sum += bytes.length;
    this.most = Math.max(this.most, bytes.length);
    return bytes;
  }

  close(): void {
    this.opened = false;
  }
}

Deno.test("a recording is read piece by piece, to and fro", () => {
  const entries = madeUp(10_000);
  const source = new CountedSource(fileOf(entries));
  const log = new LogFile(source);
  assertEquals(log.header, { some: "header" });
  assertEquals([log.length, log.channels], [entries.length, 5]);
  assertEquals(log.isTruncated, false);
  // Nobody has asked for an entry yet.
  assertEquals(source.opened, false);
  assertEquals([...log], entries);
  assertEquals(log.at(entries.length), undefined);
  // From anywhere to anywhere, with a small part of the file.
  for (let i = 0, at = 1; i < 60; i++, at = at * 1103 % entries.length) {
    source.sum = 0;
    assertEquals(log.at(at), entries[at]);
    assert(source.sum < 2_000_000, `${at}: ${source.sum}`);
    assertEquals(log.at(at), entries[at]);
  }
  assert(source.size > 10_000_000);
  assert(source.most < 700_000, `${source.most}`);
  log.close();
  assertEquals(source.opened, false);
});

Deno.test("a recording is found again when the program has gone to another folder", async () => {
  const here = Deno.cwd();
  const folder = await Deno.makeTempDir();
  const entries = madeUp(300);
  await Deno.writeFile(`${folder}/log`, fileOf(entries));
  try {
    Deno.chdir(folder);
    const source = await logSource("log");
    Deno.chdir(here);
    const log = new LogFile(source);
    assertEquals([...log], entries);
    log.close();
  } finally {
    Deno.chdir(here);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an entry stays what it was when others are read", () => {
  const entries = madeUp(300);
  const log = new LogFile(fileOf(entries));
  const first = log.at(3);
  for (const _ of log);
  assertEquals(first, entries[3]);
});

Deno.test("a recording that is changed or cut while it is replayed is noticed", () => {
  const bytes = fileOf(madeUp(600));
  for (const change of ["changed", "cut"]) {
    let source = new CountedSource(bytes.slice());
    const log = new LogFile({
      size: bytes.length,
      read: (offset, length) => source.read(offset, length),
      close: () => {},
    });
    if (change === "cut") source = new CountedSource(bytes.subarray(0, 1000));
    else source.bytes[bytes.length >> 1] ^= 1;
    const error = assertThrows(() => [...log], ReplayError);
    assertEquals(error.kind, "damaged");
  }
  const failing = {
    size: 1000,
    read: (): never => {
      throw new Error("the disk is gone");
    },
    close: () => {},
  };
  assertThrows(() => new LogFile(failing), ReplayError, "the disk is gone");
});

Deno.test("what a crash leaves ends a recording, wherever that is", () => {
  const entries = madeUp(30);
  const bytes = fileOf(entries);
  let most = 0;
  for (let length = 40; length < bytes.length; length += 37) {
    const log = new LogFile(bytes.subarray(0, length));
    assert(log.isTruncated);
    assertEquals([...log], entries.slice(0, log.length));
    most = Math.max(most, log.length);
  }
  assertEquals(most, entries.length - 1);
});
