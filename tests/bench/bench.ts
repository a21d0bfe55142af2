/**
 * Measures Rhea against v86, QEMU's TCG and native code on the same guests in
 * one run: rounds are interleaved, and what is printed are medians and ratios
 * to Rhea's default. Time is taken from outside, between the `BEGIN` and `END`
 * lines on the serial port.
 *
 *   deno task bench [--rounds=3] [--only=sieve,fib] [--targets=jit,interp,v86,tcg,native]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { BENCHMARKS, buildGuest } from "./guests.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** No guest takes this long in a target that works. */
const LIMIT_MS = 120_000;

/** What a guest is run by: gives the command line for a kernel. */
type Target = (kernel: string, native: string) => [string, string[]];

const rhea = (accel: string): Target => (kernel) => [Deno.execPath(), [
  "run",
  "-A",
  "--no-prompt",
  `${ROOT}mod.ts`,
  `${ROOT}machines/isapc.json`,
  "--kernel",
  kernel,
  "--memory",
  "64M",
  "--cpu",
  "max",
  "--serial",
  "stdio",
  "--accel",
  accel,
]];

const TARGETS: Readonly<Record<string, Target>> = {
  jit: rhea("jit"),
  interp: rhea("interp"),
  v86: (kernel) => [Deno.execPath(), [
    "run",
    "-A",
    "--no-prompt",
    `${ROOT}tests/bench/v86_runner.ts`,
    kernel,
  ]],
  tcg: (kernel) => ["qemu-system-i386", [
    "-accel",
    "tcg",
    "-m",
    "64",
    "-kernel",
    kernel,
    "-serial",
    "stdio",
    "-display",
    "none",
    "-device",
    "isa-debug-exit,iobase=0xf4,iosize=1",
  ]],
  native: (_, native) => [native, []],
};

/** One measurement. */
interface Sample {
  readonly ms: number;
  readonly checksum: string;
}

async function measure(
  [command, args]: [string, string[]],
): Promise<Sample | string> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const errors = new Response(child.stderr).text();
  let begin = NaN;
  let result: Sample | undefined;
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const now = performance.now();
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split(/\r?\n/);
    text = lines.pop()!;
    for (const line of lines) {
      if (/^BEGIN /.test(line)) begin = now;
      const end = /^END \S+ (\S+)/.exec(line);
      if (end !== null) result = { ms: now - begin, checksum: end[1] };
    }
    if (result !== undefined) break;
  }
  // What does not end by itself at its last line is ended.
  const grace = setTimeout(() => child.kill("SIGKILL"), 500);
  await child.status;
  clearTimeout(grace);
  clearTimeout(timer);
  const message = (await errors).trim().split("\n").at(-1);
  return result ?? `no END line${message ? `: ${message}` : ""}`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[half]
    : (sorted[half - 1] + sorted[half]) / 2;
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, {
    string: ["rounds", "only", "targets"],
    default: { rounds: "3", targets: Object.keys(TARGETS).join(",") },
  });
  const names: string[] = args.only?.split(",") ?? [...BENCHMARKS];
  const targets = (args.targets as string).split(",");
  for (const t of targets) {
    if (!(t in TARGETS)) {
      console.error(
        `There is no target ${t}; there are ${Object.keys(TARGETS).join(", ")}`,
      );
      Deno.exit(2);
    }
  }
  const directory = await Deno.makeTempDir();
  console.log(
    ["benchmark".padEnd(12), ...targets.map((t) => `${t} ms`.padStart(11))]
      .join(" ") + "   ratios to " + targets[0],
  );
  const logs = new Map<string, number[]>();
  let failed = false;
  try {
    for (const name of names) {
      const kernel = await buildGuest(name, directory);
      const native = await buildGuest(name, directory, true);
      const times = new Map<string, number[]>(targets.map((t) => [t, []]));
      const errors = new Map<string, string>();
      const sums = new Set<string>();
      for (let round = 0; round < Number(args.rounds); round++) {
        for (const t of targets) {
          if (errors.has(t)) continue;
          const s = await measure(TARGETS[t](kernel, native));
          if (typeof s === "string") errors.set(t, s);
          else {
            times.get(t)!.push(s.ms);
            sums.add(s.checksum);
          }
        }
      }
      const medians = targets.map((t) => median(times.get(t)!));
      const ratios = targets.slice(1).map((t, i) => {
        const ratio = medians[i + 1] / medians[0];
        if (!Number.isNaN(ratio)) {
          logs.set(t, [...logs.get(t) ?? [], Math.log(ratio)]);
        }
        return `${t} ${Number.isNaN(ratio) ? "-" : ratio.toFixed(2)}`;
      });
      console.log(
        [
          name.padEnd(12),
          ...medians.map((m) =>
            (Number.isNaN(m) ? "-" : m.toFixed(0)).padStart(11)
          ),
        ].join(" ") + "   " + ratios.join(", "),
      );
      for (const [t, e] of errors) console.log(`  ${t}: ${e}`);
      if (sums.size > 1) {
        console.log(`  checksums differ: ${[...sums].join(" ")}`);
        failed = true;
      }
      if (errors.size > 0) failed = true;
    }
    for (const [t, list] of logs) {
      const mean = Math.exp(list.reduce((a, b) => a + b, 0) / list.length);
      console.log(
        `${t} takes ${mean.toFixed(2)} times as long as ${
          targets[0]
        } (geometric mean)`,
      );
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  Deno.exit(failed ? 1 : 0);
}
