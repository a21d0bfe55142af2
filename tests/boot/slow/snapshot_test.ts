/**
 * Linux that is saved in the midst of things goes on in the machine that is
 * restored exactly as in the one that was saved: registers, devices and memory
 * are the same later on. With `icount`, as otherwise no two runs are alike.
 */

import { assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine } from "../../../mod.ts";
import { comparesAtAllPoints } from "../../snapshot/exact.ts";
import { bootsOf, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const MACHINES = fromFileUrl(new URL("../../../machines", import.meta.url));
const MS = 1_000_000;
/** Decompressing the kernel is a second of nothing else. */
const UNPACKED = ['boot.loaders=["linux-unpacked"]'];

/** Times that are not round, at about even distances. */
function points(from: number, step: number, count: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => Math.floor((from + (i + (i * 0.618 % 1) / 2) * step) * MS),
  );
}

interface Case {
  readonly name: string;
  readonly architecture: "i386" | "amd64";
  readonly machine: string;
  readonly options?: Record<string, unknown>;
}

const CASES: readonly Case[] = [
  { name: "microvm", architecture: "i386", machine: "microvm.json" },
  { name: "an ISA PC", architecture: "i386", machine: "isapc.json" },
  { name: "a PC", architecture: "i386", machine: "pc.json" },
  {
    name: "a PC in the interpreter",
    architecture: "i386",
    machine: "pc.json",
    options: { accel: "interp" },
  },
  {
    name: "a 64-bit PC with four CPUs",
    architecture: "amd64",
    machine: "pc.json",
    options: { cpu: "max", smp: 4 },
  },
];

for (const { name, architecture, machine, options } of CASES) {
  const boot = await bootsOf(architecture);
  boot(
    `${name} is saved and restored while Linux starts`,
    (guest) =>
      comparesAtAllPoints(
        () =>
          Machine.load(join(MACHINES, machine), {
            kernel: guest.kernel,
            initrd: guest.initramfs,
            append: "console=ttyS0",
            memory: "128M",
            icount: true,
            set: architecture === "i386" ? UNPACKED : [],
            ...options,
          }),
        {
          after: "Linux version",
          points: points(17, 137, 12),
          length: 70 * MS,
        },
      ).then((output) => assertMatch(output, /Linux version/)),
  );
}

/** Disks that are read and written, cards that send, and a console. */
const WORK = `mkdir -p /sys
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while [ ! -e /dev/sda ] || [ ! -e /dev/vda ]; do sleep 0.1; done
for i in eth0 eth1 eth2; do ip link set $i up; done
for i in 0 1 2; do ip addr add 10.0.$i.1/24 dev eth$i; done
echo working
for i in 0 1 2; do ping -c 100 -i 0.02 10.0.$i.2 > /dev/null & done
dd if=/dev/sr0 of=/dev/null bs=2k count=500 &
dd if=/dev/fd0 of=/dev/null bs=1k count=100 &
for n in 1 2 3 4 5 6 7 8 9; do
  dd if=/dev/urandom of=/dev/sda bs=64k count=20 seek=$n conv=fsync
  dd if=/dev/sda of=/dev/vda bs=4k count=300 conv=fsync
  dd if=/dev/vda of=/dev/null bs=512 count=900 skip=$n iflag=direct
  echo $n > /dev/tty0
done
`;
const DRIVERS = [
  ...["ata_piix", "sd_mod", "virtio_pci", "virtio_blk"],
  ...["virtio_net", "e1000", "ne2k_pci"],
  ...["sr_mod", "floppy"],
];

/** Machines that work. */
const WORKING: readonly Omit<Case, "machine">[] = [
  { name: "a PC", architecture: "i386", options: { set: UNPACKED } },
  {
    name: "a 64-bit PC with two CPUs",
    architecture: "amd64",
    options: { cpu: "max", smp: 2 },
  },
];

for (const { name, architecture, options } of WORKING) {
  const boot = await bootsOf(architecture);
  boot(
    `${name} is saved and restored while its devices work`,
    async (guest) => {
      const modules = await kernelModules(guest.kernel, DRIVERS);
      if (typeof modules === "string") throw new Error(modules);
      await withScript(
        modules.script + WORK,
        async (initrd) => {
          const image = await Deno.makeTempFile({ suffix: ".img" });
          const floppy = await Deno.makeTempFile({ suffix: ".img" });
          try {
            await Deno.truncate(image, 16 << 20);
            await Deno.truncate(floppy, 1440 << 10);
            const drive = {
              file: image,
              format: "raw",
              snapshot: true,
            } as const;
            const output = await comparesAtAllPoints(
              () =>
                Machine.load(join(MACHINES, "pc.json"), {
                  kernel: guest.kernel,
                  initrd,
                  append: "console=ttyS0",
                  memory: "128M",
                  icount: true,
                  ...options,
                  drives: [
                    drive,
                    { ...drive, if: "virtio" },
                    { ...drive, media: "cdrom", index: 2, snapshot: false },
                    { ...drive, file: floppy, if: "floppy" },
                  ],
                  nics: ["e1000", "virtio", "ne2k_pci"].map((model) => ({
                    network: "hub",
                    model,
                    config: { id: model },
                  })),
                }),
              {
                after: "working\r\n",
                points: points(3, 61, 20),
                length: 50 * MS,
                // The hubs of a process are all machines' that name them.
                options: {
                  set: [0, 1, 2].map((n) =>
                    `backends.net${n}.config.id=other${n}`
                  ),
                },
              },
            );
            assertMatch(output, /\d+ records out/);
          } finally {
            await Deno.remove(image);
            await Deno.remove(floppy);
          }
        },
        modules.entries,
      );
    },
  );
}
