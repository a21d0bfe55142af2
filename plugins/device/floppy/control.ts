/**
 * The commands without data: seeks, status and settings. Intel 82077AA
 * (290166), "Control commands".
 *
 * @module
 */

import type { Clock } from "../../../core/time/clock.ts";
import { type CommandName, DIR } from "./commands.ts";
import type { FloppyDrive } from "./drive.ts";
import {
  CONFIG_EFIFO,
  CONFIG_EIS,
  CONFIG_FIFOTHR,
  DRATE,
  ST0_ABNORMAL,
  ST0_EC,
  ST0_INVALID,
  ST0_SE,
  ST3_ONES,
  ST3_T0,
  ST3_WP,
} from "./registers.ts";
import { type FdcState, NOTHING, type UnitState } from "./state.ts";
import { OVERHEAD, seekTime } from "./timing.ts";

/** VERSION: an enhanced controller. */
const ENHANCED = 0x90;
/** LOCK: its bit in the command, the result and DUMPREG. */
const LOCK = 0x80;
const LOCK_RESULT = 0x10;
/** PERPENDICULAR MODE: the drives' bits are to be set. */
const OW = 0x80;
/** PERPENDICULAR MODE: drives 0 to 3, and GAP and WGATE. */
const PERPENDICULAR_DRIVES = 0x3c;
const GAP_WGATE = 0x03;
/** CONFIGURE: the bits that there are. */
const CONFIG_BITS = 0x7f;
/** RECALIBRATE gives up after so many steps. */
const RECALIBRATE_STEPS = 79;

/** What the commands need of their controller. */
export interface ControlHost {
  /** Virtual time. */
  readonly clock: Clock;
  /** The controller's state. */
  readonly state: FdcState;
  /** A drive that is there. */
  drive(unit: number): FloppyDrive | undefined;
}

/** The commands without data. */
export class ControlCommands {
  readonly #host: ControlHost;

  /** The commands of a controller. */
  constructor(host: ControlHost) {
    this.#host = host;
  }

  /** Carry out the command in the FIFO; gives back its result, if any. */
  execute(name: CommandName): readonly number[] {
    const { state } = this.#host;
    const { fifo, units, specify } = state;
    const index = fifo[1] & 3;
    const unit = units[index];
    switch (name) {
      case "SPECIFY":
        state.specify = [fifo[1], fifo[2]];
        return [];
      case "SENSE DRIVE STATUS":
        return [this.#st3(fifo[1] & 7)];
      case "SENSE INTERRUPT STATUS":
        return this.#sense();
      case "RECALIBRATE":
        this.#recalibrate(unit, index);
        return [];
      case "SEEK": {
        const steps = fifo[2] - unit.pcn;
        unit.pcn = fifo[2];
        this.#seek(unit, index, steps);
        return [];
      }
      case "RELATIVE SEEK": {
        const steps = (fifo[0] & DIR) !== 0 ? fifo[2] : -fifo[2];
        // EC: it "caused the 82077AA to step outward beyond track 0".
        const beyond = unit.head + steps < 0;
        unit.pcn = unit.pcn + steps & 0xff;
        this.#seek(unit, index, steps);
        if (beyond) unit.outcome |= ST0_ABNORMAL | ST0_EC;
        return [];
      }
      case "VERSION":
        return [ENHANCED];
      case "CONFIGURE":
        state.config = fifo[2] & CONFIG_BITS;
        state.pretrk = fifo[3];
        return [];
      case "PERPENDICULAR MODE": {
        const drives = (fifo[1] & OW) !== 0 ? fifo[1] : state.perpendicular;
        state.perpendicular = drives & PERPENDICULAR_DRIVES |
          fifo[1] & GAP_WGATE;
        return [];
      }
      case "LOCK":
        state.locked = (fifo[0] & LOCK) !== 0;
        return [state.locked ? LOCK_RESULT : 0];
      case "DUMPREG":
        return [
          ...units.map(({ pcn }) => pcn),
          ...specify,
          state.lastSector,
          (state.locked ? LOCK : 0) | state.perpendicular,
          state.config,
          state.pretrk,
        ];
      default:
        return [ST0_INVALID];
    }
  }

  /** A reset by software: what LOCK keeps, and what it does not. */
  softReset(): void {
    const { state } = this.#host;
    state.config = state.locked
      ? state.config & (CONFIG_EFIFO | CONFIG_FIFOTHR)
      : CONFIG_EFIFO;
    if (!state.locked) state.pretrk = 0;
    state.perpendicular &= ~GAP_WGATE;
  }

  /**
   * The seek that CONFIGURE may put before a command with data: bits of ST0
   * and the time it takes.
   */
  seekFirst(index: number, cylinder: number): { st0: number; time: number } {
    const { state } = this.#host;
    const unit = state.units[index];
    if ((state.config & CONFIG_EIS) === 0 || unit.pcn === cylinder) {
      return { st0: 0, time: OVERHEAD };
    }
    const steps = cylinder - unit.pcn;
    unit.pcn = cylinder;
    this.#step(unit, index, steps);
    return { st0: ST0_SE, time: this.#seekTime(Math.abs(steps)) };
  }

  #seekTime(steps: number): number {
    const { dsr, specify } = this.#host.state;
    return seekTime(steps, specify[0], dsr & DRATE);
  }

  /** Step pulses; the head stops at either end. */
  #step(unit: UnitState, index: number, steps: number): void {
    const { state } = this.#host;
    const drive = this.#host.drive(index);
    if (steps === 0 || drive === undefined) return;
    state.inwards = steps > 0;
    unit.head = Math.max(0, Math.min(drive.lastStop, unit.head + steps));
    // The first pulse clears DSKCHG if there is a disk to be seen.
    if (drive.format !== undefined) unit.changed = false;
  }

  #seek(unit: UnitState, index: number, steps: number): void {
    this.#step(unit, index, steps);
    this.#end(unit, ST0_SE | index, Math.abs(steps));
  }

  #recalibrate(unit: UnitState, index: number): void {
    const drive = this.#host.drive(index);
    const wanted = drive === undefined ? RECALIBRATE_STEPS : unit.head;
    const steps = Math.min(wanted, RECALIBRATE_STEPS);
    this.#step(unit, index, -steps);
    unit.pcn = 0;
    const found = drive !== undefined && unit.head === 0;
    const bad = found ? 0 : ST0_ABNORMAL | ST0_EC;
    this.#end(unit, ST0_SE | bad | index, steps);
  }

  /** A seek goes on by itself, and another command may be given. */
  #end(unit: UnitState, st0: number, steps: number): void {
    unit.ended = NOTHING;
    unit.outcome = st0;
    unit.seeking = this.#host.clock.now() + this.#seekTime(steps);
  }

  /** Seeks' ends before what a reset has left. */
  #sense(): readonly number[] {
    const { state } = this.#host;
    const { units } = state;
    const sought = units.find(({ ended }) =>
      ended !== NOTHING && (ended & ST0_SE) !== 0
    );
    const unit = sought ?? units.find(({ ended }) => ended !== NOTHING);
    if (unit === undefined) return [ST0_INVALID];
    const st0 = unit.ended;
    unit.ended = NOTHING;
    return [st0, unit.pcn];
  }

  #st3(place: number): number {
    const index = place & 3;
    const drive = this.#host.drive(index);
    if (drive === undefined) return ST3_ONES | place;
    const atTrack0 = this.#host.state.units[index].head === 0;
    return (drive.writeProtected ? ST3_WP : 0) | (atTrack0 ? ST3_T0 : 0) |
      ST3_ONES | place;
  }
}
