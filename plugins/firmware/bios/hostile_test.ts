/** Services with any registers: no throw, no hang, nothing beyond the medium. */

import { cpuUsage } from "node:process";
import { assert, assertEquals } from "@std/assert";
import { BlockError } from "../../../core/backend/block.ts";
import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import type { DevicePlugin } from "../../../core/machine/plugin.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { FRAME_BYTES } from "./frame.ts";
import { TRAP_FRAME } from "./layout.ts";
import { SERVICES } from "./rom.ts";
import { builtinBios } from "./testing.ts";
import { randomBelow } from "../../../tests/random.ts";

const RAM = 2 << 20;
/** A service that takes so many milliseconds of the CPU hangs the guest. */
const HANG_MS = 1000;
const FRAME = 0x8000;
const SERVICE_NUMBERS: readonly number[] = [...SERVICES, 0x18, 0x19, 0xff];

/** A drive that checks what it is asked, and fails now and then. */
function checkedDrive(
  kind: BootDrive["kind"],
  below: (limit: number) => number,
): BootDrive {
  const sectorSize = kind === "cdrom" ? 2048 : 512;
  const sectors = kind === "floppy" ? 2880 : 10_000;
  const check = (sector: number, count: number): void => {
    const inside = Number.isInteger(sector) && sector >= 0 && count > 0 &&
      sector + count <= sectors;
    // The drive refuses it, and the BIOS tells the guest.
    if (!inside) throw new BlockError("range", `${sector}+${count}`);
    if (below(20) === 0) throw new BlockError("io", "it fails");
  };
  return {
    name: kind,
    kind,
    sectorSize,
    removable: kind !== "disk",
    sectors,
    readOnly: kind === "cdrom",
    read: (sector, count) =>
      Promise.resolve().then(() => {
        check(sector, count);
        return Uint8Array.from(
          { length: count * sectorSize },
          () => below(256),
        );
      }),
    write: (sector, bytes) =>
      Promise.resolve().then(() => {
        assertEquals(bytes.length % sectorSize, 0);
        check(sector, bytes.length / sectorSize);
      }),
  };
}

Deno.test("bios: services with any registers neither throw nor hang", async () => {
  let [waited, done] = [0, 0];
  for (let seed = 1; seed <= 15; seed++) {
    const below = randomBelow(seed);
    const drives = (["disk", "cdrom", "floppy"] as const).map((kind) =>
      checkedDrive(kind, below)
    );
    const plugin: DevicePlugin = builtinBios;
    const bench = await DeviceBench.create(plugin, {
      ram: RAM,
      providers: { "boot-drives": [{ bootDrives: () => drives }] },
    });
    bench.device.reset();
    for (let i = 0; i < 64; i++) bench.ram[0x400 + i] = below(256);
    for (let step = 0; step < 250; step++) {
      const frame = FRAME + 64 * below(4);
      const again = below(2) === 0 && bench.ram[frame + 37] > 0;
      if (!again) {
        for (let i = 0; i < FRAME_BYTES; i++) bench.ram[frame + i] = below(256);
        bench.ram[frame + 36] = SERVICE_NUMBERS[below(SERVICE_NUMBERS.length)];
        bench.ram[frame + 37] = below(3);
        // AH: a function that there may be.
        if (below(2) === 0) bench.ram[frame + 33] = below(0x1d);
        if (below(8) === 0) bench.ram[frame + 33] = 0x41 + below(14);
        // VBE and the pointing device, with functions that there may be.
        if (below(8) === 0) {
          bench.ram[frame + 33] = [0x4f, 0xc2][below(2)];
          bench.ram[frame + 32] = below(0x18);
        }
        // DL: one of the drives.
        bench.ram[frame + 24] = [0x00, 0x80, 0xe0, below(256)][below(4)];
      }
      const start = cpuUsage();
      bench.write("trap", TRAP_FRAME, frame / 16 << 16, 4);
      const status = bench.read("trap", TRAP_FRAME);
      const { user, system } = cpuUsage(start);
      assert((user + system) / 1000 < HANG_MS);
      if (status === 0) done++;
      else waited++;
      if (below(4) === 0) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      if (below(10) === 0) bench.advance(below(2_000_000_000));
    }
    const saved = bench.save();
    bench.device.load(saved);
    assertEquals(bench.save(), saved);
  }
  assert(waited > 100 && done > 500, `${waited} ${done}`);
});

Deno.test("bios: a string that scrolls the greatest screen is written in parts", async () => {
  let moved = 0;
  const counted: DevicePlugin = {
    ...builtinBios,
    create: (config, context) =>
      builtinBios.create(config, {
        ...context,
        dma: {
          read(address, into) {
            moved += into.length;
            context.dma.read(address, into);
          },
          write(address, bytes) {
            moved += bytes.length;
            context.dma.write(address, bytes);
          },
        },
      }),
  };
  const bench = await DeviceBench.create(counted, { ram: RAM });
  bench.device.reset();
  const { ram } = bench;
  // The data area: mode 3, 255 columns, 256 rows, the cursor in the last one.
  ram.set([3, 255, 0], 0x449);
  ram[0x484] = 255;
  ram[0x451] = 255;
  const LINES = 100;
  ram.fill(10, 0x20000, 0x20000 + LINES);
  // INT 10h, AX = 1301h, CX: how many, DX: where, ES:0: the string.
  const view = new DataView(ram.buffer);
  view.setUint16(FRAME, 0x2000, true);
  view.setUint16(FRAME + 24, 0xff00, true);
  view.setUint16(FRAME + 28, LINES, true);
  view.setUint16(FRAME + 32, 0x1301, true);
  ram[FRAME + 36] = 0x10;
  let calls = 0;
  for (let status = -1; status !== 0; calls++) {
    moved = 0;
    bench.write("trap", TRAP_FRAME, FRAME / 16 << 16, 4);
    status = bench.read("trap", TRAP_FRAME);
    // Twice the screen.
    assert(moved < 2 * 2 * 255 * 256 + 4096, `${moved} bytes in one call`);
  }
  assertEquals(calls, LINES);
});
