/** The softMMU with a frontend that has a map for page tables, by TypeScript and by WebAssembly. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Access,
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_WRITE,
  type Frontend,
  GUEST_MODIFIED,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
  PERM_WRITE,
} from "../cpu/frontend.ts";
import { emitLoadMiss, emitStoreMiss } from "../exec/access.ts";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  FLAT_READ,
  FLAT_WRITE,
  OFF_BUDGET,
  OFF_CODE_MASKS,
  OFF_FLAT_PAGES,
  OFF_FLAT_WINDOW_SIZE,
  OFF_VALUE,
  type RefillWord,
  refillWord,
  TLB_ENTRIES,
} from "../exec/layout.ts";
import { GuestMemory } from "../machine/memory.ts";
import { Emitter } from "../wasm/emitter.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import {
  SoftMmu,
  STORE_DONE,
  STORE_FAULT,
  STORE_MODIFIES,
} from "./soft_mmu.ts";

const PAGE = 4096;
const RAM_PAGES = 64;
/** The first physical page on which nothing answers; devices stand before it. */
const NOTHING = 1000;
/** The physical page at 4 GiB. */
const HIGH_PAGE = 2 ** 20;
/** Pages this far apart share an entry of the TLB. */
const APART = TLB_ENTRIES * PAGE;
const A = 0x0040_0000, B = A + APART, C = A + 2 * APART;
const RWX = PERM_READ | PERM_WRITE | PERM_EXECUTE;
const I32 = 0x7f, I64 = 0x7e, F64 = 0x7c;

/** Addresses of 64 bits are bigints. */
type Miss = (
  cpu: number,
  address: number | bigint,
  what: number,
  budget: number,
) => [number, number];

/** What the MMU and the functions of WebAssembly work on. */
class Subject {
  /** Page tables: linear page address -> [physical page number, permissions, large]. */
  readonly tables = new Map<number, [number, number, boolean?]>();
  /** Pages of memory that are ROM. */
  readonly roms = new Set<number>();
  /** Pages that hold code, by their code addresses. */
  readonly code = new Set<number>();
  /** Stores that were told to the watcher: [physical, length, running]. */
  readonly written: [number, number, number][] = [];
  /** Flushes that were told: [address, TLBs]. */
  readonly flushes: [number, number][] = [];
  /** Walks, probes not counted: [address, access]. */
  readonly walks: [number, Access][] = [];
  /** Addresses that were read, and negative those that were written, where no memory is. */
  readonly io: number[] = [];
  /** The frontend's code has physical addresses. */
  unpaged = false;
  readonly memory = new GuestMemory({
    guestBytes: RAM_PAGES * PAGE,
    arenaBytes: 65536,
  });
  readonly ram = this.memory.alloc(RAM_PAGES * PAGE);
  readonly mmu: SoftMmu;
  /** Whether a store to code hits the block that runs. */
  hitsRunning = false;
  /** What the last store made of a budget of 78. */
  budget = 0;
  readonly #load: Miss;
  readonly #store: Miss;

  readonly #wide: boolean;

