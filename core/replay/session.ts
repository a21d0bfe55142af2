/**
 * A recording's header: the machine that it is of, and how its files are known
 * again.
 *
 * A recording has no files in it, only what tells that they are the same: the
 * hash of each file that is loaded, and of a disk its size and samples of what
 * is on it. What a replayed guest then reads of its disks is compared too, as
 * it goes.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import { VERSION } from "../version.ts";
import { at } from "../machine/document.ts";
import { resolve } from "../machine/path.ts";
import type { Parts } from "../machine/parts.ts";
import type { MachinePlan } from "../machine/plan_types.ts";
import type { JsonObject, JsonValue } from "../machine/schema_types.ts";
import type { LoadOptions } from "../machine/options.ts";
import { ReplayError } from "./error.ts";
import { identifyDisk } from "./identity.ts";
import type { TimedInputs } from "./inputs.ts";
import type { Entries } from "./log.ts";
import { LogFile, type LogSource, logSource } from "./log_file.ts";
import { Player } from "./player.ts";
import { createLog, Recorder } from "./recorder.ts";

/** The header. */
export interface Header {
  /** The version of Rhea that has recorded. */
  readonly rhea: string;
  /** The definition, complete, with absolute paths. */
  readonly definition: JsonObject;
  /** Whether a reset ends the run. */
  readonly noReboot: boolean;
  /** Versions of the plugins, by `type name`. */
  readonly plugins: Readonly<Record<string, string>>;
  /** By name, whether networks take frames with an offload. */
  readonly networks: Readonly<Record<string, boolean>>;
  /** Hashes of files, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** What is known of disks, by the backend's name. */
  readonly disks: Readonly<Record<string, string>>;
  /** The channels. */
  readonly channels: readonly string[];
  /** The snapshot that the run goes on from, if it does not begin with a reset. */
  readonly snapshot?: SnapshotMark;
}

/** How the snapshot of a run's beginning is known again. */
export interface SnapshotMark {
  /** The file, absolute. */
  readonly path: string;
  /** Its SHA-256. */
  readonly hash: string;
  /** The date of virtual time zero, in milliseconds since 1970: a machine with the host's time has not saved it. */
  readonly epoch: number;
}

/** A plugin's name that serves anywhere. */
function specifier(plan: MachinePlan, path: string[], name: string): string {
  if (!/^\.\.?[/\\]/.test(name)) return name;
  return resolve(at(plan.document, path).place.directory, name);
}

/** What was written of a configuration, with the values that it came to. */
function final(written: JsonObject | undefined, planned: unknown): JsonObject {
  const values = planned as JsonObject;
  const keys = Object.keys(written ?? {}).filter((key) =>
    Object.hasOwn(values, key)
  );
  return Object.fromEntries(keys.map((key) => [key, values[key]]));
}

/** A plan's definition, for a recording: paths are absolute. */
function finalDefinition(plan: MachinePlan): JsonObject {
  const { definition } = plan;
  const all = definition as unknown as JsonObject;
  const devices: Record<string, JsonValue> = {};
  for (const [name, device] of Object.entries(definition.devices)) {
    const planned = plan.devices.find((other) => other.name === name)!;
    const path = ["devices", name, "plugin"];
    devices[name] = {
      ...device as unknown as JsonObject,
      plugin: specifier(plan, path, device.plugin),
      config: final(device.config as JsonObject | undefined, planned.config),
    };
  }
  const backends: Record<string, JsonValue> = {};
  for (const { name, config } of plan.backends) {
    const backend = definition.backends[name];
    const path = ["backends", name, "plugin"];
    const { pcap: _, ...rest } = backend as unknown as Record<
      string,
      JsonValue
    >;
    backends[name] = {
      ...rest,
      plugin: specifier(plan, path, backend.plugin),
      config: config as JsonObject,
    };
  }
  const loaders = definition.boot.loaders.map((loader, i) =>
    specifier(plan, ["boot", "loaders", `${i}`], loader)
  );
  return {
    ...all,
    cpu: {
      ...definition.cpu as unknown as JsonObject,
      plugin: specifier(plan, ["cpu", "plugin"], definition.cpu.plugin),
    },
    boot: { ...definition.boot as unknown as JsonObject, loaders },
    devices,
    backends,
  };
}

