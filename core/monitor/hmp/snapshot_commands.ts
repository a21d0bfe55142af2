/**
 * Commands about snapshots: `savevm`, `loadvm`, `delvm`, `info snapshots`.
 *
 * @module
 */

import { printable } from "../../machine/printable.ts";
import { type Command, lines } from "./command.ts";
import type { ProgressBar } from "../../progress/progress.ts";
import type { MonitorContext } from "./context.ts";

/** A size as people read it: `12.3 MiB`. */
function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes, unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toPrecision(3)} ${units[unit]}`;
}

/** Virtual time as `hh:mm:ss.sss`. */
function timeText(nanoseconds: number): string {
  const pad = (value: number, digits: number): string =>
    `${Math.floor(value)}`.padStart(digits, "0");
  const ms = nanoseconds / 1e6;
  return `${pad(ms / 3_600_000, 2)}:${pad(ms / 60_000 % 60, 2)}:` +
    `${pad(ms / 1000 % 60, 2)}.${pad(ms % 1000, 3)}`;
}

/** Do a work that may take long, and show it. */
async function shown(
  { progress }: MonitorContext,
  title: string,
  work: (bar: ProgressBar | undefined) => Promise<unknown>,
): Promise<void> {
  const bar = progress?.(title);
  try {
    await work(bar);
  } finally {
    bar?.end();
  }
}

async function list({ machine }: MonitorContext): Promise<string> {
  const all = await machine.snapshots();
  if (all.length === 0) return "There is no snapshot available.\n";
  const rows = all.map((info) => [
    // Whoever may write to the folder has named the file.
    printable(info.name).replaceAll("\n", "\\n"),
    sizeText(info.bytes),
    new Date(info.date).toISOString().slice(0, 19).replace("T", " "),
    timeText(info.virtualTime),
    `${info.instructions}`,
  ]);
  const head = ["TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT"];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i].length))
  );
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
    ).join("  ");
  return lines(["List of snapshots:", line(head), ...rows.map(line)]);
}

/** A snapshot's name by the host's local time, as QEMU gives them: `vm-20261123121530`. */
function nameByTime(): string {
  const now = new Date();
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return `vm-${local.toISOString().slice(0, 19).replaceAll(/\D/g, "")}`;
}

async function names({ machine }: MonitorContext): Promise<string[]> {
  return (await machine.snapshots()).map(({ name }) => name);
}

/** The commands. */
export const SNAPSHOT_COMMANDS: readonly Command[] = [
  {
    name: "savevm",
    args: "name:s?",
    params: "[tag]",
    help: "save a VM snapshot: a name, or a file's path; without one, the " +
      "time gives it a name",
    run: (context, args) =>
      shown(
        context,
        "savevm",
        (bar) =>
          context.machine.saveSnapshot(args.text("name") ?? nameByTime(), {
            onProgress: (done, total) => bar?.update(done, total),
          }),
      ),
  },
  {
    name: "loadvm",
    args: "name:s",
    params: "tag",
    help: "restore a VM snapshot from its tag",
    run: (context, args) =>
      shown(
        context,
        "loadvm",
        () => context.machine.loadSnapshot(args.text("name")!),
      ),
    words: names,
  },
  {
    name: "delvm",
    args: "name:s",
    params: "tag",
    help: "delete a VM snapshot from its tag",
    run: (context, args) =>
      shown(
        context,
        "delvm",
        () => context.machine.deleteSnapshot(args.text("name")!),
      ),
    words: names,
  },
];

/** `info snapshots`. */
export const INFO_SNAPSHOTS: readonly Command[] = [
  {
    name: "snapshots",
    help: "show the currently saved VM snapshots",
    run: list,
  },
];
