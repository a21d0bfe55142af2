/**
 * Sessions with all that a PC has are replayed bit for bit, and gone over to
 * and fro: several CPUs, firmware, virtio and IDE disks, discs, floppies,
 * networks, keys and the mouse, random numbers, the date.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { hash32, hashRecord } from "../../../core/replay/hash.ts";
import { Machine, type MachineInstance } from "../../../mod.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const DRIVERS = [
  ...["virtio_pci", "virtio_blk", "virtio_net", "ata_piix", "sd_mod"],
  ...["sr_mod", "floppy", "psmouse", "bochs"],
] as const;

const SCRIPT = `mkdir -p /sys /tmp
mount -t sysfs none /sys
mount -t devtmpfs none /dev
dmesg -n 1
for i in /sys/class/net/e*; do ip link set \${i##*/} up; done
ip addr add 10.0.2.15/24 dev eth0
cd /root
export PS1='ready: '
exec sh -i
`;

const COMMANDS = [
  "date; cat /proc/sys/kernel/random/uuid",
  "sha256sum /dev/vda /dev/sda /dev/sr0",
  "mknod /dev/fd0 b 2 0; dd if=/dev/fd0 bs=1k count=40 | sha256sum",
  "dd if=/dev/urandom of=/dev/vda bs=4k count=64 seek=9 conv=fsync,notrunc",
  "dd if=/dev/urandom of=/dev/sda bs=4k count=64 seek=9 conv=fsync,notrunc",
  "ping -c 2 10.0.2.2",
  "echo 3 > /proc/sys/vm/drop_caches; sha256sum /dev/vda /dev/sda",
  "for i in 1 2 3 4 5 6; do (seq 1 20000 | sha256sum) & done; wait",
  "dd if=/dev/input/mice bs=3 count=2 | hexdump -C",
  "cat /proc/interrupts /proc/uptime; hwclock -r -f /dev/rtc0 || true",
];

interface Place {
  readonly time: number;
  readonly state: number;
  readonly memory: number;
}

function placeOf(machine: MachineInstance): Place {
  const { guestStart, guestEnd, u8 } = machine.memory;
  return {
    time: machine.clock.now(),
    state: hashRecord(machine.save()),
    memory: hash32(u8.subarray(guestStart, guestEnd)),
  };
}

interface Case {
  readonly name: string;
  readonly smp: number;
  readonly cpu: string;
  readonly firmware?: string;
}

const CASES: readonly Case[] = [
  { name: "4 CPUs", smp: 4, cpu: "max" },
  { name: "the built-in BIOS", smp: 1, cpu: "max", firmware: "builtin" },
];

for (const { name, ...options } of CASES) {
  boot(`replay: all devices, ${name}`, async ({ kernel }) => {
    const modules = await kernelModules(kernel, DRIVERS);
    if (typeof modules === "string") {
      console.log(`skipped: ${modules}`);
      return;
    }
    const folder = await Deno.makeTempDir();
    const image = async (name: string, bytes: number): Promise<string> => {
      const content = new Uint8Array(bytes).map((_, i) => i * 7 >> 3);
      await Deno.writeFile(`${folder}/${name}`, content);
      return `${folder}/${name}`;
    };
    const log = `${folder}/run.log`;
    try {
      await withScript(`${modules.script}${SCRIPT}`, async (initrd) => {
        const recorded = await Machine.load(PC, {
          ...options,
          kernel,
          initrd,
          append: "console=ttyS0 ipv6.disable=1 random.trust_cpu=on",
          memory: "128M",
          drives: [
            { file: await image("ide", 4 << 20), if: "ide" },
            { file: await image("virtio", 4 << 20), if: "virtio" },
          ],
          cdrom: await image("cd", 1 << 20),
          floppy: [await image("floppy", 1440 * 1024)],
          nics: [
            { network: "user", model: "virtio" },
          ],
          record: log,
        });
        const serial = recorded.serial(0);
        const run = recorded.run();
        await serial.expect("ready: ", PATIENCE);
        for (const command of COMMANDS) {
          await serial.write(`${command}\n`);
          if (command.includes("mice")) {
            await serial.expect("mice", PATIENCE);
            for (let i = 0; i < 20; i++) {
              void recorded.input.send([
                { type: "motion", dx: 3, dy: i, wheel: 0 },
              ]);
              void recorded.screen().press("KeyX");
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          }
          await serial.expect("ready: ", PATIENCE);
        }
        await serial.write("poweroff -f\n");
        const { reason } = await run;
        const instructions = recorded.cpu.instructions;
        const end = { ...placeOf(recorded), output: serial.output };
        const screen = await recorded.screenshot().png();
        await recorded.stop();
        const again = await Machine.replay(log);
        assertEquals((await again.run()).reason, reason);
        assertEquals({
          ...placeOf(again),
          output: again.serial(0).output,
        }, end);
        assertEquals(await again.screenshot().png(), screen);
        await again.stop();
        // To and fro, over the disks' changes.
        await using back = await Machine.replay(log);
        const replayer = await back.replayer();
        const places = new Map<number, Place>();
        const at = [0.9, 0.95, 0.5, 0.99, 0.93, 0.95, 0.9, 0.5, 0.99, 1];
        for (const part of at) {
          const count = Math.floor(instructions * part);
          await replayer.seek(count);
          const place = placeOf(back);
          assertEquals(places.get(count) ?? place, place, `${part}`);
          places.set(count, place);
        }
        const { output: _, ...last } = end;
        assertEquals(placeOf(back), last);
        assert(places.size > 5);
      }, modules.entries);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
