/** Guests that do anything: no throw, no hang, and nothing outside the image. */

import { assertEquals } from "@std/assert";
import {
  FakeBlock,
  IdeBench,
  settled,
} from "../../../tests/devices/ide_bench.ts";
import { randomBelow } from "../../../tests/random.ts";

/** Commands with data and with effects, more likely than others. */
const COMMANDS = [
  ...[0x20, 0x24, 0x29, 0x30, 0x34, 0x39, 0x40, 0x42, 0x70, 0x90, 0x91, 0xa0],
  ...[0xa1, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe5, 0xe7, 0xec, 0xef, 0xf8, 0x08],
];
const PACKETS = [
  ...[0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43, 0x46, 0x4a, 0x51],
  ...[0x5a, 0xa8, 0xbd, 0xbe],
];

Deno.test("ide: random registers, commands and packets", async () => {
  let [finished, refused] = [0, 0];
  for (let seed = 1; seed <= 30; seed++) {
    const below = randomBelow(seed);
    const disk = new FakeBlock(1 << 18);
    const disc = new FakeBlock(1 << 18);
    const ide = await IdeBench.create({ disk0: disk, disk1: disc }, {
      disk1: { kind: "cdrom" },
    });
    for (let step = 0; step < 300; step++) {
      // A driver's registers, mostly small addresses, now and then anything.
      const any = below(4) === 0;
      for (let register = 1; register < 6; register++) {
        ide.out(register, below(any ? 256 : register < 4 ? 32 : 2));
      }
      ide.out(6, below(256));
      disk.failing = below(50) === 0 ? "write" : "";
      disc.failing = below(50) === 0 ? "read" : "";
      const code = below(8) === 0 ? below(256) : COMMANDS[below(24)];
      await ide.command(code);
      if (code === 0xa0 && below(10) !== 0) {
        const packet = Uint8Array.from(
          { length: 12 },
          () => below(any ? 256 : 3),
        );
        packet[0] = PACKETS[below(PACKETS.length)];
        await ide.put(packet);
      }
      const words = below(3) === 0 ? below(600) : 0;
      for (let i = 0; i < words; i++) ide.bench.read("command", 0, 2);
      await ide.put(new Uint8Array(4 * below(300)), below(2) === 0 ? 2 : 4);
      if (below(20) === 0) ide.control(below(8));
      const status = ide.in(7);
      if ((status & 0x81) === 0) finished++;
      if ((status & 0x81) === 1) refused++;
    }
    // A reset brings it back, whatever has happened.
    ide.control(4);
    ide.control(0);
    await settled();
    assertEquals(ide.in(7), 0x50, `seed ${seed}`);
    await ide.command(0xec, { 6: 0xa0 });
    assertEquals(ide.in(7), 0x58, `seed ${seed}`);
  }
  // It was about commands that do something, too.
  assertEquals([finished > 1000, refused > 1000], [true, true]);
});
