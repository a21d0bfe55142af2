/** Media that are changed before and after snapshots are saved and loaded. */

import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine, type MachineOptions, SnapshotError } from "../../mod.ts";
import { withFolder } from "../block/oracle.ts";
import { runTo, stateDifferences, stateOf } from "./exact.ts";

const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));
const PC = fromFileUrl(new URL("../../machines/pc.json", import.meta.url));
const MS = 1_000_000;
const [CD, OTHER_CD, FLOPPY] = ["ide.disk2", "ide.disk3", "floppy.drive0"];

/** Files of one byte's value each. */
async function file(folder: string, name: string, value: number) {
  const path = join(folder, name);
  const size = name.endsWith(".img") ? 1474560 : 64 << 10;
  await Deno.writeFile(path, new Uint8Array(size).fill(value));
  return path;
}

function pc(folder: string, options: MachineOptions): Promise<Machine> {
  return Machine.load(PC, {
    kernel: ECHO,
    memory: "4M",
    icount: true,
    snapshots: folder,
    ...options,
  });
}

/** What is in a drive; the machine's own reads would wait for it to run. */
async function valueIn(machine: Machine, drive: string): Promise<number> {
  const { medium } = machine.media.drives.get(drive)!;
  const config = machine.media.contents.get(drive)?.config;
  assertEquals(config === undefined, medium === undefined);
  return config === undefined ? -1 : (await Deno.readFile(`${config.file}`))[9];
}

/** Each refusal leaves everything as it was. */
async function refused(
  machine: Machine,
  name: string,
  message: string,
): Promise<void> {
  const before = stateOf(machine);
  const error = await assertRejects(
    () => machine.loadSnapshot(name),
    SnapshotError,
    message,
  );
  assertEquals(error.kind, "disk");
  assertEquals(stateDifferences(before, stateOf(machine)), []);
}

Deno.test("media: a snapshot that misses a disc leaves the others untouched", () =>
  withFolder(async (folder) => {
    const [a, b, c, d] = await Promise.all(
      ["a", "b", "c", "d"].map((name, i) => file(folder, name, i + 1)),
    );
    const disc = (file: string) => ({ plugin: "raw", config: { file } });
    await using machine = await pc(folder, {
      drives: [a, b].map((file, i) => ({
        file,
        if: "ide",
        index: 2 + i,
        media: "cdrom" as const,
      })),
    });
    await runTo(machine, 5 * MS);
    await machine.saveSnapshot("ab");
    await machine.media.insert(CD, disc(c));
    await machine.media.insert(OTHER_CD, disc(d));
    await machine.media.openTray(CD, { force: true });
    await runTo(machine, 9 * MS);
    await machine.saveSnapshot("cd");
    await Deno.rename(b, `${b}.gone`);
    await refused(machine, "ab", `what was in the drive "${OTHER_CD}" is not`);
    assertEquals(await valueIn(machine, CD), 3);
    await machine.media.eject(CD);
    await refused(machine, "ab", "is not to be had");
    assertEquals(await valueIn(machine, CD), -1);
    await Deno.rename(`${b}.gone`, b);
    await machine.loadSnapshot("ab");
    assertEquals(
      [await valueIn(machine, CD), await valueIn(machine, OTHER_CD)],
      [1, 2],
    );
    const first = stateOf(machine);
    await machine.loadSnapshot("cd");
    // The tray is open, and the disc lies in it.
    const { media } = machine;
    assertEquals(media.drives.get(CD)!.open, true);
    assertEquals(await valueIn(machine, CD), 3);
    await machine.loadSnapshot("ab");
    assertEquals(stateDifferences(first, stateOf(machine)), []);
    assertEquals(media.drives.get(CD)!.open, false);
  }));

/** A plugin of a program's own, as the one that ships. */
const RAW = new URL("../../plugins/block/raw.ts", import.meta.url).href;

