/**
 * A PCI function: its configuration space, what its base address registers
 * map, and how it interrupts.
 *
 * A device makes one beside its own registers and keeps the function's state
 * in its own: `fresh` gives it, `adopt` makes the rest of the machine follow.
 *
 * Source: PCI Local Bus Specification 3.0, chapter 6.
 *
 * @module
 */

import type { CommonData, DeviceEvent } from "../machine/device_events.ts";
import type { DeviceContext, DmaPort } from "../machine/plugin.ts";
import type { AccessWidth, IoHandler } from "./handler.ts";
import { IrqLine } from "./irq_line.ts";
import type { RegionMover } from "./movable_region.ts";
import type { PciBar, PciConfigSpace, PciHost, PciPlace } from "./pci.ts";
import { isMessageMasked, type PciMessage } from "./pci_message.ts";
import { messageAt, tableMessage } from "./pci_message.ts";
import {
  BAR0,
  COMMAND,
  COMMAND_INTX_DISABLE,
  COMMAND_IO,
  COMMAND_MASTER,
  COMMAND_MEMORY,
  type ConfigLayout,
  configLayout,
  MSI_ENABLE,
  MSI_PENDING,
  MSIX_ENABLE,
  MSIX_FUNCTION_MASK,
  type PciBarSpec,
  type PciFunctionSpec,
  ROM_BAR,
  ROM_ENABLE,
  STATUS,
  STATUS_INTERRUPT,
} from "./pci_layout.ts";

/** The state of a function: part of its device's. */
export interface PciState {
  /** The configuration space. */
  config: Uint8Array;
  /** What the device asks of its interrupt pin. */
  intx: boolean;
  /** The MSI-X table, 16 bytes a vector. */
  msixTable: Uint8Array;
  /** The MSI-X pending bits. */
  msixPending: Uint8Array;
}

/** A function on a bus. */
export class PciFunction implements PciConfigSpace {
  /**
   * Guest memory as the function reaches it: while bus mastering is off,
   * nothing is read or written.
   */
  readonly dma: DmaPort;
  /** Answers the MSI-X table, which is somewhere in a base address region. */
  readonly msixTable: IoHandler;
  /** Answers the MSI-X pending bits. */
  readonly msixPending: IoHandler;
  readonly #message = new Uint8Array(4);
  readonly #messageView = new DataView(this.#message.buffer);
  readonly #spec: PciFunctionSpec;
  readonly #layout: ConfigLayout;
  readonly #memory: DmaPort;
  readonly #written: DeviceEvent<CommonData<"config">>;
  readonly #moved: DeviceEvent<CommonData<"map">>;
  readonly #bars: readonly { spec: PciBarSpec; mover: RegionMover }[];
  readonly #rom: RegionMover | undefined;
  readonly #line: IrqLine;
  readonly #onConfig: (offset: number, width: AccessWidth) => void;
  #state: PciState;

