/** Translations: both ways of the TLB, flushes, conditions. */

import { assert, assertEquals } from "@std/assert";
import {
  ACCESS_WRITE,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
} from "../cpu/frontend.ts";
import { STORE_DONE, STORE_FAULT } from "./slow_access.ts";
import {
  A,
  APART,
  B,
  C,
  markCode,
  PAGE,
  RWX,
  Subject,
  subject,
  WAYS,
} from "./testing.ts";

for (const way of WAYS) {
  const { read, write } = way;

  Deno.test(`softMMU, ${way.name}: two pages of one entry are walked once, three are not kept`, () => {
    const s = subject();
    for (let i = 0; i < 4; i++) {
      assertEquals([read(s, A), read(s, B + 4095)], [0x11, 0x22]);
    }
    assertEquals(s.walked(), 2);
    assertEquals(read(s, C), 0x33); // drives A or B out for good
    read(s, B);
    assertEquals(s.walked(), 1);
    read(s, A);
    assertEquals(s.walked(), 1);
  });

  Deno.test(`softMMU, ${way.name}: a store goes to the page that it names, swapped or not`, () => {
    const s = subject();
    for (let i = 1; i <= 6; i++) {
      write(s, A + i, i);
      write(s, B + i, 0x80 + i);
    }
    for (let i = 1; i <= 6; i++) {
      assertEquals([s.byte(1, i), s.byte(2, i)], [i, 0x80 + i]);
    }
    assertEquals(s.walked(), 2);
  });

  Deno.test(`softMMU, ${way.name}: a flush of a page takes it out of the victim`, () => {
    for (const order of [[A, B], [B, A]]) {
      const s = subject();
      for (const a of order) read(s, a);
      s.map(A, 4);
      s.mmu.flushPage(A);
      assertEquals(read(s, A), 0);
      assertEquals(read(s, B), 0x22);
      s.tables.delete(B);
      s.mmu.flushPage(B + 12);
      assertEquals(s.mmu.slowLoad(B, 1, 0), 0);
    }
  });

  Deno.test(`softMMU, ${way.name}: what is known of a page is forgotten, of its neighbours not`, () => {
    const s = subject();
    for (const order of [[A, B], [B, A]]) {
      for (const a of order) read(s, a);
      s.mmu.forgetPage(A);
      assertEquals(s.flushes.splice(0), []);
      s.map(A, 4);
      s.map(B, 5); // not seen yet
      assertEquals([read(s, A), read(s, B)], [0, 0x22]);
      s.map(A, 1);
      s.map(B, 2);
      s.mmu.flush(false);
      s.flushes.splice(0);
    }
    // Where it was executed, jumps are looked up again.
    assertEquals(s.mmu.fetch(A + 5, 1), PAGE + 5);
    s.mmu.forgetPage(A);
    assertEquals(s.flushes, [[A, 3]]);
    s.map(A, 4);
    assertEquals(s.mmu.fetch(A + 5, 1), 4 * PAGE + 5);
  });

  Deno.test(`softMMU, ${way.name}: flushes keep the global translations in both ways, and forget them when asked`, () => {
    for (const [keep, other] of [[A, B], [B, A]]) {
      for (const order of [[A, B], [B, A]]) {
        const s = subject();
        s.map(keep, 1, RWX | PERM_GLOBAL);
        s.map(other, 2);
        for (const a of order) read(s, a);
        s.walked();
        s.mmu.flush(true);
        s.map(keep, 4, RWX | PERM_GLOBAL); // not seen yet
        s.map(other, 5);
        assertEquals(read(s, keep), 0x11);
        assertEquals(s.walked(), 0);
        assertEquals(read(s, other), 0);
        assertEquals(s.walked(), 1);
        assertEquals(read(s, keep), 0x11);
        assertEquals(s.walked(), 0);
        s.mmu.flush(false);
        assertEquals([read(s, keep), read(s, other)], [0, 0]);
        assertEquals(s.walked(), 2);
      }
    }
  });

  Deno.test(`softMMU, ${way.name}: what came back from a victim after a flush is flushed by the next`, () => {
    const s = subject();
    s.map(A, 1, RWX | PERM_GLOBAL);
    read(s, A);
    read(s, B); // A is the victim
    s.mmu.flush(true); // the entry of B is empty now
    assertEquals(read(s, A), 0x11); // and takes A
    s.map(A, 4, RWX);
    s.mmu.flush(false);
    assertEquals(read(s, A), 0);
  });

  Deno.test(`softMMU, ${way.name}: code on a page that came back from a victim after a flush is protected`, () => {
    const s = subject();
    s.map(A, 1, RWX | PERM_GLOBAL);
    read(s, A);
    read(s, B);
    s.mmu.flush(true);
    read(s, A);
    s.code.add(1);
    markCode(s, 1, 0);
    s.mmu.protect(1);
    write(s, A, 9);
    assertEquals(s.written.length, 1);
  });

  Deno.test(`softMMU, ${way.name}: stores to a page that became one with code are told, in both ways`, () => {
    for (const order of [[A, B], [B, A]]) {
      const s = subject();
      for (const a of order) write(s, a, 1);
      s.written.length = 0; // each page's first store is looked at
      s.code.add(1);
      markCode(s, 1, 0);
      s.mmu.protect(1);
      s.mmu.protect(1); // once more changes nothing
      write(s, A, 7);
      write(s, A + 1, 8);
      assertEquals(s.written.map(([at]) => at), [PAGE, PAGE + 1]);
      assertEquals([s.byte(1), s.byte(1, 1)], [7, 8]);
      write(s, B, 7);
      assertEquals([s.byte(2), read(s, A), read(s, B)], [7, 7, 7]);
    }
  });

  Deno.test(`softMMU, ${way.name}: a page that may be read is walked again for the first store`, () => {
    for (const order of [[A, B], [B, A]]) {
      const s = subject(PERM_READ | PERM_EXECUTE);
      for (const a of order) read(s, a);
      s.map(A, 1, RWX); // as the page tables say once they are asked for a store
      s.walked();
      write(s, A, 1);
      assertEquals(s.walks.splice(0), [[A, ACCESS_WRITE]]);
      write(s, A, 2);
      read(s, A);
      read(s, B);
      write(s, A, 3);
      assert(s.walked() <= 1); // of B, which A may have driven out
      assertEquals(s.byte(1), 3);
      assertEquals(s.mmu.slowStore(B, 1, 0), STORE_FAULT);
      assertEquals(s.byte(2), 0x22);
    }
  });

  Deno.test(`softMMU, ${way.name}: a stale copy in a victim does not outlive a flush`, () => {
    // A is global and clean in the victim, then dirty in the entry itself.
    const s = subject();
    s.map(A, 1, PERM_READ | PERM_GLOBAL);
    read(s, A);
    read(s, B);
    s.mmu.flush(true);
    s.map(A, 1, RWX | PERM_GLOBAL);
    write(s, A, 5);
    s.map(A, 4, RWX);
    s.mmu.flushPage(A);
    assertEquals(read(s, A), 0);
    write(s, A, 6);
    assertEquals([s.byte(1), s.byte(4)], [5, 6]);
  });

  Deno.test(`softMMU, ${way.name}: INVLPG of a part of a large page forgets all parts, in both ways`, () => {
    const s = subject();
    const part = A + 8 * PAGE;
    s.map(A, 1, RWX, true);
    s.map(part, 2, RWX, true);
    s.map(part + APART, 3);
    read(s, A);
    read(s, part);
    read(s, part + APART); // `part` is the victim
    s.map(A, 4, RWX, true);
    s.map(part, 4, RWX, true);
    s.mmu.flushPage(A + 3 * PAGE);
    assertEquals([read(s, A), read(s, part)], [0, 0]);
  });
}

