/**
 * xz files: "The .xz File Format" 1.1.0 (tukaani.org). LZMA2, alone or behind
 * the filter for x86 code, which is what Linux images are packed with.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { Lzma2Decoder, LzmaError } from "./lzma.ts";
import { viewOf } from "./pc.ts";

/** Filters (5.3). */
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
/** Bytes of the stream's header; its flags, of which the last is the check. */
const HEADER_BYTES = 12;
const CHECK_FLAG = 7;
/** Bytes of the check by its kind (2.1.1.2). */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_CRC32 = 1;
/** A block's flags: which sizes it has (3.1.2). */
const HAS_PACKED_SIZE = 0x40;
const HAS_SIZE = 0x80;

/** Unpack a stream to `size` bytes at most; throws an `LzmaError`. */
export function unpackXz(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length < HEADER_BYTES) throw new LzmaError("there is no header");
  const check = bytes[CHECK_FLAG] & 15;
  const out = new Uint8Array(size);
  let outAt = 0;
  let at = HEADER_BYTES;
  // The index, which begins with a zero, ends the blocks.
  while (at < bytes.length && bytes[at] !== 0) {
    const header = (bytes[at] + 1) * 4;
    const isX86 = filters(bytes.subarray(at, at + header));
    const decoder = new Lzma2Decoder(bytes, at + header, out, outAt);
    decoder.decode();
    const block = out.subarray(outAt, decoder.end);
    if (isX86) undoX86(block);
    outAt = decoder.end;
    at = Math.ceil((decoder.position - HEADER_BYTES) / 4) * 4 + HEADER_BYTES;
    if (check === CHECK_CRC32) {
      if (at + 4 > bytes.length) throw new LzmaError("there is no checksum");
      if (viewOf(bytes).getUint32(at, true) !== crc32(block)) {
        throw new LzmaError("the checksum differs");
      }
    }
    at += CHECK_BYTES[check];
  }
  return out.subarray(0, outAt);
}

/** Whether a block has the x86 filter; throws for any other. */
function filters(header: Uint8Array): boolean {
  let at = 2;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = header[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new LzmaError("a number that is too long");
  };
  const flags = header[1] ?? 0;
  if ((flags & HAS_PACKED_SIZE) !== 0) number();
  if ((flags & HAS_SIZE) !== 0) number();
  const found: number[] = [];
  for (let i = 0; i <= (flags & 3); i++) {
    found.push(number());
    const properties = number();
    at += properties;
  }
  const isX86 = found[0] === FILTER_X86 && found.length === 2;
  if (found.at(-1) !== FILTER_LZMA2 || found.length === 2 && !isX86) {
    throw new LzmaError("a filter that is not known");
  }
  return isX86;
}

/** By the mask of the last three bytes: whether a call may begin here, ... */
const MAY_BEGIN = [true, true, true, false, true, false, false, false];
/** ... and which of the address' bytes one of them might have changed. */
const OVERLAP = [0, 1, 2, 2, 3, 3, 3, 3];

/** Where a byte is, from a place on; the length where it is not. */
function nextOf(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from);
  return at < 0 ? bytes.length : at;
}

const isExtension = (byte: number): boolean => byte === 0 || byte === 0xff;

/**
 * The filter for x86 code, undone in place: the targets of CALL and JMP, which
 * it made absolute, are relative again. Bytes that look like one of the two
 * within the address of another are told apart by the mask of where such were.
 */
function undoX86(bytes: Uint8Array): void {
  const view = viewOf(bytes);
  let mask = 0;
  let before = -1;
  // The next CALL and the next JMP: the host finds them many bytes at a time.
  let call = -1, jump = -1;
  for (let i = 0;; i++) {
    if (call < i) call = nextOf(bytes, 0xe8, i);
    if (jump < i) jump = nextOf(bytes, 0xe9, i);
    i = Math.min(call, jump);
    if (i >= bytes.length - 4) return;
    const gap = i - before;
    mask = gap > 3 ? 0 : mask << gap - 1 & 7;
    before = i;
    if (mask !== 0) {
      const byte = bytes[i + 4 - OVERLAP[mask]];
      if (!MAY_BEGIN[mask] || isExtension(byte)) {
        mask = mask << 1 | 1;
        continue;
      }
    }
    if (!isExtension(bytes[i + 4])) {
      mask = mask << 1 | 1;
      continue;
    }
    let source = view.getInt32(i + 1, true);
    let target: number;
    for (;;) {
      target = source - (i + 5) | 0;
      if (mask === 0) break;
      const shift = OVERLAP[mask] * 8;
      if (!isExtension(target >>> 24 - shift & 0xff)) break;
      source = target ^ (2 ** (32 - shift) - 1);
    }
    // Bit 24 is the sign.
    view.setInt32(i + 1, target << 7 >> 7, true);
    i += 4;
  }
}
