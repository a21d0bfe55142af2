/**
 * Loads a kernel by the Multiboot Specification, version 0.6.96 ("multiboot
 * 1"), without firmware: ELF files for the i386, and any file whose header
 * gives its addresses.
 *
 * @module
 */

import type { EntryState } from "../../core/machine/cpu.ts";
import type {
  LoaderContext,
  LoaderPlugin,
  RamRange,
} from "../../core/machine/plugin.ts";
import {
  EXTENDED,
  flatEntry,
  GDT_BYTES,
  loadError,
  type MemoryRange,
  PAGE,
  systemMemory,
  USABLE,
  usableEnd,
  viewOf,
  writeGdt,
  zeroTerminated,
} from "./pc.ts";

/** Section 3.1.1: the header's magic number, and how far down it may be. */
const HEADER_MAGIC = 0x1badb002;
const HEADER_SEARCH = 8192;
const HEADER_BYTES = 12;
const ADDRESSES_BYTES = 32;
/** Section 3.1.2: what a loader must be able to do. */
const REQUIRED = 0xffff;
/** Page-aligned modules; memory information; a video mode. */
const UNDERSTOOD = 0x0007;
const WANTS_VIDEO = 0x0004;
/** The header's addresses are valid and come before the ELF header. */
const HAS_ADDRESSES = 0x10000;

/** Section 3.2: what EAX holds at the entry. */
const LOADER_MAGIC = 0x2badb002;
/** Section 3.3: the information structure's size and flags. */
const INFO_BYTES = 116;
const INFO_MEMORY = 0x001;
const INFO_CMDLINE = 0x004;
const INFO_MODULES = 0x008;
const INFO_MMAP = 0x040;
const INFO_NAME = 0x200;
const MODULE_BYTES = 16;
const MMAP_ENTRY_BYTES = 24;
const NAME = "Rhea";
/** The lowest address for what the loader adds: above the BIOS data area. */
const LOWEST = 0x1000;

/** ELF: identification, and the fields of the file's and program headers. */
const ELF_MAGIC = 0x464c457f;
const ELF_CLASS_32 = 1;
const ELF_LITTLE = 1;
const ELF_MACHINE_386 = 3;
const ELF_HEADER_BYTES = 52;
const ELF_SEGMENT_BYTES = 32;
const ELF_LOAD = 1;

/** A part of the kernel: bytes of the file, then zeros. */
interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Bytes in memory. */
  readonly size: number;
}

interface Kernel {
  readonly entry: number;
  readonly segments: readonly Segment[];
}

/** Offset of the header in the file, or -1. */
function findHeader(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const limit = Math.min(bytes.length, HEADER_SEARCH) - HEADER_BYTES;
  for (let at = 0; at <= limit; at += 4) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(at + 4, true);
    const checksum = view.getUint32(at + 8, true);
    if ((HEADER_MAGIC + flags + checksum) >>> 0 === 0) return at;
  }
  return -1;
}

/** "The address fields of Multiboot header". */
function parseAddresses(
  path: string,
  bytes: Uint8Array,
  header: number,
): Kernel {
  if (header + ADDRESSES_BYTES > bytes.length) {
    throw loadError(path, "it is truncated in the multiboot header");
  }
  const view = viewOf(bytes);
  const headerAddress = view.getUint32(header + 12, true);
  const loadAddress = view.getUint32(header + 16, true);
  const loadEnd = view.getUint32(header + 20, true);
  const bssEnd = view.getUint32(header + 24, true);
  const entry = view.getUint32(header + 28, true);
  const start = header - (headerAddress - loadAddress);
  if (loadAddress > headerAddress || start < 0) {
    throw loadError(path, "its load address lies outside of the file");
  }
  const length = loadEnd === 0 ? bytes.length - start : loadEnd - loadAddress;
  if (length <= 0 || start + length > bytes.length) {
    throw loadError(
      path,
      `it is truncated: ${bytes.length} bytes, expected ${start + length}`,
    );
  }
  const size = bssEnd === 0 ? length : bssEnd - loadAddress;
  if (size < length) throw loadError(path, "its bss ends before its data");
  return {
    entry,
    segments: [{
      address: loadAddress,
      bytes: bytes.subarray(start, start + length),
      size,
    }],
  };
}

