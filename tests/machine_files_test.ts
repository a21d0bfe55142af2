/**
 * Machine files with each kind of mistake: one line that names the file, the
 * line, the path in the document, what was expected and the nearest name. And
 * what is right: `extends`, `--set`, a third party's device.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { DeviceBench } from "../core/machine/testing.ts";
import { PLUGINS } from "../machines/registry.ts";
import { Machine } from "../mod.ts";
import { commandLine } from "./command_line.ts";
import type { IntervalTimer } from "./fixtures/interval_timer.ts";
import intervalTimer from "./fixtures/interval_timer.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const ISAPC = join(ROOT, "machines/isapc.json");
const TIMER = join(ROOT, "tests/fixtures/interval_timer.ts");

const { rhea } = commandLine();

/** Run the command line on a machine file with this text. */
async function withFile(
  text: string,
  use: (file: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "m.json");
    await Deno.writeTextFile(file, text);
    await use(file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** An extension of isapc with one mistake, and the message it must give. */
const MISTAKES: readonly [name: string, body: string, message: RegExp][] = [
  [
    "broken JSON",
    `"devices": {\n  "a": {} "b": {} }`,
    /m\.json:3: not valid JSON: comma expected$/,
  ],
  [
    "a key twice",
    `"devices": {\n  "a": {},\n  "a": {} }`,
    /m\.json:4: devices\.a: the key is there twice$/,
  ],
  [
    "an unknown key",
    `"devics": {}`,
    /m\.json:2: devics: unknown key "devics"; did you mean "devices"\?$/,
  ],
  [
    "an unknown key of a device",
    `"devices": { "com1": { "irq": 4 } }`,
    /m\.json:2: devices\.com1\.irq: unknown key "irq"/,
  ],
  [
    "an unknown plugin",
    `"devices": {\n  "com3": { "plugin": "ns16550" } }`,
    /m\.json:3: devices\.com3\.plugin: there is no device plugin "ns16550"; did you mean "ns16550a"\?$/,
  ],
  [
    "a plugin of another type",
    `"devices": { "com3": { "plugin": "stdio" } }`,
    /m\.json:2: devices\.com3\.plugin: there is no device plugin "stdio"/,
  ],
  [
    "a module that is not there",
    `"devices": { "x": { "plugin": "./nowhere.ts" } }`,
    /m\.json:2: devices\.x\.plugin: cannot import the plugin ".\/nowhere.ts": /,
  ],
  [
    "a module that is no plugin",
    `"devices": { "x": { "plugin": ${
      JSON.stringify(join(ROOT, "core/machine/numbers.ts"))
    } } }`,
    /devices\.x\.plugin: the module ".*numbers\.ts" exports no plugin: expected a default export/,
  ],
  [
    "an unknown CPU model",
    `"cpu": { "model": "pentum3" }`,
    /m\.json:2: cpu\.model: there is no CPU model "pentum3"; did you mean "pentium3"\?$/,
  ],
  [
    "an unknown backend",
    `"devices": { "com1": { "backends": { "char": "seril0" } } }`,
    /devices\.com1\.backends\.char: there is no backend "seril0"; did you mean "serial0"\?$/,
  ],
  [
    "an unknown backend plugin",
    `"backends": { "serial0": { "plugin": "stdoi" } }`,
    /backends\.serial0\.plugin: there is no char plugin "stdoi"; did you mean "stdio"\?$/,
  ],
  [
    "a display behind two devices",
    `"devices": { "x": { "plugin": "vga", "backends": { "display": "display" } } }`,
    /backend "display" also stands behind device "(vga|x)"$/,
  ],
  [
    "a backend that gives no input",
    `"devices": { "keys": { "backends": { "input": "debug" } } }`,
    /backend "debug" is a char backend, expected an input backend$/,
  ],
  [
    "two that want the terminal",
    `"backends": { "display": { "plugin": "text" } }`,
    /backends "display" \(text\) and "serial0" \(stdio\) both want this terminal: connect one of them elsewhere, as with --serial null$/,
  ],
  [
    "a backend behind two devices",
    `"devices": { "com2": { "backends": { "char": "serial0" } } }`,
    /backend "serial0" also stands behind device "com[12]"$/,
  ],
  [
    "overlapping regions",
    `"devices": {\n "com2": { "at": "0x3fc" } }`,
    /m\.json:3: devices\.com2\.at\S*: region "com2" \(0x3fc-0x403\) overlaps region "com1" \(0x3f8-0x3ff\)/,
  ],
  [
    "overlapping memory",
    `"spaces": { "memory": { "regions": {\n "x": { "memory": "ram", "at": "512K", "size": "4K" } } } }`,
    /m\.json:3: spaces\.memory\.regions\.x: region "x" \(0x80000-0x80fff\) overlaps region "low" \(0x0-0x9ffff\)/,
  ],
  [
    "an empty region",
    `"spaces": { "memory": { "regions": {\n "x": { "memory": "ram", "at": "3G", "size": 0 } } } }`,
    /m\.json:3: spaces\.memory\.regions\.x: region "x" is empty$/,
  ],
  [
    "a region beyond its memory",
    `"spaces": { "memory": { "regions": {\n "x": { "memory": "ram", "at": "3G", "size": "1G" } } } }`,
    /region "x" needs 1G of memory "ram", which has 128M$/,
  ],
  [
    "a region beyond its space",
    `"devices": { "com2": { "at": "0xfffc" } }`,
    /devices\.com2\.at\S*: region "com2" .* does not fit in the ports space/,
  ],
  [
    "an address that is none",
    `"devices": { "com2": { "at": "3f8h" } }`,
    /devices\.com2\.at: expected an address such as 1016 or "0x3f8", not "3f8h"$/,
  ],
  [
    "an address for several regions",
    `"devices": { "pit": { "at": 64 } }`,
    /devices\.pit\.at: the device has 2 regions: expected an object/,
  ],
  [
    "an unknown region",
    `"devices": { "pic": { "at": { "mastr": 32 } } }`,
    /devices\.pic\.at\.mastr: there is no region "mastr"; did you mean "master"\?$/,
  ],
  [
    "a missing address",
    `"devices": { "com3": {\n "plugin": "ns16550a" } }`,
    /m\.json:2: devices\.com3: the address of region "registers" is missing$/,
  ],
  [
    "a size that is none",
    `"memories": { "ram": { "size": "much" } }`,
    /memories\.ram\.size: expected a size such as 4096 or "640K", not "much"$/,
  ],
  [
    "an unknown memory",
    `"spaces": { "memory": { "regions": { "low": { "memory": "rom" } } } }`,
    /spaces\.memory\.regions\.low\.memory: there is no memory "rom"; did you mean "ram"\?$/,
  ],
  [
    "an unknown space",
    `"cpu": { "ports": "port" }`,
    /cpu\.ports: there is no space "port"; did you mean "ports"\?$/,
  ],
  [
    "a wire to nowhere",
    `"devices": { "com1": { "wires": { "irq": "pci.irq4" } } }`,
    /devices\.com1\.wires\.irq: there is no device "pci"; did you mean "pic"\?$/,
  ],
  [
    "a wire to an unknown input",
    `"devices": { "com1": { "wires": { "irq": "pic.irq44" } } }`,
    /devices\.com1\.wires\.irq: there is no input of "pic" "irq44"; did you mean "irq4"\?$/,
  ],
  [
    "a wire from an unknown output",
    `"devices": { "com1": { "wires": { "int": "pic.irq4" } } }`,
    /devices\.com1\.wires\.int: there is no output "int"/,
  ],
  [
    "a wire that is none",
    `"devices": { "com1": { "wires": { "irq": 4 } } }`,
    /devices\.com1\.wires\.irq: expected "device\.input" or a list of them, not 4$/,
  ],
  [
    "two drivers of one line",
    `"devices": {\n "com2": { "wires": { "irq": "pic.irq4" } } }`,
    /"pic\.irq4" has two drivers, "com1\.irq" and "com2\.irq": wire one of them, or join them by/,
  ],
  [
    "an interrupt controller that is none",
    `"cpu": { "intc": "pit" }`,
    /cpu\.intc: device "pit" \(i8254\) is no interrupt controller$/,
  ],
  [
    "a missing kernel",
    `"boot": {\n"kernel": "vmlinuz" }`,
    /m\.json:3: boot\.kernel: cannot read ".*vmlinuz": there is no such file$/,
  ],
  [
    "a folder for a file",
    `"boot": { "kernel": "." }`,
    /boot\.kernel: ".*" is a directory, expected a file$/,
  ],
  [
    "a missing ROM image",
    `"memories": { "bios": { "kind": "rom", "file": "bios.bin" } }`,
    /memories\.bios\.file: cannot read ".*bios\.bin": there is no such file$/,
  ],
  [
    "a missing firmware file",
    `"devices": { "fwcfg": { "plugin": "fw-cfg",\n"config": { "files": { "genroms/x.bin": { "path": "x.bin" } } } } }`,
    /m\.json:3: devices\.fwcfg\.config\.files\.genroms\/x\.bin\.path: cannot read ".*x\.bin": there is no such file$/,
  ],
  [
    "an unknown loader",
    `"boot": { "loaders": ["linx"] }`,
    /boot\.loaders\[0\]: there is no loader plugin "linx"; did you mean "linux"\?$/,
  ],
  [
    "an unknown time mode",
    `"time": { "mode": "hots" }`,
    /time\.mode: there is no "hots"; did you mean "host"\?$/,
  ],
];

for (const [name, body, message] of MISTAKES) {
  Deno.test(`a machine file with ${name}`, async () => {
    const text = `{ "extends": ${JSON.stringify(ISAPC)},\n${body} }`;
    await withFile(text, async (file) => {
      const { status, messages, out } = await rhea(file);
      assertEquals(messages.length, 1);
      assertMatch(messages[0], message);
      assertEquals(messages[0].includes("\n"), false);
      assertEquals([status, out], [2, ""]);
    });
  });
}

Deno.test("files that extend each other", async () => {
  await withFile('{ "extends": "m.json" }', async (file) => {
    const { messages } = await rhea(file);
    assertMatch(messages[0], /m\.json:1: extends: ".*m\.json" extends itself$/);
  });
  await withFile('{\n"extends": "x.json" }', async (file) => {
    const { messages } = await rhea(file);
    assertMatch(messages[0], /m\.json:2: extends: there is no machine file/);
  });
});

Deno.test("resolve prints the final machine", async () => {
  const text = `{
    "extends": ${JSON.stringify(ISAPC)},
    "name": "small",
    "memories": { "ram": { "size": "1M" } },
    "devices": { "com2": null, "exit": null }
  }`;
  await withFile(text, async (file) => {
    const { status, out } = await rhea(
      "resolve",
      file,
      "--set",
      "cpu.model=486",
      "--serial",
      "file:out.log",
    );
    assertEquals(status, 0);
    const machine = JSON.parse(out);
    assertEquals(machine.name, "small");
    assertEquals(machine.memories.ram.size, 1 << 20);
    assertEquals(machine.cpu.model, "486");
    assertEquals(machine.devices.com2, undefined);
    assertEquals(machine.devices.com1.plugin, "ns16550a");
    assertEquals(machine.backends.serial0.plugin, "file");
    // What is printed is a machine file again.
    await Deno.writeTextFile(file, out);
    assertEquals(JSON.parse((await rhea("resolve", file)).out), machine);
  });
});

Deno.test("permissions are the smallest set", async () => {
  const kernel = "/images/linux";
  const { status, out } = await rhea("permissions", ISAPC, "--kernel", kernel);
  assertEquals(status, 0);
  // Sorted by path, so the order depends on where this checkout lies.
  assertEquals(out, `--allow-read=${[kernel, ISAPC].sort().join(",")}\n`);
  const file = await rhea("permissions", ISAPC, "--serial", "file:/tmp/o");
  assertMatch(file.out, /--allow-write=\/tmp\/o\n/);
});

Deno.test("a device is given the files that its configuration names", async () => {
  const text = `{
    "extends": ${JSON.stringify(ISAPC)},
    "devices": { "fwcfg": { "plugin": "fw-cfg", "config": {
      "files": { "etc/a": { "path": "m.json" } } } } }
  }`;
  await withFile(text, async (file) => {
    assert((await rhea("permissions", file)).out.includes(file));
    await using machine = await Machine.load(file);
    const ports = machine.space("ports");
    ports.write(0x510, 2, 0x20);
    const bytes = Uint8Array.from(text, () => ports.read(0x511, 1));
    assertEquals(new TextDecoder().decode(bytes), text);
  });
});

Deno.test("the schema names every plugin and its configuration", async () => {
  const { status, out } = await rhea("schema");
  assertEquals(status, 0);
  for (const names of Object.values(PLUGINS)) {
    for (const name of Object.keys(names)) {
      assert(out.includes(`"const": "${name}"`), name);
    }
  }
  const schema = JSON.parse(out);
  assertEquals(schema.type, "object");
  // An editor completes what a third party's plugin takes.
  const text = `{ "extends": ${JSON.stringify(ISAPC)}, "devices": { "t":
    { "plugin": ${JSON.stringify(TIMER)}, "at": "0xfe000000" } } }`;
  await withFile(text, async (file) => {
    const with3rd = await rhea("schema", file);
    assertMatch(with3rd.out, /The period after reset, in microseconds/);
  });
});

Deno.test("wrong arguments: one line and status 2", async () => {
  const cases: [string[], RegExp][] = [
    [
      ["m.json", "--kernl", "x"],
      /unknown flag "--kernl"; did you mean "--kernel"\?/,
    ],
    [[ISAPC, "--accel", "jti"], /there is no accelerator "jti"/],
    [[ISAPC, ISAPC], /expected one machine file/],
    [["--stats"], /expected a machine file/],
    [[ISAPC, "--kernel"], /--kernel needs a value/],
    [
      [ISAPC, "--serial", "stdoi"],
      /no char backend "stdoi"; did you mean "stdio"/,
    ],
    [[ISAPC, "--memory", "lots"], /--memory: expected a size such as 256M/],
    [
      [ISAPC, "--memory", "1K"],
      /region "low" needs 640K of memory "ram", which has 1K, by --memory$/,
    ],
    [[ISAPC, "--memory", "1T"], /does not fit .*, by --memory$/],
    [["nowhere.json"], /nowhere\.json: there is no machine file/],
  ];
  for (const [args, message] of cases) {
    const { status, messages, out } = await rhea(...args);
    assertEquals([status, out, messages.length], [2, "", 1]);
    assertMatch(messages[0], message);
  }
  assertMatch((await rhea("help")).out, /--no-reboot/);
  assertEquals((await rhea()).status, 0);
});

Deno.test("a third party's device, loaded by its path", async () => {
  const text = `{
    "extends": ${JSON.stringify(ISAPC)},
    "devices": {
      "ticker": {
        "plugin": ${JSON.stringify(TIMER)},
        "at": "0xfe000000",
        "wires": { "irq": "pic.irq5" },
        "config": { "period": 50 }
      }
    }
  }`;
  await withFile(text, async (file) => {
    await using machine = await Machine.load(file);
    const memory = machine.space("memory");
    assertEquals(memory.read(0xfe000010, 4), 0x4b434954);
    assertEquals(memory.read(0xfe000004, 4), 50);
    memory.write(0xfe000004, 2, 70);
    assertEquals(memory.read(0xfe000004, 1), 70);
    const wrong = text.replace('"period": 50', '"perod": 50');
    await Deno.writeTextFile(file, wrong);
    const { messages } = await rhea(file);
    assertMatch(
      messages[0],
      /m\.json:8: devices\.ticker\.config\.perod: unknown key "perod"; did you mean "period"\?$/,
    );
  });
});

Deno.test("the third party's device counts and interrupts", async () => {
  const bench = await DeviceBench.create<IntervalTimer>(intervalTimer, {
    config: { period: 10 },
  });
  bench.write("registers", 0, 3, 4);
  bench.advance(25_000);
  assertEquals(bench.read("registers", 12, 4), 2);
  assertEquals(bench.level("irq"), true);
  bench.write("registers", 8, 1, 4);
  assertEquals(bench.level("irq"), false);
  const saved = bench.save();
  bench.advance(5_000);
  assertEquals(bench.level("irq"), true);
  bench.device.load(saved);
  assertEquals(bench.save(), saved);
  bench.device.reset();
  bench.advance(1_000_000);
  assertEquals(bench.level("irq"), false);
});
