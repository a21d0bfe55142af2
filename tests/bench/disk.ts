/**
 * Measures a disk of Linux, on IDE or on virtio over PCI, against QEMU's TCG in one run, taking turns: reading
 * and writing with dd, and blocks in random order one at a time. Prints medians
 * in milliseconds, of CPU time too, and the ratio of the first target to the
 * last.
 *
 *   deno run -A tests/bench/disk.ts [--rounds=3] [--only=read,random_read]
 *                                   [--targets=jit,tcg,jit@FOLDER]
 *                                   [--disk=ide|virtio] [--bits=32|64]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join, resolve } from "@std/path";
import { file } from "../../core/cli/cpio.ts";
import type { Command } from "./targets.ts";
import {
  benchmark,
  type Bits,
  type Boot,
  makeBoot,
  qemuCommand,
  rheaCommand,
  ROOT,
  row,
  takeTurns,
} from "./turns.ts";

const SOURCES = fromFileUrl(new URL("./disk", import.meta.url));
const WORKLOADS = [
  ...["read", "blocks", "write", "write_again", "random_read", "random_write"],
  ...["read_null", "direct_read", "direct_write"],
];
/** The image: less than the guest's RAM, all of it in the host's cache. */
const IMAGE_MEGABYTES = 160;

/** How a kind of disk is driven, and what adds it to each machine. */
interface Kind {
  readonly modules: readonly string[];
  /** Commands before the drivers are loaded. */
  readonly prepare: string;
  /** The guest's device. */
  readonly device: string;
  readonly qemu: string;
  readonly set: readonly string[];
}

/**
 * Without firmware nobody routes the pin of slot 4 to IRQ 11: PIRQD, the
 * interrupt line and the level trigger; Linux looks at the line when it finds
 * the function.
 */
const ROUTE = `cd /proc/bus/pci/00
put() { printf "$3" | dd of=$1 bs=1 seek=$2 conv=notrunc 2>/dev/null; }
if [ "$(cat /sys/bus/pci/devices/0000:00:04.0/irq)" = 0 ]; then
  put 01.0 99 '\\013'
  put 04.0 60 '\\013'
  put /dev/port 1233 '\\010'
  echo 1 > /sys/bus/pci/devices/0000:00:04.0/remove
  echo 1 > /sys/bus/pci/rescan
fi
cd /root
`;

const KINDS: Readonly<Record<string, Kind>> = {
  ide: {
    modules: ["ata_piix", "sd_mod"],
    prepare: "",
    device: "/dev/sda",
    qemu: "if=ide",
    set: ["devices.ide.backends.disk0=disk0"],
  },
  virtio: {
    modules: ["virtio_pci", "virtio_blk"],
    prepare: ROUTE,
    device: "/dev/vda",
    qemu: "if=virtio",
    set: [
      'devices.vda={"plugin":"virtio-blk-pci","use":{"bus":"pci"},' +
      '"config":{"slot":4,"msix":false},"backends":{"disk":"disk0"}}',
    ],
  },
};

async function must(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Kernel and drivers, and the workloads. */
async function makeGuest(
  folder: string,
  kind: Kind,
  bits: Bits,
): Promise<Boot> {
  const random = join(folder, "random");
  await must(
    "gcc",
    ...[`-m${bits}`, "-static", "-O2", "-o", random, join(SOURCES, "random.c")],
  );
  return await makeBoot(
    folder,
    kind.modules,
    (load) => `${kind.prepare}${load}`,
    [
      file("bench/random", await Deno.readFile(random), 0o755),
      file("bench/run.sh", await Deno.readFile(join(SOURCES, "run.sh")), 0o755),
    ],
    bits,
  );
}

/** An image that nothing compresses. */
async function makeImage(image: string): Promise<void> {
  const out = await Deno.create(image);
  const chunk = new Uint8Array(65536);
  for (let i = 0; i < IMAGE_MEGABYTES * 16; i++) {
    await out.write(crypto.getRandomValues(chunk));
  }
  out.close();
}

/** The command that boots a target. */
function commandOf(
  target: string,
  boot: Boot,
  kind: Kind,
  image: string,
): Command {
  if (target === "tcg") {
    const drive = `${kind.qemu},format=raw,file=${image}`;
    return qemuCommand(boot, ["-drive", drive]);
  }
  const match = /^jit(?:@(.+))?$/.exec(target);
  if (match === null) throw new Error(`There is no target "${target}"`);
  const checkout = match[1] === undefined ? ROOT : resolve(match[1]);
  const backend = { plugin: "raw", config: { file: image } };
  const device = [`backends.disk0=${JSON.stringify(backend)}`, ...kind.set]
    .flatMap((setting) => ["--set", setting]);
  return rheaCommand(boot, device, "-A", checkout);
}

async function main(folder: string): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["rounds", "only", "targets", "disk", "bits"],
    default: {
      rounds: "3",
      only: WORKLOADS.join(","),
      targets: "jit,tcg",
      disk: "ide",
      bits: "32",
    },
  });
  const targets: string[] = args.targets.split(",");
  const kind = KINDS[args.disk];
  if (kind === undefined) throw new Error(`There is no disk "${args.disk}"`);
  if (args.bits !== "32" && args.bits !== "64") {
    throw new Error(`A guest has 32 or 64 bits, not "${args.bits}"`);
  }
  const boot = await makeGuest(folder, kind, args.bits === "64" ? 64 : 32);
  const image = join(folder, "disk.img");
  await makeImage(image);
  const copy = join(folder, "copy.img");
  const names: string[] = args.only.split(",");
  const workloads = new Map(
    names.map((name): [string, string] => [
      name,
      `/bench/run.sh ${name} ${kind.device} ${IMAGE_MEGABYTES}`,
    ]),
  );
  const samples = await takeTurns(
    Number(args.rounds),
    targets,
    workloads,
    async (target) => {
      await Deno.copyFile(image, copy);
      return commandOf(target, boot, kind, copy);
    },
  );
  for (const [name, all] of samples) console.log(row(name, targets, all));
}

if (import.meta.main) await benchmark(main);
