/**
 * The VGA: its registers, and its text screen for a display.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video subsystem"; FreeVGA;
 * Cirrus Logic CL-GD542X Technical Reference Manual, "VGA core". The memory is
 * in `vga_memory.ts`, what follows from the CRT controller in `vga_crtc.ts`.
 *
 * Nothing ticks: the retrace is a function of virtual time, and a display hears
 * of the first change after it has looked. There is no vertical interrupt.
 *
 * @module
 */

import type { TextScreen, TextSource } from "../../../core/backend/display.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { beamStatus, textScreen } from "./vga_crtc.ts";
import { readVram, writeVram } from "./vga_memory.ts";
import { blankState, mode3State, type VgaState } from "./vga_state.ts";

/** Ports, by the low four bits: 3C0h to 3CFh. */
const ATTRIBUTE_ADDRESS = 0x0;
const ATTRIBUTE_READ = 0x1;
/** Written it is the miscellaneous output, read input status 0. */
const MISC_WRITE = 0x2;
const VIDEO_ENABLE = 0x3;
const SEQUENCER_ADDRESS = 0x4;
const SEQUENCER_DATA = 0x5;
const PEL_MASK = 0x6;
/** Written it is the read address, read the state. */
const DAC_READ_ADDRESS = 0x7;
const DAC_WRITE_ADDRESS = 0x8;
const DAC_DATA = 0x9;
const FEATURE_READ = 0xa;
const MISC_READ = 0xc;
const GRAPHICS_ADDRESS = 0xe;
const GRAPHICS_DATA = 0xf;

/** Ports at 3B4h or 3D4h. */
const CRTC_ADDRESS = 0;
const CRTC_DATA = 1;
/** Written it is feature control, read input status 1. */
const STATUS_1 = 6;

/** Miscellaneous output: the CRT controller is at 3D4h. */
const MISC_COLOUR = 0x01;
/** Input status 0: the switch that is sensed is open: a colour monitor. */
const STATUS_0 = 0x10;
/** CR11: CR0 to CR7 cannot be written, but for one bit. */
const CR11_PROTECT = 0x80;
const CR7_LINE_COMPARE = 0x10;

/** Bits that the registers have. */
const SEQUENCER_BITS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e] as const;
const GRAPHICS_BITS = [
  ...[0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff],
] as const;
/** Of AR10 to AR14; the palette before them has six. */
const ATTRIBUTE_BITS = [0xef, 0xff, 0x3f, 0x0f, 0x0f] as const;
const MISC_BITS = 0xef;

/** Configuration of the device. */
export interface VgaConfig {
  /** Power-on leaves the registers clear, for firmware to set. */
  readonly blank: boolean;
}

/** A VGA. */
export class Vga implements Device, TextSource {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #fresh: () => VgaState;
  #state: VgaState;
  /** The planes' bytes at each address as one word. */
  #words: Uint32Array;
  #changed: (() => void) | undefined;

  /** A VGA after power-on. */
  constructor(config: VgaConfig, context: DeviceContext) {
    this.#name = context.name;
    this.#clock = context.clock;
    this.#fresh = config.blank ? blankState : mode3State;
    this.#state = this.#fresh();
    this.#words = new Uint32Array(this.#state.vram.buffer);
    context.io("window", {
      widths: [1],
      read: (offset) => readVram(this.#state, this.#words, offset),
      write: (offset, _width, value) => {
        if (writeVram(this.#state, this.#words, offset, value)) this.#touch();
      },
    });
    context.io("registers", {
      widths: [1],
      read: (port) => this.#read(port),
      write: (port, _width, value) => this.#write(port, value),
    });
    for (const [region, colour] of [["mono", 0], ["colour", 1]] as const) {
      const decoded = (): boolean =>
        this.#state.enabled && (this.#state.misc & MISC_COLOUR) === colour;
      context.io(region, {
        widths: [1],
        read: (port) => decoded() ? this.#readCrtc(port) : 0xff,
        write: (port, _width, value) => {
          if (decoded()) this.#writeCrtc(port, value);
        },
      });
    }
    context.display("display")?.text?.(this);
  }

  /** What it shows. */
  text(): TextScreen | undefined {
    return this.#state.enabled ? textScreen(this.#state) : undefined;
  }

  /** Call `changed` at the next change, once. */
  watch(changed: () => void): void {
    this.#changed = changed;
  }

  #touch(): void {
    if (this.#changed === undefined) return;
    const changed = this.#changed;
    this.#changed = undefined;
    changed();
  }

  #read(port: number): number {
    const s = this.#state;
    if (port === VIDEO_ENABLE) return s.enabled ? 1 : 0;
    if (!s.enabled) return 0xff;
    switch (port) {
      case ATTRIBUTE_ADDRESS:
        return s.attrIndex;
      case ATTRIBUTE_READ:
        return s.attr[s.attrIndex & 0x1f] ?? 0;
      case MISC_WRITE:
        return STATUS_0;
      case SEQUENCER_ADDRESS:
        return s.seqIndex;
      case SEQUENCER_DATA:
        return s.seq[s.seqIndex] ?? 0;
      case PEL_MASK:
        return s.pelMask;
      case DAC_READ_ADDRESS:
        return s.dacState;
      case DAC_WRITE_ADDRESS:
        return s.dacWrite;
      case DAC_DATA:
        return this.#readDac();
      case FEATURE_READ:
        return s.feature;
      case MISC_READ:
        return s.misc;
      case GRAPHICS_ADDRESS:
        return s.gfxIndex;
      case GRAPHICS_DATA:
        return s.gfx[s.gfxIndex] ?? 0;
      default:
        return 0xff;
    }
  }

  #write(port: number, value: number): void {
    const s = this.#state;
    if (port === VIDEO_ENABLE) {
      s.enabled = (value & 1) !== 0;
      return this.#touch();
    }
    if (!s.enabled) return;
    switch (port) {
      case ATTRIBUTE_ADDRESS:
        this.#writeAttribute(value);
        break;
      case MISC_WRITE:
        s.misc = value & MISC_BITS;
        break;
      case SEQUENCER_ADDRESS:
        s.seqIndex = value & 7;
        break;
      case SEQUENCER_DATA:
        // Out of range it is dropped, as a typed array does.
        s.seq[s.seqIndex] = value & SEQUENCER_BITS[s.seqIndex];
        break;
      case PEL_MASK:
        s.pelMask = value;
        break;
      case DAC_READ_ADDRESS:
        s.dacRead = value;
        s.dacPart = 0;
        s.dacState = 3;
        break;
      case DAC_WRITE_ADDRESS:
        s.dacWrite = value;
        s.dacPart = 0;
        s.dacState = 0;
        break;
      case DAC_DATA:
        this.#writeDac(value & 0x3f);
        break;
      case GRAPHICS_ADDRESS:
        s.gfxIndex = value & 15;
        break;
      case GRAPHICS_DATA:
        s.gfx[s.gfxIndex] = value & GRAPHICS_BITS[s.gfxIndex];
        break;
    }
    this.#touch();
  }

  #writeAttribute(value: number): void {
    const s = this.#state;
    s.attrData = !s.attrData;
    if (s.attrData) {
      s.attrIndex = value & 0x3f;
      return;
    }
    const index = s.attrIndex & 0x1f;
    s.attr[index] = value & (index < 16 ? 0x3f : ATTRIBUTE_BITS[index - 16]);
  }

