/**
 * The VGA: its registers, and what it shows for displays. Plugins put it on a
 * bus: `vga.ts` on ISA, `vga_pci.ts` on PCI.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video subsystem"; FreeVGA;
 * Cirrus Logic CL-GD542X Technical Reference Manual, "VGA core". The memory is
 * in `vga_memory.ts`, what follows from the CRT controller in `vga_crtc.ts`, the
 * Bochs VBE in `vbe.ts`, what the monitor shows in `vga_picture.ts`.
 *
 * Nothing ticks: the retrace is a function of virtual time, and a display hears
 * of the first change after it has looked. Nothing is drawn, and no store to the
 * frame buffer is watched, before somebody looks at the picture; a timer runs
 * only while somebody watches a picture in which something blinks. There is no
 * vertical interrupt.
 *
 * @module
 */

import { Canvas } from "../../../core/backend/canvas.ts";
import type { DeviceEvent } from "../../../core/machine/device_events.ts";
import type {
  Picture,
  PictureSource,
  TextScreen,
  TextSource,
} from "../../../core/backend/display.ts";
import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";
import {
  ConfigError,
  type DeviceContext,
  type DeviceDeclaration,
  type RegionMemory,
} from "../../../core/machine/plugin.ts";
import type { ConfigSchema } from "../../../core/machine/schema_types.ts";
import type { Clock, Timer } from "../../../core/time/clock.ts";
import {
  hasWideDac,
  keepRegisters,
  makeDispiValid,
  readDispi,
  writeDispi,
} from "./vbe.ts";
import { beamStatus, modeOf, textScreen, type VgaMode } from "./vga_crtc.ts";
import { readVram, writeVram } from "./vga_memory.ts";
import { VgaPainter } from "./vga_picture.ts";
import {
  blankState,
  clearText,
  makeNumbersValid,
  mode3State,
  PLANE_BYTES,
  type VgaState,
  type VideoMemory,
  videoMemory,
} from "./vga_state.ts";

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

/** The picture before the first one. */
const FIRST_WIDTH = 720;
const FIRST_HEIGHT = 400;

/** Bochs VBE: the index at 1CEh, the data at 1CFh, and at 1D0h too. */
const DISPI_INDEX = 0;
const DISPI_DATA = 1;
const DISPI_DATA_HIGH = 2;

/** Configuration of a VGA on any bus. */
export interface VgaConfig {
  /** Power-on leaves the registers clear, for firmware to set. */
  readonly blank: boolean;
  /** Size of the frame buffer in bytes. */
  readonly memory: number;
}

/** The schema of `VgaConfig`. */
export const VGA_SCHEMA: Readonly<Record<string, ConfigSchema>> = {
  blank: {
    type: "boolean",
    description: "Power-on leaves the registers clear, for firmware to set",
    default: false,
  },
  memory: {
    format: "size",
    description: "Size of the frame buffer: a power of two, 1M to 256M",
    minimum: 1024 * 1024,
    maximum: 256 * 1024 * 1024,
    default: 16 * 1024 * 1024,
  },
};

/** The regions of a VGA on any bus. */
export function vgaRegions(
  { memory }: VgaConfig,
): NonNullable<DeviceDeclaration["regions"]> {
  if (!Number.isInteger(Math.log2(memory))) {
    throw new ConfigError("memory", "expected a power of two");
  }
  return {
    window: { space: "memory", size: 0x20000, at: 0xa0000 },
    mono: { space: "ports", size: 8, at: 0x3b4 },
    registers: { space: "ports", size: 16, at: 0x3c0 },
    colour: { space: "ports", size: 8, at: 0x3d4 },
    dispi: { space: "ports", size: 4, at: 0x1ce, optional: true },
    framebuffer: { space: "memory", size: memory, kind: "ram", movable: true },
  };
}

/** A VGA. */
export class VgaCore implements TextSource, PictureSource {
  readonly #clock: Clock;
  readonly #isBlank: boolean;
  readonly #region: RegionMemory;
  readonly #memory: VideoMemory;
  readonly #canvas = new Canvas(FIRST_WIDTH, FIRST_HEIGHT);
  readonly #painter: VgaPainter;
  readonly #blink: Timer;
  readonly #mode: DeviceEvent<VgaMode>;
  /** The mode that was told last. */
  #told = "";
  #state: VgaState;
  #changed: (() => void) | undefined;
  #watchers: (() => void)[] = [];
  /** The canvas is not what is to be seen. */
  #isStale = true;
  /** When the canvas becomes stale by itself. */
  #staleAt = Infinity;

