/**
 * Linux and the tables of `machines/pc.json`: it reads them without complaint,
 * routes PCI interrupts by them, hears the power button, and switches the
 * machine off and resets it as they say. QEMU's `pc` is the same board: Linux
 * takes Rhea's tables for it there.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { ISAPC_WARNINGS, warnings } from "../session.ts";
import { directory, file, writeCpio } from "../../../core/cli/cpio.ts";
import { planDefinition } from "../../../core/machine/options.ts";
import { surveyMachine } from "../../../core/machine/survey.ts";
import { PLUGINS } from "../../../machines/registry.ts";
import { Machine } from "../../../mod.ts";
import { acpiTables } from "../../../plugins/firmware/acpi/acpi.ts";
import { boardOf } from "../../../plugins/firmware/acpi/board.ts";
import { QEMU, qemuOutput } from "../../qemu.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const PIN = fromFileUrl(new URL("../../fixtures/pci_pin.ts", import.meta.url));
const LIMIT_MS = 600_000;

const BEGIN = `mkdir /sys
mount -t sysfs none /sys
dmesg -n 1
`;

/** Enable every function but power management's, and say what it got. */
const ROUTES = `for f in /sys/bus/pci/devices/*; do
  case $f in *:00:0[01].*) continue;; esac
  echo 1 > $f/enable
  echo "route \${f##*/} $(cat $f/irq) $(hexdump -s 61 -n 1 -e '1/1 "%u"' $f/config)"
done
echo "pirqs" $(hexdump -v -s 96 -n 4 -e '1/1 "%u "' /proc/bus/pci/00/01.0)
`;

/** Lines that say that something is wrong with a table. */
function complaints(log: string): string[] {
  return log.split(/\r?\n/).filter((line) =>
    /ACPI.*(error|exception|warning|\(bug\))|Firmware (bug|warn)|No IRQ available|AE_[A-Z]/i
      .test(line)
  );
}

/**
 * The interrupts that functions got, by place and pin, against where the ISA
 * bridge's registers lead their pins.
 */
function assertRoutes(output: string): void {
  const pirqs = /^pirqs ((?:\d+ ?){4})/m.exec(output)![1].trim().split(" ");
  const routes = [
    ...output.matchAll(/^route 0000:00:(\w\w)\.\d (\d+) (\d+)\r?$/gm),
  ];
  const lines = new Set<number>();
  for (const [, slot, irq, pin] of routes) {
    const line = (parseInt(slot, 16) - 1 + Number(pin) - 1) & 3;
    lines.add(line);
    assertEquals(irq, pirqs[line], `slot ${slot}, pin ${pin}`);
    assert(["5", "10", "11"].includes(irq), irq);
  }
  assertEquals(lines.size, 4, "each line is somebody's");
}

/** What QEMU's guest prints, up to its end; undefined where there is none. */
async function inQemu(
  kernel: string,
  initrd: string,
  ...more: string[]
): Promise<string | undefined> {
  const output = await qemuOutput([
    ...["-accel", "tcg", "-M", "pc", "-m", "256", "-no-reboot"],
    ...["-nodefaults", "-display", "none", "-serial", "stdio"],
    ...["-kernel", kernel, "-initrd", initrd],
    ...["-append", "console=ttyS0", ...more],
  ], LIMIT_MS);
  if (output === undefined) {
    console.log(`not compared: ${QEMU} is not installed`);
  }
  return output;
}

const SCRIPT = `${BEGIN}dmesg -r
${ROUTES}
for f in sys_vendor product_name product_serial product_uuid bios_version; do
  echo "dmi $f $(cat /sys/class/dmi/id/$f)"
done
echo acpi $(ls /sys/bus/acpi/devices)
mknod /dev/port c 1 4
printf '\\001' | dd of=/dev/port bs=1 seek=$((0x603)) conv=notrunc 2>/dev/null
echo ready
read line
echo $(grep acpi /proc/interrupts)
dmesg | grep "fixed event"
poweroff -f`;

boot(
  "Linux runs by pc.json's ACPI and SMBIOS tables",
  ({ kernel }) =>
    withScript(SCRIPT, async (initrd) => {
      const pin = (slot: number, pin: number): string =>
        `devices.pin${slot}${pin}=` + JSON.stringify({
          plugin: PIN,
          config: { slot, function: pin - 1, pin },
          use: { bus: "pci" },
        });
      await using machine = await Machine.load(PC, {
        kernel,
        initrd,
        append: "console=ttyS0",
        memory: "256M",
        set: [
          ...[
            pin(3, 1),
            pin(3, 2),
            pin(3, 4),
            pin(4, 1),
            pin(9, 1),
            pin(30, 1),
          ],
          "devices.smbios.config.product=Ostrich",
          "devices.smbios.config.serial=S-42",
          "devices.smbios.config.uuid=01234567-89ab-cdef-0123-456789abcdef",
        ],
      });
      const serial = machine.serial(0);
      const before = await serial.expect(/^ready\r\n/m, PATIENCE);
      machine.pressPowerButton();
      await serial.write("go\n");
      const { reason, status } = await machine.wait();
      assertEquals({ reason, status }, { reason: "poweroff", status: 0 });
      const after = serial.output.slice(before.length);

      assertEquals(complaints(before), []);
      assertMatch(before, /ACPI: PM: \(supports S0 S5\)/);
      assertRoutes(before);
      const dmi = [...before.matchAll(/^dmi (.*?)\r?$/gm)].map(([, line]) =>
        line
      );
      assertEquals(dmi, [
        "sys_vendor Rhea",
        "product_name Ostrich",
        "product_serial S-42",
        "product_uuid 01234567-89ab-cdef-0123-456789abcdef",
        "bios_version 1.0",
      ]);
      const devices = /^acpi (.*?)\r?$/m.exec(before)![1].split(/\s+/);
      for (
        const id of ["PNP0501:01", "PNP0303:00", "PNP0B00:00", "LNXPWRBN:00"]
      ) {
        assert(devices.includes(id), id);
      }
      // No driver is there for the button, but its event was found and named.
      assertMatch(after, /^9: 1 IO-APIC 9-fasteoi acpi/m);
      assertMatch(after, /fixed event - PowerButton/);

      // QEMU's guest has nobody to type to it.
      const log = `${BEGIN}dmesg -r\npoweroff -f`;
      const theirs = await withScript(
        log,
        async (initrd) =>
          await Promise.all(["pentium3", "pentium3,apic=off"].map((cpu) =>
            inQemu(kernel, initrd, "-cpu", cpu)
          )),
      );
      const known = new Set(ISAPC_WARNINGS);
      for (const output of theirs) {
        if (output === undefined) {
          return;
        }
        for (const line of warnings(output)) {
          known.add(line);
        }
      }
      assertEquals([...warnings(before).difference(known)], []);
    }),
);