  #readDac(): number {
    const s = this.#state;
    const value = s.dac[3 * s.dacRead + s.dacPart++];
    if (s.dacPart === 3) {
      s.dacPart = 0;
      s.dacRead = s.dacRead + 1 & 0xff;
    }
    return value;
  }

  /** A colour changes when all of it is there. */
  #writeDac(value: number): void {
    const s = this.#state;
    if (s.dacPart < 2) {
      s.dacHeld[s.dacPart++] = value;
      return;
    }
    s.dac.set([...s.dacHeld, value], 3 * s.dacWrite);
    s.dacPart = 0;
    s.dacWrite = s.dacWrite + 1 & 0xff;
  }

  #readCrtc(port: number): number {
    const s = this.#state;
    switch (port) {
      case CRTC_ADDRESS:
        return s.crtcIndex;
      case CRTC_DATA:
        return s.crtc[s.crtcIndex] ?? 0;
      case STATUS_1:
        s.attrData = false;
        return beamStatus(s, this.#clock.now());
      default:
        return 0xff;
    }
  }

  #writeCrtc(port: number, value: number): void {
    const s = this.#state;
    switch (port) {
      case CRTC_ADDRESS:
        s.crtcIndex = value & 0x3f;
        return;
      case CRTC_DATA:
        if (s.crtcIndex > 7 || (s.crtc[0x11] & CR11_PROTECT) === 0) {
          s.crtc[s.crtcIndex] = value;
        } else if (s.crtcIndex === 7) {
          s.crtc[7] = s.crtc[7] & ~CR7_LINE_COMPARE | value & CR7_LINE_COMPARE;
        }
        return this.#touch();
      case STATUS_1:
        s.feature = value & 3;
        return;
    }
  }

  #set(state: VgaState): void {
    this.#state = state;
    this.#words = new Uint32Array(state.vram.buffer);
    this.#touch();
  }

  /** Power-on; with the configuration `blank` false, and mode 3 set. */
  reset(): void {
    this.#set(this.#fresh());
  }

  /** The registers and the memory. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The registers and the memory. */
  load(record: StateRecord): void {
    this.#set(loadState(blankState(), record, this.#name));
  }
}

/** The `vga` plugin. */
const plugin: DevicePlugin<VgaConfig> = {
  type: "device",
  name: "vga",
  version: "1.0.0",
  description: "A VGA; displays show its text modes",
  config: {
    type: "object",
    properties: {
      blank: {
        type: "boolean",
        description: "Power-on leaves the registers clear, for firmware to set",
        default: false,
      },
    },
  },
  regions: {
    window: { space: "memory", size: 0x20000, at: 0xa0000 },
    mono: { space: "ports", size: 8, at: 0x3b4 },
    registers: { space: "ports", size: 16, at: 0x3c0 },
    colour: { space: "ports", size: 8, at: 0x3d4 },
  },
  backends: { display: { type: "display", optional: true } },
  provides: ["text-source"],
  create: (config, context) => new Vga(config, context),
};
export default plugin;
