/**
 * Where images are: paths of the host, and `http:` or `https:` URLs.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import { dirname, resolve } from "../../core/machine/path.ts";
import { isUrl } from "../../core/machine/schema.ts";
import {
  type ByteStore,
  type FileOptions,
  FileStore,
  namesProtocol,
} from "./byte_store.ts";
import { HttpStore } from "./http_store.ts";
import { probe } from "./probe.ts";

/** The most images in a chain. */
export const MAX_CHAIN = 64;

/** Open the bytes at a location. Rejects with a `BlockError`. */
export async function openStore(
  location: string,
  readOnly: boolean,
  options?: FileOptions,
): Promise<ByteStore> {
  if (!isUrl(location)) {
    return await FileStore.open(location, readOnly, options);
  }
  if (readOnly) return await HttpStore.open(location);
  throw new BlockError(
    "read-only",
    `Cannot open image "${location}" for writing: say that it is read-only, ` +
      "or that writes go to a snapshot",
  );
}

/** The format of the image at a location. Rejects with a `BlockError`. */
export async function probeAt(location: string): Promise<string> {
  const store = await openStore(location, true, { lock: false });
  try {
    return await probe(store);
  } finally {
    await store.close();
  }
}

/**
 * Where the backing file is that an image at `location` calls `name`: a path
 * beside a path, a URL beside a URL. Throws a `BlockError` for what is
 * neither: an image can name a server's files, or the host's, not the other's.
 */
export function backingLocation(location: string, name: string): string {
  const file = name.replace(/^file:(?!\/\/)/, "");
  if (namesProtocol(file) || file.includes("\0")) {
    throw new BlockError(
      "unsupported",
      `Cannot open backing file "${name}": only files are supported`,
    );
  }
  return isUrl(location)
    ? new URL(file, location).href
    : resolve(dirname(location), file);
}

/** What tells whether two locations are the same image. */
export async function identity(location: string): Promise<string> {
  if (isUrl(location)) return location;
  return await Deno.realPath(location).catch(() => location);
}
