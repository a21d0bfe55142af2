/**
 * The items of fw_cfg: what each selector key stands for, and the directory of
 * named files. QEMU's `docs/specs/fw_cfg`; the keys' names are those of its
 * `standard-headers/linux/qemu_fw_cfg.h`.
 *
 * @module
 */

import type {
  TableBlob,
  TableChecksum,
  TablePointer,
  TableSet,
} from "../../../core/machine/firmware.ts";

/** Keys of items without a name. */
const SIGNATURE = 0x00;
const ID = 0x01;
const UUID = 0x02;
const RAM_SIZE = 0x03;
const NOGRAPHIC = 0x04;
const NB_CPUS = 0x05;
const NUMA = 0x0d;
const BOOT_MENU = 0x0e;
const MAX_CPUS = 0x0f;
const FILE_DIR = 0x19;
/** Files' keys begin here. */
const FILE_FIRST = 0x20;
/** Flag of keys that mean something else on each architecture. */
const ARCH_LOCAL = 0x8000;
const IRQ0_OVERRIDE = ARCH_LOCAL + 2;

/** ID: the selector and data registers, and DMA. */
const ID_TRADITIONAL_AND_DMA = 3;
/** A file's entry in the directory: size, key, reserved, name. */
const ENTRY_BYTES = 64;
const NAME_BYTES = 56;
/** A command of `etc/table-loader`. */
const COMMAND_BYTES = 128;
const COMMAND_ALLOCATE = 1;
const COMMAND_ADD_POINTER = 2;
const COMMAND_ADD_CHECKSUM = 3;
const ZONE_HIGH = 1;
const ZONE_FSEG = 2;
const LOADER = "etc/table-loader";
/** A range of RAM in `etc/e820`. */
const E820_BYTES = 20;
const E820_RAM = 1;

/** What the items without a name say. */
export interface MachineFacts {
  /** RAM in bytes, from address 0 on. */
  readonly memory: number;
  /** The number of CPUs. */
  readonly cpus: number;
  /** Whether firmware shows its boot menu. */
  readonly menu: boolean;
}

const ascii = new TextEncoder();

function little(value: number, bytes: 2 | 4 | 8): Uint8Array {
  const out = new Uint8Array(bytes);
  const view = new DataView(out.buffer);
  if (bytes === 2) view.setUint16(0, value, true);
  else if (bytes === 4) view.setUint32(0, value, true);
  else view.setBigUint64(0, BigInt(value), true);
  return out;
}

/**
 * The RAM as SeaBIOS and its kin read it from `etc/e820`: from 0 on, and from
 * 4 GiB on.
 */
export function e820(low: number, high: number): Uint8Array {
  const out = new Uint8Array(high > 0 ? 2 * E820_BYTES : E820_BYTES);
  const put = (at: number, base: number, size: number): void => {
    out.set(little(base, 8), at);
    out.set(little(size, 8), at + 8);
    out.set(little(E820_RAM, 4), at + 16);
  };
  put(0, 0, low);
  if (high > 0) put(E820_BYTES, 2 ** 32, high);
  return out;
}

/** The items by key: what devices gave, without and with names. */
export function itemsOf(
  facts: MachineFacts,
  given: Iterable<readonly [number, Uint8Array]>,
  files: ReadonlyMap<string, Uint8Array>,
): Map<number, Uint8Array> {
  const { memory, cpus } = facts;
  const items = new Map<number, Uint8Array>([
    [SIGNATURE, ascii.encode("QEMU")],
    [ID, little(ID_TRADITIONAL_AND_DMA, 4)],
    [UUID, new Uint8Array(16)],
    [RAM_SIZE, little(memory, 8)],
    [NOGRAPHIC, little(0, 2)],
    [NB_CPUS, little(cpus, 2)],
    // No nodes, and so no table of them.
    [NUMA, new Uint8Array(8 + 8 * cpus)],
    [BOOT_MENU, little(facts.menu ? 1 : 0, 2)],
    [MAX_CPUS, little(cpus, 2)],
    [IRQ0_OVERRIDE, little(1, 4)],
    ...given,
  ]);
  const keys = fileKeys(files);
  const directory = new Uint8Array(4 + ENTRY_BYTES * keys.size);
  const view = new DataView(directory.buffer);
  view.setUint32(0, keys.size);
  let at = 4;
  for (const [key, name] of keys) {
    const bytes = files.get(name)!;
    view.setUint32(at, bytes.length);
    view.setUint16(at + 4, key);
    directory.set(ascii.encode(name), at + 8);
    items.set(key, bytes);
    at += ENTRY_BYTES;
  }
  items.set(FILE_DIR, directory);
  return items;
}

/**
 * The names of files by their keys: in the order of the names, as bytes, so
 * that a directory does not depend on who came first.
 */
export function fileKeys(
  files: ReadonlyMap<string, unknown>,
): Map<number, string> {
  const names = [...files.keys()].sort();
  return new Map(names.map((name, i) => [FILE_FIRST + i, name]));
}

/** Whether a file may have such a name: ASCII, and a zero must follow it. */
export function isFileName(name: string): boolean {
  return /^[\x21-\x7e]+$/.test(name) && name.length < NAME_BYTES;
}

/**
 * The files of tables: blobs by name, and what SeaBIOS, OVMF and coreboot run
 * to place them (QEMU's `bios-linker-loader.c` describes the commands).
 */
export function tableFiles(
  sets: readonly TableSet[],
): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const commands: Uint8Array[] = [];
  for (const { blobs, links, linked } of sets) {
    for (const { name, bytes } of blobs) files.set(name, bytes);
    if (!linked) continue;
    commands.push(...blobs.map(allocate), ...links.map(link));
  }
  if (commands.length === 0) return files;
  const loader = new Uint8Array(COMMAND_BYTES * commands.length);
  commands.forEach((bytes, i) => loader.set(bytes, COMMAND_BYTES * i));
  return files.set(LOADER, loader);
}

function command(
  kind: number,
  fill: (view: DataView, name: (at: number, text: string) => void) => void,
): Uint8Array {
  const out = new Uint8Array(COMMAND_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, kind, true);
  fill(view, (at, text) => out.set(ascii.encode(text), at));
  return out;
}

function allocate({ name, align, zone }: TableBlob): Uint8Array {
  return command(COMMAND_ALLOCATE, (view, put) => {
    put(4, name);
    view.setUint32(60, align, true);
    view.setUint8(64, zone === "entry" ? ZONE_FSEG : ZONE_HIGH);
  });
}

function link(link: TablePointer | TableChecksum): Uint8Array {
  if (link.kind === "checksum") {
    return command(COMMAND_ADD_CHECKSUM, (view, put) => {
      put(4, link.blob);
      view.setUint32(60, link.offset, true);
      view.setUint32(64, link.start, true);
      view.setUint32(68, link.length, true);
    });
  }
  return command(COMMAND_ADD_POINTER, (view, put) => {
    put(4, link.blob);
    put(60, link.target);
    view.setUint32(116, link.offset, true);
    view.setUint8(120, link.size);
  });
}
