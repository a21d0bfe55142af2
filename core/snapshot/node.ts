/**
 * What snapshots need of Node's modules. They are not imported: that takes 11 ms
 * of a start from a snapshot, and where another thread unpacks the memory
 * (`memory_ahead.ts`) this one needs none of them.
 *
 * @module
 */

type Zlib = typeof import("node:zlib");
type NodeBuffer = typeof import("node:buffer").Buffer;

/** Of so many bytes the checksum is left to `node:zlib`, in bytes. */
const LONG_BYTES = 64 << 10;
/** CRC-32's polynomial, its lowest power first (RFC 1952, section 8). */
const POLYNOMIAL = 0xedb88320;

/** What there is of them. */
const loaded: { zlib?: Zlib; Buffer?: NodeBuffer } = {};
let table: Uint32Array | undefined;

/** Have what a thread has imported, which takes it half the time. */
export function useNode(zlib: Zlib, Buffer: NodeBuffer): void {
  loaded.zlib = zlib;
  loaded.Buffer = Buffer;
}

/** `node:zlib`, loaded when it is first asked for. */
export function nodeZlib(): Zlib {
  return loaded.zlib ??= process.getBuiltinModule("node:zlib");
}

/** The class of `node:buffer`, loaded when it is first asked for. */
export function nodeBuffer(): NodeBuffer {
  return loaded.Buffer ??= process.getBuiltinModule("node:buffer").Buffer;
}

/** The CRC-32 of bytes that follow those of which it is `value`. */
export function crc32(bytes: Uint8Array, value = 0): number {
  if (loaded.zlib !== undefined || bytes.length > LONG_BYTES) {
    return nodeZlib().crc32(bytes, value);
  }
  const remainders = table ??= remaindersOfBytes();
  let crc = ~value;
  for (let i = 0; i < bytes.length; i++) {
    crc = crc >>> 8 ^ remainders[(crc ^ bytes[i]) & 0xff];
  }
  return ~crc >>> 0;
}

function remaindersOfBytes(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let i = 0; i < 8; i++) {
      crc = (crc & 1) !== 0 ? crc >>> 1 ^ POLYNOMIAL : crc >>> 1;
    }
    return crc;
  });
}
