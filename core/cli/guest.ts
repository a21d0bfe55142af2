/**
 * Fetches the guest that `deno task start` boots: Debian's installer kernel
 * and a static busybox, by their package names. Packages are downloaded and
 * unpacked in a cache folder, never installed.
 *
 * @module
 */

import { resolve } from "../machine/path.ts";
import { gzip } from "./cpio.ts";
import { buildInitramfs } from "./initramfs.ts";

/** A Debian architecture that the guest is for. */
export type GuestArchitecture = "i386" | "amd64";

/** How much there is to download for each, in megabytes. */
const MEGABYTES: Readonly<Record<GuestArchitecture, number>> = {
  i386: 106,
  amd64: 134,
};

/** The guest cannot be had: one line that says what to do instead. */
export class GuestError extends Error {
  /** The name of the error's class. */
  override readonly name = "GuestError";
}

/** The guest's files. */
export interface GuestFiles {
  /** Debian's kernel. */
  readonly kernel: string;
  /** The installer's initial RAM disk. */
  readonly installer: string;
  /** The program that is the shell and all its commands, static. */
  readonly busybox: string;
  /** An initial RAM disk with a shell. */
  readonly initramfs: string;
}

/** Packages that are fetched together. */
export interface PackageSet {
  /** Their names, with the architecture where it is not "all". */
  readonly names: readonly string[];
  /** What they bring, for who waits. */
  readonly what: string;
  /** How much there is to download. */
  readonly megabytes: number;
}

/**
 * Told now and then what is going on: which step, and how much of it is done,
 * where that is known; an empty step at the end.
 */
export type Progress = (step: string, done?: number, total?: number) => void;

const HINT = "start a kernel of your own by: " +
  "deno task start --kernel BZIMAGE --initrd CPIO --append console=ttyS0";

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The guest's files in `cache`, fetched if they are not there yet. */
export async function ensureGuest(
  architecture: GuestArchitecture,
  cache: string,
  progress: Progress = () => {},
): Promise<GuestFiles> {
  const files: GuestFiles = {
    kernel: resolve(cache, "linux"),
    installer: resolve(cache, "initrd.gz"),
    busybox: resolve(cache, "busybox"),
    initramfs: resolve(cache, "initramfs.gz"),
  };
  try {
    const wanted = [files.kernel, files.installer, files.busybox];
    const there = await Promise.all(wanted.map(exists));
    if (there.includes(false)) {
      await fetchGuest(architecture, cache, progress);
    }
    progress("building the initramfs");
    // Built every time: it takes a moment, and its recipe may have changed.
    const archive = buildInitramfs(await Deno.readFile(files.busybox));
    await replaceFile(files.initramfs, await gzip(archive));
    return files;
  } finally {
    progress("");
  }
}

/** Write a file so that nobody ever sees a part of it. */
export async function replaceFile(
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const partial = `${path}.${Deno.pid}.part`;
  await Deno.writeFile(partial, bytes);
  await Deno.rename(partial, path);
}

async function fetchGuest(
  architecture: GuestArchitecture,
  cache: string,
  progress: Progress,
): Promise<void> {
  // The packages that hold the kernel with the installer, and the shell.
  const packages: PackageSet = {
    names: [
      `debian-installer-12-netboot-${architecture}`,
      `busybox-static:${architecture}`,
    ],
    what: "Debian's kernel and busybox",
    megabytes: MEGABYTES[architecture],
  };
  await withPackages(packages, cache, progress, async (root) => {
    const kernel = resolve(
      root,
      "usr/lib/debian-installer/images/12",
      architecture,
      "text/debian-installer",
      architecture,
    );
    await Deno.rename(resolve(kernel, "linux"), resolve(cache, "linux"));
    await Deno.rename(
      resolve(kernel, "initrd.gz"),
      resolve(cache, "initrd.gz"),
    );
    await Deno.rename(resolve(root, "bin/busybox"), resolve(cache, "busybox"));
  });
}

