/**
 * Guests that decode where the host's programs cannot: at level 0, in
 * virtual-8086 mode (`native/decode_level0.asm`, `native/decode_v86.asm`). They
 * run on QEMU's TCG and in Rhea.
 *
 * @module
 */

import { Bench } from "../system/bench.ts";
import { hasProgram } from "../programs.ts";
import { CASE_BYTES } from "./decode_cases.ts";
import type { Decoded } from "./decode_oracle.ts";

/** Where images are loaded. */
const LOAD = 0x100000;
/** Bytes of a case: the code, the hint and the mode. */
const CASE = 16;
/** Offsets in an image: the number of cases, the entry point. */
const COUNT = 32, ENTRY = 28;
/** Cases that one image has at most. */
const BATCH = 20_000;
/** Bytes of output for a case: length and exception. */
const RESULT = 2;
/** Instructions that a case has at most, the guest's own among them. */
const CASE_LIMIT = 20_000;

/** A guest: its source, and the modes of its code by the bits of the segment. */
export interface Guest {
  readonly source: string;
  readonly modes: readonly (16 | 32 | 64)[];
}

/** Level 0 of IA-32e mode. */
export const LEVEL0: Guest = { source: "decode_level0", modes: [64, 32, 16] };
/** Virtual-8086 mode. */
export const V86: Guest = { source: "decode_v86", modes: [16] };

/** Real mode; the length of an instruction that does not end behind itself is 0. */
export const REAL: Guest = { source: "decode_real", modes: [16] };

/** What these guests need; undefined if it is there. */
export function missing(): string | undefined {
  if (!hasProgram("nasm")) return "there is no nasm";
  if (!hasProgram("qemu-system-x86_64")) return "there is no QEMU";
  return undefined;
}

/** Assembles a guest. */
async function assemble({ source }: Guest): Promise<Uint8Array> {
  const folder = new URL("native/", import.meta.url).pathname;
  const out = await Deno.makeTempFile();
  try {
    const { success, stderr } = await new Deno.Command("nasm", {
      args: ["-f", "bin", `-I${folder}`, "-o", out, `${folder}${source}.asm`],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return await Deno.readFile(out);
  } finally {
    // nasm removes its output after an error.
    await Deno.remove(out).catch(() => {});
  }
}

function parse(
  output: Uint8Array,
  cases: readonly Uint8Array[],
  who: string,
): Decoded[] {
  const found = Array.from(
    { length: Math.floor(output.length / RESULT) },
    (_, n) => ({ length: output[RESULT * n], vector: output[RESULT * n + 1] }),
  );
  if (found.length !== cases.length) {
    const code = Array.from(
      cases[found.length] ?? [],
      (x) => x.toString(16).padStart(2, "0"),
    );
    throw new Error(
      `${who} ended in case ${found.length} of ${cases.length}: ${
        code.join(" ")
      }`,
    );
  }
  return found;
}

function inRhea(
  image: Uint8Array<ArrayBuffer>,
  cases: readonly Uint8Array[],
): Decoded[] {
  const bench = new Bench({ accel: "interp", model: "max" });
  bench.memory.u8.set(image, bench.ram + LOAD);
  const state: Record<string, number> = { cr0: 0x11, eflags: 2 };
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    state[`${s}.selector`] = s === "cs" ? 8 : 0x10;
    state[`${s}.base`] = 0;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = s === "cs" ? 0xc09b : 0xc093;
  }
  state.eip = new DataView(image.buffer).getInt32(ENTRY, true);
  bench.engine.enter(state);
  const limit = cases.length * CASE_LIMIT;
  while (bench.status < 0 && bench.engine.instructions < limit) {
    const exit = bench.engine.run(1_000_000);
    if (exit !== "budget" && exit !== "stop") break;
  }
  const output = Uint8Array.from(bench.output, (x) => x.charCodeAt(0));
  return parse(output, cases, "Rhea");
}

async function inQemu(
  image: Uint8Array,
  cases: readonly Uint8Array[],
): Promise<Decoded[]> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/image`, image);
    await new Deno.Command("qemu-system-x86_64", {
      args: `-accel tcg -cpu max,vendor=GenuineIntel -m 64
        -kernel ${folder}/image -display none -serial none -monitor none
        -no-reboot -debugcon file:${folder}/out
        -device isa-debug-exit,iobase=0xf4`.split(/\s+/),
      stdout: "null",
      stderr: "null",
      signal: AbortSignal.timeout(300_000),
    }).output();
    return parse(await Deno.readFile(`${folder}/out`), cases, "QEMU");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What both make of cases: an instruction's length and the exception it ends with. */
export interface Pair {
  readonly qemu: Decoded;
  readonly rhea: Decoded;
}

/** A guest with cases. */
export class DecodeGuest {
  readonly #guest: Guest;
  #image?: Uint8Array;

  /** Names the guest. */
  constructor(guest: Guest) {
    this.#guest = guest;
  }

  /** Runs cases in both; `hint` gives the length that is tried first. */
  async run(
    bits: 16 | 32 | 64,
    cases: readonly Uint8Array[],
    hint: (code: Uint8Array) => number,
  ): Promise<Pair[]> {
    const base = this.#image ??= await assemble(this.#guest);
    const mode = this.#guest.modes.indexOf(bits);
    const out: Pair[] = [];
    for (let from = 0; from < cases.length; from += BATCH) {
      const part = cases.slice(from, from + BATCH);
      const image = new Uint8Array(base.length + CASE * part.length);
      image.set(base);
      new DataView(image.buffer).setUint32(COUNT, part.length, true);
      part.forEach((code, n) => {
        const at = base.length + CASE * n;
        image.set(code.subarray(0, CASE_BYTES), at);
        image[at + CASE_BYTES] = mode << 4 | hint(code);
      });
      const [qemu, rhea] = await Promise.all([
        inQemu(image, part),
        inRhea(image, part),
      ]);
      qemu.forEach((q, n) => out.push({ qemu: q, rhea: rhea[n] }));
    }
    return out;
  }
}
