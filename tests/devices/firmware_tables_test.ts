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
