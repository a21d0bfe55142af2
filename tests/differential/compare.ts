/**
 * Compares what two executions of a case left behind, and minimises a case
 * that differs.
 *
 * @module
 */

import { type Case, type Piece, undefinedFlags } from "./generate.ts";
import { endsApart, isLeft } from "./host_cpu.ts";
import { type CaseRecord, CODE, GPR_NAMES, TIMEOUT_VECTOR } from "./record.ts";
import { SUPERVISOR_CODE } from "./rhea.ts";

/** A number in hexadecimal. */
export function hex(v: number, digits = 8): string {
  return (v >>> 0).toString(16).padStart(digits, "0");
}

/** A little-endian number in hexadecimal. */
export function bytes(b: Uint8Array): string {
  return Array.from(b).reverse().map((x) => hex(x, 2)).join("");
}

/** EFLAGS bits that are compared: all defined ones but RF, which the kernel may change. */
export const EFLAGS_MASK = 0x244fd5;

/** Where each side keeps what belongs to itself: a wild access there proves nothing. */
const PRIVATE: [number, number][] = [
  [SUPERVISOR_CODE - 0x3000, SUPERVISOR_CODE + 0x10000],
  [0x8048000, 0x8070000],
];

/** What records of all modes have. */
type Rest = Pick<
  CaseRecord,
  "fcw" | "fsw" | "ftw" | "mxcsr" | "st" | "xmm" | "code" | "data"
>;

/** The differences, one a line; empty if there are none. */
export function differences(
  c: Case,
  expected: CaseRecord,
  actual: CaseRecord,
): string[] {
  const out: string[] = [];
  if (expected.vector === TIMEOUT_VECTOR) return out;
  for (const { vector, address } of [expected, actual]) {
    if (
      vector === 14 &&
      PRIVATE.some(([from, to]) => address >= from && address < to)
    ) return out;
  }
  // AMD checks no alignment for BOUND.
  if (
    (expected.vector === 17 || actual.vector === 17) &&
    /^62 /.test(blame(c, expected))
  ) return out;
  const [host, here] = [expected, actual].map((r) => ({
    vector: r.vector,
    address: r.address,
    form: blame(c, r),
  }));
  if (endsApart(host, here)) return out;
  const note = (what: string, e: string, a: string): void => {
    if (e !== a && !isLeft(host, what)) {
      out.push(`${what}: expected ${e}, got ${a}`);
    }
  };
  note("vector", `${expected.vector}`, `${actual.vector}`);
  note("eip", hex(expected.eip), hex(actual.eip));
  if (out.length > 0) return out;
  note("error code", hex(expected.error), hex(actual.error));
  // Which of its two operands CMPS reads first is the CPU's choice.
  if (!/^a[67]\b/.test(blame(c, expected))) {
    note("cr2", hex(expected.address), hex(actual.address));
  }
  const mask = EFLAGS_MASK & ~undefinedFlags(c, ended(c, expected));
  note("eflags", hex(expected.eflags & mask), hex(actual.eflags & mask));
  // A POPA that faults halfway has loaded some registers on AMD; in Rhea it
  // has not, as faults have it (SDM volume 3, 6.5).
  const halfway = expected.vector !== 3 && /^61\b/.test(blame(c, expected));
  if (!halfway) {
    GPR_NAMES.forEach((name, i) =>
      note(name, hex(expected.gpr(i)), hex(actual.gpr(i)))
    );
  }
  compareRest(note, expected, actual, 8);
  for (let i = 0; i < 8; i++) {
    note(`ymmh${i}`, bytes(expected.ymmh(i)), bytes(actual.ymmh(i)));
  }
  return out;
}

