/**
 * The host CPU as an oracle: builds `native/oracle.c` or `native/oracle64.c`
 * and runs cases in it.
 *
 * @module
 */

import { CaseRecord, RECORD_BYTES } from "./record.ts";
import { CaseRecord64, RECORD64_BYTES } from "./record64.ts";

/** A case or its result, as the oracle sees it. */
interface Bytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

async function output(
  command: string,
  args: string[],
): Promise<{ ok: boolean; stdout: string; stderr: string }> {
  try {
    const r = await new Deno.Command(command, { args, stdin: "null" }).output();
    return {
      ok: r.success,
      stdout: new TextDecoder().decode(r.stdout),
      stderr: new TextDecoder().decode(r.stderr),
    };
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) {
      return { ok: false, stdout: "", stderr: `${command} is not installed` };
    }
    throw e;
  }
}

/** What the oracle and the forms of the tests need of the host, as /proc/cpuinfo says it. */
const NEEDED = ["xsave", "avx2", "fma", "f16c", "bmi1", "bmi2"];

/** Which of them the host has not. */
async function missing(): Promise<string[]> {
  const text = await Deno.readTextFile("/proc/cpuinfo");
  const flags = new Set(/^flags\s*: (.*)$/m.exec(text)?.[1].split(" "));
  return NEEDED.filter((name) => !flags.has(name));
}

/** Builds one of the programs in `native/`, or says why not. */
export async function compile(
  directory: string,
  name: string,
  mode: string,
): Promise<{ built: string } | { failed: string }> {
  if (Deno.build.arch !== "x86_64" || Deno.build.os !== "linux") {
    return { failed: "the host is not x86-64 Linux" };
  }
  const lacks = await missing();
  if (lacks.length > 0) {
    return { failed: `the host has no ${lacks.join(", ")}` };
  }
  const path = `${directory}/${name}`;
  const built = await output("gcc", [
    mode,
    "-O1",
    "-static",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pic",
    "-no-pie",
    "-o",
    path,
    new URL(`./native/${name}.c`, import.meta.url).pathname,
  ]);
  return built.ok
    ? { built: path }
    : { failed: `gcc ${mode} failed: ${built.stderr.slice(0, 200)}` };
}

/** A built oracle for records of one kind. */
export class Oracle<R extends Bytes = CaseRecord> {
  readonly #path: string;
  readonly #size: number;
  readonly #record: (bytes: Uint8Array<ArrayBuffer>) => R;

  private constructor(
    path: string,
    size: number,
    record: (bytes: Uint8Array<ArrayBuffer>) => R,
  ) {
    this.#path = path;
    this.#size = size;
    this.#record = record;
  }

  /** Builds the oracle of 32-bit code into `directory`, or says why that is not possible here. */
  static async build(directory: string): Promise<Oracle | string> {
    const path = await compile(directory, "oracle", "-m32");
    return "failed" in path
      ? path.failed
      : new Oracle(path.built, RECORD_BYTES, (b) => new CaseRecord(b));
  }

  /** Builds the oracle of 64-bit code. */
  static async build64(
    directory: string,
  ): Promise<Oracle<CaseRecord64> | string> {
    const path = await compile(directory, "oracle64", "-m64");
    return "failed" in path
      ? path.failed
      : new Oracle(path.built, RECORD64_BYTES, (b) => new CaseRecord64(b));
  }

  /** Runs the cases; the results come in the same order. */
  async run(cases: readonly R[]): Promise<R[]> {
    const child = new Deno.Command(this.#path, {
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const feed = (async () => {
      const writer = child.stdin.getWriter();
      try {
        for (const c of cases) await writer.write(c.bytes);
      } finally {
        await writer.close().catch(() => {});
      }
    })();
    const results: R[] = [];
    const size = this.#size;
    let record = new Uint8Array(size);
    let filled = 0;
    for await (const chunk of child.stdout) {
      let at = 0;
      while (at < chunk.length) {
        const n = Math.min(size - filled, chunk.length - at);
        record.set(chunk.subarray(at, at + n), filled);
        at += n;
        filled += n;
        if (filled === size) {
          results.push(this.#record(record));
          record = new Uint8Array(size);
          filled = 0;
        }
      }
    }
    const [status] = await Promise.allSettled([child.status, feed]);
    if (results.length !== cases.length) {
      throw new Error(
        `The oracle ended after ${results.length} of ${cases.length} cases: ${
          JSON.stringify(status)
        }`,
      );
    }
    return results;
  }
}

/** What objdump says of some code, or its bytes where objdump is absent. */
export async function disassemble(
  code: Uint8Array,
  address: number | bigint,
  machine = "i386",
): Promise<string> {
  const hex = Array.from(code, (b) => b.toString(16).padStart(2, "0"));
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, code);
    const r = await output("objdump", [
      "-D",
      "-b",
      "binary",
      "-m",
      machine,
      "-M",
      "intel",
      `--adjust-vma=0x${address.toString(16)}`,
      file,
    ]);
    if (!r.ok) return hex.join(" ");
    return r.stdout.split("\n").slice(7).join("\n").trimEnd();
  } finally {
    await Deno.remove(file);
  }
}