function parseElf(path: string, bytes: Uint8Array): Kernel {
  const view = viewOf(bytes);
  if (
    bytes.length < ELF_HEADER_BYTES || view.getUint32(0, true) !== ELF_MAGIC
  ) {
    throw loadError(
      path,
      "it is neither an ELF file nor does its header give addresses",
    );
  }
  if (
    bytes[4] !== ELF_CLASS_32 || bytes[5] !== ELF_LITTLE ||
    view.getUint16(18, true) !== ELF_MACHINE_386
  ) {
    throw loadError(path, "it is not an ELF file for the i386");
  }
  const table = view.getUint32(28, true);
  const entryBytes = view.getUint16(42, true);
  const count = view.getUint16(44, true);
  if (
    entryBytes < ELF_SEGMENT_BYTES ||
    table + count * entryBytes > bytes.length
  ) {
    throw loadError(path, "it is truncated in the program headers");
  }
  let entry = view.getUint32(24, true);
  let found = false;
  const segments: Segment[] = [];
  for (let i = 0; i < count; i++) {
    const at = table + i * entryBytes;
    if (view.getUint32(at, true) !== ELF_LOAD) continue;
    const offset = view.getUint32(at + 4, true);
    const virtual = view.getUint32(at + 8, true);
    const address = view.getUint32(at + 12, true);
    const fileBytes = view.getUint32(at + 16, true);
    const size = view.getUint32(at + 20, true);
    if (offset + fileBytes > bytes.length) {
      throw loadError(
        path,
        `it is truncated: ${bytes.length} bytes, ` +
          `expected ${offset + fileBytes}`,
      );
    }
    if (size < fileBytes) {
      throw loadError(path, "a segment is larger in the file than in memory");
    }
    if (size === 0) continue;
    // An entry that is a virtual address means the memory behind it.
    if (!found && entry >= virtual && entry < virtual + size) {
      entry = entry - virtual + address;
      found = true;
    }
    segments.push({
      address,
      bytes: bytes.subarray(offset, offset + fileBytes),
      size,
    });
  }
  if (segments.length === 0) throw loadError(path, "it has nothing to load");
  return { entry, segments };
}

/** Hands out memory that nothing occupies. */
class Allocator {
  readonly #free: RamRange[];

  constructor(map: readonly MemoryRange[]) {
    this.#free = map.filter(({ type }) => type === USABLE);
  }

