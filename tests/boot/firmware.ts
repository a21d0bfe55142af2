/**
 * What the tests of firmware share: Debian's SeaBIOS, machines that boot from
 * images, and images.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { Machine, type MachineOptions } from "../../mod.ts";

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

/** A test with a folder of its own; skipped where something is missing. */
export function firmwareTest(
  name: string,
  needs: readonly Need[],
  fn: (folder: string) => Promise<void>,
): void {
  const missing = needs.filter((need) => !isThere(need))
    .map((need) => need.in);
  Deno.test({
    name: missing.length === 0
      ? name
      : `${name} (skipped: no package ${missing.join(", ")})`,
    ignore: missing.length > 0,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      try {
        await fn(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** What is in the drives of a PC. */
export interface Media {
  /** The first disk's image. */
  readonly disk?: string;
  /** The disc in the CD-ROM drive, which is there with it alone. */
  readonly cdrom?: string;
}

/** The assignments that put images into the drives of `pc.json`. */
function drives({ disk, cdrom }: Media): string[] {
  const image = (file: string, readOnly: boolean): string =>
    JSON.stringify({ plugin: "raw", config: { file, readOnly } });
  const set: string[] = [];
  if (disk !== undefined) {
    set.push(`backends.disk=${image(disk, false)}`);
    set.push("devices.ide.backends.disk0=disk");
  }
  if (cdrom !== undefined) {
    set.push(`backends.disc=${image(cdrom, true)}`);
    set.push("devices.ide.backends.disk2=disc");
    set.push("devices.ide.config.disk2.kind=cdrom");
  }
  return set;
}

/** A PC that SeaBIOS starts, with its boot menu. */
export async function seabiosPc(
  media: Media,
  options: MachineOptions = {},
): Promise<Machine> {
  return await Machine.load(PC, {
    firmware: SEABIOS_256K,
    ...options,
    set: [
      "devices.fwcfg.config.menu=true",
      ...drives(media),
      ...options.set ?? [],
    ],
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