  /** A VGA after power-on, which answers the regions of `vgaRegions`. */
  constructor(config: VgaConfig, context: DeviceContext) {
    this.#mode = context.event("mode");
    this.#clock = context.clock;
    this.#isBlank = config.blank;
    this.#region = context.memory("framebuffer");
    this.#memory = videoMemory(this.#region.bytes);
    this.#painter = new VgaPainter(this.#memory, this.#canvas);
    this.#blink = context.clock.timer(() => this.touch(), "viewers");
    this.#state = this.fresh();
    this.reset();
    context.io("window", {
      widths: [1],
      read: (offset) => readVram(this.#state, this.#memory, offset),
      write: (offset, _width, value) => {
        if (writeVram(this.#state, this.#memory, offset, value)) this.touch();
      },
    });
    context.io("registers", {
      widths: [1],
      read: (port) => this.#read(port),
      write: (port, _width, value) => this.#write(port, value),
    });
    context.io("mono", this.#crtcAt(0));
    context.io("colour", this.#crtcAt(MISC_COLOUR));
    context.io("dispi", {
      widths: [1, 2],
      read: (port, width) => this.#readDispiPort(port, width),
      write: (port, width, value) => this.#writeDispiPort(port, width, value),
    });
    const display = context.display("display");
    display?.text?.(this);
    display?.picture?.(this);
  }

  /** The CRT controller where the miscellaneous output says that it is. */
  #crtcAt(place: number): IoHandler {
    const isHere = (): boolean =>
      this.#state.enabled && (this.#state.misc & MISC_COLOUR) === place;
    return {
      widths: [1],
      read: (port) => isHere() ? this.#readCrtc(port) : 0xff,
      write: (port, _width, value) => {
        if (isHere()) this.#writeCrtc(port, value);
      },
    };
  }

  /** Read a port from 3C0h on, by its offset from that, as far as 3DFh. */
  readPort(port: number): number {
    if (port < 0x10) return this.#read(port);
    return port < 0x14 ? 0xff : this.#readCrtc(port - 0x14);
  }

  /** Write a port from 3C0h on. */
  writePort(port: number, value: number): void {
    if (port < 0x10) this.#write(port, value);
    else if (port >= 0x14) this.#writeCrtc(port - 0x14, value);
  }

  /** Read a register of the Bochs VBE. */
  readVbe(index: number): number {
    return readDispi(this.#state, index, this.#memory.bytes.length);
  }

  /** Write a register of the Bochs VBE. */
  writeVbe(index: number, value: number): void {
    writeDispi(this.#state, this.#memory.bytes, index, value);
    this.#tellMode();
    this.touch();
  }

  #readDispiPort(port: number, width: AccessWidth): number {
    const { dispiIndex } = this.#state;
    switch (port) {
      case DISPI_INDEX:
        return dispiIndex;
      case DISPI_DATA:
        return this.readVbe(dispiIndex) & 0xff;
      case DISPI_DATA_HIGH:
        // Of 1CFh it is the high byte, but whoever reads both has a port here.
        return width === 2
          ? this.readVbe(dispiIndex)
          : this.readVbe(dispiIndex) >> 8;
      default:
        return 0xff;
    }
  }

  /** A word for 1CFh comes in two bytes, for the port is odd. */
  #writeDispiPort(port: number, width: AccessWidth, value: number): void {
    const s = this.#state;
    switch (port) {
      case DISPI_INDEX:
        s.dispiIndex = value;
        break;
      case DISPI_DATA:
        s.dispiLow = value;
        break;
      case DISPI_DATA_HIGH:
        this.writeVbe(
          s.dispiIndex,
          width === 2 ? value : s.dispiLow | value << 8,
        );
    }
  }

  /** What it shows. */
  text(): TextScreen | undefined {
    return textScreen(this.#state, this.#memory);
  }

  /** Call `changed` at the next change, once. */
  watch(changed: () => void): void {
    this.#changed = changed;
  }

  /** The picture; drawn when something may have changed. */
  look(since: number): Picture {
    const now = this.#clock.now();
    if (this.#isStale || now >= this.#staleAt) {
      // Stores while it is drawn would be seen the next time.
      this.#isStale = !this.#region.watch(() => this.touch());
      this.#painter.paint(this.#state, now);
      this.#staleAt = this.#painter.nextBlink(now);
    }
    return this.#canvas.picture(since);
  }

  /** Call `changed` at the next change of the picture, once. */
  watchPicture(changed: () => void): void {
    this.#watchers.push(changed);
    const next = this.#painter.nextBlink(this.#clock.now());
    if (next !== Infinity) this.#blink.arm(next);
  }

  /** What is to be seen has changed, or may have; so when the frame buffer moves. */
  touch(): void {
    this.#isStale = true;
    if (this.#changed !== undefined) {
      const changed = this.#changed;
      this.#changed = undefined;
      changed();
    }
    if (this.#watchers.length === 0) return;
    const watchers = this.#watchers;
    this.#watchers = [];
    this.#blink.cancel();
    for (const changed of watchers) changed();
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
      return this.touch();
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
        keepRegisters(s);
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
        this.#writeDac(hasWideDac(s) ? value : value & 0x3f);
        break;
      case GRAPHICS_ADDRESS:
        s.gfxIndex = value & 15;
        break;
      case GRAPHICS_DATA:
        s.gfx[s.gfxIndex] = value & GRAPHICS_BITS[s.gfxIndex];
        keepRegisters(s);
        break;
    }
    this.#tellMode();
    this.touch();
  }

  /** Tells of the mode, if somebody hears of it and it is another. */
  #tellMode(): void {
    if (!this.#mode.isHeard) return;
    const mode = modeOf(this.#state);
    const { content, width, height, depth } = mode;
    const told = `${content} ${width} ${height} ${depth}`;
    if (told === this.#told) return;
    this.#told = told;
    this.#mode.tell(mode);
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
        keepRegisters(s);
        this.#tellMode();
        return this.touch();
      case STATUS_1:
        s.feature = value & 3;
        return;
    }
  }

  /** The state at power-on. */
  fresh(): VgaState {
    return this.#isBlank ? blankState() : mode3State();
  }

  /** The state. */
  get state(): VgaState {
    return this.#state;
  }

  /** Go on from this state; of a record, what cannot be is mended. */
  adopt(state: VgaState): void {
    makeNumbersValid(state);
    makeDispiValid(state, this.#memory.bytes.length);
    this.#state = state;
    this.touch();
  }

  /** Power-on; without the configuration `blank` mode 3 is set. */
  reset(): void {
    if (this.#isBlank) this.#memory.words.fill(0, 0, PLANE_BYTES);
    else clearText(this.#memory);
    this.adopt(this.fresh());
  }
}
