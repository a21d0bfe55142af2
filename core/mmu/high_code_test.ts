import { assertEquals } from "@std/assert";
import { HighCode } from "./high_code.ts";

const GIB = 2 ** 30;
const runs = (...all: [number, number][]) => ({
  ramRuns: () =>
    all.map(([base, size]) => ({ page: base / 4096, pages: size / 4096 })),
});

Deno.test("without RAM from 4 GiB on, code addresses are physical ones", () => {
  const high = new HighCode(runs([0, 0xa0000], [0x100000, GIB]));
  for (const address of [0, 0x1234, 2 * GIB, 0xffffffff, 2 ** 32 + 5]) {
    assertEquals(high.code(address), address);
    assertEquals(high.physical(address), address);
  }
});

Deno.test("RAM from 4 GiB on has code addresses that nothing else has", () => {
  const size = 0x30000000;
  const high = new HighCode(
    runs([0, 0xa0000], [0x100000, 3 * GIB - 0x100000], [4 * GIB, size]),
  );
  const seen = new Set<number>();
  const all = [
    ...[0, 0x12345, 3 * GIB - 1],
    ...[3 * GIB, 3 * GIB + size - 1, 3 * GIB + size, 2 ** 32 - 1],
    ...[4 * GIB, 4 * GIB + size - 1, 4 * GIB + size, 2 ** 39],
  ];
  for (const physical of all) {
    const code = high.code(physical);
    seen.add(code);
    assertEquals(high.physical(code), physical);
    assertEquals(
      high.physicalPage(high.codePage(Math.floor(physical / 4096))),
      Math.floor(physical / 4096),
    );
    // The block cache takes RAM and ROM, and no frame buffer in the room.
    const isRoom = physical >= 3 * GIB && physical < 3 * GIB + size;
    const isBeyond = physical >= 4 * GIB + size;
    assertEquals(code < 2 ** 32, !isRoom && !isBeyond, physical.toString(16));
  }
  assertEquals(seen.size, all.length);
  assertEquals(high.code(4 * GIB + 0x5678), 3 * GIB + 0x5678);
});

Deno.test("what does not fit in the room stays where it is", () => {
  const high = new HighCode(runs([0, 3.5 * GIB], [4 * GIB, GIB]));
  const room = 0xfec00000 - 3.5 * GIB;
  assertEquals(high.code(4 * GIB + room - 1), 0xfebfffff);
  assertEquals(high.code(4 * GIB + room), 4 * GIB + room);
  assertEquals(high.physical(4 * GIB + room), 4 * GIB + room);
});
