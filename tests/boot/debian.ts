/**
 * A disk with Debian on it: made by debootstrap, with an ext4 root and GRUB in
 * the MBR and the gap behind it. Its screen and its first serial port both have
 * a login (`root`, password `rhea`), and its network cards ask for an address by
 * DHCP. The 64-bit one has what installs GRUB for UEFI, too.
 *
 * It takes minutes and, for debootstrap, root; so it is kept in `.cache`.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import type { GuestArchitecture } from "../../core/cli/guest.ts";

const CACHE = fromFileUrl(new URL("../../.cache", import.meta.url));
/** The folder where Debian's `grub-pc-bin` has its modules and `boot.img`. */
const GRUB = "/usr/lib/grub/i386-pc";
const SECTOR = 512;
/** The first sector of the one partition. */
const PARTITION = 2048;
/** Where the root's file system begins, in bytes. */
export const ROOT_OFFSET = PARTITION * SECTOR;
const DISK_MIB = 1200;
const PACKAGES = ["systemd-sysv", "udev", "e2fsprogs", "kmod", "login"];
/** By architecture: what depends on the newest kernel, and more. */
const MORE_PACKAGES: Readonly<Record<GuestArchitecture, readonly string[]>> = {
  i386: ["linux-image-686"],
  amd64: [
    ...["linux-image-amd64"],
    ...["grub-efi-amd64-bin", "grub2-common", "efibootmgr"],
  ],
};
/** What the image is called: another name when another disk is made. */
const IMAGE = "disk-2.img";

const NETWORK = `[Match]
Name=en* eth*
[Network]
DHCP=ipv4
`;

const GRUB_CFG = `serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=2
menuentry "Debian" {
  search --no-floppy --label rhea --set=root
  linux /vmlinuz root=LABEL=rhea ro console=tty0 console=ttyS0,115200
  initrd /initrd.img
}
`;

/** The disk cannot be made here: the reason. */
export class DebianError extends Error {
  /** The name of the error's class. */
  override readonly name = "DebianError";
}

/** Run a program to its end; throws a `DebianError` that says what failed. */
async function run(program: string, ...args: string[]): Promise<void> {
  let done: Deno.CommandOutput;
  try {
    done = await new Deno.Command(program, {
      args,
      stdin: "null",
      env: { DEBIAN_FRONTEND: "noninteractive" },
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new DebianError(`${program} is not installed`);
  }
  if (done.success) return;
  const text = new TextDecoder();
  const said = text.decode(done.stderr).trim() || text.decode(done.stdout);
  const last = said.trim().split("\n").at(-1);
  throw new DebianError(`${program} failed: ${last}`);
}

/** The mirror that apt has packages of Debian from. */
async function mirror(): Promise<string> {
  const folder = "/etc/apt/sources.list.d";
  const files = ["/etc/apt/sources.list"];
  for await (const { name } of Deno.readDir(folder)) {
    files.push(join(folder, name));
  }
  for (const file of files) {
    const text = await Deno.readTextFile(file).catch(() => "");
    const found = /^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(\S+\/debian\/?)(?=\s|$)/m
      .exec(text);
    if (found !== null) return found[1];
  }
  throw new DebianError("apt's sources name no mirror of Debian");
}

async function configure(root: string): Promise<void> {
  await Deno.writeTextFile(join(root, "etc/hostname"), "rhea\n");
  await Deno.writeTextFile(
    join(root, "etc/fstab"),
    "LABEL=rhea / ext4 errors=remount-ro 0 1\n",
  );
  await run("chroot", root, "sh", "-c", "echo root:rhea | chpasswd");
  await Deno.writeTextFile(
    join(root, "etc/systemd/network/cards.network"),
    NETWORK,
  );
  await run("chroot", root, "systemctl", "enable", "systemd-networkd");
  // A machine without a card is no failure.
  const waits = "systemd-networkd-wait-online";
  await run("chroot", root, "systemctl", "disable", waits);
  const grub = join(root, "boot/grub");
  await Deno.mkdir(join(grub, "i386-pc"), { recursive: true });
  for await (const { name } of Deno.readDir(GRUB)) {
    if (!/\.(mod|lst)$/.test(name)) continue;
    await Deno.copyFile(join(GRUB, name), join(grub, "i386-pc", name));
  }
  await Deno.writeTextFile(join(grub, "grub.cfg"), GRUB_CFG);
}

/** The MBR: GRUB's code and a table of one active partition. */
async function bootSector(): Promise<Uint8Array> {
  const sector = (await Deno.readFile(join(GRUB, "boot.img"))).slice(0, SECTOR);
  sector.fill(0, 440);
  const view = new DataView(sector.buffer);
  const entry = 446;
  sector.set([0x80, 0x20, 0x21, 0x00, 0x83, 0xfe, 0xff, 0xff], entry);
  view.setUint32(entry + 8, PARTITION, true);
  view.setUint32(entry + 12, DISK_MIB * 2048 - PARTITION, true);
  view.setUint16(510, 0xaa55, true);
  return sector;
}

async function make(
  architecture: GuestArchitecture,
  folder: string,
  image: string,
): Promise<void> {
  const root = join(folder, "root");
  await run(
    "debootstrap",
    `--arch=${architecture}`,
    "--variant=minbase",
    `--include=${[...MORE_PACKAGES[architecture], ...PACKAGES].join(",")}`,
    "bookworm",
    root,
    await mirror(),
  );
  await configure(root);
  using file = await Deno.open(image, { write: true, createNew: true });
  await file.truncate(DISK_MIB << 20);
  await run(
    "mke2fs",
    ...["-q", "-F", "-t", "ext4", "-L", "rhea"],
    ...["-E", `offset=${ROOT_OFFSET}`, "-d", root, image],
    `${(DISK_MIB << 10) - PARTITION / 2}k`,
  );
  const core = join(folder, "core.img");
  await run(
    "grub-mkimage",
    ...["-O", "i386-pc", "-o", core, "-p", "(hd0,msdos1)/boot/grub"],
    ...["biosdisk", "part_msdos", "ext2", "normal"],
  );
  // GRUB's first part, and behind it the other one.
  const grub = [...await bootSector(), ...await Deno.readFile(core)];
  for (let done = 0; done < grub.length;) {
    done += await file.write(Uint8Array.from(grub.slice(done)));
  }
}

/**
 * The disk's path, made if it is not there yet; throws a `DebianError` with the
 * reason where it cannot be.
 */
export async function ensureDebian(
  architecture: GuestArchitecture = "i386",
): Promise<string> {
  const cache = join(CACHE, `debian-${architecture}`);
  const image = join(cache, IMAGE);
  if (await Deno.stat(image).then(() => true, () => false)) return image;
  if (Deno.uid() !== 0) throw new DebianError("debootstrap asks for root");
  await Deno.mkdir(cache, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: cache });
  try {
    const made = join(folder, "disk.img");
    await make(architecture, folder, made);
    await Deno.rename(made, image);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return image;
}

/** What e2fsck says of a root that begins here when it may change nothing. */
export async function fsck(
  image: string,
  offset: number = ROOT_OFFSET,
): Promise<{ code: number; text: string }> {
  const { code, stdout } = await new Deno.Command("e2fsck", {
    args: ["-f", "-n", `${image}?offset=${offset}`],
  }).output();
  return { code, text: new TextDecoder().decode(stdout) };
}
