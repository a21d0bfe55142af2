/**
 * Snapshot files that say something else, with checksums that are right.
 *
 * @module
 */

import {
  BlockFileReader,
  BlockFileWriter,
} from "../../core/snapshot/block_file.ts";
import { decodeRecord, encodeRecord } from "../../core/state/record_codec.ts";
import type { StateRecord, StateValue } from "../../core/state/state.ts";

/** A block of a file. */
export interface Block {
  readonly tag: string;
  readonly bytes: Uint8Array;
}

/** The blocks of a file, without its end. */
export function blocksIn(path: string): Block[] {
  const reader = BlockFileReader.open(path);
  try {
    // Each is there until the next one is read.
    return Array.from(reader.blocks(), ({ tag, bytes }) => ({
      tag,
      bytes: bytes.slice(),
    }));
  } finally {
    reader.close();
  }
}

/** Write a file of these blocks. */
export async function writeBlocks(
  path: string,
  blocks: readonly Block[],
): Promise<void> {
  const writer = await BlockFileWriter.create(path);
  for (const { tag, bytes } of blocks) await writer.block(tag, bytes);
  await writer.finish();
}

/** The blocks with another record in those of a tag. */
export function withRecord(
  blocks: readonly Block[],
  tag: string,
  change: (record: StateRecord) => StateRecord,
): Block[] {
  return blocks.map((block) =>
    block.tag === tag
      ? { tag, bytes: encodeRecord(change(decodeRecord(block.bytes))) }
      : block
  );
}

/** The way to a value in a record. */
export type ValuePath = readonly string[];

/** The ways to all values in a record; of lists to so many. */
export function valuePaths(
  value: StateValue,
  most = Infinity,
  path: ValuePath = [],
): ValuePath[] {
  const found: ValuePath[] = path.length > 0 ? [path] : [];
  const isOpen = typeof value === "object" && value !== null &&
    !(value instanceof Uint8Array);
  if (!isOpen) return found;
  const keys = Object.keys(value);
  for (const key of Array.isArray(value) ? keys.slice(0, most) : keys) {
    const inner = (value as StateRecord)[key];
    found.push(...valuePaths(inner, most, [...path, key]));
  }
  return found;
}

/** What is there in a record. */
export function valueAt(record: StateValue, path: ValuePath): StateValue {
  return path.reduce<StateValue>(
    (value, key) => (value as StateRecord)[key],
    record,
  );
}

/** A record with another value there; without it, when that is undefined. */
export function withValue<T extends StateValue>(
  value: T,
  [key, ...rest]: ValuePath,
  other: StateValue | undefined,
): T {
  const copy = (Array.isArray(value) ? [...value] : { ...value as object }) as
    & Record<string, StateValue>
    & StateValue[];
  if (rest.length > 0) copy[key] = withValue(copy[key], rest, other);
  else if (other !== undefined) copy[key] = other;
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else delete copy[key];
  return copy as unknown as T;
}
