/**
 * Drives: what the command line's short forms mean in the definition, that the
 * guest gets them, and that a machine needs no more permissions than
 * `permissions` prints.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { basename, fromFileUrl, join } from "@std/path";
import { Machine } from "../mod.ts";
import { commandLine, withMachine as withMachineOf } from "./command_line.ts";
import { oracleTest, qemuImg, qemuIo, withFolder } from "./block/oracle.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const ISAPC = join(ROOT, "machines/isapc.json");
const PC = join(ROOT, "machines/pc.json");
const MICROVM = join(ROOT, "machines/microvm.json");

const { rhea, resolved } = commandLine();

/** A machine file that extends `isapc.json`. */
const withMachine = withMachineOf.bind(undefined, ISAPC);

Deno.test("drives: short forms are what the JSON says", async () => {
  const short = await resolved(
    ISAPC,
    ...["--drive", "file=/i/a.img,serial=S1", "--cdrom", "/i/b.iso"],
    ...["--drive", "file=/i/c.img,index=1,format=qcow2,readonly"],
    ...[
      "--drive",
      "file=https://host/d,snapshot",
      "--boot",
      "order=dc,menu=on",
    ],
    ...["--floppy", "/i/e", "--floppy", "/i/f"],
  );
  await withMachine(
    `"backends": {
      "ide0": { "plugin": "image", "config": { "file": "/i/a.img" } },
      "ide1": { "plugin": "qcow2",
        "config": { "file": "/i/c.img", "readOnly": true } },
      "ide2": { "plugin": "image",
        "config": { "file": "/i/b.iso", "readOnly": true } },
      "ide3": { "plugin": "image",
        "config": { "file": "https://host/d", "snapshot": true } },
      "floppy0": { "plugin": "image", "config": { "file": "/i/e" } },
      "floppy1": { "plugin": "image", "config": { "file": "/i/f" } }
    },
    "devices": {
      "ide0": {
        "backends": { "disk0": "ide0", "disk1": "ide1" },
        "config": { "disk0": { "kind": "disk", "serial": "S1" },
          "disk1": { "kind": "disk" } }
      },
      "floppy": {
        "backends": { "drive0": "floppy0", "drive1": "floppy1" }
      },
      "ide1": {
        "backends": { "disk0": "ide2", "disk1": "ide3" },
        "config": { "disk0": { "kind": "cdrom" }, "disk1": { "kind": "disk" } }
      }
    },
    "boot": { "order": "dc", "menu": true }`,
    async (file) => assertEquals(short, await resolved(file)),
  );
});

Deno.test("drives: what the definition has at a place is replaced", () =>
  withMachine(
    `"backends": { "hd": { "plugin": "raw", "config": { "file": "x" } } },
    "devices": { "ide0": { "backends": { "disk0": "hd" } } }`,
    async (file) => {
      const kept = await resolved(file, "--drive", "file=/i/a");
      assertEquals(kept.backends.hd.plugin, "raw");
      assertEquals(kept.devices.ide0.backends, { disk0: "hd", disk1: "ide1" });
      const gone = await resolved(file, "--drive", "file=/i/a,index=0");
      assertEquals(gone.backends.hd, undefined);
      assertEquals(gone.devices.ide0.backends, { disk0: "ide0" });
      const thrown = await resolved(file, "--snapshot", "--drive", "/i/a");
      assertEquals(thrown.backends.hd.config.snapshot, true);
      assertEquals(thrown.backends.ide1.config.snapshot, true);
      assertEquals(thrown.backends.serial0.config, undefined);
    },
  ));

Deno.test("drives: a device that is added for one", () =>
  withMachine(
    `"drives": { "extra": {
      "slots": ["ide2.disk0", "ide2.disk1"],
      "add": { "ide2": {
        "plugin": "ide",
        "at": { "command": "0x168", "control": "0x36e" },
        "config": { "disk0": { "model": "Extra" } }
      } } } }`,
    async (file) => {
      assertEquals((await resolved(file)).devices.ide2, undefined);
      const { devices } = await resolved(
        file,
        ...["--drive", "/i/a,if=extra", "--drive", "/i/b,if=extra"],
      );
      assertEquals(devices.ide2.backends, { disk0: "extra0", disk1: "extra1" });
      assertEquals(devices.ide2.config, {
        disk0: { model: "Extra", kind: "disk" },
        disk1: { kind: "disk" },
      });
    },
  ));

