/** What the devices of a board tell of, to a guest that uses some of them. */

import { assert, assertEquals } from "@std/assert";
import type { WatchedAccess } from "../../core/debug/events.ts";
import type { ToldEvent } from "../../core/machine/device_events.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import vga from "../../plugins/device/display/vga.ts";
import i8042, { type I8042 } from "../../plugins/device/input/i8042.ts";
import { guest, load } from "./guest.ts";

/** Reads a sector by the bus master, asks fw_cfg by DMA, and touches other devices. */
const BOARD = `
%macro outb 2
  mov edx, %1
  mov al, %2
  out dx, al
%endmacro
%macro outd 2
  mov edx, %1
  mov eax, %2
  out dx, eax
%endmacro
start:
  mov esp, 0x200000
  ; The IDE function: its bus master at C000h, ports and mastering on.
  outd 0xcf8, 0x80000920
  outd 0xcfc, 0xc001
  outd 0xcf8, 0x80000904
  outd 0xcfc, 5
  ; A table of one entry: a sector to 191000h.
  mov dword [0x190000], 0x191000
  mov dword [0x190004], 0x80000200
  outd 0xc004, 0x190000
  outb 0x1f6, 0xe0
  outb 0x1f2, 1
  outb 0x1f3, 7
  outb 0x1f4, 0
  outb 0x1f5, 0
  outb 0x1f7, 0xc8
  outb 0xc000, 9
busy:
  mov edx, 0xc002
  in al, dx
  test al, 4
  jz busy
  ; fw_cfg: the signature, by DMA: control (select item 0, read), length, address.
  mov dword [0x192000], 0x0a000000
  mov dword [0x192004], 0x04000000
  mov dword [0x192008], 0
  mov dword [0x19200c], 0x00301900
  outd 0x518, 0x00201900
  ; The PIT's counter 2, a byte on the serial port, a mode of the VBE.
  outb 0x43, 0xb6
  outb 0x42, 0x34
  outb 0x42, 0x12
  outb 0x3f8, 'x'
  outd 0xcf8, 0x80001010
  xor eax, eax
  out 0xf4, al
  hlt
`;

const made = await guest(BOARD);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

Deno.test(`the devices of a board tell what they do${skipped}`, async () => {
  if (made === undefined) return;
  const disk = await Deno.makeTempFile({ suffix: ".img" });
  const sectors = new Uint8Array(1 << 20).map((_, i) => i >> 9);
  await Deno.writeFile(disk, sectors);
  try {
    const options = {
      definition: "pc.json",
      memory: "32M",
      drives: [{ file: disk, format: "raw" }],
    };
    const plain = await load(made, options);
    const result = await plain.run();
    await plain.stop();
    await using machine = await load(made, options);
    const told: ToldEvent[] = [];
    await machine.on("device", (event) => void told.push(event));
    const watched: WatchedAccess[] = [];
    await machine.watch(
      { address: 0x191100, size: 4, access: "write", space: "physical" },
      (access) => void watched.push(access),
    );
    assertEquals(await machine.run(), result);
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
    const events = told.map(({ device, event, data }) => [device, event, data]);
    const sector = { address: 0x191000, size: 512, write: true };
    assertEquals(events, [
      ["ide", "config", { offset: 0x20, width: 4, value: 0xc001 }],
      ["ide", "map", { region: "busmaster", address: 0xc000 }],
      ["ide", "config", { offset: 4, width: 4, value: 5 }],
      ["ide", "command", { channel: 0, drive: 0, command: 0xc8 }],
      ["ide", "disk", {
        backend: "disk0",
        request: "read",
        offset: 7 * 512,
        size: 512,
      }],
      ["ide", "dma", { address: 0x190000, size: 8, write: false }],
      ["ide", "dma", sector],
      ["ide", "line", { output: "irq0", level: true }],
      ["pic", "line", { output: "irq14", level: true }],
      ["fwcfg", "dma", { address: 0x192000, size: 16, write: false }],
      ["fwcfg", "dma", { address: 0x193000, size: 4, write: true }],
      ["fwcfg", "dma", { address: 0x192000, size: 4, write: true }],
      ["pit", "program", { counter: 2, mode: 3, reload: 0x1234 }],
      ["com1", "bytes", {
        backend: "char",
        sent: true,
        bytes: new TextEncoder().encode("x"),
      }],
    ]);
    assert(told.every(({ time }, i) => i === 0 || time >= told[i - 1].time));
    assertEquals(watched, [{
      cpu: undefined,
      pc: undefined,
      device: "ide",
      address: 0x191100,
      size: 4,
      access: "write",
    }]);
  } finally {
    await Deno.remove(disk);
    await made.remove();
  }
});

Deno.test("a VGA tells of its modes", async () => {
  const bench = await DeviceBench.create(vga);
  bench.hears = true;
  const dispi = (index: number, value: number): void => {
    bench.write("dispi", 0, index, 2);
    bench.write("dispi", 1, value, 2);
  };
  dispi(1, 800);
  dispi(2, 600);
  dispi(3, 32);
  dispi(4, 1);
  assertEquals(bench.events, [
    {
      event: "mode",
      data: { content: "text", width: 720, height: 400, depth: 0 },
    },
    {
      event: "mode",
      data: { content: "vbe", width: 800, height: 600, depth: 32 },
    },
  ]);
});

Deno.test("a keyboard controller tells of the bytes that the guest can read", async () => {
  const bench = await DeviceBench.create<I8042>(i8042);
  bench.hears = true;
  const keys = [0x1c, 0xf0, 0x1c], moves = [8, 1];
  const from = (queue: number[]) => ({
    receive: () => {},
    take: () => queue.shift() ?? -1,
  });
  const keyboard = bench.device.attach("keyboard", from(keys));
  const mouse = bench.device.attach("auxiliary", from(moves));
  bench.write("command", 0, 0x60);
  bench.write("data", 0, 0x40);
  bench.write("command", 0, 0x20);
  keyboard.notify();
  mouse.notify();
  for (let i = 0; i < 6; i++) bench.read("data", 0);
  assertEquals(bench.events.map(({ data }) => data), [
    { byte: 0x1e, auxiliary: false },
    { byte: 0x9e, auxiliary: false },
    { byte: 8, auxiliary: true },
    { byte: 1, auxiliary: true },
  ]);
});
