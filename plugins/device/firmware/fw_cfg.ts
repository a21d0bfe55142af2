/**
 * fw_cfg: where firmware asks what machine it is on, and finds the tables to be
 * handed on to the guest.
 *
 * QEMU's `docs/specs/fw_cfg`: a selector and a data register, and a DMA
 * interface whose registers and descriptors are big-endian. Items are read-only
 * here: a write by DMA is refused with the error bit, as specified for them.
 *
 * It has the tables of the whole machine, so it is also the one that places
 * them for a guest which starts without firmware that would. A transfer of DMA
 * reaches RAM alone, and is done when the write that starts it is.
 *
 * @module
 */

import type { IoHandler } from "../../../core/bus/handler.ts";
import type { RegionMover } from "../../../core/bus/movable_region.ts";
import type {
  FirmwareConfig,
  FirmwareTables,
  PlacedTables,
  TablePlace,
  TableSet,
} from "../../../core/machine/firmware.ts";
import {
  type Device,
  type DeviceContext,
  type DevicePlugin,
  type DmaPort,
  type FileSpec,
  ramAbove4G,
  type RegionMemory,
} from "../../../core/machine/plugin.ts";
import { dirname, resolve } from "../../../core/machine/path.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import {
  e820,
  fileKeys,
  isFileName,
  itemsOf,
  type MachineFacts,
  tableFiles,
} from "./fw_cfg_items.ts";
import { layTables } from "./place_tables.ts";

/** Selector keys: a write channel that no item has any more. */
const WRITE_CHANNEL = 0x4000;
/** What the DMA address register reads as. */
const DMA_SIGNATURE = new TextEncoder().encode("QEMU CFG");
/** A DMA descriptor: control, length, address. */
const DESCRIPTOR_BYTES = 16;
const CONTROL_ERROR = 0x01;
const CONTROL_READ = 0x02;
const CONTROL_SKIP = 0x04;
const CONTROL_SELECT = 0x08;
const CONTROL_WRITE = 0x10;
const FOUR_GIB = 2 ** 32;
/** Bytes moved at a time. */
const CHUNK = 65536;
/** The page of entry points, when they are shown. */
const ENTRIES_BYTES = 4096;

/** Firmware runs option ROMs of this folder first. */
const VGA_ROMS = "vgaroms/";
/**
 * A VGA's BIOS: the firmware's name for it, and the file's. SeaBIOS runs the
 * first beside all others, the second for the PCI device with this ID.
 */
const VGA_BIOSES = {
  isa: { item: `${VGA_ROMS}vgabios-isavga.bin`, file: "vgabios-isavga.bin" },
  pci: { item: "pci1234,1111.rom", file: "vgabios-stdvga.bin" },
} as const;

/** One file from the machine definition. */
interface FileConfig {
  readonly text?: string;
  readonly path?: string;
}

/** The plugin's configuration. */
export interface FwCfgConfig {
  /** RAM in bytes. */
  readonly memory: number;
  /** The number of CPUs. */
  readonly cpus: number;
  /** What firmware boots from, in this order. */
  readonly bootOrder: readonly string[];
  /** The boot menu is shown. */
  readonly menu: boolean;
  /** How long it waits for the user, in milliseconds. */
  readonly menuWait: number;
  /** Files by name. */
  readonly files: Readonly<Record<string, FileConfig>>;
  /** The firmware's image, beside which the VGA's is. */
  readonly firmware?: string;
  /** Which bus the VGA is on. */
  readonly vga: keyof typeof VGA_BIOSES;
}

interface FwCfgState {
  /** The selected item's key. */
  key: number;
  /** How much of it has been read. */
  offset: number;
  /** The upper half of the DMA address, until the lower one is written. */
  dmaHigh: number;
  /** Where the page of entry points is shown; 0 when it is not. */
  entries: number;
}

