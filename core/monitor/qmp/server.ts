/**
 * QMP, QEMU's machine protocol: a server for programs that control a machine.
 *
 * Several clients may be connected. Their commands are done one after another,
 * between slices of the guest's execution, and each hears of all events.
 *
 * @module
 */

import { AcceptLoop } from "../../backend/accept_loop.ts";
import {
  isOpenToOthers,
  listenAt,
  type SocketListener,
} from "../../backend/socket_place.ts";
import { within } from "../../backend/within.ts";
import type { MachineEvent } from "../../machine/events.ts";
import type { Machine } from "../../machine/machine.ts";
import type { Parts } from "../../machine/parts.ts";
import type { HumanMonitor, QmpAddress, QmpListener } from "../contract.ts";
import { addressText, parseQmpAddress } from "./address.ts";
import type { Monitor } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { QmpServerError } from "./error.ts";
import { EventGate, EVENTS, toldOf } from "./events.ts";
import { jobsOf } from "./jobs.ts";
import { Session, type SessionHost } from "./session.ts";

/** Clients at once: more are hung up on. */
const MAX_CLIENTS = 32;
/**
 * Bytes of memory that messages of all clients may take: one may send the
 * largest that there are (`json_reader.ts`), all of them at once not.
 */
const MAX_HELD = 256 << 20;
/**
 * For so many milliseconds after a client's message the guest's slices are
 * short. Deno 2.9.6 looks for bytes on sockets only in every 60th turn of its
 * event loop while there is something to do: with slices of 2 ms a client waits
 * 120 ms for an answer, with these 6.
 */
const ATTENTION_MS = 100;
/** Milliseconds that a client has at the end to take what was sent. */
const FLUSH_MS = 500;

/** What a server is for. */
export interface QmpServerOptions {
  /** The machine. */
  readonly machine: Machine;
  /** What it is made of. */
  readonly parts: Parts;
  /** Makes the human monitor, for `human-monitor-command`. */
  readonly human?: () => Promise<HumanMonitor>;
  /** Takes messages for the user. */
  warn(message: string): void;
}

/** A server for the clients at one place. */
export class QmpServer implements QmpListener {
  readonly #address: QmpAddress;
  readonly #listener: SocketListener;
  readonly #host: SessionHost;
  readonly #sessions = new Map<Session, Promise<void>>();
  readonly #gate: EventGate;
  readonly #unlisten: () => void;
  readonly #accepting: AcceptLoop<Deno.Conn>;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  private constructor(
    options: QmpServerOptions,
    address: QmpAddress,
    listener: SocketListener,
  ) {
    this.#address = address;
    this.#listener = listener;
    const { machine, parts, human } = options;
    let own: Promise<HumanMonitor> | undefined;
    this.#gate = new EventGate((told) => {
      const now = performance.timeOrigin + performance.now();
      for (const session of this.#sessions.keys()) session.tell(told, now);
    });
    const tell = (happened: MachineEvent): void => {
      const told = toldOf(happened, parts);
      if (told !== undefined) this.#gate.tell(told);
    };
    this.#unlisten = machine.events.on(tell);
    const monitor: Monitor = {
      machine,
      parts,
      human: human === undefined ? undefined : () => own ??= human(),
      jobs: jobsOf(machine),
      places: [addressText(this.address)],
      commands: COMMANDS,
      events: new Map(EVENTS.map((event) => [event.name, event])),
    };
    this.#host = {
      monitor,
      inTurn: (work) => this.#inTurn(work),
      onHeld: () => this.#boundHeld(),
      onTraffic: () => parts.traffic.note(ATTENTION_MS),
      warn: (message) => options.warn(`QMP: ${message}`),
    };
    if (isOpenToOthers(address)) {
      this.#host.warn("whoever reaches it can do everything with the machine");
    }
    this.#accepting = new AcceptLoop<Deno.Conn>(listener, {
      serve: (connection) => this.#serve(connection),
      refused: (error) =>
        this.#host.warn(`no clients can be accepted for now: ${error}`),
    });
  }

  /**
   * Listen at a place (`unix:PATH`, `tcp:HOST:PORT`). Throws a
   * `QmpServerError`.
   */
  static async listen(
    place: string,
    options: QmpServerOptions,
  ): Promise<QmpServer> {
    const address = parseQmpAddress(place);
    try {
      return new QmpServer(options, address, await listenAt(address));
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      throw new QmpServerError(
        `Cannot listen at ${place} for QMP: ${cause.message}`,
        { cause },
      );
    }
  }

  /** Where it listens: the port that was free, when 0 was asked for. */
  get address(): QmpAddress {
    const { addr } = this.#listener;
    return "path" in this.#address || addr.transport !== "tcp"
      ? this.#address
      : { host: this.#address.host, port: addr.port };
  }

  /** How many clients are connected. */
  get clients(): number {
    return this.#sessions.size;
  }

  #serve(connection: Deno.Conn): void {
    if (this.#sessions.size >= MAX_CLIENTS) return connection.close();
    const session = new Session(this.#host, connection);
    const served = session.run().then(() => {
      this.#sessions.delete(session);
    });
    this.#sessions.set(session, served);
  }

  /** Who holds most is hung up on until all hold less than they may. */
  #boundHeld(): void {
    for (;;) {
      let [sum, largest]: [number, Session | undefined] = [0, undefined];
      for (const session of this.#sessions.keys()) {
        sum += session.held;
        if (session.held > (largest?.held ?? 0)) largest = session;
      }
      if (largest === undefined || sum <= MAX_HELD) return;
      this.#host.warn("clients send too much at once: one was hung up on");
      largest.close();
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Give clients a moment to take what was sent, and hang up. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unlisten();
    this.#gate.close();
    await this.#accepting.close();
    const sessions = [...this.#sessions];
    await within(
      FLUSH_MS,
      Promise.all(sessions.map(([session]) => session.flush())),
    );
    for (const [session] of sessions) session.close();
    await Promise.all(sessions.map(([, served]) => served));
  }
}
