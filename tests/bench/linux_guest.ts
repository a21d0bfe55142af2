/**
 * Makes the Linux guest: Debian's kernel and busybox as everywhere else here,
 * with the workloads and Debian's tcc.
 *
 * @module
 */

import { basename, fromFileUrl, join } from "@std/path";
import {
  type CpioEntry,
  directory,
  file,
  gzip,
  symlink,
} from "../../core/cli/cpio.ts";
import {
  ensureGuest,
  GuestError,
  type PackageSet,
  replaceFile,
  withPackages,
} from "../../core/cli/guest.ts";
import { buildInitramfs } from "../../core/cli/initramfs.ts";
import type { Linux } from "./targets.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const SCRIPTS = fromFileUrl(new URL("./linux", import.meta.url));
const SOURCES = fromFileUrl(new URL("./guests", import.meta.url));
const CACHE = join(ROOT, ".cache/bench-i386");

const TCC: PackageSet = {
  names: ["tcc:i386", "libc6:i386"],
  what: "Debian's tcc",
  megabytes: 3,
};
/** What tcc is made of: where it lies in the packages, and so in the guest. */
const TCC_FILES = [
  "usr/bin/tcc",
  ...["ld-linux.so.2", "libc.so.6", "libm.so.6", "libdl.so.2"]
    .concat("libpthread.so.0").map((name) => `lib/i386-linux-gnu/${name}`),
];
/** The program interpreter's name in every i386 program. */
const INTERPRETER = "lib/ld-linux.so.2";
/** What tcc compiles and others read: guests in plain C, without assembly. */
const C_FILES = ["runtime.h"].concat(
  ["compress", "crc32", "fib", "interp", "json", "qsort", "sha256"]
    .concat("sieve", "strings", "vcalls").map((name) => `${name}.c`),
);

/** A guest without tcc is a guest: only that workload fails. */
async function optionalTcc(): Promise<CpioEntry[]> {
  try {
    return await tccEntries();
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    console.error(error.message);
    return [];
  }
}

/** The guest, its files made new where that is quick. */
export async function makeLinux(): Promise<Linux> {
  const guest = await ensureGuest(join(ROOT, ".cache/guest-i386"));
  await Deno.mkdir(CACHE, { recursive: true });
  const entries = [
    directory("bench"),
    await copy(SCRIPTS, "run.sh", "bench", 0o755),
    await copy(SCRIPTS, "program.awk", "bench"),
    ...await Promise.all(C_FILES.map((name) => copy(SOURCES, name, "bench"))),
    ...await optionalTcc(),
  ];
  const busybox = await Deno.readFile(guest.busybox);
  const initrd = join(CACHE, "initramfs.gz");
  await replaceFile(initrd, await gzip(buildInitramfs(busybox, entries)));
  return { kernel: guest.kernel, initrd, append: "console=ttyS0" };
}

async function copy(
  from: string,
  name: string,
  to: string,
  mode = 0o644,
): Promise<CpioEntry> {
  return file(`${to}/${name}`, await Deno.readFile(join(from, name)), mode);
}

/** tcc and its libraries, fetched if they are not in the cache yet. */
async function tccEntries(): Promise<CpioEntry[]> {
  const cached = (path: string): string => join(CACHE, basename(path));
  if (!await allThere(TCC_FILES.map(cached))) {
    await withPackages(TCC, CACHE, () => {}, async (root) => {
      for (const path of TCC_FILES) {
        await Deno.copyFile(join(root, path), cached(path));
      }
    });
  }
  const folders = ["usr", "usr/bin", "lib", "lib/i386-linux-gnu"];
  const read = async (path: string): Promise<CpioEntry> =>
    file(path, await Deno.readFile(cached(path)), 0o755);
  return [
    ...folders.map((path) => directory(path)),
    ...await Promise.all(TCC_FILES.map((path) => read(path))),
    symlink(INTERPRETER, "i386-linux-gnu/ld-linux.so.2"),
  ];
}

async function allThere(paths: readonly string[]): Promise<boolean> {
  try {
    await Promise.all(paths.map((path) => Deno.stat(path)));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
