/**
 * The PS/2 keyboard with 101 or 102 keys.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and
 * 102-key)": "Commands from the system", "Commands to the system", scan code
 * sets 1 to 3.
 *
 * Keys come from the host, repeats included: the keyboard has no timer. What
 * firmware reads after power-on (the self test's AAh) is not sent, for machines
 * start without firmware; a reset by command sends it, at once.
 *
 * @module
 */

import type { InputEvent } from "../../../core/backend/input.ts";
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
import type { Ps2Controller, Ps2Device, Ps2Host } from "./ps2.ts";
import {
  pauseSequence,
  type PrintScreenForm,
  printScreenSequence,
  SCAN_CODES,
  sequence,
  SET3_MAKE_BREAK,
  SET3_MAKE_ONLY,
  SET3_PAUSE,
  SET3_PRINT_SCREEN,
} from "./scan_codes.ts";

/** Commands. */
const SET_LEDS = 0xed;
const ECHO = 0xee;
const SCAN_CODE_SET = 0xf0;
const READ_ID = 0xf2;
const SET_TYPEMATIC = 0xf3;
const ENABLE = 0xf4;
const DEFAULT_DISABLE = 0xf5;
const SET_DEFAULT = 0xf6;
/** F7h to FAh set all keys' types, FBh to FDh those of the keys that follow. */
const ALL_TYPEMATIC = 0xf7;
const ALL_BOTH = 0xfa;
const KEY_TYPEMATIC = 0xfb;
const KEY_MAKE_ONLY = 0xfd;
const RESEND = 0xfe;
const RESET = 0xff;
/** From here on a byte is a command, even where a parameter is due. */
const FIRST_COMMAND = 0xed;

/** Answers. */
const ACK = 0xfa;
const SELF_TEST_PASSED = 0xaa;
const ID = [0xab, 0x83] as const;

/** Codes that the buffer holds; one more is the overrun code. */
const BUFFER = 16;
const OVERRUN_SET_1 = 0xff;
const OVERRUN = 0x00;

/** Typematic rate after power-on: 10.9 a second after 500 ms. */
const DEFAULT_RATE = 0x2b;

/** Types of keys in set 3: it repeats; it sends a break code. */
const REPEATS = 1;
const BREAKS = 2;
/** The types that F7h to FAh, and FBh to FDh, set. */
const TYPES = [REPEATS, BREAKS, 0, REPEATS | BREAKS] as const;

interface KeyboardState {
  /** Codes that the controller has not taken yet. */
  buffer: number[];
  /** Answers: they go before the codes. */
  answers: number[];
  /** The last byte that was sent, for `RESEND`. */
  last: number;
  /** The command that waits for a parameter, or 0. */
  command: number;
  /** Keys are scanned. */
  enabled: boolean;
  /** The scan code set. */
  set: number;
  /** Scroll lock, num lock and caps lock, in bits 0 to 2. */
  leds: number;
  /** The typematic rate and delay, as they were set. */
  rate: number;
  /** Types of keys in set 3, by their code there. */
  types: Uint8Array;
  /** Keys that are down, by their code in set 3. */
  held: Uint8Array;
  /** How PrintScreen went down. */
  printScreen: PrintScreenForm;
}

function defaultTypes(): Uint8Array {
  const types = new Uint8Array(256).fill(REPEATS);
  const give = (codes: readonly string[], type: number): void => {
    for (const code of codes) types[SCAN_CODES.get(code)!.set3] = type;
  };
  give(SET3_MAKE_BREAK, BREAKS);
  give(SET3_MAKE_ONLY, 0);
  types[SET3_PRINT_SCREEN] = 0;
  types[SET3_PAUSE] = 0;
  return types;
}

function freshState(): KeyboardState {
  return {
    buffer: [],
    answers: [],
    last: 0,
    command: 0,
    enabled: true,
    set: 2,
    leds: 0,
    rate: DEFAULT_RATE,
    types: defaultTypes(),
    held: new Uint8Array(256),
    printScreen: "shifted",
  };
}

/** A PS/2 keyboard. */
export class Ps2Keyboard implements Device, Ps2Device {
  readonly #name: string;
  readonly #host: Ps2Host;
  #state = freshState();
  /** Who waits for the buffer to be empty. */
  #waiting: (() => void)[] = [];

  /** A keyboard on its controller. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    const controller = context.collaborator<Ps2Controller>("controller");
    this.#host = controller.attach("keyboard", this);
    context.inputs("input")?.onEvent((event) => this.#onEvent(event));
  }

  /** The lights: bit 0 scroll lock, 1 num lock, 2 caps lock. */
  get leds(): number {
    return this.#state.leds;
  }

