/**
 * What a machine starts without firmware: a kernel and its companions, and the
 * loader that knows its kind.
 *
 * @module
 */

import { basename } from "./path.ts";
import type { MachinePlan } from "./plan_types.ts";
import { type BootFile, type LoaderPlugin, LoadError } from "./plugin.ts";

/** What is loaded at every reset. */
export interface BootImages {
  /** Who knows the kernel's kind. */
  readonly loader: LoaderPlugin;
  /** The kernel. */
  readonly kernel: BootFile;
  /** The initial RAM disk. */
  readonly initrd: BootFile | undefined;
  /** Modules, the initial RAM disk first. */
  readonly modules: readonly BootFile[];
}

/**
 * Read the kernel and its companions and choose the loader; undefined when
 * there is no kernel. Throws a `LoadError` when no loader knows it.
 */
export async function readBootImages(
  { definition, loaders }: Pick<MachinePlan, "definition" | "loaders">,
): Promise<BootImages | undefined> {
  const { boot } = definition;
  if (boot.kernel === undefined) return undefined;
  const read = async (path: string, append?: string): Promise<BootFile> => ({
    path,
    bytes: await Deno.readFile(path),
    append,
  });
  const kernel = await read(boot.kernel);
  const loader = loaders.find((l) => l.probe(kernel.bytes));
  if (loader === undefined) {
    const known = loaders.map((l) => l.description ?? l.name);
    throw new LoadError(
      `Cannot load kernel "${basename(boot.kernel)}": ` +
        `expected ${known.join(" or ")}`,
    );
  }
  const initrd = boot.initrd === undefined
    ? undefined
    : await read(boot.initrd);
  const modules: BootFile[] = [];
  if (initrd !== undefined) modules.push(initrd);
  for (const { file, append } of boot.modules ?? []) {
    modules.push(await read(file, append));
  }
  return { loader, kernel, initrd, modules };
}
