import { assertEquals } from "@std/assert";
import { FLAT_READ, FLAT_WRITE, OFF_FLAT_PAGES } from "../exec/layout.ts";
import { FlatPages } from "./flat_pages.ts";

const PAGE = 4096;
const BASE = 64;

/** RAM on pages 0 to 9 but 4 (device) and 6 (ROM elsewhere in the host's memory); 8 is write-protected. */
class Subject {
  readonly u8 = new Uint8Array(BASE + OFF_FLAT_PAGES + (1 << 20));
  readonly code = new Set<number>();
  ram = 0x70000;
  readonly pages = new FlatPages(this.u8, BASE, {
    lookupPage: (page) => {
      if (page >= 10 || page === 4) {
        return { kind: "io", hostOffset: 0, writable: false };
      }
      if (page === 6) {
        return { kind: "rom", hostOffset: 0x1000, writable: false };
      }
      const hostOffset = this.ram + page * PAGE;
      return { kind: "ram", hostOffset, writable: page !== 8 };
    },
    hasCode: (page) => this.code.has(page),
  });

  of(page: number): number {
    this.pages.enter(page);
    return this.u8[BASE + OFF_FLAT_PAGES + page];
  }
}

Deno.test("flat pages: what may be done with a page and the next one", () => {
  const s = new Subject();
  assertEquals(s.pages.delta, 0x70000);
  assertEquals(s.of(0), FLAT_WRITE);
  assertEquals(s.of(3), 0, "a device follows");
  assertEquals(s.of(4), 0, "a device");
  assertEquals(s.of(5), 0, "memory at another distance follows");
  assertEquals(s.of(6), 0, "memory at another distance");
  assertEquals(s.of(7), FLAT_READ, "write-protected memory follows");
  assertEquals(s.of(8), FLAT_READ);
  assertEquals(s.of(9), 0, "nothing follows");
  assertEquals(s.of((1 << 20) - 1), 0);
});

Deno.test("flat pages: a page that gets code is not written, nor is the one before it", () => {
  const s = new Subject();
  for (const page of [0, 1, 2]) assertEquals(s.of(page), FLAT_WRITE);
  s.code.add(2);
  s.pages.protect(2);
  assertEquals([s.of(0), s.of(1), s.of(2)], [FLAT_WRITE, FLAT_READ, FLAT_READ]);
  s.code.delete(2);
  assertEquals([s.of(1), s.of(2)], [FLAT_WRITE, FLAT_WRITE]);
  s.pages.protect(0);
  s.pages.protect(1 << 20);
});

Deno.test("flat pages: while pages move, none is entered, and the distance is the old one", () => {
  const s = new Subject();
  assertEquals(s.of(1), FLAT_WRITE);
  assertEquals(s.pages.delta, 0x70000);
  s.pages.suspend();
  s.ram = 0x90000;
  assertEquals(s.of(1), 0);
  assertEquals(s.pages.delta, 0x70000);
  s.pages.resume();
  assertEquals(s.pages.delta, 0x90000);
  assertEquals(s.of(1), FLAT_WRITE);
  s.pages.clear();
  assertEquals(s.u8[BASE + OFF_FLAT_PAGES + 1], 0);
});
