/**
 * Loads a Linux bzImage by the 32-bit boot protocol, without firmware.
 *
 * Linux' Documentation/arch/x86/boot.rst ("The real-mode kernel header",
 * "32-bit boot protocol") and zero-page.rst. What the setup code in the image
 * would ask of the firmware (the memory map, where ACPI's tables are) is written
 * into the zero page here, and the CPU starts at the protected-mode code.
 *
 * @module
 */

import type { EntryState } from "../../core/machine/cpu.ts";
import type { LoaderContext, LoaderPlugin } from "../../core/machine/plugin.ts";
import { writeLongMode } from "./long_mode.ts";
import {
  EXTENDED,
  flatEntry,
  loadError,
  PAGE,
  systemMemory,
  usableEnd,
  viewOf,
  writeGdt,
  zeroTerminated,
} from "./pc.ts";

/** Where things go below 1 MiB, in memory that the kernel keeps clear of. */
const LONG_MODE = 0x80000;
const ZERO_PAGE = 0x90000;
const COMMAND_LINE = 0x91000;
const GDT = 0x9f000;
const SETUP_DATA_AT = 0x9f100;

/** The setup header's fields, by offset in the image and the zero page. */
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
/** Its unit in bytes. */
const PARAGRAPH = 16;
const VID_MODE = 0x1fa;
const BOOT_FLAG = 0x1fe;
const JUMP = 0x200;
const HEADER_MAGIC = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const KERNEL_ALIGNMENT = 0x230;
const RELOCATABLE_KERNEL = 0x234;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SETUP_DATA = 0x250;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;

/** The zero page's `screen_info`. */
const ORIG_X = 0x000;
const ORIG_Y = 0x001;
const ORIG_VIDEO_MODE = 0x006;
const ORIG_VIDEO_COLS = 0x007;
const ORIG_VIDEO_EGA_BX = 0x00a;
const ORIG_VIDEO_LINES = 0x00e;
const ORIG_VIDEO_IS_VGA = 0x00f;
const ORIG_VIDEO_POINTS = 0x010;
/** ORIG_VIDEO_MODE: 80 columns in colour. */
const MODE_COLOUR_TEXT = 3;
/** ORIG_VIDEO_EGA_BX: colour, 256 KB of video memory (INT 10h, AH 12h). */
const EGA_COLOUR_256K = 3;

/** The zero page's other fields. */
const EXT_MEM_K = 0x002;
const CL_MAGIC = 0x020;
const CL_OFFSET = 0x022;
const ACPI_RSDP_ADDR = 0x070;
const ALT_MEM_K = 0x1e0;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;
const E820_MAX = 128;
const E820_ENTRY_BYTES = 20;

/** "HdrS". */
const MAGIC = 0x53726448;
const BOOT_FLAG_VALUE = 0xaa55;
/** Protocol versions that added what is used here. */
const V2_00 = 0x200;
const V2_02 = 0x202;
const V2_03 = 0x203;
const V2_04 = 0x204;
const V2_05 = 0x205;
const V2_06 = 0x206;
const V2_08 = 0x208;
const V2_09 = 0x209;
const V2_10 = 0x20a;
const V2_12 = 0x20c;

/** LOADFLAGS: the protected-mode code is loaded at 1 MiB. */
const LOADED_HIGH = 0x01;
/** XLOADFLAGS: XLF_KERNEL_64, it is a 64-bit kernel. */
const KERNEL_64 = 0x01;
/** VID_MODE: as the display is. */
const VIDEO_NORMAL = 0xffff;
/** SETUP_DATA: a seed for the kernel's generator of random numbers. */
const SETUP_RNG_SEED = 9;
/** Bytes in front of it: link, type, length. */
const SETUP_DATA_HEADER = 16;
/** TYPE_OF_LOADER: none of those with a number. */
const LOADER_UNDEFINED = 0xff;
/** Where an initial RAM disk may end when the header does not say. */
const OLD_INITRD_MAX = 0x37ffffff;
/** The longest command line when the header does not say. */
const OLD_CMDLINE_SIZE = 255;
/** CL_MAGIC: the old way to give the command line. */
const OLD_CMDLINE_MAGIC = 0xa33f;
/** Setup sectors when the header says 0. */
const OLD_SETUP_SECTS = 4;
const SECTOR = 512;
/** The setup header can end here at the most. */
const HEADER_LIMIT = 0x290;

