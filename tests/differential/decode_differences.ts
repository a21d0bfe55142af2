/**
 * Where Rhea's decoder and the host's differ, and why: one line for each
 * instruction. What no line names is a bug.
 *
 * @module
 */

import type { Decoded } from "./decode_oracle.ts";
import type { Bits, Judgement } from "./decode_subject.ts";

/**
 * Who has the instruction: the host alone (it is undefined in Rhea), Rhea alone
 * (undefined on the host), or both, with another length.
 */
type Kind = "host" | "rhea" | "length";

/**
 * A difference. The pattern is matched with the mandatory prefix (`np`, `66`,
 * `f3`, `f2`; `lock` before it), the opcode and ModRM, or with `vex`, VEX.pp,
 * the map, W, L, the opcode and ModRM.
 */
type Difference = readonly [Kind, readonly Bits[], RegExp, string];

const ALL: readonly Bits[] = [16, 32, 64];
const COMPATIBILITY: readonly Bits[] = [16, 32];

/** The differences to hosts of AMD (Zen 5) and Intel. */
const DIFFERENCES: readonly Difference[] = [
  // What both sides have, but as another vendor has it: Rhea is GenuineIntel.
  [
    "length",
    [64],
    /^(lock )?\S+ (e8|e9|0f 8.) /,
    "near branches with 66: AMD takes 16 bits, Intel does not see the prefix",
  ],
  [
    "rhea",
    ALL,
    /^\S+ 0f 34 /,
    "SYSENTER: AMD has none while EFER.LMA is set",
  ],
  [
    "host",
    COMPATIBILITY,
    /^\S+ 0f 0[57] /,
    "SYSCALL, SYSRET: Intel has them in 64-bit mode alone",
  ],
  [
    "host",
    ALL,
    /^lock \S+ 0f 2[02] /,
    "LOCK MOV CR0 is MOV CR8 on AMD",
  ],
  [
    "host",
    ALL,
    /^vex 66 0f3a w0 l1 0[01] /,
    "VPERMQ, VPERMPD: the manual wants W to be 1, as does QEMU; Zen does not",
  ],
  // What Intel alone has, or does not look at.
  ["host", ALL, /^\S+ 0f 0d [c-f]/, "PREFETCHW of a register does nothing"],
  [
    "host",
    COMPATIBILITY,
    /^vex 66 0f3a w1 l0 (16|22) /,
    "VPEXTRQ, VPINSRQ: outside 64-bit mode W is not looked at",
  ],
  ["host", ALL, /^66 0f 01 cc$/, "TDX: TDCALL"],
  ["host", ALL, /^f3 0f 3a f0 c0$/, "HRESET"],
  // What AMD alone has.
  ["host", ALL, /^f[23] 0f 2b [0-9ab]/, "SSE4A: MOVNTSS, MOVNTSD"],
  ["host", ALL, /^(66|f2) 0f 7[89] /, "SSE4A: EXTRQ, INSERTQ"],
  ["host", ALL, /^\S+ 0f 01 d[89a-f]$/, "SVM"],
  ["host", ALL, /^\S+ 0f 01 f[ab]$/, "MONITORX, MWAITX, MCOMMIT"],
  ["host", ALL, /^\S+ 0f 01 fc$/, "CLZERO"],
  ["host", ALL, /^\S+ 0f 01 fd$/, "RDPRU"],
  ["host", ALL, /^\S+ 0f 01 f[ef]$/, "INVLPGB, TLBSYNC, SEV-SNP"],
  // KVM makes VMMCALL of it, where the host is a guest of KVM on AMD.
  ["host", ALL, /^\S+ 0f 01 c1$/, "VMX: VMCALL"],
  // What both vendors have, and the model `max` has not.
  ["host", ALL, /^66 0f 38 cf /, "GFNI"],
  ["host", ALL, /^66 0f 3a c[ef] /, "GFNI"],
  ["host", ALL, /^vex 66 0f38 w0 l[01] cf /, "GFNI"],
  ["host", ALL, /^vex 66 0f3a w1 l[01] c[ef] /, "GFNI"],
  ["host", ALL, /^vex 66 0f38 w[01] l1 d[c-f] /, "VAES"],
  ["host", ALL, /^vex 66 0f3a w[01] l1 44 /, "VPCLMULQDQ"],
  ["host", ALL, /^vex 66 0f38 w0 l[01] 5[0-3] /, "AVX-VNNI"],
  ["host", ALL, /^66 0f 38 f8 [0-9ab]/, "MOVDIR64B"],
  ["host", ALL, /^np 0f 38 f9 /, "MOVDIRI"],
  ["host", ALL, /^f3 0f c7 f[89a-f]$/, "RDPID"],
  [
    "host",
    ALL,
    /^vex (np|66) 0f w[01] l1 4[12567ab] /,
    "AVX-512 mask registers",
  ],
  [
    "host",
    ALL,
    /^vex (np|66) 0f w[01] l0 (44|9[0189]) /,
    "AVX-512 mask registers",
  ],
  ["host", ALL, /^vex (np|66|f2) 0f w[01] l0 9[23] /, "AVX-512 mask registers"],
  ["host", ALL, /^vex 66 0f3a w[01] l0 3[0-3] /, "AVX-512 mask registers"],
  ["host", ALL, /^evex /, "AVX-512"],
  // What hosts of Intel have, or newer ones of AMD.
  ["host", ALL, /^66 0f 38 8[01] /, "VMX: INVEPT, INVVPID"],
  ["host", ALL, /^\S+ 0f 01 c[0234]$/, "VMX, SGX: ENCLV"],
  ["host", ALL, /^\S+ 0f c7 [3-9ab]/, "VMX"],
  ["host", ALL, /^np 0f 7[89] /, "VMX: VMREAD, VMWRITE"],
  ["host", ALL, /^\S+ 0f 01 (c[89ab]|cf)$/, "MONITOR, MWAIT, CLAC, SGX: ENCLS"],
  ["host", ALL, /^\S+ 0f 01 d[4-7]$/, "VMFUNC, TSX, SGX: ENCLU"],
  ["host", ALL, /^\S+ 0f 01 e[89a-f]$/, "SERIALIZE, CET, UINTR, PKU"],
  ["host", ALL, /^\S+ (c6|c7) f8$/, "TSX: XABORT, XBEGIN"],
  ["host", ALL, /^f3 0f ae [2-9a-f]/, "CET, PTWRITE, WAITPKG"],
  ["host", ALL, /^(66|f2) 0f ae f/, "WAITPKG"],
  ["host", ALL, /^66 0f 38 f[56] |^np 0f 38 f6 /, "CET: WRUSS, WRSS"],
  ["host", ALL, /^f[23] 0f 38 f8 /, "ENQCMD"],
  ["host", ALL, /^f3 0f 38 (d8|d[c-f]|f[ab]) /, "key locker"],
  ["host", ALL, /^\S+ 0f 38 fc /, "RAO-INT"],
  [
    "host",
    ALL,
    /^vex (np|66|f3|f2) 0f38 w0 l[01] (5[01]|d[23]) /,
    "AVX-VNNI-INT",
  ],
  ["host", ALL, /^vex 66 0f38 w1 l[01] b[45] /, "AVX-IFMA"],
  ["host", ALL, /^vex \S+ 0f38 w0 l[01] (b[01]|72) /, "AVX-NE-CONVERT"],
  ["host", ALL, /^vex \S+ 0f38 w0 l0 (49|4b|5c|5e|6c) /, "AMX"],
  ["host", [64], /^vex 66 0f38 w[01] l0 e. /, "CMPccXADD"],
  [
    "host",
    ALL,
    /^vex \S+ 0f38 w0 l[01] (c[b-d]|da) |^vex 66 0f3a w0 l0 de /,
    "SHA512, SM3, SM4",
  ],
];

