import { assert, assertEquals, assertThrows } from "@std/assert";
import { IrBlock } from "./block.ts";
import { type Helper, IrBuilder } from "./builder.ts";
import { Op, type OpInfo, OPS } from "./ops.ts";
import { Liveness } from "./passes/liveness.ts";
import { printBlock } from "./printer.ts";
import { type Global, I32, I64, WASM_TYPES } from "./types.ts";
import { IrError, verify } from "./verifier.ts";

const GLOBALS: Global[] = ["x", "y", "z"].map((name, index) => ({
  index,
  name,
  type: I32,
  offset: 0x100 + 8 * index,
}));
GLOBALS.push({ index: 3, name: "wide", type: I64, offset: 0x118 });
const [X, Y, Z, WIDE] = GLOBALS;
const LOOKS: Helper = {
  index: 0,
  name: "looks",
  args: 1,
  faults: false,
  reads: [Y],
  writes: [Z],
  fn: () => 0,
};

function build(f: (b: IrBuilder) => void): IrBlock {
  const block = new IrBlock(GLOBALS);
  const b = new IrBuilder(block);
  b.start(block, 0x1000, 0);
  b.insn(0x1000, 5);
  f(b);
  if (!b.ended) b.jump(0x1004);
  verify(block, [LOOKS]);
  return block;
}

Deno.test("the op table is dense and complete", () => {
  OPS.forEach((op, i) => {
    assertEquals(op.id, i);
    assertEquals(Op[op.name as keyof typeof Op], i);
    if (op.effects === 0 && !op.name.startsWith("const")) {
      assertEquals(
        op.wasm.length > 0 || op.name === "i8x16.shuffle",
        true,
        op.name,
      );
    }
  });
});

Deno.test("golden: a block with every kind of operation", () => {
  const block = build((b) => {
    const v = b.load(Op["ld16u"], b.add(b.get(X), b.i32(8)), -4, 0);
    b.set(Y, b.add(v, b.get(Y)));
    b.store(Op["st32"], b.get(X), -8, b.get(Y), 1);
    b.set(WIDE, b.op(Op["i64.extend_i32_u"], b.call(LOOKS, b.get(Z))));
    b.trap(b.eqz(v), 0xd);
    b.set(Z, b.get(Z));
    b.branch(b.ltS(v, b.get(Y)), 0x1010, 0x1004);
  });
  assertEquals(
    printBlock(block, [LOOKS]),
    `insn 0x1000 aux 5
  v1 = x
  v2 = const32 0x8
  v3 = i32.add v1, v2
  v4 = ld16u [v1 + 0x4] mmu 0
  v5 = y
  v6 = i32.add v4, v5
  y = v6
  st32 [v1 - 0x8], v6 mmu 1
  v7 = z
  v8 = call looks(v7)
  v9 = i64.extend_i32_u v8
  wide = v9
  v10 = i32.eqz v4
  trap 0xd if v10
  v11 = z
  v12 = i32.lt_s v4, v6
  branch v12, 0x1010, 0x1004
`,
  );
});

Deno.test("folding: constants and identities leave no operation", () => {
  const cases: [string, (b: IrBuilder) => number, string][] = [
    ["2 + 3", (b) => b.add(b.i32(2), b.i32(3)), "const32 0x5"],
    ["x + 0", (b) => b.add(b.get(X), b.i32(0)), "x"],
    [
      "(x + 2) + 3",
      (b) => b.add(b.add(b.get(X), b.i32(2)), b.i32(3)),
      "i32.add",
    ],
    ["x - x", (b) => b.sub(b.get(X), b.get(X)), "const32 0x0"],
    ["(x - y) + y", (b) => b.add(b.sub(b.get(X), b.get(Y)), b.get(Y)), "x"],
    ["x & -1", (b) => b.and(b.get(X), b.i32(-1)), "x"],
    ["x << 32", (b) => b.shl(b.get(X), b.i32(32)), "x"],
    ["x * 8", (b) => b.mul(b.get(X), b.i32(8)), "i32.shl"],
    ["select", (b) => b.select(b.i32(1), b.get(X), b.get(Y)), "x"],
    [
      "(x < y) != 0",
      (b) => b.ne(b.ltS(b.get(X), b.get(Y)), b.i32(0)),
      "i32.lt_s",
    ],
  ];
  for (const [what, f, expected] of cases) {
    let v = 0;
    const block = build((b) => {
      v = f(b);
      b.set(Z, v);
    });
    const line = printBlock(block).split("\n").find((l) =>
      l.startsWith(`  v${v} = `)
    );
    assertEquals(line?.includes(expected), true, `${what}: ${line}`);
  }
});

