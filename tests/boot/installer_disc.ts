/**
 * Discs with Debian's installer: its kernel and initial RAM disk behind the
 * menu of ISOLINUX that Debian has for them, and behind one of GRUB.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import {
  GuestError,
  type GuestFiles,
  withPackages,
} from "../../core/cli/guest.ts";
import type { Need } from "./firmware.ts";
import { type Files, grubDisc, isolinuxDisc } from "./loaders.ts";

const CACHE = fromFileUrl(
  new URL("../../.cache/installer-i386", import.meta.url),
);
const PACKAGE = "debian-installer-12-netboot-i386";
const IMAGES = "usr/lib/debian-installer/images/12/i386";
/** The package's folders of the installer in text and in its graphical form. */
const TEXT = join(IMAGES, "text/debian-installer/i386");
const GRAPHICAL = join(IMAGES, "gtk/debian-installer/i386");
/** The text installer's menu in the cache. */
const MENU = join(CACHE, "boot-screens");
/** The graphical installer's menu, and its initial RAM disk. */
const GRAPHICAL_MENU = join(CACHE, "gtk-boot-screens");
const GRAPHICAL_INITRD = join(CACHE, "gtk-initrd.gz");
/**
 * Where the menu's files say that they and the kernel are. A disc has all in
 * its root, as Debian's `mini.iso` has.
 */
const FOLDERS = /debian-installer\/i386\/(boot-screens\/)?/g;

/** What a disc with Debian's menu needs beside ISOLINUX. */
export const DEBIAN_MENU: Need = {
  what: join(MENU, "vesamenu.c32"),
  in: PACKAGE,
};

/** What a disc with the graphical installer needs besides. */
export const GRAPHICAL_INSTALLER: Need = {
  what: GRAPHICAL_INITRD,
  in: PACKAGE,
};

/**
 * Fetch the menus and the graphical installer if they are not there yet. Where
 * they cannot be had `DEBIAN_MENU` and `GRAPHICAL_INSTALLER` are missing.
 */
export async function fetchMenu(): Promise<void> {
  try {
    for (const path of [MENU, GRAPHICAL_MENU, GRAPHICAL_INITRD]) {
      await Deno.stat(path);
    }
    return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const packages = {
    names: [PACKAGE],
    what: "Debian's installer",
    megabytes: 105,
  };
  await Deno.mkdir(CACHE, { recursive: true });
  try {
    await withPackages(packages, CACHE, () => {}, async (root) => {
      const screens = "boot-screens";
      await replace(join(root, TEXT, screens), MENU);
      await replace(join(root, GRAPHICAL, screens), GRAPHICAL_MENU);
      await replace(join(root, GRAPHICAL, "initrd.gz"), GRAPHICAL_INITRD);
    });
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
  }
}

/** Move a file or a folder to the place of another, if that is there. */
async function replace(from: string, to: string): Promise<void> {
  try {
    await Deno.remove(to, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.rename(from, to);
}

/** The installer by the names that both menus know. */
function installer({ kernel, installer }: GuestFiles): Files {
  return { linux: kernel, "initrd.gz": installer };
}

/** A disc with the installer behind Debian's menu. */
export async function isolinuxInstaller(
  folder: string,
  guest: GuestFiles,
): Promise<string> {
  return await menuDisc(folder, installer(guest), MENU);
}

/** The same with the installer in its graphical form. */
export async function graphicalInstaller(
  folder: string,
  { kernel }: GuestFiles,
): Promise<string> {
  const files = { linux: kernel, "initrd.gz": GRAPHICAL_INITRD };
  return await menuDisc(folder, files, GRAPHICAL_MENU);
}

/** A disc with a menu of Debian's from the cache. */
async function menuDisc(
  folder: string,
  installer: Files,
  menu: string,
): Promise<string> {
  const files: Record<string, string> = { ...installer };
  for await (const { name } of Deno.readDir(menu)) {
    files[name] = join(menu, name);
    if (!name.endsWith(".cfg")) continue;
    const text = await Deno.readTextFile(files[name]);
    files[name] = join(folder, name);
    await Deno.writeTextFile(files[name], text.replaceAll(FOLDERS, ""));
  }
  const config = await Deno.readTextFile(files["syslinux.cfg"]);
  return await isolinuxDisc(folder, files, config);
}

/** A disc with the installer as the second entry of GRUB's menu. */
export async function grubInstaller(
  folder: string,
  guest: GuestFiles,
): Promise<string> {
  return await grubDisc(
    folder,
    installer(guest),
    `menuentry "Rescue" {
  linux /linux rescue/enable=true
  initrd /initrd.gz
}
menuentry "Install" {
  linux /linux fb=false
  initrd /initrd.gz
}
`,
  );
}
