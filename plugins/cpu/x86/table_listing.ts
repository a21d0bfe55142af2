/**
 * The page tables as the monitor lists them (`info mem`, `info tlb`), in the
 * layout of QEMU's (target/i386/monitor.c): 32-bit paging, PAE, and the four
 * levels of IA-32e mode (SDM volume 3, chapter 4).
 *
 * The tables are read as RAM and nothing else, so that a guest whose tables
 * lie in a device's registers learns nothing of it. It may also have entries
 * that lead back to the same tables: how many are read is bounded.
 *
 * @module
 */

import type { PhysicalReader } from "../../../core/cpu/inspector.ts";
import type { X86 } from "./cpu.ts";
import { CR4_PAE, CR4_PSE } from "./models.ts";
import { OFF_CR } from "./state.ts";

const CR0_PG = 0x80000000 | 0;
// Bits of an entry.
const P = 1n, RW = 2n, US = 4n, PS = 0x80n;
const NX = 1n << 63n;
const RIGHTS = P | RW | US;
/** Letters of the bits of an entry in `info tlb`, from NX down. */
const LETTERS: readonly (readonly [bit: bigint, letter: string])[] = [
  [NX, "X"],
  [0x100n, "G"],
  [PS, "P"],
  [0x40n, "D"],
  [0x20n, "A"],
  [0x10n, "C"],
  [0x08n, "T"],
  [US, "U"],
  [RW, "W"],
];
/** Tables read at most: those of 8 GiB in pages of 4 KiB, in about a second. */
const MAX_TABLES = 4096;
const TABLE_BYTES = 4096;

/** A level of tables. */
interface Level {
  /** The bits of a linear address below those that choose an entry here. */
  readonly shift: number;
  /** Entries of a table. */
  readonly entries: number;
  /** Whether an entry may be a large page. */
  readonly large: boolean;
  /** What of a large page's entry is printed as its address. */
  readonly largeMask: bigint;
}

/** The tables of a mode of paging. */
interface Paging {
  readonly levels: readonly Level[];
  /** Bytes of an entry. */
  readonly entryBytes: 4 | 8;
  /** The address of the first table. */
  readonly root: bigint;
  /** The address in an entry that leads to a table. */
  readonly tableMask: bigint;
  /** What of the entry of a page of 4 KiB is printed as its address. */
  readonly pageMask: bigint;
  /** Whether the highest level has rights (PAE's pointers have none). */
  readonly topRights: boolean;
}

/** A page as the tables have it. */
export interface MappedPage {
  /** Its linear address, of 48 bits. */
  readonly linear: bigint;
  /** Its size in bytes. */
  readonly size: bigint;
  /** Its entry. */
  readonly entry: bigint;
  /** Present, writable and user, of all levels together. */
  readonly rights: bigint;
  /** What of the entry `info tlb` prints as its address. */
  readonly mask: bigint;
  /** Whether it is larger than 4 KiB. */
  readonly isLarge: boolean;
}

/** The tables in use; undefined while there is no paging. */
function pagingOf(cpu: X86): Paging | undefined {
  if ((cpu.cr0 & CR0_PG) === 0) return undefined;
  const w = (OFF_CR >> 2) + 6;
  const cr3 = BigInt(cpu.state[w] >>> 0) |
    BigInt(cpu.state[w + 1] >>> 0) << 32n;
  if (cpu.lma) {
    const level = (shift: number, largeMask = 0n): Level => ({
      shift,
      entries: 512,
      large: largeMask !== 0n,
      largeMask,
    });
    return {
      levels: [
        level(39),
        level(30, 0x3ffffc0000000n),
        level(21, 0x3ffffffe00000n),
        level(12),
      ],
      entryBytes: 8,
      root: cr3 & 0x3fffffffff000n,
      tableMask: 0x3fffffffff000n,
      pageMask: 0x3fffffffff000n,
      topRights: true,
    };
  }
  if ((cpu.cr4 & CR4_PAE) !== 0) {
    return {
      levels: [
        { shift: 30, entries: 4, large: false, largeMask: 0n },
        { shift: 21, entries: 512, large: true, largeMask: ~0xfffffn },
        { shift: 12, entries: 512, large: false, largeMask: 0n },
      ],
      entryBytes: 8,
      root: cr3 & 0xffffffe0n,
      tableMask: 0x3fffffffff000n,
      pageMask: ~0xfffn,
      topRights: false,
    };
  }
  const large = (cpu.cr4 & CR4_PSE) !== 0;
  return {
    levels: [
      { shift: 22, entries: 1024, large, largeMask: ~0x1fffffn },
      { shift: 12, entries: 1024, large: false, largeMask: 0n },
    ],
    entryBytes: 4,
    root: cr3 & 0xfffff000n,
    tableMask: 0xfffff000n,
    pageMask: ~0xfffn,
    topRights: true,
  };
}

/** The tables of a CPU at the moment. */
export class TableListing {
  readonly #cpu: X86;
  readonly #memory: PhysicalReader;

  /** The tables that a CPU has in `memory`. */
  constructor(cpu: X86, memory: PhysicalReader) {
    this.#cpu = cpu;
    this.#memory = memory;
  }