Deno.test("drives: mistakes are one line that says where", async () => {
  const cases: [string, string[], RegExp][] = [
    [
      "",
      ["--drive", "a,if=idee"],
      /^--drive a,if=idee: there is no interface "idee"; did you mean "ide"\?$/,
    ],
    ["", ["--drive", "a,index=4"], /"ide" has no drive 4; the last is 3$/],
    [
      "",
      ["--drive", "a,format=qcow"],
      /there is no format "qcow"; did you mean "qcow2"\?$/,
    ],
    [
      "",
      ["--drive", "a,media=cd"],
      /there is no medium "cd"; did you mean "cdrom"\?$/,
    ],
    [
      "",
      ["--drive", "a,index=2", "--cdrom", "b"],
      /^--cdrom b: drive 2 of the interface "ide" is already "a"$/,
    ],
    [
      "",
      ["a", "b", "c", "d", "e"].flatMap((file) => ["--drive", file]),
      /^--drive e: all drives of the interface "ide" are taken$/,
    ],
    [
      '"drives": { "floppy": null }',
      ["--floppy", "a"],
      /^--floppy a: there is no interface "floppy"/,
    ],
    [
      "",
      ["--drive", "a,if=floppy,serial=S"],
      /drives of "floppy" \(i82077\) have no serial number$/,
    ],
    [
      "",
      ["--boot", "order=cx"],
      /^--boot order=cx: boot\.order: expected letters/,
    ],
    ["", ["--drive", "/absent/a"], /there is no file "\/absent\/a"$/],
    [
      '"drives": { "ide": null, "floppy": null }',
      ["--drive", "a"],
      /^--drive a: the machine has no drives$/,
    ],
    [
      '"drives": { "ide": null }',
      ["--cdrom", "a"],
      /^--cdrom a: the machine has no place for a CD-ROM drive$/,
    ],
    [
      '"drives": { "ide": { "slots": ["ide7.disk0"] } }',
      ["--drive", "a,index=0"],
      /^--drive a,index=0: the machine has no device "ide7" for this drive$/,
    ],
    [
      '"devices": { "ide1": null }',
      ["--drive", "a", "--drive", "b", "--drive", "c"],
      /^--drive c: all drives of the interface "ide" are taken$/,
    ],
    [
      '"drives": { "ide": { "slots": ["ide0.disk5"] } }',
      [],
      /slots\[0\]: device "ide0" has no block backend "disk5"; did you mean/,
    ],
    [
      '"drives": { "ide": { "slots": ["ide0"] } }',
      [],
      /slots\[0\]: expected "device\.role", not "ide0"$/,
    ],
    [
      '"drives": { "ide": { "cdrom": 9 } }',
      [],
      /m\.json:2: drives\.ide\.cdrom: there is no drive 9$/,
    ],
    [
      '"drives": { "ide": { "slot": [] } }',
      ["--drive", "a"],
      /m\.json:2: drives\.ide\.slot: unknown key "slot"; did you mean "slots"/,
    ],
    [
      '"devices": { "b": { "plugin": "debugcon", "at": 1 } },\n' +
      '"drives": { "x": { "slots": ["b.char"] } }',
      [],
      /m\.json:3: drives\.x\.slots\[0\]: device "b" has no block backend/,
    ],
  ];
  for (const [body, flags, message] of cases) {
    await withMachine(body || '"name": "m"', async (file) => {
      const { status, messages } = await rhea(file, ...flags);
      assertEquals([status, messages.length], [2, 1]);
      assertMatch(messages[0], message);
    });
  }
});

/** Registers of the primary channel. */
const [DATA, COUNT, LOW, DRIVE, STATUS] = [0x1f0, 0x1f2, 0x1f3, 0x1f6, 0x1f7];
const [READ_SECTORS, WRITE_SECTORS, FLUSH] = [0x20, 0x30, 0xe7];

/** A guest's driver, at the machine's ports. */
function driver(machine: Awaited<ReturnType<typeof Machine.load>>) {
  const ports = machine.space("ports");
  const wait = async (bit: number) => {
    for (let i = 0; i < 500; i++) {
      const status = ports.read(STATUS, 1);
      if ((status & 0x80) === 0 && (status & bit) === bit) return status;
      await new Promise((next) => setTimeout(next, 1));
    }
    throw new Error(`status ${ports.read(STATUS, 1).toString(16)}`);
  };
  const start = (command: number, sector: number) => {
    ports.write(DRIVE, 1, 0xe0);
    ports.write(COUNT, 1, 1);
    for (let i = 0; i < 3; i++) ports.write(LOW + i, 1, sector >> 8 * i & 0xff);
    ports.write(STATUS, 1, command);
  };
  return {
    async read(sector: number): Promise<Uint8Array> {
      start(READ_SECTORS, sector);
      await wait(8);
      const words = Uint16Array.from(
        { length: 256 },
        () => ports.read(DATA, 2),
      );
      return new Uint8Array(words.buffer);
    },
    /** Write a sector of one byte, and flush; gives back the error bit. */
    async write(sector: number, byte: number): Promise<number> {
      start(WRITE_SECTORS, sector);
      await wait(8);
      for (let i = 0; i < 256; i++) ports.write(DATA, 2, byte * 0x101);
      const status = await wait(0);
      start(FLUSH, 0);
      await wait(0);
      return status & 1;
    },
  };
}