/** How the payload of an image may begin: the compressions Linux knows. */
const PAYLOADS: readonly (readonly number[])[] = [
  [0x1f, 0x8b], // gzip
  [0x1f, 0x9e], // gzip, old
  [0x42, 0x5a], // bzip2
  [0x5d, 0x00], // LZMA
  [0xfd, 0x37], // xz
  [0x89, 0x4c], // LZO
  [0x02, 0x21], // LZ4
  [0x28, 0xb5], // Zstandard
  [0x7f, 0x45], // none: an ELF file
];

/** The parts of an image that the loader needs. */
interface Image {
  readonly version: number;
  /** The setup header as it goes into the zero page. */
  readonly header: Uint8Array;
  /** The protected-mode code. */
  readonly code: Uint8Array;
  readonly loadAddress: number;
  /** Memory from `loadAddress` on that the kernel uses before it knows any. */
  readonly end: number;
  readonly initrdMax: number;
  readonly cmdlineSize: number;
  readonly needs64Bit: boolean;
}

/** Whether a file has the boot protocol's header. */
export function isLinux(bytes: Uint8Array): boolean {
  if (bytes.length < VERSION + 2) return false;
  const view = viewOf(bytes);
  return view.getUint16(BOOT_FLAG, true) === BOOT_FLAG_VALUE &&
    view.getUint32(HEADER_MAGIC, true) === MAGIC;
}

/** Take an image apart; says what is wrong with a damaged one. */
function parse(path: string, bytes: Uint8Array): Image {
  if (!isLinux(bytes)) {
    throw loadError(path, `it is not a Linux bzImage: there is no "HdrS"`);
  }
  const view = viewOf(bytes);
  const version = view.getUint16(VERSION, true);
  if (version < V2_00 || version > 0x2ff) {
    throw loadError(
      path,
      `its boot protocol is ${version >> 8}.${version & 0xff}, expected 2.x`,
    );
  }
  const setupBytes = ((bytes[SETUP_SECTS] || OLD_SETUP_SECTS) + 1) * SECTOR;
  const truncated = (expected: number) =>
    loadError(
      path,
      `it is truncated: ${bytes.length} bytes, expected ${expected}`,
    );
  // The header's end is where the jump over it goes.
  const headerEnd = JUMP + 2 + bytes[JUMP + 1];
  if (headerEnd > HEADER_LIMIT || headerEnd > setupBytes) {
    throw loadError(path, "its setup header is damaged");
  }
  // Before 2.04 only the low half of SYSSIZE counts, and it was not reliable.
  const codeBytes = version >= V2_04
    ? view.getUint32(SYSSIZE, true) * PARAGRAPH
    : Math.max(bytes.length - setupBytes, 1);
  // The last paragraph of SYSSIZE need not be whole: memtest86+'s is not.
  if (bytes.length <= setupBytes + codeBytes - PARAGRAPH) {
    throw truncated(setupBytes + codeBytes);
  }
  const high = (bytes[LOADFLAGS] & LOADED_HIGH) !== 0;
  const codeStart = view.getUint32(CODE32_START, true);
  // iPXE's lkrn has no entry of 32 bits, MEMDISK does not say how long its code
  // is: only their code of real mode, which calls the BIOS, knows how to start.
  // (An old Linux whose SYSSIZE is 0 has 64 Ki paragraphs.)
  const isSmall = version < V2_04 && view.getUint32(SYSSIZE, true) === 0 &&
    bytes.length < 0x10000 * PARAGRAPH;
  if (high && (codeStart === 0 || isSmall)) {
    throw loadError(
      path,
      "it starts in real mode and calls the BIOS: start it by a boot loader " +
        "on a disk",
    );
  }
  if (codeBytes === 0) throw loadError(path, "it has no protected-mode code");
  const code = bytes.subarray(setupBytes, setupBytes + codeBytes);
  const field = (offset: number, since: number, old: number): number =>
    version >= since && offset + 4 <= headerEnd
      ? view.getUint32(offset, true)
      : old;
  checkPayload(
    path,
    code,
    field(PAYLOAD_OFFSET, V2_08, 0),
    field(PAYLOAD_LENGTH, V2_08, 0),
  );
  const loadAddress = high ? EXTENDED : codeStart;
  if (!high && loadAddress + codeBytes > ZERO_PAGE) {
    throw loadError(path, "it is too large for a kernel below 1 MiB");
  }
  // A relocatable kernel moves up to its preferred address by itself.
  let start = loadAddress;
  if (version >= V2_10) {
    const alignment = Math.max(field(KERNEL_ALIGNMENT, V2_05, 1), 1);
    start = Math.ceil(start / alignment) * alignment;
    const preferred = field(PREF_ADDRESS, V2_10, 0);
    if (bytes[RELOCATABLE_KERNEL] === 0 || start < preferred) start = preferred;
  }
  const end = Math.max(
    loadAddress + codeBytes,
    start + field(INIT_SIZE, V2_10, 0),
  );
  return {
    version,
    header: bytes.subarray(SETUP_SECTS, headerEnd),
    code,
    loadAddress,
    end,
    initrdMax: field(INITRD_ADDR_MAX, V2_03, OLD_INITRD_MAX),
    cmdlineSize: field(CMDLINE_SIZE, V2_06, OLD_CMDLINE_SIZE),
    needs64Bit: version >= V2_12 && XLOADFLAGS < headerEnd &&
      (bytes[XLOADFLAGS] & KERNEL_64) !== 0,
  };
}

