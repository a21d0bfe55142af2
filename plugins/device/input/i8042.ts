/**
 * The AT keyboard controller with the PS/2's auxiliary port.
 *
 * Datasheets: Intel 8042 (UPI-41); its program as in the IBM PS/2 Hardware
 * Interface Technical Reference, "Keyboard and auxiliary device controller".
 *
 * Commands take no time. A port with nothing on it answers as the controller
 * does when the transmission times out: FEh with the timeout bit.
 *
 * @module
 */

import type { A20Gate } from "../../../core/machine/a20_gate.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type { DeviceEvent } from "../../../core/machine/device_events.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  Logger,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import type { Ps2Controller, Ps2Device, Ps2Host } from "./ps2.ts";

/** Status: output buffer full. */
const STATUS_OBF = 0x01;
/** Status: the system flag, as in the command byte. */
const STATUS_SYS = 0x04;
/** Status: the last write was a command. */
const STATUS_COMMAND = 0x08;
/** Status: the keyboard is not locked. */
const STATUS_UNLOCKED = 0x10;
/** Status: the output buffer is from the auxiliary device. */
const STATUS_AUX = 0x20;
/** Status: a transmission timed out. */
const STATUS_TIMEOUT = 0x40;

/** Command byte. */
const CTR_KBD_INT = 0x01;
const CTR_AUX_INT = 0x02;
const CTR_SYS = 0x04;
const CTR_KBD_DISABLE = 0x10;
const CTR_AUX_DISABLE = 0x20;
const CTR_TRANSLATE = 0x40;
/** As firmware leaves it: machines here start without firmware. */
const CTR_DEFAULT = CTR_KBD_INT | CTR_SYS | CTR_TRANSLATE;

/** Output port: the CPU's reset line, active low. */
const OUT_NOT_RESET = 0x01;
/** Output port: the A20 gate. */
const OUT_A20 = 0x02;
/** Output port: output buffer full, which is the interrupt. */
const OUT_KBD = 0x10;
const OUT_AUX = 0x20;
/** Output port: the clocks and data of the mouse and of the keyboard. */
const OUT_LINES = 0xcc;
/** Input port: the keyboard is not locked, and there is a colour display. */
const INPUT_PORT = 0x80;

/** Answers. */
const SELF_TEST_PASSED = 0x55;
const PORT_TEST_PASSED = 0x00;
const NO_PASSWORD = 0xf1;
const RESEND = 0xfe;

/** In the queue of answers: from the auxiliary port; after a timeout. */
const FROM_AUX = 0x100;
const TIMED_OUT = 0x200;
/** More answers than any command gives. */
const MAX_ANSWERS = 16;

/** Scan code set 2: the next code is of a key that was released. */
const BREAK_PREFIX = 0xf0;
/**
 * From scan code set 2 to set 1, as the controller's ROM has it (Microsoft,
 * "Keyboard scan code specification", appendix A).
 */
const TRANSLATION = Uint8Array.from(
  ("ff43413f3d3b3c58644442403e0f2959" +
    "65382a701d10025a66712c1f1e11035b" +
    "672e2d201205045c68392f211413065d" +
    "693130232215075e6a7232241608095f" +
    "6b332517180b0a606c34352627190c61" +
    "6d7328741a0d626e3a361c1b752b6376" +
    "55567778797a0e7b7c4f7d4b477e7f6f" +
    "5253504c4d480145574e514a37494654")
    .match(/../g)!,
  (byte) => parseInt(byte, 16),
);

interface I8042State {
  /** The controller's 32 bytes of memory; the first is the command byte. */
  ram: Uint8Array;
  /** The output buffer. */
  data: number;
  /** OBF, AUX and TIMEOUT of the status register. */
  status: number;
  /** The command that waits for its data byte, or 0. */
  command: number;
  /** The last write was a command. */
  wasCommand: boolean;
  /** The A20 gate. */
  a20: boolean;
  /** Answers that wait for the output buffer. */
  answers: number[];
  /** Translation has seen the prefix of a released key. */
  released: boolean;
}

function freshState(): I8042State {
  const ram = new Uint8Array(32);
  ram[0] = CTR_DEFAULT;
  return {
    ram,
    data: 0,
    status: 0,
    command: 0,
    wasCommand: true,
    a20: true,
    answers: [],
    released: false,
  };
}

/** The keyboard controller. */
export class I8042 implements Device, Ps2Controller, A20Gate {
  #state = freshState();
  readonly #name: string;
  readonly #log: Logger;
  readonly #kbd: IrqLine;
  readonly #aux: IrqLine;
  readonly #a20: IrqLine;
  readonly #reset: IrqLine;
  readonly #byte: DeviceEvent<{ byte: number; auxiliary: boolean }>;
  #keyboard: Ps2Device | undefined;
  #auxiliary: Ps2Device | undefined;

