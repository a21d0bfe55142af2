/**
 * Checks the rules that builder, passes and executors rely on. Tests run it on
 * whatever a frontend produced; the translator does not.
 *
 * @module
 */

import {
  type IrBlock,
  TERM_BRANCH,
  TERM_INDIRECT,
  TERM_NONE,
} from "./block.ts";
import { argumentTypes, type Helper } from "./builder.ts";
import { CALLS, Op, OPS, SPECIAL } from "./ops.ts";
import { I32, I64, TYPE_NAMES } from "./types.ts";

/** A block breaks a rule of the IR. */
export class IrError extends Error {
  /** The name of the error's class. */
  override readonly name = "IrError";
}

/**
 * Throws an {@linkcode IrError} unless every temp is defined once and before
 * its uses, every operand has the type that the op table demands, globals,
 * helpers, pool entries and MMU indices exist, and the block is ended.
 */
export function verify(block: IrBlock, helpers: readonly Helper[]): void {
  const defined = new Uint8Array(block.values);
  const fail = (i: number, what: string): never => {
    const op = i < 0 ? "terminator" : OPS[block.op[i]].name;
    throw new IrError(`operation ${i} (${op}): ${what}`);
  };
  const use = (i: number, v: number, type: number): void => {
    if (v <= 0 || v >= block.values) fail(i, `no value ${v}`);
    if (defined[v] === 0) fail(i, `v${v} is used before its definition`);
    if (block.valueType[v] !== type) {
      const is = TYPE_NAMES[block.valueType[v]];
      fail(i, `v${v} is ${is}, expected ${TYPE_NAMES[type]}`);
    }
  };
  let insns = 0;
  for (let i = 0; i < block.length; i++) {
    const op = OPS[block.op[i]];
    if (op === undefined) throw new IrError(`operation ${i}: unknown`);
    if (op.id === Op["nop"]) continue;
    if (op.id === Op["insn"]) {
      insns++;
      continue;
    }
    if (insns === 0 && (op.effects & ~SPECIAL) !== 0) {
      fail(i, "stands before the first instruction");
    }
    const operands = [block.a[i], block.b[i], block.c[i]];
    op.args.forEach((type, n) => use(i, operands[n], type));
    for (let n = op.args.length; n < 3; n++) {
      if (operands[n] !== 0) fail(i, `operand ${n} is one too many`);
    }
    if ((op.effects & SPECIAL) !== 0 && op.id !== Op["code32"]) {
      const g = block.globals[block.lo[i]];
      if (g === undefined) fail(i, `no global ${block.lo[i]}`);
      const type = op.result >= 0 ? op.result : op.args[0];
      if (g.type !== type) fail(i, `${g.name} is ${TYPE_NAMES[g.type]}`);
    }
    if ((op.effects & CALLS) !== 0) {
      const helper = helpers[block.lo[i]];
      if (helper === undefined) fail(i, `no helper ${block.lo[i]}`);
      const args = op.id === Op["callif"] ? [] : op.args;
      if (argumentTypes(helper).join() !== args.join()) {
        fail(i, `${helper.name} takes ${helper.args} arguments`);
      }
    }
    if (op.id === Op["const128"] && block.pool[block.lo[i]]?.length !== 16) {
      fail(i, `no constant ${block.lo[i]}`);
    }
    if (
      op.id === Op["i8x16.shuffle"] &&
      block.op[block.valueDef[block.c[i]]] !== Op["const128"]
    ) fail(i, "the byte indices are not a constant");
    if (op.width > 0 && (block.hi[i] < 0 || block.hi[i] > 1)) {
      fail(i, `no MMU index ${block.hi[i]}`);
    }
    const v = block.dst[i];
    if (op.result < 0) {
      if (v !== 0) fail(i, "has no result");
      continue;
    }
    if (v <= 0 || v >= block.values) fail(i, `no value ${v}`);
    if (defined[v] === 1) fail(i, `v${v} is defined twice`);
    if (block.valueType[v] !== op.result) fail(i, `v${v} has another type`);
    defined[v] = 1;
  }
  if (insns !== block.insns) {
    throw new IrError(
      `${insns} instructions, but the block says ${block.insns}`,
    );
  }
  if (block.term === TERM_NONE) throw new IrError("the block is not ended");
  if (block.term === TERM_BRANCH) use(-1, block.termValue, I32);
  if (block.term === TERM_INDIRECT) {
    const wide = block.valueType[block.termValue] === I64;
    use(-1, block.termValue, wide ? I64 : I32);
  }
}
