/**
 * Snapshots of machines: saved, listed, loaded, refused, damaged.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { crc32 } from "node:zlib";
import { fromFileUrl, join } from "@std/path";
import {
  Machine,
  type MachineOptions,
  SnapshotError,
  type StateRecord,
} from "../../mod.ts";
import {
  BlockFileReader,
  BlockFileWriter,
} from "../../core/snapshot/block_file.ts";
import { SnapshotFile } from "../../core/snapshot/load.ts";
import { decodeRecord, encodeRecord } from "../../core/state/record_codec.ts";
import type { StateValue } from "../../core/state/state.ts";
import { withFolder } from "../block/oracle.ts";
import { randomBelow } from "../random.ts";
import { runTo, stateDifferences, stateOf } from "./exact.ts";

const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));
const MACHINES = fromFileUrl(new URL("../../machines", import.meta.url));
const MICROVM = join(MACHINES, "microvm.json");
const MS = 1_000_000;
/** Of so many bytes of a snapshot one is damaged; 1 for all, a minute. */
const STRIDE = Number(Deno.env.get("RHEA_STRIDE") ?? 37);

/** A small machine that greets and echoes. */
function small(options: MachineOptions = {}): Promise<Machine> {
  return Machine.load(MICROVM, { kernel: ECHO, memory: "2M", ...options });
}

/** A small machine's snapshot in a folder. */
async function smallSnapshot(folder: string): Promise<string> {
  await using machine = await small({ icount: true });
  await runTo(machine, 5 * MS);
  return (await machine.saveSnapshot(join(folder, "small.rhea"))).path;
}

Deno.test("a machine is saved, runs on, and goes back; a new one starts there", () =>
  withFolder(async (folder) => {
    await using machine = await small({ snapshots: folder });
    const serial = machine.serial(0);
    await serial.expect("# ");
    let ended = false;
    machine.wait().then(() => ended = true);
    const progress: number[] = [];
    const saved = await machine.saveSnapshot("here", {
      onProgress: (done, total) => progress.push(done / total),
    });
    assertEquals(saved.path, join(folder, "here.rhea"));
    assertEquals([progress[0], progress.at(-1)], [0, 1]);
    assertEquals((await Deno.stat(saved.path)).size, saved.bytes);
    assert(machine.running && !ended);
    await serial.write("one\n");
    await serial.expect("one\n# ");
    await machine.loadSnapshot("here");
    await serial.write("two\n");
    await serial.expect("two\n# ");
    assert(!ended);
    await using other = await Machine.restore(saved.path, {});
    assert(!other.running);
    await other.serial(0).write("three\n");
    assertEquals(await other.serial(0).expect("# "), "three\n# ");
    assertEquals(other.serial(0).output, "three\n# ");
  }));

Deno.test("snapshots are listed, replaced and deleted", () =>
  withFolder(async (folder) => {
    await using machine = await small({ snapshots: folder });
    assertEquals(await machine.snapshots(), []);
    await Deno.writeTextFile(join(folder, "no.rhea"), "not one");
    await Deno.writeTextFile(join(folder, "empty.rhea"), "");
    await runTo(machine, 2 * MS);
    for (const name of ["b", "a b", "b"]) await machine.saveSnapshot(name);
    const list = await machine.snapshots();
    assertEquals(list.map(({ name }) => name), ["a b", "b"]);
    const [{ machine: name, virtualTime, instructions, date, bytes }] = list;
    assertEquals(name, "microvm");
    assertEquals(virtualTime, machine.clock.now());
    assertEquals(instructions, machine.cpu.instructions);
    assert(Math.abs(Date.now() - date) < 3_600_000 && bytes > 100);
    await machine.deleteSnapshot("b");
    assertEquals((await machine.snapshots()).length, 1);
    for (
      const action of [
        () => machine.deleteSnapshot("b"),
        () => machine.loadSnapshot("b"),
        () => Machine.restore(join(folder, "b.rhea")),
      ]
    ) {
      const error = await assertRejects(action, SnapshotError);
      assertEquals(error.kind, "missing");
    }
    const names = ["", ".", "..", "a\0", "a\n", "a:b", "x".repeat(200)];
    for (const bad of [...names, "a\x1b[2J", "a\x9b", "\u202ea", "\ud800"]) {
      const error = await assertRejects(
        () => machine.saveSnapshot(bad),
        SnapshotError,
      );
      assertEquals(error.kind, "name");
    }
    const error = await assertRejects(
      () => machine.saveSnapshot(join(folder, "none/x.rhea")),
      SnapshotError,
    );
    assertEquals(error.kind, "io");
    const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(files, ["a b.rhea", "empty.rhea", "no.rhea"]);
  }));

