/**
 * The DMA controllers of an AT: two 8237A, of which DMA1 (channels 0 to 3,
 * bytes) hangs on channel 4 of DMA2 (channels 4 to 7, words), and the page
 * registers.
 *
 * Datasheet: Intel 8237A (231466); the cascade, the page registers and the
 * addresses of words as in the IBM AT Technical Reference, "System board,
 * direct memory access"; reads of the mask register as in the 82371SB (PIIX3,
 * 290550).
 *
 * An address has 24 bits: the page register's eight and the 16 that the 8237
 * counts, without a carry between them. On channels 5 to 7 the lowest bit of
 * the page is left out and the 16 bits count words.
 *
 * A transfer takes no time. So single, block and demand mode do the same, and
 * priorities cannot be told apart. A request by software runs to its terminal
 * count at once with nobody at the other end: memory gets what floats on the
 * bus, all ones. Memory-to-memory transfers are left out, as in the PIIX3: an
 * AT has no page register for their two addresses.
 *
 * After power-on channel 4 is in cascade mode and not masked, as firmware
 * leaves it: machines here may start without firmware.
 *
 * @module
 */

import type { IoHandler } from "../../../core/bus/handler.ts";
import type { IsaDma, IsaDmaChannel } from "../../../core/bus/isa_dma.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  DmaPort,
  Logger,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";

/** Ports of DMA1 and, every other one, of DMA2; of the page registers. */
const DMA1_PORTS = 16;
const DMA2_PORTS = 32;
const PAGE_PORTS = 16;

/** Registers beyond the eight of addresses and counts ("Figure 6"). */
const COMMAND_STATUS = 8;
const REQUEST = 9;
const SINGLE_MASK = 10;
const MODE = 11;
const CLEAR_POINTER = 12;
const MASTER_CLEAR = 13;
const CLEAR_MASK = 14;
const ALL_MASK = 15;

/** Command register: the controller is disabled. */
const COMMAND_DISABLE = 0x04;
/** Request and single mask registers: set the bit, rather than clear it. */
const SET = 0x04;
/** Mode register: the transfer's type. */
const MODE_TYPE = 0x0c;
const TYPE_WRITE = 0x04;
const TYPE_READ = 0x08;
/** Mode register: load the base registers again at the terminal count. */
const MODE_AUTOINITIALISE = 0x10;
/** Mode register: the address counts down. */
const MODE_DECREMENT = 0x20;
/** Mode register: how DREQ and transfers go together. */
const MODE_SELECT = 0xc0;
const MODE_BLOCK = 0x80;
const MODE_CASCADE = 0xc0;

/** The channel that carries the requests of DMA1. */
const CASCADE = 4;
/** The page register of each channel; that of 4 is for refresh. */
const PAGE_OF = [0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa];
/** Addresses that an 8237 counts. */
const COUNTED = 0x10000;

interface ChannelState {
  /** The address and count that autoinitialisation loads. */
  baseAddress: number;
  baseCount: number;
  /** The address, and transfers still to do less one. */
  address: number;
  count: number;
  mode: number;
}

interface ControllerState {
  channels: ChannelState[];
  command: number;
  /** A bit for each channel: masked, requested by software, at its end. */
  mask: number;
  requests: number;
  terminal: number;
  /** A bit for each channel: the level of DREQ. */
  dreq: number;
  /** The next access is of a high byte. */
  pointer: boolean;
}

interface I8237State {
  /** DMA1 and DMA2. */
  controllers: ControllerState[];
  /** The page registers, and the ports between them. */
  pages: Uint8Array;
}

function freshController(): ControllerState {
  return {
    channels: Array.from({ length: 4 }, () => ({
      baseAddress: 0,
      baseCount: 0,
      address: 0,
      count: 0,
      mode: 0,
    })),
    command: 0,
    mask: 15,
    requests: 0,
    terminal: 0,
    dreq: 0,
    pointer: false,
  };
}

function freshState(): I8237State {
  const controllers = [freshController(), freshController()];
  controllers[1].mask = 14;
  controllers[1].channels[0].mode = MODE_CASCADE;
  return { controllers, pages: new Uint8Array(PAGE_PORTS) };
}

/** "Master clear": modes, addresses and counts stay. */
function masterClear(controller: ControllerState): void {
  controller.command = 0;
  controller.requests = 0;
  controller.terminal = 0;
  controller.pointer = false;
  controller.mask = 15;
}

