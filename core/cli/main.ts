/**
 * The command line: the only place that ends the process and that prints.
 *
 * @module
 */

import { MemoryError } from "../machine/memory.ts";
import { DefinitionError } from "../machine/document.ts";
import { Machine, type RunResult } from "../machine/machine.ts";
import { type LoadOptions, planDefinition } from "../machine/options.ts";
import { hasRom, hasScreen, type MachinePlan } from "../machine/plan_types.ts";
import type { Trace } from "../machine/trace.ts";
import { LoadError, type PermissionNeeds } from "../machine/plugin.ts";
import { printable } from "../machine/printable.ts";
import { PluginError, type PluginTable } from "../machine/registry.ts";
import type { NamedPlugin } from "../machine/schema_document.ts";
import { resolve } from "../machine/path.ts";
import { ReplayError } from "../replay/error.ts";
import { SnapshotError } from "../snapshot/error.ts";
import { VERSION } from "../version.ts";
import { type Command, HELP, parseCommand, UsageError } from "./arguments.ts";
import type { Monitors } from "./monitor.ts";
import type { Output } from "./output.ts";
import type { Screendumps } from "./screendumps.ts";

/** Exit status for a mistake of the user's. */
const STATUS_USAGE = 2;

/** Prints to the terminal. */
export const TERMINAL: Output = {
  out: (text) => writeAll(Deno.stdout, text),
  message: (line) => writeLines(`rhea: ${line}\n`),
  trace: writeLines,
  progress: "standard",
};

/** Write lines to standard error. */
function writeLines(text: string): void {
  // The terminal may be in raw mode, where a line feed alone only goes down.
  const raw = Deno.stderr.isTerminal();
  writeAll(Deno.stderr, raw ? text.replaceAll("\n", "\r\n") : text);
}

function writeAll(
  file: { writeSync(bytes: Uint8Array): number },
  text: string,
) {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) {
    done += file.writeSync(bytes.subarray(done));
  }
}

/**
 * Do what the arguments say; gives back the exit status. Errors of the user's
 * become one line and status 2; others are thrown.
 */
export async function main(
  args: readonly string[],
  plugins: PluginTable,
  output: Output = TERMINAL,
): Promise<number> {
  if (args[0] === "image") {
    // Not loaded when a machine is to start.
    const { imageMain } = await import("./image.ts");
    return await imageMain(args.slice(1), plugins, output);
  }
  try {
    return await execute(parseCommand(args), plugins, output);
  } catch (error) {
    if (isUserError(error)) {
      output.message(printable(error.message));
      return STATUS_USAGE;
    }
    throw error;
  }
}

function isUserError(error: unknown): error is Error {
  return error instanceof UsageError || error instanceof DefinitionError ||
    error instanceof LoadError || error instanceof PluginError ||
    error instanceof MemoryError || error instanceof ReplayError ||
    error instanceof SnapshotError ||
    error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotCapable ||
    error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.AddrInUse ||
    error instanceof Deno.errors.ConnectionRefused;
}

async function execute(
  command: Command,
  plugins: PluginTable,
  output: Output,
): Promise<number> {
  const { action, machine } = command;
  const options = { ...command.options, plugins };
  switch (action) {
    case "help":
      output.out(HELP);
      return 0;
    case "version":
      output.out(`Rhea ${VERSION}\n`);
      return 0;
    case "schema": {
      // Not loaded when a machine is to start.
      const { machineSchema } = await import("../machine/schema_document.ts");
      const further: NamedPlugin[] = [];
      if (machine !== undefined) {
        const plan = await planDefinition(machine, {
          ...options,
          skipFiles: true,
        });
        const { definition } = plan;
        further.push({ name: definition.cpu.plugin, plugin: plan.cpu });
        for (const { name, plugin } of plan.devices) {
          further.push({ name: definition.devices[name].plugin, plugin });
        }
        for (const { name, plugin } of plan.backends) {
          further.push({ name: definition.backends[name].plugin, plugin });
        }
      }
      output.out(`${json(await machineSchema(plugins, further))}\n`);
      return 0;
    }
    case "resolve": {
      const plan = await planOf(command, { ...options, skipFiles: true });
      output.out(`${json(plan.definition)}\n`);
      return 0;
    }
    case "permissions": {
      const { permissionFlags } = await import("../machine/permissions.ts");
      const plan = await planOf(command, { ...options, skipFiles: true });
      const { screendump, gdb } = command;
      const paths = (...all: readonly (string | undefined)[]): string[] =>
        all.filter((path) => path !== undefined).map((path) => resolve(path));
      let needs: PermissionNeeds = gdb === undefined
        ? {}
        : (await import("./gdb.ts")).gdbNeeds(gdb);
      needs = {
        ...needs,
        // Nothing but a recording is written over.
        read: [
          ...paths(options.record),
          ...await snapshotFile(command),
          ...needs.read ?? [],
        ],
        write: [...paths(screendump, options.record), ...needs.write ?? []],
      };
      if (command.monitors.length > 0) {
        const { monitorNeeds } = await import("./monitor.ts");
        needs = monitorNeeds(command.monitors, needs);
      }
      if (command.qmp.length > 0) {
        const { qmpNeeds } = await import("./qmp.ts");
        needs = qmpNeeds(command.qmp, needs);
      }
      const flags = await permissionFlags(plan, needs);
      output.out(`${flags.join("\n")}\n`);
      return 0;
    }
    default:
      return await run(command, plugins, output);
  }
}

/** The machine that is asked for: of a machine file, or of a snapshot. */
async function planOf(
  { machine, loadvm }: Command,
  options: LoadOptions,
): Promise<MachinePlan> {
  if (machine !== undefined) return await planDefinition(machine, options);
  const { planSnapshot } = await import("../snapshot/load.ts");
  return await planSnapshot(loadvm!, options, true);
}

