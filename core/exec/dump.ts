/**
 * Dumps of regions: for each block guest assembly, IR and WebAssembly text side
 * by side, a row an instruction.
 *
 * The compiler says which instruction it emits code for; an operation whose
 * result is used once is emitted where it is used, so that its code stands at
 * the instruction that uses it.
 *
 * @module
 */

import type { Disassembler } from "../cpu/disassembler.ts";
import { printBlock } from "../ir/printer.ts";
import type { Block, Region } from "../translate/block_cache.ts";
import type { FunctionPrinter, TextLine } from "../wasm/text.ts";
import {
  type CompiledRegion,
  hexAddress,
  MARK_EXITS,
  markBlock,
  markInsn,
  type TranslationObserver,
  type TranslatorView,
} from "./trace.ts";

/** The code of an instruction in one form: lines. */
type Cell = string[];

/** Dumps the regions that hold the code at some addresses, when they are compiled. */
export class RegionDump implements TranslationObserver {
  readonly #write: (text: string) => void;
  readonly #printer: FunctionPrinter;
  readonly #disassembler: Disassembler | undefined;
  readonly #addresses: readonly number[];
  readonly #missing: Set<number>;

  /** Dumps the regions with a block that holds one of the linear `addresses`. */
  constructor(
    addresses: readonly number[],
    write: (text: string) => void,
    printer: FunctionPrinter,
    disassembler: Disassembler | undefined,
  ) {
    this.#addresses = addresses;
    this.#missing = new Set(addresses);
    this.#write = write;
    this.#printer = printer;
    this.#disassembler = disassembler;
  }

  /** The addresses that no region has held so far. */
  get missing(): readonly number[] {
    return [...this.#missing];
  }

  block(_block: Block, _view: TranslatorView): void {}

  region(region: CompiledRegion, view: TranslatorView): void {
    const held = this.#addresses.filter((address) =>
      region.blocks.some((b) => {
        const distance = address - view.address(b);
        return distance >= 0 && distance < b.byteLength;
      })
    );
    if (held.length === 0) return;
    for (const address of held) this.#missing.delete(address);
    this.#write(this.text(region, view));
  }

  regionDied(_region: Region, _view: TranslatorView): void {}

  /** The dump of a region. */
  text(region: CompiledRegion, view: TranslatorView): string {
    const { blocks, helpers, id, ir, milliseconds, module } = region;
    const { head, lines } = this.#printer.print(module, {
      importName: (from, name) =>
        from === "helper" ? helpers[Number(name)].name : name,
      name: `region${id}`,
      locals: region.locals,
      marks: region.marks,
    });
    const cells = distribute(lines);
    const entry = blocks[0];
    const mode = this.#disassembler?.mode(entry.key) ?? `0x${hex(entry.key)}`;
    const insns = blocks.reduce((n, b) => n + b.insns, 0);
    const out = [
      `region ${id} at ${hexAddress(view.address(entry))}: ` +
      `blocks ${blocks.length}, insns ${insns}, wasm ${module.length} bytes, ` +
      `${milliseconds.toFixed(2)} ms, mode ${mode}`,
      "",
      ...head,
      ...(cells.get(ENTRY)?.get(0) ?? []),
    ];
    for (const [index, wasm] of cells) {
      if (index < 0) continue;
      const block = blocks[index];
      out.push(
        "",
        `block ${index} at ${hexAddress(view.address(block))} ` +
          `physical ${hexAddress(block.physical)}`,
      );
      const text = printBlock(ir[index], helpers);
      out.push(...this.#rows(block, view, text, wasm));
    }
    out.push("", "exits", ...(cells.get(MARK_EXITS)?.get(0) ?? []), "");
    return out.map((line) => line.trimEnd()).join("\n") + "\n";
  }

  /** The rows of a block; `wasm` is by the number of the instruction. */
  #rows(
    block: Block,
    view: TranslatorView,
    ir: string,
    wasm: ReadonlyMap<number, Cell>,
  ): string[] {
    const rows: [Cell, Cell, Cell][] = [[[], [], wasm.get(0) ?? []]];
    const code = view.code(block);
    const address = view.address(block);
    let first: number | undefined;
    for (const line of ir.trimEnd().split("\n")) {
      const insn = /^insn 0x([0-9a-f]+)/.exec(line);
      if (insn === null) {
        rows[rows.length - 1][1].push(line.trim());
        continue;
      }
      const pc = parseInt(insn[1], 16);
      // Relative to the region, if its code is relocatable.
      first ??= pc;
      const offset = (pc - first) >>> 0;
      const at = hexAddress(address + offset);
      const text = this.#disassembler?.insn(
        code,
        offset,
        (view.pc(block) + offset) >>> 0,
        block.key,
      );
      rows.push([
        [text === undefined ? at : `${at}  ${text}`],
        [],
        wasm.get(rows.length) ?? [],
      ]);
    }
    const width = (column: 0 | 1): number =>
      Math.max(...rows.flatMap((row) => row[column]).map((t) => t.length), 0);
    const left = width(0);
    const middle = width(1);
    return rows.flatMap(([guest, ops, text]) =>
      Array.from(
        { length: Math.max(guest.length, ops.length, text.length) },
        (_, i) =>
          `${(guest[i] ?? "").padEnd(left)} | ` +
          `${(ops[i] ?? "").padEnd(middle)} | ${text[i] ?? ""}`,
      )
    );
  }
}

/** The part before the first mark: not a block's index. */
const ENTRY = -2;

function hex(n: number): string {
  return (n >>> 0).toString(16);
}

/**
 * The lines by block, in the order in which the blocks come, and instruction.
 * Where another block's code stands within a block's, a comment says so.
 */
function distribute(
  lines: readonly TextLine[],
): Map<number, Map<number, Cell>> {
  const cells = new Map<number, Map<number, Cell>>();
  // Every block is within the blocks that lead to the exits.
  const margin = Math.min(
    ...lines.filter(({ mark }) => mark !== undefined && mark !== MARK_EXITS)
      .map(({ depth }) => depth),
  );
  let last = ENTRY;
  let lastCell: Cell = [];
  for (const { mark, depth, text } of lines) {
    const block = mark === undefined
      ? ENTRY
      : mark === MARK_EXITS
      ? MARK_EXITS
      : markBlock(mark);
    const insn = block < 0 ? 0 : markInsn(mark!);
    let of = cells.get(block);
    const indent = block < 0 ? depth : depth - margin;
    if (of === undefined) {
      cells.set(block, of = new Map());
      if (block >= 0 && last >= 0) {
        lastCell.push(`${"  ".repeat(indent)};; block ${block}`);
      }
    }
    let cell = of.get(insn);
    if (cell === undefined) of.set(insn, cell = []);
    cell.push("  ".repeat(indent) + text);
    last = block;
    lastCell = cell;
  }
  return cells;
}
