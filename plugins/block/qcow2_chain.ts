/**
 * Opens a qcow2 image with the images that lie behind it.
 *
 * @module
 */

import { type BlockBackend, BlockError } from "../../core/backend/block.ts";
import { dirname, resolve } from "../../core/machine/path.ts";
import { type ByteStore, FileStore } from "./byte_store.ts";
import { isQcow2, type Qcow2Header, readHeader } from "./qcow2_header.ts";
import { Qcow2Block } from "./qcow2_image.ts";
import { RawBlock } from "./raw.ts";

/** The most images in a chain. */
const MAX_DEPTH = 64;

function unsupported(path: string, message: string): never {
  throw new BlockError(
    "unsupported",
    `Cannot open backing file "${path}": ${message}`,
  );
}

/**
 * The path of an image's backing file, seen from the folder of the image;
 * undefined when it has none. Throws for what is no file.
 */
function backingPath(
  path: string,
  { backingFile }: Qcow2Header,
): string | undefined {
  if (backingFile === undefined) return undefined;
  const name = backingFile.replace(/^file:(?!\/\/)/, "");
  // As in QEMU: letters and a colon before any slash name a protocol.
  if (/^[^/\\]{2,}:/.test(name) || name.includes("\0")) {
    unsupported(name, "only files are supported");
  }
  return resolve(dirname(path), name);
}

/** Open a qcow2 image and what lies behind it. Throws a `BlockError`. */
export function openQcow2(
  path: string,
  readOnly: boolean,
): Promise<Qcow2Block> {
  return openIn([], path, readOnly);
}

async function openIn(
  chain: readonly string[],
  path: string,
  readOnly: boolean,
  opened?: ByteStore,
): Promise<Qcow2Block> {
  const store = opened ?? await FileStore.open(path, readOnly);
  let backing: BlockBackend | undefined;
  try {
    const header = await readHeader(store);
    const behind = backingPath(path, header);
    const seen = [...chain, await Deno.realPath(path)];
    if (behind !== undefined) {
      backing = await openBacking(seen, behind, header.backingFormat);
    }
    return await Qcow2Block.open(store, { readOnly, backing });
  } catch (error) {
    await store.close();
    await backing?.close();
    if (error instanceof BlockError && chain.length === 0) {
      throw new BlockError(error.kind, `"${path}": ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

async function openBacking(
  chain: readonly string[],
  path: string,
  format: string | undefined,
): Promise<BlockBackend> {
  if (chain.length > MAX_DEPTH) unsupported(path, "the chain is too long");
  const real = await Deno.realPath(path).catch(() => path);
  if (chain.includes(real)) unsupported(path, "the chain is a loop");
  const store = await FileStore.open(path, true);
  try {
    switch (format) {
      case "raw":
        return new RawBlock(store, true);
      case undefined: {
        if (!await isQcow2(store)) return new RawBlock(store, true);
        // A raw disk's guest can write a header that names any file.
        const { backingFile } = await readHeader(store);
        if (backingFile !== undefined) {
          unsupported(
            path,
            "its format is not given and it has a backing file itself; " +
              "qemu-img rebase -u -F qcow2 says that it is qcow2",
          );
        }
        break;
      }
      case "qcow2":
        break;
      default:
        unsupported(path, `its format is "${format}", expected raw or qcow2`);
    }
  } catch (error) {
    await store.close();
    throw error;
  }
  return await openIn(chain, path, true, store);
}
