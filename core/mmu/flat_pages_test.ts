import { assertEquals } from "@std/assert";
import {
  FLAT_READ,
  FLAT_WRITE,
  OFF_FLAT_PAGES,
  OFF_FLAT_WINDOW,
  OFF_FLAT_WINDOW_SIZE,
} from "../exec/layout.ts";
import { FlatPages } from "./flat_pages.ts";
import { REFUSES_READ, REFUSES_WRITE } from "./tlb.ts";

const PAGE = 4096;
const BASE = 64;
const [LOW, SIZE] = [OFF_FLAT_WINDOW, OFF_FLAT_WINDOW_SIZE].map((o) =>
  (BASE + o) >> 2
);

/** RAM from page 0x100 on and on pages 0 to 9 but 4 (device) and 6 (ROM elsewhere in the host's memory); 8 is write-protected. */
class Subject {
  readonly u8 = new Uint8Array(BASE + OFF_FLAT_PAGES + (1 << 20));
  readonly code = new Set<number>();
  ram = 0x70000;
  /** How much farther pages from 0x100 on are in the host's memory. */
  far = 0;
  runs = [{ page: 0, pages: 4 }];
  readonly refused = new Map<number, number>();
  readonly pages = new FlatPages(this.u8, BASE, {
    refuses: (page) => this.refused.get(page) ?? 0,
    refusedRuns: () =>
      [...this.refused.keys()].map((page) => ({ page, pages: 1 })),
    lookupPage: (page) => {
      if (page >= 10 && page < 0x100 || page === 4) {
        return { kind: "io", hostOffset: 0, writable: false };
      }
      if (page === 6) {
        return { kind: "rom", hostOffset: 0x1000, writable: false };
      }
      const hostOffset = this.ram + page * PAGE + (page < 10 ? 0 : this.far);
      return { kind: "ram", hostOffset, writable: page !== 8 };
    },
    ramRuns: () => this.runs,
    hasCode: (page) => this.code.has(page),
  });

  /** The window's first page, and how many pages an address may be on. */
  get window(): [first: number, pages: number] {
    const words = new Uint32Array(this.u8.buffer);
    return [words[LOW] / PAGE, words[SIZE] / PAGE];
  }

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

Deno.test("flat pages: the window is the longest run of RAM without code, its last page left out", () => {
  const s = new Subject();
  assertEquals(s.window[1], 0, "not opened");
  s.runs = [{ page: 0, pages: 4 }, { page: 0x100, pages: 0x40 }];
  s.far = PAGE;
  s.pages.protect(2);
  s.pages.openWindow();
  assertEquals(s.window, [0, 1], "the others are at another distance");
  s.far = 0;
  s.pages.resume();
  for (const page of [2, 0x110, 0x102]) s.pages.protect(page);
  s.pages.openWindow();
  assertEquals(s.window, [0x111, 0x2e]);
});

Deno.test("flat pages: code in the window makes it smaller; it is closed while nothing may be asked", () => {
  const s = new Subject();
  s.runs = [{ page: 0x100, pages: 0x40 }];
  s.pages.openWindow();
  assertEquals(s.window, [0x100, 0x3f]);
  s.pages.protect(0x108);
  assertEquals(s.window, [0x109, 0x36], "the longer part stays");
  s.pages.protect(0x13f);
  assertEquals(s.window, [0x109, 0x35], "the last page is no border");
  s.pages.protect(0x100);
  s.pages.protect(0x140);
  assertEquals(s.window, [0x109, 0x35], "outside of it");
  s.pages.clear();
  assertEquals(s.window[1], 0);
  s.pages.protect(0x109);
  assertEquals(s.window[1], 0, "closed");
  s.pages.openWindow();
  assertEquals(s.window, [0x10a, 0x34]);
  s.pages.suspend();
  s.pages.openWindow();
  assertEquals(s.window[1], 0, "pages move");
  s.runs = [{ page: 0x200, pages: 2 }];
  s.pages.resume();
  assertEquals(s.window[1], 0);
  s.pages.openWindow();
  assertEquals(s.window, [0x200, 1]);
  s.pages.protect(0x200);
  assertEquals(s.window[1], 0, "one page is none");
  // What is beyond 4 GiB has no address of 32 bits.
  s.runs = [{ page: 0xffff0, pages: 0x20 }, { page: 0x100010, pages: 0x100 }];
  s.pages.resume();
  s.pages.openWindow();
  assertEquals(s.window, [0xffff0, 0xf]);
});

Deno.test("flat pages: what is watched has no permission, and is not in the window", () => {
  const s = new Subject();
  s.runs = [{ page: 0x100, pages: 0x40 }];
  s.pages.openWindow();
  assertEquals(s.window, [0x100, 0x3f]);
  assertEquals(s.of(1), FLAT_WRITE);
  s.refused.set(1, REFUSES_READ | REFUSES_WRITE);
  s.refused.set(0x110, REFUSES_WRITE);
  s.pages.refusalsChanged();
  assertEquals(s.window[1], 0);
  assertEquals([s.of(0), s.of(1)], [0, 0]);
  assertEquals([s.of(0x10f), s.of(0x110), s.of(0x111)], [1, 1, FLAT_WRITE]);
  s.pages.openWindow();
  assertEquals(s.window, [0x111, 0x2e]);
  s.refused.clear();
  s.pages.refusalsChanged();
  s.pages.openWindow();
  assertEquals(s.window, [0x100, 0x3f]);
  assertEquals(s.of(1), FLAT_WRITE);
});
