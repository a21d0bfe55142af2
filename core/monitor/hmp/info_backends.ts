/**
 * `info` of what devices stand on at the host: `block`, `blockstats`,
 * `chardev`, `network`, `usernet`, `vnc`.
 *
 * @module
 */

import type { BlockBackend } from "../../backend/block.ts";
import type { NetBackend } from "../../backend/net.ts";
import type { Medium } from "../../machine/media.ts";
import type {
  PlannedBackend,
  PlannedDevice,
} from "../../machine/plan_types.ts";
import type { JsonObject } from "../../machine/schema_types.ts";
import { drivesOf } from "../qmp/drives.ts";
import type { Arguments } from "./arguments.ts";
import { type Command, lines } from "./command.ts";
import type { MonitorContext } from "./context.ts";

/** The backends of a type. */
function backendsOf(
  { machine }: MonitorContext,
  type: PlannedBackend["plugin"]["type"],
): readonly PlannedBackend[] {
  return machine.plan.backends.filter(({ plugin }) => plugin.type === type);
}

/** The device that stands on a backend, and in which role. */
function userOf(
  { machine }: MonitorContext,
  backend: string,
): { readonly device: PlannedDevice; readonly role: string } | undefined {
  for (const device of machine.plan.devices) {
    for (const [role, name] of device.backends) {
      if (name === backend) return { device, role };
    }
  }
  return undefined;
}

/** What a configuration says in one line: the file, the address, or all. */
function configText(config: unknown): string {
  if (typeof config !== "object" || config === null) return "";
  const { file, url } = config as Record<string, unknown>;
  return typeof file === "string"
    ? file
    : typeof url === "string"
    ? url
    : Object.entries(config)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) =>
        `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`
      ).join(",");
}

/** What is in a drive with removable media. */
function mediumOf({ machine }: MonitorContext, drive: string): Medium {
  const inserted = machine.media.inserted(drive);
  if (inserted !== undefined) return inserted;
  const [device, role] = drive.split(".");
  const { devices, backends } = machine.plan;
  const key = devices.find(({ name }) => name === device)?.backends.get(role);
  const planned = backends.find(({ name }) => name === key);
  return {
    plugin: planned?.plugin.name ?? "image",
    config: planned?.config as JsonObject | undefined,
  };
}

