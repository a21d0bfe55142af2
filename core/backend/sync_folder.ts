/**
 * A new or renamed file survives a power cut when its folder is on the disk.
 *
 * @module
 */

/** Have the host put a folder on its disk, where it lets it be opened. */
export async function syncFolder(path: string): Promise<void> {
  let folder: Deno.FsFile | undefined;
  try {
    folder = await Deno.open(path);
    await folder.sync();
  } catch {
    // Not every system lets a folder be opened.
  } finally {
    folder?.close();
  }
}
