/** Disks in snapshots: they are what they were when memory is. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { BootDrives } from "../../core/machine/boot_drive.ts";
import type { Parts } from "../../core/machine/parts.ts";
import { checkDisks } from "../../core/snapshot/disks.ts";
import { Machine, type MachineOptions, SnapshotError } from "../../mod.ts";
import {
  checkImage,
  oracleTest,
  qemuImg,
  withFolder,
} from "../block/oracle.ts";

const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));
const PC = fromFileUrl(new URL("../../machines/pc.json", import.meta.url));
const SIZE = 1 << 20;
/** A sector that no test has written, and one that all do. */
const [FAR, NEAR] = [900, 130];

function pc(file: string, options: MachineOptions = {}): Promise<Machine> {
  return Machine.load(PC, {
    kernel: ECHO,
    memory: "4M",
    drives: [{ file, if: "virtio", option: "--drive" }],
    ...options,
  });
}

/** The machine's one disk, as firmware reaches it. */
function disk(machine: Machine) {
  const found = machine.plan.devices.find(({ plugin }) =>
    plugin.name === "virtio-blk-pci"
  )!;
  const device = machine.device(found.name) as unknown as BootDrives;
  const [drive] = device.bootDrives();
  return {
    write: (sector: number, value: number) =>
      drive.write!(sector, new Uint8Array(512).fill(value)),
    read: async (sector: number) => (await drive.read(sector, 1))[77],
  };
}

oracleTest(
  "a qcow2 disk has the machine's snapshots, as QEMU's have",
  () =>
    withFolder(async (folder) => {
      const image = join(folder, "disk.qcow2");
      await qemuImg("create", "-f", "qcow2", image, `${SIZE}`);
      const options = { snapshots: folder };
      {
        await using machine = await pc(image, options);
        const { write, read } = disk(machine);
        machine.start();
        for (const [i, name] of ["one", "two", "one"].entries()) {
          await write(NEAR, i + 1);
          await machine.saveSnapshot(name);
        }
        await write(NEAR, 99);
        await write(FAR, 99);
        await machine.loadSnapshot("two");
        assertEquals([await read(NEAR), await read(FAR)], [2, 0]);
        await write(FAR, 98);
        await machine.loadSnapshot("one");
        assertEquals([await read(NEAR), await read(FAR)], [3, 0]);
      }
      const { clean, out } = await checkImage(image);
      assert(clean, out);
      const list = await qemuImg("snapshot", "-l", image);
      // The first "one" went when it was replaced.
      assertEquals([...list.matchAll(/ (one|two) /g)].map(([, n]) => n), [
        "two",
        "one",
      ]);
      {
        await using machine = await Machine.restore("two", options);
        assertEquals(await disk(machine).read(NEAR), 2);
        await machine.deleteSnapshot("two");
        assertEquals(await disk(machine).read(NEAR), 2);
      }
      assert(!(await qemuImg("snapshot", "-l", image)).includes("two"));
      assert((await checkImage(image)).clean);
      await qemuImg("snapshot", "-d", "one", image);
      const error = await assertRejects(
        () => Machine.restore("one", options),
        SnapshotError,
        'has no snapshot "one" any more',
      );
      assertEquals(error.kind, "disk");
    }),
);

Deno.test("what was written to a throw-away overlay is in the snapshot", () =>
  withFolder(async (folder) => {
    const image = join(folder, "disk.img");
    await Deno.writeFile(image, new Uint8Array(SIZE).fill(5));
    const options = { snapshots: folder };
    await using machine = await pc(image, { ...options, snapshot: true });
    await disk(machine).write(NEAR, 6);
    await machine.saveSnapshot("over");
    await disk(machine).write(NEAR, 7);
    await disk(machine).write(FAR, 7);
    await using other = await Machine.restore("over", options);
    await machine.loadSnapshot("over");
    for (const each of [machine, other]) {
      const { read } = disk(each);
      assertEquals([await read(NEAR), await read(FAR)], [6, 5]);
    }
    // It lies on an image that must still be the same.
    await Deno.utime(image, 1, 1);
    for (
      const load of [
        () => Machine.restore("over", options),
        () => machine.loadSnapshot("over"),
      ]
    ) {
      const error = await assertRejects(load, SnapshotError, "has changed");
      assertEquals(error.kind, "disk");
    }
    assertEquals(await disk(machine).read(NEAR), 6);
  }));