Deno.test("media: what cannot be loaded leaves a program's own disc, and the others", () =>
  withFolder(async (folder) => {
    const [a, b, c, d] = await Promise.all(
      ["a", "b", "c", "d"].map((name, i) => file(folder, name, i + 1)),
    );
    const config = (file: string) => ({ config: { file, readOnly: true } });
    await using machine = await pc(folder, {
      drives: [a, b].map((file, i) => ({
        file,
        if: "ide",
        index: 2 + i,
        media: "cdrom" as const,
      })),
    });
    const { media } = machine;
    await runTo(machine, 5 * MS);
    await machine.saveSnapshot("ab");
    await media.insert(CD, { plugin: RAW, ...config(c) });
    await media.insert(OTHER_CD, { plugin: RAW, ...config(d) });
    await runTo(machine, 9 * MS);
    await Deno.writeFile(b, new Uint8Array(64 << 10));
    await refused(machine, "ab", "has changed since");
    assertEquals(
      [await valueIn(machine, CD), await valueIn(machine, OTHER_CD)],
      [3, 4],
    );
    // What the host has lost is out, and the other is there.
    await Deno.remove(c);
    await assertRejects(() => machine.loadSnapshot("ab"), SnapshotError);
    assertEquals(media.drives.get(CD)!.medium, undefined);
    assertEquals(await valueIn(machine, OTHER_CD), 4);
    // The guest goes on with that.
    await runTo(machine, machine.clock.now() + 5 * MS);
  }));

/**
 * Have a virtio disk read its first sector, by the legacy interface at a port
 * that was free. Gives the address at which it says how much it has done.
 */
function askVirtio(machine: Machine): number {
  const [at, queue] = [0xc000, 0x200000];
  const ports = machine.space("ports");
  const config = (slot: number, offset: number): void =>
    ports.write(0xcf8, 4, 0x80000000 + slot * 0x800 + offset);
  let slot = 0;
  do config(++slot, 0); while (ports.read(0xcfc, 4) !== 0x10011af4);
  config(slot, 0x10);
  ports.write(0xcfc, 4, at);
  config(slot, 4);
  ports.write(0xcfc, 2, 5);
  const size = ports.read(at + 0xc, 2);
  const [available, used] = [queue + 16 * size, queue + 16 * size + 4096];
  const { u8, guestStart } = machine.memory;
  const memory = new DataView(u8.buffer, guestStart);
  const [header, data, status] = [0x300000, 0x301000, 0x302000];
  const descriptors = [[header, 16, 1], [data, 512, 3], [status, 1, 2]];
  for (const [i, [address, length, flags]] of descriptors.entries()) {
    memory.setUint32(queue + 16 * i, address, true);
    memory.setUint32(queue + 16 * i + 8, length, true);
    memory.setUint16(queue + 16 * i + 12, flags, true);
    memory.setUint16(queue + 16 * i + 14, i + 1, true);
  }
  memory.setUint16(available + 2, 1, true);
  ports.write(at + 0x12, 1, 3);
  ports.write(at + 8, 4, queue / 4096);
  ports.write(at + 0x12, 1, 7);
  ports.write(at + 0x10, 2, 0);
  return Math.ceil(used / 4096) * 4096 + 2;
}

Deno.test("media: what a disk is doing when a snapshot is refused it does once", () =>
  withFolder(async (folder) => {
    const [a, b, c] = await Promise.all(
      ["a", "b", "c"].map((name, i) => file(folder, name, i + 1)),
    );
    await using machine = await pc(folder, {
      cdrom: a,
      drives: [{ file: b, if: "virtio", format: "raw", snapshot: true }],
    });
    await runTo(machine, 5 * MS);
    await machine.saveSnapshot("a");
    const medium = { plugin: "raw", config: { file: c, readOnly: true } };
    await machine.media.insert(CD, medium);
    await Deno.writeFile(a, new Uint8Array(64 << 10));
    const done = askVirtio(machine);
    const count = (): number => machine.space("memory").read(done, 2);
    assertEquals(count(), 0);
    await assertRejects(() => machine.loadSnapshot("a"), SnapshotError);
    // What it has said it does not say again: the guest may have given the
    // room to something else.
    assertEquals([count(), machine.save().requests], [1, {}]);
    await runTo(machine, machine.clock.now() + MS);
    assertEquals(count(), 1);
  }));

