/**
 * The region compiler: several hot blocks become one WebAssembly function.
 *
 * Guest registers and lazy flags are locals: loaded at entry, spilled at each
 * exit. A fault exit sets the fault's index and branches to an epilogue that
 * spills; the index leads to the instruction whose state that is. The budget is
 * a local too, taken down by each block as the interpreter does it, so that
 * interrupts and the ends of slices come at the same instruction in both.
 *
 * What is in the blocks: see `region_operations.ts`; accesses to memory:
 * `region_accesses.ts` and `flat_accesses.ts`.
 *
 * @module
 */

import {
  EXIT_BUDGET,
  EXIT_FAULT,
  EXIT_FORBIDDEN,
  type Frontend,
} from "../cpu/frontend.ts";
import type { IrBlock } from "../ir/block.ts";
import { Op } from "../ir/ops.ts";
import type { Liveness } from "../ir/passes/liveness.ts";
import { I32, WASM_TYPES } from "../ir/types.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { Block, Region } from "../translate/block_cache.ts";
import {
  RegionFormer,
  type RegionFormerParts,
} from "../translate/region_former.ts";
import type { Emitter } from "../wasm/emitter.ts";
import { FunctionBody } from "../wasm/function_body.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import * as W from "../wasm/opcodes.ts";
import { emitStructured, type Structure } from "../wasm/structure.ts";
import { planFlatAccesses } from "./flat_accesses.ts";
import {
  OFF_BUDGET,
  OFF_FAULT,
  OFF_FAULT_REGION,
  OFF_LINK,
  OFF_LOOKUP,
  OFF_RECORD,
  OFF_TARGET,
  REC_INSNS,
  REC_TABLE,
} from "./layout.ts";
import {
  type AccessPlan,
  LOOK_ONCE,
  type Lookups,
  planAccesses,
} from "./region_accesses.ts";
import { RegionJumps } from "./region_jumps.ts";
import {
  ADDRESS,
  BUDGET,
  CPU,
  FAULT,
  FIXED_LOCALS,
  FIXED_NAMES,
  L_ANY,
  L_BUDGET,
  L_EXIT,
  L_FAULT_LOAD,
  L_FAULT_SPILLED,
  L_FORBIDDEN,
  L_LINK,
  L_LOOKUP,
  L_REFUSED,
  L_WARM,
  L_WARMING,
  LINK,
  REASON,
  RECORD,
} from "./region_locals.ts";
import { RegionOperations } from "./region_operations.ts";
import { RegionState } from "./region_state.ts";
import { RegionValues } from "./region_values.ts";
import { type CompiledRegion, MARK_EXITS, markOf } from "./trace.ts";

const FIRST_GET = Op["get32"];
const LAST_GET = Op["get128"];
const FIRST_SET = Op["set32"];
const LAST_SET = Op["set128"];

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
  readonly #operations: RegionOperations;
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
  readonly #state: RegionState;
  #used: number[] = [];
  #written: number[] = [];
  /** How the region looks accesses up. */
  #mode: Lookups = LOOK_ONCE;
  #plans: AccessPlan[] | undefined;
  readonly #mmu: SoftMmu;

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
    this.#state = new RegionState(this.#f, this.#values, frontend.globals);
    this.#operations = new RegionOperations({
      f: this.#f,
      state: this.#state,
      values: this.#values,
      base: parts.base,
      frontend,
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
    this.#collectGlobals(structure.order);
    this.#operations.start({
      module: this.#module,
      record: entry.record,
      flatDelta,
      hasFacts: this.#plans !== undefined,
      blocks: formed.blocks,
      used: this.#used,
      written: this.#written,
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
      faults: Int32Array.from(this.#operations.faults),
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
    for (const g of this.#used) this.#state.reload(g);
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
    this.#state.spill(this.#written);
    this.#state.storeLocal(OFF_BUDGET, BUDGET);
    this.#state.storeLocal(OFF_LINK, LINK);
    e.localGet(CPU);
    e.localGet(LINK);
    e.mem(W.I32_LOAD, 0, 2);
    e.mem(W.I32_LOAD, REC_TABLE, 2);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(this.#runType);
    e.u8(0);
    this.#f.close(); // L_LOOKUP
    this.#state.spill(this.#written);
    this.#state.storeLocal(OFF_BUDGET, BUDGET);
    e.localGet(CPU);
    // Not a constant: a jump may lead to another mode.
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_LOOKUP, 2);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(this.#runType);
    e.u8(0);
    this.#f.close(); // L_BUDGET
    this.#state.storeLocal(OFF_RECORD, RECORD);
    e.localGet(BUDGET);
    e.localGet(RECORD);
    e.mem(W.I32_LOAD, REC_INSNS, 2);
    e.u8(W.I32_ADD);
    e.localSet(BUDGET);
    // An exit that left FAULT as it is would keep it live, and in a register,
    // from one end of the function to the other.
    this.#state.setLocal(FAULT, 0);
    this.#state.setLocal(REASON, EXIT_BUDGET);
    this.#f.br(L_EXIT);
    this.#f.close(); // L_REFUSED
    this.#state.setReason();
    this.#f.br(L_EXIT);
    this.#f.close(); // L_FORBIDDEN
    this.#state.storeLocal(OFF_TARGET, ADDRESS);
    this.#state.setLocal(REASON, EXIT_FORBIDDEN);
    this.#f.br(L_EXIT);
    this.#f.close(); // L_FAULT_LOAD
    this.#state.loadBudget();
    this.#state.setLocal(REASON, EXIT_FAULT);
    this.#f.close(); // L_EXIT
    this.#state.spill(this.#written);
    this.#state.storeLocal(OFF_BUDGET, BUDGET);
    this.#f.close(); // L_FAULT_SPILLED
    this.#state.storeLocal(OFF_FAULT, FAULT);
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

    const plan = this.#plans?.[node] ?? planAccesses(k, this.#mode);
    const last = this.#operations.block(node, k, this.#liveness[node], plan);
    this.#jumps.terminator(node, k, (successor) => {
      go(successor);
      this.#f.mark(last);
    });
  }
}