/** The firmware configuration device. */
export class FwCfg implements Device, FirmwareConfig, FirmwareTables {
  #state: FwCfgState;
  readonly #name: string;
  readonly #dma: DmaPort;
  /** RAM below 4 GiB, which begins at 0, and above. */
  readonly #low: number;
  readonly #high: number;
  readonly #facts: MachineFacts;
  readonly #files = new Map<string, () => Uint8Array>();
  readonly #given = new Map<number, () => Uint8Array>();
  readonly #tables: (() => TableSet)[] = [];
  /** Made at reset, when all have given what they have. */
  #items = new Map<number, Uint8Array>();
  /** They are to be made when they are looked at. */
  #isStale = false;
  /** The keys of files with tables. */
  #tableKeys: ReadonlyMap<number, string> = new Map();
  readonly #entries: {
    readonly memory: RegionMemory;
    readonly mover: RegionMover;
  };

  /** The device with the files of its configuration. */
  constructor(config: FwCfgConfig, context: DeviceContext) {
    this.#name = context.name;
    this.#dma = context.dma;
    const { memory } = config;
    this.#high = Math.min(ramAbove4G(context.survey().ram), memory);
    this.#low = memory - this.#high;
    this.#facts = config;
    this.#entries = {
      memory: context.memory("entries"),
      mover: context.mover("entries"),
    };
    this.#state = this.#fresh();
    this.addFile("etc/e820", () => e820(this.#low, this.#high));
    const menuWait = new Uint8Array(2);
    new DataView(menuWait.buffer).setUint16(0, config.menuWait, true);
    this.addFile("etc/boot-menu-wait", () => menuWait);
    if (config.bootOrder.length > 0) {
      const order = new TextEncoder().encode(
        `${config.bootOrder.join("\n")}\0`,
      );
      this.addFile("bootorder", () => order);
    }
    for (const [name, bytes] of contents(config.files, context)) {
      this.addFile(name, () => bytes);
    }
    if (vgaBios(config) !== undefined) {
      const { item } = VGA_BIOSES[config.vga];
      const bytes = context.file(item);
      if (bytes !== undefined) this.addFile(item, () => bytes);
    }
    context.io("registers", this.#registers());
    context.io("dma", {
      read: (offset, width) => {
        let value = 0;
        for (let i = 0; i < width; i++) {
          value += DMA_SIGNATURE[offset + i] * 2 ** (8 * i);
        }
        return value;
      },
      write: (offset, width, value) => {
        if (width !== 4) return;
        const address = swap(value);
        if (offset === 0) this.#state.dmaHigh = address;
        else this.#transfer(this.#state.dmaHigh * 2 ** 32 + address);
      },
    });
  }

  #fresh(): FwCfgState {
    return { key: 0, offset: 0, dmaHigh: 0, entries: 0 };
  }

  /** Writes of 16 bits select, reads give the item's bytes one by one. */
  #registers(): IoHandler {
    return {
      widths: [1, 2],
      read: (_offset, width) => {
        this.#refresh();
        let value = 0;
        for (let i = 0; i < width; i++) value |= this.#next() << 8 * i;
        return value;
      },
      write: (_offset, width, value) => {
        this.#refresh();
        if (width === 2) this.#select(value);
      },
    };
  }

  #select(key: number): void {
    this.#state.key = key & ~WRITE_CHANNEL;
    this.#state.offset = 0;
    if (this.#tableKeys.has(this.#state.key)) this.#renewTables();
  }

  /** What tables describe may have been set up since they were made. */
  #renewTables(): void {
    const files = tableFiles(this.#tables.map((tables) => tables()));
    for (const [key, name] of this.#tableKeys) {
      const bytes = files.get(name);
      // The directory has its size.
      if (bytes?.length === this.#items.get(key)?.length) {
        this.#items.set(key, bytes!);
      }
    }
  }

  /** The next byte of the item; 0 after its end. */
  #next(): number {
    const state = this.#state;
    const item = this.#items.get(state.key);
    if (item === undefined || state.offset >= item.length) return 0;
    return item[state.offset++];
  }

  /** Do what the descriptor at `address` says. */
  #transfer(address: number): void {
    this.#refresh();
    this.#state.dmaHigh = 0;
    // Nowhere to read the descriptor from, nor to say that it went wrong.
    if (!this.#isRam(address, DESCRIPTOR_BYTES)) return;
    const descriptor = new Uint8Array(DESCRIPTOR_BYTES);
    this.#dma.read(address, descriptor);
    const view = new DataView(descriptor.buffer);
    const control = view.getUint32(0);
    const length = view.getUint32(4);
    const target = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
    if ((control & CONTROL_SELECT) !== 0) this.#select(control >>> 16);
    let isDone = true;
    if ((control & CONTROL_READ) !== 0) isDone = this.#read(target, length);
    else if ((control & CONTROL_WRITE) !== 0) isDone = length === 0;
    else if ((control & CONTROL_SKIP) !== 0) this.#skip(length);
    view.setUint32(0, isDone ? 0 : CONTROL_ERROR);
    this.#dma.write(address, descriptor.subarray(0, 4));
  }

  /** Read from the item into memory, zeros after its end. */
  #read(target: number, length: number): boolean {
    if (!this.#isRam(target, length)) return length === 0;
    const state = this.#state;
    const item = this.#items.get(state.key) ?? new Uint8Array(0);
    const some = Math.min(length, Math.max(item.length - state.offset, 0));
    this.#dma.write(target, item.subarray(state.offset, state.offset + some));
    state.offset += some;
    const zeros = new Uint8Array(Math.min(length - some, CHUNK));
    for (let done = some; done < length; done += CHUNK) {
      const left = Math.min(length - done, CHUNK);
      this.#dma.write(target + done, zeros.subarray(0, left));
    }
    return true;
  }

  #skip(length: number): void {
    const state = this.#state;
    const size = this.#items.get(state.key)?.length ?? 0;
    state.offset = Math.min(state.offset + length, size);
  }

  #isRam(address: number, length: number): boolean {
    const start = address >= FOUR_GIB ? address - FOUR_GIB : address;
    const size = address >= FOUR_GIB ? this.#high : this.#low;
    return start + length <= size;
  }

  /** See `FirmwareConfig.addFile`. */
  addFile(name: string, bytes: () => Uint8Array): void {
    if (!isFileName(name)) {
      throw new Error(
        `a firmware file cannot have the name "${name}": expected up to 55 ` +
          `characters of ASCII without blanks`,
      );
    }
    if (this.#files.has(name)) {
      throw new Error(`there are two firmware files "${name}"`);
    }
    this.#files.set(name, bytes);
  }

  /** See `FirmwareConfig.addItem`. */
  addItem(key: number, bytes: () => Uint8Array): void {
    this.#given.set(key, bytes);
  }

  /** See `FirmwareConfig.addTables`. */
  addTables(tables: () => TableSet): void {
    this.#tables.push(tables);
  }

  /** See `FirmwareTables.placeTables`. */
  placeTables(place: TablePlace): PlacedTables {
    const sets = this.#tables.map((tables) => tables());
    const layout = layTables(sets, place);
    const page = new Uint8Array(ENTRIES_BYTES);
    let hasEntries = false;
    for (const { address, bytes } of layout.blobs) {
      if (address >= layout.base) this.#dma.write(address, bytes);
      else {
        page.set(bytes, address - place.entries);
        hasEntries = true;
      }
    }
    if (hasEntries) {
      this.#entries.memory.write(0, page);
      this.#state.entries = place.entries;
      this.#entries.mover.map(place.entries);
    }
    for (const { prepare } of sets) prepare?.();
    return layout;
  }

  /**
   * The items are made anew, a file from the definition in the place of a table
   * of its name. None is selected, and no entry points are shown.
   */
  reset(): void {
    this.#makeItems();
    this.#adopt(this.#fresh());
  }

  /** What a machine that is restored has not made: by now all of it is loaded. */
  #refresh(): void {
    if (this.#isStale) this.#makeItems();
  }

  #makeItems(): void {
    this.#isStale = false;
    const files = tableFiles(this.#tables.map((tables) => tables()));
    const names = new Set(files.keys());
    for (const [name, bytes] of this.#files) {
      files.set(name, bytes());
      names.delete(name);
    }
    const given = [...this.#given].map(([key, item]) => [key, item()] as const);
    this.#items = itemsOf(this.#facts, given, files);
    this.#tableKeys = new Map(
      [...fileKeys(files)].filter(([, name]) => names.has(name)),
    );
  }

  /** The registers; items are the definition's. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The registers; items are the definition's. */
  load(record: StateRecord): void {
    this.#adopt(loadState(this.#fresh(), record, this.#name));
    this.#isStale = true;
  }

  #adopt(state: FwCfgState): void {
    this.#state = state;
    const { mover } = this.#entries;
    if (state.entries === 0) mover.unmap();
    else mover.map(state.entries);
  }
}

