import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { applySchema } from "../../../core/machine/schema.ts";
import plugin, {
  parseUuid,
  type SmbiosConfig,
  smbiosTables,
} from "./smbios.ts";

const MIB = 1024 * 1024;

function config(more: Record<string, unknown>): SmbiosConfig {
  return applySchema(plugin.config, more);
}

/** What `dmidecode` says; undefined where it is not installed. */
async function decoded(config: SmbiosConfig): Promise<string | undefined> {
  const [anchor, tables] = smbiosTables(config).blobs.map((b) => b.bytes);
  const dump = new Uint8Array(32 + tables.length);
  dump.set(anchor);
  dump.set(tables, 32);
  // A dump is as if it were at address 0.
  new DataView(dump.buffer).setUint32(0x18, 32, true);
  const sum = (from: number, to: number): number =>
    dump.subarray(from, to).reduce((a, b) => a + b, 0);
  dump[0x15] = -sum(0x10, 0x1f);
  dump[0x04] = -sum(0, 0x1f);
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, dump);
    const { stdout, stderr } = await new Deno.Command("dmidecode", {
      args: ["--from-dump", file],
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return decoder.decode(stdout) + decoder.decode(stderr);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("skipped: dmidecode is not installed");
    return undefined;
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("smbios: dmidecode reads what was configured", async () => {
  const text = await decoded(config({
    manufacturer: "Maker",
    product: "Thing",
    version: "7",
    serial: "S-123",
    sku: "K-9",
    family: "Birds",
    uuid: "01234567-89ab-cdef-0123-456789abcdef",
    bios: { vendor: "Firm", version: "1.2", date: "02/03/2004" },
    memory: 256 * MIB,
    cpus: 2,
  }));
  if (text === undefined) return;
  assert(!/wrong|bad|truncated|broken|invalid|<out of spec>/i.test(text), text);
  const [, ...parts] = text.split(/^Handle /m);
  const types = parts.map((part) => Number(/DMI type (\d+)/.exec(part)![1]));
  assertEquals(types, [0, 1, 3, 4, 4, 16, 17, 19, 32, 127]);
  assertMatch(text, /SMBIOS 2\.8 present/);
  assertMatch(text, /^10 structures occupying/m);
  for (
    const [part, lines] of [
      [0, ["Vendor: Firm", "Version: 1.2", "Release Date: 02/03/2004"]],
      [0, ["ROM Size: 64 kB", "PCI is supported", "ACPI is supported"]],
      [0, ["System is a virtual machine"]],
      [1, ["Manufacturer: Maker", "Product Name: Thing", "Version: 7"]],
      [1, ["Serial Number: S-123", "SKU Number: K-9", "Family: Birds"]],
      [1, ["UUID: 01234567-89ab-cdef-0123-456789abcdef"]],
      [2, ["Manufacturer: Maker", "Serial Number: S-123"]],
      [4, ["Socket Designation: CPU 1", "Status: Populated, Enabled"]],
      [5, ["Maximum Capacity: 256 MB", "Number Of Devices: 1"]],
      [6, ["Size: 256 MB", "Locator: DIMM 0", "Array Handle: 0x1000"]],
      [7, ["Range Size: 256 MB", "Physical Array Handle: 0x1000"]],
      [8, ["Status: No errors detected"]],
    ] as const
  ) {
    for (const line of lines) assert(parts[part].includes(line), line);
  }
});

Deno.test("smbios: defaults, and memory beyond what old fields hold", async () => {
  const text = await decoded(config({ memory: 2 ** 42 }));
  if (text === undefined) return;
  assertMatch(text, /Maximum Capacity: 4 TB/);
  assertMatch(text, /^\tSize: 4 TB/m);
  assertMatch(text, /Serial Number: Not Specified/);
  const small = (await decoded(config({ memory: 48 * 1024 })))!;
  assertMatch(small, /Range Size: 48 kB/);
});

Deno.test("smbios: mistakes in the configuration", () => {
  assertThrows(() => parseUuid("1234"), Error, '"1234" is no UUID');
  assertEquals(
    parseUuid("01234567-89ab-cdef-0123-456789ABCDEF").slice(-2),
    Uint8Array.of(0xcd, 0xef),
  );
});

Deno.test("smbios: RAM from 4 GiB on is a range of its own", () => {
  const set = smbiosTables(
    config({ memory: 3800 * MIB }),
    728 * MIB,
  );
  const bytes = set.blobs.find(({ name }) => name.endsWith("tables"))!.bytes;
  const view = new DataView(bytes.buffer);
  const ranges: number[][] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 127;) {
    if (bytes[at] === 19) {
      ranges.push([4, 8].map((field) => view.getUint32(at + field, true)));
    }
    at += bytes[at + 1];
    while (bytes[at] !== 0 || bytes[at + 1] !== 0) at++;
    at += 2;
  }
  const gib = 1024 * 1024;
  assertEquals(ranges, [[0, 3 * gib - 1], [4 * gib, 4 * gib + 728 * 1024 - 1]]);
});
