/**
 * Commands about disks and their drives: QEMU's `qapi/block.json` and
 * `block-core.json`.
 *
 * @module
 */

import type { BlockStatistics } from "../../../machine/block_statistics.ts";
import { action, type Command, query } from "../command.ts";
import { type DriveInfo, drivesOf, removableDrive } from "../drives.ts";
import { GenericError } from "../error.ts";
import { JobStatus } from "./snapshots.ts";
import {
  bool,
  deprecated,
  int,
  list,
  number,
  oneOf,
  optional,
  str,
  struct,
  type Type,
  type ValueOf,
} from "../types.ts";

const ImageInfo = struct("ImageInfo", {
  filename: str,
  format: str,
  "virtual-size": int,
});

/** What becomes of zeros that are written. */
export const DetectZeroes: Type<"off" | "on" | "unmap"> = oneOf(
  "BlockdevDetectZeroesOptions",
  ["off", "on", "unmap"],
);

const BlockDeviceInfo = struct("BlockDeviceInfo", {
  file: str,
  "node-name": optional(str),
  ro: bool,
  drv: str,
  backing_file_depth: int,
  encrypted: bool,
  detect_zeroes: DetectZeroes,
  bps: int,
  bps_rd: int,
  bps_wr: int,
  iops: int,
  iops_rd: int,
  iops_wr: int,
  image: ImageInfo,
  cache: struct("BlockdevCacheInfo", {
    writeback: bool,
    direct: bool,
    "no-flush": bool,
  }),
  write_threshold: int,
});

const IoStatus = oneOf("BlockDeviceIoStatus", ["ok", "failed", "nospace"]);

const BlockInfo = struct("BlockInfo", {
  device: str,
  qdev: optional(str),
  type: str,
  removable: bool,
  locked: bool,
  inserted: optional(BlockDeviceInfo),
  tray_open: optional(bool),
  "io-status": optional(IoStatus),
});

const COUNTERS = [
  "rd_bytes",
  "wr_bytes",
  "unmap_bytes",
  "rd_operations",
  "wr_operations",
  "flush_operations",
  "unmap_operations",
  "rd_total_time_ns",
  "wr_total_time_ns",
  "flush_total_time_ns",
  "unmap_total_time_ns",
  "wr_highest_offset",
  "rd_merged",
  "wr_merged",
  "unmap_merged",
  "failed_rd_operations",
  "failed_wr_operations",
  "failed_flush_operations",
  "failed_unmap_operations",
  "invalid_rd_operations",
  "invalid_wr_operations",
  "invalid_flush_operations",
  "invalid_unmap_operations",
] as const;

const TimedStats = struct("BlockDeviceTimedStats", {
  interval_length: int,
  min_rd_latency_ns: int,
  max_rd_latency_ns: int,
  avg_rd_latency_ns: int,
  min_wr_latency_ns: int,
  max_wr_latency_ns: int,
  avg_wr_latency_ns: int,
  min_flush_latency_ns: int,
  max_flush_latency_ns: int,
  avg_flush_latency_ns: int,
  avg_rd_queue_depth: number,
  avg_wr_queue_depth: number,
});

const BlockDeviceStats = struct(
  "BlockDeviceStats",
  {
    ...Object.fromEntries(COUNTERS.map((name) => [name, int])) as Record<
      typeof COUNTERS[number],
      typeof int
    >,
    account_invalid: bool,
    account_failed: bool,
    timed_stats: list(TimedStats),
  },
);

const BlockStats = struct("BlockStats", {
  device: optional(str),
  qdev: optional(str),
  "node-name": optional(str),
  stats: BlockDeviceStats,
});

const BlockJobInfo = struct("BlockJobInfo", {
  type: str,
  device: str,
  len: int,
  offset: int,
  busy: bool,
  paused: bool,
  speed: int,
  "io-status": IoStatus,
  ready: bool,
  status: JobStatus,
  "auto-finalize": bool,
  "auto-dismiss": bool,
});

const ChangeMode = oneOf("BlockdevChangeReadOnlyMode", [
  "retain",
  "read-only",
  "read-write",
]);

/** How a drive is chosen. */
const CHOICE = { device: deprecated(str), id: optional(str) } as const;

function insertedIn(
  { image, node, file, format }: DriveInfo,
): ValueOf<typeof BlockDeviceInfo> | undefined {
  if (image === undefined) return undefined;
  return {
    file,
    "node-name": node,
    ro: image.readOnly,
    drv: format,
    backing_file_depth: 0,
    encrypted: false,
    detect_zeroes: "off",
    bps: 0,
    bps_rd: 0,
    bps_wr: 0,
    iops: 0,
    iops_rd: 0,
    iops_wr: 0,
    image: { filename: file, format, "virtual-size": image.size },
    cache: { writeback: true, direct: false, "no-flush": false },
    write_threshold: 0,
  };
}

