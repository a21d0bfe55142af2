/**
 * What the monitor shows, beside QEMU's for the same guest: the same text,
 * where both have the same machine.
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { HumanMonitor } from "../../core/monitor/contract.ts";
import { Machine } from "../../machines/machine.ts";
import { withFolder } from "../block/oracle.ts";
import { QemuMachine } from "../qemu_machine.ts";
import { BYTES, CODE, type PagingMode, standingGuest } from "./guests.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;

/** A guest on both sides. */
interface Pair {
  readonly qemu: QemuMachine;
  readonly rhea: HumanMonitor;
  /** Run a line on both, and compare what `part` leaves of the answers. */
  same(line: string, part?: (text: string) => string): Promise<void>;
}

/** An answer without the spaces at the ends of its lines. */
function plain(text: string): string {
  return text.replaceAll(/[ \r]+$/gm, "").trimEnd();
}

/** Run until the guest halts, on a side. */
async function untilHalted(
  run: (line: string) => Promise<string>,
): Promise<void> {
  while (!/HLT=1/.test(await run("info registers"))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Run a test with a guest of this mode here and on QEMU. */
async function withPair(
  mode: PagingMode,
  bits: 32 | 64,
  test: (pair: Pair) => Promise<void>,
): Promise<void> {
  const guest = await standingGuest(mode);
  if (guest === undefined) {
    console.log("skipped: nasm is not installed");
    return;
  }
  await withFolder(async (folder) => {
    const kernel = join(folder, "kernel");
    await Deno.writeFile(kernel, guest);
    await using qemu = await QemuMachine.start(
      ["-nodefaults", "-m", "64", "-kernel", kernel, "-cpu", "max"],
      folder,
      bits === 32 ? "qemu-system-i386" : "qemu-system-x86_64",
    );
    if (qemu === undefined) {
      console.log("skipped: QEMU is not installed");
      return;
    }
    await using machine = await Machine.load(PC, {
      kernel,
      memory: "64M",
      cpu: bits === 32 ? "pentium3" : "max",
      nics: [],
    });
    machine.start();
    const rhea = await machine.monitor();
    await untilHalted((line) => qemu.monitor(line));
    await untilHalted((line) => rhea.run(line));
    await test({
      qemu,
      rhea,
      same: async (line, part = (text) => text) => {
        assertEquals(
          part(plain(await rhea.run(line))),
          part(plain(await qemu.monitor(line))),
          line,
        );
      },
    });
  });
}

const MODES: readonly (readonly [PagingMode, 32 | 64])[] = [
  ["none", 32],
  ["32", 32],
  ["none", 64],
  ["32", 64],
  ["pae", 64],
  ["long", 64],
];

for (const [mode, bits] of MODES) {
  Deno.test(`monitor beside QEMU's: ${bits} bits, paging ${mode}`, () =>
    withPair(mode, bits, async ({ same }) => {
      await same("info registers");
      await same("info mem");
      await same("info tlb");
      await same(`x/20i ${CODE}`);
      await same("x/12i $eip - 2");
      await same(`xp/12i ${CODE}`);
      for (const format of ["x", "d", "u", "o", "c"]) {
        for (const size of ["b", "h", "w", "g"]) {
          await same(`xp/13${format}${size} ${BYTES}`);
          await same(`x/5${format}${size} ${BYTES + 250}`);
        }
      }
      await same("x/4xw 0x7ffff000");
      await same("x/4xw 0x37fff8");
      await same(`sum ${BYTES} 1024`);
      for (
        const line of [
          "p $eax",
          "p/x $eip",
          "p/x $esp",
          "p/i 255",
          "p 255",
          "p/d $ebx - $ecx",
          "p/x ($edx & 0xff) * 3 + 7 / 2 % 5",
          "p/o 0777 | 8 ^ 1",
          "p/c 'a'",
          "p/x -1",
          "p/u ~0",
          "p $cs",
          "p/x $gs.limit",
          "p 1 +",
          "p (1",
          "p $nothing",
          "p 1 / 0",
          "p 0x",
          "p",
          "p 1 2",
          "p/q 1",
          "print/d 5*3",
          "x",
          "foo",
          "info foo",
          "gva2gpa 0x100000",
          "gva2gpa 0xfff00000",
          "gva2gpa",
          "qom-list",
          "qom-list /nope",
          "qom-get /nope x",
          "qom-get /machine",
          "system_wakeup",
          "balloon 1",
          "balloon",
          "sendkey 0xzz",
          "memsave 0 16",
          "memsave 0 16 /nope/x",
          "screendump /tmp/x -f gif",
          "screendump /tmp/x -f",
          "screendump /tmp/x nobody",
          "screendump /tmp/x -f png nobody 1",
          "info registers -b",
          "info mtree -z",
          "info block-jobs",
          "info balloon",
          "info capture",
          "info memory-devices",
          "info usb",
          "info vm-generation-id",
          "set_link nobody off",
          "set_link nobody maybe",
          "set_link",
          "hostfwd_add tcp::1-:2",
          "hostfwd_add net0 tcp::1-:2",
          "hostfwd_remove tcp::1",
          "device_del nobody",
          "netdev_del nobody",
          "object_del nobody",
          "chardev-remove nobody",
          "block_job_cancel nobody",
          "block_job_pause nobody",
          "device_add nobody",
          "device_add id=x",
          "device_add",
          "netdev_add nobody,id=x",
          "netdev_add user",
          "netdev_add id=x",
          "object_add nobody,id=x",
          "object_add",
          "set_password vnc x",
          "expire_password vnc now",
          "migrate_cancel",
          "qom-set /nope a b",
          "info iothreads",
          "info numa",
          "info replay",
          "info tpm",
          "sendkey foo",
          "sendkey",
          "cpu 7",
        ]
      ) await same(line);
      // QEMU's firmware has started the timer (bit 0 of IRR), and routed PCI's
      // interrupts (ELCR).
      const pics = (text: string): string =>
        text.split("\n").filter((line) => line.startsWith("pic")).join("\n")
          .replaceAll(/elcr=..|irr=0[01]/g, "");
      await same("info pic", pics);
      await same(
        "info pic",
        (text) =>
          text.split("\n").filter((one) => /^ {2}/.test(one)).join("\n"),
      );
      // QEMU's firmware has made LINT1 level triggered and sent a message.
      await same(
        "info lapic",
        (text) => text.replaceAll(/^(LVT1|ICR).*$/gm, ""),
      );
      const places = (text: string): string =>
        text.split("\n").filter((line) => /Bus |PCI device/.test(line))
          .join("\n");
      await same("info pci", places);
      await same("info status");
      await same("stop");
      await same("info status");
      await same("cont");
      await same("info kvm");
      await same("sendkey 0x1e-f1 1");
    }));
}