  /** So many of the pages of RAM are from 4 GiB on. `wide`: linear addresses have 64 bits. */
  constructor(high = 0, wide = false) {
    this.#wide = wide;
    const low = RAM_PAGES - high;
    const isHigh = (page: number): boolean =>
      page >= HIGH_PAGE && page < HIGH_PAGE + high;
    const pageWalk = { physical: 0, permissions: 0, large: false };
    const frontend = {
      pageWalk,
      key: () => 0,
      flat: () => this.unpaged,
      wide: () => wide,
      walk: (
        address: number,
        access: Access,
        _mmu: number,
        probe: boolean,
      ): boolean => {
        if (!probe) this.walks.push([address, access]);
        const page = wide
          ? Math.floor(address / PAGE) * PAGE
          : (address & ~0xfff) >>> 0;
        const entry = this.tables.get(page);
        if (entry === undefined) return false;
        const need = access === ACCESS_READ
          ? PERM_READ
          : access === ACCESS_WRITE
          ? PERM_WRITE
          : PERM_EXECUTE;
        if ((entry[1] & need) === 0) return false;
        pageWalk.physical = entry[0] * PAGE;
        pageWalk.permissions = entry[1];
        pageWalk.large = entry[2] ?? false;
        return true;
      },
    } as unknown as Frontend;
    const base = this.memory.cpuArea(0);
    this.mmu = new SoftMmu(
      frontend,
      {
        lookupPage: (page) =>
          page < low || isHigh(page)
            ? {
              kind: this.roms.has(page) ? "rom" : "ram",
              hostOffset: this.ram +
                (page < low ? page : low + page - HIGH_PAGE) * PAGE,
              writable: !this.roms.has(page),
            }
            : {
              kind: page < NOTHING ? "io" : "none",
              hostOffset: 0,
              writable: false,
            },
        ramRuns: () =>
          [
            // ROM, where there is some, stands at the start.
            { page: this.roms.size, pages: low - this.roms.size },
            { page: HIGH_PAGE, pages: high },
          ].filter(({ pages }) => pages > 0),
        read: (address) => {
          this.io.push(address);
          return 0xff;
        },
        write: (address) => this.io.push(-address),
      },
      this.memory.memory.buffer,
      base,
    );
    this.mmu.connect(
      {
        hasCode: (page) => this.code.has(page),
        written: (physical, length, running) => {
          this.written.push([physical, length, running]);
          return this.hitsRunning;
        },
      },
      (address, mmus) => this.flushes.push([address, mmus]),
    );
    const m = new ModuleBuilder(this.memory.memory.buffer.byteLength / 65536);
    const miss = m.type([I32, wide ? I64 : I32, I32, I32], [I32, I32]);
    const slow = m.type([wide ? F64 : I32, I32, I32], [I32]);
    const imports = [
      m.importFunction("env", "slowLoad", slow),
      m.importFunction("env", "slowStore", slow),
    ];
    [emitLoadMiss, emitStoreMiss].forEach((emit, i) => {
      const e = new Emitter();
      emit(e, imports[i], wide);
      m.addFunction(miss, e.bytes.slice(0, e.length), -1, ["load", "store"][i]);
    });
    const { exports } = new WebAssembly.Instance(
      new WebAssembly.Module(m.build()),
      {
        env: {
          memory: this.memory.memory,
          table: new WebAssembly.Table({ element: "anyfunc", initial: 1 }),
          slowLoad: (address: number, width: number, mmu: number): number =>
            wide
              ? this.mmu.slowLoadWide(address, width, mmu)
              : this.mmu.slowLoad(address, width, mmu),
          slowStore: (address: number, width: number, from: number): number =>
            wide
              ? this.mmu.slowStoreWide(address, width, from)
              : this.mmu.slowStore(address, width, from),
        },
      },
    );
    this.#load = exports.load as Miss;
    this.#store = exports.store as Miss;
    if (wide) this.mmu.setWide(true);
  }

  #argument(address: number): number | bigint {
    return this.#wide ? BigInt(address) : address;
  }

  map(linear: number, page: number, permissions = RWX, large = false): void {
    this.tables.set(linear, [page, permissions, large]);
  }

  /** A byte of a physical page. */
  byte(page: number, offset = 0): number {
    return this.memory.u8[this.ram + page * PAGE + offset];
  }

  /** The walks since the last call. */
  walked(): number {
    return this.walks.splice(0).length;
  }

  /** A load of a byte as regions do it; -1 at a fault. */
  load(address: number, mmu = 0): number {
    const base = this.mmu.base;
    const at = this.#argument(address);
    const [host, budget] = this.#load(base, at, 1 | mmu << 8, 77);
    assertEquals(budget, 77);
    return host === 0 ? -1 : this.memory.u8[host >>> 0];
  }

  /** A store of `width` equal bytes as regions do it, by the block with tag 5. */
  store(address: number, value: number, mmu = 0, width = 1): number {
    const base = this.mmu.base;
    const slot = base + OFF_VALUE;
    this.memory.u8.fill(value, slot, slot + width);
    const what = width | mmu << 8 | 5 << 16;
    const at = this.#argument(address);
    const [result, budget] = this.#store(base, at, what, 78);
    this.budget = budget;
    if (result >= 0 && result <= STORE_MODIFIES) return result;
    const host = result >>> 0;
    this.memory.u8.fill(value, host, host + width);
    return STORE_DONE;
  }
}

