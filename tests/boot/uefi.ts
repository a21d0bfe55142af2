/**
 * PCs with UEFI: Debian's OVMF in flash chips, and disks that it starts.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { join } from "@std/path";
import { Machine, type MachineOptions } from "../../mod.ts";
import { ROOT_OFFSET } from "./debian.ts";
import { type Need, PC, run } from "./firmware.ts";

const FOLDER = "/usr/share/OVMF";

/** An image of OVMF: its code, and what its variables are when it is new. */
export interface Ovmf {
  readonly code: string;
  readonly variables: string;
}

/** The builds for chips of 4 MiB and of 2, and the one with Secure Boot. */
export const OVMF_4M: Ovmf = {
  code: `${FOLDER}/OVMF_CODE_4M.fd`,
  variables: `${FOLDER}/OVMF_VARS_4M.fd`,
};
export const OVMF_2M: Ovmf = {
  code: `${FOLDER}/OVMF_CODE.fd`,
  variables: `${FOLDER}/OVMF_VARS.fd`,
};
export const OVMF_SECURE: Ovmf = {
  code: `${FOLDER}/OVMF_CODE_4M.secboot.fd`,
  variables: `${FOLDER}/OVMF_VARS_4M.ms.fd`,
};

/** What the test needs for them. */
export const OVMF: Need = { what: OVMF_4M.code, in: "ovmf" };

/** The shell's prompt. */
export const PROMPT = /Shell> /;

/** A file in this folder with the variables of a new machine. */
export async function newVariables(
  folder: string,
  { variables }: Ovmf = OVMF_4M,
): Promise<string> {
  const copy = join(folder, "vars.fd");
  await Deno.copyFile(variables, copy);
  return copy;
}

/** What a machine has that OVMF starts with these variables. */
export function uefi(
  variables: string,
  { drives = [], ...more }: MachineOptions = {},
  { code }: Ovmf = OVMF_4M,
): MachineOptions {
  return {
    memory: "256M",
    drives: [
      { file: code, if: "pflash", format: "raw", readOnly: true },
      { file: variables, if: "pflash", format: "raw" },
      ...drives,
    ],
    ...more,
  };
}

/** A PC with its own variables. */
export async function uefiPc(
  variables: string,
  more: MachineOptions = {},
  ovmf: Ovmf = OVMF_4M,
): Promise<Machine> {
  return await Machine.load(PC, uefi(variables, more, ovmf));
}

const SECTOR = 512;
const MIB = 2 ** 20;
/** The EFI system partition's size. */
const ESP_MIB = 64;
/** Where it begins, and the root behind it, in bytes. */
const ESP_OFFSET = MIB;
/** Where the root's file system begins on a disk for UEFI, in bytes. */
export const UEFI_ROOT_OFFSET = ESP_OFFSET + ESP_MIB * MIB;

/** What GRUB is made of that is one file on the disk. */
const GRUB_MODULES = [
  ...["part_gpt", "fat", "ext2", "search", "search_label", "configfile"],
  ...["normal", "linux", "serial", "terminal", "echo", "test", "minicmd"],
];
const GRUB_CFG = `search --no-floppy --label rhea --set=root
configfile ($root)/boot/grub/grub.cfg
`;

/** What making a disk needs. */
export const UEFI_DISK: readonly Need[] = [
  OVMF,
  { what: "grub-mkimage", in: "grub-common" },
  { what: "/usr/lib/grub/x86_64-efi/kernel.img", in: "grub-efi-amd64-bin" },
  { what: "mcopy", in: "mtools" },
  { what: "mkfs.fat", in: "dosfstools" },
];

/** A partition of a GPT. */
interface Partition {
  readonly type: string;
  readonly id: string;
  readonly name: string;
  /** Its first and its last sector. */
  readonly first: number;
  readonly last: number;
}

