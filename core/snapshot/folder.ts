/**
 * Snapshots by name: files `NAME.rhea` in a folder.
 *
 * @module
 */

import { basename, dirname, resolve } from "../machine/path.ts";
import { printable } from "../machine/printable.ts";
import type { StateRecord } from "../state/state.ts";
import { decodeRecord, RecordError } from "../state/record_codec.ts";
import { BlockFileReader } from "./block_file.ts";
import { SnapshotError } from "./error.ts";

/** What snapshot files' names end with. */
export const EXTENSION = ".rhea";
/** Names longer than that are not files' names everywhere. */
const MAX_NAME = 100;

/** What is known of a snapshot without loading it. */
export interface SnapshotInfo {
  /** Its name: that of the file without the extension. */
  readonly name: string;
  /** Its file. */
  readonly path: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /** When it was saved, in milliseconds since 1970. */
  readonly date: number;
  /** The machine's name in its definition; empty if it has none. */
  readonly machine: string;
  /** Virtual time of the machine, in nanoseconds. */
  readonly virtualTime: number;
  /** Instructions that its CPUs had executed. */
  readonly instructions: number;
}

/**
 * The file of a snapshot: what has a separator or the extension is a path,
 * everything else a name in the folder. Throws a `SnapshotError`.
 */
export function snapshotPath(nameOrPath: string, folder: string): string {
  const isPath = /[/\\]/.test(nameOrPath) || nameOrPath.endsWith(EXTENSION);
  if (isPath && !nameOrPath.includes("\0")) return resolve(nameOrPath);
  const isName = /^[^.:*?"<>|][^:*?"<>|]*$/u.test(nameOrPath) &&
    printable(nameOrPath) === nameOrPath && nameOrPath.isWellFormed() &&
    !nameOrPath.includes("\n");
  if (!isName || isPath || nameOrPath.length > MAX_NAME) {
    throw new SnapshotError(
      "name",
      `A snapshot cannot have the name ${JSON.stringify(nameOrPath)}`,
    );
  }
  return resolve(folder, nameOrPath + EXTENSION);
}

/** The name of the snapshot in a file. */
export function snapshotName(path: string): string {
  const name = basename(path);
  return name.endsWith(EXTENSION) ? name.slice(0, -EXTENSION.length) : name;
}

/** Throws a `SnapshotError` when there is a file that must not be replaced. */
export function mustBeFree(path: string): void {
  try {
    Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new SnapshotError(
      "io",
      `Cannot look at "${path}": ${(error as Error).message}`,
      { cause: error },
    );
  }
  throw new SnapshotError("name", `There is a snapshot "${path}" already`);
}

/**
 * Throws a `SnapshotError` when a file that is about to be lost is none of a
 * snapshot: a name that was mistyped may be a disk's.
 */
export function mustBeSnapshot(path: string, verb: "replace" | "delete"): void {
  // One that is damaged has its name still.
  if (path.endsWith(EXTENSION)) return;
  let reader: BlockFileReader;
  try {
    reader = BlockFileReader.open(path);
  } catch (error) {
    if (error instanceof SnapshotError && error.kind === "missing") return;
    throw error;
  }
  try {
    if (reader.hasMagic) return;
    throw new SnapshotError(
      "name",
      `Cannot ${verb} "${path}": it is no snapshot of Rhea's`,
    );
  } finally {
    reader.close();
  }
}

/** The other files of snapshots in a file's folder; none where it may not be read. */
export function snapshotsBeside(path: string): string[] {
  const folder = dirname(path);
  try {
    return [...Deno.readDirSync(folder)]
      .filter(({ name, isDirectory }) =>
        !isDirectory && name.endsWith(EXTENSION)
      )
      .map(({ name }) => resolve(folder, name))
      .filter((other) => other !== path);
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotCapable ||
      error instanceof Deno.errors.PermissionDenied
    ) return [];
    throw error;
  }
}

/** What the head of a file says. Throws a `SnapshotError`. */
export function readInfo(path: string): SnapshotInfo {
  const reader = BlockFileReader.open(path);
  try {
    const { value: block } = reader.blocks().next();
    if (block === undefined || block.tag !== "HEAD") {
      throw reader.damaged("it does not start with its head");
    }
    return infoOf(path, readRecord(reader, block.bytes), reader.size);
  } finally {
    reader.close();
  }
}

/** A block's record. Throws a `SnapshotError`. */
export function readRecord(
  reader: BlockFileReader,
  bytes: Uint8Array,
): StateRecord {
  try {
    return decodeRecord(bytes);
  } catch (error) {
    if (error instanceof RecordError) throw reader.damaged(error.message);
    throw error;
  }
}

function infoOf(path: string, head: StateRecord, bytes: number): SnapshotInfo {
  const number = (value: unknown): number =>
    typeof value === "number" ? value : 0;
  return {
    name: snapshotName(path),
    path,
    bytes,
    date: number(head.date),
    machine: typeof head.machine === "string" ? head.machine : "",
    virtualTime: number(head.time),
    instructions: number(head.instructions),
  };
}

/** The snapshots in a folder by name; files that are none are left out. */
export async function listSnapshots(folder: string): Promise<SnapshotInfo[]> {
  const found: SnapshotInfo[] = [];
  const path = resolve(folder);
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      if (isDirectory || !name.endsWith(EXTENSION)) continue;
      try {
        found.push(readInfo(resolve(path, name)));
      } catch (error) {
        if (!(error instanceof SnapshotError)) throw error;
      }
    }
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return [];
    if (!(cause instanceof Error)) throw cause;
    throw new SnapshotError("io", `Cannot read "${path}": ${cause.message}`, {
      cause,
    });
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}
