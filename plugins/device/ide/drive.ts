/**
 * What a disk and a packet device have in common: the command block
 * registers, PIO and DMA data phases, the interrupt and requests to the
 * backend. ATA/ATAPI-6 (T13/1410D), interface registers and protocols.
 *
 * The guest never waits for the host: while a request to the backend is under
 * way BSY stands, and what comes of it is looked at when it is done. A reset
 * in between forgets it by counting up a generation. Requests of one drive go
 * one after another, for a backend promises no order among those outstanding;
 * so a write of before a reset cannot overtake one of after it.
 *
 * @module
 */

import type { BootDrive, DrivePath } from "../../../core/machine/boot_drive.ts";
import {
  ABRT,
  BSY,
  Command,
  DEVICE_ONES,
  DRDY,
  DRQ,
  DSC,
  ERR,
} from "./registers.ts";

/** Moves a device's data by DMA: the bus master of a channel. */
export interface DmaEngine {
  /**
   * Move bytes to guest memory, or from it into `bytes`. Gives back how many
   * were moved: fewer than all when the engine is not started or its table
   * has ended. The channel's `dmaReady` then asks again when it starts.
   */
  transfer(bytes: Uint8Array, toMemory: boolean): number;
  /** INTRQ was raised. */
  interrupt(): void;
}

/** A drive's end of its cable. */
export interface DrivePort {
  /** The bus master; PIO only when absent. */
  readonly dma: DmaEngine | undefined;
  /** The drive's interrupt may have changed. */
  update(): void;
  /** A packet device has got a packet. */
  packet(bytes: Uint8Array): void;
}

/** The state of any drive. */
export interface DriveState {
  /** Features, and the other registers as last written. */
  features: number;
  /** Sector count; the interrupt reason of a packet device. */
  count: number;
  /** LBA low: the sector number. */
  low: number;
  /** LBA mid: cylinder low, byte count low. */
  mid: number;
  /** LBA high: cylinder high, byte count high. */
  high: number;
  /** The previous content of the five above, for 48-bit commands. */
  hob: number[];
  /** The device register. */
  device: number;
  /** The status register. */
  status: number;
  /** The error register. */
  error: number;
  /** Interrupt pending, which nIEN and DEV keep from INTRQ. */
  pending: boolean;
  /** The command under way or last done. */
  command: number;
  /** How data move now: PIO in, out or a packet, DMA in or out. */
  phase: "" | "in" | "out" | "packet" | "dma-in" | "dma-out";
  /** The data. */
  buffer: Uint8Array;
  /** The next byte in `buffer`. */
  position: number;
  /** Where in `buffer` the DRQ block under way ends. */
  end: number;
  /** What the backend is doing. */
  request: "" | "read" | "verify" | "write" | "flush" | "trim";
  /** The next block of the medium: a sector of 512, or of 2048 bytes. */
  lba: number;
  /** Blocks still to transfer. */
  remaining: number;
  /** The transfer mode of SET FEATURES. */
  mode: number;
}

/** PIO mode 4, as after power-on. */
const PIO_DEFAULT = 0x0c;
/** SET FEATURES 03h: the highest mode of each kind. */
const MODES: Readonly<Record<number, number>> = { 1: 4, 4: 2, 8: 5 };

/** A state after power-on. */
export function freshDrive(): DriveState {
  return {
    features: 0,
    count: 1,
    low: 1,
    mid: 0,
    high: 0,
    hob: [0, 0, 0, 0, 0],
    device: DEVICE_ONES,
    status: 0,
    error: 1,
    pending: false,
    command: 0,
    phase: "",
    buffer: new Uint8Array(0),
    position: 0,
    end: 0,
    request: "",
    lba: 0,
    remaining: 0,
    mode: PIO_DEFAULT,
  };
}

