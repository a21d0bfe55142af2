/**
 * The PS/2 keyboard with 101 or 102 keys.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and
 * 102-key)": "Commands from the system", "Commands to the system", scan code
 * sets 1 to 3.
 *
 * The key that was pressed last repeats while it is held, in virtual time and at
 * the rate that the guest has set, as in a real keyboard; what the host repeats
 * is dropped. QEMU's keyboard has no repetition of its own and passes the
 * host's, which `typematic: false` does here. The time until the first
 * repetition begins when the guest has taken the code and who sent it had his
 * turn: a release that waits behind a slow guest is not too late for it. And it
 * takes as much of the host's time, nearly: virtual time may fly, as it does
 * when it catches up or with `icount`, while a human holds a key as long as
 * ever. A repetition that finds codes in the buffer adds none, so that a guest
 * which takes nothing does not lose the release to an overrun.
 *
 * Num lock is what its light shows: the keyboard knows no more of it. What
 * firmware reads after power-on (the self test's AAh) is not sent, for machines
 * start without firmware; a reset by command sends it, at once.
 *
 * @module
 */

import type { InputBackend, InputEvent } from "../../../core/backend/input.ts";
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
import { type Clock, SECOND, type Timer } from "../../../core/time/clock.ts";
import type { Ps2Controller, Ps2Device, Ps2Host } from "./ps2.ts";
import {
  fakeShifts,
  KEYS,
  NEVER_BREAK,
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

/** Sets 2 and 3: the next code is of a key that was released. */
const BREAK_PREFIX = 0xf0;

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
/** The rate's bits 5 and 6: quarters of a second before it repeats, less one. */
const DELAY_UNIT = SECOND / 4;
/** The period is (8 + bits 0 to 2) times two to bits 3 and 4 of these. */
const PERIOD_UNIT = SECOND / 240;
/**
 * The part of a delay that must have passed at the host, too: its timers are
 * late by a few milliseconds, and the rate is to be the guest's.
 */
const HOST_PART = 0.8;
const MILLISECOND = SECOND / 1000;
/** The light of num lock. */
const LED_NUM_LOCK = 2;

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
  /** Keys that are down, by their place in `KEYS`. */
  held: Uint8Array;
  /** The key that was pressed last and is down, by its place in `KEYS`, or -1. */
  repeating: number;
  /** When it repeats, in nanoseconds of virtual time; -1 while it waits. */
  due: number;
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
    held: new Uint8Array(KEYS.length),
    repeating: -1,
    due: -1,
    printScreen: "shifted",
  };
}

/** The places of keys in `KEYS`. */
const PLACES: ReadonlyMap<string, number> = new Map(
  KEYS.map((code, place) => [code, place]),
);

/** A key's code in set 3, or 0. */
function set3Of(code: string): number {
  if (code === "Pause") return SET3_PAUSE;
  if (code === "PrintScreen") return SET3_PRINT_SCREEN;
  return SCAN_CODES.get(code)?.set3 ?? 0;
}

/** Configuration of the keyboard. */
export interface Ps2KeyboardConfig {
  /** It repeats keys itself; else those pass that the host repeats. */
  readonly typematic: boolean;
}

/** A PS/2 keyboard. */
export class Ps2Keyboard implements Device, Ps2Device {
  readonly #name: string;
  readonly #typematic: boolean;
  readonly #host: Ps2Host;
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #input: InputBackend | undefined;
  #state = freshState();
  /** Who waits for the buffer to be empty; told since when it is. */
  #waiting: ((since: number) => void)[] = [];
  /** Enough of the host's time has passed for a repetition. */
  #permitted = true;
  /** A repetition was due before that. */
  #overdue = false;
  #cancel: () => void = () => {};

  /** A keyboard on its controller. */
  constructor(config: Ps2KeyboardConfig, context: DeviceContext) {
    this.#name = context.name;
    this.#typematic = config.typematic;
    this.#clock = context.clock;
    this.#timer = context.clock.timer(() => this.#repeat());
    const controller = context.collaborator<Ps2Controller>("controller");
    this.#host = controller.attach("keyboard", this);
    this.#input = context.inputs("input");
    this.#input?.onEvent((event) => this.#onEvent(event));
  }

  /** The lights: bit 0 scroll lock, 1 num lock, 2 caps lock. */
  get leds(): number {
    return this.#state.leds;
  }

