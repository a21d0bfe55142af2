/** Pages of devices, and those on which nothing answers. */

import { assertEquals } from "@std/assert";
import { PERM_READ, PERM_WRITE } from "../cpu/frontend.ts";
import { STORE_DONE, STORE_FAULT } from "./slow_access.ts";
import {
  A,
  B,
  NOTHING,
  PAGE,
  RAM_PAGES,
  Subject,
  subject,
  WAYS,
} from "./testing.ts";

for (const way of WAYS) {
  Deno.test(`softMMU, ${way.name}: a device's page is walked once for reads and once for writes, until a flush`, () => {
    const s = subject();
    const D = 0x7000;
    s.map(D, 200);
    const use = (): number => {
      way.read(s, D + 1);
      way.read(s, D + 2);
      way.write(s, D + 3, 0x55);
      way.write(s, D + 4, 0x55);
      return s.walked();
    };
    const seen = (page: number): number[] =>
      [1, 2, -3, -4].map((n) => n + Math.sign(n) * page * PAGE);
    assertEquals(use(), 2);
    assertEquals(s.io.splice(0), seen(200));
    assertEquals(use(), 0);
    assertEquals(s.io.splice(0), seen(200));
    s.map(D, 201);
    s.mmu.flushPage(D);
    assertEquals(use(), 2);
    assertEquals(s.io.splice(0), seen(201));
    s.map(D, 202);
    s.mmu.flush(true);
    assertEquals(use(), 2);
    assertEquals(s.io.splice(0), seen(202));
    // The other TLB has its own permissions.
    assertEquals(s.load(D, 1), 0xff);
    assertEquals(s.walked(), 1);
    // A page that may only be read now faults for a store.
    s.map(D, 203, PERM_READ);
    s.mmu.flush(false);
    assertEquals(s.store(D, 1), STORE_FAULT);
    assertEquals(s.load(D), 0xff);
    assertEquals(s.store(D, 1), STORE_FAULT);
  });
}

for (const way of WAYS) {
  Deno.test(`softMMU, ${way.name}: a page on which nothing answers is read as ones without the bus, and written by it`, () => {
    const s = new Subject();
    s.map(A, NOTHING);
    s.map(B, NOTHING + 1, PERM_WRITE);
    assertEquals(way.read(s, A + 5), 0xff);
    assertEquals(way.read(s, A + 4095), 0xff);
    assertEquals(s.walked(), 1);
    assertEquals(s.io, []);
    way.write(s, A + 6, 1);
    assertEquals(s.io.splice(0), [-(NOTHING * PAGE + 6)]);
    assertEquals(way.read(s, A + 6), 0xff);
    assertEquals(s.io, []);
    // It is no memory to fetch from, and permissions hold.
    s.mmu.fetch(A, 0);
    assertEquals(s.mmu.fetchHost, -1);
    s.walked();
    way.write(s, B, 1);
    assertEquals(s.io.splice(0), [-(NOTHING + 1) * PAGE]);
    assertEquals(s.mmu.slowLoad(B, 1, 0), 0);
    // Something is mapped there.
    s.map(A, 3);
    s.mmu.remap();
    s.memory.u8[s.ram + 3 * PAGE + 5] = 7;
    assertEquals(way.read(s, A + 5), 7);
  });
}

Deno.test("a device's page that is accessed conditionally is walked for afterwards", () => {
  const s = subject();
  s.map(A, RAM_PAGES);
  s.mmu.noteConditional(A);
  s.load(A);
  s.store(A, 1);
  s.load(A);
  assertEquals(s.walked(), 2);
  s.mmu.endConditional();
  s.load(A);
  s.store(A, 1);
  assertEquals(s.walked(), 2);
});

Deno.test("an access to a device that is deferred is not done, also where memory comes first", () => {
  const s = subject();
  const D = A + PAGE;
  s.map(D, RAM_PAGES);
  const use = (): number[] => [
    s.load(D),
    s.store(D, 1),
    s.mmu.slowLoad(D - 2, 4, 0),
    s.store(D - 2, 0x55, 0, 4),
  ];
  const deferred = [-1, STORE_FAULT, 0, STORE_FAULT];
  s.mmu.defers = () => true;
  assertEquals(use(), deferred);
  // The second time the device's page is known.
  assertEquals(use(), deferred);
  assertEquals(s.io, []);
  assertEquals(s.byte(1, PAGE - 1), 0x11);
  s.mmu.defers = () => false;
  assertEquals(use().slice(0, 2), [0xff, STORE_DONE]);
  assertEquals(s.byte(1, PAGE - 1), 0x55);
  assertEquals(s.io.length > 2, true);
});