/** A drive on a channel. */
export abstract class Drive<S extends DriveState = DriveState> {
  /** The whole state. */
  protected state: S;
  #port: DrivePort = {
    dma: undefined,
    update: () => {},
    packet: () => {},
  };
  #generation = 0;
  /** The request that the backend has not answered yet. */
  #last: Promise<unknown> | undefined;
  /** The buffer of reads and writes, kept for the next one. */
  #room = new Uint8Array(0);

  /** A drive in this state. */
  constructor(state: S) {
    this.state = state;
  }

  /** The drive for firmware, which is at `path`; it passes by the registers. */
  abstract bootDrive(path?: DrivePath): BootDrive;
  /** A state after power-on. */
  protected abstract fresh(): S;
  /** Carry out a command; the status is BSY. */
  protected abstract execute(command: number): void;
  /** The DRQ block or the DMA transfer under way has been moved. */
  protected abstract transferred(): void;
  /** Do what `state.request` says at the backend. */
  protected abstract perform(): Promise<Uint8Array | undefined>;
  /** The request is done; a read's data. */
  protected abstract finished(request: string, data?: Uint8Array): void;
  /** The backend has refused the request. */
  protected abstract failed(request: string): void;
  /** Registers that tell the kind of device after a reset. */
  protected abstract signature(): void;

  /** Connect the drive to its channel. */
  connect(port: DrivePort): void {
    this.#port = port;
  }

  /** Whether there is a bus master. */
  protected get hasDma(): boolean {
    return this.#port.dma !== undefined;
  }

  /** Whether the drive asserts INTRQ while it is selected. */
  get pending(): boolean {
    return this.state.pending;
  }

  /** Assign a state as after power-on. */
  powerOn(): void {
    this.forget();
    this.state = this.fresh();
    this.signature();
  }

  /** SRST, DEVICE RESET, EXECUTE DEVICE DIAGNOSTIC: settings stay. */
  softReset(): void {
    this.forget();
    const { state } = this;
    state.phase = "";
    state.buffer = new Uint8Array(0);
    state.position = state.end = 0;
    state.remaining = 0;
    state.pending = false;
    state.error = 1;
    state.device = DEVICE_ONES;
    this.signature();
    this.#port.update();
  }

  /** SRST is set: busy until it is cleared. */
  holdReset(): void {
    this.softReset();
    this.state.status = BSY;
  }

  /** A state to load into. */
  template(): DriveState {
    return this.fresh();
  }

  /**
   * The state, to be saved: nothing of what the buffer has from before, and
   * may have anything of while the backend reads to where it is.
   */
  get saved(): DriveState {
    const { state } = this;
    const { phase, request, buffer, position } = state;
    const isTaking = phase === "out" || phase === "dma-out";
    // What the backend is asked to do is in it.
    const isGiven = request === "write" || request === "trim";
    if (!isTaking && (phase !== "" || isGiven)) return state;
    const known = new Uint8Array(buffer.length);
    if (isTaking) known.set(buffer.subarray(0, position));
    return { ...state, buffer: known };
  }

  /** Go on from a loaded state; what was asked of the backend is asked again. */
  restore(record: DriveState): void {
    this.forget();
    this.state = record as S;
    if (this.state.request !== "") this.#issue();
  }

  /** Read a register of the command block other than data. */
  read(register: number, hob: boolean): number {
    const { state } = this;
    switch (register) {
      case 1:
        return hob ? state.hob[0] : state.error;
      case 2:
        return hob ? state.hob[1] : state.count;
      case 3:
        return hob ? state.hob[2] : state.low;
      case 4:
        return hob ? state.hob[3] : state.mid;
      case 5:
        return hob ? state.hob[4] : state.high;
      case 6:
        return state.device;
      default:
        return state.status;
    }
  }

  /**
   * Write a register of the command block other than data and command. The
   * channel ignores writes while the selected drive is busy.
   */
  write(register: number, value: number): void {
    const { state } = this;
    switch (register) {
      case 1:
        state.hob[0] = state.features;
        state.features = value;
        return;
      case 2:
        state.hob[1] = state.count;
        state.count = value;
        return;
      case 3:
        state.hob[2] = state.low;
        state.low = value;
        return;
      case 4:
        state.hob[3] = state.mid;
        state.mid = value;
        return;
      case 5:
        state.hob[4] = state.high;
        state.high = value;
        return;
      default:
        state.device = value | DEVICE_ONES;
    }
  }

  /** The host has read the status register. */
  acknowledge(): void {
    this.state.pending = false;
    this.#port.update();
  }

  /** A packet has come, to whoever hears of it. */
  protected tellPacket(bytes: Uint8Array): void {
    this.#port.packet(bytes);
  }

  /** The command register is written. */
  command(command: number): void {
    const { state } = this;
    const { busy } = this;
    if (busy && command !== Command.DEVICE_RESET) return;
    if (busy && !this.resettable) return;
    this.acknowledge();
    state.command = command;
    state.error = 0;
    state.status = BSY | DRDY;
    this.execute(command);
  }

  /** Whether a command is under way: others are not taken. */
  get busy(): boolean {
    return (this.state.status & (BSY | DRQ)) !== 0;
  }

  /** EXECUTE DEVICE DIAGNOSTIC is done. */
  diagnosed(): void {
    this.state.command = Command.EXECUTE_DEVICE_DIAGNOSTIC;
    this.interrupt();
  }

  /** Whether DEVICE RESET is taken while the device is busy. */
  protected get resettable(): boolean {
    return false;
  }

  /** Read the data register: one 16-bit word. */
  readData(): number {
    const { state } = this;
    if (state.phase !== "in") return 0;
    const { buffer, position } = state;
    const value = buffer[position] | buffer[position + 1] << 8;
    this.#wordMoved();
    return value;
  }

  /** Write the data register: one 16-bit word. */
  writeData(value: number): void {
    const { state } = this;
    if (state.phase !== "out" && state.phase !== "packet") return;
    const { buffer, position } = state;
    buffer[position] = value;
    buffer[position + 1] = value >> 8;
    this.#wordMoved();
  }

  #wordMoved(): void {
    const { state } = this;
    state.position += 2;
    if (state.position < state.end) return;
    state.status = BSY | DRDY;
    this.transferred();
  }

  /** The bus master has started: move what waits for it. */
  dmaReady(): void {
    const { state } = this;
    const toMemory = state.phase === "dma-in";
    const dma = this.#port.dma;
    if (dma === undefined || !toMemory && state.phase !== "dma-out") return;
    state.position += dma.transfer(
      state.buffer.subarray(state.position),
      toMemory,
    );
    if (state.position < state.buffer.length) return;
    state.status = BSY | DRDY;
    this.transferred();
  }

  /** Begin a DRQ block from `position` of the buffer to `end`. */
  protected startPio(phase: "in" | "out" | "packet", end: number): void {
    const { state } = this;
    state.phase = phase;
    state.end = end;
    state.status = DRDY | DSC | DRQ;
  }

  /** Begin a DMA transfer of the whole buffer. */
  protected startDma(phase: "dma-in" | "dma-out"): void {
    const { state } = this;
    state.phase = phase;
    state.position = 0;
    state.status = DRDY | DSC | DRQ;
    this.dmaReady();
  }

  /** Ask the backend; BSY stands until it answers. */
  protected ask(request: Exclude<DriveState["request"], "">): void {
    const { state } = this;
    state.phase = "";
    state.request = request;
    state.status = BSY | DRDY;
    this.#issue();
  }

  #issue(): void {
    const generation = ++this.#generation;
    const current = (): boolean => generation === this.#generation;
    // At once, so that when it is made does not depend on the host; but after
    // one that was forgotten, whatever becomes of it.
    const answer = this.#last === undefined
      ? this.perform()
      : this.#last.then(() => current() ? this.perform() : undefined);
    const settle = (done: (request: string) => void): void => {
      if (this.#last === last) this.#last = undefined;
      if (!current()) return;
      const { request } = this.state;
      this.state.request = "";
      done(request);
    };
    const last = answer.then(
      (data) => settle((request) => this.finished(request, data)),
      () =>
        settle((request) => {
          this.#leaveRoom();
          this.failed(request);
        }),
    );
    this.#last = last;
  }

  /** A buffer of the state for bytes from the host. */
  protected room(bytes: number): Uint8Array {
    if (this.#room.length < bytes) this.#room = new Uint8Array(bytes);
    return this.#room.subarray(0, bytes);
  }

  /** The backend may still read what is in there, or write to it. */
  #leaveRoom(): void {
    this.#room = new Uint8Array(0);
  }

  /** What the backend is doing has nobody who waits for it any more. */
  protected forget(): void {
    this.#generation++;
    if (this.state.request !== "") this.#leaveRoom();
    this.state.request = "";
  }

  /** Raise INTRQ. */
  protected interrupt(): void {
    this.state.pending = true;
    this.#port.update();
  }

  /** The command is done. */
  protected complete(status: number = DRDY | DSC): void {
    this.state.phase = "";
    this.state.status = status;
    this.interrupt();
  }

  /** The command ends with an error. */
  protected abort(error: number = ABRT, status: number = DRDY | ERR): void {
    this.state.error = error;
    this.complete(status);
  }

  /** SET FEATURES 03h: set the transfer mode in the count register. */
  protected setTransferMode(): boolean {
    const { state } = this;
    const kind = state.count >> 3;
    if (kind === 0 && state.count < 2) state.mode = PIO_DEFAULT;
    else if ((state.count & 7) <= (MODES[kind] ?? -1)) state.mode = state.count;
    else return false;
    return true;
  }
}
