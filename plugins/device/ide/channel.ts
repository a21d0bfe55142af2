/**
 * An IDE channel: the registers of the command and the control block, two
 * drives on one cable, and INTRQ. ATA/ATAPI-6 (T13/1410D), the interface
 * registers, and who answers for a device that is not there.
 *
 * @module
 */

import type {
  DeviceEvent,
  DeviceEventSpec,
} from "../../../core/machine/device_events.ts";
import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type { DmaEngine, Drive, DriveState } from "./drive.ts";
import {
  Command,
  CONTROL_HOB,
  CONTROL_NIEN,
  CONTROL_SRST,
  DEVICE_DEV,
} from "./registers.ts";

/** Ports of the command block and of the control block. */
export const COMMAND_PORTS = 8;
/** The control block is its last port alone: device control. */
export const CONTROL_PORTS = 1;

const DEVICE = 6;
const STATUS = 7;
/**
 * Nobody drives the bus: what QEMU's machines read there. The standard's
 * resistor on DD7 alone would let a probe see DRDY, DRQ and ERR, and time out.
 */
const NOBODY = 0;

interface ChannelState {
  /** The selected device: 0 or 1. */
  selected: number;
  /** The device control register. */
  control: number;
}

/** The state of a channel and its drives, part of its device's. */
export interface ChannelRecord {
  /** The selected device: 0 or 1. */
  selected: number;
  /** The device control register. */
  control: number;
  /** Device 0, where there is one. */
  unit0?: DriveState;
  /** Device 1. */
  unit1?: DriveState;
}

/** What a channel stands on. */
export interface ChannelParts {
  /** Where INTRQ goes. */
  readonly irq: IrqLine;
  /** Devices 0 and 1. */
  readonly drives: readonly [Drive | undefined, Drive | undefined];
  /** The bus master; PIO only when absent. */
  readonly dma?: DmaEngine;
  /** Its number, for events; 0 when absent. */
  readonly number?: number;
  /** Tells of commands. */
  readonly command?: DeviceEvent<IdeCommand>;
  /** Tells of packets. */
  readonly packet?: DeviceEvent<IdePacket>;
}

/** A drive is given a command. */
export type IdeCommand = {
  readonly channel: number;
  readonly drive: number;
  readonly command: number;
};

/** A CD-ROM drive is given a packet. */
export type IdePacket = {
  readonly channel: number;
  readonly drive: number;
  readonly packet: Uint8Array;
};

/** The events of a device with channels. */
export const IDE_EVENTS: Readonly<Record<string, DeviceEventSpec>> = {
  command: {
    description:
      "A byte is written to the command register: `command`, of ATA's table of codes",
    data: { channel: "number", drive: "number", command: "number" },
  },
  packet: {
    description: "A packet device has got the packet of a command",
    data: { channel: "number", drive: "number", packet: "bytes" },
  },
};

/** A channel with up to two drives. */
export class Channel {
  /** The command block: eight ports. */
  readonly command: IoHandler = {
    read: (offset, width) => this.#read(offset, width),
    write: (offset, width, value) => this.#write(offset, width, value),
  };
  /** The control block: alternate status and device control. */
  readonly control: IoHandler = {
    widths: [1],
    read: () => this.#register(STATUS),
    write: (_offset, _width, value) => this.#writeControl(value),
  };
  #state: ChannelState = { selected: 0, control: 0 };
  readonly #parts: ChannelParts;
  readonly #present: readonly Drive[];

  /** A channel in its reset state. */
  constructor(parts: ChannelParts) {
    this.#parts = parts;
    this.#present = parts.drives.filter((drive) => drive !== undefined);
    const { dma, packet, number = 0 } = parts;
    for (const drive of this.#present) {
      drive.connect({
        dma,
        update: () => this.#update(),
        packet: (bytes) => {
          if (packet?.isHeard !== true) return;
          packet.tell({
            channel: number,
            drive: parts.drives.indexOf(drive),
            packet: bytes.slice(),
          });
        },
      });
    }
  }

