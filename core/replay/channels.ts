/**
 * Backends as the devices of a machine see them whose run is recorded or
 * replayed: what comes passes through a channel, and what goes is summed up.
 *
 * @module
 */

import type { CharBackend } from "../backend/char.ts";
import type { InputBackend, InputEvent } from "../backend/input.ts";
import type { FrameOffload, NetBackend } from "../backend/net.ts";
import type { Cause } from "../machine/events.ts";
import type { MachineControl } from "../machine/parts.ts";
import { ReplayError } from "./error.ts";
import type { TimedInputs } from "./inputs.ts";

/** Frames that wait for a card before its network is told that there is no room. */
const MOST_FRAMES = 256;

const encoder = new TextEncoder();

/** A value as JSON. */
export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** The reverse; throws a `ReplayError`. */
export function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ReplayError("damaged", "an input is not JSON");
  }
}

function identity(bytes: Uint8Array): Uint8Array {
  return bytes;
}

/** A byte stream. */
export function timedChar(
  inputs: TimedInputs,
  name: string,
  char: CharBackend,
): CharBackend {
  return {
    write: (bytes) => inputs.sent(bytes, char.write(bytes)),
    onInput: (receiver) => {
      const channel = inputs.channel<Uint8Array>({
        name,
        encode: identity,
        decode: identity,
        deliver: receiver,
      });
      char.onInput((bytes) => channel.submit(bytes));
    },
    flush: () => char.flush(),
    close: () => char.close(),
  };
}

/**
 * A keyboard and a pointer. It has no `after`: how long a key is held is a
 * matter of virtual time, which goes on with the host's while a run is
 * recorded.
 */
export function timedInput(
  inputs: TimedInputs,
  name: string,
  input: InputBackend,
): InputBackend {
  let receivers = 0;
  return {
    onEvent: (receiver) => {
      const channel = inputs.channel<InputEvent>({
        name: receivers++ === 0 ? name : `${name} ${receivers}`,
        encode: encodeJson,
        decode: (bytes) => inputEvent(decodeJson(bytes)),
        deliver: receiver,
      });
      input.onEvent((event) => channel.submit(event));
    },
    leds: (lights) => input.leds?.(lights),
    close: () => input.close(),
  };
}

/** The event in a recording; throws a `ReplayError` for what is none. */
function inputEvent(value: unknown): InputEvent {
  const event = value as Record<string, unknown>;
  const areNumbers = (...names: string[]): boolean =>
    names.every((name) => typeof event[name] === "number");
  const isEvent = typeof value === "object" && value !== null && (
    event.type === "key" && typeof event.code === "string" &&
      typeof event.down === "boolean" ||
    event.type === "motion" && areNumbers("dx", "dy", "wheel") ||
    event.type === "position" && areNumbers("x", "y") ||
    event.type === "button" && areNumbers("button") &&
      typeof event.down === "boolean"
  );
  if (!isEvent) throw new ReplayError("damaged", "an input is no event");
  return value as InputEvent;
}

interface Frame {
  readonly bytes: Uint8Array;
  readonly offload: FrameOffload | undefined;
}

/** The length of what is left to do, that, and the frame. */
function encodeFrame({ bytes, offload }: Frame): Uint8Array {
  const head = offload === undefined ? new Uint8Array() : encodeJson(offload);
  const all = new Uint8Array(2 + head.length + bytes.length);
  all[0] = head.length & 0xff;
  all[1] = head.length >> 8;
  all.set(head, 2);
  all.set(bytes, 2 + head.length);
  return all;
}

function decodeFrame(bytes: Uint8Array): Frame {
  const length = bytes[0] | bytes[1] << 8;
  if (bytes.length < 2 + length) {
    throw new ReplayError("damaged", "a frame is too short");
  }
  const frame = bytes.subarray(2 + length);
  if (length === 0) return { bytes: frame, offload: undefined };
  const offload = decodeJson(bytes.subarray(2, 2 + length)) as FrameOffload;
  const { checksum, segments } = offload ?? {};
  const isNumber = (value: unknown): boolean =>
    Number.isInteger(value) && value as number >= 0 && value as number < 65536;
  const isGood = (checksum === undefined ||
    isNumber(checksum?.start) && isNumber(checksum.offset)) &&
    (segments === undefined ||
      (segments?.kind === "tcp4" || segments?.kind === "tcp6") &&
        isNumber(segments.bytes) && isNumber(segments.headers));
  if (offload === null || typeof offload !== "object" || !isGood) {
    throw new ReplayError("damaged", "a frame's offload is wrong");
  }
  return { bytes: frame, offload };
}

/** A network. */
export function timedNet(
  inputs: TimedInputs,
  name: string,
  net: NetBackend,
): NetBackend {
  let unblock = (): void => {};
  return {
    get offload(): boolean {
      return net.offload;
    },
    attach: (card) => {
      /** The network was told that there is no room. */
      let isFull = false;
      const channel = inputs.channel<Frame>({
        name,
        encode: encodeFrame,
        decode: decodeFrame,
        deliver: ({ bytes, offload }) => {
          if (isFull && channel.waiting < MOST_FRAMES / 2) {
            isFull = false;
            queueMicrotask(() => net.ready());
          }
          // The guest may take no such frames any more.
          if (offload !== undefined && !card.offload) return true;
          return card.receive(bytes, offload);
        },
      });
      unblock = () => channel.unblock();
      net.attach({
        get offload(): boolean {
          return card.offload;
        },
        receive: (frame, offload) => {
          if (channel.waiting >= MOST_FRAMES) {
            isFull = true;
            return false;
          }
          void channel.submit({ bytes: frame.slice(), offload });
          return true;
        },
      });
    },
    send: (frame, offload) => {
      inputs.sent(frame);
      net.send(frame, offload);
    },
    ready: () => unblock(),
    close: () => net.close(),
  };
}

type Press =
  | { readonly button: "reset"; readonly cause: Cause }
  | { readonly button: "power" | "nmi" };

/** The buttons of a machine's case; a replay has those that were pressed. */
export function timedControl(
  inputs: TimedInputs,
  control: MachineControl,
): MachineControl {
  const channel = inputs.channel<Press>({
    name: "machine",
    encode: encodeJson,
    decode: (bytes) => {
      const press = decodeJson(bytes) as Press | null;
      if (press?.button === "power" || press?.button === "nmi") return press;
      if (press?.button === "reset" && typeof press.cause === "string") {
        return press;
      }
      throw new ReplayError("damaged", "there is no such button");
    },
    deliver: (press) => {
      if (press.button === "reset") control.reset(press.cause);
      else if (press.button === "nmi") control.nmi();
      else control.pressPowerButton();
    },
  });
  return {
    reset: (cause) => void channel.submit({ button: "reset", cause }),
    pressPowerButton: () => {
      if (!control.hasPowerButton) return false;
      void channel.submit({ button: "power" });
      return true;
    },
    hasPowerButton: control.hasPowerButton,
    nmi: () => void channel.submit({ button: "nmi" }),
  };
}

/** The network of a replay: nobody is there. */
export class SilentNet implements NetBackend {
  /** Whether that of the recording took frames with an offload. */
  readonly offload: boolean;

  /** A network that takes what that one took. */
  constructor(offload: boolean) {
    this.offload = offload;
  }

  /** Nothing comes. */
  attach(): void {}

  /** Nothing goes. */
  send(): void {}

  /** Nobody waits. */
  ready(): void {}

  /** Nothing to let go of. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