/** Random pages, whose linear addresses are so far apart, accesses and flushes. */
function accessAtRandom(wide: boolean, apart: readonly number[]): void {
  // A model of what may be seen: after each change of the tables its flush
  // follows, so every access must go where the tables say.
  let seed = 12345;
  const below = (n: number): number => {
    seed = Math.imul(seed, 1103515245) + 12345 | 0;
    return Math.floor((seed >>> 0) / 2 ** 32 * n); // the low bits repeat soon
  };
  const s = new Subject(0, wide);
  const linear = apart.flatMap((distance) => [
    A + distance,
    A + distance + PAGE,
  ]);
  for (let page = 0; page < 16; page++) {
    s.memory.u8.fill(page, s.ram + page * PAGE, s.ram + (page + 1) * PAGE);
  }
  const isGlobal = (a: number): boolean => (s.tables.get(a)![1] & 8) !== 0;
  for (const a of linear) {
    s.map(a, below(16), below(2) === 0 ? RWX : RWX | PERM_GLOBAL);
  }
  for (let step = 0; step < 20_000; step++) {
    const a = linear[below(linear.length)];
    const mmu = below(2);
    const page = s.tables.get(a)![0];
    switch (below(12)) {
      case 0: // INVLPG
        s.map(a, below(16), below(2) === 0 ? RWX : RWX | PERM_GLOBAL);
        s.mmu.flushPage(a);
        break;
      case 1: // CR3
        for (const x of linear) if (!isGlobal(x)) s.map(x, below(16));
        s.mmu.flush(true);
        break;
      case 2: // CR4.PGE
        if (below(4) !== 0) break;
        for (const x of linear) {
          s.map(x, below(16), below(2) === 0 ? RWX : RWX | PERM_GLOBAL);
        }
        s.mmu.flush(false);
        break;
      case 3:
        assertEquals(s.mmu.fetch(a, mmu), page * PAGE);
        break;
      case 4: { // a page gets code, or has none any more
        const p = below(16);
        if (s.code.delete(p)) break;
        s.code.add(p);
        for (let g = 0; g < 64; g++) markCode(s, p, g);
        s.mmu.protect(p);
        break;
      }
      case 5:
      case 6: {
        const before = s.written.length;
        const value = s.byte(page) ^ 0x80;
        if (below(2) === 0) s.store(a, value, mmu);
        else s.mmu.write8(a, value, mmu);
        assertEquals(s.byte(page), value, `step ${step}`);
        if (s.code.has(page)) {
          assertEquals(s.written.length, before + 1, `step ${step}`);
        }
        break;
      }
      case 7:
      case 8:
      case 9:
        assertEquals(s.load(a, mmu) & 0x7f, page, `step ${step}`);
        break;
      default:
        assertEquals(s.mmu.read8(a, mmu) & 0x7f, page, `step ${step}`);
    }
  }
}