/** A word of 32 bits with its bytes the other way round. */
function swap(value: number): number {
  return ((value & 0xff) << 24 | (value & 0xff00) << 8 |
    value >>> 8 & 0xff00 | value >>> 24) >>> 0;
}

/** The content of the definition's files. */
function contents(
  files: FwCfgConfig["files"],
  context: DeviceContext,
): ReadonlyMap<string, Uint8Array> {
  return new Map(
    Object.entries(files).map(([name, { text, path }]) => {
      if ((text === undefined) === (path === undefined)) {
        throw new Error(`firmware file "${name}": expected "text" or "path"`);
      }
      return [
        name,
        text === undefined
          ? context.file(name)!
          : new TextEncoder().encode(text),
      ];
    }),
  );
}

/**
 * The file with the VGA's BIOS: beside the firmware's, as SeaBIOS comes, unless
 * the definition gives another.
 */
function vgaBios({ files, firmware, vga }: FwCfgConfig): string | undefined {
  const { item, file } = VGA_BIOSES[vga];
  const isGiven = Object.keys(files).some((name) =>
    name.startsWith(VGA_ROMS) || name === item
  );
  if (isGiven || firmware === undefined || firmware === "builtin") {
    return undefined;
  }
  return resolve(dirname(firmware), file);
}

