import { assert, assertEquals } from "@std/assert";
import { IrBlock } from "../ir/block.ts";
import { type Helper, IrBuilder } from "../ir/builder.ts";
import { CALLS, LOADS, Op, OPS, STORES } from "../ir/ops.ts";
import { type Global, I32 } from "../ir/types.ts";
import { analyse } from "../wasm/structure.ts";
import { planFlatAccesses } from "./flat_accesses.ts";
import type { AccessPlan } from "./region_accesses.ts";

const GLOBALS: Global[] = Array.from({ length: 4 }, (_, index) => ({
  index,
  name: `g${index}`,
  type: I32,
  offset: 8 * index,
}));
const [A, B] = GLOBALS;
const HELPER: Helper = {
  index: 0,
  name: "helper",
  args: 0,
  faults: false,
  reads: [],
  writes: "all",
  fn: () => 0,
};
const LOAD = Op["ld32"], STORE = Op["st32"];

function block(make: (b: IrBuilder) => void): IrBlock {
  const k = new IrBlock(GLOBALS);
  const b = new IrBuilder(k);
  b.start(k, 0, 0);
  make(b);
  return k;
}

/** Whether each block's accesses are known, in the order of the accesses. */
function known(
  graph: number[][],
  ...blocks: ((b: IrBuilder) => void)[]
): boolean[][] {
  const ir = blocks.map(block);
  const plans = planFlatAccesses(ir, analyse(graph));
  return ir.map((k, n) =>
    Array.from({ length: k.length }, (_, i) => plans[n].clusters.get(i))
      .filter((c) => c !== undefined).map((c) => c.known)
  );
}

const read = (g: Global, at = 0) => (b: IrBuilder): void => {
  b.load(LOAD, b.get(g), at, 0);
};
const write = (g: Global, at = 0) => (b: IrBuilder): void => {
  b.store(STORE, b.get(g), at, b.i32(1), 0);
};

Deno.test("flat accesses: what one block has looked up, the next one knows, as far as a page goes", () => {
  const chain = [[1], [-1]];
  assertEquals(known(chain, read(A), read(A, 100)), [[false], [true]]);
  assertEquals(known(chain, read(A), read(A, 4092)), [[false], [true]]);
  assertEquals(known(chain, read(A), read(A, 4093)), [[false], [false]]);
  assertEquals(known(chain, read(A), read(A, -1)), [[false], [false]]);
  assertEquals(known(chain, read(A), read(B)), [[false], [false]]);
});

Deno.test("flat accesses: facts go with the value, and end where it does", () => {
  const chain = [[1], [-1]];
  const next = (b: IrBuilder): void => {
    b.load(LOAD, b.get(A), 0, 0);
    b.set(A, b.add(b.get(A), b.i32(100)));
  };
  assertEquals(known(chain, next, read(A, -100)), [[false], [true]]);
  assertEquals(known(chain, next, read(A, -104)), [[false], [false]]);
  assertEquals(known(chain, next, read(A, 3993)), [[false], [false]]);
  const copy = (b: IrBuilder): void => {
    b.load(LOAD, b.get(A), 0, 0);
    b.set(B, b.get(A));
    b.set(A, b.i32(5));
  };
  assertEquals(known(chain, copy, read(B)), [[false], [true]]);
  assertEquals(known(chain, copy, read(A)), [[false], [false]]);
  const sum = (b: IrBuilder): void => {
    const at = b.add(b.get(A), b.shl(b.get(B), b.i32(2)));
    b.load(LOAD, at, 8, 0);
  };
  assertEquals(known(chain, sum, sum), [[false], [true]]);
  const changes = (b: IrBuilder): void => {
    sum(b);
    b.set(B, b.i32(7));
  };
  assertEquals(known(chain, changes, sum), [[false], [false]]);
});

Deno.test("flat accesses: a helper ends all facts", () => {
  const call = (b: IrBuilder): void => {
    b.load(LOAD, b.get(A), 0, 0);
    b.call(HELPER);
  };
  const after = (b: IrBuilder): void => {
    b.call(HELPER);
    b.load(LOAD, b.get(A), 0, 0);
  };
  const chain = [[1], [-1]];
  assertEquals(known(chain, call, read(A)), [[false], [false]]);
  assertEquals(known(chain, read(A), after), [[false], [false]]);
  assertEquals(known(chain, after, read(A)), [[false], [true]]);
});

Deno.test("flat accesses: all ways into a block must have shown it; a region is entered from outside", () => {
  const diamond = [[1, 2], [3], [3], [-1]];
  const nothing = (): void => {};
  assertEquals(
    known(diamond, nothing, read(A), read(A), read(A))[3],
    [true],
  );
  assertEquals(
    known(diamond, nothing, read(A), nothing, read(A))[3],
    [false],
  );
  // Around a loop: the entry looks up each time, what follows never.
  assertEquals(known([[1], [0]], read(A), read(A)), [[false], [true]]);
  assertEquals(
    known([[1], [1, 2], [-1]], read(A), read(A), read(A)),
    [[false], [true], [true]],
  );
});

