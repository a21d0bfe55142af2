/**
 * Where the accesses of a region's blocks look up what they access: in the TLB
 * or, without paging, among the permissions of pages.
 *
 * @module
 */

import type { IrBlock, Value } from "../ir/block.ts";
import { OPS, STORES } from "../ir/ops.ts";
import { F64, I32, I64, WASM_TYPES } from "../ir/types.ts";
import type { Emitter } from "../wasm/emitter.ts";
import type { FunctionBody } from "../wasm/function_body.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import * as W from "../wasm/opcodes.ts";
import {
  type AccessLocals,
  emitHost,
  emitLookup,
  tlbBytes,
  tlbOffset,
} from "./access.ts";
import {
  FLAT_READ,
  FLAT_WRITE,
  OFF_BUDGET,
  OFF_FLAT_PAGES,
  OFF_FLAT_WINDOW,
  OFF_FLAT_WINDOW_SIZE,
  REFILLED,
  refillWord,
} from "./layout.ts";
import type { AccessPlan, Cluster } from "./region_accesses.ts";
import {
  ADDRESS,
  BUDGET,
  CPU,
  ENTRY,
  FAULT,
  HOST,
  L_ANY,
  L_FORBIDDEN,
  L_REFUSED,
  PAIR,
  WIDE,
} from "./region_locals.ts";
import type { RegionValues } from "./region_values.ts";

const I64_ADD = 0x7c,
  F64_CONVERT_I64_S = 0xb9;
const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);

/** What lookups are emitted with. */
export interface RegionLookupsParts {
  /** The function. */
  readonly f: FunctionBody;
  /** The values of its blocks. */
  readonly values: RegionValues;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** The index that tells the present instruction at a fault exit. */
  readonly faultIndex: () => number;
}

/** What is the same in all of a region. */
export interface RegionLookupsRegion {
  /** Its module. */
  readonly module: ModuleBuilder;
  /** Record of its entry. */
  readonly record: number;
  /** If its addresses are physical: what to add to them; else undefined. */
  readonly flatDelta: number | undefined;
  /** Whether there are facts of earlier blocks, without paging, which the plans of accesses tell. */
  readonly hasFacts: boolean;
}

/** Emits the lookups of a region's accesses. */
export class RegionLookups {
  readonly #f: FunctionBody;
  readonly #e: Emitter;
  readonly #values: RegionValues;
  readonly #faultIndex: () => number;
  readonly #locals: AccessLocals & { readonly base: number };
  /** Of accesses at addresses of 64 bits. */
  readonly #wideLocals: AccessLocals;
  #region!: RegionLookupsRegion;
  #k!: IrBlock;
  #plan: AccessPlan = { sections: [], clusters: new Map() };
  /** Local of each of the block's clusters that was looked up: the host offset of its lowest byte. */
  readonly #hosts: Map<Cluster, number> = new Map();
  #hostPool: number[] = [];

