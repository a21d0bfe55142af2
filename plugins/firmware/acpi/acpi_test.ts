import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { planDefinition } from "../../../core/machine/options.ts";
import type { MachineSurvey } from "../../../core/machine/plugin.ts";
import { surveyMachine } from "../../../core/machine/survey.ts";
import { PLUGINS } from "../../../machines/registry.ts";
import { assertSameTable, throughIasl } from "../../../tests/devices/iasl.ts";
import { layTables } from "../../device/firmware/place_tables.ts";
import { acpiTables } from "./acpi.ts";
import { boardOf } from "./board.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const HPET_ID = 0x8086a201;

/** What pc.json places, with assignments. */
async function pc(...set: string[]): Promise<MachineSurvey> {
  return surveyMachine(await planDefinition(PC, { plugins: PLUGINS, set }));
}

/** The same without APICs and HPET, if it has any. */
function withoutApics({ ram, devices }: MachineSurvey): MachineSurvey {
  return {
    ram,
    devices: devices.filter(({ plugin }) => !/apic|hpet/.test(plugin)),
  };
}

/** The same with two APICs and an HPET. */
function withApics(survey: MachineSurvey): MachineSurvey {
  const { ram, devices } = withoutApics(survey);
  const device = (plugin: string, config: unknown, base?: number) => ({
    name: plugin,
    plugin,
    config,
    regions: new Map(
      base === undefined
        ? []
        : [["registers", { space: "memory", base, size: 0x400 }]],
    ),
    wires: new Map(),
    backends: new Map(),
  });
  return {
    ram,
    devices: [
      ...devices,
      device("lapic", { id: 0 }),
      { ...device("lapic", { id: 3 }), name: "second" },
      device("ioapic", { id: 0 }, 0xfec00000),
      device("hpet", {}, 0xfed00000),
    ],
  };
}

/** Tables by signature, as they are in memory. */
function tables(survey: MachineSurvey): Map<string, Uint8Array> {
  const set = acpiTables(boardOf(survey), HPET_ID);
  const place = { end: 0x10000000, entries: 0xf0000 };
  const [{ bytes }] = layTables([set], place).blobs;
  const found = new Map<string, Uint8Array>();
  for (let at = 0; at < bytes.length;) {
    const size = new DataView(bytes.buffer).getUint32(at + 4, true);
    const table = bytes.slice(at, at + size);
    found.set(new TextDecoder().decode(table.subarray(0, 4)), table);
    at += size;
  }
  return found;
}

const ALWAYS = ["FACS", "DSDT", "FACP"];
const INDICES = ["RSDT", "XSDT"];

Deno.test("acpi: iasl takes every table apart and makes the same again", async () => {
  const plain = withoutApics(await pc());
  for (
    const [survey, more] of [[plain, []], [
      withApics(plain),
      ["APIC", "HPET"],
    ]] as const
  ) {
    const all = tables(survey);
    assertEquals([...all.keys()], [...ALWAYS, ...more, ...INDICES]);
    for (const [signature, table] of all) {
      const result = await throughIasl(table);
      if (result === undefined) return;
      // The FACS has a header of its own.
      if (signature === "FACS") assertEquals(table, result.again);
      else assertSameTable(table, result.again);
    }
  }
});

Deno.test("acpi: iasl takes tables of all sizes of a machine apart", async () => {
  for (const smp of [1, 4, 8]) {
    for (const memory of ["256M", "6142M"]) {
      const plan = await planDefinition(PC, { plugins: PLUGINS, smp, memory });
      for (const table of tables(surveyMachine(plan)).values()) {
        const result = await throughIasl(table);
        if (result === undefined) return;
        const signature = new TextDecoder().decode(table.subarray(0, 4));
        const count = (text: RegExp) => result.source.match(text)?.length ?? 0;
        if (signature === "APIC") {
          assertEquals(count(/\[Processor Local APIC\]/g), smp);
          assertEquals(count(/\[I\/O APIC\]/g), 1);
          assertEquals(count(/\[Interrupt Source Override\]/g), 5);
          assertEquals(count(/\[Local APIC NMI\]/g), 1);
        } else if (signature === "DSDT") {
          assertEquals(count(/"ACPI0007"/g), smp);
        }
      }
    }
  }
});

