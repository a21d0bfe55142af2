/**
 * Where QEMU 7.2 and Rhea decode differently at level 0, in virtual-8086 or
 * real mode, and why. What no line names, and the host does not decide, is a bug.
 *
 * @module
 */

import type { Insn } from "../../plugins/cpu/x86/decode.ts";
import { KIND_G } from "../../plugins/cpu/x86/rows.ts";
import { CS } from "../../plugins/cpu/x86/state.ts";
import { PREFIXES } from "./decode_differences.ts";
import type { Decoded } from "./decode_oracle.ts";
import type { Bits } from "./decode_subject.ts";

/**
 * Who has the instruction: QEMU alone (it is undefined in Rhea), Rhea alone, or
 * both, with another length.
 */
type Kind = "qemu" | "rhea" | "length";

/** A difference; the pattern as in `decode_differences.ts`. */
type Difference = readonly [Kind, readonly Where[], RegExp, string];
/** Bits of code at level 0, or the mode. */
export type Where = Bits | "v86" | "real";

const LEVEL0: readonly Where[] = [16, 32, 64];
const ALL: readonly Where[] = [...LEVEL0, "v86", "real"];

/** The differences to QEMU 7.2 with `-cpu max,vendor=GenuineIntel` (sections are of SDM volume 2). */
const DIFFERENCES: readonly Difference[] = [
  // What QEMU has and Intel has not.
  [
    "qemu",
    [16, 32, "real"],
    /^\S+ 0f 0[57] /,
    "SYSCALL, SYSRET: 64-bit mode alone (4.3), on AMD all modes",
  ],
  [
    "length",
    [64],
    /^\S+ (e8|e9|0f 8.) /,
    "near branches with 66: AMD takes 16 bits, Intel does not see the prefix",
  ],
  [
    "qemu",
    [...LEVEL0, "real"],
    /^\S+ 0f 01 c8$/,
    "MONITOR (4.3): no model of Rhea's has it, as its CPUID says",
  ],
  [
    "qemu",
    [64],
    /^\S+ 0f 01 c9$/,
    "MWAIT (4.3) with REX.R: the same; without it, it is not run",
  ],
  ["qemu", ALL, /^(66|f[23]) 0f 7[89] /, "SSE4A: EXTRQ, INSERTQ"],
  ["qemu", ALL, /^f[23] 0f 2b /, "SSE4A: MOVNTSS, MOVNTSD"],
  ["qemu", ALL, /^lock \S+ 0f 2[02] /, "LOCK MOV CR0 is MOV CR8 on AMD"],
  // What Rhea has and QEMU has not.
  ["rhea", ALL, /^\S+ 0f 33 /, "RDPMC (4.3): QEMU has none at level 0"],
  ["rhea", ALL, /^66 0f 38 82 /, "INVPCID (4.3): QEMU has none"],
  ["rhea", ALL, /^np 0f c7 /, "XSAVEC, XSAVES (4.3, 5): QEMU has none"],
  // Privilege is checked when all of the instruction is known.
  [
    "length",
    ["v86"],
    /^\S+ 0f 2[0-3] /,
    "MOV of control and debug registers: QEMU does not take ModRM before #GP",
  ],
  [
    "qemu",
    ["v86"],
    /^\S+ 0f 2[02] /,
    "MOV of a control register that is none (4.3): #UD before #GP",
  ],
  [
    "length",
    ["v86"],
    /^\S+ 0f 01 [0-9ab]/,
    "LGDT, LIDT, INVLPG: QEMU does not take the address before #GP",
  ],
];

/** What QEMU 7.2 itself ends at: no function in its tables, or an assertion (LOCK BT of a register). */
const ENDS_QEMU =
  /^(vex )?np (0f38 w. l. |0f 38 )0[c-f] |^vex np 0f w. l. c4 |^lock \S+ 0f (a3|ab|b3|ba|bb) [c-f]/;

/**
 * Whether a guest can execute it and go on. At level 0 it does not halt, and
 * loads no control register with what all registers hold; nowhere does it jump
 * back into itself.
 */
export function isRunnable(
  i: Insn,
  text: string,
  where: Where,
): boolean {
  if (ENDS_QEMU.test(text)) return false;
  // With a stack pointer of 1, 3 or 5, real mode shuts down.
  if (where === "real" && i.row.kinds[0] === KIND_G && i.reg === 4) {
    return false;
  }
  const { map, opcode } = i;
  if (map === 0) {
    const isJump = (opcode & 0xf0) === 0x70 || (opcode & 0xfc) === 0xe0 ||
      opcode === 0xeb;
    if (isJump && i.imm < 0) return false;
    if (where === "v86") return true;
    // POP SS, and on QEMU PAUSE and STI: the trap comes behind what follows.
    if (where === "real" && [0x17, 0x90, 0xfb].includes(opcode)) return false;
    // HLT, and OUT to a port where there may be something
    return opcode !== 0xf4 && ((opcode & 0xfe) !== 0xe6 || i.imm === 0x7b);
  }
  if (map !== 1 || where === "v86") return true;
  // MOV to CR0, CR3, CR4
  if (opcode === 0x22) return ![0, 3, 4].includes(i.reg & 7);
  // LGDT, LIDT, LMSW: in real mode there is memory, in 16-bit code behind CS as well.
  if (opcode === 1 && i.mod !== 3 && [2, 3, 6].includes(i.reg)) {
    return where !== "real" && i.override !== CS;
  }
  const isSpecial = opcode === 1 && i.mod === 3;
  // MWAIT, MWAITX, also with REX.B
  return !(isSpecial &&
    (i.reg === 1 && (i.rm & 7) === 1 || i.reg === 7 && (i.rm & 7) === 3));
}

/** Opcodes for which the level, or the mode, may matter. */
const OF_SYSTEM =
  /^\S+ 0f (0[0-9a]|2[0-7]|3[0-7]|78|79|aa|c7|ff) |^\S+ 0f 01 |^\S+ 0f 38 8[0-2] /;
/** And those that virtual-8086 and real mode have otherwise than 16-bit protected mode. */
const OF_V86 = /^\S+ 63 |^\S+ 0f 0[023] |^(vex|evex) |^\S+ (c4|c5|62) /;

/** Whether the host's answer at level 3 holds at level 0, or in that mode. */
export function hostDecides(
  text: string,
  code: Uint8Array,
  where: Where,
): boolean {
  const isOld = where === "v86" || where === "real";
  if (where === 64 && hasLooseRex(code)) return true;
  return !OF_SYSTEM.test(text) && !(isOld && OF_V86.test(text));
}

/** Whether a REX prefix has another prefix behind it: it counts on QEMU alone. */
function hasLooseRex(code: Uint8Array): boolean {
  let at = 0;
  while (PREFIXES.has(code[at])) at++;
  return (code[at] & 0xf0) === 0x40 && PREFIXES.has(code[at + 1]);
}

/** Why QEMU and Rhea do not say the same; undefined where they should. */
export function explain(
  where: Where,
  text: string,
  rhea: Decoded,
  qemu: Decoded,
): string | undefined {
  const kind: Kind = rhea.vector === 6
    ? "qemu"
    : qemu.vector === 6
    ? "rhea"
    : "length";
  return DIFFERENCES.find(([k, places, pattern]) =>
    k === kind && places.includes(where) && pattern.test(text)
  )?.[3];
}