/** Bytes that are prefixes, REX not among them. */
export const PREFIXES: ReadonlySet<number> = new Set(
  [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3],
);
const PP = ["np", "66", "f3", "f2"];
const MAPS = ["", "0f", "0f38", "0f3a"];

/** (Behind the end of a case there is nothing.) */
const hex = (x = 0): string => x.toString(16).padStart(2, "0");

/** An instruction as the patterns see it. */
export function normalise(bits: Bits, code: Uint8Array): string {
  let at = 0, pp = "np", lock = "";
  for (;; at++) {
    const x = code[at];
    if (bits === 64 && (x & 0xf0) === 0x40) continue;
    if (!PREFIXES.has(x)) break;
    if (x === 0xf0) lock = "lock ";
    if (x === 0x66 && pp === "np") pp = "66";
    if (x === 0xf2 || x === 0xf3) pp = hex(x);
  }
  const op = code[at], after = code[at + 1];
  const isRegister = bits === 64 || after >= 0xc0;
  if (op === 0x62 && isRegister) return "evex ";
  if ((op & 0xfe) === 0xc4 && isRegister) {
    const three = op === 0xc4;
    const map = three ? after & 31 : 1, last = code[at + (three ? 2 : 1)];
    at += three ? 3 : 2;
    return `vex ${PP[last & 3]} ${MAPS[map] ?? "map" + map} ` +
      `w${three ? last >> 7 : 0} l${last >> 2 & 1} ${hex(code[at])} ` +
      hex(code[at + 1]);
  }
  const length = op !== 0x0f ? 1 : after === 0x38 || after === 0x3a ? 3 : 2;
  const bytes = Array.from(code.subarray(at, at + length + 1), hex);
  return `${lock}${pp} ${bytes.join(" ")}`;
}

/**
 * Why the host's decoder and Rhea's do not say the same; undefined where they
 * should. `features`: what /proc/cpuinfo says of the host.
 */
export function explain(
  bits: Bits,
  code: Uint8Array,
  here: Judgement,
  host: Decoded,
  features: ReadonlySet<string>,
): string | undefined {
  const onHost = host.vector !== 6;
  const kind: Kind = here.undefined ? "host" : onHost ? "length" : "rhea";
  if (kind === "rhea" && here.feature !== "" && !features.has(here.feature)) {
    return `the host has no ${here.feature}`;
  }
  if (kind === "rhea" && here.tooLong) {
    return "too long and undefined: which of the two is seen first is the CPU's choice";
  }
  const text = normalise(bits, code);
  return DIFFERENCES.find(([k, modes, pattern]) =>
    k === kind && modes.includes(bits) && pattern.test(text)
  )?.[3];
}