  /** The address of a table's entry in a level, and the entry; undefined where nothing can be read. */
  #entry(
    { entryBytes }: Paging,
    table: bigint,
    index: number,
  ): bigint | undefined {
    const bytes = new Uint8Array(8);
    const part = bytes.subarray(0, entryBytes);
    const at = Number(table) + index * entryBytes;
    if (this.#memory(at, part) < entryBytes) return undefined;
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }

  /** The physical address of a linear one. */
  translate(linear: bigint): bigint | undefined {
    const cpu = this.#cpu;
    const paging = pagingOf(cpu);
    if (paging === undefined) return BigInt.asUintN(32, linear);
    if (cpu.lma) {
      if (BigInt.asIntN(48, linear) !== BigInt.asIntN(64, linear)) {
        return undefined;
      }
    } else linear = BigInt.asUintN(32, linear);
    let table = paging.root;
    for (const level of paging.levels) {
      const shift = BigInt(level.shift);
      const index = Number(linear >> shift & BigInt(level.entries - 1));
      const entry = this.#entry(paging, table, index);
      if (entry === undefined || (entry & P) === 0n) return undefined;
      table = entry & paging.tableMask;
      const isLarge = level.large && (entry & PS) !== 0n;
      if (!isLarge && level.shift !== 12) continue;
      const own = (1n << shift) - 1n;
      return largeBase(entry, table, own, paging) | linear & own;
    }
    return undefined;
  }

  /** Every page that is mapped, by its linear address; undefined without paging. */
  pages(): Iterable<MappedPage | "too many"> | undefined {
    const paging = pagingOf(this.#cpu);
    if (paging === undefined) return undefined;
    const left = { tables: MAX_TABLES };
    return this.#walk(paging, 0, paging.root, 0n, RIGHTS, left);
  }

  *#walk(
    paging: Paging,
    depth: number,
    table: bigint,
    base: bigint,
    rights: bigint,
    left: { tables: number },
  ): Generator<MappedPage | "too many"> {
    if (left.tables-- <= 0) {
      if (left.tables === -1) yield "too many";
      return;
    }
    const { shift, entries, large, largeMask } = paging.levels[depth];
    const { entryBytes } = paging;
    const bytes = new Uint8Array(Math.min(entries * entryBytes, TABLE_BYTES));
    const got = this.#memory(Number(table), bytes);
    const view = new DataView(bytes.buffer);
    for (let i = 0; (i + 1) * entryBytes <= got; i++) {
      const entry = entryBytes === 8
        ? view.getBigUint64(8 * i, true)
        : BigInt(view.getUint32(4 * i, true));
      if ((entry & P) === 0n) continue;
      const linear = base + (BigInt(i) << BigInt(shift));
      const own = depth === 0 && !paging.topRights ? rights : rights & entry;
      const isLarge = large && (entry & PS) !== 0n;
      if (isLarge || shift === 12) {
        const mask = isLarge ? largeMask : paging.pageMask;
        const size = 1n << BigInt(shift);
        yield { linear, size, entry, rights: own, mask, isLarge };
      } else {
        const next = entry & paging.tableMask;
        yield* this.#walk(paging, depth + 1, next, linear, own, left);
      }
      if (left.tables < 0) return;
    }
  }

  /** `info mem`. */
  *mappings(): Generator<string> {
    const pages = this.pages();
    if (pages === undefined) return yield "PG disabled";
    let start = 0n, end = -1n, rights = 0n;
    const range = (): string => {
      const flags = (rights & US) === 0n ? "-" : "u";
      return `${this.#hex(start)}-${this.#hex(end)} ${
        this.#hex(end - start)
      } ${flags}r${(rights & RW) === 0n ? "-" : "w"}`;
    };
    for (const page of pages) {
      if (page === "too many") {
        if (end >= 0n) yield range();
        return yield TOO_MANY;
      }
      if (page.linear !== end || page.rights !== rights) {
        if (end >= 0n) yield range();
        start = page.linear;
        rights = page.rights;
      }
      end = page.linear + page.size;
    }
    if (end >= 0n) yield range();
  }

  /** `info tlb`. */
  *list(): Generator<string> {
    const pages = this.pages();
    if (pages === undefined) return yield "PG disabled";
    for (const page of pages) {
      if (page === "too many") return yield TOO_MANY;
      const { linear, entry, mask, isLarge } = page;
      const shown = isLarge ? entry : entry & ~PS;
      const letters = LETTERS.map(([bit, letter]) =>
        (shown & bit) === 0n ? "-" : letter
      );
      const address = BigInt.asUintN(64, shown & mask);
      yield `${this.#hex(linear)}: ${plain(address)} ${letters.join("")}`;
    }
  }

  /** A linear address, canonical. */
  #hex(address: bigint): string {
    return plain(
      this.#cpu.lma ? BigInt.asUintN(64, BigInt.asIntN(48, address)) : address,
    );
  }
}

const TOO_MANY = `there is more: the tables are more than ${MAX_TABLES}`;

function plain(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}

/** Where a page begins; `table`: the address bits of its entry. */
function largeBase(
  entry: bigint,
  table: bigint,
  own: bigint,
  { entryBytes }: Paging,
): bigint {
  // PSE-36: bits 13-20 of a page of 4 MiB are bits 32-39 of its address.
  const high = entryBytes === 4 && own > 0xfffn
    ? (entry >> 13n & 0xffn) << 32n
    : 0n;
  return table & ~own | high;
}
