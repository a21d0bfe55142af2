/**
 * Which accesses of a region need no lookup, in code without paging.
 *
 * There an access needs a permission and no host offset (`flat_pages.ts`), and
 * a permission that one block has found holds for the next: only a helper can
 * take it away. A permission is for a page and the one after it, so that a
 * lookup shows 4 KiB from an address on. These *facts* go from block to block
 * with the globals that the address was made from: a stack frame, a structure
 * that a loop works on. Where all ways into a block have shown what an access
 * needs, it is emitted as it stands.
 *
 * Where a lookup fails, control leaves the region before the instruction
 * (`EXIT_FORBIDDEN`). There is no second version of the code, as with the TLB:
 * it was half of a region's bytes, and cost the first version a tenth of its
 * speed, because the two meet.
 *
 * @module
 */

import type { IrBlock, Value } from "../ir/block.ts";
import { CALLS, Op, OPS } from "../ir/ops.ts";
import type { Structure } from "../wasm/structure.ts";
import {
  type AccessPlan,
  type Cluster,
  type Clusters,
  clustersOf,
} from "./region_accesses.ts";

const ADD = Op["i32.add"];
const SHL = Op["i32.shl"];
const CONST32 = Op["const32"];
const GET32 = Op["get32"];
const SET32 = Op["set32"];
const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);

/** A permission says that from an address on so many bytes may be accessed, at least. */
const SHOWN = 4096;
/** Bytes of a cluster at most: what its lookup shows goes beyond it. */
const SPAN = 2048;
/** Facts about one address at most. */
const MAX_FACTS = 4;
/** Rounds after which a fact that still changes is given up (a pointer that goes on with each pass of a loop). */
const ROUNDS = 2;
/** Operations in an address at most, for facts about it to be passed on. */
const MAX_DEPTH = 3;

/** Bytes that may be accessed, by their distance from an address. */
interface Fact {
  readonly low: number;
  readonly high: number;
  readonly isWritable: boolean;
  /** The clusters whose lookups show it. */
  readonly by: readonly Cluster[];
}

/** An address as the globals make it, and the facts about it. */
interface Known {
  /** The globals that it is made from. */
  readonly globals: readonly number[];
  readonly facts: readonly Fact[];
}

/** By the name of the address: two that are made alike have one name. */
type Facts = ReadonlyMap<string, Known>;

/** What a block does to facts. */
interface Summary {
  readonly clusters: Clusters;
  /** Index of its first and last call of a helper. */
  readonly firstCall: number;
  readonly lastCall: number;
  /** The values that are addresses, by their names at the block's start, if they have one. */
  readonly names: ReadonlyMap<Value, string>;
  /** Of each of these values: what globals hold at the block's end, as (name, distance, globals). */
  readonly after: ReadonlyMap<Value, readonly After[]>;
  /** Globals that have another value at the block's end. */
  readonly changed: ReadonlySet<number>;
}

/** An address of which a value differs by a distance at a block's end. */
interface After {
  readonly name: string;
  readonly distance: number;
  readonly globals: readonly number[];
}

const NOTHING: Facts = new Map();

/**
 * The name of an address that is made of globals, which `leaf` tells by their
 * values, and of constants; undefined if it is not, or too long.
 */
function nameOf(
  k: IrBlock,
  v: Value,
  leaf: (v: Value) => number | undefined,
  globals: number[],
  depth = MAX_DEPTH,
): string | undefined {
  const g = leaf(v);
  if (g !== undefined) {
    globals.push(g);
    return `g${g}`;
  }
  const def = k.valueDef[v];
  const op = k.op[def];
  if (op === CONST32) return `${k.lo[def]}`;
  if (depth === 0 || (op !== ADD && op !== SHL)) return undefined;
  const a = nameOf(k, k.a[def], leaf, globals, depth - 1);
  if (a === undefined) return undefined;
  const b = nameOf(k, k.b[def], leaf, globals, depth - 1);
  return b === undefined ? undefined : `(${a}${op === ADD ? "+" : "<"}${b})`;
}

function summarise(k: IrBlock): Summary {
  const entry = new Map<Value, number>();
  const final = new Map<number, Value>();
  let firstCall = k.length;
  let lastCall = -1;
  for (let i = 0; i < k.length; i++) {
    const op = k.op[i];
    if (op === GET32) {
      const g = k.lo[i];
      if (lastCall < 0 && !final.has(g)) entry.set(k.dst[i], g);
      final.set(g, k.dst[i]);
    } else if (op === SET32) final.set(k.lo[i], k.a[i]);
    else if ((EFFECTS[op] & CALLS) !== 0) {
      firstCall = Math.min(firstCall, i);
      lastCall = i;
      final.clear();
    }
  }
  const clusters = clustersOf(k, SPAN);
  const bases = new Set(clusters.all.map((c) => c.base));
  for (const v of entry.keys()) bases.add(v);
  const names = new Map<Value, string>();
  const after = new Map<Value, After[]>();
  const holders = new Map<Value, number>();
  const changed = new Set<number>();
  for (const [g, v] of final) {
    if (entry.get(v) !== g) changed.add(g);
    if (!holders.has(v)) holders.set(v, g);
  }
  for (const v of bases) {
    const name = nameOf(k, v, (x) => entry.get(x), []);
    if (name !== undefined) names.set(v, name);
    after.set(v, []);
  }
  for (const [g, w] of final) {
    const def = k.valueDef[w];
    const isSum = k.op[def] === ADD && k.op[k.valueDef[k.b[def]]] === CONST32;
    const v = isSum ? k.a[def] : w;
    const distance = isSum ? k.lo[k.valueDef[k.b[def]]] : 0;
    after.get(v)?.push({ name: `g${g}`, distance, globals: [g] });
  }
  for (const [v, list] of after) {
    const globals: number[] = [];
    const name = holders.has(v)
      ? undefined
      : nameOf(k, v, (x) => holders.get(x), globals);
    if (name !== undefined) list.push({ name, distance: 0, globals });
  }
  return { clusters, firstCall, lastCall, names, after, changed };
}

