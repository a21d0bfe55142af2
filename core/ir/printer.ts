/**
 * Prints IR as text, one operation a line: for people, dumps and golden tests.
 *
 * @module
 */

import {
  FLOW_CALL,
  FLOW_RETURN,
  type IrBlock,
  TERM_BRANCH,
  TERM_EXIT,
  TERM_INDIRECT,
  TERM_JUMP,
} from "./block.ts";
import type { Helper } from "./builder.ts";
import { CALLS, LOADS, Op, OPS, STORES } from "./ops.ts";

function hex(v: number): string {
  return "0x" + (v >>> 0).toString(16);
}

function hex64(lo: number, hi: number): string {
  return hi === 0
    ? hex(lo)
    : "0x" + (hi >>> 0).toString(16) + (lo >>> 0).toString(16).padStart(8, "0");
}

/** The text of one operation, without its number. */
function operation(
  block: IrBlock,
  i: number,
  helpers: readonly Helper[],
): string {
  const { op: ops, dst, a, b, c, lo, hi } = block;
  const op = OPS[ops[i]];
  const result = dst[i] === 0 ? "" : `v${dst[i]} = `;
  const operands = [a[i], b[i], c[i]].filter((v) => v !== 0).map((v) =>
    `v${v}`
  );
  const address = (): string => {
    const d = lo[i];
    const sign = d < 0 ? " - " : " + ";
    return `[v${a[i]}${d === 0 ? "" : sign + hex(Math.abs(d))}]`;
  };
  if (op.id === Op["insn"]) {
    return `insn ${hex(lo[i])}${hi[i] === -1 ? "" : ` aux ${hi[i]}`}`;
  }
  if (op.name.startsWith("const")) {
    if (op.id === Op["const128"]) {
      const bytes = [...block.pool[lo[i]]].map((x) =>
        x.toString(16).padStart(2, "0")
      );
      return `${result}${op.name} ${bytes.join(" ")}`;
    }
    const wide = op.id === Op["const64"] || op.id === Op["constf64"];
    return `${result}${op.name} ${wide ? hex64(lo[i], hi[i]) : hex(lo[i])}`;
  }
  if (op.id === Op["code32"]) {
    return `${result}${op.name} at host ${hex(lo[i])}`;
  }
  if (op.name.startsWith("get")) return `${result}${block.globals[lo[i]].name}`;
  if (op.name.startsWith("set")) {
    return `${block.globals[lo[i]].name} = v${a[i]}`;
  }
  if ((op.effects & LOADS) !== 0) {
    return `${result}${op.name} ${address()} mmu ${hi[i]}`;
  }
  if ((op.effects & STORES) !== 0) {
    return `${op.name} ${address()}, v${b[i]} mmu ${hi[i]}`;
  }
  if ((op.effects & CALLS) !== 0) {
    const name = helpers[lo[i]]?.name ?? `helper ${lo[i]}`;
    return op.id === Op["callif"]
      ? `if v${a[i]} call ${name}`
      : `${result}call ${name}(${operands.join(", ")})`;
  }
  if (op.id === Op["trap"]) return `trap ${hex(lo[i])} if v${a[i]}`;
  return `${result}${op.name} ${operands.join(", ")}`;
}

function terminator(block: IrBlock): string {
  const taken = hex(block.takenLo);
  switch (block.term) {
    case TERM_JUMP:
      return block.flow === FLOW_CALL
        ? `call ${taken}, back to ${hex(block.returnLo)}`
        : `jump ${taken}`;
    case TERM_BRANCH:
      return `branch v${block.termValue}, ${taken}, ${hex(block.otherLo)}`;
    case TERM_INDIRECT:
      if (block.flow === FLOW_CALL) {
        return `call v${block.termValue}, back to ${hex(block.returnLo)}`;
      }
      return `${
        block.flow === FLOW_RETURN ? "return" : "jump"
      } v${block.termValue}`;
    case TERM_EXIT:
      return `exit ${block.reason}`;
    default:
      return "(not ended)";
  }
}

/** The text of a block; removed operations are left out. */
export function printBlock(
  block: IrBlock,
  helpers: readonly Helper[] = [],
): string {
  const lines: string[] = [];
  for (let i = 0; i < block.length; i++) {
    if (block.op[i] === Op["nop"]) continue;
    const text = operation(block, i, helpers);
    lines.push(block.op[i] === Op["insn"] ? text : "  " + text);
  }
  lines.push("  " + terminator(block));
  return lines.join("\n") + "\n";
}
