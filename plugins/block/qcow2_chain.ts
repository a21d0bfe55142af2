/**
 * Opens a qcow2 image with the images that lie behind it.
 *
 * @module
 */

import { type BlockBackend, BlockError } from "../../core/backend/block.ts";
import { resolve } from "../../core/machine/path.ts";
import type { ByteStore } from "./byte_store.ts";
import { endLoads } from "./disk_states.ts";
import { backingLocation, identity, MAX_CHAIN, openStore } from "./location.ts";
import { probe } from "./probe.ts";
import { readHeader } from "./qcow2_header.ts";
import { Qcow2Block } from "./qcow2_image.ts";
import { openRaw } from "./undo_files.ts";

function unsupported(location: string, message: string): never {
  throw new BlockError(
    "unsupported",
    `Cannot open backing file "${location}": ${message}`,
  );
}

/** What lies behind an image. */
interface Behind {
  readonly location: string;
  /** Its format where the image says it. */
  readonly format: string | undefined;
}

/** What the image at a location in a store names as its backing file. */
async function readBehind(
  location: string,
  store: ByteStore,
): Promise<Behind | undefined> {
  const { backingFile, backingFormat } = await readHeader(store);
  if (backingFile === undefined) return undefined;
  return {
    location: backingLocation(location, backingFile),
    format: backingFormat,
  };
}

/** How to open an image. */
interface ChainOptions {
  readonly readOnly: boolean;
  /** Lock it and what lies behind it, unless this is false. */
  readonly lock?: boolean;
  /** The id of the snapshot to read. */
  readonly snapshot?: string;
}

/** Open a qcow2 image and what lies behind it. Throws a `BlockError`. */
export function openQcow2(
  location: string,
  readOnly: boolean,
  options: Omit<ChainOptions, "readOnly"> = {},
): Promise<Qcow2Block> {
  return openIn([], location, { ...options, readOnly });
}

/** The same for one whose store is open already; it is closed on failure. */
export function openQcow2In(
  location: string,
  store: ByteStore,
  readOnly: boolean,
): Promise<Qcow2Block> {
  return openIn([], location, { readOnly }, store);
}

/**
 * The locations of all that lies behind a qcow2 image, the nearest first, as
 * far as it can be read. Throws a `BlockError` when the image itself cannot.
 */
export async function backingChain(location: string): Promise<string[]> {
  const found: string[] = [];
  const seen: string[] = [];
  let next: Behind | undefined = { location, format: "qcow2" };
  while (next !== undefined && found.length < MAX_CHAIN) {
    const here: string = next.location;
    const key = await identity(here);
    if (seen.includes(key)) break;
    seen.push(key);
    let store: ByteStore | undefined;
    try {
      // Not locked: a machine may have it open.
      store = await openStore(here, true, { lock: false });
      const isQcow2: boolean = next.format === "qcow2" ||
        next.format === undefined && await probe(store) === "qcow2";
      next = isQcow2 ? await readBehind(here, store) : undefined;
      if (next !== undefined) found.push(next.location);
    } catch (error) {
      if (here === location || !(error instanceof BlockError)) throw error;
      break;
    } finally {
      await store?.close();
    }
  }
  return found;
}

async function openIn(
  chain: readonly string[],
  location: string,
  { readOnly, lock, snapshot }: ChainOptions,
  opened?: ByteStore,
): Promise<Qcow2Block> {
  const store = opened ?? await openStore(location, readOnly, { lock });
  let backing: BlockBackend | undefined;
  try {
    const behind = await readBehind(location, store);
    const seen = [...chain, await identity(location)];
    if (behind !== undefined) backing = await openBacking(seen, behind, lock);
    const path = readOnly ? undefined : resolve(await identity(location));
    const options = { readOnly, backing, snapshot, path };
    const image = await Qcow2Block.open(store, options);
    if (!readOnly) await endLoads(image);
    return image;
  } catch (error) {
    await store.close();
    await backing?.close();
    if (error instanceof BlockError && chain.length === 0) {
      throw new BlockError(error.kind, `"${location}": ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

async function openBacking(
  chain: readonly string[],
  { location, format }: Behind,
  lock: boolean | undefined,
): Promise<BlockBackend> {
  if (chain.length > MAX_CHAIN) unsupported(location, "the chain is too long");
  if (chain.includes(await identity(location))) {
    unsupported(location, "the chain is a loop");
  }
  const store = await openStore(location, true, { lock });
  try {
    switch (format) {
      case "raw":
        return await openRaw(location, store, true);
      case undefined: {
        const found = await probe(store);
        if (found === "raw") return await openRaw(location, store, true);
        if (found !== "qcow2") unsupported(location, `it is a ${found} image`);
        // A raw disk's guest can write a header that names any file.
        if ((await readHeader(store)).backingFile !== undefined) {
          unsupported(
            location,
            "its format is not given and it has a backing file itself; " +
              "qemu-img rebase -u -F qcow2 says that it is qcow2",
          );
        }
        break;
      }
      case "qcow2":
        break;
      default:
        unsupported(
          location,
          `its format is "${format}", expected raw or qcow2`,
        );
    }
  } catch (error) {
    await store.close();
    throw error;
  }
  return await openIn(chain, location, { readOnly: true, lock }, store);
}