/** Adds a fact, unless another one says as much. */
function add(facts: Fact[], fact: Fact): void {
  const isIn = (a: Fact, b: Fact): boolean =>
    a.low >= b.low && a.high <= b.high && (b.isWritable || !a.isWritable);
  if (facts.some((f) => isIn(fact, f))) return;
  const kept = facts.filter((f) => !isIn(f, fact));
  facts.length = 0;
  facts.push(...kept, fact);
  // The latest ones: what is about to be accessed again.
  if (facts.length > MAX_FACTS) facts.shift();
}

/** Says of a block's clusters whether they are known. */
function markKnown(s: Summary, before: Facts): void {
  for (const c of s.clusters.all) {
    c.known = false;
    const name = c.first < s.firstCall ? s.names.get(c.base) : undefined;
    if (name === undefined) continue;
    for (const f of before.get(name)?.facts ?? []) {
      if (f.low > c.low || f.high < c.high) continue;
      c.known ||= f.isWritable || !c.isStore;
      // A lookup for a read that a write to the same place follows.
      if (!c.known) { for (const reader of f.by) reader.isStore = true; }
    }
  }
}

/** The facts after a block. */
function factsAfter(s: Summary, before: Facts): Facts {
  markKnown(s, before);
  const shown = new Map<Value, Fact[]>();
  for (const c of s.clusters.all) {
    if (c.known || c.first < s.lastCall) continue;
    const fact = {
      low: c.low,
      high: c.low + SHOWN,
      isWritable: c.isStore,
      by: [c],
    };
    const facts = shown.get(c.base);
    if (facts === undefined) shown.set(c.base, [fact]);
    else add(facts, fact);
  }
  const kept = s.lastCall < 0 ? before : NOTHING;
  const after = new Map<string, Known>();
  for (const [name, known] of kept) {
    if (!known.globals.some((g) => s.changed.has(g))) after.set(name, known);
  }
  for (const [v, list] of s.after) {
    if (list.length === 0) continue;
    const facts = [...kept.get(s.names.get(v) ?? "")?.facts ?? []];
    for (const fact of shown.get(v) ?? []) add(facts, fact);
    if (facts.length === 0) continue;
    for (const { name, distance, globals } of list) {
      const moved = distance === 0 ? facts : facts.map((f) => ({
        ...f,
        low: f.low - distance,
        high: f.high - distance,
      }));
      after.set(name, { globals, facts: moved });
    }
  }
  return after;
}

/** What two lists of facts both say. */
function both(a: readonly Fact[], b: readonly Fact[]): readonly Fact[] {
  const facts: Fact[] = [];
  for (const x of a) {
    for (const y of b) {
      const low = Math.max(x.low, y.low);
      const high = Math.min(x.high, y.high);
      if (low >= high) continue;
      const isWritable = x.isWritable && y.isWritable;
      const by = x.by === y.by ? x.by : [...new Set([...x.by, ...y.by])];
      add(facts, { low, high, isWritable, by });
    }
  }
  return facts;
}

function isSame(a: readonly Fact[], b: readonly Fact[]): boolean {
  return a.length === b.length &&
    a.every((x, i) =>
      x.low === b[i].low && x.high === b[i].high &&
      x.isWritable === b[i].isWritable
    );
}

/** The facts before each node: what all ways into it have shown. */
function flow(
  summaries: readonly Summary[],
  { graph, order }: Structure,
): Facts[] {
  // Each node's facts only ever get fewer; in the end they are no more than
  // what each of its predecessors leaves.
  const before: Facts[] = [];
  // The entry is reached from outside as well.
  before[0] = NOTHING;
  for (let round = 0, changed = true; changed; round++) {
    changed = false;
    for (const n of order) {
      const after = factsAfter(summaries[n], before[n]);
      for (const t of graph[n]) {
        if (t < 0) continue;
        const old = before[t];
        if (old === undefined) {
          before[t] = after;
          continue;
        }
        let fewer: Map<string, Known> | undefined;
        for (const [name, { facts, globals }] of old) {
          const now = both(facts, after.get(name)?.facts ?? []);
          if (isSame(now, facts)) continue;
          fewer ??= new Map(old);
          if (now.length === 0 || round >= ROUNDS) fewer.delete(name);
          else fewer.set(name, { globals, facts: now });
        }
        if (fewer === undefined) continue;
        before[t] = fewer;
        changed = true;
      }
    }
  }
  return before;
}

/** Plans the accesses of a region's blocks, by node. */
export function planFlatAccesses(
  ir: readonly IrBlock[],
  structure: Structure,
): AccessPlan[] {
  const { order } = structure;
  const summaries: Summary[] = [];
  for (const n of order) summaries[n] = summarise(ir[n]);
  // The first time says which lookups should ask for more.
  flow(summaries, structure);
  const before = flow(summaries, structure);
  const plans: AccessPlan[] = [];
  for (const n of order) {
    markKnown(summaries[n], before[n]);
    plans[n] = { sections: [], clusters: summaries[n].clusters.of };
  }
  return plans;
}
