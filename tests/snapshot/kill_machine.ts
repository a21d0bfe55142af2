/**
 * The machine of the kill test, and what it does: known from a seed, so that
 * the one who watches knows what the one who is killed has done.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { fromFileUrl, join } from "@std/path";
import { BlockModel } from "../../core/backend/block_contract.ts";
import type { BootDrive, BootDrives } from "../../core/machine/boot_drive.ts";
import { Machine, type MachineOptions } from "../../mod.ts";

const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));
const MICROVM = fromFileUrl(
  new URL("../../machines/microvm.json", import.meta.url),
);
/** Bytes of each disk. */
export const DISK_BYTES: number = 1 << 20;
/** Where in memory it is noted what the disks have; the guest is not there. */
const NOTE = 0x1f0000;

/** What is done to the machine. */
export type Step =
  | { readonly kind: "write"; sector: number; sectors: number; value: number }
  | { readonly kind: "save" | "load" | "delete"; readonly name: string };

/** The images in a folder: one raw, one qcow2. */
export function imagesIn(folder: string): { raw: string; qcow2: string } {
  return { raw: join(folder, "a.img"), qcow2: join(folder, "b.qcow2") };
}

/** The machine whose disks and snapshots are in a folder. */
export function machineIn(
  folder: string,
  options: MachineOptions = {},
): Promise<Machine> {
  const { raw, qcow2 } = imagesIn(folder);
  return Machine.load(MICROVM, {
    kernel: ECHO,
    memory: "2M",
    snapshots: folder,
    drives: [raw, qcow2].map((file) => ({
      file,
      if: "virtio" as const,
      option: "--drive",
    })),
    ...options,
  });
}

/** Its disks. */
export function disksOf(machine: Machine): BootDrive[] {
  return machine.plan.devices
    .filter(({ plugin }) => plugin.name.startsWith("virtio-blk"))
    .map(({ name }) =>
      (machine.device(name) as unknown as BootDrives).bootDrives()[0]
    );
}

/** All of a disk. */
export async function contentsOf(disk: BootDrive): Promise<Uint8Array> {
  return (await disk.read(0, DISK_BYTES / 512)).slice();
}

/** The steps, without end. */
export function* steps(seed: number): Generator<Step> {
  const random = new BlockModel(new Uint8Array(1), seed);
  const there = new Set<string>();
  for (let value = 1;; value++) {
    const what = random.below(10);
    const known = [...there];
    if (what < 5) {
      const sectors = 1 << random.below(7);
      const sector = random.below(DISK_BYTES / 512 - sectors);
      yield { kind: "write", sector, sectors, value: value & 0xff };
    } else if (what < 7 || known.length === 0) {
      const name = `s${random.below(4)}`;
      there.add(name);
      yield { kind: "save", name };
    } else {
      const name = known[random.below(known.length)];
      if (what === 9) there.delete(name);
      yield { kind: what === 9 ? "delete" : "load", name };
    }
  }
}

/** Note in memory what the disks have. */
export function note(machine: Machine, step: number, disk: Uint8Array): void {
  const { u8, guestStart } = machine.memory;
  const view = new DataView(u8.buffer, u8.byteOffset + guestStart + NOTE, 8);
  view.setUint32(0, step);
  view.setUint32(4, crc32(disk));
}

/** What is noted in memory: at which step, and the sum of each disk. */
export function noted(machine: Machine): { step: number; sum: number } {
  const { u8, guestStart } = machine.memory;
  const view = new DataView(u8.buffer, u8.byteOffset + guestStart + NOTE, 8);
  return { step: view.getUint32(0), sum: view.getUint32(4) };
}

/** What the disks and the snapshots are to be. */
export class Expected {
  disk: Uint8Array = new Uint8Array(DISK_BYTES);
  readonly snapshots = new Map<string, { step: number; disk: Uint8Array }>();
  /** Steps that were taken. */
  step = 0;

  /** A step is taken. */
  take(step: Step): void {
    this.step++;
    if (step.kind === "write") {
      const { sector, sectors, value } = step;
      this.disk.fill(value, sector * 512, (sector + sectors) * 512);
      return;
    }
    const { kind, name } = step;
    if (kind === "delete") this.snapshots.delete(name);
    else if (kind === "load") {
      this.disk = this.snapshots.get(name)!.disk.slice();
    } else {
      const disk = this.disk.slice();
      this.snapshots.set(name, { step: this.step, disk });
    }
  }
}
