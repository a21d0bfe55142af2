/** A caller that waits for a disk: woken by IRQ 14, also after a load. */

import { assertEquals } from "@std/assert";
import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { Frame, Status } from "./frame.ts";
import { TRAP_FRAME } from "./layout.ts";
import { builtinBios } from "./testing.ts";

const FRAME = 0x8000;
const BUFFER = 0x1000;

/** A disk whose reads wait for `release`. */
class SlowDisk implements BootDrive {
  readonly name = "slow";
  readonly kind = "disk";
  readonly sectorSize = 512;
  readonly removable = false;
  readonly sectors = 1008;
  readonly geometry = { cylinders: 1, heads: 16, sectors: 63 };
  readonly readOnly = true;
  release: () => void = () => {};
  fails = false;

  async read(sector: number, count: number): Promise<Uint8Array> {
    await new Promise<void>((resolve) => this.release = resolve);
    if (this.fails) throw new Error("it fails");
    return new Uint8Array(count * 512).fill(sector);
  }

  write(): Promise<void> {
    return Promise.reject(new Error("it is read-only"));
  }
}

async function made(disk: SlowDisk): Promise<DeviceBench> {
  const bench = await DeviceBench.create(builtinBios, {
    providers: { "boot-drives": [{ bootDrives: () => [disk] }] },
  });
  bench.device.reset();
  return bench;
}

/** Put a call into memory: read two sectors from the fifth on. */
function call(bench: DeviceBench): void {
  const frame = new Frame();
  frame.vector = 0x13;
  frame.ax = 0x0202;
  frame.cx = 0x0005;
  frame.dx = 0x0080;
  frame.bx = BUFFER;
  bench.ram.set(frame.bytes, FRAME);
}

/** Ask as the ROM does: gives what it does next. */
function ask(bench: DeviceBench): number {
  bench.write("trap", TRAP_FRAME, FRAME / 16 << 16, 4);
  return bench.read("trap", TRAP_FRAME);
}

/** AX and the carry flag of the caller. */
function result(bench: DeviceBench): [ax: number, carry: boolean] {
  const frame = new Frame();
  frame.bytes.set(bench.ram.subarray(FRAME, FRAME + frame.bytes.length));
  return [frame.ax, frame.carry];
}

const settled = (): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, 0));

// With no interrupt controllers all ones say that interrupts are served.
const WAITING = Status.SPIN;

Deno.test("bios: a caller waits for a disk and is woken", async () => {
  const disk = new SlowDisk();
  const bench = await made(disk);
  call(bench);
  assertEquals([ask(bench), bench.level("irq")], [WAITING, false]);
  await settled();
  assertEquals([ask(bench), bench.level("irq")], [WAITING, false]);
  disk.release();
  await settled();
  assertEquals(bench.level("irq"), true);
  assertEquals(ask(bench), Status.DONE);
  assertEquals(result(bench), [0x0002, false]);
  assertEquals(
    bench.ram.slice(BUFFER, BUFFER + 1024).every((b) => b === 4),
    true,
  );
});

Deno.test("bios: a failure is a status", async () => {
  const disk = new SlowDisk();
  disk.fails = true;
  const bench = await made(disk);
  call(bench);
  ask(bench);
  await settled();
  disk.release();
  await settled();
  assertEquals(ask(bench), Status.DONE);
  assertEquals(result(bench), [0x2000, true]);
});

Deno.test("bios: a loaded machine asks the disk again", async () => {
  const first = await made(new SlowDisk());
  call(first);
  ask(first);
  await settled();
  const disk = new SlowDisk();
  const second = await made(disk);
  second.ram.set(first.ram);
  second.device.load(first.save());
  await settled();
  assertEquals(ask(second), WAITING);
  disk.release();
  await settled();
  assertEquals(second.level("irq"), true);
  assertEquals(ask(second), Status.DONE);
  assertEquals(result(second), [0x0002, false]);
  assertEquals(second.ram[BUFFER], 4);
});

Deno.test("bios: after a reset nobody waits", async () => {
  const disk = new SlowDisk();
  const bench = await made(disk);
  call(bench);
  ask(bench);
  await settled();
  bench.device.reset();
  disk.release();
  await settled();
  assertEquals(bench.level("irq"), false);
  assertEquals(bench.ram[BUFFER], 0);
});
