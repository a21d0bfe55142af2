/** Stores: beside code and to it, several as one, to watched pages and to ROM. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { GUEST_MODIFIED, PERM_READ } from "../cpu/frontend.ts";
import { CODE_MASKS, OFF_BUDGET } from "../exec/layout.ts";
import { STORE_DONE, STORE_MODIFIES } from "./slow_access.ts";
import {
  A,
  B,
  C,
  HIGH_PAGE,
  markCode,
  PAGE,
  RAM_PAGES,
  Subject,
  subject,
  WAYS,
} from "./testing.ts";

Deno.test("softMMU: stores beside code stay in WebAssembly, those to its granules do not", () => {
  const s = subject();
  s.code.add(1);
  markCode(s, 1, 3); // bytes 192 to 255
  s.store(A, 0);
  s.written.length = 0;
  for (const offset of [0, 191, 256, 4095]) s.store(A + offset, 0x55);
  assertEquals(s.written, []);
  for (const offset of [192, 255]) s.store(A + offset, 0x55);
  assertEquals(s.written, [[PAGE + 192, 1, 5], [PAGE + 255, 1, 5]]);
  assertEquals(
    [191, 192, 255, 256].map((o) => s.byte(1, o)),
    [0x55, 0x55, 0x55, 0x55],
  );
  s.written.length = 0;
  for (const offset of [188, 256, 4092]) s.store(A + offset, 0x77, 0, 4);
  assertEquals(s.written, []);
  for (const offset of [189, 190, 191, 255]) s.store(A + offset, 0x44, 0, 4);
  for (const offset of [177, 180]) s.store(A + offset, offset, 0, 16);
  assertEquals(
    s.written.map(([at]) => at - PAGE),
    [189, 190, 191, 255, 177, 180],
  );
  s.store(A + 192, 0x55);
  // Across two pages each page has its part.
  s.map(A + PAGE, 6);
  s.store(A + PAGE - 3, 0x12, 0, 8);
  assertEquals([s.byte(1, 4092), s.byte(1, 4093)], [0x77, 0x12]);
  assertEquals([s.byte(6, 4), s.byte(6, 5)], [0x12, 0]);
  assertEquals(s.written.slice(-2), [[2 * PAGE - 3, 3, 5], [6 * PAGE, 5, 5]]);
  s.hitsRunning = true;
  assertEquals(s.store(A + 200, 0x66), STORE_MODIFIES);
  assertEquals(s.byte(1, 200), 0x11);
  // What was there before changes nothing.
  assertEquals(s.store(A + 192, 0x55), STORE_DONE);
});

Deno.test("softMMU: the budget that a slow path changed comes back", () => {
  const s = subject();
  const budget = (s.mmu.base + OFF_BUDGET) >> 2;
  s.code.add(1);
  markCode(s, 1, 0);
  s.mmu.connect({
    hasCode: (page) => s.code.has(page),
    written: () => {
      s.memory.i32[budget] = -1; // as `attention` does
      return false;
    },
  }, () => {});
  s.store(A, 1);
  assertEquals(s.budget, -1);
  s.store(B, 1);
  s.store(B, 1);
  assertEquals(s.budget, 78);
});

Deno.test("softMMU: 64 bits are one access, in memory, across pages, of a device and over code", () => {
  const s = new Subject();
  s.map(A, 1);
  s.map(A + PAGE, 5);
  s.map(B, 200);
  const value = Int32Array.of(0x04030201, 0x08070605);
  const got = new Int32Array(2);
  for (const at of [A + 8, A + PAGE - 3, A + PAGE - 8]) {
    s.mmu.write64(at, value, 0);
    s.mmu.read64(at, got, 0);
    assertEquals(got, value);
    for (let i = 0; i < 8; i++) assertEquals(s.mmu.read8(at + i, 0), i + 1);
  }
  // The low half first, as a store of 64 bits has it.
  s.mmu.write64(B + 16, value, 0);
  s.mmu.read64(B + 24, got, 0);
  const device = 200 * PAGE;
  assertEquals(
    s.io,
    [-(device + 16), -(device + 20), device + 24, device + 28],
  );
  assertEquals(got, Int32Array.of(0xff, 0xff));
  // Of what faults, or changes the running code, nothing is written.
  s.map(A + PAGE, 5, PERM_READ);
  s.mmu.flush(false);
  assertThrows(() => s.mmu.write64(A + PAGE - 4, Int32Array.of(-1, -1), 0));
  s.code.add(1);
  s.mmu.protect(1);
  s.hitsRunning = true;
  assertThrows(() => s.mmu.write64(A + 8, Int32Array.of(-1, -1), 0));
  assertEquals(s.mmu.read32(A + PAGE - 4, 0), 0x08070605);
  s.mmu.read64(A + 8, got, 0);
  assertEquals(got, value);
});

Deno.test("softMMU: a run of stores forgets the code that it changes, at once", () => {
  const s = new Subject();
  s.map(A, 1);
  s.map(B, 2, PERM_READ);
  s.map(C, 200);
  const at = s.ram + PAGE + 16;
  assertEquals(s.mmu.directStore(A + 16, 100, 0, -1), at);
  assertEquals(s.written, []);
  s.code.add(1);
  s.mmu.protect(1);
  assertEquals(s.mmu.directStore(A + 16, 100, 0, -1), at);
  assertEquals(s.written.splice(0), [[PAGE + 16, 100, 0]]);
  // What stands there already changes nothing.
  const from = s.ram + 5 * PAGE;
  assertEquals(s.mmu.directStore(A + 16, 100, 0, from), at);
  assertEquals(s.written, []);
  s.memory.u8[from + 99] = 1;
  s.hitsRunning = true;
  let thrown: unknown;
  try {
    s.mmu.directStore(A + 16, 100, 0, from);
  } catch (e) {
    thrown = e;
  }
  assertEquals(thrown, GUEST_MODIFIED);
  assertEquals(s.written.splice(0), [[PAGE + 16, 100, 0]]);
  // Neither memory that may be written.
  assertEquals(s.mmu.directStore(B, 4, 0, -1), -1);
  assertEquals(s.mmu.directStore(C, 4, 0, -1), -1);
  assertEquals(s.mmu.directStore(0, 4, 0, -1), -1);
});

for (const way of WAYS) {
  Deno.test(`softMMU, ${way.name}: the first store to watched pages is told, and no more`, () => {
    const s = new Subject();
    let told = 0;
    const watch = (): void =>
      s.mmu.watchWrites(4 * PAGE, 2 * PAGE, () => told++);
    // The second becomes the first one's victim.
    for (const [linear, page] of [[A, 4], [B, 5], [C, 7]]) {
      s.map(linear, page);
      way.write(s, linear, 1);
    }
    watch();
    way.write(s, C, 2);
    assertEquals([s.byte(7), told], [2, 0], "it is another page");
    way.write(s, A, 3);
    assertEquals([s.byte(4), told], [3, 1]);
    way.write(s, A, 4);
    const slow = s.mmu.slow;
    way.write(s, A, 4);
    way.write(s, A + 8, 5);
    assertEquals([s.byte(4), s.byte(4, 8), told], [4, 5, 1]);
    assertEquals(s.mmu.slow, slow, "at full speed again");
    // Pages that come into the TLB while they are watched.
    watch();
    s.mmu.flush(false);
    way.read(s, B);
    way.write(s, B + 1, 6);
    assertEquals([s.byte(5, 1), told], [6, 2]);
    // A bus master, and pages with code, which stay protected.
    watch();
    s.mmu.noteWrite(5 * PAGE + 9, 1);
    assertEquals(told, 3);
    s.code.add(4);
    s.mmu.protect(4);
    watch();
    s.written.length = 0;
    way.write(s, A, 7);
    assertEquals([s.byte(4), told, s.written.length], [7, 4, 1]);
    way.write(s, A, 8);
    assertEquals([s.byte(4), told, s.written.length], [8, 4, 2]);
    // What regions move to is not known.
    watch();
    s.mmu.remap();
    assertEquals(told, 5);
  });
}

Deno.test("code in RAM from 4 GiB on has an address of 32 bits, and stores find it", () => {
  const s = new Subject(16);
  // Their masks are the same: stores look for that of the physical page.
  const code = CODE_MASKS + 3;
  const page = RAM_PAGES - 16 + 3;
  s.map(A, HIGH_PAGE + 3);
  assertEquals(s.mmu.fetch(A + 5, 0), code * PAGE + 5);
  assertEquals(s.mmu.fetch(A + 5, 0), code * PAGE + 5, "by the TLB");
  assertEquals(s.mmu.peekFetch(A + 5, 0), code * PAGE + 5);
  assertEquals(s.mmu.hostOf(code * PAGE), s.ram + page * PAGE);
  // Stores go straight there until the page has code.
  s.mmu.write8(A, 1, 0);
  s.mmu.write8(A, 2, 0);
  assertEquals(s.written, []);
  s.code.add(code);
  s.mmu.protect(code);
  s.mmu.write8(A + 7, 3, 0);
  assertEquals(s.written, [[code * PAGE + 7, 1, 0]]);
  assertEquals(s.byte(page, 7), 3);
  // What is in the room is known by no such address.
  s.map(B, code);
  assert(s.mmu.fetch(B, 0) > 0xffffffff);
  assertEquals(s.mmu.peekFetch(B, 0), -1);
});

Deno.test("stores to ROM are told to the bus, and change nothing", () => {
  const s = new Subject();
  s.roms.add(0);
  s.map(A, 0);
  s.map(A + PAGE, 1);
  assertEquals(s.mmu.read8(A + 4, 0), 0);
  s.mmu.write8(A + 4, 0x98, 0);
  s.mmu.write32(A + 8, 0x98, 0);
  s.mmu.writePhysical32(16, 0x98);
  assertEquals(s.io, [-4, -8, -16]);
  assertEquals([s.byte(0, 4), s.byte(0, 8), s.byte(0, 16)], [0, 0, 0]);
  // Of a store across its end the rest is memory's.
  s.mmu.write16(A + PAGE - 1, 0x7798, 0);
  assertEquals(s.io.at(-1), -(PAGE - 1));
  assertEquals([s.byte(0, PAGE - 1), s.byte(1)], [0, 0x77]);
});

Deno.test("softMMU: accessed and dirty bits are told where code or a watch is", () => {
  const s = new Subject();
  s.mmu.writePhysical32(2 * PAGE + 8, 0x61);
  assertEquals([s.byte(2, 8), s.written.splice(0)], [0x61, []]);
  markCode(s, 2, 0);
  s.mmu.writePhysical32(2 * PAGE + 8, 0x63);
  assertEquals(s.byte(2, 8), 0x63);
  assertEquals(s.written.splice(0), [[2 * PAGE + 8, 4, 0]]);
  let changes = 0;
  s.mmu.watchWrites(3 * PAGE, PAGE, () => changes++);
  s.mmu.writePhysical32(4 * PAGE, 0x67);
  assertEquals(changes, 0);
  s.mmu.writePhysical32(3 * PAGE + 4, 0x67);
  assertEquals([changes, s.byte(3, 4)], [1, 0x67]);
});