/** The versions of a plan's plugins. */
function versions(plan: MachinePlan): Record<string, string> {
  const all: Record<string, string> = {};
  const parts = [...plan.devices, ...plan.backends].map(({ plugin }) => plugin);
  for (const { type, name, version } of [plan.cpu, ...plan.loaders, ...parts]) {
    all[`${type} ${name}`] = version;
  }
  return all;
}

/**
 * The hashes of the files that a machine is made of. One that goes on from a
 * snapshot may do without a kernel.
 */
async function fileHashes(
  plan: MachinePlan,
  isRestored: boolean,
): Promise<Record<string, string>> {
  const { boot } = plan.definition;
  const paths = [
    boot.kernel,
    boot.initrd,
    ...(boot.modules ?? []).map(({ file }) => file),
    ...plan.memories.map(({ file }) => file),
    ...plan.devices.flatMap(({ files }) =>
      [...files.values()].map((f) => f.size === undefined ? undefined : f.path)
    ),
  ];
  const hashes: Record<string, string> = {};
  for (const path of paths) {
    if (path === undefined || Object.hasOwn(hashes, path)) continue;
    hashes[path] = await fileHash(path, isRestored);
  }
  return hashes;
}

/** A file's SHA-256; with `mayMiss`, "none" of one that is not there. */
async function fileHash(path: string, mayMiss = false): Promise<string> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (mayMiss && error instanceof Deno.errors.NotFound) return "none";
    throw error;
  }
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(hash).toHex();
}

/** The header of a machine that has been built with these backends. */
async function describeMachine(
  { plan, backends, options }: Pick<Parts, "plan" | "backends" | "options">,
  channels: readonly string[],
  snapshot: SnapshotMark | undefined,
): Promise<Header> {
  const networks: Record<string, boolean> = {};
  const disks: Record<string, string> = {};
  for (const { name, plugin } of plan.backends) {
    const backend = backends.get(name);
    if (plugin.type === "net") {
      networks[name] = (backend as { offload: boolean }).offload;
    } else if (plugin.type === "block") {
      disks[name] = await identifyDisk(backend as BlockBackend);
    }
  }
  return {
    rhea: VERSION,
    definition: finalDefinition(plan),
    noReboot: options.noReboot ?? false,
    plugins: versions(plan),
    networks,
    files: await fileHashes(plan, snapshot !== undefined),
    disks,
    channels: [...channels],
    snapshot,
  };
}

/** What comes from outside of a machine that is recorded or replayed; undefined of any other. */
export async function openInputs(
  plan: MachinePlan,
  { record, replay }: LoadOptions,
): Promise<TimedInputs | undefined> {
  if (record === undefined && replay === undefined) return undefined;
  const { mode, precise } = plan.definition.time;
  if (mode !== "icount" || !precise) {
    throw new ReplayError(
      "unsupported",
      "A run is recorded and replayed with time.mode icount and time.precise only",
    );
  }
  if (replay !== undefined) return new Player(replay.log);
  return new Recorder(await createLog(record!));
}

/** The machine is built, and about to start: from a snapshot, if there is a path. */
export async function beginSession(
  parts: Pick<Parts, "plan" | "backends" | "options" | "clock">,
  inputs: TimedInputs,
  path?: string,
): Promise<void> {
  const { clock, options } = parts;
  const recorded = options.replay?.header.snapshot;
  if (recorded !== undefined) clock.epoch = recorded.epoch;
  const snapshot = path === undefined ? undefined : recorded ??
    { path: resolve(path), hash: await fileHash(path), epoch: clock.epoch };
  const header = await describeMachine(parts, inputs.channels, snapshot);
  if (inputs instanceof Recorder) return inputs.begin(header);
  compareMachines(parts.options.replay!.header, header);
  (inputs as Player).checkChannels();
}

/** Plugins, by type and name, whose part a channel has. */
const HOST_SIDE = /^(char|display|input|net) /;

