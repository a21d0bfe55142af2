/**
 * All modules that the engine loads and no machine has loaded before, for the
 * first import of who loads it: this saves time alone.
 *
 * For an import statement that is the first to name a module Deno works out
 * where in the source it stands, in case of an error, and for that decodes the
 * source map of the importing module: 17 us of a start for each kilobyte of its
 * text. Where imports are followed as they come, a third of all modules name a
 * new one; behind a list such as this, only the list does.
 *
 * `tests/module_lists_test.ts` knows what belongs here.
 *
 * @module
 */

import "../bus/apic.ts";
import "../cpu/frontend.ts";
import "./access.ts";
import "./block_links.ts";
import "./bytecode.ts";
import "./bytecode_buffer.ts";
import "./dispatcher.ts";
import "./engine.ts";
import "./executors.ts";
import "./exit_points.ts";
import "./flat_accesses.ts";
import "./helper_imports.ts";
import "./interpreter.ts";
import "./interpreter_cases.ts";
import "./jump_cache.ts";
import "./jump_modes.ts";
import "./layout.ts";
import "./region_accesses.ts";
import "./region_compiler.ts";
import "./region_jumps.ts";
import "./region_locals.ts";
import "./region_lookups.ts";
import "./region_operations.ts";
import "./region_state.ts";
import "./region_values.ts";
import "./regions.ts";
import "./run_budget.ts";
import "./shared_code.ts";
import "./statistics.ts";
import "./trace.ts";
import "./translator_view.ts";
import "./warm_up.ts";
import "../ir/block.ts";
import "../ir/builder.ts";
import "../ir/ops.ts";
import "../ir/passes/fold.ts";
import "../ir/passes/forward.ts";
import "../ir/passes/liveness.ts";
import "../ir/types.ts";
import "../mmu/conditional.ts";
import "../mmu/flat_pages.ts";
import "../mmu/flat_window.ts";
import "../mmu/high_code.ts";
import "../mmu/physical_access.ts";
import "../mmu/slow_access.ts";
import "../mmu/soft_mmu.ts";
import "../mmu/tlb.ts";
import "../mmu/translations.ts";
import "../mmu/write_watches.ts";
import "../translate/block_cache.ts";
import "../translate/block_translator.ts";
import "../translate/code_pages.ts";
import "../translate/region_former.ts";
import "../wasm/emitter.ts";
import "../wasm/function_body.ts";
import "../wasm/module.ts";
import "../wasm/opcodes.ts";
import "../wasm/perfect_hash.ts";
import "../wasm/structure.ts";
