/**
 * What the tools for images (`rhea image`) need of a format, beside the block
 * backend that a machine uses. A block plugin offers it as its `format`.
 *
 * @module
 */

import type { ConfigSchema, JsonObject } from "../machine/schema_types.ts";
import type { BlockBackend } from "./block.ts";

/** A snapshot within an image. */
export interface ImageSnapshot {
  /** Its unique id. */
  readonly id: string;
  /** The name that the user gave it. */
  readonly name: string;
  /** When it was taken, in seconds since 1970. */
  readonly date: number;
  /** Nanoseconds beyond that second. */
  readonly dateNs: number;
  /** How long the guest had run, in nanoseconds. */
  readonly guestTime: number;
  /** Bytes of the machine's state; 0 when there is only the disk. */
  readonly stateSize: number;
  /** The guest's instruction count, where it was recorded. */
  readonly icount?: number;
}

/** What lies behind an image. */
export interface ImageBacking {
  /** Its name as it stands in the image. */
  readonly name: string;
  /** Where that is. */
  readonly location: string;
  /** Its format, where the image says it. */
  readonly format?: string;
}

/** A snapshot of a machine for which an image's undo log keeps what it was. */
export interface UndoSnapshot {
  /** Its name. */
  readonly name: string;
  /** When it was made, in milliseconds since 1970. */
  readonly date: number;
  /** The machine's snapshot file. */
  readonly file: string;
  /** Whether that was written to its end, and is not about to be deleted. */
  readonly complete: boolean;
}

/** The file beside an image that keeps what it was at snapshots of machines. */
export interface ImageUndo {
  /** Its path. */
  readonly file: string;
  /** Its bytes. */
  readonly size: number;
  /** The snapshots, the oldest first; none when it cannot be read. */
  readonly snapshots: readonly UndoSnapshot[];
  /** Why they cannot be loaded, or what must be done first: a sentence. */
  readonly problem?: string;
}

/** What an image says of itself. */
export interface ImageInfo {
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes of a cluster, in a format that has them. */
  readonly clusterSize?: number;
  /** It was not closed properly. */
  readonly dirty: boolean;
  /** What lies behind it. */
  readonly backing?: ImageBacking;
  /** The snapshots in it. */
  readonly snapshots: readonly ImageSnapshot[];
  /** What lies beside it for snapshots of machines. */
  readonly undo?: ImageUndo;
  /** What only this format has, as QEMU names it. */
  readonly specific?: JsonObject;
}

/** What a stretch of an image is. */
export interface Extent {
  /** Its bytes, 1 at least. */
  readonly length: number;
  /** In the image, zero, or not in the image: what lies behind it shows. */
  readonly kind: "data" | "zero" | "backing";
}

/** An open image, with what tools need beside reading and writing. */
export interface OpenImage extends BlockBackend {
  /**
   * What the bytes at `offset` are, and at most `length` that follow. With
   * `own` no regard is paid to what lies behind the image.
   */
  extent(offset: number, length: number, own?: boolean): Promise<Extent>;
  /**
   * Write a whole cluster compressed; as it is where that takes more room. Not
   * in a format that has no compression.
   */
  writeCompressed?(offset: number, bytes: Uint8Array): Promise<void>;
}

/** How to make an image. */
export interface NewImage {
  /** Bytes of the disk. */
  readonly size: number;
  /** What is to lie behind it: its name as it is to stand in the image. */
  readonly backing?: { readonly name: string; readonly format: string };
  /** Values for the format's `options`, complete. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a check found. */
export interface ImageCheck {
  /** What was found, a line each; of many the first. */
  readonly problems: readonly string[];
  /** Clusters that something uses and that are counted as less used. */
  readonly corruptions: number;
  /** Clusters that nothing uses and that are counted as used. */
  readonly leaks: number;
  /** How many of both have been repaired. */
  readonly corruptionsFixed: number;
  /** How many leaks have been repaired. */
  readonly leaksFixed: number;
  /** Where the image ends in its file. */
  readonly endOffset: number;
  /** Clusters of the disk. */
  readonly totalClusters: number;
  /** Those of them that are in the file. */
  readonly allocatedClusters: number;
  /** Those that do not follow the one before them. */
  readonly fragmentedClusters: number;
  /** Those that are compressed. */
  readonly compressedClusters: number;
}

/** Room that an image has from the start, as QEMU names it. */
export const PREALLOCATIONS = ["off", "metadata", "falloc", "full"] as const;

/** One of them. */
export type Preallocation = typeof PREALLOCATIONS[number];

/** How to open an image for the tools. */
export interface OpenOptions {
  /** Refuse writes. */
  readonly readOnly: boolean;
  /** Read as zero where the image has nothing, whatever lies behind it. */
  readonly alone?: boolean;
  /** Lock it, unless this is false: it may change while it is read. */
  readonly lock?: boolean;
  /** The id of the snapshot to read in the disk's place. */
  readonly snapshot?: string;
}

/** A format of images. All methods reject with `BlockError`. */
export interface ImageFormat {
  /** What may be chosen when one is made, by name, as QEMU names it. */
  readonly options: Readonly<Record<string, ConfigSchema>>;
  /** Whether images may lie on others. */
  readonly backing: boolean;
  /** Whether an image is of this format, by its first bytes. */
  probe(location: string): Promise<boolean>;
  /** What an image says of itself, without a lock on it. */
  info(location: string): Promise<ImageInfo>;
  /** Make an image in an empty file. */
  create(file: string, image: NewImage): Promise<void>;
  /** Open an image, with what lies behind it. */
  open(location: string, options: OpenOptions): Promise<OpenImage>;
  /**
   * Make the disk larger, with zeroes, or smaller. An image that has been made
   * smaller has lost what was beyond; one that is larger has the room that is
   * asked for, and tells how many bytes of it are there, of how many.
   */
  resize(
    file: string,
    size: number,
    preallocation: Preallocation,
    onProgress?: (done: number, total: number) => void,
  ): Promise<void>;
  /**
   * Look for contradictions, and repair them. Without a lock, which `lock`
   * being false leaves out, others may change it meanwhile. Undefined: nothing
   * in this image can be checked.
   */
  check?(
    file: string,
    repair: "none" | "leaks" | "all",
    lock?: boolean,
  ): Promise<ImageCheck | undefined>;
  /** Reject when another file must not take an image's place: snapshots of machines need it. */
  mayReplace?(file: string): Promise<void>;
}