Deno.test("a large snapshot, whose memory another thread reads, is loaded and checked alike", () =>
  withFolder(async (folder) => {
    const large = { memory: "32M", icount: true };
    await using machine = await small(large);
    await runTo(machine, 5 * MS);
    const { u8, guestStart } = machine.memory;
    const noise = new Uint8Array(65536);
    for (let at = guestStart + (8 << 20); at < guestStart + (24 << 20);) {
      u8.set(crypto.getRandomValues(noise), at);
      at += noise.length;
    }
    const { path, bytes } = await machine.saveSnapshot(join(folder, "l.rhea"));
    assert(bytes > 16 << 20);
    const saved = stateOf(machine);
    // Each of them is laid out otherwise, or the same.
    for (const set of [[], ["translator.arena=16M"]]) {
      await using other = await Machine.restore(path, { set });
      assertEquals(stateDifferences(saved, stateOf(other)), []);
    }
    const good = await Deno.readFile(path);
    const bad = join(folder, "bad.rhea");
    for (const at of [1, 100, bytes >> 1, bytes - 3]) {
      const changed = good.slice();
      changed[at] ^= 1;
      for (const contents of [changed, good.subarray(0, at)]) {
        await Deno.writeFile(bad, contents);
        const error = await assertRejects(
          () => Machine.restore(bad),
          SnapshotError,
        );
        assertEquals(error.kind, "damaged");
      }
    }
    const error = await assertRejects(
      () => Machine.restore(path, { memory: "16M" }),
      SnapshotError,
    );
    assertEquals(error.kind, "machine");
  }));

Deno.test("a snapshot has everything: the compiler's and the interpreter's are alike", () =>
  withFolder(async (folder) => {
    const path = await smallSnapshot(folder);
    const states = [];
    for (const accel of ["jit", "interp"] as const) {
      await using machine = await Machine.restore(path, { accel });
      await runTo(machine, 9 * MS);
      states.push(stateOf(machine));
      await using began = await small({ accel, icount: true });
      await runTo(began, 5 * MS);
      await runTo(began, 9 * MS);
      states.push(stateOf(began));
    }
    for (const state of states) {
      assertEquals(stateDifferences(states[0], state), []);
    }
  }));

Deno.test("all of a state is of one time, and the time stamp counter has no offset", async () => {
  await using first = await small();
  await using second = await small();
  await first.serial(0).expect("# ");
  await first.pause();
  for (let i = 0; i < 5; i++) {
    const saved = first.save();
    const { time, cpu } = saved as unknown as StateRecord & {
      cpu: StateRecord;
    };
    assertEquals(cpu.tsc, time);
    second.load(saved);
    const again = second.save() as unknown as { cpu: StateRecord };
    assertEquals([again.cpu.tsc, second.clock.now()], [time, time]);
  }
});

