/**
 * Commands about images that a client opens by itself, and puts into a drive
 * then: `blockdev-add`, `blockdev-insert-medium`, `blockdev-del` of QEMU's
 * `qapi/block-core.json`, as libvirt changes media.
 *
 * A node is a file, or a format upon one; what is made of it is a medium, which
 * is opened when it is put in.
 *
 * @module
 */

import type { Medium } from "../../../machine/media.ts";
import { resolve } from "../../../machine/path.ts";
import { isUrl } from "../../../machine/schema.ts";
import { action, type Command, type Monitor } from "../command.ts";
import { removableDrive } from "../drives.ts";
import { GenericError } from "../error.ts";
import { mustBeThere } from "../files.ts";
import { type BlockNode, driveOf, nodeNamed, nodesOf } from "../nodes.ts";
import {
  alternate,
  bool,
  int,
  oneOf,
  open,
  optional,
  str,
  struct,
  type StructType,
  type Type,
  union,
  type ValueOf,
} from "../types.ts";
import { DetectZeroes } from "./block.ts";

/** QEMU's drivers. */
const Driver = oneOf("BlockdevDriver", [
  "blkdebug",
  "blklogwrites",
  "blkreplay",
  "blkverify",
  "bochs",
  "cloop",
  "compress",
  "copy-before-write",
  "copy-on-read",
  "dmg",
  "file",
  "snapshot-access",
  "ftp",
  "ftps",
  "gluster",
  "host_cdrom",
  "host_device",
  "http",
  "https",
  "iscsi",
  "luks",
  "nbd",
  "nfs",
  "null-aio",
  "null-co",
  "nvme",
  "parallels",
  "preallocate",
  "qcow",
  "qcow2",
  "qed",
  "quorum",
  "raw",
  "rbd",
  "replication",
  "ssh",
  "throttle",
  "vdi",
  "vhdx",
  "vmdk",
  "vpc",
  "vvfat",
]);

/** What a client says of a node. */
interface NodeOptions {
  readonly driver: ValueOf<typeof Driver>;
  readonly "node-name"?: string;
  readonly "read-only"?: boolean;
  /** Of what is a file. */
  readonly filename?: string;
  readonly url?: string;
  /** Of a format: the node that it is upon, by name or described. */
  readonly file?: string | NodeOptions;
  /** A part of that, which is none of the formats here. */
  readonly offset?: number;
  readonly size?: number;
}

const refTypes: Type[] = [str];
const Ref = alternate<string | NodeOptions>("BlockdevRef", refTypes);
const File = open(struct("BlockdevOptionsFile", { filename: str }));
const Curl = open(struct("BlockdevOptionsCurlBase", { url: str }));
const Format = open(struct("BlockdevOptionsRaw", {
  file: Ref,
  offset: optional(int),
  size: optional(int),
}));

const COMMON = {
  driver: Driver,
  "node-name": optional(str),
  discard: optional(oneOf("BlockdevDiscardOptions", ["ignore", "unmap"])),
  cache: optional(struct("BlockdevCacheOptions", {
    direct: optional(bool),
    "no-flush": optional(bool),
  })),
  "read-only": optional(bool),
  "auto-read-only": optional(bool),
  "force-share": optional(bool),
  "detect-zeroes": optional(DetectZeroes),
} as const;

// (Options of drivers that there are not are nobody's business.)
const Options = open(union("BlockdevOptions", COMMON, "driver", {
  file: File,
  host_device: File,
  http: Curl,
  https: Curl,
  raw: Format,
  qcow2: Format,
})) as StructType as StructType<NodeOptions>;
refTypes.push(Options);

/** So many nodes a client may have a machine remember. */
const MAX_NODES = 256;

/** What a node is as a medium, and the name of the node below if it has one. */
function describe(
  monitor: Monitor,
  options: NodeOptions,
): Pick<BlockNode, "below" | "medium"> {
  const { driver, filename, url, file: ref, "read-only": readOnly = false } =
    options;
  switch (driver) {
    case "file":
    case "host_device":
      return { medium: mediumOf("raw", resolve(filename!), readOnly) };
    case "http":
    case "https":
      return { medium: mediumOf("raw", url!, readOnly) };
    case "raw":
    case "qcow2": {
      const [below, { medium }] = typeof ref === "string"
        ? [ref, nodeNamed(monitor.parts, ref)]
        : [undefined, describe(monitor, ref!)];
      if (driver === "qcow2" && medium.plugin === driver) {
        throw new GenericError("A qcow2 image in another is not supported");
      }
      if (options.offset !== undefined || options.size !== undefined) {
        throw new GenericError("A part of a file is not supported");
      }
      const plugin = driver === "raw" ? medium.plugin : driver;
      return { below, medium: mediumOf(plugin, fileOf(medium), readOnly) };
    }
    default:
      throw new GenericError(`Unknown driver '${driver}'`);
  }
}

function mediumOf(plugin: string, file: string, readOnly: boolean): Medium {
  return { plugin, config: { file, readOnly } };
}

function fileOf({ config }: Medium): string {
  return config!.file as string;
}

async function addNode(
  monitor: Monitor,
  options: NodeOptions,
): Promise<void> {
  const { "node-name": name } = options;
  const all = nodesOf(monitor.parts);
  if (name === undefined) {
    throw new GenericError("'node-name' must be specified for the root node");
  }
  if (!/^[a-z][\w.-]{0,30}$/i.test(name)) {
    throw new GenericError(`Invalid node-name: '${name}'`);
  }
  const { medium, below } = describe(monitor, options);
  const file = fileOf(medium);
  if (!isUrl(file)) await mustBeThere(file);
  const { backends } = monitor.machine.plan;
  if (all.has(name) || backends.some((one) => one.name === name)) {
    throw new GenericError(`Duplicate nodes with node-name='${name}'`);
  }
  if (all.size >= MAX_NODES) {
    throw new GenericError(`There are ${MAX_NODES} nodes, which is the most`);
  }
  all.set(name, { below, medium });
}

/** The commands. */
export const NODES: readonly Command[] = [
  { ...action("blockdev-add", {}, () => {}), arguments: Options, run: addNode },
  action("blockdev-del", { "node-name": str }, (monitor, args) => {
    const { parts } = monitor;
    const name = args["node-name"];
    const isPlanned = parts.plan.backends.some((one) => one.name === name);
    if (isPlanned) {
      throw new GenericError(`Node ${name} is not owned by the monitor`);
    }
    const node = nodeNamed(parts, name);
    const all = nodesOf(parts);
    const isBelow = all.values().some(({ below }) => below === name);
    if (isBelow || driveOf(monitor, node) !== undefined) {
      throw new GenericError(`Node ${name} is in use`);
    }
    all.delete(name);
  }),
  action(
    "blockdev-insert-medium",
    { id: str, "node-name": str },
    async (monitor, { id, "node-name": nodeName }) => {
      const { machine, parts } = monitor;
      const { name, drive } = removableDrive(monitor, { id });
      const node = nodeNamed(parts, nodeName);
      if (drive.hasTray && !drive.open) {
        throw new GenericError(`Tray of device '${name}' is not open`);
      }
      if (drive.medium !== undefined) {
        throw new GenericError(`There already is a medium in device '${name}'`);
      }
      if (driveOf(monitor, node) !== undefined) {
        throw new GenericError(`Node '${nodeName}' is already in use`);
      }
      await machine.media.insert(name, node.medium, { force: true });
      node.put = { drive: name, medium: machine.media.inserted(name) };
    },
  ),
];