Deno.test("media: a disc that has moved is where the options say", () =>
  withFolder(async (folder) => {
    const disc = await file(folder, "disc", 1);
    const moved = join(folder, "moved");
    {
      await using machine = await pc(folder, { cdrom: disc });
      await runTo(machine, 5 * MS);
      await machine.saveSnapshot("here");
    }
    await Deno.rename(disc, moved);
    const file_ = join(folder, "here.rhea");
    await assertRejects(
      () => Machine.restore(file_),
      Error,
      "there is no file",
    );
    await using restored = await Machine.restore(file_, {
      cdrom: moved,
      snapshots: folder,
    });
    assertEquals(await valueIn(restored, CD), 1);
    await using machine = await pc(folder, { cdrom: moved });
    const other = await file(folder, "other", 2);
    const medium = { plugin: "raw", config: { file: other, readOnly: true } };
    for (const each of [machine, restored]) {
      await each.media.insert(CD, medium);
      await each.loadSnapshot("here");
      assertEquals(await valueIn(each, CD), 1);
    }
    // What was changed while it ran is in the snapshot, whatever was there.
    await machine.media.insert(CD, medium);
    await machine.saveSnapshot("changed");
    await using third = await Machine.restore("changed", {
      snapshots: folder,
      cdrom: moved,
    });
    assertEquals(await valueIn(third, CD), 2);
    await machine.media.eject(CD);
    await Deno.writeFile(moved, new Uint8Array(64 << 10));
    await refused(machine, "here", "has changed since");
  }));

Deno.test("media: floppies are what they were, in and out", () =>
  withFolder(async (folder) => {
    const [a, b] = [
      await file(folder, "a.img", 1),
      await file(folder, "b.img", 2),
    ];
    const floppy = (file: string) => ({ plugin: "raw", config: { file } });
    await using machine = await pc(folder, {
      drives: [{ file: a, if: "floppy", format: "raw" }],
    });
    const { media } = machine;
    const write = async (value: number): Promise<void> => {
      const bytes = new Uint8Array(512).fill(value);
      const written = media.drives.get(FLOPPY)!.medium!.write(0, bytes);
      await runTo(machine, machine.clock.now() + 30 * MS);
      await written;
    };
    await runTo(machine, 5 * MS);
    await write(11);
    await machine.saveSnapshot("a11");
    await write(12);
    await machine.saveSnapshot("a12");
    await media.insert(FLOPPY, floppy(b));
    await write(21);
    await machine.saveSnapshot("b21");
    await write(22);
    await media.eject(FLOPPY);
    await machine.saveSnapshot("none");
    const wanted = { a11: 11, b21: 21, none: -1, a12: 12 } as const;
    for (const [name, value] of Object.entries({ ...wanted, a11: 11 })) {
      await machine.loadSnapshot(name);
      assertEquals(await valueIn(machine, FLOPPY), value, name);
    }
    // Someone else has it: nothing is changed.
    await media.eject(FLOPPY);
    {
      await using other = await pc(folder, {
        drives: [{ file: b, if: "floppy", format: "raw" }],
      });
      assertEquals(await valueIn(other, FLOPPY), 21);
      await refused(machine, "b21", "it is in use elsewhere");
    }
    await machine.loadSnapshot("b21");
    for (const { name } of await machine.snapshots()) {
      await machine.loadSnapshot(name);
      await machine.deleteSnapshot(name);
    }
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assertEquals(left.sort(), ["a.img", "b.img"]);
  }));

Deno.test("media: one that is changed while a snapshot is saved or loaded waits", () =>
  withFolder(async (folder) => {
    const [a, b] = await Promise.all(
      ["a", "b"].map((name, i) => file(folder, name, i + 1)),
    );
    await using machine = await pc(folder, { cdrom: a, icount: false });
    const { media } = machine;
    const drive = media.drives.get(CD)!;
    const other = { plugin: "raw", config: { file: b, readOnly: true } };
    machine.start();
    await machine.serial(0).expect("# ");
    for (
      const change of [
        () => media.eject(CD, { force: true }),
        () => media.insert(CD, other, { force: true }),
        () => media.openTray(CD, { force: true }),
      ]
    ) {
      const path = join(folder, "here.rhea");
      await Deno.remove(path).catch(() => {});
      let changed: Promise<Deno.FileInfo> | undefined;
      await machine.saveSnapshot("here", {
        onProgress: () => {
          // The file is there when it is whole.
          changed ??= change().then(() => Deno.stat(path));
        },
      });
      await changed;
      const loaded = machine.loadSnapshot("here");
      await Promise.all([loaded, change()]);
      await machine.loadSnapshot("here");
      assertEquals([await valueIn(machine, CD), drive.open], [1, false]);
      await using restored = await Machine.restore("here", {
        snapshots: folder,
      });
      assertEquals(await valueIn(restored, CD), 1);
    }
  }));
