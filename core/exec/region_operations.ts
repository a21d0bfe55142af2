/**
 * The operations of a region's blocks, in WebAssembly: values and globals,
 * accesses to memory, calls of helpers, traps, and the indices that tell the
 * instruction at a fault exit.
 *
 * @module
 */

import { EXIT_TRAP, type Frontend } from "../cpu/frontend.ts";
import type { IrBlock } from "../ir/block.ts";
import { argumentTypes, type Helper } from "../ir/builder.ts";
import { CALLS, LOADS, Op, type OpInfo, OPS, STORES } from "../ir/ops.ts";
import type { Liveness } from "../ir/passes/liveness.ts";
import { I32, I64, WASM_TYPES } from "../ir/types.ts";
import type { Block } from "../translate/block_cache.ts";
import type { Emitter } from "../wasm/emitter.ts";
import type { FunctionBody } from "../wasm/function_body.ts";
import * as W from "../wasm/opcodes.ts";
import { emitRawAccess, slowAccessType } from "./access.ts";
import { OFF_TRAP, runningTag } from "./layout.ts";
import type { AccessPlan, Section } from "./region_accesses.ts";
import {
  BUDGET,
  CPU,
  FAULT,
  HOST,
  L_ANY,
  L_DONE,
  L_EXIT,
  L_FAULT_LOAD,
  L_FAULT_SPILLED,
  L_SLOW,
  REASON,
} from "./region_locals.ts";
import { RegionLookups, type RegionLookupsRegion } from "./region_lookups.ts";
import type { RegionState } from "./region_state.ts";
import type { RegionValues } from "./region_values.ts";
import { markOf } from "./trace.ts";

const NOP = Op["nop"];
const INSN = Op["insn"];
const CONST32 = Op["const32"];
const CONST128 = Op["const128"];
const FIRST_GET = Op["get32"];
const LAST_GET = Op["get128"];
const FIRST_SET = Op["set32"];
const LAST_SET = Op["set128"];
const CALL_IF = Op["callif"];
const TRAP = Op["trap"];
const CODE32 = Op["code32"];
const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);

/** What operations are emitted with. */
export interface RegionOperationsParts {
  /** The function. */
  readonly f: FunctionBody;
  /** Its locals and the CPU's area. */
  readonly state: RegionState;
  /** The values of its blocks. */
  readonly values: RegionValues;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** Whose helpers are called. */
  readonly frontend: Frontend;
}

/** What is the same in all of a region. */
export interface RegionOperationsRegion extends RegionLookupsRegion {
  /** Its blocks, the entry first. */
  readonly blocks: readonly Block[];
  /** The globals that it uses. */
  readonly used: readonly number[];
  /** Those that it writes. */
  readonly written: readonly number[];
}

/** Emits the operations of a region's blocks. */
export class RegionOperations {
  /** For each fault exit: block, instruction, its program counter and auxiliary word. */
  faults: number[] = [];
  readonly #f: FunctionBody;
  readonly #e: Emitter;
  readonly #state: RegionState;
  readonly #values: RegionValues;
  readonly #lookups: RegionLookups;
  readonly #frontend: Frontend;
  #region!: RegionOperationsRegion;
  // State of the block being compiled.
  #k!: IrBlock;
  #blockIndex = 0;
  #insnIndex = -1;
  #insnFault = -1;
  #insnPc = 0;
  #insnAux = 0;
  /** FAULT holds the index of this instruction. */
  #marked = false;
  /** Emitting the version of a section in which accesses are calls. */
  #slow = false;

