/**
 * What ACPI's tables say of a machine, found in its definition: which devices
 * there are, at which ports, with which interrupts. A device that the machine
 * file adds, moves or leaves out is so in the tables.
 *
 * A plugin that does not stand here is not described, as PCI functions need not
 * be and most of what is found by other means.
 *
 * @module
 */

import type {
  MachineSurvey,
  SurveyedDevice,
} from "../../../core/machine/plugin.ts";
import type { PciPlace } from "../../../core/bus/pci.ts";
import type { Apics, FixedHardware } from "./tables.ts";

/** Ports from a base on. */
export interface PortRange {
  /** The first. */
  readonly base: number;
  /** How many. */
  readonly size: number;
}

/** A device that is not found by itself, as those on the ISA bus. */
export interface LegacyDevice {
  /** Its name in the namespace. */
  readonly name: string;
  /** Its Plug and Play ID. */
  readonly id: string;
  /** Its number among those of the same ID, which may be one alone. */
  readonly uid: number;
  /** Its ports. */
  readonly ports: readonly PortRange[];
  /** Its interrupts. */
  readonly irqs: readonly number[];
  /** Its channels of the ISA DMA controller. */
  readonly dmas: readonly number[];
}

/** A machine as the tables describe it. */
export interface Board {
  /** Where RAM below 4 GiB ends. */
  readonly ramEnd: number;
  /** The number of CPUs. */
  readonly cpus: number;
  /** The ISA bridge, which routes the PCI interrupt lines. */
  readonly bridge: PciPlace;
  /** The interrupts to which it may route them. */
  readonly pirqs: readonly number[];
  /** The slot of power management, whose INTA# is the SCI. */
  readonly pmSlot: number;
  /** Devices on the ISA bus. */
  readonly legacy: readonly LegacyDevice[];
  /** What the FADT says. */
  readonly fixed: FixedHardware;
  /** The HPET's address, if there is one. */
  readonly hpet: number | undefined;
  /** The APICs, if there are any. */
  readonly apics: Apics | undefined;
}

/** How the devices of a plugin are described. */
interface Description {
  readonly plugin: string;
  readonly name: string;
  readonly id: string;
  /** The regions that belong to it: all, unless said otherwise. */
  readonly regions?: readonly string[];
  /** The outputs that interrupt for it. */
  readonly irqs?: readonly string[];
  readonly dmas?: readonly number[];
  /** Its driver wants the ports of all regions as one range. */
  readonly merged?: boolean;
  /** Where software expects them, in the order of their numbers. */
  readonly numbered?: readonly number[];
}

/** IDs: "Plug and Play ID" list of Microsoft, 1997, and QEMU's for fw_cfg. */
const DESCRIPTIONS: readonly Description[] = [
  { plugin: "i8259", name: "PIC", id: "PNP0000" },
  {
    plugin: "i8254",
    name: "TIMR",
    id: "PNP0100",
    regions: ["counters"],
    irqs: ["out0"],
  },
  { plugin: "i8237", name: "DMAC", id: "PNP0200", dmas: [4] },
  { plugin: "i8254", name: "SPKR", id: "PNP0800", regions: ["speaker"] },
  { plugin: "mc146818", name: "RTC", id: "PNP0B00", irqs: ["irq"] },
  { plugin: "fpu-error", name: "FPU", id: "PNP0C04", irqs: ["irq"] },
  { plugin: "i8042", name: "KBD", id: "PNP0303", irqs: ["kbd"] },
  { plugin: "i8042", name: "MOU", id: "PNP0F13", regions: [], irqs: ["aux"] },
  {
    plugin: "ns16550a",
    name: "COM",
    id: "PNP0501",
    irqs: ["irq"],
    numbered: [0x3f8, 0x2f8, 0x3e8, 0x2e8],
  },
  {
    plugin: "i82077",
    name: "FDC0",
    id: "PNP0700",
    irqs: ["irq"],
    dmas: [2],
  },
  { plugin: "fw-cfg", name: "FWCF", id: "QEMU0002", merged: true },
];

/** Inputs that go on as an output, by plugin: the HPET can replace both. */
const PASSED_ON: Readonly<Record<string, string>> = {
  "hpet.pit": "irq0",
  "hpet.rtc": "irq8",
};
/** Interrupts of ISA that no device of an AT has. */
const FREE_IRQS = [5, 10, 11];
/** What does not move. */
const LOCAL_APIC = 0xfee00000;
/** mc146818: the century. */
const CENTURY = 0x32;
/** RCR of the PIIX3: reset the whole machine. */
const RESET_ALL = 0x06;
/** Where SeaBIOS puts the PIIX4's registers, too. */
const PM_BASE = 0x600;
/** Where PCI's windows would have to start at the latest: above, no RAM. */
const RAM_LIMIT = 0x100000000;

