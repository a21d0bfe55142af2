/** Guests that do anything: no throw, no hang, nothing outside the image. */

import { assert, assertEquals } from "@std/assert";
import {
  DMA_ADDRESS,
  FLOPPY_BYTES,
  FloppyBench,
} from "../../../tests/devices/floppy_bench.ts";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";
import { randomBelow } from "../../../tests/random.ts";
import { commandOf } from "./commands.ts";

/** Commands with data, more likely than others. */
const COMMANDS = [
  ...[0xc6, 0x46, 0xc5, 0x45, 0x42, 0x4a, 0x4d, 0x4c, 0x6c, 0x49, 0xd6, 0x56],
  ...[0x0f, 0x07, 0x08, 0xcf, 0x8f, 0x13, 0x03, 0x04],
];
/** MSR after any access: these bits go together. */
const MSR_SEEN = new Set([0x00, 0x10, 0x80, 0x90, 0xd0, 0xb0, 0xf0]);

Deno.test("82077: random commands, registers and DMA", async () => {
  let [finished, refused, bytesByHand] = [0, 0, 0];
  for (let seed = 1; seed <= 30; seed++) {
    const below = randomBelow(seed);
    const images = [
      new FakeBlock(FLOPPY_BYTES),
      new FakeBlock(360 * 1024, seed % 3 === 0),
    ];
    const fdc = await FloppyBench.create({
      drive0: images[0],
      drive1: images[1],
    }, { drive1: { type: "1.2M" } });
    await fdc.start();
    const outside = fdc.dma.ram.slice(0, DMA_ADDRESS);
    for (let step = 0; step < 150; step++) {
      const any = below(4) === 0;
      const code = any ? below(256) : COMMANDS[below(COMMANDS.length)];
      const length = commandOf(code)?.length ?? 1;
      const head = below(2);
      const sensible = [head << 2, below(4), head, below(18) + 1, 2, 18, 0, 3];
      const parameters = Array.from(
        { length: length - 1 },
        (_, i) => below(12) === 0 ? below(256) : sensible[i],
      );
      // Implied seeks, mostly.
      if (step % 10 === 0) await fdc.command(0x13, 0, 0x40, 0);
      fdc.program(
        below(8) === 0 ? 0x40 : 0x44 | below(2) << 2,
        below(40_000) + 1,
      );
      if (below(8) === 0) fdc.dma.write("dma1", 10, 6);
      images[0].failing = below(40) === 0 ? "write" : "";
      images[1].failing = below(40) === 0 ? "read" : "";
      fdc.send(code, ...parameters);
      if (below(3) === 0) await settled();
      else await fdc.wait();
      const noise = below(6);
      if (noise === 0) fdc.out(below(6), below(256));
      if (noise === 1) fdc.bench.write("control", 0, below(4));
      if (noise === 2) fdc.bench.read("registers", below(6), 4);
      // By hand, in either direction, as far as it goes.
      for (let i = below(700); i > 0 && (fdc.msr & 0xb0) === 0xb0; i--) {
        if ((fdc.msr & 0x40) !== 0) fdc.in(5);
        else fdc.out(5, below(256));
        bytesByHand++;
      }
      assert(MSR_SEEN.has(fdc.msr & 0xf0), `${fdc.msr}`);
      const result = fdc.result();
      assert(result.length <= 10, `${result}`);
      if (result.length === 7) {
        if ((result[0] & 0xc0) === 0) finished++;
        else refused++;
      }
      if (below(30) === 0) fdc.insert(below(2), undefined);
      if (below(10) === 0) {
        fdc.insert(0, images[0]);
        fdc.insert(1, images[1]);
      }
      if (below(5) === 0) await fdc.start();
    }
    // Requests are within the image, in whole sectors.
    for (const image of images) {
      for (const line of image.log) {
        const [, offset, length] = /(\d+)\+(\d+)$/.exec(line) ?? [0, 0, 0];
        assertEquals([Number(offset) % 512, Number(length) % 512], [0, 0]);
        assert(Number(offset) + Number(length) <= image.size, line);
      }
    }
    assertEquals(fdc.dma.ram.slice(0, DMA_ADDRESS), outside);
    // A reset brings it back, whatever has happened.
    images[0].failing = "";
    fdc.insert(0, images[0]);
    fdc.out(2, 0);
    await fdc.start();
    await fdc.seek(0x07, 0);
    await fdc.seek(0x07, 0);
    fdc.program(0x44, 512);
    const result = await fdc.command(0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    assertEquals(result, [0, 0, 0, 0, 0, 2, 2], `seed ${seed}`);
    assertEquals(fdc.memory(512), images[0].bytes.slice(0, 512));
  }
  // It was about commands that do something, too.
  assert(finished > 200 && refused > 200, `${finished} ${refused}`);
  assert(bytesByHand > 1000, `${bytesByHand}`);
});
