/**
 * The region compiler: several hot blocks become one WebAssembly function.
 *
 * Guest registers and lazy flags are locals: loaded at entry, spilled at each
 * exit. A fault exit sets the fault's index and branches to an epilogue that
 * spills; the index leads to the instruction whose state that is. The budget is
 * a local too, taken down by each block as the interpreter does it, so that
 * interrupts and the ends of slices come at the same instruction in both.
 *
 * Accesses to memory: see `region_accesses.ts` and `flat_accesses.ts`.
 *
 * @module
 */

import {
  EXIT_BUDGET,
  EXIT_FAULT,
  EXIT_FORBIDDEN,
  EXIT_TRAP,
  type Frontend,
} from "../cpu/frontend.ts";
import type { IrBlock } from "../ir/block.ts";
import { argumentTypes, type Helper } from "../ir/builder.ts";
import { CALLS, LOADS, Op, type OpInfo, OPS, STORES } from "../ir/ops.ts";
import type { Liveness } from "../ir/passes/liveness.ts";
import { I32, I64, WASM_TYPES } from "../ir/types.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { Block, Region } from "../translate/block_cache.ts";
import type { Emitter } from "../wasm/emitter.ts";
import { FunctionBody } from "../wasm/function_body.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import * as W from "../wasm/opcodes.ts";
import { emitStructured, type Structure } from "../wasm/structure.ts";
import {
  RegionFormer,
  type RegionFormerParts,
} from "../translate/region_former.ts";
import {
  emitRawAccess,
  emitSlotLoad,
  emitSlotStore,
  slowAccessType,
} from "./access.ts";
import { planFlatAccesses } from "./flat_accesses.ts";
import {
  type AccessPlan,
  LOOK_ONCE,
  type Lookups,
  planAccesses,
  type Section,
} from "./region_accesses.ts";
import { type CompiledRegion, MARK_EXITS, markOf } from "./trace.ts";
import {
  OFF_BUDGET,
  OFF_FAULT,
  OFF_FAULT_REGION,
  OFF_LINK,
  OFF_LOOKUP,
  OFF_RECORD,
  OFF_TARGET,
  OFF_TRAP,
  REC_INSNS,
  REC_TABLE,
  runningTag,
} from "./layout.ts";
import { RegionJumps } from "./region_jumps.ts";
import { RegionLookups } from "./region_lookups.ts";
import { RegionValues } from "./region_values.ts";
import {
  ADDRESS,
  BUDGET,
  CPU,
  FAULT,
  FIXED_LOCALS,
  FIXED_NAMES,
  HOST,
  L_ANY,
  L_BUDGET,
  L_DONE,
  L_EXIT,
  L_FAULT_LOAD,
  L_FAULT_SPILLED,
  L_FORBIDDEN,
  L_LINK,
  L_LOOKUP,
  L_REFUSED,
  L_SLOW,
  L_WARM,
  L_WARMING,
  LINK,
  REASON,
  RECORD,
} from "./region_locals.ts";

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

/** What a compiler works with. */
export interface RegionCompilerParts extends RegionFormerParts {
  /** Offset of the CPU's area, which is built into the code. */
  readonly base: number;
}

/** Compiles regions for one CPU. */
export class RegionCompiler {
  readonly #frontend: Frontend;
  readonly #imports: WebAssembly.Imports;
  readonly #pages: number;
  readonly #former: RegionFormer;
  readonly #jumps: RegionJumps;
  readonly #lookups: RegionLookups;
  readonly #base: number;
  #ids = 0;
  #regions = 0;
  #bytes = 0;
  #milliseconds = 0;

  // State of the function being compiled.
  readonly #f = new FunctionBody(FIXED_LOCALS);
  readonly #e: Emitter = this.#f.e;
  #module!: ModuleBuilder;
  #runType = 0;
  #blocks: readonly Block[] = [];
  #ir: readonly IrBlock[] = [];
  #liveness: readonly Liveness[] = [];
  readonly #values: RegionValues;
  #used: number[] = [];
  #written: number[] = [];
  #faults: number[] = [];
  // State of the block being compiled.
  #k!: IrBlock;
  #blockIndex = 0;
  #insnIndex = -1;
  #insnFault = -1;
  /** FAULT holds the index of this instruction. */
  #marked = false;
  /** Emitting the version of a section in which accesses are calls. */
  #slow = false;
  /** How the region looks accesses up. */
  #mode: Lookups = LOOK_ONCE;
  #plans: AccessPlan[] | undefined;
  readonly #mmu: SoftMmu;
  #insnPc = 0;
  #insnAux = 0;

