/**
 * Rhea's decoder beside that of the host (`native/decode.c`): how long an
 * instruction is, and whether it is undefined.
 *
 * @module
 */

import type { TranslateContext } from "../../core/cpu/frontend.ts";
import { IrBlock, TERM_EXIT } from "../../core/ir/block.ts";
import { IrBuilder } from "../../core/ir/builder.ts";
import { Op, OPS } from "../../core/ir/ops.ts";
import type { Translator } from "../../plugins/cpu/x86/translate.ts";
import { decode, DECODE_OK } from "../../plugins/cpu/x86/decode.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import { modeKey } from "../../plugins/cpu/x86/mode_key.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";
import { UD } from "../../plugins/cpu/x86/operands.ts";
import { CS, GLOBALS } from "../../plugins/cpu/x86/state.ts";
import { CaseRecord, CODE } from "./record.ts";
import { CaseRecord64 } from "./record64.ts";
import { HANDLERS, RheaSubject } from "./rhea.ts";
import { RheaSubject64 } from "./rhea64.ts";

/** Bits of the code segment. */
export type Bits = 16 | 32 | 64;

/** Where all registers lead. */
const NOWHERE = 0x50000000;
/** TF and the bits that are always set. */
const FLAGS = 0x302;

/** What became of an instruction. */
export interface Judgement {
  /** Bytes; of one that is too long 15. */
  readonly length: number;
  /** It raises #UD. */
  readonly undefined: boolean;
  /** It is of more than 15 bytes: #GP. */
  readonly tooLong: boolean;
  /** The table's feature and mnemonic of it. */
  readonly feature: string;
  readonly name: string;
}

/** Operations that call helpers. */
const CALLS: ReadonlySet<number> = new Set(
  OPS.flatMap(({ name }, n) => name.startsWith("call") ? [n] : []),
);

/** Decodes for one mode. */
export class DecodeSubject {
  readonly #bits: Bits;
  readonly #legacy?: RheaSubject;
  readonly #long?: RheaSubject64;
  readonly #translator = createTranslator(MODELS["max"]) as Translator;
  readonly #block = new IrBlock(GLOBALS);
  readonly #builder = new IrBuilder(this.#block);
  readonly #context: TranslateContext;

  /** Makes a CPU in that mode. */
  constructor(bits: Bits) {
    this.#bits = bits;
    if (bits === 64) this.#long = new RheaSubject64("interp");
    else this.#legacy = new RheaSubject("interp");
    this.#start(new Uint8Array(0), 0x202);
    this.#context = {
      builder: this.#builder,
      code: new Uint8Array(0),
      start: 0,
      limit: 0,
      pcLo: CODE,
      pcHi: 0,
      key: modeKey((this.#long ?? this.#legacy!).cpu.state),
      maxInsns: 1,
      entryFacts: -1,
      exitFacts: -1,
      wantsFacts: false,
      compiled: false,
      stepping: false,
      elements: 0,
      mutableWord: () => -1,
      cross: () => {
        throw new Error("an instruction of more than 15 bytes");
      },
    };
  }

  /** Puts the CPU in front of an instruction. */
  #start(code: Uint8Array, flags: number): void {
    const long = this.#long;
    const r = long === undefined ? new CaseRecord() : new CaseRecord64();
    r.eflags = flags;
    r.code.set(code);
    r.codeLength = code.length;
    if (r instanceof CaseRecord64) {
      for (let n = 0; n < 16; n++) r.setGpr(n, BigInt(NOWHERE));
      long!.start(r);
      return;
    }
    for (let n = 0; n < 8; n++) r.setGpr(n, NOWHERE);
    const subject = this.#legacy!;
    subject.code.fill(0xcc);
    subject.code.set(code);
    subject.start(r);
    if (this.#bits === 16) {
      subject.cpu.setSeg(CS, 7, CODE, 0xffff, 0x00fb00);
      subject.cpu.eip = 0;
      subject.cpu.updateKey();
      subject.engine.keyChanged();
    }
  }

  /** The exception that the instruction ends with when it executes. */
  vector(code: Uint8Array): number {
    this.#start(code, FLAGS);
    const subject = this.#long ?? this.#legacy!;
    if (subject.engine.run(1000) !== "dead") return -1;
    const { cpu } = subject;
    return this.#long?.vector() ?? (cpu.eip >>> 0) - HANDLERS >> 4;
  }

  /** Decodes 15 bytes; executes what may be undefined only then. */
  judge(code: Uint8Array): Judgement {
    const c = this.#context, block = this.#block;
    c.code = code;
    c.limit = code.length;
    this.#builder.start(block, CODE, 0);
    this.#translator.translate(c);
    const { row } = this.#translator.insn;
    const of = {
      length: block.byteLength,
      tooLong: decode(
        this.#translator.insn,
        code,
        0,
        code.length,
        this.#bits === 32,
        this.#bits === 64,
      ) !== DECODE_OK,
      feature: row.feature,
      name: row.name,
    };
    // Traps that are not certain, and what helpers raise.
    for (let i = 0; i < block.length; i++) {
      const op = block.op[i];
      if (op === Op["trap"] && (block.lo[i] & 0xff) === UD) {
        const def = block.valueDef[block.a[i]];
        if (
          block.term === TERM_EXIT && block.op[def] === Op["const32"] &&
          block.lo[def] !== 0
        ) return { ...of, undefined: true };
        return { ...of, undefined: this.vector(code) === UD };
      }
      // (Most helpers raise nothing.)
      if (CALLS.has(op) && block.hi[i] !== 0) {
        return { ...of, undefined: this.vector(code) === UD };
      }
    }
    return { ...of, undefined: false };
  }
}
