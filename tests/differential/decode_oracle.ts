/**
 * The host CPU's decoder: builds and runs `native/decode.c`.
 *
 * @module
 */

import { CASE_BYTES } from "./decode_cases.ts";
import type { Bits } from "./decode_subject.ts";
import { compile } from "./oracle.ts";

const RECORD = 24;
const RESULT = 4;

/** What the host makes of an instruction. */
export interface Decoded {
  /** Its bytes; 0: more than 15. */
  readonly length: number;
  /** The exception that it ends with: 1 when it executes. */
  readonly vector: number;
}

/** The decoder of the host. */
export class DecodeOracle {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Builds the program into `directory`, or says why that is not possible here. */
  static async build(directory: string): Promise<DecodeOracle | string> {
    const path = await compile(directory, "decode", "-m64");
    return "failed" in path ? path.failed : new DecodeOracle(path.built);
  }

  /** Decodes cases of one mode; `hints` are lengths that are tried first. */
  async run(
    bits: Bits,
    cases: readonly Uint8Array[],
    hints: readonly number[],
  ): Promise<Decoded[]> {
    const input = new Uint8Array(RECORD * cases.length);
    cases.forEach((code, n) => {
      input[RECORD * n] = bits / 16;
      input[RECORD * n + 1] = hints[n];
      input.set(code.subarray(0, CASE_BYTES), RECORD * n + 2);
    });
    const child = new Deno.Command(this.#path, {
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const feed = (async () => {
      const writer = child.stdin.getWriter();
      await writer.write(input);
      await writer.close();
    })();
    const [{ stdout, code, signal }] = await Promise.all([
      child.output(),
      feed.catch(() => {}),
    ]);
    if (stdout.length !== RESULT * cases.length) {
      throw new Error(
        `The decoder's oracle ended (${signal ?? code}) after ${
          stdout.length / RESULT
        } of ${cases.length} cases`,
      );
    }
    return cases.map((_, n) => ({
      length: stdout[RESULT * n],
      vector: stdout[RESULT * n + 1],
    }));
  }
}
