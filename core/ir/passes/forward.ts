/**
 * Loads of what the block has just loaded or stored: the value is at hand.
 *
 * Two accesses by one base (the same temp) are to different places if their
 * offsets in pages are: mapped at several addresses, memory has the same offsets
 * at each. Two by different bases may always be to one place. So a store ends
 * what is known of other bases, and of its own where offsets overlap; a helper
 * ends everything.
 *
 * Only for code whose accesses are known to be to memory that nothing else
 * writes meanwhile: a device's register is to be read each time.
 *
 * @module
 */

import type { IrBlock, Value } from "../block.ts";
import { CALLS, LOADS, Op, OPS, PURE, STORES, WIDE_ACCESS } from "../ops.ts";

const NOP = Op["nop"];
const INSN = Op["insn"];
const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);
const WIDTH: Uint8Array = Uint8Array.from(OPS, (o) => o.width);

/** The load that gives what a store has stored, by the store's number; 0: it keeps a part only. */
const LOAD_OF: Uint16Array = new Uint16Array(OPS.length);
for (const type of ["32", "64", "f32", "f64", "128"]) {
  const [store, load] = [Op[`st${type}` as "st32"], Op[`ld${type}` as "ld32"]];
  LOAD_OF[store] = load;
  LOAD_OF[WIDE_ACCESS[store]] = WIDE_ACCESS[load];
}

/** Any odd number with bits all over. */
const HASH = 0x9e3779b1 | 0;
const COMPUTED = 256;
const COMPUTED_SHIFT = 32 - Math.log2(COMPUTED);

const PAGE = 4096;
/** Places that are remembered at most; the oldest is forgotten first. */
const MAX_PLACES = 16;

/** What is known of a place in memory. */
interface Place {
  /** The load that reads it. */
  load: number;
  base: Value;
  displacement: number;
  mmu: number;
  /** What the load gives. */
  value: Value;
}

/** Scratch of the pass, used again for each block. */
export class Forwarding {
  /** What each temp is the same as; 0: only itself. */
  #same: Int32Array = new Int32Array(256);
  readonly #places: Place[] = Array.from({ length: MAX_PLACES }, () => ({
    load: 0,
    base: 0,
    displacement: 0,
    mmu: 0,
    value: 0,
  }));
  #known = 0;
  /**
   * By a hash: the operation that computed something last. What an earlier
   * block left does no harm: all of an operation is compared.
   */
  readonly #computed = new Int32Array(COMPUTED);

  /**
   * Turns loads of `block` whose values are known into `nop`, and has those
   * values used instead; then what is computed from them twice as well, such as
   * addresses. Before liveness is computed. Returns the number of such loads.
   */
  run(block: IrBlock): number {
    const { op: ops, dst, a, b, c, lo, hi } = block;
    if (this.#same.length < block.values) {
      this.#same = new Int32Array(block.valueType.length);
    } else this.#same.fill(0, 0, block.values);
    const same = this.#same;
    this.#known = 0;
    let forwarded = 0;
    for (let i = 0; i < block.length; i++) {
      const op = ops[i];
      if (op === NOP || op === INSN) continue;
      if (forwarded > 0) {
        if (same[a[i]] !== 0) a[i] = same[a[i]];
        if (same[b[i]] !== 0) b[i] = same[b[i]];
        if (same[c[i]] !== 0) c[i] = same[c[i]];
      }
      const effects = EFFECTS[op];
      if (effects === PURE) {
        if (a[i] === 0) continue; // a constant
        const at =
          Math.imul(op + (a[i] << 9) ^ (b[i] << 16) ^ (c[i] << 24), HASH) >>>
          COMPUTED_SHIFT;
        const first = this.#computed[at];
        if (
          forwarded > 0 && first < i && ops[first] === op &&
          a[first] === a[i] && b[first] === b[i] && c[first] === c[i] &&
          lo[first] === lo[i] && hi[first] === hi[i]
        ) {
          same[dst[i]] = dst[first];
          ops[i] = NOP;
        } else this.#computed[at] = i;
      } else if ((effects & CALLS) !== 0) this.#known = 0;
      else if ((effects & LOADS) !== 0) {
        const value = this.#find(op, a[i], lo[i], hi[i]);
        if (value === 0) this.#add(op, a[i], lo[i], hi[i], dst[i]);
        else {
          same[dst[i]] = value;
          ops[i] = NOP;
          forwarded++;
        }
      } else if ((effects & STORES) !== 0) {
        this.#forget(a[i], lo[i], hi[i], WIDTH[op]);
        const load = LOAD_OF[op];
        if (load !== 0) this.#add(load, a[i], lo[i], hi[i], b[i]);
      }
    }
    const { termValue } = block;
    if (same[termValue] !== 0) block.termValue = same[termValue];
    return forwarded;
  }

  #find(load: number, base: Value, displacement: number, mmu: number): Value {
    for (let n = 0; n < this.#known; n++) {
      const p = this.#places[n];
      if (
        p.base === base && p.displacement === displacement &&
        p.load === load && p.mmu === mmu
      ) return p.value;
    }
    return 0;
  }

  #add(
    load: number,
    base: Value,
    displacement: number,
    mmu: number,
    value: Value,
  ): void {
    const places = this.#places;
    if (this.#known === MAX_PLACES) this.#remove(0);
    const p = places[this.#known++];
    p.load = load;
    p.base = base;
    p.displacement = displacement;
    p.mmu = mmu;
    p.value = value;
  }

  #remove(n: number): void {
    const [p] = this.#places.splice(n, 1);
    this.#places.push(p);
    this.#known--;
  }

  /** Forgets what a store may change. */
  #forget(base: Value, displacement: number, mmu: number, width: number): void {
    let kept = 0;
    const places = this.#places;
    for (let n = 0; n < this.#known; n++) {
      const p = places[n];
      // One page of memory may stand at several addresses, at each with the
      // same offsets.
      const ahead = (displacement - p.displacement) & (PAGE - 1);
      const isApart = p.base === base && p.mmu === mmu &&
        ahead >= WIDTH[p.load] && PAGE - ahead >= width;
      if (!isApart) continue;
      places[n] = places[kept];
      places[kept++] = p;
    }
    this.#known = kept;
  }
}