  /**
   * A function as after reset, attached to the bus that the context gives as
   * the collaborator `bus`. `onConfig` is called after each write to the
   * configuration space.
   */
  constructor(
    context: DeviceContext,
    place: PciPlace,
    spec: PciFunctionSpec,
    onConfig: (offset: number, width: AccessWidth) => void = () => {},
    bus: PciHost = context.collaborator<PciHost>("bus"),
  ) {
    this.#spec = spec;
    this.#layout = configLayout(spec);
    this.#memory = context.dma;
    this.#onConfig = onConfig;
    this.#written = context.event("config");
    this.#moved = context.event("map");
    this.#bars = (spec.bars ?? []).map((bar) => ({
      spec: bar,
      mover: context.mover(bar.region),
    }));
    this.#rom = spec.rom && context.mover(spec.rom.region);
    this.#state = this.fresh();
    this.dma = {
      read: (address, into) => {
        if (this.isMaster) context.dma.read(address, into);
      },
      write: (address, bytes) => {
        if (this.isMaster) context.dma.write(address, bytes);
      },
    };
    this.msixTable = {
      read: (offset, width) => little(this.#state.msixTable, offset, width),
      write: (offset, width, value) => {
        const { msixTable } = this.#state;
        for (let i = 0; i < width && offset + i < msixTable.length; i++) {
          msixTable[offset + i] = value >>> 8 * i;
        }
        this.#sendPending();
      },
    };
    this.msixPending = {
      read: (offset, width) => little(this.#state.msixPending, offset, width),
      write: () => {},
    };
    const pin = spec.interruptPin ?? 0;
    const receiver = bus.attach(context.name, place, this);
    this.#line = pin === 0 ? new IrqLine() : new IrqLine(receiver(pin - 1));
  }

  /** The state after reset. */
  fresh(): PciState {
    const vectors = this.#spec.msix?.vectors ?? 0;
    const msixTable = new Uint8Array(vectors * 16);
    for (let i = 0; i < vectors; i++) msixTable[i * 16 + 12] = 1;
    return {
      config: this.#layout.reset.slice(),
      intx: false,
      msixTable,
      msixPending: new Uint8Array(Math.ceil(vectors / 64) * 8),
    };
  }

  /** Go on from this state: maps what it maps and drives the pin. */
  adopt(state: PciState): void {
    this.#state = state;
    this.#refresh();
  }

  /** Whether the guest has switched bus mastering on. */
  get isMaster(): boolean {
    return (this.#state.config[COMMAND] & COMMAND_MASTER) !== 0;
  }

  /** How the guest wants to be interrupted. */
  get interrupts(): "intx" | "msi" | "msix" {
    const { msi, msix } = this.#spec;
    const { config } = this.#state;
    if (msix !== undefined && (config[msix.offset + 3] & MSIX_ENABLE) !== 0) {
      return "msix";
    }
    return msi !== undefined && (config[msi.offset + 2] & MSI_ENABLE) !== 0
      ? "msi"
      : "intx";
  }

  /** The byte of configuration space at `offset`, 0 to 255. */
  byte(offset: number): number {
    return this.#state.config[offset];
  }

  /** The little-endian word of 32 bits at `offset`. */
  dword(offset: number): number {
    return little(this.#state.config, offset, 4);
  }

  /** Set a byte of configuration space, read-only bits and all. */
  setByte(offset: number, value: number): void {
    this.#state.config[offset] = value;
  }

  /** The level that the device asks of its interrupt pin. */
  setIntx(level: boolean): void {
    this.#state.intx = level;
    this.#driveLine();
  }

  /**
   * Interrupt by the message of a vector, counted from 0. Does nothing where
   * the guest uses the pin (`interrupts`).
   */
  notify(vector: number): void {
    const { msix } = this.#spec;
    const { config, msixPending } = this.#state;
    switch (this.interrupts) {
      case "msix":
        if (vector >= msix!.vectors) return;
        msixPending[vector >> 3] |= 1 << (vector & 7);
        break;
      case "msi": {
        const pending = this.#spec.msi!.offset + MSI_PENDING;
        const { count } = messageAt(config, this.#spec.msi!, 0);
        const low = vector % count;
        config[pending + (low >> 3)] |= 1 << (low & 7);
        break;
      }
      default:
        return;
    }
    this.#sendPending();
  }

  /** Read the configuration space. */
  readConfig(offset: number, width: AccessWidth): number {
    return little(this.#state.config, offset, width);
  }

  /** Write the configuration space. */
  writeConfig(offset: number, width: AccessWidth, value: number): void {
    const { config } = this.#state;
    const { writable, cleared } = this.#layout;
    for (let i = 0; i < width && offset + i < config.length; i++) {
      const at = offset + i;
      const byte = value >>> 8 * i & 0xff;
      config[at] = (config[at] & ~writable[at] | byte & writable[at]) &
        ~(byte & cleared[at]);
    }
    if (this.#written.isHeard) this.#written.tell({ offset, width, value });
    this.#refresh();
    this.#onConfig(offset, width);
  }

  /** See `PciConfigSpace.bars`. */
  bars(): readonly PciBar[] {
    const all: PciBar[] = this.#bars.map(({ spec }) => ({
      index: spec.index,
      kind: spec.kind,
      size: spec.size,
      prefetchable: spec.prefetchable === true,
      address: this.#baseOf(spec),
    }));
    const { rom } = this.#spec;
    if (rom === undefined) return all;
    const register = this.dword(ROM_BAR);
    all.push({
      index: 6,
      kind: "memory",
      size: rom.size,
      prefetchable: false,
      address: (register & ROM_ENABLE) === 0
        ? undefined
        : register - (register & 0x7ff),
    });
    return all;
  }

  /** The address in a base address register. */
  #baseOf({ index, kind }: PciBarSpec): number {
    const at = BAR0 + 4 * index;
    const low = this.dword(at);
    if (kind === "io") return low - (low & 3);
    return low - (low & 15) +
      (kind === "memory64" ? this.dword(at + 4) * 2 ** 32 : 0);
  }

  /** Bring the mappings, the pin and messages in line with the state. */
  #refresh(): void {
    const command = this.#state.config[COMMAND];
    for (const { spec, mover } of this.#bars) {
      const isIo = spec.kind === "io";
      const base = this.#baseOf(spec);
      // A base of 0 is what reset leaves: the guest has not placed it.
      const enable = isIo ? COMMAND_IO : COMMAND_MEMORY;
      const isOn = (command & enable) !== 0 && base !== 0;
      this.#place(mover, spec.region, isOn ? base : undefined);
    }
    const rom = this.dword(ROM_BAR);
    const base = rom - (rom & 0x7ff);
    const isOn = (command & COMMAND_MEMORY) !== 0 && (rom & ROM_ENABLE) !== 0;
    if (this.#rom !== undefined) {
      const at = isOn && base !== 0 ? base : undefined;
      this.#place(this.#rom, this.#spec.rom!.region, at);
    }
    this.#driveLine();
    this.#sendPending();
  }

  /** Have a region at an address, or nowhere. */
  #place(mover: RegionMover, region: string, base: number | undefined): void {
    const before = mover.base;
    if (base !== undefined) mover.map(base);
    else mover.unmap();
    if (!this.#moved.isHeard || mover.base === before) return;
    this.#moved.tell({ region, address: mover.base ?? -1 });
  }

  #driveLine(): void {
    const { config, intx } = this.#state;
    config[STATUS] = config[STATUS] & ~STATUS_INTERRUPT |
      (intx ? STATUS_INTERRUPT : 0);
    const isOff = (config[COMMAND + 1] & COMMAND_INTX_DISABLE) !== 0;
    this.#line.set(intx && !isOff && this.interrupts === "intx");
  }

  /** Send the messages that are due and not masked. */
  #sendPending(): void {
    const { msi, msix } = this.#spec;
    const { config, msixTable, msixPending } = this.#state;
    switch (this.interrupts) {
      case "msix": {
        if ((config[msix!.offset + 3] & MSIX_FUNCTION_MASK) !== 0) return;
        for (let vector = 0; vector < msix!.vectors; vector++) {
          const bit = 1 << (vector & 7);
          if ((msixPending[vector >> 3] & bit) === 0) continue;
          if ((msixTable[vector * 16 + 12] & 1) !== 0) continue;
          msixPending[vector >> 3] &= ~bit;
          this.#send(tableMessage(msixTable, vector));
        }
        return;
      }
      case "msi":
        for (let vector = 0; vector < msi!.vectors; vector++) {
          const at = msi!.offset + MSI_PENDING + (vector >> 3);
          const bit = 1 << (vector & 7);
          if ((config[at] & bit) === 0) continue;
          if (isMessageMasked(config, msi!, vector)) continue;
          config[at] &= ~bit;
          this.#send(messageAt(config, msi!, vector));
        }
    }
  }

  /** A message is a write by the bus master. */
  #send({ address, data }: PciMessage): void {
    if (!this.isMaster) return;
    this.#messageView.setUint32(0, data, true);
    this.#memory.write(address, this.#message);
  }
}

/** `width` bytes at `offset`; 0 for what is beyond the end. */
function little(bytes: Uint8Array, offset: number, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i++) {
    value += (bytes[offset + i] ?? 0) * 2 ** (8 * i);
  }
  return value;
}
