/**
 * The host CPU as an oracle: builds `native/oracle.c` and runs cases in it.
 *
 * @module
 */

import { CaseRecord, RECORD_BYTES } from "./record.ts";

const SOURCE = new URL("./native/oracle.c", import.meta.url);

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

/** A built oracle. */
export class Oracle {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Builds the oracle into `directory`, or says why that is not possible here. */
  static async build(directory: string): Promise<Oracle | string> {
    if (Deno.build.arch !== "x86_64" || Deno.build.os !== "linux") {
      return "the host is not x86-64 Linux";
    }
    const lacks = await missing();
    if (lacks.length > 0) return `the host has no ${lacks.join(", ")}`;
    const path = `${directory}/oracle`;
    const built = await output("gcc", [
      "-m32",
      "-O1",
      "-static",
      "-nostdlib",
      "-ffreestanding",
      "-fno-stack-protector",
      "-fno-pic",
      "-no-pie",
      "-o",
      path,
      SOURCE.pathname,
    ]);
    if (!built.ok) return `gcc -m32 failed: ${built.stderr.slice(0, 200)}`;
    return new Oracle(path);
  }

  /** Runs the cases; the results come in the same order. */
  async run(cases: readonly CaseRecord[]): Promise<CaseRecord[]> {
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
    const results: CaseRecord[] = [];
    let record = new Uint8Array(RECORD_BYTES);
    let filled = 0;
    for await (const chunk of child.stdout) {
      let at = 0;
      while (at < chunk.length) {
        const n = Math.min(RECORD_BYTES - filled, chunk.length - at);
        record.set(chunk.subarray(at, at + n), filled);
        at += n;
        filled += n;
        if (filled === RECORD_BYTES) {
          results.push(new CaseRecord(record));
          record = new Uint8Array(RECORD_BYTES);
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
  address: number,
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
      "i386",
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