/** Compares x87, SSE (`xmms` registers), code and data. */
export function compareRest(
  note: (what: string, e: string, a: string) => void,
  expected: Rest,
  actual: Rest,
  xmms: number,
): void {
  note("fcw", hex(expected.fcw, 4), hex(actual.fcw, 4));
  note("fsw", hex(expected.fsw, 4), hex(actual.fsw, 4));
  note("ftw", hex(expected.ftw, 2), hex(actual.ftw, 2));
  note("mxcsr", hex(expected.mxcsr, 4), hex(actual.mxcsr, 4));
  for (let i = 0; i < 8; i++) {
    note(`st${i}`, bytes(expected.st(i)), bytes(actual.st(i)));
  }
  for (let i = 0; i < xmms; i++) {
    note(`xmm${i}`, bytes(expected.xmm(i)), bytes(actual.xmm(i)));
  }
  for (const key of ["code", "data"] as const) {
    const [e, a] = [expected[key], actual[key]];
    for (let i = 0; i < e.length; i++) {
      if (e[i] !== a[i]) {
        const to = Math.min(i + 16, e.length);
        note(
          `${key}+${hex(i, 4)}`,
          bytes(e.subarray(i, to)),
          bytes(a.subarray(i, to)),
        );
        break;
      }
    }
  }
}

/** How far behind the case's start it ended. */
function ended(c: Case, expected: CaseRecord): number {
  return expected.eip - CODE - c.record.codeOffset;
}

/** The form of the instruction that is to blame for a difference, to group failures. */
export function blame(c: Case, expected: CaseRecord): string {
  return blameAt(c, ended(c, expected), expected.vector);
}

/** The same, of a case that ended `offset` bytes behind its start. */
export function blameAt(
  c: Case<unknown>,
  offset: number,
  vector: number,
): string {
  let at = 0;
  let last = "(nothing)";
  for (const piece of c.pieces) {
    if (at === offset && vector !== 3) return piece.form;
    if (at >= offset) break;
    last = piece.form;
    at += piece.bytes.length;
  }
  return last;
}

/** Follows the undefined flags anew; undefined if one is read. */
function retrack(pieces: readonly Piece[]): Piece[] | undefined {
  let now = 0;
  const out: Piece[] = [];
  for (const x of pieces) {
    if (((x.reads ?? 0) & now) !== 0) return undefined;
    const after = now & (x.keeps ?? ~0) | (x.sets ?? 0);
    out.push({ ...x, undefinedBefore: now, undefinedAfter: after });
    now = after;
  }
  return out;
}

/** What minimising needs of a record. */
interface Simple<R> {
  readonly codeOffset: number;
  eflags: number;
  clone(): R;
  setFxDefaults(): void;
}

/** Leaves out instructions for as long as the case still fails. `place` writes them into a record. */
export async function minimise<R extends Simple<R>>(
  c: Case<R>,
  place: (record: R, pieces: readonly Piece[], offset: number) => void,
  fails: (c: Case<R>) => Promise<boolean>,
): Promise<Case<R>> {
  let best = c;
  for (let i = best.pieces.length - 1; i >= 0 && best.pieces.length > 1; i--) {
    const pieces = retrack(best.pieces.filter((_, k) => k !== i));
    if (pieces === undefined) continue;
    const record = best.record.clone();
    place(record, pieces, record.codeOffset);
    const smaller = { index: c.index, pieces, record };
    if (await fails(smaller)) best = smaller;
  }
  // A plain FPU and plain flags, if they do not matter.
  for (
    const simplify of [
      (r: R): void => r.setFxDefaults(),
      (r: R): void => {
        r.eflags = 0x202;
      },
    ]
  ) {
    const record = best.record.clone();
    simplify(record);
    const simpler = { ...best, record };
    if (await fails(simpler)) best = simpler;
  }
  return best;
}

/** Everything about a case that a reader needs. */
export function describe(c: Case): string {
  const r = c.record;
  const lines = [
    GPR_NAMES.map((n, i) => `${n}=${hex(r.gpr(i))}`).join(" "),
    `eflags=${hex(r.eflags)} fcw=${hex(r.fcw, 4)} fsw=${hex(r.fsw, 4)} ` +
    `ftw=${hex(r.ftw, 2)} mxcsr=${hex(r.mxcsr, 4)}`,
    c.pieces.map((p) =>
      `[${p.form}] ${p.bytes.map((b) => hex(b, 2)).join(" ")}`
    )
      .join("\n"),
  ];
  for (let i = 0; i < 8; i++) {
    if (r.fx.every((x, k) => k < 32 || x === 0)) break;
    lines.push(
      `st${i}=${bytes(r.st(i))} xmm${i}=${bytes(r.xmm(i))} ymmh${i}=${
        bytes(r.ymmh(i))
      }`,
    );
  }
  return lines.join("\n");
}