/**
 * Download packages and unpack them in a folder inside `cache` that is there
 * as long as `use` runs.
 */
export async function withPackages(
  packages: PackageSet,
  cache: string,
  progress: Progress,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const work = resolve(cache, `work-${Deno.pid}`);
  await Deno.mkdir(work, { recursive: true });
  try {
    await download(packages, work, cache, progress);
    progress("unpacking");
    const root = resolve(work, "root");
    for await (const { name } of Deno.readDir(work)) {
      if (!name.endsWith(".deb")) continue;
      await must("dpkg-deb", ["-x", resolve(work, name), root]);
    }
    await use(root);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/**
 * Download packages to `work`. First with the system's package lists; if
 * these do not do (no lists, no such architecture), with lists of our own,
 * which needs neither root nor a change of the system.
 */
async function download(
  { names, what, megabytes }: PackageSet,
  work: string,
  cache: string,
  progress: Progress,
): Promise<void> {
  const watch = setInterval(() => {
    let bytes = 0;
    for (const { name } of Deno.readDirSync(work)) {
      if (!name.includes(".deb")) continue;
      bytes += Deno.statSync(resolve(work, name)).size;
    }
    if (bytes > 0) progress(step, bytes, megabytes * 1e6);
  }, 300);
  const step = `fetching ${what} (${megabytes} MB)`;
  try {
    progress(step);
    const sandbox = ["-o", "APT::Sandbox::User=root"];
    const get = ["-q", ...sandbox, "download", ...names];
    if ((await apt(get, work)).success) return;
    progress("fetching Debian's package lists");
    const state = resolve(cache, "apt");
    await Deno.mkdir(resolve(state, "lists/partial"), { recursive: true });
    await Deno.mkdir(resolve(state, "archives/partial"), { recursive: true });
    // The system's own architecture comes first, for packages of "all".
    const architectures = new Set([
      (await must("dpkg", ["--print-architecture"])).trim(),
      ...names.flatMap((name) => name.split(":")[1] ?? []),
    ]);
    const own = [
      ...sandbox,
      ...["-o", `Dir::State::lists=${resolve(state, "lists")}`],
      ...["-o", `Dir::Cache=${state}`],
      ...[...architectures].flatMap((name) => [
        "-o",
        `APT::Architectures::=${name}`,
      ]),
      ...["-o", "Acquire::Languages=none"],
    ];
    // It may fail in part while a mirror synchronises: go on with what came.
    await apt(["-q", ...own, "update"], work);
    const result = await apt(["-q", ...own, "download", ...names], work);
    await Deno.remove(state, { recursive: true });
    if (result.success) return;
    const reason = result.error.split("\n")
      .findLast((line) => line.startsWith("E:")) ?? "apt-get failed";
    throw new GuestError(
      `Cannot fetch ${names.join(" ")} (${reason}); ${HINT}`,
    );
  } finally {
    clearInterval(watch);
  }
}

interface Outcome {
  readonly success: boolean;
  readonly output: string;
  readonly error: string;
}

async function command(
  name: string,
  args: readonly string[],
  cwd?: string,
): Promise<Outcome> {
  const result = await new Deno.Command(name, {
    args: [...args],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
  }).output();
  const decoder = new TextDecoder();
  return {
    success: result.success,
    output: decoder.decode(result.stdout),
    error: decoder.decode(result.stderr),
  };
}

async function apt(args: readonly string[], cwd: string): Promise<Outcome> {
  try {
    return await command("apt-get", args, cwd);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new GuestError(
      `Cannot fetch a guest: there is no apt-get here; ${HINT}`,
    );
  }
}

async function must(name: string, args: readonly string[]): Promise<string> {
  const result = await command(name, args);
  if (result.success) return result.output;
  throw new GuestError(`${name} failed: ${result.error.trim().split("\n")[0]}`);
}
