/**
 * Measures how long Debian's i386 kernel takes from the start of the emulator
 * to the shell's prompt: Rhea, v86 and QEMU's TCG on the same kernel, initial
 * RAM disk and command line. Rounds are interleaved; what is printed are
 * medians of wall time and of CPU time (user and system, all threads, until
 * the prompt) and their ratios to the first target's.
 *
 *   deno run -A tests/bench/boot.ts [--rounds=3] [--targets=jit,v86,tcg,interp]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";
import { ensureGuest } from "../../core/cli/guest.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const APPEND = "console=ttyS0";
const PROMPT = "/root # ";
/** No target takes this long, even on a busy machine. */
const LIMIT_MS = 300_000;
/** Unit of the times in `/proc/PID/stat`: USER_HZ, which is 100 on Linux. */
const TICK_MS = 10;

/** The command line that boots a kernel with an initial RAM disk. */
type Target = (kernel: string, initrd: string) => [string, string[]];

const rhea = (accel: string): Target => (kernel, initrd) => [Deno.execPath(), [
  ...["run", "-P", "--no-prompt", `--config=${ROOT}deno.json`],
  ...[`${ROOT}mod.ts`, `${ROOT}machines/isapc.json`],
  ...["--kernel", kernel, "--initrd", initrd, "--append", APPEND],
  ...["--memory", "256M", "--serial", "stdio", "--accel", accel],
]];

const TARGETS: Readonly<Record<string, Target>> = {
  jit: rhea("jit"),
  interp: rhea("interp"),
  v86: (kernel, initrd) => [Deno.execPath(), [
    ...["run", "-A", "--no-prompt", `${ROOT}tests/bench/v86_linux.ts`],
    ...[kernel, initrd, APPEND],
  ]],
  tcg: (kernel, initrd) => ["qemu-system-i386", [
    ...["-M", "pc", "-cpu", "pentium3", "-accel", "tcg", "-m", "256"],
    ...["-kernel", kernel, "-initrd", initrd, "-append", APPEND],
    ...["-display", "none", "-serial", "stdio", "-no-reboot"],
  ]],
};

/** One boot. */
interface Sample {
  readonly wall: number;
  readonly cpu: number;
}

/** CPU time of a running process, in milliseconds. */
function cpuTime(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // From the third field on, behind the command's name in parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function measure(
  [command, args]: [string, string[]],
): Promise<Sample | string> {
  const start = performance.now();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const errors = new Response(child.stderr).text();
  const decoder = new TextDecoder();
  let sample: Sample | undefined;
  let tail = "";
  for await (const chunk of child.stdout) {
    tail += decoder.decode(chunk, { stream: true });
    if (tail.includes(PROMPT)) {
      sample = { wall: performance.now() - start, cpu: cpuTime(child.pid) };
      break;
    }
    tail = tail.slice(-200);
  }
  if (sample !== undefined) child.kill("SIGKILL");
  await child.status;
  clearTimeout(timer);
  const message = (await errors).trim().split("\n").at(-1);
  return sample ?? `no prompt${message ? `: ${message}` : ""}: ${tail}`;
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
    string: ["rounds", "targets"],
    default: { rounds: "3", targets: "jit,v86,tcg" },
  });
  const names = (args.targets as string).split(",");
  for (const name of names) {
    if (name in TARGETS) continue;
    const known = Object.keys(TARGETS).join(", ");
    console.error(`There is no target ${name}; there are ${known}`);
    Deno.exit(2);
  }
  const guest = await ensureGuest(join(ROOT, ".cache/guest-i386"));
  const samples = new Map<string, Sample[]>(names.map((name) => [name, []]));
  let failed = false;
  for (let round = 0; round < Number(args.rounds); round++) {
    for (const name of names) {
      const command = TARGETS[name](guest.kernel, guest.initramfs);
      const sample = await measure(command);
      if (typeof sample === "string") {
        console.log(`${name}: ${sample}`);
        failed = true;
      } else {
        samples.get(name)!.push(sample);
      }
    }
  }
  const seconds = (ms: number): string => (ms / 1000).toFixed(2).padStart(8);
  const ratio = (a: number, b: number): string =>
    (a / b).toFixed(2).padStart(6);
  const medians = names.map((name) => ({
    wall: median(samples.get(name)!.map(({ wall }) => wall)),
    cpu: median(samples.get(name)!.map(({ cpu }) => cpu)),
  }));
  console.log(
    `to the shell   wall s  ratio    CPU s  ratio   (to ${names[0]})`,
  );
  for (const [i, name] of names.entries()) {
    const { wall, cpu } = medians[i];
    console.log(
      [
        name.padEnd(12),
        seconds(wall),
        ratio(wall, medians[0].wall),
        seconds(cpu),
        ratio(cpu, medians[0].cpu),
      ].join(" "),
    );
  }
  Deno.exit(failed ? 1 : 0);
}
