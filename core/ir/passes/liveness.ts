/**
 * Dead code and dead flag elimination of one block, backwards in one walk.
 *
 * A write to a global is dead when the global is written again before anything
 * can see it: a read, a helper that reads it, an operation that may leave the
 * block (its fault exit shows the whole state), or the block's end if the
 * global is live there. A pure operation is dead when nothing uses it. This is
 * what removes the flags that no instruction looks at.
 *
 * @module
 */

import type { IrBlock } from "../block.ts";
import type { Helper } from "../builder.ts";
import { CALLS, FAULTS, Op, OPS } from "../ops.ts";

const NOP = Op["nop"];
const FIRST_GET = Op["get32"];
const LAST_GET = Op["get128"];
const FIRST_SET = Op["set32"];
const LAST_SET = Op["set128"];
const INSN = Op["insn"];
const CALL_IF = Op["callif"];
const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);

/** Where the numbers of stretches begin again. */
const MAX_STRETCH = 0x3fffffff;

/** Scratch of the pass; one for each translator, used again for each block. */
export class Liveness {
  /** Uses of each temp that remain after the pass. */
  uses: Int32Array = new Int32Array(256);
  /** Of each global: the number of the stretch of code in which it is dead, if that is the present one. */
  readonly #dead: Int32Array;
  /** A place that shows all globals begins a new stretch. */
  #stretch = 0;

  /** Makes the scratch for a frontend with this many globals. */
  constructor(globals: number) {
    this.#dead = new Int32Array(globals);
  }

  /**
   * Turns dead operations of `block` into `nop` and counts the uses of its
   * temps. At its end all globals are live.
   */
  run(block: IrBlock, helpers: readonly Helper[]): void {
    const dead = this.#dead;
    let stretch = this.#stretch + 1;
    if (this.uses.length < block.values) {
      this.uses = new Int32Array(block.valueType.length);
    }
    const uses = this.uses;
    uses.fill(0, 0, block.values);
    if (block.termValue !== 0) uses[block.termValue]++;
    const { op: ops, dst, a, b, c, lo } = block;
    for (let i = block.length - 1; i >= 0; i--) {
      const op = ops[i];
      if (op === INSN || op === NOP) continue;
      if (op >= FIRST_SET && op <= LAST_SET) {
        const g = lo[i];
        if (dead[g] === stretch) {
          ops[i] = NOP;
          continue;
        }
        dead[g] = stretch;
        uses[a[i]]++;
        continue;
      }
      const effects = EFFECTS[op];
      if (op >= FIRST_GET && op <= LAST_GET) {
        if (uses[dst[i]] === 0) ops[i] = NOP;
        else dead[lo[i]] = 0;
        continue;
      }
      if ((effects & CALLS) !== 0) {
        const helper = helpers[lo[i]];
        if (helper.pure === true && uses[dst[i]] === 0) {
          ops[i] = NOP;
          continue;
        }
        // A conditional call may not happen, so what it writes stays live.
        if (op !== CALL_IF && helper.writes !== "all") {
          for (const g of helper.writes) dead[g.index] = stretch;
        }
        if (helper.faults || helper.reads === "all") stretch++;
        else for (const g of helper.reads) dead[g.index] = 0;
      } else if ((effects & FAULTS) !== 0) {
        stretch++;
      } else if (uses[dst[i]] === 0) {
        ops[i] = NOP;
        continue;
      }
      if (a[i] !== 0) uses[a[i]]++;
      if (b[i] !== 0) uses[b[i]]++;
      if (c[i] !== 0) uses[c[i]]++;
    }
    if (stretch < MAX_STRETCH) this.#stretch = stretch;
    else {
      dead.fill(0);
      this.#stretch = 0;
    }
  }
}
