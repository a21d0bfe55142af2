/**
 * A module that registers the virtio-mmio slots of the command line: Debian's
 * kernel has the driver, but not that parameter of it. It is built with the
 * kernel's headers and kept in the cache.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { type CpioEntry, file } from "../../core/cli/cpio.ts";
import { GuestError, replaceFile, withPackages } from "../../core/cli/guest.ts";
import { kernelVersion } from "./modules.ts";

const CACHE = fromFileUrl(
  new URL("../../.cache/modules-i386", import.meta.url),
);
const SOURCE = fromFileUrl(new URL("./mmio_slots.c", import.meta.url));

/** Build the module with the headers in `root`. */
async function build(root: string, version: string): Promise<Uint8Array> {
  const headers = join(root, "usr/src", `linux-headers-${version}`);
  const common = headers.replace(/-686$/, "-common");
  const folder = join(root, "mmio_slots");
  await Deno.mkdir(folder);
  await Deno.copyFile(SOURCE, join(folder, "mmio_slots.c"));
  await Deno.writeTextFile(join(folder, "Makefile"), "obj-m := mmio_slots.o\n");
  const { success, stderr } = await new Deno.Command("make", {
    args: [
      ...["-C", common, `O=${headers}`, `M=${folder}`, "ARCH=x86", "CC=gcc"],
      // The list of the kernel's symbols is left to the guest.
      ...["KBUILD_MODPOST_WARN=1", "modules"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return await Deno.readFile(join(folder, "mmio_slots.ko"));
}

/** What loads the slots; the reason as text where they cannot be built. */
export async function mmioSlots(
  kernel: string,
): Promise<{ script: string; entry: CpioEntry } | string> {
  const version = await kernelVersion(kernel);
  const path = join(CACHE, `mmio_slots-${version}.ko`);
  const [release] = /^\d+\.\d+/.exec(version) ?? [""];
  try {
    await Deno.stat(path);
  } catch {
    const packages = {
      names: [
        `linux-headers-${version}:i386`,
        `linux-headers-${version.replace(/-686$/, "-common")}`,
        `linux-kbuild-${release}`,
      ],
      what: "Debian's kernel headers",
      megabytes: 14,
    };
    await Deno.mkdir(CACHE, { recursive: true });
    try {
      await withPackages(packages, CACHE, () => {}, async (root) => {
        await replaceFile(path, await build(root, version));
      });
    } catch (error) {
      if (error instanceof GuestError) return error.message;
      if (error instanceof Deno.errors.NotFound) return "make is not installed";
      throw error;
    }
  }
  return {
    script: `insmod /mmio_slots.ko $(tr ' ' '\\n' < /proc/cmdline |
  sed -n 's/^virtio_mmio[.]//p')\n`,
    entry: file("mmio_slots.ko", await Deno.readFile(path)),
  };
}
