/**
 * Starts Linux' bzImage without the code in it that unpacks the kernel: the
 * loader unpacks it, in a fraction of the time, and the CPU starts where that
 * code would jump to. The kernel stays where it was linked to be, for it is
 * that code that would choose another place at random (KASLR). Images of a
 * compression or kind that is not known here are left to the loader `linux`.
 *
 * Source: Linux Documentation/arch/x86/boot.rst (payload_offset); the entries
 * in arch/x86/kernel/head_32.S and head_64.S.
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
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const INIT_SIZE = 0x260;
/** The protocol's version that has all of these. */
const V2_12 = 0x20c;
const SECTOR = 512;

/** ELF files: little-endian, for these machines, with segments that are loaded. */
const LITTLE_ENDIAN = 1;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;

/** Where the fields of ELF's headers are, by the file's class. */
interface ElfLayout {
  readonly machine: number;
  readonly headerBytes: number;
  readonly segments: number;
  readonly segmentCount: number;
  /** Of a program header. */
  readonly segmentBytes: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  /** Bytes of an address. */
  readonly word: 4 | 8;
}
const ENTRY = 24;
const ELF_LAYOUTS: Readonly<Record<number, ElfLayout>> = {
  1: {
    machine: EM_386,
    headerBytes: 52,
    segments: 28,
    segmentCount: 44,
    segmentBytes: 32,
    offset: 4,
    address: 12,
    size: 16,
    word: 4,
  },
  2: {
    machine: EM_X86_64,
    headerBytes: 64,
    segments: 32,
    segmentCount: 56,
    segmentBytes: 56,
    offset: 8,
    address: 24,
    size: 32,
    word: 8,
  },
};

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
  const damaged = () => loadError(path, "its payload is no kernel for x86");
  const view = viewOf(kernel);
  // "\x7fELF".
  if (kernel.length < 52 || view.getUint32(0) !== 0x7f454c46) throw damaged();
  const layout = ELF_LAYOUTS[kernel[4]];
  if (
    layout === undefined || kernel[5] !== LITTLE_ENDIAN ||
    kernel.length < layout.headerBytes ||
    view.getUint16(18, true) !== layout.machine
  ) {
    throw damaged();
  }
  const { segmentBytes, word } = layout;
  const at = (offset: number): number =>
    word === 4
      ? view.getUint32(offset, true)
      : Number(view.getBigUint64(offset, true));
  const first = at(layout.segments);
  const count = view.getUint16(layout.segmentCount, true);
  if (first + count * segmentBytes > kernel.length) throw damaged();
  const found: { address: number; bytes: Uint8Array }[] = [];
  for (let i = 0; i < count; i++) {
    const header = first + i * segmentBytes;
    if (view.getUint32(header, true) !== PT_LOAD) continue;
    const offset = at(header + layout.offset);
    const size = at(header + layout.size);
    if (offset + size > kernel.length) throw damaged();
    // The kernel clears the rest of its memory itself.
    found.push({
      address: at(header + layout.address),
      bytes: kernel.subarray(offset, offset + size),
    });
  }
  const entry = at(ENTRY);
  if (entry > 0xffffffff) throw damaged();
  return { entry, isWide: word === 8, segments: found };
}

/** Kernels by their images, for the next reset. */
const unpacked = new WeakMap<Uint8Array, UnpackedKernel>();

/** The `linux-unpacked` plugin. */
const plugin: LoaderPlugin = {
  type: "loader",
  name: "linux-unpacked",
  version: "1.0.0",
  description: "a Linux bzImage that can be unpacked here",
  probe,
  load(context) {
    const { path, bytes } = context.kernel;
    const kernel = unpacked.get(bytes) ?? unpack(path, bytes);
    unpacked.set(bytes, kernel);
    return loadLinux(context, kernel);
  },
};
export default plugin;
