/**
 * Reads the silicon vectors (single instructions captured on a real 80286; see
 * the README beside them) and runs them on a bare CPU in real mode.
 *
 * @module
 */

import { Engine } from "../core/exec/engine.ts";
import { GuestMemory } from "../core/machine/memory.ts";
import type { PhysicalSpace } from "../core/mmu/physical_access.ts";
import { X86 } from "../plugins/cpu/x86/cpu.ts";
import { createTranslator } from "../plugins/cpu/x86/mod.ts";
import { MODELS } from "../plugins/cpu/x86/models.ts";

/** Where the vectors are, if they are. */
export const VECTORS: URL = new URL(
  "../../shared/vectors/x86_286_real_mode.bin.gz",
  import.meta.url,
);

/** The order of the 14 registers of a record. */
const REGISTERS = "ax bx cx dx cs ss ds es sp bp si di ip flags".split(" ");
const GENERAL = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const SEGMENTS = ["es", "cs", "ss", "ds"];
/** Addresses run to 0x10FFFF. */
const RAM = 0x110000;

/** One test. */
export interface Vector {
  /** `opcode[.reg]#index`. */
  readonly name: string;
  /** Registers before, by name. */
  readonly initial: Readonly<Record<string, number>>;
  /** Registers after. */
  readonly final: Readonly<Record<string, number>>;
  /** Flag bits that are defined. */
  readonly mask: number;
  /** Later CPUs define something else. */
  readonly soft: boolean;
  /** Address | byte << 24. */
  readonly before: Uint32Array;
  /** What must stand in memory afterwards. */
  readonly after: Uint32Array;
}

/** Unpacks the file. */
export async function readVectors(): Promise<Vector[]> {
  const file = await Deno.open(VECTORS);
  const bytes = await new Response(
    file.readable.pipeThrough(new DecompressionStream("gzip")),
  ).arrayBuffer();
  const view = new DataView(bytes);
  const text = (at: number, n: number): string =>
    new TextDecoder().decode(new Uint8Array(bytes, at, n)).replace(
      /\0.*$/s,
      "",
    );
  if (text(0, 4) !== "SST2") throw new Error("not a file of silicon vectors");
  const vectors: Vector[] = [];
  let at = 8;
  for (let count = view.getUint32(4, true); count > 0; count--) {
    const length = view.getUint32(at, true);
    const word = (n: number): number => view.getUint16(at + 24 + 2 * n, true);
    const registers = (first: number): Record<string, number> =>
      Object.fromEntries(REGISTERS.map((r, k) => [r, word(first + k)]));
    const memory = (from: number, n: number): Uint32Array =>
      Uint32Array.from(
        { length: n },
        (_, k) => view.getUint32(from + 4 * k, true),
      );
    const nInitial = word(29), nFinal = word(30);
    const from = at + 24 + 64;
    vectors.push({
      name: text(at + 4, 20),
      initial: registers(0),
      final: registers(14),
      mask: word(28),
      soft: word(31) !== 0,
      before: memory(from, nInitial),
      after: memory(from + 4 * nInitial, nFinal),
    });
    at += length;
  }
  return vectors;
}

/** A CPU with a megabyte of memory that runs vectors. */
export class VectorRunner {
  readonly #cpu: X86;
  readonly #engine: Engine;
  readonly #ram: Uint8Array;

  /** Makes the CPU. */
  constructor(accel: "jit" | "interp", threshold = 1) {
    const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 8 << 20 });
    const host = memory.alloc(RAM);
    const space: PhysicalSpace = {
      lookupPage: (page) =>
        page < RAM >> 12
          ? { kind: "ram", hostOffset: host + page * 4096, writable: true }
          : { kind: "none", hostOffset: 0, writable: false },
      ramRuns: () => [{ page: 0, pages: RAM >> 12 }],
      read: (_, width) => width === 4 ? 0xffffffff : (1 << 8 * width) - 1,
      write: () => {},
    };
    const model = MODELS["486"];
    this.#cpu = new X86({ model, translator: () => createTranslator(model) });
    this.#engine = new Engine(this.#cpu, { memory, space, accel, threshold });
    this.#ram = memory.u8.subarray(host, host + RAM);
    this.#engine.reset();
  }

  /** Regions compiled so far. */
  get regions(): number {
    return this.#engine.stats().regions;
  }

  #write(bytes: Uint32Array, value: (x: number) => number): void {
    for (const x of bytes) {
      const at = x & 0xffffff;
      this.#ram[at] = value(x);
      this.#engine.invalidate(at, 1);
    }
  }

  /** Runs a vector; says what is wrong afterwards, "" if nothing is. */
  run(v: Vector): string {
    const cpu = this.#cpu;
    this.#write(v.before, (x) => x >>> 24);
    const state: Record<string, number> = {
      eip: v.initial.ip,
      eflags: v.initial.flags & 0xfd7 | 2,
    };
    GENERAL.forEach((r) => state["e" + r] = v.initial[r]);
    for (const s of SEGMENTS) {
      state[s + ".selector"] = v.initial[s];
      state[s + ".base"] = v.initial[s] << 4;
      state[s + ".limit"] = 0xffff;
      state[s + ".flags"] = s === "cs" ? 0x9b : 0x93;
    }
    this.#engine.reset();
    this.#engine.enter(state);
    const exit = this.#engine.run(100_000);
    const wrong: string[] = [];
    if (exit !== "halted" && exit !== "dead") wrong.push(`exit ${exit}`);
    const expect = (name: string, got: number, expected: number): void => {
      if (got === expected) return;
      wrong.push(
        `${name} ${got.toString(16)}, expected ${expected.toString(16)}`,
      );
    };
    GENERAL.forEach((r, n) => expect(r, cpu.reg32(n), v.final[r]));
    SEGMENTS.forEach((s, n) => expect(s, cpu.selector(n), v.final[s]));
    expect("ip", cpu.eip & 0xffff, v.final.ip);
    const mask = v.mask & 0xfd7;
    expect("flags", cpu.getEflags() & mask, v.final.flags & mask);
    for (const x of v.after) {
      const at = x & 0xffffff;
      expect(`[${at.toString(16)}]`, this.#ram[at], x >>> 24);
    }
    this.#write(v.before, () => 0);
    this.#write(v.after, () => 0);
    return wrong.join("; ");
  }
}
