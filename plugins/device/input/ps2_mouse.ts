/**
 * The PS/2 mouse, which becomes an IntelliMouse (with a wheel) or an
 * IntelliMouse Explorer (with five buttons) for a driver that asks for it.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft,
 * "PS/2 IntelliMouse Explorer detection": sample rates that are set to 200, 100
 * and 80 in turn make it an IntelliMouse, 200, 200 and 80 an Explorer.
 *
 * Between two packets there is at least a period of the sample rate, in virtual
 * time. Motion that one packet has no room for goes with the next; a click that
 * is shorter than a period is not lost. As with the keyboard, what the self
 * test says after power-on is not sent.
 *
 * @module
 */

import type { InputEvent } from "../../../core/backend/input.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import type { SetupMemory } from "../../../core/machine/setup_memory.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import { type Clock, SECOND, type Timer } from "../../../core/time/clock.ts";
import type { Ps2Controller, Ps2Device, Ps2Host } from "./ps2.ts";

/** CMOS: the equipment byte, and its bit of a pointing device. */
const CMOS_EQUIPMENT = 0x14;
const EQUIPMENT_POINTER = 0x04;

/** Commands. */
const SCALING_1_TO_1 = 0xe6;
const SCALING_2_TO_1 = 0xe7;
const SET_RESOLUTION = 0xe8;
const STATUS_REQUEST = 0xe9;
const SET_STREAM_MODE = 0xea;
const READ_DATA = 0xeb;
const RESET_WRAP_MODE = 0xec;
const SET_WRAP_MODE = 0xee;
const SET_REMOTE_MODE = 0xf0;
const READ_ID = 0xf2;
const SET_SAMPLE_RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_DEFAULTS = 0xf6;
const RESEND = 0xfe;
const RESET = 0xff;

/** Answers. */
const ACK = 0xfa;
const SELF_TEST_PASSED = 0xaa;
/** To what the mouse does not understand, and to more of it. */
const SEND_AGAIN = 0xfe;
const ERROR = 0xfc;

/** What it is, as `READ_ID` tells. */
const ID_STANDARD = 0;
const ID_WHEEL = 3;
const ID_EXPLORER = 4;
/** The sample rates, set one after the other, that change what it is. */
const KNOCK_WHEEL = "200,100,80";
const KNOCK_EXPLORER = "200,200,80";

/** Sample rates that there are, in packets a second. */
const RATES: readonly number[] = [10, 20, 40, 60, 80, 100, 200];
const DEFAULT_RATE = 100;
/** Resolutions are 1, 2, 4 and 8 counts a millimetre. */
const MAX_RESOLUTION = 3;
const DEFAULT_RESOLUTION = 2;

/** The first byte of a packet, beside the buttons in bits 0 to 2. */
const PACKET_ALWAYS = 0x08;
const PACKET_X_SIGN = 0x10;
const PACKET_Y_SIGN = 0x20;
const PACKET_X_OVERFLOW = 0x40;
const PACKET_Y_OVERFLOW = 0x80;
/** The first byte of the answer to `STATUS_REQUEST`. */
const STATUS_SCALING = 0x10;
const STATUS_ENABLED = 0x20;
const STATUS_REMOTE = 0x40;

/** What an axis' nine bits hold, and the wheel's four. */
const AXIS_MIN = -256;
const AXIS_MAX = 255;
const WHEEL_MIN = -8;
const WHEEL_MAX = 7;
/** Counts that may wait on an axis: more is lost, and the overflow bit tells. */
const COUNTS = 4095;
/** Turns of the wheel that may wait. */
const TURNS = 63;
/** Scaling 2:1 of small motions; it doubles others. */
const SCALED: readonly number[] = [0, 1, 1, 3, 6, 9];

/** Changes of buttons that may wait; the last ones merge. */
const MOVES = 16;
/** More bytes than any command is answered with. */
const ANSWERS = 16;

/**
 * Counts of a way over the whole screen, for a pointer that gives positions: as
 * many as a screen of 1024x768 has pixels.
 */
const SCREEN_COUNTS = [1024, 768] as const;
/** Positions of an axis. */
const POSITIONS = 65536;

/** A packet's bit for each button of an `InputEvent`. */
const BUTTON_BITS: readonly number[] = [1, 4, 2, 8, 16];
const STANDARD_BUTTONS = 0x07;