  /** Makes what emits into `parts.f`. */
  constructor(parts: RegionOperationsParts) {
    this.#f = parts.f;
    this.#e = parts.f.e;
    this.#state = parts.state;
    this.#values = parts.values;
    this.#frontend = parts.frontend;
    this.#lookups = new RegionLookups({
      f: parts.f,
      values: parts.values,
      base: parts.base,
      faultIndex: () => this.#faultIndex(),
    });
  }

  /** Starts a region. */
  start(region: RegionOperationsRegion): void {
    this.#region = region;
    this.#lookups.start(region);
    this.faults = [];
  }

  /** Emits all operations of a block but what ends it; the mark of what follows. */
  block(
    node: number,
    k: IrBlock,
    { uses }: Liveness,
    plan: AccessPlan,
  ): number {
    this.#k = k;
    this.#blockIndex = node;
    this.#insnIndex = -1;
    this.#values.startBlock(k, uses, this.#region.written);
    this.#lookups.startBlock(k, plan);
    const { sections } = plan;
    for (let i = 0, next = 0; i < k.length; i++) {
      if (sections[next]?.first !== i) this.#operation(i);
      else {
        const section = sections[next++];
        this.#section(section);
        i = section.last;
      }
    }
    return markOf(node, this.#insnIndex + 1);
  }

  #operation(i: number): void {
    const e = this.#e;
    const k = this.#k;
    const op = k.op[i];
    if (op === NOP || (op >= CONST32 && op <= CONST128)) return;
    if (op === INSN) {
      this.#insnIndex++;
      this.#f.mark(markOf(this.#blockIndex, this.#insnIndex + 1));
      this.#insnFault = -1;
      this.#marked = false;
      this.#insnPc = k.lo[i];
      this.#insnAux = k.hi[i];
    } else if (op >= FIRST_GET && op <= LAST_GET) {
      this.#values.alias(k.dst[i], k.lo[i]);
    } else if (op >= FIRST_SET && op <= LAST_SET) {
      this.#values.set(k.a[i], k.lo[i]);
    } else {
      const effects = EFFECTS[op];
      if ((effects & LOADS) !== 0) this.#load(i);
      else if ((effects & STORES) !== 0) this.#store(i);
      else if ((effects & CALLS) !== 0) this.#call(i);
      else if (op === TRAP) this.#trap(i);
      else if (op === CODE32) {
        // Here and now: a later store may change it.
        e.i32Const(k.lo[i]);
        e.mem(W.I32_LOAD, 0, 0);
        this.#values.keep(k.dst[i]);
      } else if (this.#values.left[k.dst[i]] > 1) {
        this.#values.pushResult(i);
        this.#values.keep(k.dst[i]);
      } // else: emitted where it is used
    }
  }

  /**
   * Emits a section in its two versions. The second one is entered where a
   * lookup of the first one fails. Both make the same decisions about locals,
   * so that where one is left the other finds everything.
   */
  #section(section: Section): void {
    const { clusters, first, last } = section;
    const before = this.#values.snapshot();
    const insn = this.#insn();
    this.#f.open(W.BLOCK, L_DONE, false);
    for (let n = clusters.length - 1; n >= 0; n--) {
      this.#f.open(W.BLOCK, L_SLOW - n, false);
    }
    for (let i = first, n = 0; i <= last; i++) {
      while (clusters[n]?.first === i) {
        this.#lookups.lookUpOr(L_SLOW - n, clusters[n++]);
      }
      this.#operation(i);
    }
    this.#f.br(L_DONE);
    this.#values.restore(before);
    this.#goBack(insn);
    this.#slow = true;
    for (let i = first, n = 0; i <= last; i++) {
      while (clusters[n]?.first === i) {
        this.#f.close();
        n++;
        this.#marked = false;
      }
      this.#operation(i);
    }
    this.#slow = false;
    this.#slowPass();
    this.#f.close();
    this.#lookups.forget();
  }

  /** Counts a pass through a section's second version. */
  #slowPass(): void {
    const e = this.#e;
    const i32 = WASM_TYPES[I32];
    const type = this.#region.module.type([i32, i32, i32], [i32]);
    const fn = this.#region.module.importFunction("env", "slowPass", type);
    e.localGet(CPU);
    e.i32Const(this.#region.blocks[0].record);
    e.localGet(BUDGET);
    e.u8(W.CALL);
    e.u32(fn);
    e.localSet(BUDGET);
  }

  #insn(): [index: number, fault: number, pc: number, aux: number] {
    return [this.#insnIndex, this.#insnFault, this.#insnPc, this.#insnAux];
  }

  /** What is emitted next belongs to an earlier instruction once more. */
  #goBack([index, fault, pc, aux]: [number, number, number, number]): void {
    this.#insnIndex = index;
    this.#insnFault = fault;
    this.#insnPc = pc;
    this.#insnAux = aux;
    this.#f.mark(markOf(this.#blockIndex, index + 1));
  }

  /** The index that tells this instruction at a fault exit. */
  #faultIndex(): number {
    if (this.#insnFault < 0) {
      this.#insnFault = this.faults.length / 4;
      this.faults.push(
        this.#blockIndex,
        this.#insnIndex,
        this.#insnPc,
        this.#insnAux,
      );
    }
    return this.#insnFault;
  }

  /** Sets the fault index for what follows in this instruction. */
  #mark(): void {
    if (this.#marked) return;
    this.#marked = true;
    this.#state.setLocal(FAULT, this.#faultIndex());
  }

  /** Pushes what comes first in a call for an access: the CPU's base and the guest address. */
  #slowAddress(i: number): void {
    const e = this.#e;
    e.localGet(CPU);
    const address = this.#k.a[i];
    const displacement = this.#k.lo[i];
    this.#values.push(address);
    if (displacement === 0) return;
    if (this.#k.typeOf(address) === I64) {
      e.i64Const(displacement, displacement >> 31);
      e.u8(0x7c); // i64.add
      return;
    }
    e.i32Const(displacement);
    e.u8(W.I32_ADD);
  }

  /** Calls the function for an access where its lookup failed. */
  #slowAccess(op: OpInfo): void {
    const { params, results } = slowAccessType(op);
    const type = this.#region.module.type(params, results);
    const fn = this.#region.module.importFunction("env", op.name, type);
    this.#e.localGet(BUDGET);
    this.#e.u8(W.CALL);
    this.#e.u32(fn);
  }

  #load(i: number): void {
    const e = this.#e;
    const op = OPS[this.#k.op[i]];
    const v = this.#k.dst[i];
    if (this.#slow) {
      this.#mark();
      this.#slowAddress(i);
      e.i32Const(this.#k.hi[i]);
      this.#slowAccess(op);
      this.#f.br(L_FAULT_LOAD, false, W.BR_IF);
      e.localSet(BUDGET);
    } else emitRawAccess(e, op, this.#lookups.found(i));
    if (this.#values.left[v] === 0) e.u8(W.DROP);
    else this.#values.keep(v);
  }

  #store(i: number): void {
    const e = this.#e;
    const k = this.#k;
    const op = OPS[k.op[i]];
    if (this.#slow) {
      this.#mark();
      this.#slowAddress(i);
      this.#values.push(k.b[i]);
      const tag = runningTag(this.#region.blocks[this.#blockIndex].id);
      e.i32Const(k.hi[i] | tag << 8);
      this.#slowAccess(op);
      e.localSet(REASON);
      e.localSet(BUDGET);
      e.localGet(REASON);
      this.#f.br(L_EXIT, false, W.BR_IF);
    } else {
      const distance = this.#lookups.found(i);
      this.#values.push(k.b[i]);
      emitRawAccess(e, op, distance);
    }
  }

  /** With 0, 1 (fault), 2 (modifies) or 3 (no lookup) on the stack: leaves through `label` if it is not 0. */
  #leaveOn(label: number): void {
    this.#e.localTee(HOST);
    this.#f.openUnlikely(L_ANY);
    this.#state.setLocal(FAULT, this.#faultIndex());
    this.#state.setReason();
    this.#f.br(label);
    this.#f.close();
  }

  /** Makes the state in memory what a helper needs to see. */
  #spillFor(helper: Helper): void {
    this.#state.saveBudget();
    const all = helper.faults || helper.reads === "all";
    const reads = all
      ? this.#region.written
      : (helper.reads as readonly { index: number }[]).map((g) => g.index);
    for (const g of reads) {
      if (this.#values.dirty[g] === 0 || !this.#region.written.includes(g)) {
        continue;
      }
      this.#state.spill([g]);
      this.#values.dirty[g] = 0;
    }
  }

  /** The globals of this function that a helper may write. */
  #writtenBy(helper: Helper): readonly number[] {
    if (helper.writes === "all") return this.#region.used;
    return helper.writes.map((g) => g.index).filter((g) =>
      this.#region.used.includes(g)
    );
  }

  #call(i: number): void {
    const e = this.#e;
    const k = this.#k;
    const helper = this.#frontend.helpers[k.lo[i]];
    const writes = this.#writtenBy(helper);
    const type = this.#region.module.type(
      argumentTypes(helper).map((t) => WASM_TYPES[t]),
      [WASM_TYPES[I32]],
    );
    const fn = this.#region.module.importFunction(
      "helper",
      String(helper.index),
      type,
    );
    if (k.op[i] === CALL_IF) {
      this.#values.push(k.a[i]);
      e.localSet(HOST); // the spills below must not come between
      for (const g of writes) this.#values.evict(g);
      e.localGet(HOST);
      this.#f.openUnlikely(L_ANY);
      const before = this.#values.dirty.slice();
      this.#spillFor(helper);
      e.u8(W.CALL);
      e.u32(fn);
      if (helper.faults) this.#leaveOn(L_FAULT_SPILLED);
      else e.u8(W.DROP);
      this.#state.loadBudget();
      for (const g of writes) this.#state.reload(g);
      this.#f.close();
      // On the other path nothing was spilled.
      this.#values.dirty.set(before);
      return;
    }
    // Arguments first: they may read what the helper changes.
    const args = [k.a[i], k.b[i], k.c[i]].slice(0, helper.args);
    this.#spillFor(helper);
    for (const v of args) this.#values.push(v);
    for (const g of writes) this.#values.evict(g);
    e.u8(W.CALL);
    e.u32(fn);
    const v = k.dst[i];
    if (helper.faults) {
      this.#leaveOn(L_FAULT_SPILLED);
      if (this.#values.left[v] > 0) {
        e.i32Const(0);
        this.#values.keep(v);
      }
    } else if (this.#values.left[v] > 0) this.#values.keep(v);
    else e.u8(W.DROP);
    this.#state.loadBudget();
    for (const g of writes) {
      this.#state.reload(g);
      // Memory holds it now.
      this.#values.dirty[g] = 0;
    }
  }

  #trap(i: number): void {
    const e = this.#e;
    this.#values.push(this.#k.a[i]);
    this.#f.openUnlikely(L_ANY);
    e.localGet(CPU);
    e.i32Const(this.#k.lo[i]);
    e.mem(W.I32_STORE, OFF_TRAP, 2);
    this.#state.setLocal(FAULT, this.#faultIndex());
    this.#state.setLocal(REASON, EXIT_TRAP);
    this.#f.br(L_EXIT);
    this.#f.close();
  }
}
