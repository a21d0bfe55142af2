/**
 * Linux on several CPUs of `machines/pc.json`, told to do without one thing or
 * to use another: it finds its CPUs and its interrupts all the same, complains
 * of nothing, its clock goes right, CPUs go off and on, and the RTC's alarm
 * comes.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { boot, bootsOf, Shell } from "../guest.ts";
import { warnings } from "../session.ts";
import { Machine } from "../../../mod.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const boot64 = await bootsOf("amd64");

/** What a kernel may do, and what becomes of it. */
interface Mode {
  /** The CPUs that are there. */
  readonly cpus?: number;
  /** Those that it uses, where it does not use all. */
  readonly used?: number;
  /** The clock source that it ends with. */
  readonly clock?: string;
  /** What has the interrupt of the serial port. */
  readonly serial?: RegExp;
  /** Why the run ends when it is told to power off. */
  readonly end?: "poweroff" | "halt" | "reset";
}

const XT_PIC = /XT-PIC +ttyS0/;
const MODES: Readonly<Record<string, Mode>> = {
  "": {},
  "nox2apic": {},
  "noapic": { serial: XT_PIC },
  "nolapic": { used: 1, serial: XT_PIC },
  "acpi=off": { end: "halt" },
  "acpi=off noapic": { end: "halt", serial: XT_PIC },
  "clocksource=hpet": { clock: "hpet" },
  "clocksource=acpi_pm": { clock: "acpi_pm" },
  "hpet=disable": {},
  "lapic=notscdeadline": {},
  "pci=nomsi maxcpus=2": { used: 2 },
  "reboot=k": { end: "reset" },
};

/** What kernels warn of on QEMU's PC, too. */
const KNOWN = [
  /^acpi PNP0A03:00: fail to add MMCONFIG information/,
  // The rest of a line that begins with what is no warning.
  /^#\d$/,
  // A timer of a guest whose host is busy.
  /^hrtimer: interrupt took \d+ ns$/,
  /^CE: hpet increased min_delta_ns to \d+ nsec$/,
  // With `nolapic`.
  /^smpboot: weird, boot CPU \(#0\) not listed by the BIOS$/,
  /^L1TF: Kernel not compiled for PAE/,
  // With `hpet=disable`.
  /^hpet_acpi_add: no address or irqs in _CRS$/,
];
const WRONG =
  /lost interrupt|nobody cared|APIC error|soft lockup|stall|Call Trace|BUG:|Oops|unstable|not synchronized/;

async function check(
  guest: { readonly kernel: string; readonly initramfs: string },
  append: string,
  { cpus = 4, used = cpus, clock = "tsc", serial, end = "poweroff" }: Mode,
): Promise<void> {
  const machine = await Machine.load(PC, {
    kernel: guest.kernel,
    initrd: guest.initramfs,
    append: `console=ttyS0 ${append}`,
    memory: "256M",
    cpu: "x86-64-v2",
    smp: cpus,
    noReboot: true,
  });
  try {
    const shell = await Shell.of(machine);
    const run = async (command: string): Promise<string> =>
      (await shell.run(command)).output.trim();
    const until = (command: string) =>
      run(`for i in $(seq 60); do ${command} && break; sleep 1; done`);
    await run("mount -t sysfs none /sys 2>/dev/null");
    assertEquals(await run("nproc"), `${used}`);
    const source = "/sys/devices/system/clocksource/clocksource0";
    // The kernel takes a while to trust the TSC.
    await until(`grep -qx ${clock} ${source}/current_clocksource`);
    assertEquals(await run(`cat ${source}/current_clocksource`), clock);
    // The RTC is another clock: what they differ by is what the RTC does not
    // show of a second, now and when Linux read it at the start.
    const [rtc, system] = (await run(
      "cat /sys/class/rtc/rtc0/since_epoch; date +%s",
    )).split("\n").map(Number);
    assert(Math.abs(rtc - system) <= 2, `${rtc} ${system}`);
    // It comes as ACPI's event, without which Linux does not offer it.
    const alarm = "/sys/class/rtc/rtc0/wakealarm";
    if (!append.includes("acpi=off")) {
      await run(`echo +4 > ${alarm}`);
      await until(`[ -z "$(cat ${alarm})" ]`);
      assertEquals(await run(`cat ${alarm}`), "", "the alarm has come");
    }
    if (used > 1) {
      const online = "/sys/devices/system/cpu/cpu1/online";
      for (let i = 0; i < 3; i++) {
        await run(`echo 0 > ${online}`);
        assertEquals(await run("nproc"), `${used - 1}`);
        await run(`echo 1 > ${online}`);
        assertEquals(await run("nproc"), `${used}`);
      }
    }
    const counts = await run("cat /proc/interrupts");
    assertMatch(counts, serial ?? /IO-APIC +4-edge +ttyS0/);
    assertMatch(counts, /^ *ERR: +0$/m);
    const log = await run("dmesg -r");
    assertEquals(WRONG.exec(log)?.[0], undefined);
    assertEquals(
      [...warnings(log)].filter((line) =>
        !KNOWN.some((known) => known.test(line))
      ),
      [],
    );
    // NMI to all other CPUs, of which each says where it is.
    await run("echo l > /proc/sysrq-trigger; sleep 1");
    const nmi = /^ *NMI:((?: +\d+)+)/m.exec(await run("cat /proc/interrupts"));
    const each = nmi![1].trim().split(/ +/).map(Number);
    assertEquals(each.filter((count) => count > 0).length, used - 1);
    await shell.type(end === "reset" ? "reboot -f" : "poweroff -f");
    assertEquals((await machine.wait()).reason, end);
  } finally {
    await machine.stop();
  }
}

for (const [append, mode] of Object.entries(MODES)) {
  boot64(`64-bit Linux on 4 CPUs with "${append}"`, async (guest) => {
    await check(guest, append, mode);
  });
  boot(`32-bit Linux on 4 CPUs with "${append}"`, async (guest) => {
    await check(guest, append, mode);
  });
}

boot64(
  "64-bit Linux on 8 CPUs, one after the other off and on",
  (guest) => check(guest, "", { cpus: 8 }),
);
