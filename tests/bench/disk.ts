/**
 * Measures a disk of Linux against QEMU's TCG in one run, taking turns: reading
 * and writing with dd, and blocks in random order one at a time. Prints medians
 * in milliseconds, of CPU time too, and the ratio of the first target to the
 * last.
 *
 *   deno run -A tests/bench/disk.ts [--rounds=3] [--only=read,random_read]
 *                                   [--targets=jit,tcg,jit@FOLDER]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join, resolve } from "@std/path";
import { directory, file, gzip } from "../../core/cli/cpio.ts";
import { ensureGuest } from "../../core/cli/guest.ts";
import { buildInitramfs } from "../../core/cli/initramfs.ts";
import { kernelModules } from "../boot/modules.ts";
import { busiestThread, Session, SessionError } from "./session.ts";
import { type Command, LINUX_MEGABYTES } from "./targets.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const SOURCES = fromFileUrl(new URL("./disk", import.meta.url));
const WORKLOADS = ["read", "blocks", "write", "random_read", "random_write"];
/** The image: less than the guest's RAM, all of it in the host's cache. */
const IMAGE_MEGABYTES = 160;
const LIMIT_MS = 300_000;
const PROMPT = /\/root # /;

/** What all targets boot. */
interface Guest {
  readonly kernel: string;
  readonly initrd: string;
  readonly image: string;
}

async function must(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Kernel and drivers, the workloads, and an image that nothing compresses. */
async function makeGuest(folder: string): Promise<Guest> {
  const { kernel, busybox } = await ensureGuest(
    join(ROOT, ".cache/guest-i386"),
  );
  const modules = await kernelModules(kernel, ["ata_piix", "sd_mod"]);
  if (typeof modules === "string") throw new Error(modules);
  const random = join(folder, "random");
  await must(
    "gcc",
    ...["-m32", "-static", "-O2", "-o", random, join(SOURCES, "random.c")],
  );
  const archive = buildInitramfs(await Deno.readFile(busybox), [
    ...modules.entries,
    directory("bench"),
    file("bench/load.sh", modules.script, 0o755),
    file("bench/random", await Deno.readFile(random), 0o755),
    file("bench/run.sh", await Deno.readFile(join(SOURCES, "run.sh")), 0o755),
  ]);
  const initrd = join(folder, "initrd.gz");
  await Deno.writeFile(initrd, await gzip(archive));
  const image = join(folder, "disk.img");
  const out = await Deno.create(image);
  const chunk = new Uint8Array(65536);
  for (let i = 0; i < IMAGE_MEGABYTES * 16; i++) {
    await out.write(crypto.getRandomValues(chunk));
  }
  out.close();
  return { kernel, initrd, image };
}

/** The command that boots a target. */
function commandOf(target: string, guest: Guest): Command {
  const { kernel, initrd, image } = guest;
  const boot = ["-kernel", kernel, "-initrd", initrd, "-append"];
  const append = "console=ttyS0";
  if (target === "tcg") {
    return ["qemu-system-i386", [
      ...["-M", "pc", "-accel", "tcg", "-cpu", "pentium3", "-no-reboot"],
      ...["-m", `${LINUX_MEGABYTES}`, "-display", "none", "-serial", "stdio"],
      ...["-drive", `if=ide,format=raw,file=${image}`, ...boot, append],
    ]];
  }
  const match = /^jit(?:@(.+))?$/.exec(target);
  if (match === null) throw new Error(`There is no target "${target}"`);
  const checkout = match[1] === undefined ? ROOT : resolve(match[1]);
  const backend = { plugin: "raw", config: { file: image } };
  return [Deno.execPath(), [
    ...["run", "-A", "--no-prompt", `--config=${join(checkout, "deno.json")}`],
    ...[join(checkout, "mod.ts"), join(checkout, "machines/pc.json")],
    ...["--kernel", kernel, "--initrd", initrd, "--append", append],
    ...["--memory", `${LINUX_MEGABYTES}M`, "--serial", "stdio"],
    ...["--set", `backends.disk0=${JSON.stringify(backend)}`],
    ...["--set", "devices.ide.backends.disk0=disk0"],
  ]];
}

/** One measurement, in milliseconds. */
interface Sample {
  readonly wall: number;
  /** Of the busiest thread. */
  readonly cpu: number;
  /** What the guest computed. */
  readonly sum: string;
}

/** Boot a target and run workloads in it, in their order. */
async function measure(
  command: Command,
  workloads: readonly string[],
): Promise<Map<string, Sample>> {
  const samples = new Map<string, Sample>();
  await using session = new Session(command);
  await session.until(PROMPT, LIMIT_MS);
  await session.type(". /bench/load.sh; sleep 2; stty -echo; echo ready\n");
  await session.until(/^ready\r?\n/m, LIMIT_MS);
  await session.until(PROMPT, LIMIT_MS);
  for (const name of workloads) {
    await session.type(`/bench/run.sh ${name} /dev/sda ${IMAGE_MEGABYTES}\n`);
    const begin = await session.until(/^BEGIN \S+\r?\n/m, LIMIT_MS);
    const end = await session.until(/^END \S+\r?\n/m, LIMIT_MS);
    const sum = await session.until(/^SUM \S+ ([0-9a-f]{32})/m, LIMIT_MS);
    await session.until(PROMPT, LIMIT_MS);
    samples.set(name, {
      wall: end.wall - begin.wall,
      cpu: busiestThread(end, begin),
      sum: sum.match[1],
    });
  }
  return samples;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** A line of the table: medians of each target, and the first to the last. */
function row(
  name: string,
  targets: readonly string[],
  samples: readonly Sample[][],
): string {
  const of = (pick: (sample: Sample) => number): number[] =>
    samples.map((list) => median(list.map(pick)));
  const [wall, cpu] = [of((s) => s.wall), of((s) => s.cpu)];
  const ratio = (values: readonly number[]): string =>
    (values[0] / values[values.length - 1]).toFixed(2);
  const cells = targets.map((target, i) =>
    `${target} ${wall[i].toFixed(0)} (CPU ${cpu[i].toFixed(0)})`
  );
  const alike = new Set(samples.flat().map((s) => s.sum)).size === 1;
  return `${name.padEnd(13)} ${cells.join("  ")}  ratio ${ratio(wall)} ` +
    `(CPU ${ratio(cpu)})${alike ? "" : "  RESULTS DIFFER"}`;
}

async function main(): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["rounds", "only", "targets"],
    default: { rounds: "3", only: WORKLOADS.join(","), targets: "jit,tcg" },
  });
  const targets: string[] = args.targets.split(",");
  const workloads: string[] = args.only.split(",");
  const folder = await Deno.makeTempDir();
  try {
    const guest = await makeGuest(folder);
    const copy = join(folder, "copy.img");
    const all = new Map(
      workloads.map((name) => [name, targets.map((): Sample[] => [])]),
    );
    for (let round = 0; round < Number(args.rounds); round++) {
      for (const [i, target] of targets.entries()) {
        await Deno.copyFile(guest.image, copy);
        const command = commandOf(target, { ...guest, image: copy });
        for (const [name, sample] of await measure(command, workloads)) {
          all.get(name)![i].push(sample);
        }
      }
    }
    for (const [name, samples] of all) console.log(row(name, targets, samples));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
