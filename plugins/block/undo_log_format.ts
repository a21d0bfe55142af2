/**
 * The parts of an undo log that do not move: its head and its stamps, and what
 * its entries are made of. `undo_log.ts` says where they are.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { BlockError } from "../../core/backend/block.ts";
import {
  decodeRecord,
  encodeRecord,
  RecordError,
} from "../../core/state/record_codec.ts";
import type { StateRecord, StateValue } from "../../core/state/state.ts";
import type { ByteStore } from "./byte_store.ts";

/** What this version writes, and the only one that it reads. */
const VERSION = 1;
const MAGIC = "\x89RHU\r\n\x1a\n";
const STAMPS = [512, 1024];
const STAMP_BYTES = 512;
const SEAL_BYTES = 8;
/** Where the entries begin. */
export const LOG_START = 4096;

/** A snapshot of the machine in which the disk is kept. */
export interface KeptSnapshot {
  /** Its number. */
  readonly id: number;
  /** What tells it from any other of the same number. */
  readonly key: string;
  /** Its name. */
  readonly name: string;
  /** When it was made, in milliseconds since 1970. */
  readonly date: number;
  /** The machine's snapshot file. */
  readonly file: string;
  /** Whether that has been written, and is not about to go. */
  readonly complete: boolean;
}

/** What is said of the image in each stamp. */
export interface ImageState {
  /** When it was written to last, at its last close; nanoseconds since 1970. */
  readonly closed: bigint;
  /** Whether it may have been written to since. */
  readonly inUse: boolean;
  /** From when to when that may be, in milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** The snapshot that it is becoming: 0 for none. */
  readonly loading: number;
}

/** A load of this disk and of others, of which all are done or none. */
export interface LoadNote {
  /** The load's name: the same in all of its disks. */
  readonly load: string;
  /** The snapshot that the disk is to become; 0 when it has or is not to. */
  readonly id: number;
  /** The path at which it stands whether it is to be; none: it is. */
  readonly decider: string;
}

/** There is no such load. */
export const NO_LOAD: LoadNote = { load: "", id: 0, decider: "" };

/** What tells a log from others, and of what disk it is. */
export interface LogHead {
  /** What tells it from any other log. */
  readonly identity: string;
  /** Bytes of the disk. */
  readonly size: number;
}

/** A stamp. */
export interface Stamp {
  /** How many were written before it. */
  readonly number: number;
  /** Up to where the log was synced. */
  readonly end: number;
  /** What is said of the image. */
  readonly image: ImageState;
}

/** Write a log's head, and no entry. */
export async function writeHead(
  store: ByteStore,
  { identity, size }: LogHead,
): Promise<void> {
  const head = new Uint8Array(LOG_START);
  for (let i = 0; i < MAGIC.length; i++) head[i] = MAGIC.charCodeAt(i);
  head.set(seal({ version: VERSION, identity, size }), MAGIC.length);
  await store.write(0, head);
}

/** Write a stamp in the place whose turn it is. */
export async function writeStamp(
  store: ByteStore,
  { number, end, image }: Stamp,
): Promise<void> {
  const bytes = new Uint8Array(STAMP_BYTES);
  bytes.set(seal({ number, end, ...image }));
  await store.write(STAMPS[number % 2], bytes);
}

/** A record with its length and its sum. */
function seal(record: StateRecord): Uint8Array {
  const body = encodeRecord(record);
  const bytes = new Uint8Array(SEAL_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length, true);
  view.setUint32(4, crc32(body), true);
  bytes.set(body, SEAL_BYTES);
  return bytes;
}

/** The record sealed there; undefined when it is not whole. */
function unseal(bytes: Uint8Array): StateRecord | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint32(0, true);
  if (length > bytes.length - SEAL_BYTES) return undefined;
  const body = bytes.subarray(SEAL_BYTES, SEAL_BYTES + length);
  return crc32(body) === view.getUint32(4, true) ? decoded(body) : undefined;
}

/** Read a log's head. Rejects with a `BlockError`. */
export async function readHead(store: ByteStore): Promise<LogHead> {
  const head = new Uint8Array(STAMPS[0]);
  await store.read(0, head);
  for (let i = 0; i < MAGIC.length; i++) {
    if (head[i] !== MAGIC.charCodeAt(i)) throw damaged("it is none of Rhea's");
  }
  const record = unseal(head.subarray(MAGIC.length));
  if (record === undefined) throw damaged("its head is not what was written");
  const { version, identity, size } = record;
  if (version !== VERSION) {
    throw new BlockError(
      "unsupported",
      `has the version ${version}, expected ${VERSION}`,
    );
  }
  if (typeof identity !== "string" || !isCount(size)) {
    throw damaged("its head says nothing");
  }
  return { identity, size };
}

/** Read the newer of a log's stamps. Rejects with a `BlockError`. */
export async function readStamp(store: ByteStore): Promise<Stamp> {
  const found: Stamp[] = [];
  for (const at of STAMPS) {
    const bytes = new Uint8Array(STAMP_BYTES);
    await store.read(at, bytes);
    const record = unseal(bytes);
    if (record === undefined) continue;
    const { number, end, closed, inUse, from, to, loading } = record;
    if (
      !isCount(number) || !isCount(end) || typeof closed !== "bigint" ||
      typeof inUse !== "boolean" || typeof from !== "number" ||
      typeof to !== "number" || !isCount(loading)
    ) throw damaged("one of its stamps says nothing");
    const image = { closed, inUse, from, to, loading };
    found.push({ number, end, image });
  }
  found.sort((a, b) => b.number - a.number);
  if (found.length === 0) throw damaged("neither of its stamps is whole");
  return found[0];
}

/** The clusters of a copy, and their sums: null for zeroes. */
export function lists(
  { clusters, sums }: StateRecord,
): { clusters: number[]; sums: (number | null)[] } {
  const areLists = Array.isArray(clusters) && clusters.every(isCount) &&
    Array.isArray(sums) && sums.length === clusters.length &&
    sums.every((sum) => sum === null || typeof sum === "number");
  if (!areLists) throw damaged("it has a copy of no clusters");
  return { clusters: clusters as number[], sums: sums as (number | null)[] };
}

/** Whether a value is a number of things. */
export function isCount(value: StateValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** The record of an entry. Throws a `BlockError`. */
export function decoded(bytes: Uint8Array): StateRecord {
  try {
    return decodeRecord(bytes);
  } catch (error) {
    if (error instanceof RecordError) throw damaged(error.message);
    throw error;
  }
}

/** The error of a log that is damaged: the end of a sentence. */
export function damaged(message: string): BlockError {
  return new BlockError("corrupt", `is damaged: ${message}`);
}
