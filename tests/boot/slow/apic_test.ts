/**
 * Linux without ACPI on `machines/pc.json` uses the APICs that the MP table
 * tells of: its tick is the local APIC's timer, its devices' interrupts come by
 * the I/O APIC, PCI's at pins of their own; and without a table it works by the
 * virtual wire.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { boot, PATIENCE, Shell, withScript } from "../guest.ts";
import { useShell } from "../session.ts";
import { Machine } from "../../../mod.ts";

const APPEND = "console=ttyS0 acpi=off";
const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const PIN = fromFileUrl(new URL("../../fixtures/pci_pin.ts", import.meta.url));
/** PCI functions that interrupt: slot and pin. */
const PINS = [[3, 1], [3, 2], [3, 4], [4, 1], [9, 1], [30, 1]];
/** Enable them, and say which interrupts they got. */
const ROUTES = `mkdir /sys
mount -t sysfs none /sys
dmesg -n 1
for f in /sys/bus/pci/devices/*; do
  case $f in *:00:0[01].*) continue;; esac
  echo 1 > $f/enable
  echo "route \${f##*/} $(cat $f/irq)"
done
poweroff -f`;

/** The count of the line of /proc/interrupts with this name, and its rest. */
function interrupt(text: string, name: string): [number, string] {
  const line = new RegExp(`^ *${name}: +(\\d+) *(.*)$`, "m").exec(text);
  if (line === null) throw new Error(`no ${name} in ${text}`);
  return [Number(line[1]), line[2].replaceAll(/ +/g, " ")];
}

boot("Linux uses the APICs that a table tells of", async (guest) => {
  const { kernel, initramfs: initrd } = guest;
  const append = `${APPEND} apic=verbose`;
  const options = { kernel, initrd, append, memory: "256M" };
  const machine = await Machine.load(PC, options);
  try {
    const shell = await Shell.of(machine);
    await useShell(shell, {
      machine: "i686",
      model: "Rhea x86-64-v2",
      flags: "nx\\b.*\\blm",
    });
    const log = (await shell.run("dmesg")).output;
    assertMatch(log, /Switch to symmetric I\/O mode setup/);
    assertMatch(log, /Using local APIC timer interrupts/);
    // It counts the timer for 100 ms: 1 GHz, divided by 16.
    const [, delta] = /\.\.\. lapic delta = (\d+)/.exec(log)!;
    assert(Math.abs(Number(delta) / 6_250_000 - 1) < 0.02, delta);
    const before = (await shell.run("cat /proc/interrupts; sleep 2")).output;
    const after = (await shell.run("cat /proc/interrupts")).output;
    assertEquals(interrupt(after, "0")[1], "IO-APIC 2-edge timer");
    assertEquals(interrupt(after, "4")[1], "IO-APIC 4-edge ttyS0");
    assert(interrupt(after, "4")[0] > interrupt(before, "4")[0]);
    // The tick has moved from the 8254 to the local APIC.
    assertEquals(interrupt(after, "0")[0], interrupt(before, "0")[0]);
    assert(interrupt(after, "LOC")[0] > interrupt(before, "LOC")[0]);
    assertEquals(
      ["SPU", "ERR", "MIS"].map((name) => interrupt(after, name)[0]),
      [0, 0, 0],
    );
  } finally {
    await machine.stop();
  }
});

boot(
  "Linux without a table has the 8259A behind the local APIC",
  async (guest) => {
    const { kernel, initramfs: initrd } = guest;
    const set = ["devices.mp=null"];
    const options = { kernel, initrd, append: APPEND, memory: "256M", set };
    const machine = await Machine.load(PC, options);
    try {
      const shell = await Shell.of(machine);
      const { output } = await shell.run("cat /proc/interrupts");
      assertEquals(interrupt(output, "4")[1], "XT-PIC ttyS0");
      assert(interrupt(output, "4")[0] > 0);
      const log = (await shell.run("dmesg")).output;
      assertMatch(log, /Switch to virtual wire mode setup/);
    } finally {
      await machine.stop();
    }
  },
);

boot(
  "Linux has PCI's interrupts where the MP table says",
  ({ kernel }) =>
    withScript(ROUTES, async (initrd) => {
      const machine = await Machine.load(PC, {
        kernel,
        initrd,
        append: APPEND,
        memory: "256M",
        set: PINS.map(([slot, pin]) =>
          `devices.pin${slot}${pin}=` + JSON.stringify({
            plugin: PIN,
            config: { slot, function: pin - 1, pin },
            use: { bus: "pci" },
          })
        ),
      });
      try {
        const serial = machine.serial(0);
        await serial.expect(/System halted/, PATIENCE);
        const routes = [...serial.output.matchAll(
          /^route 0000:00:(\w\w)\.(\d) (\d+)\r?$/gm,
        )].map(([, slot, pin, irq]) => [parseInt(slot, 16), Number(pin), irq]);
        // PIRQA, on pin 16, is INTA# of slot 1.
        assertEquals(
          routes,
          PINS.map(([slot, pin]) => [
            slot,
            pin - 1,
            String(16 + (slot - 1 + pin - 1) % 4),
          ]),
        );
      } finally {
        await machine.stop();
      }
    }),
);