/** Motion while the buttons stay as they are. */
interface Move {
  /** The buttons: left, right, middle, fourth, fifth from bit 0 on. */
  buttons: number;
  /** Counts to the right. */
  x: number;
  /** Counts upwards. */
  y: number;
  /** Turns of the wheel towards the user. */
  wheel: number;
  /** `PACKET_X_OVERFLOW` and `PACKET_Y_OVERFLOW`. */
  overflow: number;
}

interface MouseState {
  /** Answers: they go before the packet. */
  answers: number[];
  /** What the controller has not yet taken of a packet. */
  packet: number[];
  /** The last answer or packet, for `RESEND`. */
  last: number[];
  /** The command that waits for a parameter, or 0. */
  command: number;
  /** The last byte from the system made no sense. */
  refused: boolean;
  /** `ID_...`. */
  id: number;
  /** The last three sample rates, the newest last. */
  rates: number[];
  /** Packets a second. */
  rate: number;
  /** 0 to 3. */
  resolution: number;
  /** Scaling is 2:1. */
  scaling: boolean;
  /** Packets are sent in stream mode. */
  enabled: boolean;
  /** Packets are sent on demand only. */
  remote: boolean;
  /** Bytes are sent back. */
  wrap: boolean;
  /** The buttons in the last packet. */
  reported: number;
  /** What is to be reported and is over: other buttons are down by now. */
  earlier: Move[];
  /** What happens now. */
  move: Move;
  /** The last position on the screen, in counts; -1 before the first. */
  position: [number, number];
  /** The virtual time before which no packet is sent, in nanoseconds. */
  due: number;
}

function still(buttons: number): Move {
  return { buttons, x: 0, y: 0, wheel: 0, overflow: 0 };
}