boot(
  "Linux resets pc.json without an 8042 by the FADT's register",
  ({ kernel }) =>
    withScript("reboot -f", async (initrd) => {
      await using machine = await Machine.load(PC, {
        kernel,
        initrd,
        append: "console=ttyS0",
        memory: "256M",
        noReboot: true,
        set: [
          ...["devices.keys=null", "devices.mouse=null"],
          ...["devices.keyboard=null"],
          'lines={"pic.irq12":null,"machine.reset":"or"}',
        ],
      });
      assertEquals((await machine.run()).reason, "reset");
    }),
);

/** Rhea's tables for QEMU's board, as what Linux lays over the firmware's. */
async function upgrade(): Promise<Uint8Array> {
  const plan = await planDefinition(PC, { plugins: PLUGINS, memory: "256M" });
  const board = boardOf(surveyMachine(plan));
  const [{ bytes }] = acpiTables(board, 0x8086a201).blobs;
  const files: ReturnType<typeof file>[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = new DataView(bytes.buffer).getUint32(at + 4, true);
    const table = bytes.slice(at, at + size);
    at += size;
    const signature = new TextDecoder().decode(table.subarray(0, 4));
    // The others point to what is elsewhere there.
    if (!["DSDT", "APIC", "HPET"].includes(signature)) continue;
    // A table takes the place of one of the same names with a lower revision.
    table.set(new TextEncoder().encode("BOCHS BXPC    \x02"), 10);
    table[9] = 0;
    table[9] = -table.reduce((a, b) => a + b, 0);
    files.push(file(`kernel/firmware/acpi/${signature}.aml`, table, 0o644));
  }
  return writeCpio([
    directory("kernel"),
    directory("kernel/firmware"),
    directory("kernel/firmware/acpi"),
    ...files,
  ]);
}

boot(
  "Linux takes Rhea's tables for QEMU's board",
  ({ kernel }) =>
    withScript(
      `${BEGIN}dmesg -r\n${ROUTES}cat /proc/interrupts\npoweroff -f`,
      async (plain) => {
        const nic = (
          slot: number,
        ): string[] => ["-device", `e1000,addr=${slot.toString(16)}`];
        const args = [
          ...["-cpu", "pentium3", ...nic(3), ...nic(4), ...nic(9), ...nic(30)],
        ];
        const initrd = await Deno.makeTempFile();
        try {
          const parts = [await upgrade(), await Deno.readFile(plain)];
          const joined = await new Blob(parts as BlobPart[]).arrayBuffer();
          await Deno.writeFile(initrd, new Uint8Array(joined));
          const output = await inQemu(kernel, initrd, ...args);
          if (output === undefined) return;
          for (const signature of ["DSDT", "APIC", "HPET"]) {
            assert(output.includes(`override [${signature}-BOCHS`), signature);
          }
          assertEquals(complaints(output), []);
          assertRoutes(output);
          for (
            const line of [
              "ACPI: Using IOAPIC for interrupt routing",
              "ACPI: INT_SRC_OVR (bus 0 bus_irq 0 global_irq 2 dfl dfl)",
              "ACPI: INT_SRC_OVR (bus 0 bus_irq 9 global_irq 9 high level)",
              "LAPIC_NMI (acpi_id[0xff] dfl dfl lint[0x1])",
              "HPET id: 0x8086a201 base: 0xfed00000",
              "PM: (supports S0 S5)",
              "reboot: Power down",
            ]
          ) assert(output.includes(line), line);
          assertMatch(output, /^ +9: .*IO-APIC +9-fasteoi +acpi/m);
          const known = new Set(ISAPC_WARNINGS);
          const theirs = (await inQemu(kernel, plain, ...args))!;
          for (const line of warnings(theirs)) known.add(line);
          const ours = [...warnings(output).difference(known)];
          // It measures time on a host that is busy.
          assertEquals(ours.filter((line) => !/calibrat/i.test(line)), []);
        } finally {
          await Deno.remove(initrd);
        }
      },
    ),
);