  /** Makes what emits into `parts.f`. */
  constructor({ f, values, base, faultIndex }: RegionLookupsParts) {
    this.#f = f;
    this.#e = f.e;
    this.#values = values;
    this.#faultIndex = faultIndex;
    this.#locals = {
      cpu: CPU,
      base,
      address: ADDRESS,
      entry: ENTRY,
      host: HOST,
      pair: PAIR,
    };
    this.#wideLocals = {
      cpu: CPU,
      base,
      address: WIDE,
      entry: ENTRY,
      host: HOST,
      wide: PAIR,
    };
  }

  /** Starts a region. */
  start(region: RegionLookupsRegion): void {
    this.#region = region;
    this.#hostPool = [];
  }

  /** Starts a block. */
  startBlock(k: IrBlock, plan: AccessPlan): void {
    this.#k = k;
    this.#plan = plan;
    this.forget();
  }

  /** Nothing is known any more of what was looked up. */
  forget(): void {
    this.#hosts.clear();
  }

  /**
   * Pushes the host offset of the lowest byte of an access's cluster, which is
   * looked up unless it was; the distance from there. Takes a use of the base
   * away.
   */
  found(i: number): number {
    const cluster = this.#plan.clusters.get(i)!;
    if (!this.#hosts.has(cluster)) {
      if (this.#region.hasFacts) this.#lookUpFlat(cluster);
      else this.#lookUpOnce(cluster);
    }
    this.#values.left[this.#k.a[i]]--;
    this.#e.localGet(this.#hosts.get(cluster)!);
    return this.#k.lo[i] - cluster.low;
  }

  /** Looks a cluster up; leaves for the section's other version, at `label`, where that fails. */
  lookUpOr(label: number, cluster: Cluster): void {
    const e = this.#e;
    const { base, high, isStore, low, mmu } = cluster;
    const delta = this.#region.flatDelta;
    const local = this.#hostLocal(cluster);
    this.#address(base, low);
    if (delta !== undefined) {
      this.#pushIsForbidden(isStore);
      this.#f.openUnlikely(L_ANY);
    }
    const [locals, tlb] = this.#tlb(base, mmu);
    emitLookup(e, locals, high - low, isStore, tlb);
    this.#f.unlikely();
    this.#f.br(label, false, W.BR_IF);
    emitHost(e, locals, tlb, isStore);
    e.localSet(local);
    if (delta !== undefined) {
      e.u8(W.ELSE);
      this.#setSum(local, ADDRESS, delta);
      this.#f.close();
    }
  }

  /**
   * Looks a cluster up in the TLB. Where that fails the entry is filled, and if
   * that is no help, the region is left before the instruction.
   */
  #lookUpOnce(cluster: Cluster): void {
    const e = this.#e;
    const { base, first, high, isStore, low, mmu } = cluster;
    const local = this.#hostLocal(cluster);
    this.#address(base, low);
    const [locals, tlb] = this.#tlb(base, mmu);
    emitLookup(e, locals, high - low, isStore, tlb);
    this.#f.openUnlikely(L_ANY);
    this.#setFault();
    e.localGet(locals.address);
    if (locals.wide !== undefined) e.u8(F64_CONVERT_I64_S);
    const effects = EFFECTS[this.#k.op[first]];
    e.i32Const(refillWord({
      distance: this.#k.lo[first] - low,
      bytes: high - low,
      isFirstStore: (effects & STORES) !== 0,
      isStore,
      mmu,
    }));
    e.i32Const(this.#region.record);
    e.localGet(BUDGET);
    e.u8(W.CALL);
    e.u32(this.#refill(locals.wide !== undefined));
    e.localSet(local);
    // It may have been taken away meanwhile.
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_BUDGET, 2);
    e.localSet(BUDGET);
    e.localGet(local);
    e.localTee(HOST);
    e.i32Const(REFILLED);
    e.u8(W.I32_LT_U);
    this.#f.br(L_REFUSED, false, W.BR_IF);
    e.u8(W.ELSE);
    emitHost(e, locals, tlb, isStore);
    e.localSet(local);
    this.#f.close();
  }

  /** The locals of an access by a base, and the offset of its TLB. */
  #tlb(base: Value, mmu: number): [AccessLocals, number] {
    const isWide = this.#k.typeOf(base) === I64;
    return [
      isWide ? this.#wideLocals : this.#locals,
      tlbOffset(isWide) + mmu * tlbBytes(isWide),
    ];
  }

  /** Asks for a cluster's permission, unless it is known; leaves where there is none. */
  #lookUpFlat(cluster: Cluster): void {
    const { base, isStore, known, low } = cluster;
    const local = this.#hostLocal(cluster);
    this.#address(base, low);
    if (!known) {
      this.#pushIsOutside();
      this.#f.openUnlikely(L_ANY);
      this.#pushIsForbidden(isStore);
      this.#f.openUnlikely(L_ANY);
      this.#setFault();
      this.#f.br(L_FORBIDDEN);
      this.#f.close();
      this.#f.close();
    }
    this.#setSum(local, ADDRESS, this.#region.flatDelta!);
  }

  /** A local for the host offset of a cluster's lowest byte; it is to be set from its base. */
  #hostLocal(cluster: Cluster): number {
    // The access itself takes the use of the base away.
    this.#values.left[cluster.base]++;
    const local = this.#hostPool[this.#hosts.size] ??= this.#f.newLocal(I32);
    this.#hosts.set(cluster, local);
    return local;
  }

  #refill(isWide: boolean): number {
    const i32 = WASM_TYPES[I32];
    const { module } = this.#region;
    const address = isWide ? WASM_TYPES[F64] : i32;
    const type = module.type([address, i32, i32, i32], [i32]);
    return module.importFunction("env", isWide ? "refillWide" : "refill", type);
  }

  #setFault(): void {
    this.#e.i32Const(this.#faultIndex());
    this.#e.localSet(FAULT);
  }

  #address(base: Value, displacement: number): void {
    const e = this.#e;
    this.#values.push(base);
    if (this.#k.typeOf(base) === I64) {
      if (displacement !== 0) {
        e.i64Const(displacement, displacement >> 31);
        e.u8(I64_ADD);
      }
      e.localSet(WIDE);
      return;
    }
    if (displacement !== 0) {
      e.i32Const(displacement);
      e.u8(W.I32_ADD);
    }
    e.localSet(ADDRESS);
  }

  /** Without paging: pushes whether ADDRESS is outside of the window in which everything may be done. */
  #pushIsOutside(): void {
    const e = this.#e;
    e.localGet(ADDRESS);
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_FLAT_WINDOW, 2);
    e.u8(W.I32_SUB);
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_FLAT_WINDOW_SIZE, 2);
    e.u8(W.I32_GE_U);
  }

  /** Without paging: pushes whether the page of ADDRESS or the next one must not be accessed. */
  #pushIsForbidden(isStore: boolean): void {
    const e = this.#e;
    e.localGet(ADDRESS);
    e.i32Const(12);
    e.u8(W.I32_SHR_U);
    e.mem(W.I32_LOAD8_U, this.#locals.base + OFF_FLAT_PAGES, 0);
    e.i32Const(isStore ? FLAT_WRITE : FLAT_READ);
    e.u8(W.I32_LT_U);
  }

  /** local = from + distance */
  #setSum(local: number, from: number, distance: number): void {
    this.#e.localGet(from);
    this.#e.i32Const(distance | 0);
    this.#e.u8(W.I32_ADD);
    this.#e.localSet(local);
  }
}
