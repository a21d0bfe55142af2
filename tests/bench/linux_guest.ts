/**
 * Makes the Linux guest: Debian's kernel and busybox as everywhere else here,
 * with the workloads and Debian's tcc.
 *
 * @module
 */

import { basename, dirname, fromFileUrl, join } from "@std/path";
import {
  type CpioEntry,
  directory,
  file,
  gzip,
  symlink,
} from "../../core/cli/cpio.ts";
import {
  ensureGuest,
  type GuestArchitecture,
  GuestError,
  type PackageSet,
  replaceFile,
  withPackages,
} from "../../core/cli/guest.ts";
import { buildInitramfs } from "../../core/cli/initramfs.ts";
import type { Bits } from "./guests.ts";
import type { Linux } from "./targets.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const SCRIPTS = fromFileUrl(new URL("./linux", import.meta.url));
const SOURCES = fromFileUrl(new URL("./guests", import.meta.url));

/** What depends on an architecture. */
interface Variant {
  readonly architecture: GuestArchitecture;
  /** The folder of its libraries. */
  readonly libraries: string;
  /** The program interpreter's name in every program, and in its folder. */
  readonly interpreter: string;
}

const VARIANTS: Readonly<Record<Bits, Variant>> = {
  32: {
    architecture: "i386",
    libraries: "lib/i386-linux-gnu",
    interpreter: "lib/ld-linux.so.2",
  },
  64: {
    architecture: "amd64",
    libraries: "lib/x86_64-linux-gnu",
    interpreter: "lib64/ld-linux-x86-64.so.2",
  },
};

/** Where an architecture's files are kept. */
function cacheOf({ architecture }: Variant): string {
  return join(ROOT, `.cache/bench-${architecture}`);
}

/** What tcc is made of: where it lies in the packages, and so in the guest. */
function tccFiles({ libraries, interpreter }: Variant): string[] {
  return [
    "usr/bin/tcc",
    ...[basename(interpreter), "libc.so.6", "libm.so.6", "libdl.so.2"]
      .concat("libpthread.so.0").map((name) => `${libraries}/${name}`),
  ];
}
/** What tcc compiles and others read: guests in plain C, without assembly. */
const C_FILES = ["runtime.h"].concat(
  ["compress", "crc32", "fib", "interp", "json", "qsort", "sha256"]
    .concat("sieve", "strings", "vcalls").map((name) => `${name}.c`),
);

/** A guest without tcc is a guest: only that workload fails. */
async function optionalTcc(variant: Variant): Promise<CpioEntry[]> {
  try {
    return await tccEntries(variant);
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    console.error(error.message);
    return [];
  }
}

/** The guest, its files made new where that is quick. */
export async function makeLinux(bits: Bits = 32): Promise<Linux> {
  const variant = VARIANTS[bits];
  const { architecture } = variant;
  const guest = await ensureGuest(
    architecture,
    join(ROOT, `.cache/guest-${architecture}`),
  );
  const cache = cacheOf(variant);
  await Deno.mkdir(cache, { recursive: true });
  const entries = [
    directory("bench"),
    await copy(SCRIPTS, "run.sh", "bench", 0o755),
    await copy(SCRIPTS, "program.awk", "bench"),
    ...await Promise.all(C_FILES.map((name) => copy(SOURCES, name, "bench"))),
    ...await optionalTcc(variant),
  ];
  const busybox = await Deno.readFile(guest.busybox);
  const initrd = join(cache, "initramfs.gz");
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
async function tccEntries(variant: Variant): Promise<CpioEntry[]> {
  const { architecture, libraries, interpreter } = variant;
  const cache = cacheOf(variant);
  const files = tccFiles(variant);
  const cached = (path: string): string => join(cache, basename(path));
  if (!await allThere(files.map(cached))) {
    const packages: PackageSet = {
      names: [`tcc:${architecture}`, `libc6:${architecture}`],
      what: "Debian's tcc",
      megabytes: 3,
    };
    await withPackages(packages, cache, () => {}, async (root) => {
      for (const path of files) {
        await Deno.copyFile(join(root, path), cached(path));
      }
    });
  }
  const folders = new Set([
    ...["usr", "usr/bin", "lib", libraries],
    dirname(interpreter),
  ]);
  const read = async (path: string): Promise<CpioEntry> =>
    file(path, await Deno.readFile(cached(path)), 0o755);
  return [
    ...[...folders].map((path) => directory(path)),
    ...await Promise.all(files.map((path) => read(path))),
    symlink(interpreter, `/${libraries}/${basename(interpreter)}`),
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