  /** Occupy a range; false when it is not all free. */
  take(base: number, size: number): boolean {
    const index = this.#free.findIndex((range) =>
      base >= range.base && base + size <= range.base + range.size
    );
    if (index < 0) return false;
    const range = this.#free[index];
    const after = base + size;
    this.#free.splice(
      index,
      1,
      { base: range.base, size: base - range.base },
      { base: after, size: range.base + range.size - after },
    );
    return true;
  }

  /** The lowest free range from `from` on, aligned; -1 when there is none. */
  allocate(size: number, align: number, from: number): number {
    for (const range of this.#free) {
      const base = Math.ceil(Math.max(range.base, from) / align) * align;
      if (base + size <= range.base + range.size && this.take(base, size)) {
        return base;
      }
    }
    return -1;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function baseName(path: string): string {
  return path.slice(
    Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1,
  );
}

function withArguments(path: string, append: string): Uint8Array {
  const name = baseName(path);
  return zeroTerminated(append === "" ? name : `${name} ${append}`);
}

/** Put everything into memory; gives back how the CPU starts. */
function load(context: LoaderContext): EntryState {
  const { kernel, modules, append, dma, log } = context;
  const { path, bytes } = kernel;
  const header = findHeader(bytes);
  if (header < 0) throw loadError(path, "it has no multiboot header");
  const flags = viewOf(bytes).getUint32(header + 4, true);
  if ((flags & REQUIRED & ~UNDERSTOOD) !== 0) {
    throw loadError(
      path,
      `its multiboot header requires unknown features: flags ${hex(flags)}`,
    );
  }
  if ((flags & WANTS_VIDEO) !== 0) {
    log.guest("the kernel wants a video mode: there is none to set");
  }
  const { entry, segments } = (flags & HAS_ADDRESSES) !== 0
    ? parseAddresses(path, bytes, header)
    : parseElf(path, bytes);

  const { map } = systemMemory(context);
  const memory = new Allocator(map);
  for (const { address, size, bytes } of segments) {
    if (!memory.take(address, size)) {
      throw loadError(
        path,
        `its segment at ${hex(address)}-${hex(address + size - 1)} ` +
          "is not in the machine's memory or overlaps another",
      );
    }
    dma.write(address, bytes);
    fillZero(context, address + bytes.length, size - bytes.length);
  }

  // Modules go above the kernel, where kernels look for free memory last.
  const above = Math.max(
    EXTENDED,
    ...segments.map(({ address, size }) => address + size),
  );
  const placed = modules.map((file) => {
    const size = file.bytes.length;
    const at = memory.allocate(Math.max(size, 1), PAGE, above);
    if (at < 0) throw loadError(path, `no room for module "${file.path}"`);
    dma.write(at, file.bytes);
    return { at, size, text: withArguments(file.path, file.append ?? "") };
  });

  // One block holds the information structure and all that it points to.
  const line = withArguments(path, append);
  const name = zeroTerminated(NAME);
  const mapAt = INFO_BYTES + GDT_BYTES;
  const modulesAt = mapAt + map.length * MMAP_ENTRY_BYTES;
  let end = modulesAt + placed.length * MODULE_BYTES;
  const texts = [line, name, ...placed.map(({ text }) => text)];
  const textsAt = texts.map((text) => {
    const at = end;
    end += text.length;
    return at;
  });
  const base = memory.allocate(end, PAGE, LOWEST);
  if (base < 0) throw loadError(path, "no room for the boot information");
  const info = new Uint8Array(end);
  const view = viewOf(info);
  texts.forEach((text, i) => info.set(text, textsAt[i]));

  view.setUint32(
    0,
    INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_NAME,
    true,
  );
  view.setUint32(4, usableEnd(map, 0) >>> 10, true);
  view.setUint32(8, (usableEnd(map, EXTENDED) - EXTENDED) / 1024, true);
  view.setUint32(16, base + textsAt[0], true);
  view.setUint32(20, placed.length, true);
  view.setUint32(24, placed.length === 0 ? 0 : base + modulesAt, true);
  view.setUint32(44, map.length * MMAP_ENTRY_BYTES, true);
  view.setUint32(48, base + mapAt, true);
  view.setUint32(64, base + textsAt[1], true);
  map.forEach((range, i) => {
    const at = mapAt + i * MMAP_ENTRY_BYTES;
    // The size does not count itself.
    view.setUint32(at, MMAP_ENTRY_BYTES - 4, true);
    view.setBigUint64(at + 4, BigInt(range.base), true);
    view.setBigUint64(at + 12, BigInt(range.size), true);
    view.setUint32(at + 20, range.type, true);
  });
  placed.forEach(({ at, size }, i) => {
    const entryAt = modulesAt + i * MODULE_BYTES;
    view.setUint32(entryAt, at, true);
    view.setUint32(entryAt + 4, at + size, true);
    view.setUint32(entryAt + 8, base + textsAt[2 + i], true);
  });
  dma.write(base, info);
  const gdt = base + INFO_BYTES;
  writeGdt(dma, gdt);
  return flatEntry(gdt, { eip: entry, eax: LOADER_MAGIC, ebx: base });
}

/** Zero memory, in pieces: a bss can be large. */
function fillZero(context: LoaderContext, from: number, size: number): void {
  const zeros = new Uint8Array(Math.min(size, 1024 * 1024));
  for (let done = 0; done < size; done += zeros.length) {
    const length = Math.min(zeros.length, size - done);
    context.dma.write(from + done, zeros.subarray(0, length));
  }
}

/** The `multiboot` plugin. */
const plugin: LoaderPlugin = {
  type: "loader",
  name: "multiboot",
  version: "1.0.0",
  description: "a Multiboot 1 kernel",
  probe: (image) => findHeader(image) >= 0,
  load,
};
export default plugin;
