/**
 * What the translate functions of system instructions share.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { Global } from "../../../core/ir/types.ts";
import type { X86 } from "./cpu.ts";
import { EXC_GP } from "./exceptions.ts";
import { define } from "./helpers.ts";
import { ATTR, BASE, EIP, LIMIT, SELECTOR } from "./state.ts";
import type { Translator } from "./translate.ts";

/** All that a load of a segment register writes. */
export const SEGMENTS: readonly Global[] = [
  ...SELECTOR,
  ...BASE,
  ...LIMIT,
  ...ATTR,
];

/** A helper that may fault and end its block: it may read and write everything. */
export function transfer(
  name: string,
  args: 0 | 1 | 2 | 3,
  run: (cpu: X86, a: number, b: number, c: number) => void,
): Helper {
  return define(name, args, { faults: true }, (cpu) => (a, b, c) => {
    run(cpu, a, b, c);
    return 0;
  });
}

/** Calls a helper that has put CS:EIP into the state, and ends the block. */
export function goWith(
  t: Translator,
  helper: Helper,
  a: Value = 0,
  b: Value = 0,
  c: Value = 0,
): void {
  t.syncFlags();
  t.b.call(helper, a, b, c);
  t.forgetFlags();
  t.jumpState();
}

/** Ends the block after an instruction that may have changed the mode key. */
export function goOn(t: Translator): void {
  t.syncFlags();
  t.b.set(EIP, t.pc(t.nextEip));
  t.jumpState();
}

/** Raises #GP(0) unless CPL is 0; true if it does so always. */
export function needLevel0(t: Translator): boolean {
  if (t.cpl === 0) return false;
  t.raise(EXC_GP, 0);
  return true;
}

/** Raises #UD outside protected mode proper; true if it does. */
export function needProtected(t: Translator): boolean {
  if (t.protected) return false;
  t.ud();
  return true;
}
