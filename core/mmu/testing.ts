/**
 * The softMMU with a frontend that has a map for page tables, by TypeScript and
 * by WebAssembly: what its tests stand on.
 *
 * @module
 */

import {
  type Access,
  ACCESS_READ,
  ACCESS_WRITE,
  type Frontend,
  PERM_EXECUTE,
  PERM_READ,
  PERM_WRITE,
} from "../cpu/frontend.ts";
import { emitLoadMiss, emitStoreMiss } from "../exec/access.ts";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  OFF_CODE_MASKS,
  OFF_VALUE,
  TLB_ENTRIES,
} from "../exec/layout.ts";
import { GuestMemory } from "../machine/memory.ts";
import { Emitter } from "../wasm/emitter.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import { STORE_DONE, STORE_MODIFIES } from "./slow_access.ts";
import { SoftMmu } from "./soft_mmu.ts";

/** Bytes of a page. */
export const PAGE = 4096;
/** Pages of memory. */
export const RAM_PAGES = 64;
/** The first physical page on which nothing answers; devices stand before it. */
export const NOTHING = 1000;
/** The physical page at 4 GiB. */
export const HIGH_PAGE: number = 2 ** 20;
/** Pages this far apart share an entry of the TLB. */
export const APART: number = TLB_ENTRIES * PAGE;
/** Addresses that share an entry. */
export const A = 0x0040_0000, B: number = A + APART, C: number = B + APART;
/** All permissions. */
export const RWX: number = PERM_READ | PERM_WRITE | PERM_EXECUTE;
const I32 = 0x7f, I64 = 0x7e, F64 = 0x7c;

/** Addresses of 64 bits are bigints. */
type Miss = (
  cpu: number,
  address: number | bigint,
  what: number,
  budget: number,
) => [number, number];

/** What the MMU and the functions of WebAssembly work on. */
export class Subject {
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

  /** Gives a page a translation. */
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
    if (budget !== 77) throw new Error(`a load made a budget of 77 ${budget}`);
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
export interface Way {
  /** What it is called. */
  readonly name: string;
  /** Reads a byte. */
  read(s: Subject, address: number): number;
  /** Writes a byte. */
  write(s: Subject, address: number, value: number): void;
}

/** Both. */
export const WAYS: readonly Way[] = [
  {
    name: "TypeScript",
    read: (s, address) => s.mmu.read8(address, 0),
    write: (s, address, value) => s.mmu.write8(address, value, 0),
  },
  {
    name: "WebAssembly",
    read: (s, address) => s.load(address),
    write: (s, address, value) => {
      const result = s.store(address, value);
      if (result !== STORE_DONE) throw new Error(`a store gave ${result}`);
    },
  },
];

/** A, B and C share an entry and stand on physical pages 1, 2 and 3. */
export function subject(permissions = RWX): Subject {
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

/** Sets the bit of a granule in the masks that translated code looks at. */
export function markCode(s: Subject, page: number, granule: number): void {
  const at = s.mmu.base + OFF_CODE_MASKS +
    (page % CODE_MASKS) * CODE_MASK_BYTES;
  s.memory.u8[at + (granule >> 3)] |= 1 << (granule & 7);
}