  /** Called with each compiled region, for dumps. */
  onRegion: ((region: CompiledRegion) => void) | undefined;

  /** A compiler whose functions import `imports`. */
  constructor(
    parts: RegionCompilerParts,
    imports: WebAssembly.Imports,
    memoryPages: number,
  ) {
    const { frontend } = parts;
    this.#mmu = parts.mmu;
    this.#former = new RegionFormer(parts);
    this.#values = new RegionValues(this.#f, frontend.globals);
    this.#jumps = new RegionJumps({
      ...parts,
      f: this.#f,
      push: (v) => this.#values.push(v),
    });
    this.#lookups = new RegionLookups({
      f: this.#f,
      values: this.#values,
      base: parts.base,
      faultIndex: () => this.#faultIndex(),
    });
    this.#base = parts.base;
    this.#frontend = frontend;
    this.#imports = imports;
    this.#pages = memoryPages;
  }

  /** Counters for `--stats`. */
  stats(): { regions: number; regionBytes: number; compileMs: number } {
    return {
      regions: this.#regions,
      regionBytes: this.#bytes,
      compileMs: Math.round(this.#milliseconds),
    };
  }

  /**
   * Forms and compiles the region of a hot block; undefined if its bytes have
   * changed or its work is too little yet (`RegionFormer.form`). The CPU is in
   * the block's mode and at it, which gives `pcBase`.
   */
  compile(
    entry: Block,
    pcBase: number,
    tableIndex: number,
  ): Region | undefined {
    const started = performance.now();
    const flatDelta = this.#frontend.flat(entry.key)
      ? this.#mmu.flat.delta
      : undefined;
    this.#mode = entry.lookups;
    const isOnce = this.#mode === LOOK_ONCE;
    const formed = this.#former.form(entry, pcBase, isOnce);
    if (formed === undefined) return undefined;
    const { structure } = formed;
    if (flatDelta !== undefined) this.#mmu.openFlat();
    this.#plans = isOnce && flatDelta !== undefined
      ? planFlatAccesses(formed.ir, structure)
      : undefined;
    this.#blocks = formed.blocks;
    this.#ir = formed.ir;
    this.#liveness = formed.liveness;
    this.#jumps.start(formed.blocks, formed.pcs, structure.graph);
    this.#module = new ModuleBuilder(this.#pages);
    this.#lookups.start({
      module: this.#module,
      record: entry.record,
      flatDelta,
      hasFacts: this.#plans !== undefined,
    });
    const i32 = WASM_TYPES[I32];
    this.#runType = this.#module.type([i32], [i32]);
    const id = ++this.#ids;
    const code = this.#function(id, structure);
    this.#module.addFunction(
      this.#runType,
      code,
      tableIndex,
      undefined,
      this.#f.hints,
    );
    const bytes = this.#module.build();
    new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    const milliseconds = performance.now() - started;
    this.#regions++;
    this.#bytes += bytes.length;
    this.#milliseconds += milliseconds;
    this.onRegion?.({
      id,
      blocks: this.#blocks,
      ir: this.#ir.slice(0, this.#blocks.length),
      helpers: this.#frontend.helpers,
      locals: this.#localNames(),
      marks: this.#f.marks,
      module: bytes,
      milliseconds,
    });
    return {
      id,
      blocks: this.#blocks,
      codeBytes: code.length,
      tableIndex,
      lookups: this.#mode,
      faults: Int32Array.from(this.#faults),
      valid: true,
    };
  }

  #localNames(): string[] {
    const names = [...FIXED_NAMES];
    for (const g of this.#used) {
      names[this.#values.globalLocal[g]] = this.#frontend.globals[g].name;
    }
    return names;
  }

  #function(id: number, structure: Structure): Uint8Array {
    const e = this.#e;
    const f = this.#f;
    f.start();
    this.#faults = [];
    this.#collectGlobals(structure.order);
    this.#values.startFunction(this.#used);
    // For `warmUp`: a negative parameter only goes round this loop.
    this.#f.open(W.LOOP, L_WARM, true);
    this.#f.open(W.BLOCK, L_WARMING, false);
    e.localGet(CPU);
    e.i32Const(0);
    e.u8(W.I32_LT_S);
    this.#f.unlikely();
    this.#f.br(L_WARMING, false, W.BR_IF);
    // The parameter, known: V8 then folds it into addresses.
    e.i32Const(this.#base);
    e.localSet(CPU);
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_BUDGET, 2);
    e.localSet(BUDGET);
    for (const g of this.#used) this.#reload(g);
    for (
      const label of [
        L_FAULT_SPILLED,
        L_EXIT,
        L_FAULT_LOAD,
        L_FORBIDDEN,
        L_REFUSED,
        L_BUDGET,
        L_LOOKUP,
        L_LINK,
      ]
    ) {
      this.#f.open(W.BLOCK, label, false);
    }
    emitStructured(structure, {
      block: (node) => this.#f.open(W.BLOCK, node, false),
      loop: (node) => this.#f.open(W.LOOP, node, true),
      end: () => this.#f.close(),
      node: (node, go) => this.#block(node, go),
      branch: (node, toLoop) => this.#f.br(node, toLoop),
    });
    f.mark(MARK_EXITS);
    e.u8(W.UNREACHABLE);
    this.#f.close(); // L_LINK
    this.#spill(this.#written);
    this.#storeLocal(OFF_BUDGET, BUDGET);
    this.#storeLocal(OFF_LINK, LINK);
    e.localGet(CPU);
    e.localGet(LINK);
    e.mem(W.I32_LOAD, 0, 2);
    e.mem(W.I32_LOAD, REC_TABLE, 2);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(this.#runType);
    e.u8(0);
    this.#f.close(); // L_LOOKUP
    this.#spill(this.#written);
    this.#storeLocal(OFF_BUDGET, BUDGET);
    e.localGet(CPU);
    // Not a constant: a jump may lead to another mode.
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_LOOKUP, 2);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(this.#runType);
    e.u8(0);
    this.#f.close(); // L_BUDGET
    this.#storeLocal(OFF_RECORD, RECORD);
    e.localGet(BUDGET);
    e.localGet(RECORD);
    e.mem(W.I32_LOAD, REC_INSNS, 2);
    e.u8(W.I32_ADD);
    e.localSet(BUDGET);
    // An exit that left FAULT as it is would keep it live, and in a register,
    // from one end of the function to the other.
    this.#setLocal(FAULT, 0);
    this.#setLocal(REASON, EXIT_BUDGET);
    this.#f.br(L_EXIT);
    this.#f.close(); // L_REFUSED
    this.#setReason();
    this.#f.br(L_EXIT);
    this.#f.close(); // L_FORBIDDEN
    this.#storeLocal(OFF_TARGET, ADDRESS);
    this.#setLocal(REASON, EXIT_FORBIDDEN);
    this.#f.br(L_EXIT);
    this.#f.close(); // L_FAULT_LOAD
    this.#loadBudget();
    this.#setLocal(REASON, EXIT_FAULT);
    this.#f.close(); // L_EXIT
    this.#spill(this.#written);
    this.#storeLocal(OFF_BUDGET, BUDGET);
    this.#f.close(); // L_FAULT_SPILLED
    this.#storeLocal(OFF_FAULT, FAULT);
    e.localGet(CPU);
    e.i32Const(id);
    e.mem(W.I32_STORE, OFF_FAULT_REGION, 2);
    e.localGet(REASON);
    e.u8(W.RETURN);
    this.#f.close(); // L_WARMING
    e.localGet(CPU);
    e.i32Const(1);
    e.u8(W.I32_ADD);
    e.localTee(CPU);
    e.i32Const(0);
    e.u8(W.I32_LT_S);
    this.#f.br(L_WARM, true, W.BR_IF);
    this.#f.close(); // L_WARM
    e.i32Const(0);
    return f.finish();
  }

  #collectGlobals(order: readonly number[]): void {
    const used = new Set<number>();
    const written = new Set<number>();
    for (const n of order) {
      const k = this.#ir[n];
      for (let i = 0; i < k.length; i++) {
        const op = k.op[i];
        if (op >= FIRST_GET && op <= LAST_GET) used.add(k.lo[i]);
        else if (op >= FIRST_SET && op <= LAST_SET) {
          used.add(k.lo[i]);
          written.add(k.lo[i]);
        }
      }
    }
    this.#used = [...used].sort((a, b) => a - b);
    this.#written = [...written].sort((a, b) => a - b);
  }

  #storeLocal(offset: number, local: number): void {
    this.#e.localGet(CPU);
    this.#e.localGet(local);
    this.#e.mem(W.I32_STORE, offset, 2);
  }

  #spill(globals: readonly number[]): void {
    for (const g of globals) {
      const { type, offset } = this.#frontend.globals[g];
      this.#e.localGet(CPU);
      this.#e.localGet(this.#values.globalLocal[g]);
      emitSlotStore(this.#e, type, offset);
    }
  }

  #reload(g: number): void {
    const { type, offset } = this.#frontend.globals[g];
    this.#e.localGet(CPU);
    emitSlotLoad(this.#e, type, offset);
    this.#e.localSet(this.#values.globalLocal[g]);
  }

  #block(node: number, go: (successor: number) => void): void {
    const e = this.#e;
    const b = this.#blocks[node];
    const k = this.#ir[node];
    this.#f.mark(markOf(node, 0));
    // budget -= insns; below 0: leave before the block.
    e.localGet(BUDGET);
    e.i32Const(b.insns);
    e.u8(W.I32_SUB);
    e.localTee(BUDGET);
    e.i32Const(0);
    e.u8(W.I32_LT_S);
    this.#f.openUnlikely(L_ANY);
    e.i32Const(b.record);
    e.localSet(RECORD);
    this.#jumps.moveBase(node);
    this.#f.br(L_BUDGET);
    this.#f.close();

    this.#k = k;
    this.#blockIndex = node;
    this.#insnIndex = -1;
    this.#values.startBlock(k, this.#liveness[node].uses, this.#written);
    const plan = this.#plans?.[node] ?? planAccesses(k, this.#mode);
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
    const last = markOf(node, this.#insnIndex + 1);
    this.#jumps.terminator(node, k, (successor) => {
      go(successor);
      this.#f.mark(last);
    });
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
    const type = this.#module.type([i32, i32, i32], [i32]);
    const fn = this.#module.importFunction("env", "slowPass", type);
    e.localGet(CPU);
    e.i32Const(this.#blocks[0].record);
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
      this.#insnFault = this.#faults.length / 4;
      this.#faults.push(
        this.#blockIndex,
        this.#insnIndex,
        this.#insnPc,
        this.#insnAux,
      );
    }
    return this.#insnFault;
  }

  #setLocal(local: number, value: number): void {
    this.#e.i32Const(value);
    this.#e.localSet(local);
  }

  #saveBudget(): void {
    this.#storeLocal(OFF_BUDGET, BUDGET);
  }

  #loadBudget(): void {
    this.#e.localGet(CPU);
    this.#e.mem(W.I32_LOAD, OFF_BUDGET, 2);
    this.#e.localSet(BUDGET);
  }

  /** Sets the fault index for what follows in this instruction. */
  #mark(): void {
    if (this.#marked) return;
    this.#marked = true;
    this.#setLocal(FAULT, this.#faultIndex());
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
    const type = this.#module.type(params, results);
    const fn = this.#module.importFunction("env", op.name, type);
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
      const tag = runningTag(this.#blocks[this.#blockIndex].id);
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

  /** HOST is 1 (fault), 2 (modifies), 3 (no lookup): EXIT_FAULT is 3, EXIT_MODIFIED 6, EXIT_FORBIDDEN 9. */
  #setReason(): void {
    const e = this.#e;
    e.localGet(HOST);
    e.i32Const(3);
    e.u8(0x6c); // i32.mul
    e.localSet(REASON);
  }

  /** With 0, 1 (fault), 2 (modifies) or 3 (no lookup) on the stack: leaves through `label` if it is not 0. */
  #leaveOn(label: number): void {
    this.#e.localTee(HOST);
    this.#f.openUnlikely(L_ANY);
    this.#setLocal(FAULT, this.#faultIndex());
    this.#setReason();
    this.#f.br(label);
    this.#f.close();
  }

  /** Makes the state in memory what a helper needs to see. */
  #spillFor(helper: Helper): void {
    this.#saveBudget();
    const all = helper.faults || helper.reads === "all";
    const reads = all
      ? this.#written
      : (helper.reads as readonly { index: number }[]).map((g) => g.index);
    for (const g of reads) {
      if (this.#values.dirty[g] === 0 || !this.#written.includes(g)) continue;
      this.#spill([g]);
      this.#values.dirty[g] = 0;
    }
  }

  /** The globals of this function that a helper may write. */
  #writtenBy(helper: Helper): readonly number[] {
    if (helper.writes === "all") return this.#used;
    return helper.writes.map((g) => g.index).filter((g) =>
      this.#used.includes(g)
    );
  }

  #call(i: number): void {
    const e = this.#e;
    const k = this.#k;
    const helper = this.#frontend.helpers[k.lo[i]];
    const writes = this.#writtenBy(helper);
    const type = this.#module.type(
      argumentTypes(helper).map((t) => WASM_TYPES[t]),
      [WASM_TYPES[I32]],
    );
    const fn = this.#module.importFunction(
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
      this.#loadBudget();
      for (const g of writes) this.#reload(g);
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
    this.#loadBudget();
    for (const g of writes) {
      this.#reload(g);
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
    this.#setLocal(FAULT, this.#faultIndex());
    this.#setLocal(REASON, EXIT_TRAP);
    this.#f.br(L_EXIT);
    this.#f.close();
  }
}