Deno.test("a snapshot of another machine is refused, and why is said", () =>
  withFolder(async (folder) => {
    const path = await smallSnapshot(folder);
    const others: [MachineOptions, RegExp][] = [
      [{ memory: "3M" }, /memories\.ram\.size was 2097152, here it is 3145728/],
      [{ cpu: "486" }, /cpu\.config\.model was "pentium3", here it is "486"/],
      [{ icount: false }, /time\.mode was "icount", here it is "host"/],
      [
        { set: ["devices.disk1=null"] },
        /has a device "disk1" \(virtio-blk-mmio/,
      ],
      [{
        set: ['devices.more={"plugin":"debugcon","at":"0x99"}'],
      }, /has no device "more" \(debugcon\), this one has/],
      [
        { set: ["devices.com1.at=0x2f8"] },
        /device "com1": regions\..*base was 1016, here it is 760/,
      ],
      [
        { set: ["devices.com1.wires.irq=pic.irq3"] },
        /device "com1": wires\.irq was \["pic.irq4"\], here it is/,
      ],
    ];
    for (const [options, reason] of others) {
      await using machine = await small({ icount: true, ...options });
      const before = stateOf(machine);
      const error = await assertRejects(
        () => machine.loadSnapshot(path),
        SnapshotError,
      );
      assertEquals(error.kind, "machine");
      assertMatch(error.message, reason);
      assertEquals(stateDifferences(before, stateOf(machine)), []);
      const changed = { ...options, icount: undefined };
      const isTime = "icount" in options;
      if (isTime) changed.set = ["time.mode=host"];
      await assertRejects(() => Machine.restore(path, changed), SnapshotError);
    }
  }));

Deno.test("a snapshot of another version is refused, and of what is said", () =>
  withFolder(async (folder) => {
    const path = await smallSnapshot(folder);
    const other = join(folder, "other.rhea");
    /** The same snapshot with other records in it. */
    const rewritten = async (
      change: (tag: string, record: StateRecord) => StateRecord,
    ): Promise<void> => {
      const reader = BlockFileReader.open(path);
      const writer = await BlockFileWriter.create(other);
      for (const { tag, bytes } of reader.blocks()) {
        const isRecord = ["HEAD", "MACH", "STAT"].includes(tag);
        await writer.block(
          tag,
          isRecord ? encodeRecord(change(tag, decodeRecord(bytes))) : bytes,
        );
      }
      await writer.finish();
      reader.close();
    };
    const newer = (devices: StateValue): StateRecord => {
      const { com1, ...rest } = devices as { com1: StateRecord };
      return { ...rest, com1: { ...com1, version: "9.1.0" } };
    };
    await using machine = await small({ icount: true });
    const before = stateOf(machine);
    const refused = async (kind: string, message: RegExp): Promise<void> => {
      for (
        const load of [
          () => machine.loadSnapshot(other),
          () => Machine.restore(other, {}),
        ]
      ) {
        const error = await assertRejects(load, SnapshotError);
        assertEquals(error.kind, kind);
        assertMatch(error.message, message);
      }
    };
    await rewritten((tag, record) => {
      if (tag === "HEAD") return { ...record, rhea: "9.9.0" };
      if (tag !== "MACH") return record;
      const identity = record.identity as { devices: StateRecord };
      const devices = newer(identity.devices);
      return { ...record, identity: { ...identity, devices } };
    });
    await refused(
      "machine",
      /device "com1" is of \S+ 9\.1\.0, here of \S+; it was saved by Rhea 9\.9\.0, this is \d/,
    );
    assertEquals(stateDifferences(before, stateOf(machine)), []);
    // A machine that is the same, but for what one device has saved.
    await rewritten((tag, record) =>
      tag === "STAT" ? { ...record, devices: newer(record.devices) } : record
    );
    await refused(
      "damaged",
      /devices\.com1": it is of \S+ 9\.1\.0, expected \S+ \d/,
    );
    const bytes = await Deno.readFile(path);
    bytes[8]++;
    await Deno.writeFile(other, bytes);
    await refused("version", /has the format 2, expected 1/);
  }));

Deno.test("a machine of a snapshot needs its kernel for a reset only", () =>
  withFolder(async (folder) => {
    const kernel = join(folder, "echo.elf");
    await Deno.copyFile(ECHO, kernel);
    const path = join(folder, "a.rhea");
    {
      await using machine = await small({ kernel });
      await machine.serial(0).expect("# ");
      await machine.saveSnapshot(path);
    }
    {
      await using machine = await Machine.restore(path);
      machine.reset();
      await machine.serial(0).expect("Hello from the guest\r\n# ");
    }
    await Deno.remove(kernel);
    const log: string[] = [];
    await using machine = await Machine.restore(path, {
      log: (line) => log.push(line),
    });
    await machine.serial(0).write("a\n");
    await machine.serial(0).expect("a\n# ");
    machine.reset();
    const { reason, status } = await machine.wait();
    assertEquals([reason, status], ["reset", 1]);
    assertMatch(log.join("\n"), /the machine cannot be reset: .*echo\.elf/);
  }));

Deno.test("no byte can be changed and none be missing", () =>
  withFolder(async (folder) => {
    const good = await Deno.readFile(await smallSnapshot(folder));
    const path = join(folder, "bad.rhea");
    const mustFail = (bytes: Uint8Array): void => {
      Deno.writeFileSync(path, bytes);
      assertThrows(() => {
        const file = SnapshotFile.open(path);
        try {
          file.read();
        } finally {
          file.close();
        }
      }, SnapshotError);
    };
    // All bytes of the file's and the blocks' heads, and some between them.
    const heads = blocksOf(good).flatMap((start) =>
      Array.from({ length: 16 }, (_, i) => start + i)
    );
    const places = new Set([
      ...Array.from({ length: 40 }, (_, i) => i),
      ...heads.filter((at) => at < good.length),
      ...Array.from(
        { length: Math.ceil(good.length / STRIDE) },
        (_, i) => i * STRIDE,
      ),
    ]);
    for (const at of places) {
      const bytes = good.slice();
      bytes[at] ^= 1 << at % 8;
      mustFail(bytes);
      mustFail(good.subarray(0, at));
    }
    mustFail(Uint8Array.of(...good, 0));
  }));

/** Where a file's blocks begin. */
function blocksOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const starts: number[] = [];
  for (let at = 12; at < bytes.length;) {
    starts.push(at);
    at += 12 + view.getUint32(at + 4, true);
  }
  return starts;
}

