/**
 * Starts Linux' bzImage without the code in it that unpacks the kernel: the
 * loader unpacks it, in a fraction of the time, and the CPU starts where that
 * code would jump to. The kernel stays where it was linked to be, for it is
 * that code that would choose another place at random (KASLR). Images of a
 * compression or kind that is not known here are left to the loader `linux`.
 *
 * Source: Linux Documentation/arch/x86/boot.rst (payload_offset); the entry in
 * arch/x86/kernel/head_32.S.
 *
 * @module
 */

import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { LoaderPlugin } from "../../core/machine/plugin.ts";
import { isLinux, loadLinux, type UnpackedKernel } from "./linux.ts";
import { loadError, viewOf } from "./pc.ts";
import { unpackXz } from "./xz.ts";

/** The setup header (see `linux.ts`). */
const SETUP_SECTS = 0x1f1;
const VERSION = 0x206;
const XLOADFLAGS = 0x236;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const INIT_SIZE = 0x260;
/** The protocol's version that has all of these. */
const V2_12 = 0x20c;
/** XLOADFLAGS: it is a kernel of 64 bits. */
const KERNEL_64 = 0x01;
const SECTOR = 512;

/** ELF's header and program header, for 32 bits. */
const EM_386 = 3;
const PT_LOAD = 1;
const PROGRAM_HEADER_BYTES = 32;

/** By how a payload begins: how it is unpacked. */
const UNPACKERS: readonly {
  readonly magic: readonly number[];
  /** Behind the payload stands its unpacked size, in 4 bytes. */
  readonly hasSize: boolean;
  readonly unpack: (bytes: Uint8Array, size: number) => Uint8Array;
}[] = [
  {
    magic: [0x1f, 0x8b],
    hasSize: false,
    unpack: (bytes, size) => gunzipSync(bytes, { maxOutputLength: size }),
  },
  { magic: [0xfd, 0x37], hasSize: true, unpack: unpackXz },
  {
    magic: [0x28, 0xb5],
    hasSize: true,
    unpack: (bytes, size) =>
      zstdDecompressSync(bytes, { maxOutputLength: size }),
  },
  { magic: [0x7f, 0x45], hasSize: false, unpack: (bytes) => bytes },
];

function payloadOf(image: Uint8Array): Uint8Array {
  const view = viewOf(image);
  const setup = ((image[SETUP_SECTS] || 4) + 1) * SECTOR;
  const at = setup + view.getUint32(PAYLOAD_OFFSET, true);
  return image.subarray(at, at + view.getUint32(PAYLOAD_LENGTH, true));
}

function unpackerOf(payload: Uint8Array) {
  return UNPACKERS.find(({ magic }) =>
    magic.every((byte, i) => payload[i] === byte)
  );
}

function probe(image: Uint8Array): boolean {
  if (!isLinux(image) || image.length < INIT_SIZE + 4) return false;
  const view = viewOf(image);
  return view.getUint16(VERSION, true) >= V2_12 &&
    (view.getUint16(XLOADFLAGS, true) & KERNEL_64) === 0 &&
    unpackerOf(payloadOf(image)) !== undefined;
}

function unpack(path: string, image: Uint8Array): UnpackedKernel {
  const payload = payloadOf(image);
  const { hasSize, unpack } = unpackerOf(payload)!;
  const end = payload.length - (hasSize ? 4 : 0);
  const initSize = viewOf(image).getUint32(INIT_SIZE, true);
  let kernel: Uint8Array;
  try {
    // What the kernel says is enough to unpack and start it in.
    const size = hasSize ? viewOf(payload).getUint32(end, true) : initSize;
    kernel = unpack(payload.subarray(0, end), Math.min(size, initSize));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : `${cause}`;
    throw loadError(path, `its payload cannot be unpacked: ${reason}`);
  }
  return segments(path, kernel);
}

function segments(path: string, kernel: Uint8Array): UnpackedKernel {
  const damaged = () => loadError(path, "its payload is no kernel of 32 bits");
  const view = viewOf(kernel);
  // "\x7fELF" of 32 bits, little-endian, for this machine.
  if (
    kernel.length < 52 || view.getUint32(0) !== 0x7f454c46 ||
    view.getUint16(4) !== 0x0101 || view.getUint16(18, true) !== EM_386
  ) {
    throw damaged();
  }
  const at = view.getUint32(28, true);
  const count = view.getUint16(44, true);
  if (at + count * PROGRAM_HEADER_BYTES > kernel.length) throw damaged();
  const found: { address: number; bytes: Uint8Array }[] = [];
  for (let i = 0; i < count; i++) {
    const header = at + i * PROGRAM_HEADER_BYTES;
    if (view.getUint32(header, true) !== PT_LOAD) continue;
    const offset = view.getUint32(header + 4, true);
    const size = view.getUint32(header + 16, true);
    if (offset + size > kernel.length) throw damaged();
    // The kernel clears the rest of its memory itself.
    found.push({
      address: view.getUint32(header + 12, true),
      bytes: kernel.subarray(offset, offset + size),
    });
  }
  return { entry: view.getUint32(24, true), segments: found };
}

/** Kernels by their images, for the next reset. */
const unpacked = new WeakMap<Uint8Array, UnpackedKernel>();

/** The `linux-unpacked` plugin. */
const plugin: LoaderPlugin = {
  type: "loader",
  name: "linux-unpacked",
  version: "1.0.0",
  description: "Linux bzImage of 32 bits, unpacked by the loader",
  probe,
  load(context) {
    const { path, bytes } = context.kernel;
    const kernel = unpacked.get(bytes) ?? unpack(path, bytes);
    unpacked.set(bytes, kernel);
    return loadLinux(context, kernel);
  },
};
export default plugin;
