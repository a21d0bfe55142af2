/**
 * The machines of `machines/` with all that can be attached to them.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { Machine, type MachineOptions } from "../../mod.ts";

const MACHINES = fromFileUrl(new URL("../../machines", import.meta.url));
/** Networks of a process are all machines' that name them. */
let networks = 0;

/** Networks of its own for a machine that is restored. */
export function otherNetworks(cards: number): string[] {
  return Array.from(
    { length: cards },
    (_, i) => `backends.net${i}.config.id=snapshot-${networks++}`,
  );
}

/** The machines, by name. */
export const EVERYTHING: Readonly<
  Record<string, { readonly cards: readonly string[] }>
> = {
  pc: { cards: ["e1000", "virtio", "ne2k_pci", "e1000"] },
  "pc-vga": { cards: ["virtio", "ne2k_pci", "e1000", "virtio"] },
  isapc: { cards: ["ne2k_isa", "ne2k_isa", "ne2k_isa"] },
  microvm: { cards: ["virtio", "virtio"] },
};

/** A machine with everything, whose disks are in a folder. */
export async function everything(
  kind: string,
  folder: string,
  options: MachineOptions = {},
): Promise<Machine> {
  const file = async (name: string, bytes: number): Promise<string> => {
    const path = join(folder, name);
    const content = new Uint8Array(bytes);
    for (let i = 0; i < bytes; i++) content[i] = i * 7 + (i >> 9);
    // No partition table, and nothing to start.
    content[510] = 0;
    await Deno.writeFile(path, content);
    return path;
  };
  const disk = async (name: string, of: string) => ({
    file: await file(name, 1 << 20),
    format: "raw",
    snapshot: true,
    if: of,
  });
  const floppy = {
    file: await file("floppy.img", 1474560),
    format: "raw",
    snapshot: true,
    if: "floppy",
  };
  const disc = {
    file: await file("disc.iso", 1 << 20),
    format: "raw",
    if: "ide",
    media: "cdrom" as const,
    index: 2,
  };
  const nics = EVERYTHING[kind].cards.map((model, i) => ({
    network: "hub",
    model,
    config: { id: `snapshot-${networks++}` },
    mac: `52:54:00:00:00:0${i}`,
  }));
  const common: MachineOptions = { icount: true, nics, snapshots: folder };
  const isa = [await disk("a.img", "ide"), disc, floppy];
  switch (kind) {
    case "microvm":
      return await Machine.load(join(MACHINES, "microvm.json"), {
        ...common,
        kernel: fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url)),
        memory: "8M",
        drives: [await disk("a.img", "virtio"), await disk("b.img", "virtio")],
        ...options,
      });
    case "isapc":
      return await Machine.load(join(MACHINES, "isapc.json"), {
        ...common,
        memory: "8M",
        drives: isa,
        serial: ["memory", "memory"],
        ...options,
      });
  }
  const set = kind === "pc-vga"
    ? [
      'devices.vga={"plugin":"vga-pci","config":{"slot":2},"use":{"bus":"pci"}}',
      "devices.fwcfg.config.vga=pci",
    ]
    : [];
  return await Machine.load(join(MACHINES, "pc.json"), {
    ...common,
    memory: "8M",
    cpu: "max",
    smp: 3,
    serial: ["memory", "memory"],
    drives: [
      ...isa,
      await disk("b.img", "virtio"),
      await disk("c.img", "virtio"),
    ],
    set,
    ...options,
  });
}
