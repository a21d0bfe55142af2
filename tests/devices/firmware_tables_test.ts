/**
 * The tables of `machines/pc.json` in a guest's memory, as a guest finds them
 * that starts without firmware: by searching, and by what its loader says.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../machines/machine.ts";
import {
  firmwareTest,
  ISAPC,
  PATIENCE,
  PC,
  SEABIOS,
  SEABIOS_PACKAGE,
} from "../boot/firmware.ts";

const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));
const MIB = 1024 * 1024;

/** Guest memory, for one who follows pointers. */
class Memory {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  bytes(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.#machine.space("memory").readBytes(address, out);
    return out;
  }

  word(address: number): number {
    return this.#machine.space("memory").read(address, 4);
  }

  text(address: number, length: number): string {
    return new TextDecoder("latin1").decode(this.bytes(address, length));
  }

  /** Search as operating systems do; 0 when it is not found. */
  search(signature: string): number {
    for (let at = 0xf0000; at < 0x100000; at += 16) {
      if (this.text(at, signature.length) === signature) return at;
    }
    return 0;
  }

  assertSum(address: number, length: number): void {
    const sum = this.bytes(address, length).reduce((a, b) => a + b, 0);
    assertEquals(sum % 256, 0, this.text(address, 4));
  }

  /** A table's address and signature, once its checksum is right. */
  table(address: number): string {
    this.assertSum(address, this.word(address + 4));
    return this.text(address, 4);
  }
}

async function pc(set: string[] = []): Promise<Machine> {
  return await Machine.load(PC, { kernel: ECHO, memory: "16M", set });
}

/** ACPI's tables by signature, all checksums being right. */
function acpiTables(memory: Memory): Map<string, number> {
  const rsdp = memory.search("RSD PTR ");
  assert(rsdp !== 0);
  memory.assertSum(rsdp, 20);
  memory.assertSum(rsdp, 36);
  const [rsdt, xsdt] = [memory.word(rsdp + 16), memory.word(rsdp + 24)];
  assertEquals([rsdt, xsdt].map((t) => memory.table(t)), ["RSDT", "XSDT"]);
  const found = new Map([["RSDT", rsdt], ["XSDT", xsdt]]);
  const count = (memory.word(rsdt + 4) - 36) / 4;
  for (let i = 0; i < count; i++) {
    const at = memory.word(rsdt + 36 + 4 * i);
    assertEquals(memory.word(xsdt + 36 + 8 * i), at);
    assertEquals(memory.word(xsdt + 40 + 8 * i), 0, "an upper half");
    found.set(memory.table(at), at);
  }
  const fadt = found.get("FACP")!;
  const [facs, dsdt] = [memory.word(fadt + 36), memory.word(fadt + 40)];
  assertEquals([memory.text(facs, 4), facs % 64], ["FACS", 0]);
  assertEquals(memory.table(dsdt), "DSDT");
  assertEquals(memory.word(fadt + 140), dsdt);
  return found.set("FACS", facs).set("DSDT", dsdt);
}

/** What the MP table says, all checksums being right. */
interface MpTable {
  /** APIC IDs of usable processors, and which is the first. */
  readonly processors: number[];
  readonly bootstrap: number[];
  /** Buses by ID. */
  readonly buses: Map<number, string>;
  /** ID and address. */
  readonly ioApics: number[][];
  /** Type, flags, bus, its interrupt, APIC and its pin. */
  readonly interrupts: string[];
  readonly local: string[];
}

function mpTable(memory: Memory): MpTable {
  const pointer = memory.search("_MP_");
  assert(pointer !== 0);
  memory.assertSum(pointer, 16 * memory.bytes(pointer + 8, 1)[0]);
  // Version 1.4, by a table and without the PIC mode register.
  assertEquals([...memory.bytes(pointer + 9, 1)], [4]);
  assertEquals([...memory.bytes(pointer + 11, 5)], [0, 0, 0, 0, 0]);
  const table = memory.word(pointer + 4);
  assertEquals(memory.text(table, 4), "PCMP");
  const size = memory.word(table + 4) & 0xffff;
  memory.assertSum(table, size);
  assertEquals(memory.word(table + 36), 0xfee00000);
  const found: MpTable = {
    processors: [],
    bootstrap: [],
    buses: new Map(),
    ioApics: [],
    interrupts: [],
    local: [],
  };
  let at = table + 44;
  for (let i = memory.word(table + 34) & 0xffff; i > 0; i--) {
    const [type, id, ...rest] = memory.bytes(at, 20);
    const [flags, high, bus, irq, apic, pin] = rest;
    const name = found.buses.get(bus)?.trim();
    const interrupt = `${id} ${
      flags | high << 8
    } ${name} ${irq} ${apic} ${pin}`;
    switch (type) {
      case 0:
        if ((rest[1] & 1) !== 0) found.processors.push(id);
        if ((rest[1] & 2) !== 0) found.bootstrap.push(id);
        at += 12;
        break;
      case 1:
        found.buses.set(id, memory.text(at + 2, 6));
        break;
      case 2:
        assertEquals(rest[1], 1);
        found.ioApics.push([id, memory.word(at + 4)]);
        break;
      case 3:
        found.interrupts.push(interrupt);
        break;
      case 4:
        found.local.push(interrupt);
        break;
      default:
        throw new Error(`an entry of type ${type}`);
    }
    at += 8;
  }
  assertEquals(at, table + size);
  return found;
}