for (const format of ["raw", "qcow2"]) {
  const test = format === "raw" ? Deno.test : oracleTest;
  test(`a throw-away overlay lies on what a ${format} image was`, () =>
    withFolder(async (folder) => {
      const image = join(folder, "disk.img");
      if (format === "raw") await Deno.writeFile(image, new Uint8Array(SIZE));
      else await qemuImg("create", "-f", format, image, `${SIZE}`);
      const options = { snapshots: folder };
      {
        await using machine = await pc(image, options);
        const { write } = disk(machine);
        await write(NEAR, 1);
        await machine.saveSnapshot("one");
        await write(NEAR, 2);
        await write(FAR, 2);
        await machine.saveSnapshot("two");
        await write(NEAR, 3);
      }
      const before = await Deno.readFile(image);
      const content = async (machine: Machine): Promise<number[]> => {
        const { read } = disk(machine);
        return [await read(NEAR), await read(FAR)];
      };
      {
        const overlay = { ...options, snapshot: true };
        await using machine = await Machine.restore("one", overlay);
        assertEquals(await content(machine), [1, 0]);
        // Others may do the same meanwhile.
        await using other = await Machine.restore("two", overlay);
        assertEquals(await content(other), [2, 2]);
        const { write, read } = disk(machine);
        await write(NEAR + 1, 4);
        assertEquals(await content(machine), [1, 0]);
        await machine.saveSnapshot("over");
        await machine.loadSnapshot("two");
        assertEquals(await content(machine), [2, 2]);
        await write(FAR, 5);
        await machine.loadSnapshot("over");
        assertEquals([...await content(machine), await read(NEAR + 1)], [
          1,
          0,
          4,
        ]);
      }
      {
        // On the image as it is.
        await using machine = await pc(image, { ...options, snapshot: true });
        assertEquals(await content(machine), [3, 2]);
        await machine.saveSnapshot("now");
        await machine.loadSnapshot("over");
        assertEquals(await content(machine), [1, 0]);
        await machine.loadSnapshot("now");
        assertEquals(await content(machine), [3, 2]);
      }
      assertEquals(await Deno.readFile(image), before);
      {
        await using machine = await Machine.restore("over", options);
        assertEquals(await content(machine), [1, 0]);
      }
      assertEquals(await Deno.readFile(image), before);
      {
        await using machine = await pc(image, options);
        await assertRejects(
          () => machine.loadSnapshot("over"),
          SnapshotError,
          'the disk "virtio0" was a throw-away overlay when the snapshot was',
        );
        await machine.deleteSnapshot("one");
      }
      const gone = format === "raw"
        ? 'has kept nothing for the snapshot "one"'
        : 'has no snapshot "one" any more';
      await assertRejects(
        () => Machine.restore("over", options),
        SnapshotError,
        gone,
      );
      if (format !== "raw") return;
      // What is damaged in the log is said before the guest sees any of it.
      const log = `${image}.rhea-undo`;
      const bytes = await Deno.readFile(log);
      bytes[bytes.lastIndexOf(2)] ^= 1;
      await Deno.writeFile(log, bytes);
      const overlay = { ...options, snapshot: true };
      const error = await assertRejects(
        () => Machine.restore("two", overlay),
        SnapshotError,
        "damaged",
      );
      assertEquals(error.kind, "disk");
    }));
}

