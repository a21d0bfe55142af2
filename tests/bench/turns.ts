/**
 * Linux on several targets that take turns: boots, runs of workloads, and the
 * table of their medians. What a benchmark of one device has in common with
 * that of another.
 *
 * A workload is a shell command that prints `BEGIN name` and `END name` around
 * what is measured, then `SUM text`, what came out, or `FAIL text`.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { type CpioEntry, directory, file, gzip } from "../../core/cli/cpio.ts";
import { ensureGuest } from "../../core/cli/guest.ts";
import { buildInitramfs } from "../../core/cli/initramfs.ts";
import { kernelModules } from "../boot/modules.ts";
import { median } from "./results.ts";
import { busiestThread, Session, SessionError } from "./session.ts";
import { type Command, LINUX_MEGABYTES } from "./targets.ts";

/** This checkout of Rhea. */
export const ROOT: string = fromFileUrl(new URL("../..", import.meta.url));
const LIMIT_MS = 300_000;
const PROMPT = /\/root # /;

/** The width of what runs in the guest. */
export type Bits = 32 | 64;

/** What all targets boot. */
export interface Boot {
  readonly bits: Bits;
  readonly kernel: string;
  readonly initrd: string;
}

/**
 * A kernel, and in `folder` an initial RAM disk with drivers, which
 * `/bench/load.sh` loads, and more files.
 */
export async function makeBoot(
  folder: string,
  drivers: readonly string[],
  script: (load: string) => string,
  files: readonly CpioEntry[],
  bits: Bits = 32,
): Promise<Boot> {
  const architecture = bits === 64 ? "amd64" : "i386";
  const { kernel, busybox } = await ensureGuest(
    architecture,
    join(ROOT, `.cache/guest-${architecture}`),
  );
  const modules = await kernelModules(kernel, drivers);
  if (typeof modules === "string") throw new Error(modules);
  const archive = buildInitramfs(await Deno.readFile(busybox), [
    ...modules.entries,
    directory("bench"),
    file("bench/load.sh", script(modules.script), 0o755),
    ...files,
  ]);
  const initrd = join(folder, "initrd.gz");
  await Deno.writeFile(initrd, await gzip(archive));
  return { bits, kernel, initrd };
}

/** What boots Linux on QEMU's PC, with TCG. */
export function qemuCommand(
  { bits, kernel, initrd }: Boot,
  device: readonly string[],
): Command {
  const [program, cpu] = bits === 64
    ? ["qemu-system-x86_64", "Nehalem"]
    : ["qemu-system-i386", "pentium3"];
  return [program, [
    ...["-M", "pc", "-accel", "tcg", "-cpu", cpu, "-no-reboot"],
    ...["-m", `${LINUX_MEGABYTES}`, "-display", "none", "-serial", "stdio"],
    ...device,
    ...["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0"],
  ]];
}

/** What boots it on a checkout of Rhea. */
export function rheaCommand(
  { bits, kernel, initrd }: Boot,
  device: readonly string[],
  permissions: string,
  checkout = ROOT,
): Command {
  return [Deno.execPath(), [
    ...["run", permissions, "--no-prompt"],
    ...[`--config=${join(checkout, "deno.json")}`, join(checkout, "mod.ts")],
    ...[join(checkout, "machines/pc.json"), ...device],
    ...["--kernel", kernel, "--initrd", initrd, "--append", "console=ttyS0"],
    ...["--memory", `${LINUX_MEGABYTES}M`, "--serial", "stdio"],
    ...["--cpu", bits === 64 ? "x86-64-v2" : "pentium3"],
  ]];
}

/** One measurement, in milliseconds. */
export interface Sample {
  readonly wall: number;
  /** Of the busiest thread. */
  readonly cpu: number;
  /** What the guest computed. */
  readonly sum: string;
}

/** Samples by workload: for each target, one a round. */
export type Samples = Map<string, Sample[][]>;

/** Boot a target and run workloads in it, in their order. */
async function measure(
  command: Command,
  workloads: ReadonlyMap<string, string>,
): Promise<Map<string, Sample>> {
  const samples = new Map<string, Sample>();
  await using session = new Session(command);
  await session.until(PROMPT, LIMIT_MS);
  await session.type(
    ". /bench/load.sh; sleep 2; stty -echo; dmesg -n 1; echo ready\n",
  );
  await session.until(/^ready\r?\n/m, LIMIT_MS);
  await session.until(PROMPT, LIMIT_MS);
  for (const [name, line] of workloads) {
    await session.type(`${line}\n`);
    const begin = await session.until(/^BEGIN \S+\r?\n/m, LIMIT_MS);
    const end = await session.until(/^END \S+\r?\n/m, LIMIT_MS);
    const { match: [, word, sum] } = await session.until(
      /^(SUM|FAIL) (\S.*)\r?\n/m,
      LIMIT_MS,
    );
    if (word === "FAIL") throw new SessionError(`${command[0]}: ${sum}`);
    await session.until(PROMPT, LIMIT_MS);
    samples.set(name, {
      wall: end.wall - begin.wall,
      cpu: busiestThread(end, begin),
      sum,
    });
  }
  return samples;
}

/** Measure workloads, commands by name, on targets that take turns. */
export async function takeTurns(
  rounds: number,
  targets: readonly string[],
  workloads: ReadonlyMap<string, string>,
  command: (target: string) => Command | Promise<Command>,
): Promise<Samples> {
  const all: Samples = new Map();
  for (const name of workloads.keys()) all.set(name, targets.map(() => []));
  for (let round = 0; round < rounds; round++) {
    for (const [i, target] of targets.entries()) {
      const found = await measure(await command(target), workloads);
      for (const [name, sample] of found) all.get(name)![i].push(sample);
    }
  }
  return all;
}

/** A line of the table: medians of each target, and the first to the last. */
export function row(
  name: string,
  targets: readonly string[],
  samples: readonly (readonly Sample[])[],
): string {
  const of = (pick: (sample: Sample) => number): number[] =>
    samples.map((list) => median(list.map(pick)));
  const [wall, cpu] = [of((s) => s.wall), of((s) => s.cpu)];
  const ratio = (values: readonly number[]): string =>
    (values[0] / values[values.length - 1]).toFixed(2);
  const cells = targets.map((target, i) =>
    `${target} ${wall[i].toFixed(0)} (CPU ${cpu[i].toFixed(0)})`
  );
  const isAlike = new Set(samples.flat().map((s) => s.sum)).size === 1;
  const sums = targets.map((target, i) =>
    `${target} ${samples[i].map(({ sum }) => JSON.stringify(sum)).join(" ")}`
  );
  return `${name.padEnd(13)} ${cells.join("  ")}  ratio ${ratio(wall)} ` +
    `(CPU ${ratio(cpu)})` +
    (isAlike ? "" : `  RESULTS DIFFER: ${sums.join(", ")}`);
}

/** Run a benchmark in a folder of its own; a target that fails ends it. */
export async function benchmark(
  main: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  let failure: SessionError | undefined;
  try {
    await main(folder);
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    failure = error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  if (failure === undefined) return;
  console.error(failure.message);
  Deno.exit(1);
}
