import { assertEquals } from "@std/assert";
import type { X86 } from "./cpu.ts";
import { arithFlags, condition, stateFlags } from "./flags.ts";
import { ARITHMETIC_FLAGS, CONDITION, SEGMENT } from "./integer_kernel.ts";
import {
  CC_ADD,
  CC_DEC,
  CC_EFLAGS,
  CC_IMUL,
  CC_INC,
  CC_LOGIC,
  CC_SBB,
  CC_SUB,
  OFF_CC_DST,
  OFF_CC_OP,
  OFF_CC_OVER,
  OFF_CC_SRC,
  OFF_CC_SRC2,
  OFF_SEG,
  SEG_ATTR,
  SEG_LIMIT,
} from "./state.ts";

const BASE = 0x10000;
const memory = new WebAssembly.Memory({
  initial: 16,
  maximum: 16,
  shared: true,
});
const i32 = new Int32Array(memory.buffer);
const state = (offset: number): number => (BASE + offset) >> 2;
const noCpu = undefined as unknown as X86;

Deno.test("conditions agree with the flags", () => {
  let slow = 0;
  const viaFlags = (cc: number): number =>
    condition(
        cc,
        arithFlags(
          i32[state(OFF_CC_OP)],
          i32[state(OFF_CC_DST)],
          i32[state(OFF_CC_SRC)],
          i32[state(OFF_CC_SRC2)],
          i32[state(OFF_CC_OVER)],
        ),
      )
      ? 1
      : 0;
  const run = CONDITION(noCpu)!(memory, BASE, (cc) => {
    slow++;
    return viaFlags(cc);
  });
  const edges = [0, 1, -1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff];
  let n = 0;
  edges.push(0x7fffffff, 0x80000000 | 0, 0x12345678, 0x8d5, 0x55555555);
  for (let group = CC_EFLAGS; group <= CC_IMUL; group += 4) {
    for (let size = 0; size < (group === CC_EFLAGS ? 1 : 3); size++) {
      const mask = size === 2 ? -1 : size === 1 ? 0xffff : 0xff;
      for (const dst of [...edges, ...edges]) {
        for (const edge of edges) {
          const isCarry = group === CC_INC || group === CC_DEC;
          const src = isCarry ? edge & 1 : edge & mask;
          // One in three with an override.
          const over = ++n % 3 === 0 ? (n & 3) << 6 : 0;
          i32[state(OFF_CC_OVER)] = Math.imul(n, 0x9e3779b1);
          i32[state(OFF_CC_OP)] = group + size | over;
          i32[state(OFF_CC_DST)] = dst;
          i32[state(OFF_CC_SRC)] = group === CC_EFLAGS ? edge : src;
          i32[state(OFF_CC_SRC2)] = group === CC_SBB ? 1 : 0;
          for (let cc = 0; cc < 16; cc++) {
            assertEquals(
              run(cc, 0, 0),
              viaFlags(cc),
              `cc ${cc} op ${group + size} dst ${dst} src ${src}`,
            );
          }
        }
      }
    }
  }
  for (const op of [CC_SUB, CC_LOGIC, CC_ADD]) {
    i32[state(OFF_CC_OP)] = op + 2;
    slow = 0;
    for (const cc of [2, 3, 4, 5, 8, 9]) run(cc, 0, 0);
    assertEquals(slow, 0);
  }
});

Deno.test("the flags of every lazy state, with every override, are TypeScript's", () => {
  let slow = 0;
  const run = ARITHMETIC_FLAGS(noCpu)!(memory, BASE, () => {
    slow++;
    return stateFlags(i32, BASE);
  });
  const longs = new BigInt64Array(memory.buffer);
  const edges = [0n, 1n, -1n, 2n, 0xfn, 0x10n, 0x7fn, 0x80n, 0xffn, 0x7fffn];
  edges.push(0x8000n, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn);
  edges.push(1n << 32n, -(1n << 63n), (1n << 63n) - 1n, 0x123456789abcdefn);
  let n = 0;
  for (let group = CC_EFLAGS; group <= CC_IMUL; group += 4) {
    const sizes = group === CC_EFLAGS ? [0] : [0, 1, 2, 3];
    for (const size of sizes) {
      const bits = 8 << size;
      for (const dst of edges) {
        for (const edge of edges) {
          const isCarry = group === CC_INC || group === CC_DEC;
          const src = isCarry ? edge & 1n : BigInt.asUintN(bits, edge);
          longs[state(OFF_CC_DST) >> 1] = dst;
          longs[state(OFF_CC_SRC) >> 1] = group === CC_EFLAGS ? edge : src;
          for (const kind of [0, 0x40, 0x80, 0xc0]) {
            n++;
            // A carry in that is 0, too; IMUL's other factor.
            longs[state(OFF_CC_SRC2) >> 1] = BigInt(n & 1);
            i32[state(OFF_CC_OVER)] = Math.imul(n, 0x9e3779b1);
            i32[state(OFF_CC_OP)] = group + size | kind;
            assertEquals(
              run(0, 0, 0),
              stateFlags(i32, BASE),
              `op ${group + size} kind ${kind} dst ${dst} src ${src}`,
            );
          }
        }
      }
    }
    assertEquals(slow > 0, group === CC_IMUL);
  }
});

