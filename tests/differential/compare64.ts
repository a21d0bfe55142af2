/**
 * Compares what two executions of a case of 64-bit mode left behind.
 *
 * @module
 */

import { blameAt, bytes, compareRest, EFLAGS_MASK, hex } from "./compare.ts";
import { undefinedFlags } from "./generate.ts";
import type { Case64 } from "./generate64.ts";
import { endsApart, isLeft } from "./host_cpu.ts";
import { TIMEOUT_VECTOR } from "./record.ts";
import { type CaseRecord64, GPR64_NAMES, USER_END } from "./record64.ts";

/** #SS, #GP, #PF, #AC. */
const MEMORY_FAULTS: readonly number[] = [12, 13, 14, 17];

function hex64(v: bigint): string {
  return BigInt.asUintN(64, v).toString(16).padStart(16, "0");
}

/** How far behind the case's start it ended. */
function ended(c: Case64, expected: CaseRecord64): number {
  return Number(expected.rip - c.record.rip);
}

/** The form of the instruction that is to blame for a difference, to group failures. */
export function blame64(c: Case64, expected: CaseRecord64): string {
  return blameAt(c, ended(c, expected), expected.vector);
}

/** Prefixes, REX among them; and of them FS and GS. */
const isPrefix = (x: number): boolean =>
  (x & 0xf0) === 0x40 || [0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(x) ||
  [0x26, 0x2e, 0x36, 0x3e].includes(x) || isBase(x);
const isBase = (x: number): boolean => x === 0x64 || x === 0x65;

/** Whether the instruction `offset` bytes behind the start has a prefix FS or GS. */
function hasBase(c: Case64, offset: number): boolean {
  let at = 0;
  const piece = c.pieces.find((x) => (at += x.bytes.length) > offset);
  const bytes = piece?.bytes ?? [];
  const opcode = bytes.findIndex((x) => !isPrefix(x));
  return bytes.slice(0, opcode).some(isBase);
}

/** Where the oracle keeps what belongs to itself: a wild access there proves nothing. */
function isPrivate(address: bigint): boolean {
  return address >= 0x3f0000n && address < 0x430000n;
}

/** The differences, one a line; empty if there are none. */
export function differences64(
  c: Case64,
  expected: CaseRecord64,
  actual: CaseRecord64,
): string[] {
  const out: string[] = [];
  if (expected.vector === TIMEOUT_VECTOR) return out;
  // AMD's LDMXCSR takes MM (bit 17), after which little must be aligned.
  if ((expected.mxcsr & 0x20000) !== 0) return out;
  if (actual.vector === 14 && isPrivate(actual.address)) return out;
  const [host, here] = [expected, actual].map((r) => ({
    vector: r.vector,
    address: r.address,
    form: blame64(c, r),
  }));
  if (endsApart(host, here)) return out;
  const note = (what: string, e: string, a: string): void => {
    if (e !== a && !isLeft(host, what)) {
      out.push(`${what}: expected ${e}, got ${a}`);
    }
  };
  const [e, a] = [expected.vector, actual.vector];
  if (e !== a && [e, a].every((v) => MEMORY_FAULTS.includes(v))) {
    // Which of its two operands CMPS reads first is the CPU's choice.
    if (/^a[67]\b/.test(blame64(c, expected))) return out;
    // Zen 5 wants the offset to be canonical, too, not only its sum with the
    // base of FS or GS (SDM volume 1, 3.3.7.1).
    if (
      e === 13 && a === 14 && actual.address >= USER_END &&
      hasBase(c, ended(c, expected))
    ) {
      return out;
    }
  }
  note("vector", `${expected.vector}`, `${actual.vector}`);
  note("rip", hex64(expected.rip), hex64(actual.rip));
  if (out.length > 0) return out;
  // Linux says of all addresses that are not a program's that they are present.
  const isSystem = expected.vector === 14 && expected.address >= USER_END;
  const present = isSystem ? 1 : 0;
  note("error code", hex(expected.error), hex(actual.error | present));
  if (!/^a[67]\b/.test(blame64(c, expected))) {
    note("cr2", hex64(expected.address), hex64(actual.address));
  }
  const mask = EFLAGS_MASK & ~undefinedFlags(c, ended(c, expected));
  note("eflags", hex(expected.eflags & mask), hex(actual.eflags & mask));
  GPR64_NAMES.forEach((name, i) =>
    note(name, hex64(expected.gpr(i)), hex64(actual.gpr(i)))
  );
  compareRest(note, expected, actual, 16);
  for (let i = 0; i < 16; i++) {
    note(`ymmh${i}`, bytes(expected.ymmh(i)), bytes(actual.ymmh(i)));
  }
  return out;
}

/** Everything about a case that a reader needs. */
export function describe64(c: Case64): string {
  const r = c.record;
  const lines = [
    GPR64_NAMES.map((n, i) => `${n}=${hex64(r.gpr(i))}`).join(" "),
    `rip=${hex64(r.rip)} eflags=${hex(r.eflags)} fcw=${hex(r.fcw, 4)} ` +
    `fsw=${hex(r.fsw, 4)} ftw=${hex(r.ftw, 2)} mxcsr=${hex(r.mxcsr, 4)}`,
    ...c.pieces.map((p) =>
      `[${p.form}] ${p.bytes.map((b) => hex(b, 2)).join(" ")}`
    ),
  ];
  if (r.fx.some((x, k) => k >= 32 && x !== 0)) {
    for (let i = 0; i < 16; i++) {
      lines.push(`xmm${i}=${bytes(r.xmm(i))} ymmh${i}=${bytes(r.ymmh(i))}`);
    }
    for (let i = 0; i < 8; i++) lines.push(`st${i}=${bytes(r.st(i))}`);
  }
  return lines.join("\n");
}