function statistics(
  of: BlockStatistics | undefined,
): ValueOf<typeof BlockDeviceStats> {
  const { read, write, flush, discard } = of ?? {};
  return {
    rd_bytes: read?.bytes ?? 0,
    wr_bytes: write?.bytes ?? 0,
    unmap_bytes: discard?.bytes ?? 0,
    rd_operations: read?.done ?? 0,
    wr_operations: write?.done ?? 0,
    flush_operations: flush?.done ?? 0,
    unmap_operations: discard?.done ?? 0,
    rd_total_time_ns: read?.nanoseconds ?? 0,
    wr_total_time_ns: write?.nanoseconds ?? 0,
    flush_total_time_ns: flush?.nanoseconds ?? 0,
    unmap_total_time_ns: discard?.nanoseconds ?? 0,
    wr_highest_offset: of?.highestWrite ?? 0,
    rd_merged: 0,
    wr_merged: 0,
    unmap_merged: 0,
    failed_rd_operations: read?.failed ?? 0,
    failed_wr_operations: write?.failed ?? 0,
    failed_flush_operations: flush?.failed ?? 0,
    failed_unmap_operations: discard?.failed ?? 0,
    // The devices refuse those, and no backend hears of them.
    invalid_rd_operations: 0,
    invalid_wr_operations: 0,
    invalid_flush_operations: 0,
    invalid_unmap_operations: 0,
    account_invalid: false,
    account_failed: true,
    timed_stats: [],
  };
}

/** The drive is locked, and nobody said that this does not matter. */
function locked(name: string): GenericError {
  return new GenericError(
    `Device '${name}' is locked and force was not specified, ` +
      "wait for tray to open and try again",
  );
}

/** The commands. */
export const BLOCK: readonly Command[] = [
  query(
    "query-block",
    {},
    list(BlockInfo),
    (monitor) =>
      drivesOf(monitor).map((info) => ({
        device: info.name,
        qdev: info.name,
        type: "unknown",
        removable: info.removable !== undefined,
        locked: info.removable?.locked ?? false,
        inserted: insertedIn(info),
        tray_open: info.removable?.hasTray ? info.removable.open : undefined,
        // Floppy drives never stop the guest.
        "io-status": info.removable?.hasTray === false
          ? undefined
          : "ok" as const,
      })),
  ),
  query(
    "query-blockstats",
    { "query-nodes": optional(bool) },
    list(BlockStats),
    (monitor, { "query-nodes": nodes = false }) =>
      drivesOf(monitor)
        .filter(({ image }) => !nodes || image !== undefined)
        .map(({ name, node, image }) => ({
          device: nodes ? undefined : name,
          qdev: nodes ? undefined : name,
          "node-name": image && node,
          stats: statistics(image && monitor.parts.blocks.counts(image)),
        })),
  ),
  query(
    "query-named-block-nodes",
    { flat: optional(bool) },
    list(BlockDeviceInfo),
    (monitor) =>
      drivesOf(monitor).map(insertedIn).filter((node) => node !== undefined),
  ),
  query(
    "query-block-jobs",
    {},
    list(BlockJobInfo),
    () => [],
  ),
  action(
    "eject",
    { ...CHOICE, force: optional(bool) },
    async (monitor, { force = false, ...choice }) => {
      const { name, drive } = removableDrive(monitor, choice);
      if (drive.locked && !force) {
        // The guest is told that someone asks.
        await monitor.machine.media.openTray(name);
        throw locked(name);
      }
      await monitor.machine.media.eject(name, { force });
    },
  ),
  action(
    "blockdev-open-tray",
    { ...CHOICE, force: optional(bool) },
    // That a locked drive stays closed is no error: the guest may open it.
    async (monitor, { force = false, ...choice }) => {
      const { name, drive } = removableDrive(monitor, choice);
      if (drive.open || !drive.hasTray) return;
      await monitor.machine.media.openTray(name, { force });
    },
  ),
  action("blockdev-close-tray", CHOICE, async (monitor, choice) => {
    const { name } = removableDrive(monitor, choice);
    await monitor.machine.media.closeTray(name);
  }),
  action("blockdev-remove-medium", { id: str }, async (monitor, { id }) => {
    const { name, drive } = removableDrive(monitor, { id });
    if (drive.hasTray && !drive.open) {
      throw new GenericError(`Tray of device '${name}' is not open`);
    }
    if (drive.medium === undefined) return;
    await monitor.machine.media.eject(name, { force: true });
  }),
  action(
    "blockdev-change-medium",
    {
      ...CHOICE,
      filename: str,
      format: optional(str),
      force: optional(bool),
      "read-only-mode": optional(ChangeMode),
    },
    async (monitor, args) => {
      const { device, id, filename, format = "image", force = false } = args;
      const { name, drive } = removableDrive(monitor, { device, id });
      const formats = Object.keys(monitor.parts.options.plugins.block ?? {});
      if (!formats.includes(format)) {
        throw new GenericError(`Unknown driver '${format}'`);
      }
      const mode = args["read-only-mode"] ?? "retain";
      // What lies in a tray is a disc, which is never written.
      const readOnly = mode === "retain"
        ? drive.medium?.readOnly ?? drive.hasTray
        : mode === "read-only";
      if (drive.locked && !drive.open && !force) {
        await monitor.machine.media.openTray(name);
        throw locked(name);
      }
      await monitor.machine.media.insert(name, {
        plugin: format,
        config: { file: filename, readOnly },
      }, { force });
    },
  ),
];