interface Attached {
  readonly name: string;
  readonly ready: () => void;
}

/** The DMA controllers. */
export class I8237 implements Device, IsaDma {
  #state = freshState();
  readonly #name: string;
  readonly #dma: DmaPort;
  readonly #log: Logger;
  readonly #attached = new Map<number, Attached>();

  /** Controllers in their reset state. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    this.#dma = context.dma;
    this.#log = context.log;
    context.io("dma1", this.#ports(0));
    context.io("dma2", this.#ports(1));
    context.io("page", {
      widths: [1],
      read: (offset) => this.#state.pages[offset],
      write: (offset, _width, value) => {
        this.#state.pages[offset] = value;
      },
    });
  }

  /** The registers of DMA1, or of DMA2, which ignores A0. */
  #ports(index: number): IoHandler {
    return {
      widths: [1],
      read: (offset) => this.#read(index, offset >> index),
      write: (offset, _width, value) =>
        this.#write(index, offset >> index, value),
    };
  }

  #read(index: number, register: number): number {
    const controller = this.#state.controllers[index];
    if (register < COMMAND_STATUS) {
      const channel = controller.channels[register >> 1];
      const value = (register & 1) === 0 ? channel.address : channel.count;
      const high = controller.pointer;
      controller.pointer = !high;
      return high ? value >> 8 : value & 0xff;
    }
    switch (register) {
      case COMMAND_STATUS: {
        const { terminal } = controller;
        controller.terminal = 0;
        return (controller.dreq | controller.requests) << 4 | terminal;
      }
      case ALL_MASK:
        return controller.mask;
      default:
        // The temporary register, which nothing changes, and illegal ones.
        return 0;
    }
  }

  #write(index: number, register: number, value: number): void {
    const controller = this.#state.controllers[index];
    if (register < COMMAND_STATUS) {
      const channel = controller.channels[register >> 1];
      const high = controller.pointer;
      controller.pointer = !high;
      const merge = (old: number): number =>
        high ? old & 0xff | value << 8 : old & 0xff00 | value;
      if ((register & 1) === 0) {
        channel.baseAddress = merge(channel.baseAddress);
        channel.address = channel.baseAddress;
      } else {
        channel.baseCount = merge(channel.baseCount);
        channel.count = channel.baseCount;
      }
      return;
    }
    const bit = 1 << (value & 3);
    switch (register) {
      case COMMAND_STATUS:
        controller.command = value;
        if ((value & 1) !== 0) this.#log.guest("memory-to-memory transfers");
        break;
      case REQUEST:
        if ((value & SET) === 0) controller.requests &= ~bit;
        else controller.requests |= bit;
        break;
      case SINGLE_MASK:
        if ((value & SET) === 0) controller.mask &= ~bit;
        else controller.mask |= bit;
        break;
      case MODE:
        controller.channels[value & 3].mode = value & 0xfc;
        break;
      case CLEAR_POINTER:
        controller.pointer = false;
        return;
      case MASTER_CLEAR:
        masterClear(controller);
        return;
      case CLEAR_MASK:
        controller.mask = 0;
        break;
      case ALL_MASK:
        controller.mask = value & 15;
        break;
    }
    this.#settle();
  }

  /** Whether a request on a channel gets as far as the CPU. */
  #granted(channel: number, masked: boolean): boolean {
    const { controllers } = this.#state;
    const { command, mask } = controllers[channel >> 2];
    if ((command & COMMAND_DISABLE) !== 0) return false;
    if (masked && (mask >> (channel & 3) & 1) !== 0) return false;
    if (channel >= CASCADE) return true;
    const mode = controllers[1].channels[0].mode & MODE_SELECT;
    return mode === MODE_CASCADE && this.#granted(CASCADE, true);
  }

  /** Do what a register's change lets go on. */
  #settle(): void {
    for (let channel = 0; channel < 8; channel++) {
      const controller = this.#state.controllers[channel >> 2];
      const bit = 1 << (channel & 3);
      if ((controller.requests & bit) !== 0) this.#software(channel);
      if ((controller.dreq & bit) === 0 || !this.#granted(channel, true)) {
        continue;
      }
      this.#attached.get(channel)?.ready();
    }
  }

  /** "Request register": not masked, in block mode, to the terminal count. */
  #software(channel: number): void {
    const { mode, count } = this.#of(channel);
    if ((mode & MODE_SELECT) !== MODE_BLOCK) return;
    if (!this.#granted(channel, false)) return;
    const unit = channel < CASCADE ? 1 : 2;
    const floating = new Uint8Array((count + 1) * unit).fill(0xff);
    this.#move(channel, floating, (mode & MODE_TYPE) !== TYPE_READ);
  }

  #of(channel: number): ChannelState {
    return this.#state.controllers[channel >> 2].channels[channel & 3];
  }

  /** Move bytes on a channel that may; gives back how many. */
  #move(channel: number, bytes: Uint8Array, toMemory: boolean): number {
    const state = this.#of(channel);
    const shift = channel < CASCADE ? 0 : 1;
    const count = Math.min(bytes.length >> shift, state.count + 1);
    const type = state.mode & MODE_TYPE;
    const used = type === (toMemory ? TYPE_WRITE : TYPE_READ);
    if (!used && !toMemory) bytes.fill(0xff, 0, count << shift);
    const down = (state.mode & MODE_DECREMENT) !== 0;
    const page = this.#state.pages[PAGE_OF[channel]] & (0xff & ~shift);
    for (let done = 0; used && done < count;) {
      // What lies in memory as in `bytes`: to where the address wraps.
      const run = down ? 1 : Math.min(count - done, COUNTED - state.address);
      const at = page * COUNTED + state.address * (1 << shift);
      const part = bytes.subarray(done << shift, done + run << shift);
      if (toMemory) this.#dma.write(at, part);
      else this.#dma.read(at, part);
      done += run;
      state.address = state.address + (down ? -1 : run) & 0xffff;
    }
    if (!used) {
      state.address = state.address + (down ? -count : count) & 0xffff;
    }
    state.count -= count;
    if (state.count < 0) this.#terminate(channel);
    return count << shift;
  }

  /** "EOP": the terminal count has been reached. */
  #terminate(channel: number): void {
    const controller = this.#state.controllers[channel >> 2];
    const state = this.#of(channel);
    const bit = 1 << (channel & 3);
    controller.terminal |= bit;
    controller.requests &= ~bit;
    if ((state.mode & MODE_AUTOINITIALISE) !== 0) {
      state.address = state.baseAddress;
      state.count = state.baseCount;
    } else {
      state.count = 0xffff;
      controller.mask |= bit;
    }
  }

  /** See `IsaDma`. */
  attach(name: string, channel: number, ready: () => void): IsaDmaChannel {
    const other = this.#attached.get(channel);
    if (other !== undefined) {
      throw new Error(
        `devices "${other.name}" and "${name}" are both on DMA channel ` +
          `${channel}`,
      );
    }
    if (channel === CASCADE) {
      throw new Error(`DMA channel ${channel} is the cascade`);
    }
    this.#attached.set(channel, { name, ready });
    let terminalCount = false;
    return {
      get terminalCount() {
        return terminalCount;
      },
      request: (level) => {
        const controller = this.#state.controllers[channel >> 2];
        const bit = 1 << (channel & 3);
        if (level) controller.dreq |= bit;
        else controller.dreq &= ~bit;
      },
      transfer: (bytes, toMemory) => {
        terminalCount = false;
        const { mode, count } = this.#of(channel);
        if ((mode & MODE_SELECT) === MODE_CASCADE) return 0;
        if (!this.#granted(channel, true)) return 0;
        const moved = this.#move(channel, bytes, toMemory);
        terminalCount = moved >> (channel < CASCADE ? 0 : 1) === count + 1;
        return moved;
      },
    };
  }

  /** Power-on. */
  reset(): void {
    this.#state = freshState();
  }

  /** Both controllers and the page registers. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** Both controllers and the page registers. */
  load(record: StateRecord): void {
    this.#state = loadState(freshState(), record, this.#name);
  }
}

/** The `i8237` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "i8237",
  version: "1.0.0",
  description: "The two 8237A DMA controllers of an AT and the page registers",
  regions: {
    dma1: { space: "ports", size: DMA1_PORTS, at: 0x00 },
    dma2: { space: "ports", size: DMA2_PORTS, at: 0xc0 },
    page: { space: "ports", size: PAGE_PORTS, at: 0x80 },
  },
  provides: ["isa-dma"],
  create: (_config, context) => new I8237(context),
};
export default plugin;
