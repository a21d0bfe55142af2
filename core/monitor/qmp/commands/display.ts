/**
 * Commands about the screen, the keyboard and the mouse: QEMU's
 * `qapi/ui.json` and `char.json`.
 *
 * @module
 */

import type { PeerAddress, RemoteScreen } from "../../../backend/display.ts";
import type { InputEvent } from "../../../backend/input.ts";
import { codeOfScanCode } from "../../../backend/rfb/keys.ts";
import type { JsonObject } from "../../../machine/schema_types.ts";
import { codeOfKeyName, KEY_NAMES } from "../../key_names.ts";
import { action, type Command, type Monitor, query } from "../command.ts";
import { GenericError, noDevice } from "../error.ts";
import { screendump } from "../screendump.ts";
import {
  bool,
  int,
  list,
  oneOf,
  optional,
  str,
  struct,
  type Type,
  union,
  type ValueOf,
} from "../types.ts";

/** QEMU's names of keys that no keyboard here has. */
const ABSENT_KEYS = [
  "unmapped",
  "stop",
  "again",
  "props",
  "undo",
  "front",
  "copy",
  "open",
  "paste",
  "find",
  "cut",
  "lf",
  "help",
] as const;

const KeyCode = oneOf("QKeyCode", [...ABSENT_KEYS, ...KEY_NAMES]);

const KeyValue = union(
  "KeyValue",
  { type: oneOf("KeyValueKind", ["number", "qcode"]) },
  "type",
  {
    number: struct("IntWrapper", { data: int }),
    qcode: struct("QKeyCodeWrapper", { data: KeyCode }),
  },
);

const BUTTONS = [
  "left",
  "middle",
  "right",
  "wheel-up",
  "wheel-down",
  "side",
  "extra",
  "wheel-left",
  "wheel-right",
] as const;

const Move = struct("InputMoveEvent", {
  axis: oneOf("InputAxis", ["x", "y"]),
  value: int,
});

const MoveWrapper = struct("InputMoveEventWrapper", { data: Move });

const InputEventType = union(
  "InputEvent",
  { type: oneOf("InputEventKind", ["key", "btn", "rel", "abs"]) },
  "type",
  {
    key: struct("InputKeyEventWrapper", {
      data: struct("InputKeyEvent", { key: KeyValue, down: bool }),
    }),
    btn: struct("InputBtnEventWrapper", {
      data: struct("InputBtnEvent", {
        button: oneOf("InputButton", BUTTONS),
        down: bool,
      }),
    }),
    rel: MoveWrapper,
    abs: MoveWrapper,
  },
);

/** Buttons as `InputEvent` numbers them. */
const BUTTON_NUMBERS: Readonly<Record<string, number>> = {
  left: 0,
  middle: 1,
  right: 2,
  side: 3,
  extra: 4,
};

/** QEMU's largest absolute position; here it is 65535. */
const MAX_POSITION = 0x7fff;
/** Milliseconds for which `send-key` holds keys. */
const HOLD_MS = 100;
/** The longest that it does; more is a mistake. */
const MAX_HOLD_MS = 60_000;
/** Keys that may be held at once. */
const MAX_KEYS = 64;

/** The code of a key; undefined for one that no keyboard here has. */
function codeOf(key: ValueOf<typeof KeyValue>): string | undefined {
  if (key.type === "qcode") return codeOfKeyName(key.data);
  return codeOfScanCode(key.data);
}

function keyEvents(codes: readonly string[], down: boolean): InputEvent[] {
  return codes.map((code) => ({ type: "key", code, down }));
}

/** Events of a client as the machine's devices take them; `position` is where its pointer was last. */
function inputEvents(
  events: readonly ValueOf<typeof InputEventType>[],
  position: { x: number; y: number },
): InputEvent[] {
  const all: InputEvent[] = [];
  for (const event of events) {
    switch (event.type) {
      case "key": {
        const code = codeOf(event.data.key);
        if (code === undefined) break;
        all.push({ type: "key", code, down: event.data.down });
        break;
      }
      case "btn": {
        const { button, down } = event.data;
        const number = BUTTON_NUMBERS[button];
        if (number !== undefined) {
          all.push({ type: "button", button: number, down });
        } else if (down && button === "wheel-up") all.push(wheel(-1));
        else if (down && button === "wheel-down") all.push(wheel(1));
        break;
      }
      case "rel": {
        const { axis, value } = event.data;
        all.push({
          type: "motion",
          dx: axis === "x" ? value : 0,
          dy: axis === "y" ? value : 0,
          wheel: 0,
        });
        break;
      }
      case "abs": {
        const { axis, value } = event.data;
        const inside = Math.min(Math.max(value, 0), MAX_POSITION);
        position[axis] = Math.round(inside * 65535 / MAX_POSITION);
        all.push({ type: "position", ...position });
      }
    }
  }
  return all;
}

function wheel(wheel: number): InputEvent {
  return { type: "motion", dx: 0, dy: 0, wheel };
}

/** Where clients of each machine last put the pointer. */
const positions = new WeakMap<object, { x: number; y: number }>();

/** Keys of `send-key` that wait for those before them, of each machine. */
const waiting = new WeakMap<object, { last: Promise<void>; count: number }>();
/** How many may: what comes then is lost, as it is when QEMU's queue is full. */
const MAX_WAITING = 64;