/** Throws a `ReplayError` unless a machine is the one of a recording. */
function compareMachines(recorded: Header, now: Header): void {
  const compare = (
    what: string,
    before: Readonly<Record<string, string>>,
    after: Readonly<Record<string, string>>,
    say: (name: string) => string,
  ): void => {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    for (const name of names) {
      if (before[name] === after[name]) continue;
      throw new ReplayError("mismatch", `Cannot replay: ${what} ${say(name)}`);
    }
  };
  if (recorded.rhea !== now.rhea) {
    throw new ReplayError(
      "version",
      `Cannot replay: Rhea ${recorded.rhea} has recorded it, this is ${now.rhea}`,
    );
  }
  // What devices stand on at the host is not there in a replay, but for disks.
  const guestSide = (plugins: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(plugins).filter(([name]) => !HOST_SIDE.test(name)),
    );
  const isNot = (name: string): string =>
    `"${name}" is not what it was when the run was recorded`;
  compare(
    "the plugin",
    guestSide(recorded.plugins),
    guestSide(now.plugins),
    (name) =>
      `"${name}" has version ${now.plugins[name] ?? "none"}, and had ` +
      `${recorded.plugins[name] ?? "none"} when the run was recorded`,
  );
  compare("the file", recorded.files, now.files, isNot);
  compare("the disk", recorded.disks, now.disks, isNot);
  if (recorded.channels.join("\n") !== now.channels.join("\n")) {
    throw new ReplayError(
      "mismatch",
      "Cannot replay: the machine has other inputs than when it was recorded",
    );
  }
}

/** Throws a `ReplayError` unless a recording's snapshot is what it was. */
export async function checkSnapshot(
  { path, hash }: SnapshotMark,
): Promise<void> {
  const now = await fileHash(path, true);
  if (now === hash) return;
  const why = now === "none"
    ? "is not there any more"
    : "is not what it was when the run was recorded";
  throw new ReplayError(
    "mismatch",
    `Cannot replay: the snapshot "${path}" ${why}`,
  );
}

/** A recording that was read. */
export interface Recording {
  /** What was recorded. */
  readonly log: Entries;
  /** Whether the end is missing. */
  readonly isTruncated: boolean;
  /** The header. */
  readonly header: Header;
  /** The file's name, for messages. */
  readonly path: string;
}

/** Read a recording; throws a `ReplayError`. */
export async function openRecording(path: string): Promise<Recording> {
  let source: LogSource;
  try {
    source = await logSource(path);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const reason = cause instanceof Deno.errors.NotFound
      ? "there is no such file"
      : cause.message;
    throw new ReplayError("io", `Cannot replay "${path}": ${reason}`, {
      cause,
    });
  }
  try {
    const log = new LogFile(source);
    const { isTruncated } = log;
    return { log, isTruncated, header: checkHeader(log.header), path };
  } catch (error) {
    if (!(error instanceof ReplayError)) throw error;
    throw new ReplayError(
      error.kind,
      `Cannot replay "${path}": ${error.message}`,
      { cause: error },
    );
  }
}

function checkHeader(value: unknown): Header {
  const isObject = (part: unknown): part is Record<string, unknown> =>
    typeof part === "object" && part !== null && !Array.isArray(part);
  const isMap = (part: unknown, type: string): boolean =>
    isObject(part) && Object.values(part).every((item) => typeof item === type);
  const isSnapshot = (part: unknown): boolean =>
    part === undefined || isObject(part) && typeof part.path === "string" &&
      typeof part.hash === "string" && Number.isSafeInteger(part.epoch);
  const isGood = isObject(value) && isObject(value.definition) &&
    typeof value.rhea === "string" &&
    typeof value.noReboot === "boolean" && isMap(value.plugins, "string") &&
    isMap(value.networks, "boolean") &&
    isMap(value.files, "string") && isMap(value.disks, "string") &&
    Array.isArray(value.channels) &&
    value.channels.every((name) => typeof name === "string") &&
    isSnapshot(value.snapshot);
  if (isGood) return value as unknown as Header;
  throw new ReplayError("damaged", "the header is not one");
}
