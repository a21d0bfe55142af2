/**
 * Disks, discs and floppies with boot loaders of Debian's packages.
 *
 * @module
 */

import { join } from "@std/path";
import { type Need, run } from "./firmware.ts";

const GRUB_MODULES = "/usr/lib/grub/i386-pc";
const ISOLINUX_BIN = "/usr/lib/ISOLINUX/isolinux.bin";
const LDLINUX = "/usr/lib/syslinux/modules/bios/ldlinux.c32";

/** Memtest86+, which loaders start like a Linux kernel. */
export const MEMTEST = "/boot/memtest86+ia32.bin";

export const MEMTEST_PACKAGE: Need = { what: MEMTEST, in: "memtest86+" };
export const SYSLINUX: readonly Need[] = [
  { what: "syslinux", in: "syslinux" },
  { what: "mcopy", in: "mtools" },
  { what: "mkfs.fat", in: "dosfstools" },
];
export const ISOLINUX: readonly Need[] = [
  { what: ISOLINUX_BIN, in: "isolinux" },
  { what: LDLINUX, in: "syslinux-common" },
  { what: "xorriso", in: "xorriso" },
];
export const GRUB: readonly Need[] = [
  { what: "grub-mkrescue", in: "grub-common" },
  { what: `${GRUB_MODULES}/boot.img`, in: "grub-pc-bin" },
  { what: "xorriso", in: "xorriso" },
  { what: "mcopy", in: "mtools" },
];

export const GRUB_EFI: readonly Need[] = [
  { what: "grub-mkrescue", in: "grub-common" },
  { what: "/usr/lib/grub/x86_64-efi/kernel.img", in: "grub-efi-amd64-bin" },
  { what: "xorriso", in: "xorriso" },
  { what: "mcopy", in: "mtools" },
];

/** Files of an image: names to the host's files. */
export type Files = Readonly<Record<string, string>>;

/** What SYSLINUX and ISOLINUX ask, and may start. */
const SYSLINUX_CONFIG = `PROMPT 1
LABEL linux
  KERNEL /linux
  INITRD /initrd.gz
  APPEND console=ttyS0
LABEL memtest
  KERNEL /memtest
`;

/** A disk of 40 MiB with SYSLINUX on a FAT that is all of it. */
export async function syslinuxDisk(
  folder: string,
  files: Files,
): Promise<string> {
  const image = join(folder, "syslinux.img");
  await Deno.writeFile(image, new Uint8Array());
  await Deno.truncate(image, 40 * 1024 * 1024);
  await run("mkfs.fat", ["-F", "16", image]);
  await run("syslinux", ["--install", image]);
  const config = join(folder, "syslinux.cfg");
  await Deno.writeTextFile(config, SYSLINUX_CONFIG);
  const all = { "syslinux.cfg": config, ...files };
  for (const [name, path] of Object.entries(all)) {
    await run("mcopy", ["-i", image, path, `::/${name}`]);
  }
  return image;
}

/** A folder with copies of files. */
async function tree(
  folder: string,
  name: string,
  files: Files,
): Promise<string> {
  const root = join(folder, name);
  await Deno.mkdir(root);
  for (const [to, from] of Object.entries(files)) {
    await Deno.copyFile(from, join(root, to));
  }
  return root;
}

/** A disc with ISOLINUX, without emulation, which does what `config` says. */
export async function isolinuxDisc(
  folder: string,
  files: Files,
  config: string = SYSLINUX_CONFIG,
): Promise<string> {
  const image = join(folder, "isolinux.iso");
  const root = await tree(folder, "isolinux", {
    "isolinux.bin": ISOLINUX_BIN,
    "ldlinux.c32": LDLINUX,
    ...files,
  });
  await Deno.writeTextFile(join(root, "isolinux.cfg"), config);
  await run("xorriso", [
    ...["-as", "mkisofs", "-o", image, "-b", "isolinux.bin", "-c", "boot.cat"],
    ...["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", root],
  ]);
  return image;
}

/**
 * A disc with GRUB, which starts at its command line without a `config`: for
 * all platforms that the host has modules for, or for one.
 */
export async function grubDisc(
  folder: string,
  files: Files,
  config: string = "",
  platform?: string,
): Promise<string> {
  const image = join(folder, "grub.iso");
  const root = await tree(folder, "grub", files);
  await Deno.mkdir(join(root, "boot/grub"), { recursive: true });
  await Deno.writeTextFile(join(root, "boot/grub/grub.cfg"), config);
  const modules = platform === undefined
    ? []
    : ["-d", `/usr/lib/grub/${platform}`];
  await run("grub-mkrescue", [...modules, "-o", image, root]);
  return image;
}

/** A floppy with nothing but GRUB, which starts at its command line. */
export async function grubFloppy(folder: string): Promise<string> {
  const image = join(folder, "grub.img");
  const core = join(folder, "core.img");
  await run("grub-mkimage", [
    ...["-O", "i386-pc", "-o", core, "-p", "/boot/grub"],
    ...["biosdisk", "normal", "minicmd", "echo", "ls", "fat"],
  ]);
  const sector = await Deno.readFile(`${GRUB_MODULES}/boot.img`);
  const floppy = new Uint8Array(1440 * 1024);
  floppy.set(sector);
  floppy.set(await Deno.readFile(core), sector.length);
  await Deno.writeFile(image, floppy);
  return image;
}
