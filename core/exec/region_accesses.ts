/**
 * Which accesses to memory of a block one lookup of the TLB serves.
 *
 * Accesses by one base (a stack frame, the fields of a structure) mostly fall
 * on one page. They are a *cluster*: one comparison says that the page may be
 * accessed and that all of it from the lowest to the highest address is on it,
 * and the accesses themselves are then as cheap as the host's. Where it fails
 * and the TLB cannot be filled so that it does not, the region is left.
 *
 * A region for which that happens too often is compiled anew: control then goes
 * on in a second version of the code, in which each access is a call of a
 * function that looks at everything. Clusters that overlap share the two
 * versions: a *section*. At its end they meet. (Two versions are half as much
 * code again, and the first is slower for it, which is why they come second.)
 *
 * @module
 */

import type { IrBlock, Value } from "../ir/block.ts";
import { CALLS, LOADS, OPS, STORES } from "../ir/ops.ts";

const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);

/**
 * Bytes from the first to the last of a cluster. A frame of this size lies
 * across two pages once in 32 times. What does is ten times as slow, until its
 * region is compiled again with narrow clusters.
 */
const MAX_SPAN = 128;
/** The same of a narrow cluster: it lies across two pages only if its accesses do. */
const NARROW_SPAN = 4;

/** How a region looks its accesses up. */
export type Lookups = 0 | 1 | 2;
/**
 * Each access stands there once. Where a lookup is no help (a cluster across
 * two pages, a device, a page with code), the region is left before the
 * instruction.
 */
export const LOOK_ONCE = 0;
/** In two versions, for regions that would be left too often. */
export const LOOK_TWICE = 1;
/** The same with narrow clusters, for regions that mostly go through the second version. */
export const LOOK_NARROW = 2;

/** Accesses by one base, in a span of {@linkcode MAX_SPAN} bytes. */
export interface Cluster {
  /** The base. */
  readonly base: Value;
  /** Which TLB. */
  readonly mmu: number;
  /** Index of the operation that is the first of the accesses. */
  readonly first: number;
  /** Index of the last one. */
  last: number;
  /** Displacement of the lowest byte. */
  low: number;
  /** Displacement of the byte after the highest. */
  high: number;
  /** Whether one of them is a store, or the lookup is to ask as if. */
  isStore: boolean;
  /** Without paging: whether earlier blocks have shown what a lookup would (`flat_accesses.ts`). */
  known: boolean;
}

/** Operations from the first access of a cluster to the last one of those that overlap it. */
export interface Section {
  /** Index of the first operation. */
  readonly first: number;
  /** Index of the last one. */
  last: number;
  /** In the order of their first accesses. */
  readonly clusters: Cluster[];
}

/** A block's clusters and sections. */
export interface AccessPlan {
  /** In order. */
  readonly sections: readonly Section[];
  /** The cluster of each access, by the index of the operation. */
  readonly clusters: ReadonlyMap<number, Cluster>;
}

/** The clusters of a block, in the order of their first accesses, and which one each access belongs to. */
export interface Clusters {
  /** All of them. */
  readonly all: readonly Cluster[];
  /** The cluster of each access, by the index of the operation. */
  readonly of: ReadonlyMap<number, Cluster>;
}

/** The clusters of a block, none of them of more than `span` bytes. */
export function clustersOf(k: IrBlock, span: number): Clusters {
  const all: Cluster[] = [];
  const of = new Map<number, Cluster>();
  let open: Cluster[] = [];
  for (let i = 0; i < k.length; i++) {
    const effects = EFFECTS[k.op[i]];
    // A helper may change the translations.
    if ((effects & CALLS) !== 0) open = [];
    if ((effects & (LOADS | STORES)) === 0) continue;
    const isStore = (effects & STORES) !== 0;
    const low = k.lo[i];
    const high = low + OPS[k.op[i]].width;
    let cluster = open.find((c) =>
      c.base === k.a[i] && c.mmu === k.hi[i] &&
      Math.max(c.high, high) - Math.min(c.low, low) <= span
    );
    if (cluster === undefined) {
      cluster = {
        base: k.a[i],
        mmu: k.hi[i],
        first: i,
        last: i,
        low,
        high,
        isStore,
        known: false,
      };
      open.push(cluster);
      all.push(cluster);
    } else {
      cluster.last = i;
      cluster.low = Math.min(cluster.low, low);
      cluster.high = Math.max(cluster.high, high);
      cluster.isStore ||= isStore;
    }
    of.set(i, cluster);
  }
  return { all, of };
}

/** Plans the accesses of a block that are looked up in the TLB. */
export function planAccesses(k: IrBlock, lookups: Lookups): AccessPlan {
  const span = lookups === LOOK_NARROW ? NARROW_SPAN : MAX_SPAN;
  const { all, of } = clustersOf(k, span);
  const sections: Section[] = [];
  if (lookups === LOOK_ONCE) return { sections, clusters: of };
  for (const cluster of all) {
    const section = sections.at(-1);
    if (section === undefined || section.last < cluster.first) {
      sections.push({
        first: cluster.first,
        last: cluster.last,
        clusters: [cluster],
      });
    } else {
      section.last = Math.max(section.last, cluster.last);
      section.clusters.push(cluster);
    }
  }
  return { sections, clusters: of };
}
