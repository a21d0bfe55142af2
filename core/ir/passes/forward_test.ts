import { assertEquals } from "@std/assert";
import { IrBlock } from "../block.ts";
import { type Helper, IrBuilder } from "../builder.ts";
import { Op } from "../ops.ts";
import { type Global, I32, I64 } from "../types.ts";
import { verify } from "../verifier.ts";
import { Forwarding } from "./forward.ts";

const GLOBALS: Global[] = ["x", "y"].map((name, index) => ({
  index,
  name,
  type: I32,
  offset: 0x100 + 8 * index,
}));
GLOBALS.push({ index: 2, name: "wide", type: I64, offset: 0x110 });
const [X, Y, WIDE] = GLOBALS;
const HELPER: Helper = {
  index: 0,
  name: "helper",
  args: 0,
  faults: false,
  reads: [],
  writes: [],
  fn: () => 0,
};
const NOP = Op["nop"];

/** Builds a block and forwards its loads: the block, and how many. */
function forward(f: (b: IrBuilder) => void): [IrBlock, number] {
  const block = new IrBlock(GLOBALS);
  const b = new IrBuilder(block);
  b.start(block, 0x1000, 0);
  b.insn(0x1000, 0);
  f(b);
  if (!b.ended) b.jump(0x1004);
  const forwarded = new Forwarding().run(block);
  verify(block, [HELPER]);
  return [block, forwarded];
}

/** Whether the second of two loads of a place is forwarded, with something in between. */
function survives(between: (b: IrBuilder) => void): boolean {
  return forward((b) => {
    const base = b.get(X);
    b.set(Y, b.load(Op["ld32"], base, 8, 0));
    between(b);
    b.set(Y, b.load(Op["ld32"], base, 8, 0));
  })[1] === 1;
}

Deno.test("forwarding: a load of what was loaded or stored is its value, to the end of the block", () => {
  const values: number[] = [];
  const [block, forwarded] = forward((b) => {
    const base = b.get(X);
    values.push(b.load(Op["ld32"], base, 8, 0));
    const sum = b.add(b.load(Op["ld32"], base, 8, 0), b.i32(5));
    b.store(Op["st32"], base, -4, sum, 0);
    b.set(Y, b.load(Op["ld32"], base, -4, 0));
    const wide = b.get(WIDE);
    b.store(Op["st64"], base, 16, wide, 0);
    b.set(WIDE, b.load(Op["ld64"], base, 16, 0));
    values.push(sum, wide);
    b.branch(b.load(Op["ld32"], base, -4, 0), 0x1000, 0x1004);
  });
  assertEquals(forwarded, 4);
  const [loaded, sum, wide] = values;
  assertEquals(block.a[block.valueDef[sum]], loaded);
  const sets = [...block.op.subarray(0, block.length).keys()]
    .filter((i) => [Op["set32"], Op["set64"]].includes(block.op[i]));
  assertEquals(sets.map((i) => block.a[i]), [sum, wide]);
  assertEquals(block.termValue, sum);
});

Deno.test("forwarding: what is not the same place, or not all of it, is loaded", () => {
  const [, forwarded] = forward((b) => {
    const base = b.get(X);
    b.set(Y, b.load(Op["ld32"], base, 8, 0));
    // Another displacement, width, extension, TLB, base.
    b.set(Y, b.load(Op["ld32"], base, 12, 0));
    b.set(Y, b.load(Op["ld16u"], base, 8, 0));
    b.set(Y, b.load(Op["ld16s"], base, 8, 0));
    b.set(Y, b.load(Op["ld32"], base, 8, 1));
    b.set(Y, b.load(Op["ld32"], b.get(Y), 8, 0));
    // A store that keeps a part of its value.
    b.store(Op["st8"], base, 20, b.get(Y), 0);
    b.set(Y, b.load(Op["ld8u"], base, 20, 0));
  });
  assertEquals(forwarded, 0);
});

Deno.test("forwarding: stores that may change a place, and helpers, end what is known of it", () => {
  const store = (displacement: number, op = Op["st32"], mmu = 0) => {
    return (b: IrBuilder): void => {
      const value = op === Op["st64"] ? b.get(WIDE) : b.i32(1);
      b.store(op, b.get(X), displacement, value, mmu);
    };
  };
  assertEquals(survives(() => {}), true);
  // The place is 8 to 11.
  assertEquals(survives(store(4)), true);
  assertEquals(survives(store(12)), true);
  assertEquals(survives(store(7, Op["st8"])), true);
  assertEquals(survives(store(0, Op["st64"])), true);
  assertEquals(survives(store(5)), false);
  assertEquals(survives(store(11, Op["st8"])), false);
  assertEquals(survives(store(1, Op["st64"])), false);
  // The same page may stand at another address as well.
  assertEquals(survives(store(8 + 4096)), false);
  assertEquals(survives(store(5 - 4096)), false);
  assertEquals(survives(store(11 + (1 << 24), Op["st8"])), false);
  assertEquals(survives(store(-0x7ffffff8)), false);
  assertEquals(survives(store(12 + 4096)), true);
  assertEquals(survives(store(4 - 8192)), true);
  assertEquals(survives(store(12, Op["st32"], 1)), false);
  assertEquals(
    survives((b) => b.store(Op["st8"], b.get(Y), 100, b.i32(1), 0)),
    false,
  );
  assertEquals(survives((b) => void b.call(HELPER)), false);
  assertEquals(
    survives((b) => b.set(Y, b.load(Op["ld32"], b.get(Y), 0, 0))),
    true,
  );
});

Deno.test("forwarding: places at both ends of the displacements overlap where addresses do", () => {
  const [, forwarded] = forward((b) => {
    const base = b.get(X);
    b.set(Y, b.load(Op["ld32"], base, 0x7ffffffe, 0));
    b.store(Op["st32"], base, -0x80000000, b.i32(1), 0);
    b.set(Y, b.load(Op["ld32"], base, 0x7ffffffe, 0));
  });
  assertEquals(forwarded, 0);
});

Deno.test("forwarding: the oldest of many places is forgotten, the others are not", () => {
  const many = (again: number): number =>
    forward((b) => {
      const base = b.get(X);
      for (let i = 0; i < 17; i++) {
        b.set(Y, b.load(Op["ld32"], base, 4 * i, 0));
      }
      b.set(Y, b.load(Op["ld32"], base, 4 * again, 0));
    })[1];
  assertEquals([0, 1, 16].map(many), [0, 1, 1]);
});

Deno.test("forwarding: an address that is computed again from a forwarded value is one", () => {
  const [block, forwarded] = forward((b) => {
    const base = b.get(X);
    const element = (): number => {
      const index = b.load(Op["ld32"], base, -16, 0);
      return b.add(b.get(Y), b.op(Op["i32.shl"], index, b.i32(2)));
    };
    const v = b.load(Op["ld32"], element(), 0, 0);
    b.store(Op["st32"], element(), 0, b.add(v, b.i32(1)), 0);
  });
  assertEquals(forwarded, 1);
  const of = (op: number): number[] =>
    [...block.op.subarray(0, block.length).keys()]
      .filter((i) => block.op[i] === op);
  const [, load] = of(Op["ld32"]);
  const [store] = of(Op["st32"]);
  assertEquals(block.a[store], block.a[load]);
  assertEquals(of(NOP).length, 3);
});
