/**
 * What looks into a machine from outside: monitors, debuggers, hooks, and who
 * goes to and fro in a replay. Each is loaded when it is first asked for.
 *
 * @module
 */

import type { MachineDebugger } from "../debug/contract.ts";
import type { DebugControl } from "../debug/control.ts";
import type { DebugMemory } from "../debug/cpu.ts";
import type { GdbOptions, GdbServer } from "../debug/gdb/server.ts";
import type { HookError } from "../debug/hook_error.ts";
import type { Hooks } from "../debug/hooks.ts";
import type { MonitorConsole, MonitorSession } from "../monitor/console.ts";
import type { Monitor } from "../monitor/hmp/monitor.ts";
import type { QmpListener } from "../monitor/contract.ts";
import type { ReplayDebugger } from "../replay/reverse.ts";
import type { Machine } from "./machine.ts";
import type { RunResult } from "./run_result.ts";
import type { Parts } from "./parts.ts";
import type { RunLoop } from "./run_loop.ts";

/** A machine for those who look into it. */
export interface Observed {
  /** The machine. */
  readonly machine: Machine;
  /** Its parts. */
  readonly parts: Parts;
  /** What runs it. */
  readonly loop: RunLoop;
  /** See `Subject.memory`. */
  readonly memory: Uint8Array;
  /** In a replay: instructions of each CPU up to here, less those that it counts. */
  readonly earlier: number[];
  /** Whether a run of it has ended. */
  hasEnded(): boolean;
  /** Lets the guest go on that a monitor has stopped. */
  letGo(): void;
  /** Somebody has the guest stand still, or go on. */
  tellHeld(): void;
}

/** What looks into one machine. */
export class Observers {
  readonly #of: Observed;
  readonly #gdb = new Set<GdbServer>();
  readonly #servers = new Set<QmpListener>();
  #monitor: Promise<Monitor> | undefined;
  #control: Promise<DebugControl> | undefined;
  #debugging: DebugControl | undefined;
  #hooked: Promise<Hooks> | undefined;
  #hooks: Hooks | undefined;
  #hookError: HookError | undefined;
  #replayer: Promise<ReplayDebugger> | undefined;

  /** Nobody looks yet. */
  constructor(observed: Observed) {
    this.#of = observed;
  }

  /** Debuggers' control of the machine, when there is one. */
  get debugging(): DebugControl | undefined {
    return this.#debugging;
  }

  /** See `Machine.monitor`. */
  monitor(): Promise<Monitor> {
    return this.#monitor ??= this.#newMonitor();
  }