  #onEvent(event: InputEvent): void | Promise<void> {
    if (event.type !== "key") return;
    this.key(event.code, event.down);
    if (this.#state.buffer.length === 0) return;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * A key by its `KeyboardEvent.code` goes down, is repeated, or goes up; keys
   * that the keyboard does not have are ignored.
   */
  key(code: string, down: boolean): void {
    const s = this.#state;
    const codes = SCAN_CODES.get(code);
    const set3 = code === "Pause"
      ? SET3_PAUSE
      : code === "PrintScreen"
      ? SET3_PRINT_SCREEN
      : codes?.set3;
    if (set3 === undefined) return;
    const wasDown = s.held[set3] === 1;
    // What was not pressed cannot be released.
    if (!down && !wasDown) return;
    if (code === "PrintScreen" && !wasDown) s.printScreen = this.#form();
    s.held[set3] = down ? 1 : 0;
    if (!s.enabled) return;
    if (s.set === 3) {
      const type = s.types[set3];
      if (down && (!wasDown || (type & REPEATS) !== 0)) this.#put([set3]);
      else if (!down && (type & BREAKS) !== 0) this.#put([0xf0, set3]);
      return;
    }
    const set = s.set === 1 ? 1 : 2;
    if (code === "PrintScreen") {
      this.#put(printScreenSequence(set, s.printScreen, down));
    } else if (codes !== undefined) {
      const make = set === 1 ? codes.set1 : codes.set2;
      this.#put(sequence(set, make, down));
    } else if (down && !wasDown) {
      const control = this.#isHeld("ControlLeft", "ControlRight");
      this.#put(pauseSequence(set, control));
    }
  }

  #isHeld(...codes: string[]): boolean {
    const { held } = this.#state;
    return codes.some((code) => held[SCAN_CODES.get(code)!.set3] === 1);
  }

  #form(): PrintScreenForm {
    if (this.#isHeld("AltLeft", "AltRight")) return "sysrq";
    return this.#isHeld(
        ...["ShiftLeft", "ShiftRight", "ControlLeft", "ControlRight"],
      )
      ? "alone"
      : "shifted";
  }

  /** Codes for the buffer, all of them or the overrun code. */
  #put(codes: readonly number[]): void {
    const { buffer, set } = this.#state;
    if (buffer.length > BUFFER) return;
    if (buffer.length + codes.length <= BUFFER) buffer.push(...codes);
    else buffer.push(set === 1 ? OVERRUN_SET_1 : OVERRUN);
    this.#host.notify();
  }

  #clear(): void {
    this.#state.buffer = [];
    this.#release();
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The next byte for the controller, or -1. */
  take(): number {
    const s = this.#state;
    const byte = s.answers.shift() ?? s.buffer.shift();
    if (byte === undefined) return -1;
    if (s.buffer.length === 0) this.#release();
    return s.last = byte;
  }

  #answer(...bytes: number[]): void {
    const { answers } = this.#state;
    // Who sends without reading gets the last answers only.
    answers.push(...bytes);
    if (answers.length > BUFFER) answers.splice(0, answers.length - BUFFER);
    this.#host.notify();
  }

  /** A byte from the system: a command or its parameter. */
  receive(byte: number): void {
    const { command } = this.#state;
    this.#state.command = 0;
    if (command !== 0 && byte < FIRST_COMMAND) this.#parameter(command, byte);
    else this.#command(byte);
  }

  #command(byte: number): void {
    const s = this.#state;
    if (byte >= ALL_TYPEMATIC && byte <= ALL_BOTH) {
      s.types.fill(TYPES[byte - ALL_TYPEMATIC]);
      return this.#answer(ACK);
    }
    if (byte >= KEY_TYPEMATIC && byte <= KEY_MAKE_ONLY) {
      s.command = byte;
      return this.#answer(ACK);
    }
    switch (byte) {
      case SET_LEDS:
      case SCAN_CODE_SET:
      case SET_TYPEMATIC:
        s.command = byte;
        return this.#answer(ACK);
      case ECHO:
        return this.#answer(ECHO);
      case READ_ID:
        return this.#answer(ACK, ...ID);
      case ENABLE:
        this.#clear();
        s.enabled = true;
        return this.#answer(ACK);
      case DEFAULT_DISABLE:
      case SET_DEFAULT:
        this.#clear();
        this.#setDefaults();
        s.enabled = byte === SET_DEFAULT && s.enabled;
        return this.#answer(ACK);
      case RESEND:
        return this.#answer(s.last);
      case RESET: {
        // The self test forgets all but which keys are down.
        const { held } = s;
        this.#clear();
        this.#state = { ...freshState(), held };
        return this.#answer(ACK, SELF_TEST_PASSED);
      }
      default:
        return this.#answer(RESEND);
    }
  }

  #setDefaults(): void {
    const { set, rate, types } = freshState();
    Object.assign(this.#state, { set, rate, types });
  }

  #parameter(command: number, byte: number): void {
    const s = this.#state;
    switch (command) {
      case SET_LEDS:
        s.leds = byte & 7;
        return this.#answer(ACK);
      case SET_TYPEMATIC:
        s.rate = byte & 0x7f;
        return this.#answer(ACK);
      case SCAN_CODE_SET:
        if (byte === 0) return this.#answer(ACK, s.set);
        if (byte > 3) return this.#answer(RESEND);
        this.#clear();
        s.set = byte;
        return this.#answer(ACK);
      default:
        // FBh to FDh: keys by their set 3 codes, until a command comes.
        s.types[byte] = TYPES[command - KEY_TYPEMATIC];
        s.command = command;
        return this.#answer(ACK);
    }
  }

  /** Power-on, after the self test. */
  reset(): void {
    this.#state = freshState();
    this.#release();
  }

  /** The keyboard; what its controller took is the controller's. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The keyboard; what its controller took is the controller's. */
  load(record: StateRecord): void {
    this.#state = loadState(freshState(), record, this.#name);
    this.#release();
  }
}

/** The `ps2-keyboard` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "ps2-keyboard",
  version: "1.0.0",
  description: "A PS/2 keyboard with 101 or 102 keys",
  uses: { controller: "ps2-controller" },
  backends: { input: { type: "input", optional: true } },
  create: (_config, context) => new Ps2Keyboard(context),
};
export default plugin;
