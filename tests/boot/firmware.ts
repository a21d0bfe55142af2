/**
 * What the tests of firmware share: Debian's SeaBIOS, machines that boot from
 * images, and images.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import type { GuestFiles } from "../../core/cli/guest.ts";
import { Machine, type MachineOptions } from "../../mod.ts";
import { boot } from "./guest.ts";

const file = (name: string): string =>
  fromFileUrl(new URL(`../../machines/${name}.json`, import.meta.url));

/** The machine with PCI. */
export const PC = file("pc");
/** The machine without. */
export const ISAPC = file("isapc");

/** SeaBIOS in 128 KiB, and in 256 with all that it can. */
export const SEABIOS = "/usr/share/seabios/bios.bin";
export const SEABIOS_256K = "/usr/share/seabios/bios-256k.bin";

/** How long a test waits before it calls a guest dead. */
export const PATIENCE = { timeout: 300_000 };

/** What a test needs of the host: a program or a file, and its package. */
export interface Need {
  /** A program's name, or a file's path. */
  readonly what: string;
  /** The Debian package that has it. */
  readonly in: string;
}

export const NASM: Need = { what: "nasm", in: "nasm" };
export const SEABIOS_PACKAGE: Need = { what: SEABIOS, in: "seabios" };

/** What starts a PC: how it is called, its image, what the host needs. */
export const FIRMWARES: readonly {
  readonly name: string;
  readonly firmware: string;
  readonly needs: readonly Need[];
}[] = [
  { name: "the built-in BIOS", firmware: "builtin", needs: [] },
  { name: "SeaBIOS", firmware: SEABIOS_256K, needs: [SEABIOS_PACKAGE] },
];

function isThere({ what }: Need): boolean {
  const paths = what.startsWith("/")
    ? [what]
    : (Deno.env.get("PATH") ?? "").split(":").map((dir) => join(dir, what));
  return paths.some((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      // Not there, or nothing that could be used.
      return false;
    }
  });
}

/** The packages that are missing, for a test's name. */
function missing(needs: readonly Need[]): string | undefined {
  const packages = needs.filter((need) => !isThere(need)).map((n) => n.in);
  return packages.length === 0 ? undefined : [...new Set(packages)].join(", ");
}

async function withFolder(
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A test with a folder of its own; skipped where something is missing. */
export function firmwareTest(
  name: string,
  needs: readonly Need[],
  fn: (folder: string) => Promise<void>,
): void {
  const packages = missing(needs);
  Deno.test({
    name: packages === undefined
      ? name
      : `${name} (skipped: no package ${packages})`,
    ignore: packages !== undefined,
    fn: () => withFolder(fn),
  });
}

/** The same for a test that needs Linux, too. */
export function linuxTest(
  name: string,
  needs: readonly Need[],
  fn: (folder: string, guest: GuestFiles) => Promise<void>,
): void {
  if (missing(needs) !== undefined) firmwareTest(name, needs, async () => {});
  else boot(name, (guest) => withFolder((folder) => fn(folder, guest)));
}

/** A PC that SeaBIOS starts, with its boot menu. */
export async function seabiosPc(options: MachineOptions): Promise<Machine> {
  return await Machine.load(PC, {
    firmware: SEABIOS_256K,
    boot: { menu: true },
    ...options,
  });
}

/** Run a program of the host; throws what it says when it fails. */
export async function run(
  program: string,
  args: readonly string[],
): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) {
    throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  }
}

/** Assemble a disk that starts with this program, padded to its size. */
export async function assembleDisk(
  source: string,
  image: string,
  bytes: number,
): Promise<void> {
  await run("nasm", [
    "-w+all",
    "-w-number-overflow",
    "-f",
    "bin",
    source,
    "-o",
    image,
  ]);
  await Deno.truncate(image, bytes);
}