  get #selected(): Drive | undefined {
    return this.#parts.drives[this.#state.selected];
  }

  /** INTRQ is the selected drive's, and high impedance under nIEN. */
  #update(): void {
    const { irq, dma } = this.#parts;
    const enabled = (this.#state.control & CONTROL_NIEN) === 0;
    const level = enabled && this.#selected?.pending === true;
    if (level && !irq.level) dma?.interrupt();
    irq.set(level);
  }

  /** The bus master has been started. */
  dmaReady(): void {
    this.#selected?.dmaReady();
  }

  /** A byte-wide register, with nothing changed by the reading. */
  #register(register: number): number {
    const [drive0] = this.#parts.drives;
    const hob = (this.#state.control & CONTROL_HOB) !== 0;
    const drive = this.#selected;
    if (drive !== undefined) return drive.read(register, hob);
    if (drive0 === undefined) return NOBODY;
    // Device 0 answers for a device 1 that is not there: status 0.
    if (register === STATUS) return 0;
    const value = drive0.read(register, hob);
    return register === DEVICE ? value | DEVICE_DEV : value;
  }

  #read(offset: number, width: AccessWidth): number {
    if (offset === 0 && width > 1) {
      const drive = this.#selected;
      if (drive === undefined) return NOBODY;
      const low = drive.readData();
      return width === 2 ? low : (drive.readData() << 16 | low) >>> 0;
    }
    let value = 0;
    for (let i = 0; i < width; i++) {
      value += this.#readByte(offset + i) * 2 ** (8 * i);
    }
    return value;
  }

  #readByte(offset: number): number {
    // The data register is 16 bits wide.
    if (offset === 0) return 0xff;
    const value = this.#register(offset);
    if (offset === STATUS) this.#selected?.acknowledge();
    return value;
  }

  #write(offset: number, width: AccessWidth, value: number): void {
    if (offset === 0 && width > 1) {
      const drive = this.#selected;
      drive?.writeData(value & 0xffff);
      if (width === 4) drive?.writeData(value >>> 16);
      return;
    }
    for (let i = 0; i < width; i++) {
      this.#writeByte(offset + i, value >>> 8 * i & 0xff);
    }
  }

  /** Both drives take what is written; the selected one the command. */
  #writeByte(offset: number, value: number): void {
    const state = this.#state;
    if (offset === 0 || (state.control & CONTROL_SRST) !== 0) return;
    // Writing any register of the command block clears HOB.
    state.control &= ~CONTROL_HOB;
    if (offset === STATUS) {
      const { command, number = 0 } = this.#parts;
      if (command?.isHeard === true) {
        const drive = state.selected;
        command.tell({ channel: number, drive, command: value });
      }
      if (value === Command.EXECUTE_DEVICE_DIAGNOSTIC) return this.#diagnose();
      this.#selected?.command(value);
      return;
    }
    if (this.#selected?.busy === true) return;
    for (const drive of this.#present) drive.write(offset, value);
    if (offset !== DEVICE) return;
    state.selected = (value & DEVICE_DEV) === 0 ? 0 : 1;
    this.#update();
  }

  /** EXECUTE DEVICE DIAGNOSTIC goes to both, and device 0 interrupts. */
  #diagnose(): void {
    if (this.#present.length === 0 || this.#present.some((d) => d.busy)) return;
    for (const drive of this.#present) drive.softReset();
    this.#state.selected = 0;
    this.#present[0].diagnosed();
  }

  #writeControl(value: number): void {
    const state = this.#state;
    const before = state.control;
    state.control = value & (CONTROL_HOB | CONTROL_SRST | CONTROL_NIEN);
    const changed = before ^ state.control;
    if ((changed & CONTROL_SRST) !== 0) {
      const held = (value & CONTROL_SRST) !== 0;
      state.selected = 0;
      for (const drive of this.#present) {
        if (held) drive.holdReset();
        else drive.softReset();
      }
    }
    this.#update();
  }

  /** Assign a state as after power-on. */
  reset(): void {
    this.#state = { selected: 0, control: 0 };
    for (const drive of this.#present) drive.powerOn();
    this.#update();
  }

  #record(drive: (drive: Drive) => DriveState): ChannelRecord {
    const [unit0, unit1] = this.#parts.drives;
    return {
      ...this.#state,
      ...unit0 === undefined ? {} : { unit0: drive(unit0) },
      ...unit1 === undefined ? {} : { unit1: drive(unit1) },
    };
  }

  /** The registers and those of the drives, to be saved. */
  get saved(): ChannelRecord {
    return this.#record((drive) => drive.saved);
  }

  /** A record to load into: one of the same drives fits. */
  template(): ChannelRecord {
    return this.#record((drive) => drive.template());
  }

  /** Go on from a loaded record. */
  restore({ unit0, unit1, ...state }: ChannelRecord): void {
    this.#state = state;
    const [drive0, drive1] = this.#parts.drives;
    if (unit0 !== undefined) drive0?.restore(unit0);
    if (unit1 !== undefined) drive1?.restore(unit1);
    const enabled = (state.control & CONTROL_NIEN) === 0;
    this.#parts.irq.set(enabled && this.#selected?.pending === true);
  }
}
