/**
 * Images with boot loaders, made with Debian's tools; undefined, and the reason
 * on the console, where one of them is missing.
 *
 * @module
 */

import { tool } from "./machine.ts";

/** Files by their names in an image. */
export type Files = Readonly<Record<string, string>>;

/** A FAT disk with SYSLINUX, its configuration and other files. */
export async function syslinuxImage(
  folder: string,
  bytes: number,
  config: string,
  files: Files = {},
): Promise<string | undefined> {
  const file = `${folder}/fat.img`;
  await Deno.writeFile(file, new Uint8Array());
  await Deno.truncate(file, bytes);
  await Deno.writeTextFile(`${folder}/syslinux.cfg`, config);
  const made = await tool("mkfs.fat", file) &&
    await tool("syslinux", "--install", file) &&
    await tool("mcopy", "-i", file, `${folder}/syslinux.cfg`, "::");
  if (!made) return undefined;
  for (const [name, from] of Object.entries(files)) {
    await tool("mcopy", "-i", file, from, `::${name}`);
  }
  return file;
}

/** A disc with GRUB, which is a disk too; it has a file `words`. */
export async function grubImage(
  folder: string,
  files: Files = {},
): Promise<string | undefined> {
  const tree = `${folder}/tree`;
  await Deno.mkdir(`${tree}/boot/grub`, { recursive: true });
  await Deno.writeTextFile(`${tree}/boot/grub/grub.cfg`, "");
  await Deno.writeTextFile(`${tree}/words`, "on the disc\n");
  for (const [name, from] of Object.entries(files)) {
    await Deno.copyFile(from, `${tree}/${name}`);
  }
  const file = `${folder}/grub.iso`;
  return await tool("grub-mkrescue", "-o", file, tree) ? file : undefined;
}

/** A disc with ISOLINUX, its configuration and other files. */
export async function isolinuxImage(
  folder: string,
  config: string,
  files: Files,
): Promise<string | undefined> {
  const tree = `${folder}/tree`;
  await Deno.mkdir(tree);
  await Deno.writeTextFile(`${tree}/isolinux.cfg`, config);
  const loader: Files = {
    "isolinux.bin": "/usr/lib/ISOLINUX/isolinux.bin",
    "ldlinux.c32": "/usr/lib/syslinux/modules/bios/ldlinux.c32",
  };
  try {
    for (const [name, from] of Object.entries({ ...loader, ...files })) {
      await Deno.copyFile(from, `${tree}/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("skipped: isolinux is not installed");
    return undefined;
  }
  const file = `${folder}/isolinux.iso`;
  const options = "-as mkisofs -quiet -b isolinux.bin -c boot.cat " +
    "-no-emul-boot -boot-load-size 4 -boot-info-table -o";
  const made = await tool("xorriso", ...options.split(" "), file, tree);
  return made ? file : undefined;
}

/** A disc that emulates the drive of which it has an image. */
export async function emulationImage(
  folder: string,
  image: string,
  kind: "floppy" | "disk",
): Promise<string | undefined> {
  const tree = `${folder}/${kind}`;
  await Deno.mkdir(tree);
  await Deno.copyFile(image, `${tree}/boot.img`);
  const file = `${folder}/${kind}.iso`;
  const options = "-as mkisofs -quiet -b boot.img -c boot.cat " +
    (kind === "disk" ? "-hard-disk-boot -o" : "-o");
  const made = await tool("xorriso", ...options.split(" "), file, tree);
  return made ? file : undefined;
}