Deno.test("conditions after operations on 64 bits agree with the flags", () => {
  let slow = 0;
  const viaFlags = (cc: number): number =>
    condition(cc, stateFlags(i32, BASE)) ? 1 : 0;
  const run = CONDITION(noCpu)!(memory, BASE, (cc) => {
    slow++;
    return viaFlags(cc);
  });
  const longs = new BigInt64Array(memory.buffer);
  const edges = [0n, 1n, -1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn];
  edges.push(1n << 32n, -(1n << 63n), (1n << 63n) - 1n, 0x123456789abcdefn);
  let n = 0;
  for (let group = CC_ADD; group <= CC_IMUL; group += 4) {
    for (const dst of edges) {
      for (const src of edges) {
        const isCarry = group === CC_INC || group === CC_DEC;
        const over = ++n % 3 === 0 ? (n & 3) << 6 : 0;
        i32[state(OFF_CC_OVER)] = Math.imul(n, 0x9e3779b1);
        i32[state(OFF_CC_OP)] = group + 3 | over;
        longs[state(OFF_CC_DST) >> 1] = dst;
        longs[state(OFF_CC_SRC) >> 1] = isCarry ? src & 1n : src;
        longs[state(OFF_CC_SRC2) >> 1] = group === CC_SBB ? 1n : 0n;
        for (let cc = 0; cc < 16; cc++) {
          assertEquals(
            run(cc, 0, 0),
            viaFlags(cc),
            `cc ${cc} op ${group + 3} dst ${dst} src ${src} over ${over}`,
          );
        }
      }
    }
  }
  for (const op of [CC_SUB, CC_LOGIC, CC_ADD]) {
    i32[state(OFF_CC_OP)] = op + 3;
    slow = 0;
    for (const cc of [2, 3, 4, 5, 8, 9]) run(cc, 0, 0);
    assertEquals(slow, 0);
  }
});

Deno.test("segment checks: the plain cases pass, all else goes the slow way", () => {
  let slow = 0;
  const run = SEGMENT(noCpu)!(memory, BASE, () => {
    slow++;
    return 0;
  });
  const passes = (
    attr: number,
    limit: number,
    offset: number,
    size: number,
    write: boolean,
  ): boolean => {
    i32[state(OFF_SEG + 3 * 32 + SEG_ATTR)] = attr;
    i32[state(OFF_SEG + 3 * 32 + SEG_LIMIT)] = limit;
    slow = 0;
    run(offset, 3 | (size << 4) | (write ? 0x1000 : 0), 0);
    return slow === 0;
  };
  const DATA = 0x9300, READ_ONLY = 0x9100, CODE = 0x9b00, DOWN = 0x9700;
  assertEquals(passes(DATA, 0xffff, 0xfffc, 4, true), true);
  assertEquals(passes(DATA, 0xffff, 0xfffd, 4, true), false);
  assertEquals(passes(DATA, -1, -4, 4, false), true);
  assertEquals(passes(DATA, -1, -2, 4, false), false); // wraps
  assertEquals(passes(DATA, 0, 0, 1, false), true);
  assertEquals(passes(DATA, 0x80000000 | 0, 0x7fffffff, 2, true), true);
  assertEquals(passes(READ_ONLY, -1, 0, 4, true), false);
  assertEquals(passes(CODE, -1, 0, 4, false), true);
  assertEquals(passes(CODE, -1, 0, 4, true), false);
  assertEquals(passes(DOWN, 0, 1, 4, false), false);
  assertEquals(passes(DATA & ~0x8000, -1, 0, 4, false), false);
  assertEquals(passes(0, 0, 0, 1, false), false);
});