for (const format of ["raw", "qcow2"]) {
  const test = format === "raw" ? Deno.test : oracleTest;
  test(`a ${format} disk keeps what copies of a snapshot's file need`, () =>
    withFolder(async (folder) => {
      const image = join(folder, "disk.img");
      if (format === "raw") await Deno.writeFile(image, new Uint8Array(SIZE));
      else await qemuImg("create", "-f", format, image, `${SIZE}`);
      await using machine = await pc(image, { snapshots: folder });
      const { write, read } = disk(machine);
      const file = (name: string): string => join(folder, `${name}.rhea`);
      await write(NEAR, 1);
      await machine.saveSnapshot("one");
      for (const name of ["replaced", "deleted", "last"]) {
        await Deno.copyFile(file("one"), file(name));
      }
      await write(NEAR, 2);
      await machine.saveSnapshot("replaced");
      await machine.deleteSnapshot("deleted");
      await machine.loadSnapshot("one");
      assertEquals(await read(NEAR), 1);
      await machine.loadSnapshot("replaced");
      assertEquals(await read(NEAR), 2);
      await machine.deleteSnapshot("one");
      await machine.loadSnapshot("last");
      assertEquals(await read(NEAR), 1);
      // With the last one it goes.
      await machine.deleteSnapshot("replaced");
      await Deno.copyFile(file("last"), join(folder, "elsewhere"));
      await machine.deleteSnapshot("last");
      await assertRejects(
        () => machine.loadSnapshot(join(folder, "elsewhere")),
        SnapshotError,
        format === "raw" ? "has no file" : 'has no snapshot "one" any more',
      );
    }));
}

Deno.test("what is in a drive is what was in it", () =>
  withFolder(async (folder) => {
    const disc = (name: string): string => join(folder, `${name}.iso`);
    const bytes = new Uint8Array(64 << 10);
    for (const [i, name] of ["one", "two"].entries()) {
      await Deno.writeFile(disc(name), bytes.fill(i + 1));
    }
    const options = { snapshots: folder };
    await using machine = await Machine.load(PC, {
      kernel: ECHO,
      memory: "4M",
      cdrom: disc("one"),
      ...options,
    });
    const [drive] = machine.media.drives.keys();
    const content = async (each: Machine): Promise<number | undefined> =>
      (await each.media.drives.get(drive)!.medium?.read(0, 512))?.[9];
    const medium = (name: string) => ({
      plugin: "raw",
      config: { file: disc(name), readOnly: true },
    });
    await machine.saveSnapshot("first");
    await machine.media.insert(drive, medium("two"));
    await machine.saveSnapshot("second");
    await machine.media.eject(drive);
    await machine.saveSnapshot("empty");
    const wanted = { first: 1, second: 2, empty: undefined } as const;
    for (const [name, value] of Object.entries(wanted)) {
      await machine.loadSnapshot(name);
      assertEquals(await content(machine), value);
      await using other = await Machine.restore(name, options);
      assertEquals(await content(other), value);
    }
    await machine.loadSnapshot("first");
    await Deno.remove(disc("two"));
    await assertRejects(
      () => machine.loadSnapshot("second"),
      SnapshotError,
      `what was in the drive "${drive}" is not to be had`,
    );
    assertEquals(await content(machine), 1);
    await Deno.utime(disc("one"), 1, 1);
    await assertRejects(
      () => machine.loadSnapshot("first"),
      SnapshotError,
      "has changed since",
    );
  }));

