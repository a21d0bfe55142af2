/**
 * What CPUs of Intel do otherwise than those of AMD where the manuals leave it
 * to them, or say something that one of the makers does not do. Rhea does as
 * Zen 4 and 5 there; on a host of Intel such a case says nothing, and one of
 * AMD's has to be asked. (Seen on a Xeon with AVX-512 and AMX, 2026.)
 *
 * @module
 */

/** Whether the host's CPU is one of Intel. */
export const isIntel: boolean = /^vendor_id\s*: GenuineIntel$/m.test(
  Deno.readTextFileSync("/proc/cpuinfo"),
);

/** How a case ended: its vector, the address of a page fault, and the form at which it did. */
export interface Ending {
  readonly vector: number;
  readonly address: number | bigint;
  readonly form: string;
}

/**
 * Accesses of more than 8 bytes that need not be aligned: with EFLAGS.AC AMD
 * wants them to be aligned, Intel does not.
 */
const UNALIGNED =
  /^(vex\b|(66 )?0f 1[01] |f3 0f [67]f |f2 0f f0 |66 0f 3a 6[0-3] )/;
/** 16 bytes of these must be aligned on Intel (SDM volume 2, exceptions type 4). */
const SHA = /^0f (38 c[89a-d]|3a cc) /;
const WRAP = 0x1_0000_0000;
/** The longest operand: FXSAVE's. */
const LONGEST = 512;

/** Whether the host is Intel's and the two ended apart for a reason that is the maker's. */
export function endsApart(host: Ending, here: Ending): boolean {
  if (!isIntel) return false;
  if (here.vector === 17 && UNALIGNED.test(here.form)) return true;
  if (host.vector === 13 && SHA.test(host.form)) return true;
  // Segments of 4 GiB: whether an operand over their end is refused is the
  // implementation's choice (SDM volume 3, 6.3); Intel's goes on at 0.
  return host.vector === 14 && typeof host.address === "number" &&
    (here.vector === 12 || here.vector === 13) && host.form === here.form &&
    (host.address >= WRAP - LONGEST || host.address < LONGEST);
}

/** What each of these leaves behind when it faults: forms, and what is not compared. */
const LEFT: readonly (readonly [RegExp, RegExp])[] = [
  // MMX instructions that store: the x87 state has been made MMX's.
  [/^0f (7[ef]|e7) /, /^(fsw|ftw|st\d)$/],
  // MASKMOVQ, MASKMOVDQU, VMASKMOV and VPMASKMOV: which of the bytes is told.
  [/^((66 )?0f|vex\.66\.0f) f7 /, /^cr2$/],
  [/^vex\.66\.0f38\.w[01] (2[c-f]|8[ce]) /, /^cr2$/],
  // Gathers: what has been read, and bits of masks below their highest.
  [/^vex\.66\.0f38\.w[01] 9[0-3] /, /^(xmm|ymmh)\d+$/],
  // VCVTPS2PH: the exceptions of the conversion.
  [/^vex\.66\.0f3a\.w0 1d /, /^mxcsr$/],
];

/** Whether a faulting instruction of that form leaves `what` as its maker likes. */
export function isLeft({ vector, form }: Ending, what: string): boolean {
  return isIntel && vector !== 3 &&
    LEFT.some(([forms, names]) => forms.test(form) && names.test(what));
}

/** Whether a form's result is the maker's: of DPPS and DPPD, which of several NaNs a sum is. */
export function hasResultOfMaker(form: string): boolean {
  return isIntel && /^(66 0f 3a|vex\.66\.0f3a) 4[01] /.test(form);
}