/** Find out what the definition places. */
export function boardOf({ ram, devices }: MachineSurvey): Board {
  const of = (plugin: string): SurveyedDevice | undefined =>
    devices.find((device) => device.plugin === plugin);
  /** The ISA interrupt that an output drives: the 8259's input. */
  const irqOf = (device: SurveyedDevice, output: string): number[] => {
    for (const target of device.wires.get(output) ?? []) {
      const [name, input] = target.split(".");
      const owner = devices.find((other) => other.name === name);
      const irq = /^irq(\d+)$/.exec(input);
      if (owner?.plugin === "i8259" && irq !== null) return [Number(irq[1])];
      const through = PASSED_ON[`${owner?.plugin}.${input}`];
      if (through !== undefined && owner !== device) {
        return irqOf(owner!, through);
      }
    }
    return [];
  };
  const bridge = of("piix3");
  const pm = of("piix4-pm");
  if (bridge === undefined || pm === undefined) {
    throw new Error(
      'the machine has no "piix3" and "piix4-pm", which ACPI describes',
    );
  }
  const [sci] = irqOf(pm, "sci");
  if (sci === undefined) {
    throw new Error(`the output "sci" of "${pm.name}" drives no interrupt`);
  }
  const pirqs = FREE_IRQS.filter((irq) =>
    irqOf(bridge, `irq${irq}`).includes(irq)
  );
  const rcr = bridge.regions.get("rcr");
  const local = devices.filter((d) => d.plugin === "lapic");
  const ioapic = of("ioapic");
  const hpet = of("hpet");
  return {
    ramEnd: Math.max(
      ...ram.filter((r) => r.base < RAM_LIMIT).map((r) => r.base + r.size),
    ),
    cpus: Math.max(local.length, 1),
    bridge: placeOf(bridge),
    pirqs,
    pmSlot: placeOf(pm).slot,
    legacy: legacyDevices(devices, irqOf),
    fixed: {
      pmBase: PM_BASE,
      sci,
      resetPort: rcr && { port: rcr.base, value: RESET_ALL },
      has8042: of("i8042") !== undefined,
      hasVga: (of("vga") ?? of("vga-pci")) !== undefined,
      century: of("mc146818") && CENTURY,
    },
    hpet: hpet && fixedAddress(hpet),
    apics: ioapic && local.length > 0
      ? {
        localAddress: LOCAL_APIC,
        local: local.map(idOf),
        io: { id: idOf(ioapic), address: fixedAddress(ioapic) },
        // The PIT is at input 2 of an I/O APIC, where the 8259 has its slave.
        overrides: [
          { irq: 0, gsi: 2, level: false },
          ...[...new Set([...pirqs, sci])].sort((a, b) => a - b)
            .map((irq) => ({ irq, gsi: irq, level: true })),
        ],
      }
      : undefined,
  };
}

function placeOf({ config }: SurveyedDevice): PciPlace {
  return config as PciPlace;
}

function idOf({ config }: SurveyedDevice): number {
  return (config as { id?: number }).id ?? 0;
}

function fixedAddress({ name, regions }: SurveyedDevice): number {
  for (const { base } of regions.values()) return base;
  throw new Error(`device "${name}" has no fixed address`);
}

function legacyDevices(
  devices: readonly SurveyedDevice[],
  irqOf: (device: SurveyedDevice, output: string) => number[],
): LegacyDevice[] {
  return DESCRIPTIONS.flatMap((description) => {
    const { name, id, irqs, dmas, numbered } = description;
    const found = devices.filter((d) => d.plugin === description.plugin)
      .map((device) => ({
        ports: portsOf(device, description),
        irqs: (irqs ?? []).flatMap((output) => irqOf(device, output)),
      }));
    if (numbered !== undefined) {
      const rank = (port: number): number =>
        (numbered.indexOf(port) + 1) || numbered.length + 1 + port;
      found.sort((a, b) => rank(a.ports[0].base) - rank(b.ports[0].base));
    }
    return found.map((device, i) => ({
      ...device,
      name: numbered === undefined ? name : `${name}${i + 1}`,
      id,
      uid: i + 1,
      dmas: dmas ?? [],
    }));
  });
}

function portsOf(
  device: SurveyedDevice,
  { regions, merged }: Description,
): PortRange[] {
  const ranges = [...device.regions]
    .filter(([name]) => regions === undefined || regions.includes(name))
    .map(([, { base, size }]) => ({ base, size }));
  if (merged !== true) return ranges;
  const base = Math.min(...ranges.map((range) => range.base));
  const end = Math.max(...ranges.map((range) => range.base + range.size));
  return [{ base, size: end - base }];
}
