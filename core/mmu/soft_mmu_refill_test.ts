/** What regions ask for: entries for clusters of accesses, and flat pages. */

import { assertEquals } from "@std/assert";
import { ACCESS_READ, PERM_READ } from "../cpu/frontend.ts";
import {
  FLAT_READ,
  FLAT_WRITE,
  OFF_FLAT_PAGES,
  OFF_FLAT_WINDOW_SIZE,
  type RefillWord,
  refillWord,
} from "../exec/layout.ts";
import { A, B, PAGE, RAM_PAGES, Subject } from "./testing.ts";

Deno.test("softMMU: translations of code without paging enter flat pages, but for what A20 masks", () => {
  const s = new Subject();
  const at = (page: number): number =>
    s.memory.u8[s.mmu.base + OFF_FLAT_PAGES + page];
  s.map(0x1000, 1);
  s.map(0x2000, 2);
  s.mmu.read8(0x1000, 0);
  assertEquals(at(1), 0, "with paging");
  s.unpaged = true;
  s.mmu.flush(false);
  s.mmu.read8(0x1000, 0);
  assertEquals(at(1), FLAT_WRITE);
  s.code.add(1);
  s.mmu.protect(1);
  assertEquals(at(1), FLAT_READ);
  s.mmu.setPhysicalMask(~(1 << 20));
  assertEquals(at(1), 0);
  s.mmu.read8(0x2000, 0);
  assertEquals(at(2), 0);
  s.mmu.setPhysicalMask(-1);
  s.mmu.read8(0x2000, 0);
  assertEquals(at(2), FLAT_WRITE);
  s.mmu.remap();
  s.mmu.read8(0x2000, 0);
  assertEquals(at(2), 0);
  s.mmu.flat.resume();
  s.mmu.flush(false);
  s.mmu.read8(0x2000, 0);
  assertEquals(at(2), FLAT_WRITE);
});

Deno.test("softMMU: an entry is filled for a cluster as its first access would; what one lookup cannot serve is told", () => {
  const s = new Subject();
  const word = (part: Partial<RefillWord>): number =>
    refillWord({
      distance: 0,
      bytes: 4,
      isFirstStore: false,
      isStore: false,
      mmu: 0,
      ...part,
    });
  const read = word({}), both = word({ isStore: true });
  const write = word({ isFirstStore: true, isStore: true });
  assertEquals(s.mmu.refill(A, read), 1);
  s.map(A, 3, PERM_READ);
  assertEquals(s.mmu.refill(A + 8, read), s.ram + 3 * PAGE + 8);
  assertEquals(s.mmu.refill(A, both), 3, "a load before a store that faults");
  assertEquals(s.mmu.refill(A, write), 1);
  s.map(A, 3);
  s.mmu.flush(false);
  s.walked();
  assertEquals(s.mmu.refill(A + 16, both), s.ram + 3 * PAGE + 16);
  assertEquals(s.mmu.refill(A, write), s.ram + 3 * PAGE);
  assertEquals(s.walks.splice(0), [[A + 16, ACCESS_READ]]);
  // To the end of the page, and beyond.
  const long = word({ bytes: 128 });
  const last = s.ram + 4 * PAGE - 128;
  assertEquals(s.mmu.refill(A + PAGE - 128, long), last);
  assertEquals(s.mmu.refill(A + PAGE - 127, long), 3);
  // The first access decides where a fault is.
  s.map(A + PAGE, 4);
  s.map(A + 2 * PAGE, 5);
  const second = word({ bytes: 128, distance: 127 });
  assertEquals(s.mmu.refill(A - 127, second), 3);
  assertEquals(s.mmu.refill(A + 3 * PAGE - 127, second), 1);
  // A page that is the victim of another one comes back without a walk.
  s.map(B, 6);
  assertEquals(s.mmu.refill(B, read), s.ram + 6 * PAGE);
  s.walked();
  assertEquals(s.mmu.refill(A, read), s.ram + 3 * PAGE);
  assertEquals(s.walked(), 0);
  // Those that never will: stores to a page with code, a device.
  s.code.add(3);
  s.mmu.protect(3);
  assertEquals(s.mmu.refill(A, read), s.ram + 3 * PAGE);
  assertEquals(s.mmu.refill(A, write), 4);
  assertEquals(s.mmu.refill(A, both), 4);
  s.map(0x7000, 200);
  assertEquals(s.mmu.refill(0x7000, read), 4);
  assertEquals(s.io, []);
});

Deno.test("softMMU: a cluster that stores to a watched page tells the watch and is served", () => {
  const s = new Subject();
  const write = refillWord({
    distance: 0,
    bytes: 4,
    isFirstStore: true,
    isStore: true,
    mmu: 0,
  });
  s.map(A, 3);
  let changes = 0;
  s.mmu.watchWrites(3 * PAGE, PAGE, () => changes++);
  s.mmu.read8(A, 0);
  assertEquals(s.mmu.refill(A, write), s.ram + 3 * PAGE);
  assertEquals(changes, 1);
});

Deno.test("softMMU: a page that a region asks for gets its permission, and those after it, if it can", () => {
  const s = new Subject();
  const at = (page: number): number =>
    s.memory.u8[s.mmu.base + OFF_FLAT_PAGES + page];
  s.code.add(9);
  assertEquals(s.mmu.allowFlat(5 * PAGE + 8), true);
  assertEquals([at(4), at(5), at(7)], [0, FLAT_WRITE, FLAT_WRITE]);
  assertEquals([at(8), at(9), at(10)], [FLAT_READ, FLAT_READ, FLAT_WRITE]);
  assertEquals(s.mmu.allowFlat(9 * PAGE), false, "no more than it had");
  // The next page, to which an access may go on, is a device's.
  assertEquals(s.mmu.allowFlat((RAM_PAGES - 1) * PAGE), false);
  assertEquals(s.mmu.allowFlat(0xffffffff), false);
  const size = (s.mmu.base + OFF_FLAT_WINDOW_SIZE) >> 2;
  const u32 = new Uint32Array(s.memory.memory.buffer);
  assertEquals(u32[size], (RAM_PAGES - 1) * PAGE);
  // With A20 closed there are none, however they are asked for.
  s.mmu.setPhysicalMask(~(1 << 20));
  assertEquals(s.mmu.allowFlat(5 * PAGE), false);
  s.mmu.openFlat();
  assertEquals([at(5), u32[size]], [0, 0]);
  s.mmu.setPhysicalMask(-1);
  s.mmu.openFlat();
  assertEquals(u32[size], (RAM_PAGES - 1) * PAGE);
});
