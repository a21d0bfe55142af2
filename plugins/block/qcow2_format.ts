/**
 * qcow2 for the tools.
 *
 * @module
 */

import { BlockError, SECTOR_BYTES } from "../../core/backend/block.ts";
import type {
  Extent,
  ImageFormat,
  ImageInfo,
  NewImage,
  OpenImage,
  OpenOptions,
  Preallocation,
} from "../../core/backend/image_format.ts";
import type { JsonObject } from "../../core/machine/schema_types.ts";
import { FileStore } from "./byte_store.ts";
import { backingLocation, openStore, probeAt } from "./location.ts";
import { openQcow2 } from "./qcow2_chain.ts";
import { checkQcow2 } from "./qcow2_check.ts";
import { createQcow2, preallocateFrom, QCOW2_OPTIONS } from "./qcow2_create.ts";
import { type Qcow2Header, readHeader, writeSize } from "./qcow2_header.ts";
import { Qcow2Block } from "./qcow2_image.ts";
import { extentAt, growL1, Packer } from "./qcow2_maintain.ts";
import { RawBlock } from "./raw_image.ts";
import { readSnapshots } from "./qcow2_snapshots.ts";

/** A qcow2 image for the tools. */
class Qcow2Tool implements OpenImage {
  readonly size: number;
  readonly readOnly: boolean;
  readonly #image: Qcow2Block;
  readonly #alone: boolean;
  #packer = new Packer();

  constructor(image: Qcow2Block, alone: boolean) {
    this.#image = image;
    this.#alone = alone;
    this.size = image.size;
    this.readOnly = image.readOnly;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.#image.read(offset, length);
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#image.write(offset, bytes);
  }

  discard(offset: number, length: number): Promise<void> {
    this.#packer = new Packer();
    return this.#image.discard(offset, length);
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    this.#packer = new Packer();
    return this.#image.writeZeroes(offset, length);
  }

  flush(): Promise<void> {
    return this.#image.flush();
  }

  close(): Promise<void> {
    return this.#image.close();
  }

  extent(offset: number, length: number, own = false): Promise<Extent> {
    return this.#alone || own
      ? ownExtent(this.#image, offset, length)
      : chainExtent(this.#image, offset, length);
  }

  async writeCompressed(offset: number, bytes: Uint8Array): Promise<void> {
    const packed = await this.#image.maintain(async (parts) => {
      const { clusterSize } = parts.header;
      if (offset % clusterSize !== 0 || bytes.length > clusterSize) {
        throw new BlockError("range", "Only whole clusters can be compressed");
      }
      // The disk's last cluster may go on behind its end.
      const whole = bytes.length === clusterSize
        ? bytes
        : new Uint8Array(clusterSize);
      if (whole !== bytes) whole.set(bytes);
      return await this.#packer.write(parts, offset, whole);
    });
    if (!packed) await this.#image.write(offset, bytes);
  }
}

function ownExtent(
  image: Qcow2Block,
  offset: number,
  length: number,
): Promise<Extent> {
  return image.maintain((parts) => extentAt(parts, offset, length));
}

/** What an image shows with all that lies behind it. */
async function chainExtent(
  image: Qcow2Block,
  offset: number,
  length: number,
): Promise<Extent> {
  const own = await ownExtent(image, offset, length);
  if (own.kind !== "backing") return own;
  const { backing } = image;
  const shown = Math.min(own.length, (backing?.size ?? 0) - offset);
  if (backing === undefined || shown <= 0) return { ...own, kind: "zero" };
  if (backing instanceof Qcow2Block) {
    return await chainExtent(backing, offset, shown);
  }
  return backing instanceof RawBlock
    ? await backing.extent(offset, shown)
    : { kind: "data", length: shown };
}

/** Where a backing file is; its name alone where that cannot be opened. */
function whereOf(location: string, name: string): string {
  try {
    return backingLocation(location, name);
  } catch (error) {
    if (error instanceof BlockError) return name;
    throw error;
  }
}