/** Bytes with a unit, as QEMU's tools write them. */
function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${Number(bytes.toPrecision(3))} ${units[unit]}`;
}

/** What `-v` shows of an image. */
function* imageLines(
  file: string,
  format: string,
  size: number,
): Generator<string> {
  yield "";
  yield "Images:";
  yield `image: ${file}`;
  yield `file format: ${format}`;
  yield `virtual size: ${sizeText(size)} (${size} bytes)`;
}

/** Images by the names of their nodes. */
function* blockNodes({ machine, parts }: MonitorContext): Generator<string> {
  for (const { node, file, format, image } of drivesOf({ machine, parts })) {
    if (image === undefined) continue;
    yield `${node}: ${file} (${format}${image.readOnly ? ", read-only" : ""})`;
  }
}

/** Drives: those that have media of their own, and those that change them. */
function* blocks(
  context: MonitorContext,
  args: Arguments,
): Generator<string> {
  const { machine, parts } = context;
  const isVerbose = args.has("verbose");
  const only = args.text("device");
  const isShown = (name: string): boolean =>
    only === undefined || only === name;
  let isFirst = true;
  const head = function* (text: string): Generator<string> {
    if (!isFirst) yield "";
    isFirst = false;
    yield text;
  };
  for (const { name, plugin, config } of backendsOf(context, "block")) {
    const user = userOf(context, name);
    const drive = user && `${user.device.name}.${user.role}`;
    if (drive !== undefined && machine.media.drives.has(drive)) continue;
    if (!isShown(name) && !isShown(drive ?? name)) continue;
    const backend = parts.backends.get(name) as BlockBackend | undefined;
    yield* head(
      `${name}: ${configText(config)} (${plugin.name}${
        backend?.readOnly ? ", read-only" : ""
      })`,
    );
    if (drive !== undefined) yield `    Attached to:      ${drive}`;
    if (backend === undefined) continue;
    yield `    Size:             ${backend.size}`;
    if (!isVerbose) continue;
    yield* imageLines(configText(config), plugin.name, backend.size);
  }
  for (const [name, drive] of machine.media.drives) {
    if (!isShown(name)) continue;
    const { medium } = drive;
    const inserted = mediumOf(context, name);
    const what = medium === undefined
      ? "[not inserted]"
      : `${configText(inserted.config)} (${inserted.plugin}${
        medium.readOnly ? ", read-only" : ""
      })`;
    yield* head(`${name}: ${what}`);
    yield `    Attached to:      ${name}`;
    yield `    Removable device: ${drive.locked ? "locked" : "not locked"}, ` +
      `tray ${drive.open ? "open" : "closed"}`;
    if (medium === undefined) continue;
    yield `    Size:             ${medium.size}`;
    if (!isVerbose) continue;
    const { plugin, config } = inserted;
    yield* imageLines(configText(config), plugin, medium.size);
  }
}

function* blockStatistics(context: MonitorContext): Generator<string> {
  const { machine, parts } = context;
  const line = (name: string, backend: BlockBackend | undefined): string => {
    const counts = backend && parts.blocks.counts(backend);
    return `${name}: rd_bytes=${counts?.read.bytes ?? 0} ` +
      `wr_bytes=${counts?.write.bytes ?? 0} ` +
      `rd_operations=${counts?.read.done ?? 0} ` +
      `wr_operations=${counts?.write.done ?? 0} ` +
      `flush_operations=${counts?.flush.done ?? 0}`;
  };
  const shown = new Set<string>();
  for (const { name } of backendsOf(context, "block")) {
    shown.add(name);
    const backend = parts.backends.get(name) as BlockBackend | undefined;
    yield line(name, backend);
  }
  for (const name of machine.media.drives.keys()) {
    const [device, role] = name.split(".");
    const planned = machine.plan.devices.find((one) => one.name === device);
    const key = planned?.backends.get(role) ?? name;
    if (shown.has(key)) continue;
    yield line(name, parts.backends.get(key) as BlockBackend | undefined);
  }
}

function* characters(context: MonitorContext): Generator<string> {
  for (const { name, plugin, config } of backendsOf(context, "char")) {
    const text = configText(config);
    yield `${name}: filename=${plugin.name}${text === "" ? "" : `:${text}`}`;
  }
}

function* networks(context: MonitorContext): Generator<string> {
  for (const { name, plugin, config, pcap } of backendsOf(context, "net")) {
    const text = configText(config);
    yield `${name}: type=${plugin.name}${text === "" ? "" : `,${text}`}` +
      (pcap === undefined ? "" : `,pcap=${pcap}`);
    const user = userOf(context, name);
    if (user === undefined) continue;
    const { device } = user;
    const { mac } = (device.config ?? {}) as { readonly mac?: string };
    const { cable } = context.machine.device(device.name);
    yield ` \\ ${device.name}: type=nic,model=${device.plugin.name}` +
      (mac === undefined ? "" : `,macaddr=${mac}`) +
      (cable === false ? ",link=off" : "");
  }
}

/** What the networks say of what passes through them now. */
function* connections(context: MonitorContext): Generator<string> {
  for (const { name } of backendsOf(context, "net")) {
    const backend = context.parts.backends.get(name) as NetBackend | undefined;
    const all = backend?.describe?.();
    if (all === undefined) continue;
    yield `${name}:`;
    yield* all;
  }
}

function* displays(context: MonitorContext): Generator<string> {
  const all = backendsOf(context, "display");
  const shown = all.filter(({ plugin }) => plugin.name === "vnc");
  if (shown.length === 0) yield "None";
  for (const { name, config } of shown) {
    yield `${name}:`;
    yield `  Server: ${configText(config)}`;
  }
}

/** `info` of backends. */
export const INFO_BACKENDS: readonly Command[] = [
  {
    name: "block",
    args: "nodes:-n,verbose:-v,device:B?",
    params: "[-n] [-v] [device]",
    help:
      "show info of one block device or all block devices (-n: show named " +
      "nodes; -v: show details)",
    run: (context, args) =>
      lines(args.has("nodes") ? blockNodes(context) : blocks(context, args)),
    words: (context) => drivesOf(context).map(({ name }) => name),
  },
  {
    name: "blockstats",
    help: "show block device statistics",
    run: (context) => lines(blockStatistics(context)),
  },
  {
    name: "chardev",
    help: "show the character devices",
    run: (context) => lines(characters(context)),
  },
  {
    name: "network",
    help: "show the network state",
    run: (context) => lines(networks(context)),
  },
  {
    name: "usernet",
    help: "show user network stack connection states",
    run: (context) => lines(connections(context)),
  },
  {
    name: "vnc",
    help: "show the vnc server status",
    run: (context) => lines(displays(context)),
  },
];