  /** See `Machine.openMonitor`. */
  async openMonitor(console: MonitorConsole): Promise<MonitorSession> {
    this.#of.loop.hasSockets = true;
    const { HmpSession } = await import("../monitor/hmp/session.ts");
    return new HmpSession(await this.#newMonitor(), console);
  }

  async #newMonitor(): Promise<Monitor> {
    const { Monitor } = await import("../monitor/hmp/monitor.ts");
    return new Monitor(this.#of.machine, this.#of.parts);
  }

  /** See `Machine.serveQmp`. */
  async serveQmp(place: string): Promise<QmpListener> {
    const { machine, parts, loop } = this.#of;
    loop.hasSockets = true;
    const { QmpServer } = await import("../monitor/qmp/server.ts");
    const server = await QmpServer.listen(place, {
      machine,
      parts,
      human: () => this.#newMonitor(),
      warn: parts.log.write,
    });
    this.#servers.add(server);
    return server;
  }

  /** See `Machine.debug`. */
  async debug(): Promise<MachineDebugger> {
    return (await this.#debugControl()).attach();
  }

  /** See `Machine.serveGdb`. */
  async serveGdb(where: string, options: GdbOptions): Promise<GdbServer> {
    const { machine, parts, loop } = this.#of;
    loop.hasSockets = true;
    const { GdbServer } = await import("../debug/gdb/server.ts");
    const isNew = !machine.running && !this.#of.hasEnded();
    const isReplay = parts.inputs?.isLive === false;
    const server = await GdbServer.listen(where, {
      debug: () => this.debug(),
      reverse: isReplay && isNew ? await this.replayer() : undefined,
      reset: () => machine.reset(),
      kill: () => machine.quit(),
    }, {
      monitor: async (line) => (await this.monitor()).run(line),
      ...options,
    });
    this.#gdb.add(server);
    return server;
  }

  /** See `Machine.gdbLeaves`. */
  async gdbLeaves(result: RunResult): Promise<void> {
    const { requests } = this.#of.parts;
    for (const server of this.#gdb) {
      await server.finish(result, () => requests.end !== undefined);
    }
  }

  #debugControl(): Promise<DebugControl> {
    const { machine, parts, loop, letGo, tellHeld } = this.#of;
    return this.#control ??= import("../debug/control.ts").then(
      async ({ DebugControl }) =>
        this.#debugging = await DebugControl.of({
          cpu: machine.cpu,
          cpus: parts.cpus,
          loop,
          memory: this.#debugMemory(),
          keepsOrder: parts.inputs !== undefined,
          refusal: parts.inputs?.refusal,
          isStarted: () => machine.running,
          start: () => machine.start(),
          notify: tellHeld,
          goes: () => {
            letGo();
            tellHeld();
          },
          wait: () => machine.wait(),
        }),
    );
  }

  #debugMemory(): DebugMemory {
    const { machine } = this.#of;
    const space = machine.space(machine.plan.definition.cpu.physical);
    return {
      read: (address, into) => space.peek(address, into),
      write: (address, bytes) => {
        const written = space.poke(address, bytes);
        if (written > 0) machine.cpu.invalidate(address, written);
        return written;
      },
    };
  }

  /** See `Machine.replayer`. */
  replayer(): Promise<ReplayDebugger> {
    return this.#replayer ??= this.#createReplayer();
  }

  async #createReplayer(): Promise<ReplayDebugger> {
    const { createReplayer } = await import("../replay/machine_replayer.ts");
    const { machine, parts, loop, memory, earlier, hasEnded } = this.#of;
    return await createReplayer({
      parts,
      loop,
      media: machine.media,
      memory,
      earlier,
      control: () => this.#debugControl(),
      isStarted: () => machine.running || hasEnded(),
    });
  }

  /**
   * Do something with the hooks. What a listener asks for is done as soon as
   * its instruction is.
   */
  async hook<T>(action: (hooks: Hooks) => T): Promise<T> {
    const hooks = this.#hooks ?? await this.#loadHooks();
    const done = Promise.withResolvers<T>();
    this.#of.loop.outsideSlice(() => {
      try {
        done.resolve(action(hooks));
      } catch (error) {
        done.reject(error);
      }
    });
    return await done.promise;
  }

  #loadHooks(): Promise<Hooks> {
    const { machine, parts, loop } = this.#of;
    return this.#hooked ??= Promise.all([
      import("../debug/hooks.ts"),
      this.#debugControl(),
    ]).then(([{ Hooks }, control]) => {
      const { physical, ports } = machine.plan.definition.cpu;
      return this.#hooks = new Hooks({
        control,
        events: machine.events,
        devices: parts.deviceEvents,
        masters: parts.masters,
        mmio: machine.space(physical),
        port: ports === undefined ? undefined : machine.space(ports),
        failed: (error) => {
          this.#hookError ??= error;
          loop.stop();
        },
      });
    });
  }

  /** Throws what a listener has thrown since this was asked last. */
  throwHookError(): void {
    const error = this.#hookError;
    this.#hookError = undefined;
    if (error !== undefined) throw error;
  }

  /** Ends all sessions; debuggers are told the guest's exit status. */
  async close(status: number | undefined): Promise<void> {
    for (const server of this.#gdb) await server.close(status);
    await Promise.all([...this.#servers].map((server) => server.close()));
  }
}
