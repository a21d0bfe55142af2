/**
 * The human monitor for people: on this terminal instead of a serial port, or
 * behind a socket (`--monitor`).
 *
 * @module
 */

import { AcceptLoop } from "../backend/accept_loop.ts";
import { HOST_TERMINAL, RawMode, type Terminal } from "../backend/terminal.ts";
import {
  describePlace,
  isOpenToOthers,
  listenAt,
  parseServerPlace,
  PlaceOptionError,
  placePermissions,
  type SocketListener,
  type SocketPlace,
} from "../backend/socket_place.ts";
import type { Machine } from "../machine/machine.ts";
import type { PermissionNeeds } from "../machine/plugin.ts";
import { UsageError } from "./arguments.ts";

/** Bytes of one read. */
const READ_BYTES = 4096;
/** Columns of what is no terminal: lists are as wide. */
const COLUMNS = 80;

/** Where a monitor is. */
export type MonitorPlace = "stdio" | SocketPlace;

/**
 * What `--monitor` says: `stdio`, `tcp:HOST:PORT`, `unix:PATH`; undefined for
 * `none`. What QEMU wants to be told of a server (`,server=on,wait=off`) may
 * stand behind a socket. Throws a `UsageError`.
 */
export function parseMonitor(text: string): MonitorPlace | undefined {
  if (text === "none") return undefined;
  if (text === "stdio" || text === "mon:stdio") return "stdio";
  try {
    const place = parseServerPlace(text);
    if (place !== undefined) return place;
  } catch (error) {
    if (!(error instanceof PlaceOptionError)) throw error;
    throw new UsageError(`--monitor ${text}: ${error.message}`);
  }
  throw new UsageError(
    `--monitor takes stdio, tcp:HOST:PORT, unix:PATH or none, not "${text}"`,
  );
}

/** The places of all `--monitor` flags. Throws a `UsageError`. */
export function monitorPlaces(texts: readonly string[]): MonitorPlace[] {
  const places = texts.map(parseMonitor);
  return places.filter((place) => place !== undefined);
}

/** The permissions that monitors at these places need, beside others. */
export function monitorNeeds(
  texts: readonly string[],
  { read = [], write = [], net = [] }: PermissionNeeds,
): PermissionNeeds {
  const more = monitorPlaces(texts).flatMap((place) =>
    place === "stdio" ? [] : placePermissions(place)
  );
  return {
    read: [...read, ...more.flatMap((one) => one.read ?? [])],
    write: [...write, ...more.flatMap((one) => one.write ?? [])],
    net: [...net, ...more.flatMap((one) => one.net ?? [])],
  };
}

/** Monitors that were started. */
export interface Monitors {
  /** The addresses of those that listen on TCP, in order. */
  readonly addresses: readonly Deno.NetAddr[];
  /** Hang up, and restore the terminal. */
  stop(): Promise<void>;
}

/** Where a monitor's bytes come from and go to. */
interface Peer {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
}

/** A session with whoever is at the other end; resolves when he has gone. */
async function serve(
  machine: Machine,
  peer: Peer,
  isTerminal: boolean,
  columns: () => number,
): Promise<void> {
  const encoder = new TextEncoder();
  let writing: Promise<void> = Promise.resolve();
  const session = await machine.openMonitor({
    isTerminal,
    columns,
    leave: () => {},
    write: (text) => {
      const bytes = encoder.encode(text);
      writing = writing.then(async () => {
        for (let at = 0; at < bytes.length;) {
          at += await peer.write(bytes.subarray(at));
        }
      }).catch(() => {
        // He has hung up: the reading side says so.
      });
    },
  });
  session.show();
  for (;;) {
    const buffer = new Uint8Array(READ_BYTES);
    const length = await peer.read(buffer).catch(() => null);
    if (length === null) break;
    session.input(buffer.subarray(0, length));
    // Who types faster than commands are done, or does not read, waits.
    if (!isTerminal) await session.done();
    if (!isTerminal) await writing;
  }
  await session.done();
  await writing;
}

/** The monitor on this terminal. */
function onTerminal(
  machine: Machine,
  terminal: Terminal,
): () => Promise<void> {
  const isTerminal = terminal.isTerminal();
  const raw = new RawMode(
    (on) => terminal.setRaw(on),
    () => machine.quit("host-signal"),
  );
  if (isTerminal) raw.hold();
  void serve(machine, terminal, isTerminal, () => terminal.width());
  return async () => {
    // What comes next does not stand behind the prompt.
    if (isTerminal) await terminal.write(Uint8Array.of(13, 10)).catch(() => {});
    raw.release();
  };
}

/** A monitor for each client of a listener. */
function behind(
  machine: Machine,
  listener: SocketListener,
  warn: (line: string) => void,
): () => Promise<void> {
  const connections = new Set<Deno.Conn>();
  const accepting = new AcceptLoop<Deno.Conn>(listener, {
    serve(connection) {
      connections.add(connection);
      void serve(machine, connection, false, () => COLUMNS).finally(() => {
        if (!connections.delete(connection)) return;
        connection.close();
      });
    },
    refused: (error) =>
      warn(`no monitor's client can be accepted for now: ${error}`),
  });
  return async () => {
    const accepted = accepting.close();
    for (const connection of connections) {
      connections.delete(connection);
      connection.close();
    }
    await accepted;
  };
}

/**
 * Start monitors. `warn` takes what the user should know, a line each. Throws a
 * `UsageError` for a terminal that is taken, and where it cannot be listened.
 */
export async function startMonitors(
  machine: Machine,
  places: readonly MonitorPlace[],
  warn: (line: string) => void = () => {},
  terminal: Terminal = HOST_TERMINAL,
): Promise<Monitors> {
  const addresses: Deno.NetAddr[] = [];
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0)) await one();
  };
  try {
    for (const place of places) {
      if (place === "stdio") {
        checkTerminal(machine);
        stops.push(onTerminal(machine, terminal));
        continue;
      }
      const listener = await listenForMonitor(place);
      stops.push(behind(machine, listener, warn));
      if (listener.addr.transport === "tcp") addresses.push(listener.addr);
      if (isOpenToOthers(place)) {
        warn(
          `anybody who reaches ${describePlace(place)} controls the guest by ` +
            "the monitor there",
        );
      }
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { addresses, stop };
}

/** Only one can have the terminal. */
function checkTerminal({ plan }: Machine): void {
  const other = plan.backends.find(({ plugin }) =>
    "terminal" in plugin && plugin.terminal !== undefined
  );
  if (other === undefined) return;
  const { name } = other;
  const flag = name.startsWith("serial") ? "--serial null" : `--${name} none`;
  throw new UsageError(
    `--monitor stdio: the terminal is that of "${name}" (${flag} takes it ` +
      "away; without --monitor, Ctrl-A c switches between both)",
  );
}

/** Listen; throws a `UsageError` where that cannot be. */
async function listenForMonitor(place: SocketPlace): Promise<SocketListener> {
  try {
    return await listenAt(place);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(
      `--monitor: Cannot listen at ${describePlace(place)}: ${reason}`,
      { cause },
    );
  }
}