/** The file that the machine goes on from, if any. */
async function snapshotFile(
  { loadvm, options }: Command,
): Promise<readonly string[]> {
  if (loadvm === undefined) return [];
  const { snapshotPath } = await import("../snapshot/folder.ts");
  return [snapshotPath(loadvm, options.snapshots ?? ".")];
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

async function run(
  command: Command,
  plugins: PluginTable,
  output: Output,
): Promise<number> {
  // Not loaded without.
  const replay = command.replay === undefined
    ? undefined
    : await import("./replay.ts");
  const replayed = await replay?.openReplay(command.replay!);
  const options: LoadOptions = {
    ...command.options,
    ...replayed?.options,
    plugins,
    log: (line: string) => output.message(line),
  };
  const { loadvm } = command;
  let plan: MachinePlan | undefined;
  if (replayed !== undefined) {
    plan = await planDefinition(replayed.definition, options);
  } else if (
    command.machine !== undefined || command.screendump !== undefined
  ) {
    // That of a snapshot alone, too, when pictures want to know its screen; else
    // its memory is read while it is planned.
    plan = await planOf(command, options);
  }
  const isEmpty = plan !== undefined && !hasRom(plan) &&
    plan.definition.boot.kernel === undefined;
  if (isEmpty && loadvm === undefined) {
    throw new UsageError(
      "there is nothing to start: expected --kernel FILE or --firmware FILE",
    );
  }
  const dumps = plan && await startDumps(plan, command, output);
  let machine: Machine;
  let trace: Trace | undefined;
  let monitors: Monitors | undefined;
  try {
    machine = loadvm === undefined
      ? await Machine.build(plan!, options)
      : await Machine.restore(loadvm, options, { plan, terminal: true });
    trace = await startTrace(machine, command, output);
    monitors = await openMonitors(machine, command, output);
    if (command.qmp.length > 0) {
      const { startQmp } = await import("./qmp.ts");
      await startQmp(machine, command.qmp);
    }
  } catch (error) {
    dumps?.stop();
    await monitors?.stop();
    throw error;
  }
  // The terminal must be restored when the process is asked to go.
  const leave = (): void => machine.quit("host-signal");
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, leave);
  dumps?.of(machine);
  const start = performance.now();
  let result: RunResult;
  try {
    if (command.gdb !== undefined) {
      // Not loaded without.
      const { startGdb } = await import("./gdb.ts");
      await startGdb(machine, command, (line) => output.message(line));
    } else if (command.wait) machine.stopGuest();
    result = await machine.run();
    await dumps?.write();
    if (command.gdb !== undefined) await machine.gdbLeaves(result);
  } finally {
    dumps?.stop();
    for (const signal of signals) Deno.removeSignalListener(signal, leave);
    await monitors?.stop();
    await machine.stop();
  }
  const ending = describeEnd(result) ??
    replay?.describeReplay(machine, result, options);
  if (ending !== undefined) output.message(ending);
  for (const address of trace?.missing ?? []) {
    const unsigned = BigInt.asUintN(64, BigInt(address));
    output.message(
      `no region with code at ${unsigned.toString(16)} was compiled`,
    );
  }
  if (command.stats) {
    const wall = performance.now() - start;
    for (const line of formatStats(machine.stats(), wall)) output.message(line);
  }
  return result.status;
}

/** The pictures that are asked for, if any. */
async function startDumps(
  plan: MachinePlan,
  { screendump }: Command,
  output: Output,
): Promise<Screendumps | undefined> {
  if (screendump === undefined) return undefined;
  if (!hasScreen(plan)) {
    throw new UsageError(
      `--screendump ${screendump}: the machine has no screen`,
    );
  }
  // Not loaded without.
  const { Screendumps } = await import("./screendumps.ts");
  return await Screendumps.start(screendump, (line) => output.message(line));
}

/** Start the trace that the flags ask for, if any. */
async function startTrace(
  machine: Machine,
  { traceBlocks, dumpRegions }: Command,
  output: Output,
): Promise<Trace | undefined> {
  if (!traceBlocks && dumpRegions.length === 0) return undefined;
  try {
    return await machine.trace({
      blocks: traceBlocks,
      regions: dumpRegions,
      write: (text) => output.trace(text),
    });
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

/** Start the monitors that the flags ask for, if any. */
async function openMonitors(
  machine: Machine,
  { monitors }: Command,
  output: Output,
): Promise<Monitors | undefined> {
  if (monitors.length === 0) return undefined;
  try {
    // Not loaded without.
    const { monitorPlaces, startMonitors } = await import("./monitor.ts");
    return await startMonitors(
      machine,
      monitorPlaces(monitors),
      (line) => output.message(line),
    );
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

/** What to tell the user of how a run ended. */
export function describeEnd(result: RunResult): string | undefined {
  switch (result.reason) {
    case "halt":
      return `the guest halted with interrupts off at ${result.where}`;
    case "shutdown":
      return `the guest's CPU shut down (triple fault) at ${result.where}`;
    default:
      return undefined;
  }
}

/** Counters as lines, aligned. */
export function formatStats(
  stats: Readonly<Record<string, number>>,
  wallMs: number,
): string[] {
  const all: Record<string, number> = { "wall time ms": wallMs, ...stats };
  const width = Math.max(...Object.keys(all).map((name) => name.length));
  return Object.entries(all).map(([name, value]) => {
    const text = Number.isInteger(value) ? `${value}` : value.toFixed(3);
    return `${name.padEnd(width)} ${text.padStart(16)}`;
  });
}
