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
/** The package's folder with the menu's files. */
const SCREENS = "usr/lib/debian-installer/images/12/i386/text/" +
  "debian-installer/i386/boot-screens";
/** The menu in the cache. */
const MENU = join(CACHE, "boot-screens");
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

/**
 * Fetch the menu if it is not there yet. Where it cannot be had `DEBIAN_MENU`
 * is missing.
 */
export async function fetchMenu(): Promise<void> {
  try {
    await Deno.stat(MENU);
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
      await Deno.rename(join(root, SCREENS), MENU);
    });
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
  }
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
  const files: Record<string, string> = installer(guest);
  for await (const { name } of Deno.readDir(MENU)) {
    files[name] = join(MENU, name);
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