Deno.test("folding: a byte that has just been written is what was written", () => {
  build((b) => {
    const x = b.get(X);
    const byte = b.and(b.get(Y), b.i32(0xff));
    const written = b.or(b.and(x, b.i32(~0xff)), byte);
    assertEquals(b.and(written, b.i32(0xff)), byte);
    assert(b.and(written, b.i32(0x1ff)) !== byte);
    const wideX = b.op(Op["i64.extend_i32_u"], x);
    const high = b.op(Op["i64.shl"], wideX, b.i64(7));
    const kept = b.op(Op["i64.and"], high, b.i64(~0xff, -1));
    const extended = b.op(Op["i64.extend_i32_u"], byte);
    const both = b.op(Op["i64.or"], kept, extended);
    const read = b.op(Op["i32.wrap_i64"], both);
    assertEquals(b.and(read, b.i32(0xff)), byte);
    assert(b.and(read, b.i32(0x1ff)) !== byte);
    b.set(Z, b.add(b.and(written, b.i32(3)), b.and(read, b.i32(3))));
  });
});

/** An operation of the table as a WebAssembly function of the same types. */
function compiled(op: OpInfo): (...args: (number | bigint)[]) => unknown {
  const types = op.args.map((type) => WASM_TYPES[type]);
  const type = [0x60, types.length, ...types, 1, WASM_TYPES[op.result]];
  const body = [0, ...types.flatMap((_, i) => [0x20, i]), ...op.wasm, 0x0b];
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, type.length + 1, 1, ...type],
    ...[3, 2, 1, 0],
    ...[7, 5, 1, 1, 0x66, 0, 0],
    ...[10, body.length + 2, 1, body.length, ...body],
  ];
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(Uint8Array.from(bytes)),
  );
  return exports.f as (...args: (number | bigint)[]) => unknown;
}

Deno.test("folding agrees with WebAssembly on i32", () => {
  const values = [0, 1, -1, 2, 31, 32, 33, 0x7fffffff, -0x80000000, 0x12345678];
  for (const op of OPS) {
    if (op.fold === undefined) continue;
    const f = compiled(op);
    for (const a of values) {
      for (const b of values) {
        assertEquals(op.fold(a, b) | 0, f(a, b), `${op.name} ${a} ${b}`);
      }
    }
  }
});

Deno.test("folding agrees with WebAssembly on i64", () => {
  const values = [0n, 1n, -1n, 2n, 5n, 31n, 32n, 33n, 63n, 64n, 65n];
  values.push(0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 32n, -(1n << 32n));
  values.push((1n << 63n) - 1n, -(1n << 63n), 0x123456789abcdef0n);
  const half = (v: bigint): number => Number(BigInt.asIntN(32, v));
  const names = "add sub mul and or xor shl shr_u shr_s".split(" ");
  for (const op of names.map((name) => OPS[Op[`i64.${name}` as "i64.add"]])) {
    const f = compiled(op);
    for (const x of values) {
      for (const y of values) {
        build((b) => {
          const i64 = (v: bigint): number => b.i64(half(v), half(v >> 32n));
          const v = b.op(op.id, i64(x), i64(y));
          assert(b.isConst64(v), `${op.name} ${x} ${y}`);
          const folded = BigInt(b.highOf(v)) << 32n |
            BigInt(b.constOf(v) >>> 0);
          assertEquals(folded, f(x, y), `${op.name} ${x} ${y}`);
        });
      }
    }
  }
});

Deno.test("liveness removes what nothing sees, and only that", () => {
  const block = build((b) => {
    b.set(Y, b.add(b.get(X), b.i32(1))); // dead: written again before any exit
    b.set(Z, b.i32(1)); // dead: the helper overwrites it
    b.set(Y, b.add(b.get(X), b.i32(2))); // the helper reads it
    b.call(LOOKS, b.get(X));
    b.set(X, b.i32(3)); // a load may show it
    b.load(Op["ld32"], b.get(Y), 0, 0);
    b.set(X, b.i32(4));
  });
  const liveness = new Liveness(GLOBALS.length);
  liveness.run(block, [LOOKS]);
  assertEquals(
    printBlock(block, [LOOKS]),
    `insn 0x1000 aux 5
  v1 = x
  v4 = const32 0x2
  v5 = i32.add v1, v4
  y = v5
  v6 = call looks(v1)
  v7 = const32 0x3
  x = v7
  v8 = ld32 [v1 + 0x2] mmu 0
  v9 = const32 0x4
  x = v9
  jump 0x1004
`,
  );
  // What was dead in one block is live at the end of the next.
  const other = build((b) => b.set(Y, b.get(X)));
  liveness.run(other, [LOOKS]);
  assertEquals(
    printBlock(other),
    "insn 0x1000 aux 5\n  v1 = x\n  y = v1\n  jump 0x1004\n",
  );
});

Deno.test("the verifier refuses broken blocks", () => {
  const broken: ((k: IrBlock) => void)[] = [
    (k) => k.term = 0,
    (k) => k.a[2] = 99,
    (k) => k.a[1] = 0,
    (k) => k.lo[0] = 77,
    (k) => k.insns = 2,
    (k) => k.dst[2] = 1,
  ];
  for (const f of broken) {
    const block = new IrBlock(GLOBALS);
    const b = new IrBuilder(block);
    b.start(block, 0, 0);
    const x = b.get(X);
    b.op(Op["i32.clz"], x);
    b.op(Op["i32.ctz"], x);
    b.jump(4);
    verify(block, []);
    f(block);
    assertThrows(() => verify(block, []), IrError);
  }
});