/** The `fw-cfg` plugin. */
const plugin: DevicePlugin<FwCfgConfig> = {
  type: "device",
  name: "fw-cfg",
  version: "1.0.0",
  description: "QEMU's firmware configuration device, with DMA",
  config: {
    type: "object",
    properties: {
      memory: {
        format: "memory-size",
        description: "RAM from address 0 on: a size, or the memory's name",
        default: "16M",
      },
      cpus: {
        type: "integer",
        from: "cpu.count",
        description: "The number of CPUs",
        minimum: 1,
        maximum: 255,
        default: 1,
      },
      bootOrder: {
        type: "array",
        description:
          "What firmware boots from, in this order: Open Firmware paths, as " +
          '"/pci@i0cf8/ide@1,1/drive@0/disk@0"',
        items: { type: "string" },
        default: [],
      },
      menu: {
        type: "boolean",
        from: "boot.menu",
        description: "Firmware shows its boot menu",
        default: false,
      },
      menuWait: {
        type: "integer",
        description: "How long the boot menu waits for a key, in milliseconds",
        minimum: 0,
        maximum: 65535,
        default: 2500,
      },
      firmware: {
        type: "string",
        format: "path",
        words: ["builtin"],
        from: "boot.firmware",
        description:
          "The firmware's image: vgabios-*.bin beside it is for the VGA",
      },
      vga: {
        enum: ["isa", "pci"],
        description: "The bus of the VGA: which BIOS it gets",
        default: "isa",
      },
      files: {
        type: "object",
        description: 'Files by name, as "opt/org.example/setting"',
        default: {},
        additionalProperties: {
          type: "object",
          properties: {
            text: { type: "string", description: "What is in it" },
            path: {
              type: "string",
              format: "path",
              description: "The file whose content it has",
            },
          },
        },
      },
    },
  },
  regions: {
    registers: { space: "ports", size: 2, at: 0x510 },
    dma: { space: "ports", size: 8, at: 0x514 },
    entries: {
      space: "memory",
      size: ENTRIES_BYTES,
      kind: "rom",
      movable: true,
      shadows: true,
    },
  },
  provides: ["firmware-config", "firmware-tables"],
  surveys: true,
  files(config): Record<string, FileSpec> {
    const files: Record<string, FileSpec> = {};
    for (const [name, { path }] of Object.entries(config.files)) {
      if (path !== undefined) files[name] = { path };
    }
    const path = vgaBios(config);
    if (path !== undefined) {
      files[VGA_BIOSES[config.vga].item] = { path, optional: true };
    }
    return files;
  },
  create: (config, context) => new FwCfg(config, context),
};
export default plugin;