  #onEvent(event: InputEvent): void | Promise<void> {
    if (event.type !== "key") return;
    this.key(event.code, event.down);
    if (this.#state.buffer.length === 0) return;
    return new Promise<number>((resolve) => this.#waiting.push(resolve))
      .then((since) => this.#await(since));
  }

  /**
   * A key by its `KeyboardEvent.code` goes down, is repeated by the host, or
   * goes up; keys that the keyboard does not have are ignored.
   */
  key(code: string, down: boolean): void {
    const s = this.#state;
    const place = PLACES.get(code);
    if (place === undefined) return;
    const wasDown = s.held[place] === 1;
    // What was not pressed cannot be released.
    if (!down && !wasDown) return;
    if (down && wasDown) {
      if (!this.#typematic) this.#putAgain(code);
      return;
    }
    if (down && code === "PrintScreen") s.printScreen = this.#form();
    s.held[place] = down ? 1 : 0;
    // "Typematic operation stops when the last key pressed is released, even
    // if other keys are still held down."
    if (down || s.repeating === place) this.#stop();
    if (down && this.#typematic) s.repeating = place;
    if (s.enabled) this.#put(this.#codes(code, down));
    if (s.buffer.length === 0) this.#await();
  }

  /** What a key sends when it goes down or up. */
  #codes(code: string, down: boolean): readonly number[] {
    const s = this.#state;
    if (s.set === 3) {
      const set3 = set3Of(code);
      if (set3 === 0) return [];
      if (down) return [set3];
      return (s.types[set3] & BREAKS) !== 0 ? [BREAK_PREFIX, set3] : [];
    }
    const set = s.set === 1 ? 1 : 2;
    if (code === "PrintScreen") {
      return printScreenSequence(set, s.printScreen, down);
    }
    if (code === "Pause") {
      const control = this.#isHeld("ControlLeft", "ControlRight");
      return down ? pauseSequence(set, control) : [];
    }
    if (!down && NEVER_BREAK.has(code)) return [];
    const { set1, set2 } = SCAN_CODES.get(code)!;
    const own = sequence(set, set === 1 ? set1 : set2, down);
    const fake = fakeShifts(code, set, down, {
      left: this.#isHeld("ShiftLeft"),
      right: this.#isHeld("ShiftRight"),
      numLock: (s.leds & LED_NUM_LOCK) !== 0,
    });
    return down ? [...fake, ...own] : [...own, ...fake];
  }

  /** A key that is held sends its make code again, if it is one that repeats. */
  #putAgain(code: string): void {
    const s = this.#state;
    if (!s.enabled) return;
    if (s.set === 3) {
      const set3 = set3Of(code);
      if (set3 !== 0 && (s.types[set3] & REPEATS) !== 0) this.#put([set3]);
      return;
    }
    const set = s.set === 1 ? 1 : 2;
    if (code === "PrintScreen") {
      this.#put(printScreenSequence(set, s.printScreen, true, true));
    } else if (code !== "Pause") {
      const { set1, set2 } = SCAN_CODES.get(code)!;
      this.#put(sequence(set, set === 1 ? set1 : set2, true));
    }
  }

  /**
   * The guest has taken the last key's code: it repeats after the delay. The
   * sender is told first, and hears of it behind the slice, wherever that ends.
   */
  #await(since: number = this.#clock.now()): void {
    const s = this.#state;
    if (s.repeating < 0 || s.due >= 0) return;
    const delay = (1 + (s.rate >> 5)) * DELAY_UNIT;
    s.due = since + delay;
    this.#timer.arm(s.due);
    this.#waitForHost(delay);
  }

  /** Repeat nothing until so much of the host's time has passed. */
  #waitForHost(nanoseconds: number): void {
    const milliseconds = nanoseconds / MILLISECOND * HOST_PART;
    this.#cancel();
    this.#overdue = false;
    this.#permitted = false;
    const cancel = this.#input?.after?.(milliseconds, () => {
      this.#permitted = true;
      if (this.#overdue) this.#repeat();
    });
    if (cancel === undefined) this.#permitted = true;
    this.#cancel = cancel ?? (() => {});
  }

  /** The held key is to be repeated. */
  #repeat(): void {
    const s = this.#state;
    const code = KEYS[s.repeating];
    if (code === undefined) return;
    if (!this.#permitted) {
      this.#overdue = true;
      return;
    }
    if (s.buffer.length === 0) this.#putAgain(code);
    const period = (8 + (s.rate & 7)) * 2 ** (s.rate >> 3 & 3) * PERIOD_UNIT;
    s.due = Math.round(Math.max(s.due, this.#clock.now() - period) + period);
    this.#timer.arm(s.due);
    this.#waitForHost(period);
  }

  /** No key is repeated any more. */
  #stop(): void {
    this.#timer.cancel();
    this.#cancel();
    this.#state.repeating = -1;
    this.#state.due = -1;
  }

  #isHeld(...codes: string[]): boolean {
    const { held } = this.#state;
    return codes.some((code) => held[PLACES.get(code)!] === 1);
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
    if (codes.length === 0 || buffer.length > BUFFER) return;
    if (buffer.length + codes.length <= BUFFER) buffer.push(...codes);
    else buffer.push(set === 1 ? OVERRUN_SET_1 : OVERRUN);
    this.#host.notify();
  }

  #clear(): void {
    this.#stop();
    this.#state.buffer = [];
    this.#release();
  }

  /** The buffer is empty: who waits for that is told before a key may repeat. */
  #release(): void {
    if (this.#waiting.length === 0) this.#await();
    this.#tellWaiting();
  }

  #tellWaiting(): void {
    const now = this.#clock.now();
    for (const resolve of this.#waiting.splice(0)) resolve(now);
  }

  #setLeds(leds: number): void {
    this.#state.leds = leds;
    this.#input?.leds?.(leds);
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
        this.#setLeds(0);
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
        this.#setLeds(byte & 7);
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
    this.#stop();
    this.#state = freshState();
    this.#setLeds(0);
    this.#release();
  }

  /** The keyboard; what its controller took is the controller's. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The keyboard; what its controller took is the controller's. */
  load(record: StateRecord): void {
    const state = loadState(freshState(), record, this.#name);
    this.#stop();
    this.#state = state;
    if (state.due >= 0) {
      this.#timer.arm(state.due);
      this.#waitForHost(Math.max(0, state.due - this.#clock.now()));
    }
    this.#setLeds(state.leds);
    this.#tellWaiting();
  }
}

/** The `ps2-keyboard` plugin. */
const plugin: DevicePlugin<Ps2KeyboardConfig> = {
  type: "device",
  name: "ps2-keyboard",
  version: "1.0.0",
  description: "A PS/2 keyboard with 101 or 102 keys",
  config: {
    type: "object",
    properties: {
      typematic: {
        type: "boolean",
        description:
          "It repeats held keys itself, rather than as the host does",
        default: true,
      },
    },
  },
  uses: { controller: "ps2-controller" },
  backends: { input: { type: "input", optional: true } },
  create: (config, context) => new Ps2Keyboard(config, context),
};
export default plugin;