/** SMBIOS' structures, the entry point's checksums being right. */
function smbiosStructures(memory: Memory): { at: number; text: string } {
  const entry = memory.search("_SM_");
  assert(entry !== 0);
  memory.assertSum(entry, 31);
  memory.assertSum(entry + 16, 15);
  const at = memory.word(entry + 0x18);
  const length = memory.word(entry + 0x16) & 0xffff;
  return { at, text: memory.text(at, length) };
}

const SET = [
  "devices.smbios.config.serial=S-42",
  "devices.smbios.config.uuid=01234567-89ab-cdef-0123-456789abcdef",
];

Deno.test("tables: a guest finds ACPI's and SMBIOS' by searching", async () => {
  await using machine = await pc(SET);
  const memory = new Memory(machine);
  const tables = acpiTables(memory);
  const structures = smbiosStructures(memory);
  assert(structures.text.includes("S-42\0"));
  for (const table of [...tables.values(), structures.at]) {
    assert(table >= 15 * MIB && table < 16 * MIB);
  }
  // The PIIX4's registers are where the FADT says, and the SCI is level.
  const ports = machine.space("ports");
  assertEquals(memory.word(tables.get("FACP")! + 56), 0x600);
  assertEquals(ports.read(0x604, 2), 0);
  assertEquals(ports.read(0x4d1, 1), 0x02);
  // fw_cfg has the same UUID.
  ports.write(0x510, 2, 2);
  assertEquals(ports.read(0x511, 1), 0x01);

  const saved = machine.save();
  machine.load(saved);
  assertEquals(acpiTables(memory), tables);
});

firmwareTest(
  "tables: SeaBIOS places what the loaders have placed",
  [SEABIOS_PACKAGE],
  async () => {
    await using machine = await pc(SET);
    await using other = await Machine.load(PC, {
      firmware: SEABIOS,
      memory: "16M",
      set: SET,
    });
    await other.screen().expect("No bootable device.", PATIENCE);
    const [ours, theirs] = [machine, other].map((m) => new Memory(m));
    const [a, b] = [ours, theirs].map(acpiTables);
    assertEquals([...a.keys()], [...b.keys()]);
    for (const [signature, at] of a) {
      // These have addresses in them.
      if (["RSDT", "XSDT", "FACP"].includes(signature)) continue;
      const size = ours.word(at + 4);
      const place = b.get(signature)!;
      assertEquals(theirs.bytes(place, size), ours.bytes(at, size), signature);
    }
    const structures = smbiosStructures(theirs);
    assert(structures.text.includes("S-42\0"));
    // The registers are where the FADT says.
    const ports = other.space("ports");
    ports.write(0xcf8, 4, 0x80000b40);
    assertEquals(ports.read(0xcfc, 4), 0x601);
  },
);

Deno.test("a machine without power management has no power button", async () => {
  await using machine = await Machine.load(ISAPC);
  assertThrows(() => machine.pressPowerButton(), RangeError, "power button");
});

firmwareTest(
  "tables: the MP table says what SeaBIOS' does",
  [SEABIOS_PACKAGE],
  async () => {
    const nic = {
      plugin: "e1000",
      config: { slot: 3 },
      use: { bus: "pci" },
    };
    const card = `devices.card=${JSON.stringify(nic)}`;
    // A model whose CPUs are packages: of each, SeaBIOS names the first core.
    const set = [...SET, card, 'cpu.model="pentium4"'];
    for (const smp of [1, 4]) {
      await using machine = await Machine.load(PC, {
        kernel: ECHO,
        memory: "16M",
        smp,
        set,
      });
      await using other = await Machine.load(PC, {
        firmware: SEABIOS,
        memory: "16M",
        smp,
        set,
      });
      await other.screen().expect("No bootable device.", PATIENCE);
      const [ours, theirs] = [machine, other].map((m) =>
        mpTable(new Memory(m))
      );
      // It counts on the board that routes PCI's lines to ISA interrupts alone.
      const isPci = (line: string): boolean => line.includes("PCI");
      assertEquals(ours.interrupts.filter(isPci), [
        "0 0 PCI 12 0 18",
        "0 0 PCI 13 0 19",
        "0 0 PCI 14 0 16",
        "0 0 PCI 15 0 17",
      ]);
      assertEquals(theirs.interrupts.filter(isPci), [
        "0 1 PCI 4 0 9",
        "0 1 PCI 12 0 11",
      ]);
      const rest = (table: MpTable) => ({
        ...table,
        // Those that a PCI line has are not ISA's there.
        interrupts: table.interrupts.filter((line) =>
          !isPci(line) && !/ ISA (5|9|10|11) /.test(line)
        ),
      });
      assertEquals(rest(ours), rest(theirs));
    }
  },
);
