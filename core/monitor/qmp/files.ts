/**
 * Files that commands name, with QEMU's words for what goes wrong.
 *
 * @module
 */

import { GenericError } from "./error.ts";

/** Why a file cannot be opened. */
function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "No such file or directory";
  if (error instanceof Deno.errors.PermissionDenied) return "Permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "Is a directory";
  // Deno's own permission: its message says which flag gives it.
  return error instanceof Error ? error.message : String(error);
}

/** Throws a `GenericError` unless there is a file that can be looked at. */
export async function mustBeThere(name: string): Promise<void> {
  try {
    await Deno.stat(name);
  } catch (cause) {
    throw new GenericError(`Could not open '${name}': ${reasonOf(cause)}`, {
      cause,
    });
  }
}

/** Open a file to write it anew. Throws a `GenericError` that begins with `failure`. */
export async function createFile(
  name: string,
  failure = "Could not open",
): Promise<Deno.FsFile> {
  try {
    return await Deno.open(name, { write: true, create: true, truncate: true });
  } catch (error) {
    throw new GenericError(
      `${failure} '${name}': ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

/** Write a whole file anew. Throws a `GenericError`. */
export async function writeFile(
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  using file = await createFile(name, "failed to open file");
  for (let done = 0; done < bytes.length;) {
    done += await file.write(bytes.subarray(done));
  }
}
