/**
 * Locks on image files.
 *
 * Rhea's own is an flock: a writer has the file alone, readers share it. QEMU
 * does not ask for that. It locks bytes of the file with open file description
 * locks (block/file-posix.c, `raw_apply_lock_bytes`, `raw_check_lock_bytes`): a
 * shared lock on byte 100 + n says "I do n", one on 200 + n "nobody else may do
 * n", and whoever comes looks whether anybody says the opposite. Deno has no
 * such locks itself. Where it may load the C library (`c_library.ts`), Rhea
 * takes and respects QEMU's locks too; elsewhere the two do not see each other.
 *
 * @module
 */

import { cLibrary } from "./c_library.ts";

/** Linux, include/uapi/asm-generic/fcntl.h. */
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** Bytes of `struct flock` on 64-bit Linux, and where its fields are. */
const FLOCK_BYTES = 32;
const L_TYPE = 0;
const L_START = 8;
const L_LEN = 16;

/** Where QEMU's bytes are, and what they stand for. */
const DOES = 100;
const FORBIDS = 200;
const READ = 0;
const WRITE = 1;
const RESIZE = 3;
const NAMES: Readonly<Record<number, string>> = {
  [READ]: "read",
  [WRITE]: "write",
  [RESIZE]: "resize",
};

/** `struct flock` of one byte. */
function flockOf(type: number, byte: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(FLOCK_BYTES));
  view.setInt16(L_TYPE, type, true);
  view.setBigInt64(L_START, BigInt(byte), true);
  view.setBigInt64(L_LEN, 1n, true);
  return view;
}

/**
 * Take QEMU's locks on an open file; they go when it is closed. Gives back what
 * is in the way, as `write`, or undefined when nothing is or when locks of this
 * kind cannot be had.
 */
export function lockAsQemu(fd: number, readOnly: boolean): string | undefined {
  const call = cLibrary()?.fcntl;
  if (call === undefined) return undefined;
  const does = readOnly ? [READ] : [READ, WRITE, RESIZE];
  const forbids = [WRITE, RESIZE];
  for (
    const byte of [
      ...does.map((n) => DOES + n),
      ...forbids.map((n) => FORBIDS + n),
    ]
  ) {
    // A file system without such locks has none of QEMU's either.
    if (call(fd, F_OFD_SETLK, flockOf(F_RDLCK, byte)) !== 0) return undefined;
  }
  const taken = (byte: number): boolean => {
    const lock = flockOf(F_WRLCK, byte);
    return call(fd, F_OFD_GETLK, lock) === 0 &&
      lock.getInt16(L_TYPE, true) !== F_UNLCK;
  };
  const conflict = does.find((n) => taken(FORBIDS + n)) ??
    forbids.find((n) => taken(DOES + n));
  return conflict === undefined ? undefined : NAMES[conflict];
}