async function info(location: string): Promise<ImageInfo> {
  const store = await openStore(location, true, { lock: false });
  try {
    const header = await readHeader(store);
    const { snapshots } = await readSnapshots(store, header);
    const { backingFile, backingFormat } = header;
    const specific: JsonObject = header.version < 3
      ? {
        compat: "0.10",
        "compression-type": "zlib",
        "refcount-bits": 16,
      }
      : {
        compat: "1.1",
        "compression-type": header.compression,
        "lazy-refcounts": header.lazyRefcounts,
        "refcount-bits": 2 ** header.refcountOrder,
        corrupt: header.corrupt,
        "extended-l2": header.extendedL2,
      };
    return {
      size: Math.floor(header.size / SECTOR_BYTES) * SECTOR_BYTES,
      clusterSize: header.clusterSize,
      dirty: header.dirty,
      backing: backingFile === undefined ? undefined : {
        name: backingFile,
        location: whereOf(location, backingFile),
        format: backingFormat,
      },
      snapshots: snapshots.map((
        { l1Offset: _, l1Size: __, diskSize: ___, ...rest },
      ) => rest),
      specific,
    };
  } finally {
    await store.close();
  }
}

async function create(file: string, image: NewImage): Promise<void> {
  const store = await FileStore.open(file, false);
  try {
    await createQcow2(store, image);
  } finally {
    await store.close();
  }
}

/** Open an image without what lies behind it. */
async function openAlone(
  location: string,
  { readOnly, lock }: OpenOptions,
): Promise<Qcow2Block> {
  const store = await openStore(location, readOnly, { lock });
  try {
    return await Qcow2Block.open(store, { readOnly });
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function resize(
  file: string,
  wanted: number,
  preallocation: Preallocation,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const size = Math.ceil(wanted / SECTOR_BYTES) * SECTOR_BYTES;
  const image = await openQcow2(file, false);
  const before = image.size;
  const shown = image.backing?.size ?? 0;
  try {
    const { version, clusterSize, extendedL2 } = await headerOf(image);
    if (
      preallocation !== "off" && image.backing !== undefined && !extendedL2
    ) {
      throw new BlockError(
        "unsupported",
        "A backing file and preallocation go together with extended_l2 only",
      );
    }
    if (image.snapshots.length > 0 && version < 3) {
      throw new BlockError(
        "unsupported",
        "An image of version 2 with snapshots cannot be resized",
      );
    }
    if (size < before) {
      // What is left of the last cluster would show when it grows again.
      const end = Math.ceil(size / clusterSize) * clusterSize;
      await image.writeZeroes(size, Math.min(before, end) - size);
    } else {
      await image.maintain(async (parts) => {
        await growL1(parts, size);
        await writeSize(parts.store, size);
      });
    }
  } finally {
    await image.close();
  }
  if (size < before) await cut(file, size);
  else if (shown > before && size > before) {
    // What lies behind must not show where there was no disk.
    const grown = await openQcow2(file, false);
    try {
      await grown.writeZeroes(before, Math.min(size, shown) - before);
    } finally {
      await grown.close();
    }
  }
  if (preallocation !== "off" && size > before) {
    await giveRoom(file, before, preallocation, onProgress);
  }
}

/** Give the clusters from `from` on a place. */
async function giveRoom(
  file: string,
  from: number,
  preallocation: Preallocation,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const store = await FileStore.open(file, false);
  let grown: Qcow2Block;
  try {
    grown = await Qcow2Block.open(store, { readOnly: false });
  } catch (error) {
    await store.close();
    throw error;
  }
  try {
    await preallocateFrom(grown, store, from, preallocation, onProgress);
  } finally {
    await grown.close();
  }
}

/** Give up the clusters from `size` on. */
async function cut(file: string, size: number): Promise<void> {
  const image = await openAlone(file, { readOnly: false });
  try {
    const { clusterSize } = await headerOf(image);
    const end = Math.ceil(size / clusterSize) * clusterSize;
    if (end < image.size) await image.discard(end, image.size - end);
    await image.flush();
    await image.maintain(({ store }) => writeSize(store, size));
  } finally {
    await image.close();
  }
}

function headerOf(image: Qcow2Block): Promise<Qcow2Header> {
  return image.maintain(({ header }) => Promise.resolve(header));
}

/** qcow2 for the tools. */
export const QCOW2_FORMAT: ImageFormat = {
  options: QCOW2_OPTIONS,
  backing: true,
  probe: async (location) => await probeAt(location) === "qcow2",
  info,
  create,
  open: async (location, options) =>
    new Qcow2Tool(
      options.alone === true
        ? await openAlone(location, options)
        : await openQcow2(location, options.readOnly, options),
      options.alone === true,
    ),
  resize,
  check: checkQcow2,
};
