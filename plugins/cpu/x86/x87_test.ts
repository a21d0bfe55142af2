import { assertEquals } from "@std/assert";
import { X86 } from "./cpu.ts";
import { MODELS } from "./models.ts";
import {
  OFF_CR,
  OFF_FCW,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
} from "./state.ts";
import { CHS, FORMAT_I32, POP, PTAN, SQRT, TO_OPERAND } from "./x87.ts";
import { type X87Images, x87Of } from "./x87_images.ts";

const IE = 1, ZE = 4, SF = 0x40, ES = 0x8080, C1 = 0x200;
const ADD = 0, DIV = 6;

/** A unit after FNINIT, and its CPU's state. */
function fresh(
  ferr?: (level: boolean) => void,
): { u: X87Images; s: Int32Array; cpu: X86 } {
  const cpu = new X86({ model: MODELS.pentium3, ferr });
  cpu.state[OFF_CR >> 2] |= 0x20; // NE
  const u = x87Of(cpu).ready();
  u.initialize();
  return { u, s: cpu.state, cpu };
}

/** ST(i) as a number, from integers and simple fractions. */
function st(s: Int32Array, i: number): number {
  const w = (OFF_FPR >> 2) + 4 * ((s[OFF_FTOP >> 2] + i) & 7);
  const se = s[w + 2] & 0xffff;
  const value = ((s[w + 1] >>> 0) * 2 ** 32 + (s[w] >>> 0)) *
    2 ** ((se & 0x7fff) - 0x3fff - 63);
  return se >= 0x8000 ? -value : value;
}
const isIndefinite = (s: Int32Array, i: number): boolean => {
  const w = (OFF_FPR >> 2) + 4 * ((s[OFF_FTOP >> 2] + i) & 7);
  return s[w] === 0 && s[w + 1] === (0xc0000000 | 0) && s[w + 2] === 0xffff;
};
const push = (u: X87Images, v: number): void => u.load(FORMAT_I32, v, 0, 0);

Deno.test("pushes, arithmetic and pops", () => {
  const { u, s } = fresh();
  push(u, 6);
  push(u, 3);
  assertEquals([s[OFF_FTOP >> 2], s[OFF_FTAG >> 2]], [6, 0xc0]);
  u.registers(DIV, 1, TO_OPERAND | POP); // ST(1) = ST(0) / ST(1)
  assertEquals([st(s, 0), s[OFF_FTOP >> 2], s[OFF_FTAG >> 2]], [0.5, 7, 0x80]);
  u.operandInteger(ADD, -2);
  assertEquals(st(s, 0), -1.5);
  u.compute(CHS);
  assertEquals([st(s, 0), s[OFF_FSW >> 2]], [1.5, 0]);
});

Deno.test("the ninth push overflows: masked it gives the indefinite NaN, with C1", () => {
  const { u, s } = fresh();
  for (let n = 0; n < 8; n++) push(u, n);
  u.loadConstant(0);
  assertEquals(s[OFF_FSW >> 2], IE | SF | C1);
  assertEquals([s[OFF_FTOP >> 2], isIndefinite(s, 0)], [7, true]);
});

Deno.test("an unmasked stack fault changes no register and becomes pending", () => {
  const { u, s } = fresh();
  u.setControl(0x37e);
  u.compute(SQRT);
  assertEquals(s[OFF_FSW >> 2], IE | SF | ES);
  assertEquals([s[OFF_FTAG >> 2], s[OFF_FTOP >> 2]], [0, 0]);
  u.clearExceptions();
  assertEquals(s[OFF_FSW >> 2], 0);
});

Deno.test("FPTAN with a full stack writes two indefinite NaNs", () => {
  const { u, s } = fresh();
  for (let n = 0; n < 8; n++) push(u, 1);
  u.compute(PTAN);
  assertEquals([isIndefinite(s, 0), isIndefinite(s, 1)], [true, true]);
  assertEquals(s[OFF_FSW >> 2], IE | SF | C1);
});

Deno.test("unmasking an exception that is recorded makes it pending", () => {
  const { u, s } = fresh();
  push(u, 1);
  u.operandInteger(DIV, 0);
  assertEquals(s[OFF_FSW >> 2], ZE);
  u.setControl(0x37b);
  assertEquals(s[OFF_FSW >> 2], ZE | ES);
  u.setControl(0x37f);
  assertEquals(s[OFF_FSW >> 2], ZE);
});

Deno.test("FERR# follows pending exceptions while CR0.NE is clear", () => {
  const levels: boolean[] = [];
  const { u, s } = fresh((level) => levels.push(level));
  assertEquals(levels, []);
  s[OFF_CR >> 2] &= ~0x20;
  u.setControl(0x37a);
  push(u, 1);
  u.operandInteger(DIV, 0);
  u.clearExceptions();
  assertEquals(levels, [false, true, false]);
});

Deno.test("FCOMI with an empty register is unordered", () => {
  const { u, s } = fresh();
  push(u, 1);
  assertEquals(u.compareFlags(3, true, false), 0x45);
  assertEquals([s[OFF_FSW >> 2], s[OFF_FTAG >> 2]], [IE | SF, 0]);
});

Deno.test("the tag word tells zero, special and empty registers", () => {
  const { u, s } = fresh();
  push(u, 1); // register 7: valid
  push(u, 0); // 6: zero
  u.compute(SQRT);
  u.loadF32(0x7f800000); // 5: special
  assertEquals(u.tagWord, 0b00_01_10_11_11_11_11_11);
  assertEquals(s[OFF_FCW >> 2], 0x37f);
});