/** Hold keys for a time, when those that were sent before are released. */
function holdNext(
  monitor: Monitor,
  codes: readonly string[],
  milliseconds: number,
): void {
  const { machine } = monitor;
  let queue = waiting.get(machine);
  if (queue === undefined) {
    waiting.set(machine, queue = { last: Promise.resolve(), count: 0 });
  }
  if (queue.count === MAX_WAITING) return;
  const own = queue;
  own.count++;
  own.last = own.last
    .then(() => hold(monitor, codes, milliseconds))
    .finally(() => own.count--);
}

async function hold(
  { machine: { input } }: Monitor,
  codes: readonly string[],
  milliseconds: number,
): Promise<void> {
  await input.send(keyEvents(codes, true));
  await new Promise<void>((resolve) => input.after(milliseconds, resolve));
  await input.send(keyEvents(codes.toReversed(), false));
}

/** The kinds of addresses. */
export const Family: Type<"ipv4" | "ipv6" | "unix" | "vsock" | "unknown"> =
  oneOf("NetworkAddressFamily", [
    "ipv4",
    "ipv6",
    "unix",
    "vsock",
    "unknown",
  ]);

const VncClient = struct("VncClientInfo", {
  host: str,
  service: str,
  family: Family,
  websocket: bool,
});

const VncAuth = oneOf("VncPrimaryAuth", ["none", "vnc"]);

/** The address of a viewer or a server, as QEMU describes it. */
export function addressInfo(
  { host, port, isWebSocket = false }: PeerAddress,
): ValueOf<typeof VncClient> {
  return {
    host,
    service: String(port),
    family: host.includes(":") ? "ipv6" : "ipv4",
    websocket: isWebSocket,
  };
}

/** The VNC server, if there is one, and its backend's name. */
export function vncServer(
  { parts }: Pick<Monitor, "parts">,
): { name: string; screen: RemoteScreen } | undefined {
  for (const [name, backend] of parts.backends) {
    if ("remote" in backend && backend.remote !== undefined) {
      return { name, screen: backend.remote };
    }
  }
  return undefined;
}

/** A char backend as it would be asked for. */
function chardevName(plugin: string, config: unknown): string {
  const values = Object.values(config as JsonObject ?? {})
    .filter((value) => typeof value === "string" || typeof value === "number");
  return [plugin, ...values].join(":");
}

/** The commands. */
export const DISPLAY: readonly Command[] = [
  action(
    "screendump",
    {
      filename: str,
      device: optional(str),
      head: optional(int),
      format: optional(oneOf("ImageFormat", ["ppm", "png"])),
    },
    ({ machine }, options) => screendump(machine, options),
  ),
  action(
    "send-key",
    { keys: list(KeyValue), "hold-time": optional(int) },
    (monitor, { keys, "hold-time": given = HOLD_MS }) => {
      if (keys.length > MAX_KEYS) {
        throw new GenericError(`At most ${MAX_KEYS} keys at once`);
      }
      if (given < 0 || given > MAX_HOLD_MS) {
        throw new GenericError("Parameter 'hold-time' expects milliseconds");
      }
      // A guest that stands still has no keyboard.
      if (monitor.machine.runState !== "running") return;
      const codes = keys.map(codeOf).filter((code) => code !== undefined);
      // As in QEMU the answer comes at once.
      if (codes.length > 0) holdNext(monitor, codes, given || HOLD_MS);
    },
  ),
  action(
    "input-send-event",
    {
      device: optional(str),
      head: optional(int),
      events: list(InputEventType),
    },
    ({ machine }, { device, events }) => {
      if (
        device !== undefined &&
        !machine.plan.devices.some(({ name }) => name === device)
      ) throw noDevice(device);
      if (machine.runState !== "running") {
        throw new GenericError("VM not running");
      }
      let position = positions.get(machine);
      if (position === undefined) {
        positions.set(machine, position = { x: 0, y: 0 });
      }
      void machine.input.send(inputEvents(events, position));
    },
  ),
  query(
    "query-vnc",
    {},
    struct("VncInfo", {
      enabled: bool,
      host: optional(str),
      family: optional(Family),
      service: optional(str),
      auth: optional(str),
      clients: optional(list(VncClient)),
    }),
    (monitor) => {
      const server = vncServer(monitor);
      if (server === undefined) return { enabled: false };
      const { screen } = server;
      const { host, family, service } = addressInfo(screen.server);
      return {
        enabled: true,
        host,
        family,
        service,
        auth: screen.hasPassword ? "vnc" : "none",
        clients: screen.clients().map(addressInfo),
      };
    },
  ),
  query(
    "query-vnc-servers",
    {},
    list(struct("VncInfo2", {
      id: str,
      server: list(struct("VncServerInfo2", {
        host: str,
        service: str,
        family: Family,
        websocket: bool,
        auth: VncAuth,
      })),
      clients: list(VncClient),
      auth: VncAuth,
      display: optional(str),
    })),
    (monitor) => {
      const server = vncServer(monitor);
      if (server === undefined) return [];
      const { name, screen } = server;
      const auth = screen.hasPassword ? "vnc" as const : "none" as const;
      return [{
        id: name,
        server: [{ ...addressInfo(screen.server), auth }],
        clients: screen.clients().map(addressInfo),
        auth,
      }];
    },
  ),
  query(
    "query-chardev",
    {},
    list(struct("ChardevInfo", {
      label: str,
      filename: str,
      "frontend-open": bool,
    })),
    ({ machine, places }) => [
      ...machine.plan.backends
        .filter(({ plugin }) => plugin.type === "char")
        .map(({ name, plugin, config }) => ({
          label: name,
          filename: chardevName(plugin.name, config),
          "frontend-open": true,
        })),
      ...places.map((filename, i) => ({
        label: `compat_monitor${i}`,
        filename,
        "frontend-open": true,
      })),
    ],
  ),
];