/** A GUID in its binary form: the first three groups are little-endian. */
function guid(text: string): Uint8Array {
  const bytes = Uint8Array.fromHex(text.replaceAll("-", ""));
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

const ENTRIES = 128;
const ENTRY_BYTES = 128;
const ENTRY_SECTORS = ENTRIES * ENTRY_BYTES / SECTOR;

/** A GPT (UEFI 2.10, chapter 5) of a disk with so many sectors. */
async function writeGpt(
  file: Deno.FsFile,
  sectors: number,
  partitions: readonly Partition[],
): Promise<void> {
  const entries = new Uint8Array(ENTRIES * ENTRY_BYTES);
  partitions.forEach((partition, i) => {
    const entry = entries.subarray(i * ENTRY_BYTES, (i + 1) * ENTRY_BYTES);
    const view = new DataView(entry.buffer, entry.byteOffset);
    entry.set(guid(partition.type));
    entry.set(guid(partition.id), 16);
    view.setBigUint64(32, BigInt(partition.first), true);
    view.setBigUint64(40, BigInt(partition.last), true);
    [...partition.name].forEach((letter, i) =>
      view.setUint16(56 + 2 * i, letter.charCodeAt(0), true)
    );
  });
  const header = (here: number, other: number, table: number): Uint8Array => {
    const sector = new Uint8Array(SECTOR);
    const view = new DataView(sector.buffer);
    const at = (offset: number, value: number) =>
      view.setBigUint64(offset, BigInt(value), true);
    sector.set(new TextEncoder().encode("EFI PART"));
    view.setUint32(8, 0x10000, true);
    view.setUint32(12, 92, true);
    at(24, here);
    at(32, other);
    at(40, 2 + ENTRY_SECTORS);
    at(48, sectors - 2 - ENTRY_SECTORS);
    sector.set(guid("6a1b2c3d-0000-4000-8000-52686561d15c"), 56);
    at(72, table);
    view.setUint32(80, ENTRIES, true);
    view.setUint32(84, ENTRY_BYTES, true);
    view.setUint32(88, crc32(entries), true);
    view.setUint32(16, crc32(sector.subarray(0, 92)), true);
    return sector;
  };
  const protective = new Uint8Array(SECTOR);
  const mbr = new DataView(protective.buffer);
  protective.set([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff], 446);
  mbr.setUint32(454, 1, true);
  mbr.setUint32(458, sectors - 1, true);
  mbr.setUint16(510, 0xaa55, true);
  const table = sectors - 1 - ENTRY_SECTORS;
  await writeAt(file, 0, protective);
  await writeAt(file, SECTOR, header(1, sectors - 1, 2));
  await writeAt(file, 2 * SECTOR, entries);
  await writeAt(file, table * SECTOR, entries);
  await writeAt(
    file,
    (sectors - 1) * SECTOR,
    header(sectors - 1, 1, table),
  );
}

async function writeAt(
  file: Deno.FsFile,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  await file.seek(offset, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) {
    done += await file.write(bytes.subarray(done));
  }
}

/** Copy what is not zero. */
async function copyFrom(
  from: Deno.FsFile,
  start: number,
  to: Deno.FsFile,
  offset: number,
): Promise<void> {
  await from.seek(start, Deno.SeekMode.Start);
  const bytes = new Uint8Array(MIB);
  for (let at = offset;;) {
    const length = await from.read(bytes);
    if (length === null) return;
    const part = bytes.subarray(0, length);
    if (part.some((byte) => byte !== 0)) await writeAt(to, at, part);
    at += length;
  }
}

/**
 * A disk with a GPT, an EFI system partition on which GRUB is what firmware
 * starts from any disk (`EFI/BOOT/BOOTX64.EFI`), and the root of a disk of
 * `ensureDebian`. Gives back its path.
 */
export async function uefiDisk(disk: string, folder: string): Promise<string> {
  const config = join(folder, "grub.cfg");
  await Deno.writeTextFile(config, GRUB_CFG);
  const grub = join(folder, "grub.efi");
  await run("grub-mkimage", [
    ...["-O", "x86_64-efi", "-o", grub, "-p", "/EFI/BOOT", "-c", config],
    ...GRUB_MODULES,
  ]);
  const esp = join(folder, "esp.img");
  await Deno.writeFile(esp, new Uint8Array());
  await Deno.truncate(esp, ESP_MIB * MIB);
  await run("mkfs.fat", ["-F", "32", "-n", "ESP", esp]);
  await run("mmd", ["-i", esp, "::/EFI", "::/EFI/BOOT"]);
  await run("mcopy", ["-i", esp, grub, "::/EFI/BOOT/BOOTX64.EFI"]);
  const image = join(folder, "uefi.img");
  const root = (await Deno.stat(disk)).size - ROOT_OFFSET;
  // The second table is behind the root.
  const size = UEFI_ROOT_OFFSET + root + MIB;
  using from = await Deno.open(disk);
  using partition = await Deno.open(esp);
  using to = await Deno.open(image, { write: true, createNew: true });
  await to.truncate(size);
  const rootSector = UEFI_ROOT_OFFSET / SECTOR;
  await writeGpt(to, size / SECTOR, [{
    type: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    id: "6a1b2c3d-0001-4000-8000-52686561d15c",
    name: "ESP",
    first: ESP_OFFSET / SECTOR,
    last: rootSector - 1,
  }, {
    // A root of Linux on x86-64.
    type: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    id: "6a1b2c3d-0002-4000-8000-52686561d15c",
    name: "root",
    first: rootSector,
    last: rootSector + root / SECTOR - 1,
  }]);
  await copyFrom(partition, 0, to, ESP_OFFSET);
  await copyFrom(from, ROOT_OFFSET, to, UEFI_ROOT_OFFSET);
  await Deno.remove(esp);
  return image;
}
