/**
 * A session in Debian's kernel is replayed bit for bit: commands that somebody
 * types, a download through the user network, a disk that is read and written.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { hash32, hashRecord } from "../../../core/replay/hash.ts";
import { ReplayError } from "../../../core/replay/error.ts";
import { Machine } from "../../../machines/machine.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const DISK_BYTES = 8 << 20;
const FILE_BYTES = 1 << 20;

const SCRIPT = `mkdir -p /sys /tmp
mount -t sysfs none /sys
mount -t devtmpfs none /dev
dmesg -n 1
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
cd /root
export PS1='ready: '
exec sh -i
`;

interface End {
  readonly instructions: number;
  readonly time: number;
  readonly state: number;
  readonly memory: number;
  readonly output: string;
}

function endOf(machine: Machine): End {
  const { arenaOffset, arenaBytes, u8 } = machine.memory;
  return {
    instructions: machine.cpu.instructions,
    time: machine.clock.now(),
    state: hashRecord(machine.save()),
    memory: hash32(u8.subarray(arenaOffset + arenaBytes)),
    output: machine.serial(0).output,
  };
}

const DRIVERS = ["e1000", "ata_piix", "sd_mod"] as const;

for (const cpus of [1, 2]) {
  boot(
    `replay: a session with a network and a disk, ${cpus} CPUs`,
    async ({ kernel }) => {
      const modules = await kernelModules(kernel, DRIVERS);
      if (typeof modules === "string") {
        console.log(`skipped: ${modules}`);
        return;
      }
      const script = `${modules.script}${SCRIPT}`;
      const folder = await Deno.makeTempDir();
      const disk = `${folder}/disk.img`;
      const log = `${folder}/run.log`;
      const content = new Uint8Array(DISK_BYTES).map((_, i) => i * 7 >> 3);
      await Deno.writeFile(disk, content);
      const file = new Uint8Array(FILE_BYTES).map((_, i) => i * 13 >> 5);
      const server = Deno.serve({
        hostname: "127.0.0.1",
        port: 0,
        onListen: () => {},
      }, () => new Response(file));
      const { port } = server.addr;
      const commands = [
        "date",
        `wget -q -O got http://10.0.2.2:${port}/ && sha256sum got`,
        "ping -c 2 10.0.2.2",
        "sha256sum /dev/sda",
        "dd if=got of=/dev/sda bs=4k seek=100 conv=fsync,notrunc",
        "echo 3 > /proc/sys/vm/drop_caches; sha256sum /dev/sda",
        "sleep 1; cat /proc/interrupts /proc/uptime",
      ];
      try {
        await withScript(script, async (initrd) => {
          const recorded = await Machine.load(PC, {
            kernel,
            initrd,
            append: "console=ttyS0 ipv6.disable=1",
            memory: "128M",
            smp: cpus,
            cpu: "pentium3",
            drives: [{ file: disk, if: "ide", option: "disk" }],
            set: [
              `backends.net0=${JSON.stringify({ plugin: "user" })}`,
              `devices.net0=${
                JSON.stringify({
                  plugin: "e1000",
                  config: { slot: 3 },
                  use: { bus: "pci" },
                  backends: { net: "net0" },
                })
              }`,
            ],
            record: log,
          });
          const serial = recorded.serial(0);
          const run = recorded.run();
          await serial.expect("ready: ", PATIENCE);
          for (const command of commands) {
            for (const key of `${command}\n`) {
              await serial.write(key);
              const delay = Math.random() * 5;
              await new Promise((resolve) => setTimeout(resolve, delay));
            }
            await serial.expect("ready: ", PATIENCE);
          }
          await serial.write("poweroff -f\n");
          assertEquals((await run).reason, "poweroff");
          const end = endOf(recorded);
          await recorded.stop();
          await server.shutdown();
          const sum = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
            new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
              .toHex();
          const changed = content.slice();
          changed.set(file, 100 * 4096);
          for (const bytes of [file, content, changed]) {
            assert(end.output.includes(await sum(bytes)), end.output);
          }
          // The disk itself is what it was.
          assertEquals(await Deno.readFile(disk), content);
          for (let i = cpus; i <= 2; i++) {
            const machine = await Machine.replay(log);
            assertEquals((await machine.run()).reason, "poweroff");
            assertEquals(endOf(machine), end);
            await machine.stop();
          }
          // Another disk is refused.
          await Deno.writeFile(disk, changed);
          await assertRejects(
            () => Machine.replay(log),
            ReplayError,
            "is not what it was when the run was recorded",
          );
        }, modules.entries);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}