Deno.test("a raw disk is what it was, in the machine and in a new one", () =>
  withFolder(async (folder) => {
    const image = join(folder, "disk.img");
    const log = `${image}.rhea-undo`;
    await Deno.writeFile(image, new Uint8Array(SIZE).fill(5));
    const options = { snapshots: folder };
    {
      await using machine = await pc(image, options);
      const { write, read } = disk(machine);
      machine.start();
      for (const [i, name] of ["one", "two", "one"].entries()) {
        await write(NEAR, i + 1);
        await machine.saveSnapshot(name);
      }
      await write(NEAR, 99);
      await write(FAR, 99);
      await machine.loadSnapshot("two");
      assertEquals([await read(NEAR), await read(FAR)], [2, 5]);
      await write(FAR, 98);
      // In a tree: back to where the third is not an ancestor.
      await machine.saveSnapshot("branch");
      await machine.loadSnapshot("one");
      assertEquals([await read(NEAR), await read(FAR)], [3, 5]);
      await machine.loadSnapshot("branch");
      assertEquals([await read(NEAR), await read(FAR)], [2, 98]);
      await write(FAR, 97);
    }
    // Whatever is kept, the file is the disk.
    const bytes = await Deno.readFile(image);
    assertEquals([bytes[NEAR * 512], bytes[FAR * 512]], [2, 97]);
    const wanted = { one: [3, 5], two: [2, 5], branch: [2, 98] };
    for (const [name, [near, far]] of Object.entries(wanted)) {
      await using machine = await Machine.restore(name, options);
      const { write, read } = disk(machine);
      assertEquals([await read(NEAR), await read(FAR)], [near, far]);
      await write(NEAR, 96);
    }
    {
      await using machine = await Machine.restore("two", options);
      for (const name of ["two", "one", "branch"]) {
        assert((await Deno.stat(log)).isFile);
        await machine.deleteSnapshot(name);
      }
      await assertRejects(() => Deno.stat(log), Deno.errors.NotFound);
      assertEquals(await disk(machine).read(NEAR), 2);
    }
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  }));

Deno.test("a raw disk that cannot be what it was says why", () =>
  withFolder(async (folder) => {
    const image = join(folder, "disk.img");
    const log = `${image}.rhea-undo`;
    await Deno.writeFile(image, new Uint8Array(SIZE));
    const options = { snapshots: folder };
    {
      await using machine = await pc(image, options);
      await machine.saveSnapshot("here");
      await disk(machine).write(NEAR, 1);
    }
    const { mtime } = await Deno.stat(image);
    const bytes = await Deno.readFile(log);
    const refused = async (reason: string): Promise<void> => {
      const error = await assertRejects(
        () => Machine.restore("here", options),
        SnapshotError,
        `the disk "virtio0" ${reason}`,
      );
      assertEquals(error.kind, "disk");
    };
    for (const at of [4096, 4200, bytes.length - 1]) {
      const bad = bytes.slice();
      bad[at] ^= 4;
      await Deno.writeFile(log, bad);
      const error = await assertRejects(
        () => Machine.restore("here", options),
        SnapshotError,
      );
      assertEquals(error.kind, "disk");
      assertMatch(
        error.message,
        /"virtio0"(:| has a file) ".*-undo" .*damaged/,
      );
    }
    await Deno.remove(log);
    await refused(`has no file "${log}" any more`);
    {
      await using machine = await pc(image, options);
      await machine.saveSnapshot("other");
      await disk(machine).write(NEAR, 2);
    }
    await refused('is another image than that of the snapshot "here"');
    await Deno.remove(join(folder, "other.rhea"));
    await Deno.writeFile(log, bytes);
    // Nothing was kept in this one of what was overwritten meanwhile.
    await refused("has been changed by something else than Rhea");
    await Deno.utime(image, mtime!, mtime!);
    await Deno.truncate(image, SIZE + 512);
    await refused(`has ${SIZE + 512} bytes now, it had ${SIZE}`);
    {
      await using machine = await pc(image, {
        ...options,
        set: ["backends.virtio0.config.readOnly=true"],
      });
      await assertRejects(
        () => machine.loadSnapshot("here"),
        SnapshotError,
        `the disk "virtio0" was a raw image that is written to when the ` +
          "snapshot was saved, here it is an image that is only read",
      );
    }
  }));

Deno.test("a disk that cannot go back refuses to be saved", () => {
  const disk = { readOnly: false, writeZeroes: () => Promise.resolve() };
  const parts = { backends: new Map([["mine", disk]]) } as unknown as Parts;
  const error = assertThrows(
    () => checkDisks(parts),
    SnapshotError,
    'the image of the disk "mine" is written to and has no snapshots',
  );
  assertEquals(error.kind, "disk");
});