function checkPayload(
  path: string,
  code: Uint8Array,
  offset: number,
  length: number,
): void {
  if (length === 0) return;
  if (offset + length > code.length) {
    throw loadError(path, "its payload is longer than the file");
  }
  const known = PAYLOADS.some(([first, second]) =>
    code[offset] === first && code[offset + 1] === second
  );
  if (!known) {
    throw loadError(path, "its payload is damaged: no compression begins so");
  }
}

function mib(bytes: number): number {
  return Math.ceil(bytes / (1024 * 1024));
}

/** A kernel that is unpacked already: its segments, and where it starts. */
export interface UnpackedKernel {
  /** The physical address of its first instruction. */
  readonly entry: number;
  /** That is of 64 bits. */
  readonly isWide: boolean;
  /** What goes where, in bytes. */
  readonly segments: readonly {
    readonly address: number;
    readonly bytes: Uint8Array;
  }[];
}

/**
 * Put everything into memory; gives back how the CPU starts: in the image's
 * own unpacking code, or in the kernel that was unpacked for it.
 */
export function loadLinux(
  context: LoaderContext,
  unpacked?: UnpackedKernel,
): EntryState {
  const { kernel, initrd, append, parameters = [], dma, screen, seed } =
    context;
  const image = parse(kernel.path, kernel.bytes);
  const { map, rsdp } = systemMemory(context);
  if (usableEnd(map, ZERO_PAGE) < GDT + PAGE - 0x400) {
    throw loadError(kernel.path, "the machine has no memory below 640 KiB");
  }
  if (image.needs64Bit && context.has64Bit === false) {
    // It halts before it can say so itself.
    context.log.warn(
      `the kernel "${kernel.path}" is for 64 bits, which this CPU does not ` +
        "have: a 32-bit kernel, or another CPU model (--cpu x86-64), is expected",
    );
  }
  const memoryEnd = usableEnd(map, image.loadAddress);
  if (image.end > memoryEnd) {
    throw loadError(
      kernel.path,
      `it needs memory up to ${mib(image.end)} MiB, ` +
        `the machine's ends at ${mib(memoryEnd)} MiB`,
    );
  }

  const page = new Uint8Array(PAGE);
  const view = viewOf(page);
  page.set(image.header, SETUP_SECTS);

  const line = zeroTerminated(
    [append, ...parameters].filter((text) => text !== "").join(" "),
  );
  if (line.length - 1 > image.cmdlineSize) {
    throw loadError(
      kernel.path,
      `the command line has ${line.length - 1} bytes, ` +
        `the kernel takes ${image.cmdlineSize}`,
    );
  }
  if (COMMAND_LINE + line.length > GDT) {
    throw loadError(kernel.path, "the command line is too long");
  }
  dma.write(COMMAND_LINE, line);
  if (image.version >= V2_02) {
    view.setUint32(CMD_LINE_PTR, COMMAND_LINE, true);
  } else {
    view.setUint16(CL_MAGIC, OLD_CMDLINE_MAGIC, true);
    view.setUint16(CL_OFFSET, COMMAND_LINE - ZERO_PAGE, true);
  }
  view.setUint16(VID_MODE, VIDEO_NORMAL, true);
  if (screen !== undefined) {
    page[ORIG_X] = screen.cursor?.column ?? 0;
    page[ORIG_Y] = screen.cursor?.row ?? 0;
    page[ORIG_VIDEO_MODE] = MODE_COLOUR_TEXT;
    page[ORIG_VIDEO_COLS] = screen.columns;
    page[ORIG_VIDEO_LINES] = screen.rows;
    view.setUint16(ORIG_VIDEO_EGA_BX, EGA_COLOUR_256K, true);
    page[ORIG_VIDEO_IS_VGA] = 1;
    view.setUint16(ORIG_VIDEO_POINTS, screen.cellHeight, true);
  }
  page[TYPE_OF_LOADER] = LOADER_UNDEFINED;
  view.setUint32(CODE32_START, image.loadAddress, true);

  if (initrd !== undefined && initrd.bytes.length > 0) {
    const size = initrd.bytes.length;
    const limit = Math.min(memoryEnd, image.initrdMax + 1);
    const at = Math.floor((limit - size) / PAGE) * PAGE;
    if (at < image.end) {
      throw loadError(
        kernel.path,
        `no room for the initrd "${initrd.path}" of ${mib(size)} MiB ` +
          `between ${mib(image.end)} and ${mib(limit)} MiB`,
      );
    }
    dma.write(at, initrd.bytes);
    view.setUint32(RAMDISK_IMAGE, at, true);
    view.setUint32(RAMDISK_SIZE, size, true);
  }

  if (rsdp !== undefined) {
    view.setBigUint64(ACPI_RSDP_ADDR, BigInt(rsdp), true);
  }
  if (seed !== undefined && image.version >= V2_09) {
    const data = new Uint8Array(SETUP_DATA_HEADER + seed.length);
    viewOf(data).setUint32(8, SETUP_RNG_SEED, true);
    viewOf(data).setUint32(12, seed.length, true);
    data.set(seed, SETUP_DATA_HEADER);
    dma.write(SETUP_DATA_AT, data);
    view.setUint32(SETUP_DATA, SETUP_DATA_AT, true);
  }

  const extended = Math.floor((usableEnd(map, EXTENDED) - EXTENDED) / 1024);
  view.setUint16(EXT_MEM_K, Math.min(extended, 0xffff), true);
  view.setUint32(ALT_MEM_K, extended, true);
  const entries = map.slice(0, E820_MAX);
  page[E820_ENTRIES] = entries.length;
  entries.forEach(({ base, size, type }, i) => {
    const at = E820_TABLE + i * E820_ENTRY_BYTES;
    view.setBigUint64(at, BigInt(base), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    view.setUint32(at + 16, type, true);
  });

  dma.write(ZERO_PAGE, page);
  writeGdt(dma, GDT);
  return flatEntry(GDT, {
    eip: placeCode(context, image, unpacked),
    esi: ZERO_PAGE,
    esp: ZERO_PAGE,
  });
}

/** Put the code into memory; gives back where the CPU starts, in 32 bits. */
function placeCode(
  { dma, kernel }: LoaderContext,
  { code, loadAddress, end }: Image,
  unpacked: UnpackedKernel | undefined,
): number {
  if (unpacked === undefined) {
    dma.write(loadAddress, code);
    return loadAddress;
  }
  const { entry, isWide, segments } = unpacked;
  for (const { address, bytes } of segments) {
    if (address < EXTENDED || address + bytes.length > end) {
      throw loadError(kernel.path, "its payload does not fit in its memory");
    }
  }
  if (isWide) {
    // It is the image's own code that says so on a CPU without 64-bit mode; if
    // there is no room for both, it unpacks the kernel as well.
    dma.write(loadAddress, code);
    const codeEnd = loadAddress + code.length;
    if (segments.some(({ address }) => address < codeEnd)) return loadAddress;
  }
  for (const { address, bytes } of segments) dma.write(address, bytes);
  return isWide
    ? writeLongMode(dma, LONG_MODE, { entry, fallback: loadAddress })
    : entry;
}

/** The `linux` plugin. */
const plugin: LoaderPlugin = {
  type: "loader",
  name: "linux",
  version: "1.0.0",
  description: "a Linux bzImage",
  probe: isLinux,
  load: (context) => loadLinux(context),
};
export default plugin;