Deno.test("acpi: tables say what the machine has", async () => {
  const source = async (
    survey: MachineSurvey,
    signature: string,
  ): Promise<string | undefined> =>
    (await throughIasl(tables(survey).get(signature)!))?.source;
  const survey = withoutApics(
    await pc(
      'devices.com3={"plugin":"ns16550a","at":"0x2e8","wires":{"irq":"pic.irq3"}}',
      'devices.com4={"plugin":"ns16550a","at":"0x3e8","wires":{"irq":"pic.irq4"}}',
      "devices.com1=null",
      "devices.vga=null",
      "devices.keys=null",
      "devices.mouse=null",
      "devices.keyboard=null",
      "devices.isa.wires.irq10=null",
      "memories.ram.size=3968M",
      'lines={"pic.irq12":null}',
    ),
  );
  const asl = await source(survey, "DSDT");
  if (asl === undefined) return;
  const ports = [...asl.matchAll(
    /Device \((COM\d)\)[^]*?IO \(Decode16,\s*0x(\w{4})[^]*?\{(\d+)\}/g,
  )].map(([, name, port, irq]) => `${name} ${port} ${irq}`);
  assertEquals(ports, ["COM1 02F8 3", "COM2 03E8 4", "COM3 02E8 3"]);
  assert(!/KBD|MOU|HPET/.test(asl), asl);
  assertMatch(asl, /Device \(RTC\)/);
  assertMatch(asl, /0x00000005,\s*0x0000000B,\s*\}/, "PIRQs without IRQ 10");
  assertMatch(asl, /0xC0000000,\s*\/\/ Range Minimum/, "PCI is above RAM");

  const fadt = (await source(survey, "FACP"))!;
  assertMatch(fadt, /8042 Present.*: 0/);
  assertMatch(fadt, /VGA Not Present.*: 1/);
  assertMatch(fadt, /CMOS RTC Not Present.*: 0/);
  assertMatch(fadt, /RTC Century Index : 32/);
  assertMatch(fadt, /SCI Interrupt : 0009/);
  assertMatch(fadt, /Reset Register Supported.*: 1/);
  const pcFadt = (await source(await pc(), "FACP"))!;
  assertMatch(pcFadt, /8042 Present.*: 1/);
  assertMatch(pcFadt, /VGA Not Present.*: 0/);

  const apics = withApics(survey);
  const madt = (await source(apics, "APIC"))!;
  assertEquals(
    [...madt.matchAll(/Local Apic ID : (\w\w)/g)].map(([, id]) => id),
    ["00", "03"],
  );
  assertMatch(madt, /I\/O Apic ID : 00[^]*Address : FEC00000/);
  const overrides = [...madt.matchAll(
    /Source : (\w\w)\s[^]*?Interrupt : 0*(\w+)\s[^]*?Flags.* : (\w{4})/g,
  )].map((match) => match.slice(1).join(" "));
  assertEquals(overrides, ["00 2 0000", "05 5 000D", "09 9 000D", "0B B 000D"]);
  assertMatch(madt, /Local APIC NMI\][^]*Processor ID : FF[^]*LINT : 01/);
  assertMatch((await source(apics, "DSDT"))!, /Device \(HPET\)/);
  assertMatch(
    (await source(apics, "HPET"))!,
    /Hardware Block ID : 8086A201[^]*Address : 00000000FED00000/,
  );
});

Deno.test("acpi: each pin leads where the bus leads it", async () => {
  const dsdt = tables(await pc()).get("DSDT")!;
  const asl = (await throughIasl(dsdt))?.source;
  if (asl === undefined) return;
  const found = new Map(
    [...asl.matchAll(
      /Package \(0x04\)\s*\{\s*0x(\w{4})FFFF,\s*(\w+),\s*(LNK\w),\s*Zero/g,
    )].map(([, slot, pin, link]) => {
      const number = pin === "Zero" ? 0 : pin === "One" ? 1 : Number(pin);
      return [`${parseInt(slot, 16)} ${number}`, link];
    }),
  );
  assertEquals(found.size, 31 * 4);
  // QEMU's table for the same board, by its documented rule.
  for (let slot = 2; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const link = `LNK${"ABCD"[(slot + pin + 3) % 4]}`;
      assertEquals(found.get(`${slot} ${pin}`), link);
    }
  }
  assertEquals(found.get("1 0"), "LNKS");
  assertEquals(found.get("1 1"), "LNKB");
});

Deno.test("acpi: a machine that it cannot describe", async () => {
  const { ram, devices } = await pc();
  const without = (plugin: string): MachineSurvey => ({
    ram,
    devices: devices.filter((device) => device.plugin !== plugin),
  });
  assertThrows(() => boardOf(without("piix3")), Error, 'no "piix3"');
  assertThrows(() => boardOf(without("i8259")), Error, 'output "sci" of "pm"');
});
