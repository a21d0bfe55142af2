/**
 * The lists of modules that a start imports first (`core/exec/modules.ts` says
 * why) have what is loaded, all of it and nothing else.
 */

import { assertEquals } from "@std/assert";
import { importsOf } from "./imports.ts";

/** Modules that are loaded at once. */
interface Load {
  /** Where they begin. */
  readonly roots: readonly string[];
  /** Their lists, which may have roots, too. */
  readonly lists: readonly string[];
  /** Who imports the lists before all else, where it is no `import()`. */
  readonly importer?: string;
}

/** In the order in which they come. */
const LOADS: readonly Load[] = [
  {
    roots: ["mod.ts"],
    lists: ["machines/modules.ts"],
    importer: "mod.ts",
  },
  {
    roots: ["plugins/cpu/x86/mod.ts"],
    lists: ["core/exec/modules.ts", "plugins/cpu/x86/modules.ts"],
    importer: "plugins/cpu/x86/mod.ts",
  },
  {
    roots: [
      "plugins/device/display/vga.ts",
      "plugins/device/dma/i8237.ts",
      "plugins/device/floppy/i82077.ts",
      "plugins/device/ide/ide.ts",
      "plugins/device/input/i8042.ts",
      "plugins/device/input/ps2_keyboard.ts",
      "plugins/device/input/ps2_mouse.ts",
      "plugins/device/intc/i8259.ts",
      "plugins/device/misc/debugcon.ts",
      "plugins/device/misc/fpu_error.ts",
      "plugins/device/misc/port92.ts",
      "plugins/device/rtc/mc146818.ts",
      "plugins/device/serial/ns16550a.ts",
      "plugins/device/timer/i8254.ts",
      "plugins/firmware/bios/firmware.ts",
      "plugins/loader/linux.ts",
      "plugins/loader/multiboot.ts",
    ],
    lists: ["machines/isa_devices.ts"],
  },
  {
    roots: [
      "plugins/device/firmware/fw_cfg.ts",
      "plugins/device/ide/piix3_ide.ts",
      "plugins/device/intc/apic_bus.ts",
      "plugins/device/intc/ioapic.ts",
      "plugins/device/intc/lapic.ts",
      "plugins/device/pci/i440fx.ts",
      "plugins/device/pci/piix3.ts",
      "plugins/device/pci/piix4_pm.ts",
      "plugins/device/timer/hpet.ts",
      "plugins/firmware/acpi/acpi.ts",
      "plugins/firmware/acpi/mp.ts",
      "plugins/firmware/smbios/smbios.ts",
    ],
    lists: ["machines/pci_devices.ts"],
  },
];
const LISTS = new Set(LOADS.flatMap((load) => load.lists));
/** A root that is imported alone: not every machine with the list has it. */
const ALONE = ["plugins/device/ide/ide.ts"];

async function eagerImports(path: string): Promise<string[]> {
  return (await importsOf(path)).filter((one) => one.eager)
    .map((one) => one.to);
}

/** The modules that come with `roots`, themselves among them. */
async function loadedBy(roots: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (found.has(path) || LISTS.has(path)) return;
    found.add(path);
    for (const next of await eagerImports(path)) await visit(next);
  };
  for (const root of roots) await visit(root);
  return found;
}

for (const [i, { roots, lists, importer }] of LOADS.entries()) {
  Deno.test(`${lists.join(" and ")}: what is loaded`, async () => {
    const before = new Set([...ALONE, importer]);
    for (const load of LOADS.slice(0, i)) {
      for (const path of await loadedBy(load.roots)) before.add(path);
    }
    const wanted = [...await loadedBy(roots)].filter((path) =>
      !before.has(path)
    );
    const listed: string[] = [];
    for (const list of lists) listed.push(...await eagerImports(list));
    assertEquals(listed.toSorted(), wanted.toSorted());
  });

  if (importer === undefined) continue;
  Deno.test(`${importer} imports its lists first`, async () => {
    const first = (await eagerImports(importer)).slice(0, lists.length);
    assertEquals(first, lists);
  });
}