/** Make all checksums right. */
function sealed(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer);
  let check = 0;
  for (const at of blocksOf(bytes)) {
    const end = at + 12 + view.getUint32(at + 4, true);
    if (end === bytes.length) view.setUint32(at + 12, check, true);
    view.setUint32(at + 8, crc32(bytes.subarray(at + 12, end)), true);
    check = crc32(bytes.subarray(at, at + 12), check);
  }
  return bytes;
}

Deno.test("a file that lies, with checksums that are right, does no harm", () =>
  withFolder(async (folder) => {
    const source = await smallSnapshot(folder);
    const good = await Deno.readFile(source);
    assertEquals(sealed(good.slice()), good);
    const path = join(folder, "bad.rhea");
    const below = randomBelow(Number(Deno.env.get("RHEA_SEED") ?? 7));
    await using machine = await small({ icount: true });
    const starts = blocksOf(good);
    let refused = 0;
    for (let i = 0; i < 400; i++) {
      const bytes = good.slice();
      // All blocks alike, however long; the last one is made right again.
      const block = below(starts.length - 1);
      const from = starts[block] + 12;
      const length = starts[block + 1] - from;
      for (let k = below(3); k >= 0; k--) {
        bytes[from + below(length)] = below(256);
      }
      await Deno.writeFile(path, sealed(bytes));
      try {
        await machine.loadSnapshot(path);
      } catch (error) {
        assert(error instanceof SnapshotError, String(error));
        refused++;
      }
    }
    assertNotEquals(refused, 0);
    await machine.loadSnapshot(source);
    await using fresh = await Machine.restore(source);
    assertEquals(stateDifferences(stateOf(fresh), stateOf(machine)), []);
  }));

Deno.test("blocks that are not known are skipped or refused by their tags", () =>
  withFolder(async (folder) => {
    const good = await Deno.readFile(await smallSnapshot(folder));
    const path = join(folder, "more.rhea");
    const at = blocksOf(good)[2];
    const withBlock = (tag: string): Uint8Array<ArrayBuffer> => {
      const more = new Uint8Array(good.length + 12 + 5);
      more.set(good.subarray(0, at));
      more.set(new TextEncoder().encode(tag), at);
      more[at + 4] = 5;
      more.set(good.subarray(at), at + 17);
      return sealed(more);
    };
    await using machine = await small({ icount: true });
    await Deno.writeFile(path, withBlock("note"));
    await machine.loadSnapshot(path);
    for (const tag of ["NOTE", "MACH", "STAT"]) {
      await Deno.writeFile(path, withBlock(tag));
      await assertRejects(() => machine.loadSnapshot(path), SnapshotError);
    }
    const later = good.slice();
    later[8] = 2;
    await Deno.writeFile(path, later);
    const error = await assertRejects(
      () => machine.loadSnapshot(path),
      SnapshotError,
      "has the format 2, expected 1",
    );
    assertEquals(error.kind, "version");
  }));