Deno.test("softMMU: random pages, accesses and flushes never show a translation that was flushed", () => {
  accessAtRandom(false, [0, APART, 2 * APART, 3 * APART]);
});

Deno.test("softMMU: nor with addresses of 64 bits, also where their low halves are the same", () => {
  accessAtRandom(true, [0, APART, 2 ** 32, -(2 ** 46), -(2 ** 46) + APART]);
});

Deno.test("a conditional translation is back with its condition, unless something may have changed", () => {
  const events: Record<string, (s: Subject) => void> = {
    flush: (s) => s.mmu.flush(true),
    "a flush of everything": (s) => s.mmu.flush(false),
    "a flush of another page": (s) => s.mmu.flushPage(0x7000),
    "another page is forgotten": (s) => s.mmu.forgetPage(0x7000),
    "code on a page": (s) => s.mmu.protect(1),
    "a watch": (s) => s.mmu.watchWrites(PAGE, 1, () => {}),
    "the A20 gate": (s) => s.mmu.setPhysicalMask(~(1 << 20)),
    "other memory": (s) => s.mmu.remap(),
  };
  const access = (s: Subject): void => {
    s.mmu.noteConditional(A);
    assertEquals(s.load(A), 0x11);
    s.walked();
    s.mmu.endConditional();
  };
  const s = subject();
  access(s);
  assert(s.mmu.beginConditional());
  assertEquals([s.load(A), s.walked()], [0x11, 0]);
  assertEquals([s.store(A, 9), s.byte(1), s.walked()], [STORE_DONE, 9, 0]);
  s.mmu.endConditional();
  assertEquals([s.load(A), s.walked()], [9, 1]);
  for (const [name, happens] of Object.entries(events)) {
    const s = subject();
    access(s);
    happens(s);
    assert(!s.mmu.beginConditional(), name);
    assertEquals([s.load(A), s.walked()], [0x11, 1], name);
  }
});