Deno.test("drives: where each machine that ships has them", async () => {
  const cases: [string, string[], string[]][] = [
    [ISAPC, ["/i/a", "/i/b,index=3"], ["ide0.disk0", "ide1.disk1"]],
    [PC, ["/i/a", "/i/b,index=3"], ["ide.disk0", "ide.disk3"]],
    [PC, ["/i/a,if=virtio", "/i/b,if=virtio"], ["blk0.disk", "blk1.disk"]],
    [PC, ["/i/a,if=floppy"], ["floppy.drive0"]],
    [MICROVM, ["/i/a", "/i/b"], ["disk0.disk", "disk1.disk"]],
  ];
  for (const [file, drives, places] of cases) {
    const flags = drives.flatMap((drive) => ["--drive", drive]);
    const { devices, backends } = await resolved(file, ...flags);
    for (const [i, place] of places.entries()) {
      const [device, role] = place.split(".");
      const backend = backends[devices[device].backends[role]];
      assertEquals(backend.config.file, drives[i].replace(/,.*/, ""), place);
    }
  }
});

for (const file of [ISAPC, PC]) {
  Deno.test(`drives: the guest reads and writes them in ${basename(file)}`, () =>
    useDrives(file));
}

function useDrives(machine: string): Promise<void> {
  return withFolder(async (folder) => {
    const file = join(folder, "a.img");
    await Deno.writeFile(file, new Uint8Array(1 << 20).fill(7));
    const load = (options: Parameters<typeof Machine.load>[1]) =>
      Machine.load(machine, options);
    {
      await using machine = await load({ drives: [{ file }] });
      const disk = driver(machine);
      assert((await disk.read(3)).every((byte) => byte === 7));
      assertEquals(await disk.write(3, 8), 0);
      assert((await disk.read(3)).every((byte) => byte === 8));
    }
    assertEquals((await Deno.readFile(file)).indexOf(8), 3 * 512);
    for (
      const how of [{ snapshot: true }, { drives: [{ file, snapshot: true }] }]
    ) {
      await using machine = await load({ drives: [{ file }], ...how });
      const disk = driver(machine);
      assertEquals(await disk.write(4, 9), 0);
      assert((await disk.read(4)).every((byte) => byte === 9));
    }
    assertEquals((await Deno.readFile(file)).indexOf(9), -1);
  });
}

oracleTest(
  "drives: permissions name the backing files, and are enough",
  () =>
    withFolder(async (folder) => {
      const path = (name: string) => join(folder, name);
      await qemuImg("create", "-f", "raw", path("low"), "1M");
      await qemuIo(path("low"), "write -P 5 0 64k");
      await Deno.mkdir(path("sub"));
      const create = (top: string, backing: string, format: string) =>
        qemuImg(
          ...["create", "-f", "qcow2", "-b", backing, "-F", format, path(top)],
        );
      await create("sub/middle", "../low", "raw");
      await create("top", "sub/middle", "qcow2");
      const flags = async (drive: string) => {
        const { out } = await rhea("permissions", ISAPC, "--drive", drive);
        return out.trim().split("\n");
      };
      const [read, write] = await flags(path("top"));
      for (const name of ["low", "sub/middle", "top"]) {
        assert(read.split(/[=,]/).includes(path(name)), read);
      }
      assertEquals(write, `--allow-write=${path("top")}`);
      assertEquals((await flags(`${path("top")},snapshot`)).length, 1);
      // A process with these permissions and no others.
      const probe = `
      const { Machine } = await import(${
        JSON.stringify(new URL("../mod.ts", import.meta.url).href)
      });
      const machine = await Machine.load(${JSON.stringify(ISAPC)}, {
        serial: ["null", "null"],
        drives: [{ file: ${JSON.stringify(path("top"))} }],
      });
      await machine.stop();
      console.log("loaded");`;
      const script = path("probe.ts");
      await Deno.writeTextFile(script, probe);
      const run = async (...allow: string[]) => {
        const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "--no-prompt", "--no-check"]
            .concat("--config", join(ROOT, "deno.json"), allow, script),
          env: { NO_COLOR: "1" },
        }).output();
        const text = new TextDecoder();
        return text.decode(stdout) + text.decode(stderr);
      };
      assertEquals(await run(read, write), "loaded\n");
      const [flag, files] = read.split("=");
      const others = files.split(",").filter((file) => file !== path("low"));
      const less = `${flag}=${others.join(",")}`;
      assertMatch(await run(less, write), /read access to .*low/);
      // A backing file that is not there is named before anything is opened.
      await Deno.remove(path("low"));
      const { status, messages } = await rhea(ISAPC, "--drive", path("top"));
      assertEquals(status, 2);
      assertMatch(messages[0], /there is no backing file ".*\/low"$/);
    }),
);
