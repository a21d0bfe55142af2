/**
 * The controller: its registers, phases and interrupt. Intel 82077AA (290166),
 * "Controller phases".
 *
 * @module
 */

import type { BlockBackend } from "../../../core/backend/block.ts";
import type { DeviceEvent } from "../../../core/machine/device_events.ts";
import type {
  RemovableDrive,
  RemovableMedia,
} from "../../../core/backend/removable.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type { IsaDma, IsaDmaChannel } from "../../../core/bus/isa_dma.ts";
import type {
  BootDrive,
  BootDrives,
} from "../../../core/machine/boot_drive.ts";
import type {
  Device,
  DeviceContext,
  Logger,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import type { Clock, Timer } from "../../../core/time/clock.ts";
import { commandOf } from "./commands.ts";
import { ControlCommands } from "./control.ts";
import type { FloppyDrive } from "./drive.ts";
import { bootDriveOf, removableOf } from "./host_side.ts";
import {
  CONFIG_EFIFO,
  CONFIG_FIFOTHR,
  DIR_DSKCHG,
  DOR_DMAGATE,
  DOR_MOTOR_0,
  DOR_NOT_RESET,
  DOR_SELECT,
  DRATE,
  DSR_POWER_DOWN,
  DSR_RESET,
  Register,
  ST0_INVALID,
  ST0_POLLING,
  ST0_SE,
  TDR_TAPE,
} from "./registers.ts";
import {
  type FdcState,
  freshState,
  freshTransfer,
  NEVER,
  NOTHING,
  type TransferState,
  UNITS,
} from "./state.ts";
import { isNonDma, mainStatus, statusA, statusB } from "./status.ts";
import { OVERHEAD } from "./timing.ts";
import { takesData, Transfer } from "./transfer.ts";

/** Bytes of the FIFO. */
const FIFO_BYTES = 16;
/** What the commands that read and write do. */
const TASKS = {
  "WRITE DATA": "write",
  "READ DATA": "read",
  "READ DELETED DATA": "read-deleted",
  "READ TRACK": "read-track",
  "VERIFY": "verify",
} as const;

/** The whole state. */
interface FdcRecord extends FdcState {
  transfer: TransferState;
  /** See `FloppyDrive.changes`: firmware compares it with what it has seen. */
  changes: number[];
}

/** The controller. */
export class FloppyController implements Device, BootDrives, RemovableMedia {
  /** Drives A and B. */
  readonly drives: readonly [FloppyDrive | undefined, FloppyDrive | undefined];
  /** See `RemovableMedia`. */
  readonly removable: ReadonlyMap<string, RemovableDrive>;
  #state: FdcState = freshState();
  readonly #name: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #irq: IrqLine;
  readonly #dma: IsaDmaChannel;
  readonly #transfer: Transfer;
  readonly #control: ControlCommands;
  readonly #timer: Timer;
  readonly #command: DeviceEvent<{ name: string; bytes: Uint8Array }>;

  /** A controller in its reset state, on a channel of the DMA controllers. */
  constructor(
    drives: readonly [FloppyDrive | undefined, FloppyDrive | undefined],
    channel: number,
    context: DeviceContext,
  ) {
    this.#name = context.name;
    this.#clock = context.clock;
    this.#log = context.log;
    this.#irq = context.output("irq");
    this.#command = context.event("command");
    this.drives = drives;
    this.removable = this.#removable();
    this.#dma = context.collaborator<IsaDma>("dma")
      .attach(context.name, channel, () => this.#pump());
    const state = (): FdcState => this.#state;
    this.#control = new ControlCommands({
      clock: context.clock,
      get state() {
        return state();
      },
      drive: (unit) => this.#drive(unit),
    });
    this.#transfer = new Transfer({
      clock: context.clock,
      spinning: (unit) => this.#motor(unit) ? this.#drive(unit) : undefined,
      unit: (unit) => this.#state.units[unit],
      get rate() {
        return state().dsr & DRATE;
      },
      seekFirst: (unit, cylinder) => this.#control.seekFirst(unit, cylinder),
      data: () => this.#beginData(),
      result: (bytes) => this.#result(bytes, true),
      cannot: (what) => context.log.guest(what),
    });
    this.#timer = context.clock.timer(() => this.#due());
    context.io("registers", {
      widths: [1],
      read: (offset) => this.#read(offset),
      write: (offset, _width, value) => this.#write(offset, value),
    });
    context.io("control", {
      widths: [1],
      read: () => this.#dir,
      write: (_offset, _width, value) => {
        this.#state.dsr = this.#state.dsr & ~DRATE | value & DRATE;
      },
    });
  }

  #drive(unit: number): FloppyDrive | undefined {
    return unit < this.drives.length ? this.drives[unit] : undefined;
  }

  #motor(unit: number): boolean {
    return (this.#state.dor & DOR_MOTOR_0 << unit) !== 0;
  }

  /** See `BootDrives`. */
  bootDrives(): readonly BootDrive[] {
    return this.drives.filter((drive) => drive !== undefined).map(bootDriveOf);
  }

  #removable(): Map<string, RemovableDrive> {
    const removable = new Map<string, RemovableDrive>();
    for (const [unit, drive] of this.drives.entries()) {
      if (drive === undefined) continue;
      const insert = (medium: BlockBackend | undefined): void => {
        drive.insert(medium);
        this.#state.units[unit].changed = true;
        if (this.#transfer.removed(unit)) this.#noData();
      };
      removable.set(`drive${unit}`, removableOf(drive, insert));
    }
    return removable;
  }

  get #reset(): boolean {
    return (this.#state.dor & DOR_NOT_RESET) === 0;
  }

  /** INT, and the timer for what comes next. */
  #update(): void {
    const state = this.#state;
    const gate = (state.dor & DOR_DMAGATE) !== 0;
    this.#irq.set(gate && (state.ready || state.attention));
    let next = state.resetting === NEVER ? Infinity : state.resetting;
    for (const { seeking } of state.units) {
      if (seeking !== NEVER) next = Math.min(next, seeking);
    }
    if (next === Infinity) this.#timer.cancel();
    else if (next !== this.#timer.deadline) this.#timer.arm(next);
  }

  /** Seeks that end, and the end of a reset. */
  #due(): void {
    const state = this.#state;
    const now = this.#clock.now();
    if (state.resetting !== NEVER && state.resetting <= now) {
      state.resetting = NEVER;
      state.phase = "command";
      // Polling finds all drives ready that were not.
      for (let unit = 0; unit < UNITS; unit++) {
        state.units[unit].ended = ST0_POLLING | unit;
      }
      state.attention = true;
    }
    for (const unit of state.units) {
      if (unit.seeking === NEVER || unit.seeking > now) continue;
      unit.seeking = NEVER;
      unit.ended = unit.outcome;
      this.#irq.lower();
      state.attention = true;
    }
    this.#update();
  }

  #read(offset: number): number {
    const state = this.#state;
    switch (offset) {
      case Register.SRA:
        return statusA(state, {
          drives: this.drives,
          interrupt: this.#irq.level,
          side: this.#transfer.state.side,
        });
      case Register.SRB:
        return statusB(state);
      case Register.DOR:
        return state.dor;
      case Register.TDR:
        return state.tdr;
      case Register.MSR_DSR:
        state.dsr &= ~DSR_POWER_DOWN;
        return mainStatus(state, takesData(this.#transfer.state.task));
      default:
        return this.#readFifo();
    }
  }

  #write(offset: number, value: number): void {
    const state = this.#state;
    switch (offset) {
      case Register.DOR:
        return this.#writeDor(value);
      case Register.TDR:
        state.tdr = value & TDR_TAPE;
        return;
      case Register.MSR_DSR:
        state.dsr = value & ~DSR_RESET;
        if ((value & DSR_RESET) === 0 || this.#reset) return;
        this.#softReset();
        state.resetting = this.#clock.now() + OVERHEAD;
        return this.#update();
      case Register.FIFO:
        return this.#writeFifo(value);
    }
  }

  /** The selected drive's DSKCHG; without a disk it stands. */
  get #dir(): number {
    const unit = this.#state.dor & DOR_SELECT;
    const drive = this.#drive(unit);
    if (drive === undefined) return 0;
    const changed = drive.format === undefined ||
      this.#state.units[unit].changed;
    return changed ? DIR_DSKCHG : 0;
  }

  #writeDor(value: number): void {
    const state = this.#state;
    const before = state.dor;
    state.dor = value;
    for (let unit = 0; unit < UNITS; unit++) {
      const motor = DOR_MOTOR_0 << unit;
      if ((before & ~value & motor) !== 0) this.#drive(unit)?.stopped();
    }
    if ((value & DOR_NOT_RESET) === 0) this.#softReset();
    else if ((before & DOR_NOT_RESET) === 0) {
      state.resetting = this.#clock.now() + OVERHEAD;
    }
    this.#update();
    this.#pump();
  }

  /** A reset by DOR or DSR ("Reset"). */
  #softReset(): void {
    const state = this.#state;
    this.#transfer.reset();
    this.#dma.request(false);
    state.phase = "reset";
    state.ready = state.attention = false;
    state.length = state.position = 0;
    state.resetting = NEVER;
    for (const unit of state.units) {
      unit.pcn = 0;
      unit.seeking = NEVER;
      unit.ended = NOTHING;
    }
    this.#control.softReset();
    this.#update();
  }

  #readFifo(): number {
    const state = this.#state;
    if (state.phase === "data") {
      const transfer = this.#transfer.state;
      if (!isNonDma(state) || takesData(transfer.task)) return 0;
      const value = transfer.buffer[transfer.position++];
      this.#byteMoved();
      return value;
    }
    if (state.phase !== "result") return 0;
    const value = state.fifo[state.position++];
    state.ready = false;
    if (state.position === state.length) this.#idle();
    this.#update();
    return value;
  }

  #writeFifo(value: number): void {
    const state = this.#state;
    if (state.phase === "data") {
      const transfer = this.#transfer.state;
      if (!isNonDma(state) || !takesData(transfer.task)) return;
      transfer.buffer[transfer.position++] = value;
      return this.#byteMoved();
    }
    if (state.phase !== "command") return;
    if (state.position === 0) state.length = commandOf(value)?.length ?? 1;
    state.fifo[state.position++] = value;
    if (state.position < state.length) return;
    state.phase = "busy";
    this.#execute();
    this.#update();
  }

  /** The next byte written is a command's first one. */
  #idle(): void {
    const state = this.#state;
    state.phase = "command";
    state.length = state.position = 0;
  }

  /** The command phase is over. */
  #execute(): void {
    const state = this.#state;
    const { fifo } = state;
    const command = commandOf(fifo[0]);
    if (this.#command.isHeard) {
      const name = command?.name ?? "INVALID";
      this.#command.tell({ name, bytes: fifo.slice(0, command?.length ?? 1) });
    }
    switch (command?.name) {
      case undefined:
        return this.#result([ST0_INVALID], false);
      case "WRITE DELETED DATA":
        this.#log.guest("writes deleted data, of which the mark is lost");
        state.lastSector = fifo[6];
        return this.#transfer.start("write", fifo);
      case "WRITE DATA":
      case "READ DATA":
      case "READ DELETED DATA":
      case "READ TRACK":
      case "VERIFY":
        state.lastSector = fifo[6];
        return this.#transfer.start(TASKS[command!.name], fifo);
      case "READ ID":
        return this.#transfer.startId(fifo);
      case "FORMAT TRACK":
        state.lastSector = fifo[3];
        return this.#transfer.startFormat(fifo);
      case "SENSE INTERRUPT STATUS": {
        this.#result(this.#control.execute(command!.name), false);
        // Another seek that has ended is another interrupt; what is left of a
        // reset is not.
        this.#irq.lower();
        state.attention = state.units.some(({ ended }) =>
          ended !== NOTHING && (ended & ST0_SE) !== 0
        );
        return;
      }
      default: {
        const result = this.#control.execute(command!.name);
        if (result.length === 0) this.#idle();
        else this.#result(result, false);
      }
    }
  }

  #result(bytes: readonly number[], interrupt: boolean): void {
    const state = this.#state;
    state.phase = "result";
    state.fifo.set(bytes);
    state.length = bytes.length;
    state.position = 0;
    state.ready = interrupt;
    this.#update();
  }

  /** The buffer is to be moved, by DMA or byte by byte. */
  #beginData(): void {
    const state = this.#state;
    state.phase = "data";
    if (!isNonDma(state)) return this.#pump();
    state.ready = true;
    this.#update();
  }

  /** A byte went through the FIFO: INT falls when it has what it asked for. */
  #byteMoved(): void {
    const state = this.#state;
    const { position, buffer } = this.#transfer.state;
    const burst = (state.config & CONFIG_EFIFO) !== 0
      ? 1
      : FIFO_BYTES - (state.config & CONFIG_FIFOTHR);
    if (position === buffer.length) return this.#moved(false);
    if (position % burst !== 0) return;
    state.ready = false;
    this.#update();
    // The disk does not make the host wait for the next ones.
    state.ready = true;
    this.#update();
  }

  #moved(terminalCount: boolean): void {
    this.#noData();
    this.#transfer.moved(terminalCount);
  }

  /** The host has nothing to move now. */
  #noData(): void {
    this.#state.phase = "busy";
    this.#state.ready = false;
    this.#dma.request(false);
    this.#update();
  }

  /** Move by DMA what the channel takes. */
  #pump(): void {
    const state = this.#state;
    if (state.phase !== "data" || isNonDma(state)) return;
    const driven = (state.dor & DOR_DMAGATE) !== 0;
    this.#dma.request(driven);
    if (!driven) return;
    const transfer = this.#transfer.state;
    const { buffer, position, task } = transfer;
    const rest = position === 0 ? buffer : buffer.subarray(position);
    transfer.position += this.#dma.transfer(rest, !takesData(task));
    const { terminalCount } = this.#dma;
    if (terminalCount || transfer.position === buffer.length) {
      this.#moved(terminalCount);
    }
  }

  /** As after power-on: heads are at track 0, disks were just put in. */
  reset(): void {
    this.#transfer.reset();
    this.#dma.request(false);
    this.#state = freshState();
    this.#update();
  }

  #record(transfer: TransferState): FdcRecord {
    const changes = this.drives.map((drive) => drive?.changes ?? 0);
    return { ...this.#state, transfer, changes };
  }

  /** The registers and the command under way. */
  save(): StateRecord {
    return saveState(this.#record(this.#transfer.state));
  }

  /** Go on; what was asked of a backend is asked again. */
  load(record: StateRecord): void {
    const template: FdcRecord = {
      ...freshState(),
      transfer: freshTransfer(),
      changes: this.drives.map(() => 0),
    };
    const { transfer, changes, ...state } = loadState(
      template,
      record,
      this.#name,
    );
    this.#state = state;
    this.drives.forEach((drive, unit) => {
      if (drive !== undefined) drive.changes = changes[unit];
    });
    this.#transfer.restore(transfer);
    this.#update();
  }
}
