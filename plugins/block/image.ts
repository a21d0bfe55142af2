/**
 * The `image` block backend: finds out which format an image has.
 *
 * @module
 */

import { type BlockBackend, BlockError } from "../../core/backend/block.ts";
import type { BlockPlugin } from "../../core/machine/plugin.ts";
import { type ImageConfig, imagePlugin } from "./image_config.ts";
import { openStore, probeAt } from "./location.ts";
import { GuardedBlock, probe } from "./probe.ts";
import { backingChain, openQcow2In } from "./qcow2_chain.ts";
import { openRaw, undoFilesOf } from "./undo_files.ts";

export type { ImageConfig } from "./image_config.ts";

async function open(
  location: string,
  readOnly: boolean,
): Promise<BlockBackend> {
  const store = await openStore(location, readOnly);
  let format: string;
  try {
    format = await probe(store);
    if (format !== "raw" && format !== "qcow2") {
      throw new BlockError(
        "unsupported",
        `Cannot open "${location}": it is a ${format} image, expected raw ` +
          "or qcow2",
      );
    }
  } catch (error) {
    await store.close();
    throw error;
  }
  return format === "qcow2"
    ? await openQcow2In(location, store, readOnly)
    : new GuardedBlock(await openRaw(location, store, readOnly));
}

async function backing(location: string): Promise<readonly string[]> {
  return await probeAt(location) === "qcow2"
    ? await backingChain(location)
    : [];
}

/** The `image` plugin. */
const plugin: BlockPlugin<ImageConfig> = imagePlugin({
  name: "image",
  description: "A disk in an image whose first bytes tell the format",
  open,
  backing,
  undo: async (location) =>
    await probeAt(location) === "raw" ? await undoFilesOf(location) : [],
});
export default plugin;
