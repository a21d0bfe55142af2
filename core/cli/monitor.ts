/**
 * The human monitor for people: on this terminal instead of a serial port, or
 * behind a socket (`--monitor`).
 *
 * @module
 */

import { HOST_TERMINAL, RawMode, type Terminal } from "../backend/terminal.ts";
import type { Machine } from "../machine/machine.ts";
import { resolve } from "../machine/path.ts";
import type { PermissionNeeds } from "../machine/plugin.ts";
import { UsageError } from "./arguments.ts";

/** Bytes of one read. */
const READ_BYTES = 4096;
/** Columns of what is no terminal: lists are as wide. */
const COLUMNS = 80;

/** Where a monitor is. */
export type MonitorPlace =
  | { readonly kind: "stdio" }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/**
 * What `--monitor` says: `stdio`, `tcp:HOST:PORT`, `unix:PATH`; undefined for
 * `none`. What QEMU wants to be told of a server (`,server=on,wait=off`) may
 * stand behind a socket. Throws a `UsageError`.
 */
export function parseMonitor(text: string): MonitorPlace | undefined {
  if (text === "none") return undefined;
  if (text === "stdio" || text === "mon:stdio") return { kind: "stdio" };
  const plain = text.replace(/(,(server|wait|nowait)(=(on|off))?)+$/, "");
  const [, host, port] = /^tcp:(.*):(\d{1,5})$/.exec(plain) ?? [];
  if (port !== undefined && Number(port) < 65536) {
    const name = host.replace(/^\[(.*)\]$/, "$1");
    return {
      kind: "tcp",
      host: name === "" ? "127.0.0.1" : name,
      port: Number(port),
    };
  }
  const [, path] = /^unix:(.+)$/s.exec(plain) ?? [];
  if (path !== undefined) return { kind: "unix", path: resolve(path) };
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
  const places = monitorPlaces(texts);
  const sockets = places.flatMap((one) => one.kind === "unix" ? one.path : []);
  const ports = places.flatMap((one) =>
    one.kind === "tcp" ? `${one.host}:${one.port}` : []
  );
  return {
    read: [...read, ...sockets],
    write: [...write, ...sockets],
    net: [...net, ...ports],
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
  listener: Deno.Listener,
): () => Promise<void> {
  const connections = new Set<Deno.Conn>();
  let isOpen = true;
  void (async () => {
    while (isOpen) {
      let connection: Deno.Conn;
      try {
        connection = await listener.accept();
      } catch {
        return;
      }
      connections.add(connection);
      void serve(machine, connection, false, () => COLUMNS).finally(() => {
        if (!connections.delete(connection)) return;
        connection.close();
      });
    }
  })();
  return () => {
    isOpen = false;
    listener.close();
    for (const connection of connections) {
      connections.delete(connection);
      connection.close();
    }
    return Promise.resolve();
  };
}

/** Start monitors. Throws a `UsageError` for a terminal that is taken. */
export async function startMonitors(
  machine: Machine,
  places: readonly MonitorPlace[],
  terminal: Terminal = HOST_TERMINAL,
): Promise<Monitors> {
  const addresses: Deno.NetAddr[] = [];
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0)) await one();
  };
  try {
    for (const place of places) {
      if (place.kind === "stdio") {
        checkTerminal(machine);
        stops.push(onTerminal(machine, terminal));
      } else if (place.kind === "tcp") {
        const { host: hostname, port } = place;
        const listener = Deno.listen({ hostname, port });
        addresses.push(listener.addr as Deno.NetAddr);
        stops.push(behind(machine, listener));
      } else {
        const { path } = place;
        await removeSocket(path);
        const end = behind(machine, Deno.listen({ transport: "unix", path }));
        stops.push(async () => {
          await end();
          await removeSocket(path);
        });
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

/** Take away a socket that is left of another run. */
async function removeSocket(path: string): Promise<void> {
  try {
    const { isSocket } = await Deno.lstat(path);
    if (isSocket) await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