  /** A controller in its reset state, with nothing on its ports. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    this.#log = context.log;
    this.#kbd = context.output("kbd");
    this.#aux = context.output("aux");
    this.#a20 = context.output("a20");
    this.#reset = context.output("reset");
    this.#byte = context.event("byte");
    this.#a20.raise();
    context.io("data", {
      widths: [1],
      read: () => this.#readData(),
      write: (_offset, _width, value) => this.#writeData(value),
    });
    context.io("command", {
      widths: [1],
      read: () => this.#readStatus(),
      write: (_offset, _width, value) => this.#command(value),
    });
  }

  /** Attach a device to a port. */
  attach(port: "keyboard" | "auxiliary", device: Ps2Device): Ps2Host {
    if (port === "keyboard") this.#keyboard = device;
    else this.#auxiliary = device;
    return { notify: () => this.#fill() };
  }

  #readStatus(): number {
    const s = this.#state;
    return s.status | STATUS_UNLOCKED |
      ((s.ram[0] & CTR_SYS) !== 0 ? STATUS_SYS : 0) |
      (s.wasCommand ? STATUS_COMMAND : 0);
  }

  #readData(): number {
    const s = this.#state;
    const value = s.data;
    if ((s.status & STATUS_OBF) !== 0) {
      s.status = 0;
      // The line goes down even if another byte follows: that is its edge.
      this.#update();
      this.#fill();
    }
    return value;
  }

  /** Put the next byte into the output buffer, if there is room. */
  #fill(): void {
    const s = this.#state;
    if ((s.status & STATUS_OBF) !== 0) return;
    const answer = s.answers.shift();
    if (answer !== undefined) {
      s.data = answer & 0xff;
      s.status = STATUS_OBF | ((answer & FROM_AUX) !== 0 ? STATUS_AUX : 0) |
        ((answer & TIMED_OUT) !== 0 ? STATUS_TIMEOUT : 0);
    } else if (!this.#takeKeyboard() && !this.#takeAuxiliary()) return;
    if (answer === undefined && this.#byte.isHeard) {
      const auxiliary = (s.status & STATUS_AUX) !== 0;
      this.#byte.tell({ byte: s.data, auxiliary });
    }
    this.#update();
  }

  #takeKeyboard(): boolean {
    const s = this.#state;
    if ((s.ram[0] & CTR_KBD_DISABLE) !== 0) return false;
    for (;;) {
      const byte = this.#keyboard?.take() ?? -1;
      if (byte < 0) return false;
      if ((s.ram[0] & CTR_TRANSLATE) === 0) {
        s.data = byte;
      } else if (byte === BREAK_PREFIX) {
        s.released = true;
        continue;
      } else {
        s.data = translate(byte) | (s.released ? 0x80 : 0);
        s.released = false;
      }
      s.status = STATUS_OBF;
      return true;
    }
  }

  #takeAuxiliary(): boolean {
    const s = this.#state;
    if ((s.ram[0] & CTR_AUX_DISABLE) !== 0) return false;
    const byte = this.#auxiliary?.take() ?? -1;
    if (byte < 0) return false;
    s.data = byte;
    s.status = STATUS_OBF | STATUS_AUX;
    return true;
  }

  #answer(value: number): void {
    const { answers } = this.#state;
    if (answers.length < MAX_ANSWERS) answers.push(value);
    this.#fill();
  }

  /** Drive the interrupts: "output buffer full", from either port. */
  #update(): void {
    const { status, ram } = this.#state;
    const full = (status & STATUS_OBF) !== 0;
    const aux = (status & STATUS_AUX) !== 0;
    this.#kbd.set(full && !aux && (ram[0] & CTR_KBD_INT) !== 0);
    this.#aux.set(full && aux && (ram[0] & CTR_AUX_INT) !== 0);
  }

  /** A byte for port 64h. */
  #command(value: number): void {
    const s = this.#state;
    s.wasCommand = true;
    s.command = 0;
    if (value >= 0x20 && value <= 0x3f) return this.#answer(s.ram[value & 31]);
    if (value >= 0x60 && value <= 0x7f) {
      s.command = value;
      return;
    }
    if (value >= 0xf0) {
      // "Pulse output port": bits that are 0 pulse low; bit 0 is reset.
      if ((value & OUT_NOT_RESET) === 0) this.#reset.pulse();
      return;
    }
    switch (value) {
      case 0xa4:
        return this.#answer(NO_PASSWORD);
      case 0xa7:
        return this.#setCommandByte(s.ram[0] | CTR_AUX_DISABLE);
      case 0xa8:
        return this.#setCommandByte(s.ram[0] & ~CTR_AUX_DISABLE);
      case 0xa9:
      case 0xab:
        return this.#answer(PORT_TEST_PASSED);
      case 0xaa:
        // The self test sets the system flag and forgets what was under way.
        s.answers = [];
        s.status = 0;
        s.ram[0] |= CTR_SYS;
        this.#update();
        return this.#answer(SELF_TEST_PASSED);
      case 0xad:
        return this.#setCommandByte(s.ram[0] | CTR_KBD_DISABLE);
      case 0xae:
        return this.#setCommandByte(s.ram[0] & ~CTR_KBD_DISABLE);
      case 0xc0:
        return this.#answer(INPUT_PORT);
      case 0xd0:
        return this.#answer(this.#outputPort());
      case 0xd1:
      case 0xd2:
      case 0xd3:
      case 0xd4:
        s.command = value;
        return;
      case 0xdd:
        this.a20 = false;
        return;
      case 0xdf:
        this.a20 = true;
        return;
      case 0xe0:
        // Test inputs: both clocks are high.
        return this.#answer(0x03);
      default:
        this.#log.guest(
          "unknown keyboard controller command",
          `0x${value.toString(16)}`,
        );
    }
  }

  #outputPort(): number {
    const { a20 } = this.#state;
    return OUT_LINES | OUT_NOT_RESET | (a20 ? OUT_A20 : 0) |
      (this.#kbd.level ? OUT_KBD : 0) | (this.#aux.level ? OUT_AUX : 0);
  }

  /** The A20 gate. */
  get a20(): boolean {
    return this.#state.a20;
  }

  /** The A20 gate. */
  set a20(level: boolean) {
    this.#state.a20 = level;
    this.#a20.set(level);
  }

  #setCommandByte(value: number): void {
    this.#state.ram[0] = value;
    this.#update();
    this.#fill();
  }

  /** A byte for port 60h: a command's, or the keyboard's. */
  #writeData(value: number): void {
    const s = this.#state;
    const { command } = s;
    s.wasCommand = false;
    s.command = 0;
    if (command >= 0x60 && command <= 0x7f) {
      if (command === 0x60) this.#setCommandByte(value);
      else s.ram[command & 31] = value;
      return;
    }
    switch (command) {
      case 0xd1:
        this.a20 = (value & OUT_A20) !== 0;
        if ((value & OUT_NOT_RESET) === 0) this.#reset.pulse();
        return;
      case 0xd2:
        return this.#answer(value);
      case 0xd3:
        return this.#answer(value | FROM_AUX);
      case 0xd4:
        // Sending to a device enables its port.
        s.ram[0] &= ~CTR_AUX_DISABLE;
        if (this.#auxiliary !== undefined) this.#auxiliary.receive(value);
        else this.#answer(RESEND | FROM_AUX | TIMED_OUT);
        return;
    }
    s.ram[0] &= ~CTR_KBD_DISABLE;
    if (this.#keyboard !== undefined) this.#keyboard.receive(value);
    else this.#answer(RESEND | TIMED_OUT);
  }

  /** Power-on. A20 is open, as the chip's pins float high. */
  reset(): void {
    this.#state = freshState();
    this.#update();
    this.#reset.lower();
    this.#a20.raise();
  }

  /** The controller; a device on a port has a state of its own. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The controller; a device on a port has a state of its own. */
  load(record: StateRecord): void {
    this.#state = loadState(freshState(), record, this.#name);
    this.#a20.set(this.#state.a20);
    this.#update();
  }
}

/** A code of scan code set 2 in set 1; answers such as FAh stay. */
function translate(byte: number): number {
  if (byte < 0x80) return TRANSLATION[byte];
  if (byte === 0x83) return 0x41;
  if (byte === 0x84) return 0x54;
  return byte;
}

/** The `i8042` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "i8042",
  version: "1.0.0",
  description: "The AT keyboard controller with an auxiliary port",
  regions: {
    data: { space: "ports", size: 1, at: 0x60 },
    command: { space: "ports", size: 1, at: 0x64 },
  },
  outputs: ["kbd", "aux", "a20", "reset"],
  events: {
    byte: {
      description:
        "The guest can read a byte of the keyboard's, a scan code (translated, if it wants that), or of the mouse's (`auxiliary`)",
      data: { byte: "number", auxiliary: "boolean" },
    },
  },
  provides: ["ps2-controller", "a20-gate"],
  create: (_config, context) => new I8042(context),
};
export default plugin;
