/**
 * The gdb server: one client at a time, for as long as the machine is there.
 *
 * A client is a client from its first packet on: what only connects (a port
 * scan) does not stop the guest. One that is lost leaves it as it is.
 *
 * @module
 */

import { AcceptLoop, keepLively } from "../../backend/accept_loop.ts";
import {
  describePlace,
  isOpenToOthers,
  type SocketListener,
  type SocketPlace,
} from "../../backend/socket_place.ts";
import type { MachineDebugger } from "../contract.ts";
import { GdbConnection } from "./connection.ts";
import { listenForGdb, parseGdbAddress } from "./listen.ts";
import type { RunResult } from "../../machine/run_result.ts";
import type { GdbMonitor } from "./monitor.ts";
import type { ReverseDebugger } from "./reverse.ts";
import { Seat } from "./seat.ts";
import { isLookedAt } from "./session.ts";
import type { GdbTarget } from "./target.ts";

/** Milliseconds that a client waits for the one before it to be gone: it may have just said so. */
const LEAVE_MS = 300;
/** Milliseconds after which it is looked whether the user wants to go. */
const LOOK_MS = 200;

/** How to serve. */
export interface GdbOptions {
  /** Let the guest wait for a client that lets it start. */
  readonly wait?: boolean;
  /** Does gdb's `monitor` commands; a few there always are. */
  readonly monitor?: GdbMonitor;
  /** Goes backwards, where the run was recorded. */
  readonly reverse?: ReverseDebugger;
  /** Takes what the user should know, a line each. */
  readonly log?: (line: string) => void;
}

/** A gdb server. */
export class GdbServer {
  readonly #listener: SocketListener;
  readonly #address: SocketPlace;
  readonly #seat: Seat;
  readonly #log: (line: string) => void;
  /** Keeps the guest from starting. */
  #holder: MachineDebugger | undefined;
  #client: GdbConnection | undefined;
  #serving: Promise<void> = Promise.resolve();
  readonly #accepting: AcceptLoop<Deno.Conn>;
  #isClosed = false;
  /** Ends a pause. */
  #resume: () => void = () => {};

  private constructor(
    listener: SocketListener,
    address: SocketPlace,
    target: GdbTarget,
    holder: MachineDebugger | undefined,
    options: GdbOptions,
  ) {
    this.#listener = listener;
    this.#address = address;
    this.#holder = holder;
    this.#log = options.log ?? (() => {});
    this.#seat = new Seat({
      debug: () => this.#holder ?? target.debug(),
      reset: () => target.reset(),
      kill: () => target.kill(),
      monitor: options.monitor ?? target.monitor,
      reverse: options.reverse ?? target.reverse,
      keep: () => this.#holder !== undefined,
      goes: () => this.#holder = undefined,
    });
    this.#accepting = new AcceptLoop<Deno.Conn>(listener, {
      serve: (stream) => this.#admit(stream),
      refused: (error) => this.#log(`gdb cannot be accepted for now: ${error}`),
    });
  }

  /**
   * Serve a machine at `tcp::PORT`, `tcp:HOST:PORT` or `unix:PATH`. Throws a
   * `GdbError` where that cannot be.
   */
  static async listen(
    where: string,
    target: GdbTarget,
    options: GdbOptions = {},
  ): Promise<GdbServer> {
    const address = parseGdbAddress(where);
    const listener = await listenForGdb(address);
    let holder: MachineDebugger | undefined;
    try {
      if (options.wait === true) {
        holder = await target.debug();
        holder.pause();
      }
    } catch (error) {
      listener.close();
      throw error;
    }
    if (isOpenToOthers(address)) {
      options.log?.(
        `anybody who reaches ${
          describePlace(address)
        } controls the guest by gdb`,
      );
    }
    return new GdbServer(listener, address, target, holder, options);
  }

  /** Where it listens, as gdb's `target remote` takes it. */
  get address(): string {
    const { addr } = this.#listener;
    return "port" in addr
      ? describePlace({ host: addr.hostname, port: addr.port })
      : describePlace(this.#address);
  }

  /** Serve a client, unless there is another one. */
  async #admit(stream: Deno.Conn): Promise<void> {
    if (this.#client !== undefined) await this.#pause(LEAVE_MS);
    if (this.#isClosed) return stream.close();
    if (this.#client === undefined) this.#serving = this.#serve(stream);
    else {
      this.#log("another gdb was refused: one is connected");
      stream.close();
    }
  }

  async #serve(stream: Deno.Conn): Promise<void> {
    keepLively(stream);
    const client = new GdbConnection(stream, this.#seat);
    this.#client = client;
    await client.serve();
    this.#client = undefined;
    this.#resume();
  }

  /** Let time pass, unless the client goes or the server is closed. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /**
   * After the end of the run: a client may look at where the guest died for as
   * long as it likes, and the user does not say that he goes.
   */
  async finish(result: RunResult, goes: () => boolean): Promise<void> {
    if (!isLookedAt(result)) return;
    while (this.#client !== undefined && !this.#isClosed && !goes()) {
      await this.#pause(LOOK_MS);
    }
  }

  /**
   * Hang up. A client that waits for the guest is told that it has ended, with
   * this status.
   */
  async close(status = 0): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const accepted = this.#accepting.close();
    this.#resume();
    await this.#client?.close(status);
    await Promise.all([accepted, this.#serving]);
    this.#seat.close();
  }
}
