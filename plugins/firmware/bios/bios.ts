/**
 * The built-in BIOS: its state, and the trap ports by which the ROM's code
 * asks for services.
 *
 * A service is a function of the caller's registers. It does what it does at
 * once, through memory and ports, and answers whether the caller returns,
 * waits, or calls another interrupt first; a service that waits is asked again
 * after each interrupt, so that all that it waits for stands in the state or
 * in the guest's memory.
 *
 * @module
 */

import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type {
  BootDrives,
  DriveGeometry,
} from "../../../core/machine/boot_drive.ts";
import type { FirmwareTables } from "../../../core/machine/firmware.ts";
import type { DeviceContext } from "../../../core/machine/plugin.ts";
import { saveState, type StateRecord } from "../../../core/state/state.ts";
import type { Clock, Timer } from "../../../core/time/clock.ts";
import { boot } from "./boot.ts";
import { readBootSector } from "./boot_sector.ts";
import type { BiosConfig } from "./config.ts";
import type { Bios } from "./context.ts";
import { disk } from "./disk.ts";
import { writeDriveData } from "./disk_tables.ts";
import { DriveMap, type Emulation } from "./drives.ts";
import { Frame, FRAME_BYTES, Status } from "./frame.ts";
import { Guest, linear } from "./guest.ts";
import { keyboardInterrupt, keyboardService } from "./keyboard.ts";
import {
  Bda,
  Pic,
  ROM_SEGMENT,
  TRAP_CALL,
  TRAP_CALL_AX,
  TRAP_FRAME,
  TRAP_SERVE,
  TRAP_WINDOW,
} from "./layout.ts";
import { mouseInterrupt } from "./mouse.ts";
import { pciBios } from "./pci_bios.ts";
import { post } from "./post.ts";
import { printer, serial } from "./ports.ts";
import { Requests, type RequestState } from "./requests.ts";
import { buildRom, type Rom, Service } from "./rom.ts";
import { equipment, memorySize, system } from "./system.ts";
import { clockInterrupt, clockService, timerInterrupt } from "./time.ts";
import { type BiosState, freshState, loadBiosState, WINDOW } from "./state.ts";
import { transfer } from "./transfer.ts";
import { video } from "./video.ts";

/** The image is the same for all. */
const ROM: Rom = buildRom();

/** Callers that wait for a time at once. */
const MAX_WAITS = 8;
/** AH of power management. */
const APM = 0x53;

/** Where the BIOS is: what its device gives it. */
export interface BiosPlace {
  /** Write tables into the ROM's segment. */
  writeRom(offset: number, bytes: Uint8Array): void;
  /** Raised when a halted caller has its answer: IRQ 14. */
  readonly wake: IrqLine;
}

/** The BIOS of one machine. */
export class BuiltinBios implements Bios {
  /** The ROM's bytes: 64 KiB that end at 1 MiB and at 4 GiB. */
  static readonly image: Uint8Array = ROM.image;
  /** Answers the trap ports. */
  readonly ports: IoHandler = {
    read: (offset, width) => this.#read(offset, width),
    write: (offset, width, value) => this.#write(offset, width, value),
  };
  /** The configuration. */
  readonly config: BiosConfig;
  /** The guest's memory and ports. */
  readonly guest: Guest;
  /** Virtual time. */
  readonly clock: Clock;
  /** The drives by their numbers. */
  readonly drives: DriveMap;
  /** Requests to drives. */
  readonly requests: Requests;
  /** The state. */
  state: BiosState = freshState();
  readonly #context: DeviceContext;
  readonly #place: BiosPlace;
  readonly #frame = new Frame();
  readonly #timer: Timer;

