/**
 * Drivers for the guest's kernel: modules of Debian's kernel package, unpacked
 * in the cache, with what they depend on.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { type CpioEntry, directory, file } from "../../core/cli/cpio.ts";
import { GuestError, withPackages } from "../../core/cli/guest.ts";

/** The cache's folder for the modules of one architecture's kernels. */
function cacheOf(architecture: string): string {
  return fromFileUrl(
    new URL(`../../.cache/modules-${architecture}`, import.meta.url),
  );
}
/** The boot protocol's pointer to the version's text, less 512 bytes. */
const KERNEL_VERSION = 0x20e;

/** The version of a bzImage, as `6.1.0-50-686`. */
export async function kernelVersion(kernel: string): Promise<string> {
  const bytes = await Deno.readFile(kernel);
  const at = (bytes[KERNEL_VERSION] | bytes[KERNEL_VERSION + 1] << 8) + 0x200;
  const text = new TextDecoder("latin1").decode(bytes.subarray(at, at + 64));
  return text.split(/[ \0]/)[0];
}

/** The folder with a kernel's modules, fetched if it is not there yet. */
async function modulesOf(kernel: string): Promise<string> {
  const version = await kernelVersion(kernel);
  const architecture = version.endsWith("-amd64") ? "amd64" : "i386";
  const cache = cacheOf(architecture);
  const folder = join(cache, version);
  try {
    await Deno.stat(folder);
    return folder;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const packages = {
    names: [`linux-image-${version}:${architecture}`],
    what: "Debian's kernel modules",
    megabytes: 52,
  };
  await Deno.mkdir(cache, { recursive: true });
  await withPackages(packages, cache, () => {}, async (root) => {
    const modules = join(root, "lib/modules", version, "kernel");
    const partial = `${folder}.${Deno.pid}`;
    await Deno.mkdir(partial);
    for await (const path of walk(modules)) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      await Deno.rename(path, join(partial, name.replaceAll("-", "_")));
    }
    await Deno.rename(partial, folder);
  });
  return folder;
}

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* walk(path);
    else yield path;
  }
}

/** The modules that one says it depends on. */
function dependencies(module: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(module);
  const list = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return list.split(",").filter((name) => name !== "")
    .map((name) => name.replaceAll("-", "_"));
}

/** Modules in the order in which they load, and the archive's entries. */
export interface Modules {
  /** Commands that load them. */
  readonly script: string;
  /** What the initial RAM disk needs for that. */
  readonly entries: readonly CpioEntry[];
}

/**
 * These modules of a kernel and all that they depend on; the reason as text
 * where they cannot be had.
 */
export async function kernelModules(
  kernel: string,
  names: readonly string[],
): Promise<Modules | string> {
  let folder: string;
  try {
    folder = await modulesOf(kernel);
  } catch (error) {
    if (error instanceof GuestError) return error.message;
    throw error;
  }
  const found = new Map<string, Uint8Array>();
  const add = async (name: string): Promise<void> => {
    if (found.has(name)) return;
    const bytes = await Deno.readFile(join(folder, `${name}.ko`));
    for (const needed of dependencies(bytes)) await add(needed);
    found.set(name, bytes);
  };
  for (const name of names) await add(name);
  return {
    script: [...found.keys()].map((name) => `insmod /modules/${name}.ko\n`)
      .join(""),
    entries: [
      directory("modules"),
      ...[...found].map(([name, bytes]) => file(`modules/${name}.ko`, bytes)),
    ],
  };
}