Deno.test("flat accesses: a read before a write asks for both", () => {
  const ir = [read(A), write(A, 4)].map(block);
  const plans = planFlatAccesses(ir, analyse([[1], [-1]]));
  const [first, second] = plans.map((p) => [...p.clusters.values()][0]);
  assertEquals([first.known, first.isStore], [false, true]);
  assertEquals(second.known, true);
  assertEquals(known([[1], [-1]], write(A), read(A)), [[false], [true]]);
});

/** A generator of numbers below 2^32, always the same. */
function numbers(seed: number): (below: number) => number {
  let s = seed;
  return (below) => {
    s = Math.imul(s ^ s >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return ((s ^ s >>> 13) >>> 0) % below;
  };
}

function randomBlock(random: (below: number) => number): IrBlock {
  return block((b) => {
    for (let n = 1 + random(5); n > 0; n--) {
      const g = GLOBALS[random(3)], h = GLOBALS[random(3)];
      const disp = random(4) === 0 ? random(6000) - 3000 : random(64);
      const at = random(4) === 0
        ? b.add(b.get(g), b.shl(b.get(h), b.i32(random(3))))
        : random(8) === 0
        ? b.i32(random(3000))
        : b.get(g);
      switch (random(8)) {
        case 0:
        case 1:
        case 2:
          b.load(LOAD, at, disp, 0);
          break;
        case 3:
        case 4:
          b.store(STORE, at, disp, b.i32(0), 0);
          break;
        case 5:
          b.set(g, b.add(b.get(h), b.i32(random(40) * 100 - 2000)));
          break;
        case 6:
          b.set(g, b.load(LOAD, at, disp, 0));
          break;
        case 7:
          if (random(6) === 0) b.call(HELPER);
          else b.set(g, b.i32(random(5000)));
      }
    }
  });
}

/** Goes a random way through a region: every access must be within what a lookup on this way has shown. */
function walk(
  ir: readonly IrBlock[],
  plans: readonly AccessPlan[],
  graph: readonly (readonly number[])[],
  random: (below: number) => number,
): number {
  const globals = GLOBALS.map(() => random(3) * 5000 - 5000);
  let shown: { low: number; isStore: boolean }[] = [];
  let spared = 0;
  for (let n = 0, steps = 0; n >= 0 && steps < 60; steps++) {
    const k = ir[n];
    const values = new Int32Array(k.values);
    const seen = new Set();
    for (let i = 0; i < k.length; i++) {
      const { effects, width } = OPS[k.op[i]];
      const [a, b] = [values[k.a[i]], values[k.b[i]]];
      let v = 0;
      if (k.op[i] === Op["get32"]) v = globals[k.lo[i]];
      else if (k.op[i] === Op["set32"]) globals[k.lo[i]] = a;
      else if (k.op[i] === Op["const32"]) v = k.lo[i];
      else if (k.op[i] === Op["i32.add"]) v = a + b | 0;
      else if (k.op[i] === Op["i32.shl"]) v = a << b;
      else if ((effects & CALLS) !== 0) {
        shown = [];
        GLOBALS.forEach((_, g) => globals[g] = random(3) * 5000);
      } else if ((effects & (LOADS | STORES)) !== 0) {
        const c = plans[n].clusters.get(i)!;
        if (!c.known && !seen.has(c)) {
          shown.push({ low: a + c.low | 0, isStore: c.isStore });
        }
        seen.add(c);
        if (c.known) spared++;
        const isStore = (effects & STORES) !== 0;
        const at = (a + k.lo[i]) | 0;
        assert(
          shown.some((s) =>
            ((at - s.low) >>> 0) + width <= 4096 && (s.isStore || !isStore)
          ),
          `block ${n}, operation ${i}: ${at} was not shown`,
        );
        v = random(3) * 5000 - 5000;
      }
      if (k.dst[i] !== 0) values[k.dst[i]] = v;
    }
    n = graph[n][random(graph[n].length)];
  }
  return spared;
}

Deno.test("flat accesses: whatever way control goes through random regions, it has shown what is known", () => {
  const random = numbers(7);
  let spared = 0;
  for (let region = 0; region < 1500; region++) {
    const size = 1 + random(7);
    const ir = Array.from({ length: size }, () => randomBlock(random));
    const { graph, order, idom } = analyse(
      ir.map(() => [random(size + 1) - 1, random(size + 1) - 1]),
    );
    const plans = planFlatAccesses(ir, { graph, order, idom });
    for (let way = 0; way < 8; way++) spared += walk(ir, plans, graph, random);
  }
  assert(spared > 10_000, `${spared} lookups spared`);
});