  /**
   * A BIOS for a device that `usesPorts` and collects `boot-drives`; the device
   * places the image and the ports.
   */
  constructor(config: BiosConfig, context: DeviceContext, place: BiosPlace) {
    this.config = config;
    this.guest = new Guest(context.dma, context.ports);
    this.clock = context.clock;
    this.#context = context;
    this.#place = place;
    this.drives = new DriveMap(() =>
      context.providers<BootDrives>("boot-drives")
        .flatMap((controller) => controller.bootDrives())
    );
    this.requests = new Requests(
      (request) => this.#perform(request),
      () => this.#wake(),
    );
    this.#timer = context.clock.timer(() => {
      this.#wake();
      this.#armTimer(this.clock.now() + 1);
    });
  }

  /** The offset of an entry in the ROM. */
  entry(label: string): number {
    return ROM.entry(label);
  }

  /** The machine's tables, by who places them. */
  tables(): readonly FirmwareTables[] {
    return this.#context.providers<FirmwareTables>("firmware-tables");
  }

  /** Write a table into the ROM's segment. */
  writeRom(offset: number, bytes: Uint8Array): void {
    this.#place.writeRom(offset, bytes);
  }

  /** See `Bios.log`. */
  log(site: string, details?: string): void {
    this.#context.log.guest(site, details);
  }

  #read(offset: number, width: AccessWidth): number {
    const { state } = this;
    switch (offset) {
      case TRAP_FRAME:
        return state.status;
      case TRAP_CALL:
        return state.call * 4;
      case TRAP_CALL_AX:
        return state.callAx;
      case TRAP_WINDOW: {
        const value = state.window[state.windowAt % WINDOW];
        if (width === 4) state.windowAt = (state.windowAt + 1) % WINDOW;
        return value;
      }
      case TRAP_SERVE:
        state.windowAt = 0;
        return 0;
      default:
        return 0xffffffff;
    }
  }

  #write(offset: number, width: AccessWidth, value: number): void {
    const { state } = this;
    switch (offset) {
      case TRAP_FRAME:
        if (width === 4) this.#serve(value);
        return;
      case TRAP_CALL:
        state.returnedAx = value & 0xffff;
        return;
      case TRAP_CALL_AX:
        state.returnedFlags = value & 0xffff;
        return;
      case TRAP_WINDOW:
        state.window[state.windowAt % WINDOW] = value;
        state.windowAt = (state.windowAt + 1) % WINDOW;
        return;
      case TRAP_SERVE:
        return this.#serveWindow();
    }
  }

  /** The frame at SS:SP is to be served. */
  #serve(pointer: number): void {
    const frame = this.#frame;
    frame.address = linear(pointer >>> 16, pointer & 0xffff);
    this.guest.read(frame.address, frame.bytes);
    let status = this.#dispatch(frame);
    if (status !== Status.DONE) frame.phase = Math.min(frame.phase + 1, 0xff);
    if (status === Status.WAIT && this.#isServing()) status = Status.SPIN;
    this.state.status = status;
    this.guest.write(frame.address, frame.bytes);
  }

  #dispatch(frame: Frame): Status {
    switch (frame.vector) {
      case 0x08:
        return timerInterrupt(this, frame);
      case 0x09:
        return keyboardInterrupt(this, frame);
      case 0x10:
        return video(this, frame);
      case 0x11:
        return equipment(this, frame);
      case 0x12:
        return memorySize(this, frame);
      case 0x13:
        return disk(this, frame);
      case 0x14:
        return serial(this, frame);
      case 0x15:
        return system(this, frame);
      case 0x16:
        return keyboardService(this, frame);
      case 0x17:
        return printer(this, frame);
      case 0x18:
      case 0x19:
        return boot(this, frame);
      case 0x1a:
        return frame.ah === 0xb1
          ? pciBios(this, frame)
          : clockService(this, frame);
      case 0x70:
        return clockInterrupt(this, frame);
      case 0x74:
        return mouseInterrupt(this, frame);
      case 0x76:
        return this.#diskInterrupt();
      case Service.POST:
        return post(this, frame);
      default:
        // INT 05h: there is no printer.
        return Status.DONE;
    }
  }

  /**
   * A call from protected mode, of the PCI BIOS or, by its number, of power
   * management: the same services with these registers.
   */
  #serveWindow(): void {
    const frame = this.#frame;
    const { state } = this;
    const { window } = state;
    frame.bytes.fill(0, 0, FRAME_BYTES);
    [frame.eax, frame.ebx, frame.ecx, frame.edx, frame.esi, frame.edi] = window;
    // The 32-bit functions have the number of the 16-bit ones.
    const serve = (): Status =>
      frame.ah === APM ? system(this, frame) : pciBios(this, frame, undefined);
    // Who idles is told to halt once.
    const halts = serve() === Status.WAIT;
    if (halts) {
      frame.phase = 1;
      serve();
    }
    state.window = [
      ...[frame.ebx, frame.ecx, frame.esi, frame.edi, frame.edx, frame.eax],
      (frame.carry ? 1 : 0) | (halts ? 2 : 0),
    ];
    state.windowAt = 0;
  }

  /** IRQ 14: the wake-up call of a halted caller. */
  #diskInterrupt(): Status {
    const { guest } = this;
    this.#setWake(false);
    guest.set8(Bda.DISK_INTERRUPT, 0xff);
    guest.out8(Pic.SLAVE, Pic.EOI);
    guest.out8(Pic.MASTER, Pic.EOI);
    return Status.DONE;
  }

  /**
   * Whether an interrupt is being served: others may not come through, and who
   * halts may not be woken.
   */
  #isServing(): boolean {
    const READ_ISR = 0x0b;
    const READ_IRR = 0x0a;
    let serving = 0;
    for (const port of [Pic.MASTER, Pic.SLAVE]) {
      this.guest.out8(port, READ_ISR);
      serving |= this.guest.in8(port);
      this.guest.out8(port, READ_IRR);
    }
    return serving !== 0;
  }

  /** Let the wake-up call through, as an AT's disk service does. */
  unmaskWake(): void {
    const { guest } = this;
    guest.out8(Pic.SLAVE_MASK, guest.in8(Pic.SLAVE_MASK) & ~(1 << 14 - 8));
    guest.out8(Pic.MASTER_MASK, guest.in8(Pic.MASTER_MASK) & ~(1 << 2));
  }

  /** From now on a disc emulates this drive, or none. */
  setEmulation(emulation: Emulation | null): void {
    this.state.emulation = emulation;
    this.drives.emulation = emulation ?? undefined;
    writeDriveData(this);
  }

  /** From now on these are the geometries by which disks were partitioned. */
  setPartitioned(geometries: (DriveGeometry | null)[]): void {
    this.state.partitioned = geometries;
    this.drives.partitioned = geometries;
  }

  /** Call an interrupt's handler before the service is asked again. */
  call(vector: number, ax = 0): Status {
    this.state.call = vector;
    this.state.callAx = ax;
    return Status.CALL;
  }

  /** Call code of the ROM before the service is asked again. */
  callRom(label: string, ax = 0): Status {
    this.guest.set16(Bda.ROM_CALL, this.entry(label));
    this.guest.set16(Bda.ROM_CALL + 2, ROM_SEGMENT);
    return this.call(Bda.ROM_CALL / 4, ax);
  }

  /** Wait for so many nanoseconds: asked again and again until DONE. */
  waitFor(frame: Frame, nanoseconds: number): Status {
    const { waits } = this.state;
    const now = this.clock.now();
    const index = waits.findIndex((wait) => wait.frame === frame.address);
    if (frame.phase === 0 || index < 0) {
      if (index >= 0) waits.splice(index, 1);
      if (waits.length === MAX_WAITS) waits.shift();
      waits.push({ frame: frame.address, until: now + nanoseconds });
      this.unmaskWake();
      this.#armTimer();
      return Status.WAIT;
    }
    if (now < waits[index].until) return Status.WAIT;
    waits.splice(index, 1);
    return Status.DONE;
  }

  /** Arm the timer for the next wait that ends at `from` or later. */
  #armTimer(from = 0): void {
    let next = Infinity;
    for (const { until } of this.state.waits) {
      if (until >= from) next = Math.min(next, until);
    }
    if (next === Infinity) this.#timer.cancel();
    else this.#timer.arm(next);
  }

  /** Wake who waits: an edge, even when the last one was not taken. */
  #wake(): void {
    this.#setWake(false);
    this.#setWake(true);
  }

  #setWake(level: boolean): void {
    this.state.wake = level;
    this.#place.wake.set(level);
  }

  async #perform(request: RequestState): Promise<number> {
    return request.kind === "boot"
      ? await readBootSector(this, request)
      : await transfer(this, request);
  }

  /** As after power-on: nobody waits. */
  reset(): void {
    this.#adopt({ ...freshState(), order: this.state.order });
  }

  /** The state, with what is under way. */
  save(): StateRecord {
    return saveState({ ...this.state, requests: this.requests.list });
  }

  /** Go on; drives are asked again. */
  load(record: StateRecord): void {
    this.#adopt(loadBiosState(record, this.#context.name));
  }

  #adopt(state: BiosState): void {
    this.state = state;
    this.drives.emulation = state.emulation ?? undefined;
    this.drives.partitioned = state.partitioned;
    this.requests.adopt(state.requests);
    this.#place.wake.set(state.wake);
    this.#armTimer();
  }
}