function freshState(): MouseState {
  return {
    answers: [],
    packet: [],
    last: [],
    command: 0,
    refused: false,
    id: ID_STANDARD,
    rates: [0, 0, 0],
    rate: DEFAULT_RATE,
    resolution: DEFAULT_RESOLUTION,
    scaling: false,
    enabled: false,
    remote: false,
    wrap: false,
    reported: 0,
    earlier: [],
    move: still(0),
    position: [-1, -1],
    due: 0,
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

/** A count that comes from outside: an integer, and none of NaN's kind. */
function counts(value: number): number {
  return Number.isFinite(value) ? Math.round(value) : 0;
}

/** A PS/2 mouse. */
export class Ps2Mouse implements Device, Ps2Device {
  readonly #name: string;
  readonly #host: Ps2Host;
  readonly #clock: Clock;
  readonly #timer: Timer;
  #state = freshState();

  /** A mouse on its controller. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    this.#clock = context.clock;
    this.#timer = context.clock.timer(() => this.#sample());
    const controller = context.collaborator<Ps2Controller>("controller");
    this.#host = controller.attach("auxiliary", this);
    context.inputs("input")?.onEvent((event) => this.event(event));
  }

  /** Somebody moves it or presses a button. */
  event(event: InputEvent): void {
    switch (event.type) {
      case "motion":
        return this.#move(event.dx, event.dy, event.wheel);
      case "position":
        return this.#moveTo(event.x, event.y);
      case "button":
        return this.#press(event.button, event.down);
    }
  }

  /** Relative motion from where the pointer was on the screen. */
  #moveTo(x: number, y: number): void {
    const { position } = this.#state;
    const [fromX, fromY] = position;
    const [width, height] = SCREEN_COUNTS;
    position[0] = counts(clamp(x, 0, POSITIONS - 1) * width / POSITIONS);
    position[1] = counts(clamp(y, 0, POSITIONS - 1) * height / POSITIONS);
    if (fromX < 0) return;
    this.#move(position[0] - fromX, position[1] - fromY, 0);
  }

  #move(dx: number, dy: number, wheel: number): void {
    const s = this.#state;
    // A mouse that does not report forgets.
    if (!s.remote && !s.enabled) return;
    const { move } = s;
    const x = move.x + counts(dx);
    const y = move.y - counts(dy);
    move.x = clamp(x, -COUNTS, COUNTS);
    move.y = clamp(y, -COUNTS, COUNTS);
    if (move.x !== x) move.overflow |= PACKET_X_OVERFLOW;
    if (move.y !== y) move.overflow |= PACKET_Y_OVERFLOW;
    if (s.id !== ID_STANDARD) {
      move.wheel = clamp(move.wheel + counts(wheel), -TURNS, TURNS);
    }
    this.#sample();
  }

  #press(button: number, down: boolean): void {
    const bit = BUTTON_BITS[button];
    if (bit === undefined) return;
    const s = this.#state;
    const { move } = s;
    const buttons = down ? move.buttons | bit : move.buttons & ~bit;
    if (buttons === move.buttons) return;
    if ((s.enabled || s.remote) && s.earlier.length < MOVES) {
      s.earlier.push(move);
      s.move = still(buttons);
    } else move.buttons = buttons;
    this.#sample();
  }

  /** Nothing is to be reported but what comes now. */
  #forget(): void {
    const s = this.#state;
    s.earlier = [];
    s.move = still(s.move.buttons);
  }

  /** The buttons of a move that this kind of mouse has. */
  #buttons({ buttons }: Move): number {
    return this.#state.id === ID_EXPLORER
      ? buttons
      : buttons & STANDARD_BUTTONS;
  }

  /** The first move that says something new; undefined when none does. */
  #news(): Move | undefined {
    const s = this.#state;
    for (;;) {
      const move = s.earlier[0] ?? s.move;
      if (
        move.x !== 0 || move.y !== 0 || move.wheel !== 0 ||
        move.overflow !== 0 || this.#buttons(move) !== s.reported
      ) return move;
      if (s.earlier.shift() === undefined) return undefined;
    }
  }

  /** In stream mode, when it is time and there is something: a packet. */
  #sample(): void {
    const { packet } = this.#state;
    this.#next();
    if (this.#state.packet !== packet) this.#host.notify();
  }

  #next(): void {
    const s = this.#state;
    if (!s.enabled || s.remote || s.wrap) return;
    if (s.packet.length > 0 || s.answers.length > 0) return;
    const move = this.#news();
    if (move === undefined) return;
    const now = this.#clock.now();
    if (now < s.due) return this.#timer.arm(s.due);
    s.due = now + Math.round(SECOND / s.rate);
    s.packet = this.#packetOf(move, s.scaling);
    s.last = [...s.packet];
  }

  /** As much of a move as a packet holds. */
  #packetOf(move: Move, scaled: boolean): number[] {
    const s = this.#state;
    const x = clamp(move.x, AXIS_MIN, AXIS_MAX);
    const y = clamp(move.y, AXIS_MIN, AXIS_MAX);
    const wheel = clamp(move.wheel, WHEEL_MIN, WHEEL_MAX);
    const buttons = this.#buttons(move);
    const sentX = scaled ? scale(x) : x;
    const sentY = scaled ? scale(y) : y;
    const first = PACKET_ALWAYS | (buttons & STANDARD_BUTTONS) |
      (sentX < 0 ? PACKET_X_SIGN : 0) | (sentY < 0 ? PACKET_Y_SIGN : 0) |
      move.overflow;
    move.x -= x;
    move.y -= y;
    move.wheel -= wheel;
    move.overflow = 0;
    s.reported = buttons;
    const packet = [first, sentX & 0xff, sentY & 0xff];
    if (s.id === ID_WHEEL) packet.push(wheel & 0xff);
    if (s.id === ID_EXPLORER) {
      packet.push((wheel & 0x0f) | (buttons & ~STANDARD_BUTTONS) << 1);
    }
    return packet;
  }

  /** The next byte for the controller, or -1. */
  take(): number {
    const s = this.#state;
    const byte = s.answers.shift() ?? s.packet.shift();
    if (byte === undefined) return -1;
    // What has happened meanwhile is the next packet; the controller asks.
    this.#next();
    return byte;
  }

  #answer(...bytes: number[]): void {
    const s = this.#state;
    s.last = bytes;
    // Who sends without reading gets the last answers only.
    s.answers.push(...bytes);
    if (s.answers.length > ANSWERS) {
      s.answers.splice(0, s.answers.length - ANSWERS);
    }
    this.#host.notify();
  }

  /** A byte from the system: a command or its parameter. */
  receive(byte: number): void {
    const s = this.#state;
    const { command, refused } = s;
    s.command = 0;
    s.refused = false;
    // A packet under way is given up: the system does not expect its rest.
    s.packet = [];
    if (s.wrap && byte !== RESET && byte !== RESET_WRAP_MODE) {
      return this.#answer(byte);
    }
    if (command !== 0 && byte < SCALING_1_TO_1) {
      if (this.#parameter(command, byte)) return;
    } else if (this.#command(byte)) return;
    s.refused = true;
    // It asks once for a repetition.
    s.command = refused ? 0 : command;
    this.#answer(refused ? ERROR : SEND_AGAIN);
  }

  #command(byte: number): boolean {
    const s = this.#state;
    switch (byte) {
      case SCALING_1_TO_1:
      case SCALING_2_TO_1:
        s.scaling = byte === SCALING_2_TO_1;
        break;
      case SET_RESOLUTION:
      case SET_SAMPLE_RATE:
        s.command = byte;
        break;
      case STATUS_REQUEST:
        this.#answer(ACK, ...this.#status());
        return true;
      case SET_STREAM_MODE:
      case SET_REMOTE_MODE:
        s.remote = byte === SET_REMOTE_MODE;
        this.#forget();
        break;
      case READ_DATA: {
        // On demand it tells what it has, news or none.
        const move = this.#news() ?? s.move;
        this.#answer(ACK, ...this.#packetOf(move, false));
        return true;
      }
      case SET_WRAP_MODE:
      case RESET_WRAP_MODE:
        s.wrap = byte === SET_WRAP_MODE;
        this.#forget();
        break;
      case READ_ID:
        this.#answer(ACK, s.id);
        return true;
      case ENABLE:
      case DISABLE:
        s.enabled = byte === ENABLE;
        this.#forget();
        break;
      case SET_DEFAULTS:
        this.#setDefaults();
        break;
      case RESEND:
        this.#answer(...s.last);
        return true;
      case RESET: {
        const { move, position } = s;
        this.#timer.cancel();
        this.#state = { ...freshState(), move, position };
        this.#forget();
        this.#answer(ACK, SELF_TEST_PASSED, ID_STANDARD);
        return true;
      }
      default:
        return false;
    }
    this.#answer(ACK);
    return true;
  }

  #status(): number[] {
    const s = this.#state;
    const { buttons } = s.move;
    // Here, other than in a packet, bit 1 is the middle button.
    const order = (buttons & 1) << 2 | (buttons & 4) >> 1 | (buttons & 2) >> 1;
    return [
      order | (s.scaling ? STATUS_SCALING : 0) |
      (s.enabled ? STATUS_ENABLED : 0) | (s.remote ? STATUS_REMOTE : 0),
      s.resolution,
      s.rate,
    ];
  }

  #setDefaults(): void {
    const { rate, resolution, scaling, enabled, remote } = freshState();
    Object.assign(this.#state, {
      ...{ rate, resolution, scaling, enabled, remote },
    });
    this.#forget();
  }

  #parameter(command: number, byte: number): boolean {
    const s = this.#state;
    if (command === SET_RESOLUTION) {
      if (byte > MAX_RESOLUTION) return false;
      s.resolution = byte;
    } else {
      if (!RATES.includes(byte)) return false;
      s.rate = byte;
      s.rates = [s.rates[1], s.rates[2], byte];
      const knock = s.rates.join();
      if (knock === KNOCK_WHEEL) s.id = ID_WHEEL;
      if (knock === KNOCK_EXPLORER) s.id = ID_EXPLORER;
    }
    this.#answer(ACK);
    return true;
  }

  /** Power-on, after the self test. */
  reset(): void {
    this.#timer.cancel();
    this.#state = freshState();
  }

  /** The mouse; what its controller took is the controller's. */
  save(): StateRecord {
    return saveState({ ...this.#state, looks: this.#timer.deadline });
  }

  /** The mouse; what its controller took is the controller's. */
  load(record: StateRecord): void {
    const template = { ...freshState(), looks: Infinity };
    const { looks, ...state } = loadState(template, record, this.#name);
    this.#state = state;
    // When it looks whether there is anything; never, if nothing waits.
    this.#timer.arm(looks);
  }
}

/** Scaling 2:1. */
function scale(counts: number): number {
  const size = Math.abs(counts);
  const scaled = SCALED[size] ?? 2 * size;
  return clamp(counts < 0 ? -scaled : scaled, AXIS_MIN, AXIS_MAX);
}

/** The `ps2-mouse` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "ps2-mouse",
  version: "1.0.0",
  description: "A PS/2 mouse with a wheel and five buttons",
  uses: { controller: "ps2-controller", setup: "setup-memory" },
  backends: { input: { type: "input", optional: true } },
  create(_config, context) {
    const setup = context.collaborator<SetupMemory>("setup");
    setup.preset(CMOS_EQUIPMENT, EQUIPMENT_POINTER, EQUIPMENT_POINTER);
    return new Ps2Mouse(context);
  },
};
export default plugin;