/** How a byte is read and written: by helpers in TypeScript, by regions. */
interface Way {
  readonly name: string;
  read(s: Subject, address: number): number;
  write(s: Subject, address: number, value: number): void;
}

const WAYS: readonly Way[] = [
  {
    name: "TypeScript",
    read: (s, address) => s.mmu.read8(address, 0),
    write: (s, address, value) => s.mmu.write8(address, value, 0),
  },
  {
    name: "WebAssembly",
    read: (s, address) => s.load(address),
    write: (s, address, value) => assertEquals(s.store(address, value), 0),
  },
];

/** A, B and C share an entry and stand on physical pages 1, 2 and 3. */
function subject(permissions = RWX): Subject {
  const s = new Subject();
  [A, B, C].forEach((linear, i) => {
    s.map(linear, i + 1, permissions);
    s.memory.u8.fill(
      0x11 * (i + 1),
      s.ram + (i + 1) * PAGE,
      s.ram + (i + 2) * PAGE,
    );
  });
  return s;
}

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

/** Sets the bit of a granule in the masks that translated code looks at. */
function markCode(s: Subject, page: number, granule: number): void {
  const at = s.mmu.base + OFF_CODE_MASKS +
    (page % CODE_MASKS) * CODE_MASK_BYTES;
  s.memory.u8[at + (granule >> 3)] |= 1 << (granule & 7);
}

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

Deno.test("softMMU: fetches have a TLB of their own, which data does not disturb", () => {
  const s = subject();
  assertEquals(s.mmu.fetch(A + 5, 0), PAGE + 5);
  assertEquals(s.mmu.fetchHost, s.ram + PAGE);
  assertEquals(s.walks.splice(0), [[A + 5, ACCESS_EXECUTE]]);
  s.mmu.read8(B, 0);
  s.mmu.read8(C, 0);
  s.mmu.read8(A, 0);
  s.walked();
  assertEquals(s.mmu.fetch(A + 6, 0), PAGE + 6);
  assertEquals(s.walked(), 0);
  // A fetch is no permission to read, nor the other way round.
  s.map(B, 2, PERM_READ);
  s.map(C, 3, PERM_EXECUTE);
  s.mmu.flush(false);
  s.mmu.read8(B, 0);
  assertEquals(s.mmu.fetch(B, 0), -1);
  assertEquals(s.mmu.fetch(C, 0), 3 * PAGE);
  assertEquals(s.mmu.slowLoad(C, 1, 0), 0);
});

Deno.test("softMMU: the TLBs of fetches are flushed as those of data, each by its own mode", () => {
  const s = subject();
  s.map(A, 1, RWX | PERM_GLOBAL);
  s.map(B + PAGE, 2);
  s.mmu.flush(false);
  s.flushes.length = 0;
  // Global in both; local only in that of mode 1.
  s.mmu.fetch(A, 0);
  s.mmu.fetch(A, 1);
  s.mmu.flush(true);
  assertEquals(s.flushes, []);
  s.mmu.fetch(B + PAGE, 1);
  s.walked();
  s.mmu.flush(true);
  assertEquals(s.flushes, [[-1, 2]]);
  s.map(A, 4, RWX);
  s.map(B + PAGE, 5);
  assertEquals(s.mmu.fetch(A, 0), PAGE);
  assertEquals(s.mmu.fetch(A, 1), PAGE);
  assertEquals(s.walked(), 0);
  assertEquals(s.mmu.fetch(B + PAGE, 1), 5 * PAGE);
  s.mmu.flushPage(A);
  assertEquals(s.flushes.pop(), [A, 3]);
  assertEquals(s.mmu.fetch(A, 0), 4 * PAGE);
  assertEquals(s.mmu.fetch(A, 1), 4 * PAGE);
  s.mmu.flush(true);
  assertEquals(s.flushes.pop(), [-1, 3]);
  s.mmu.flush(false);
  assertEquals(s.flushes.pop(), [-1, 3]);
});

Deno.test("softMMU: a peek at a fetch changes nothing", () => {
  const s = subject();
  assertEquals(s.mmu.peekFetch(A + 3, 0), PAGE + 3);
  assertEquals(s.mmu.peekFetch(0x7000, 0), -1);
  assertEquals(s.walked(), 0);
  s.map(A, 2);
  assertEquals(s.mmu.fetch(A, 0), 2 * PAGE);
});

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
