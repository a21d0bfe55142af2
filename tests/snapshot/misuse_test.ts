/**
 * Snapshots that are asked for at odd times: several at once, by several
 * machines under one name, while the guest is reset, halted, paused or held by
 * a debugger.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { encodePacket, PacketReader } from "../../core/debug/gdb/packet.ts";
import { Machine, type MachineOptions, SnapshotError } from "../../mod.ts";
import { withFolder } from "../block/oracle.ts";
import { COUNTS, Guest } from "../qmp/rhea.ts";

const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));
const MICROVM = fromFileUrl(
  new URL("../../machines/microvm.json", import.meta.url),
);

function small(
  snapshots: string,
  options: MachineOptions = {},
): Promise<Machine> {
  return Machine.load(MICROVM, {
    kernel: ECHO,
    memory: "2M",
    snapshots,
    ...options,
  });
}

/** It answers. */
async function echoes(machine: Machine, text: string): Promise<void> {
  await machine.serial(0).write(`${text}\n`);
  await machine.serial(0).expect(text);
}

Deno.test("snapshots: all that is asked for at once is done in turn", () =>
  withFolder(async (folder) => {
    for (const runs of [true, false]) {
      await using machine = await small(folder);
      if (runs) {
        machine.start();
        await machine.serial(0).expect("# ");
      }
      const held: string[] = [];
      machine.events.on(({ type }) => {
        if (type === "stop" || type === "resume") held.push(type);
      });
      await Promise.all([
        machine.saveSnapshot("a"),
        machine.saveSnapshot("b"),
        machine.loadSnapshot("a"),
        machine.saveSnapshot("b"),
        machine.deleteSnapshot("a"),
        assertRejects(() => machine.loadSnapshot("a"), SnapshotError),
        machine.loadSnapshot("b"),
      ]);
      assertEquals(machine.runState, runs ? "running" : "prelaunch");
      // Who hears that the guest stands still hears that it goes on.
      assertEquals(held, runs ? ["stop", "resume"] : []);
      if (runs) await echoes(machine, "on");
      assertEquals((await machine.snapshots()).map(({ name }) => name), ["b"]);
    }
  }));

Deno.test("snapshots: two machines save under one name, and it is of one", () =>
  withFolder(async (folder) => {
    await using first = await small(folder);
    await using second = await small(folder);
    const machines = [first, second];
    for (const machine of machines) {
      machine.start();
      await machine.serial(0).expect("# ");
    }
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        [...machines, ...machines].map((one) => one.saveSnapshot("both")),
      );
      await using restored = await Machine.restore("both", {
        snapshots: folder,
      });
      await echoes(restored, "both");
    }
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assertEquals(left, ["both.rhea"]);
  }));

Deno.test("snapshots: in the midst of a reset, paused, and after the end", () =>
  withFolder(async (folder) => {
    await using machine = await small(folder);
    machine.start();
    await machine.serial(0).expect("# ");
    machine.reset();
    await machine.saveSnapshot("reset");
    {
      await using restored = await Machine.restore("reset", {
        snapshots: folder,
      });
      restored.start();
      await restored.serial(0).expect("# ");
    }
    await machine.pause();
    const { instructions } = machine.cpu;
    await machine.saveSnapshot("paused");
    assertEquals([machine.runState, machine.running], ["paused", false]);
    await machine.loadSnapshot("reset");
    await machine.loadSnapshot("paused");
    assertEquals([machine.runState, machine.running], ["paused", false]);
    assertEquals(machine.cpu.instructions, instructions);
    machine.start();
    await echoes(machine, "again");
    // This guest ends at a "q", as it were by its power switch.
    const end = machine.wait();
    await machine.serial(0).write("q");
    await end;
    await machine.saveSnapshot("ended");
    await machine.loadSnapshot("paused");
    machine.start();
    await echoes(machine, "and again");
  }));

Deno.test("snapshots: who stops the guest meanwhile finds it stopped behind it", () =>
  withFolder(async (folder) => {
    await using machine = await small(folder);
    machine.start();
    await machine.serial(0).expect("# ");
    const held: string[] = [];
    let hear = () => {};
    machine.events.on(({ type }) => {
      if (type === "stop" || type === "resume") held.push(type);
      if (type === "stop") hear();
    });
    const works = {
      save: () => machine.saveSnapshot("here"),
      load: () => machine.loadSnapshot("here"),
    };
    for (const [name, work] of Object.entries(works)) {
      /** The guest has come to stand still for it. */
      const begin = async (): Promise<{ done: Promise<unknown> }> => {
        const begun = new Promise<void>((resolve) => hear = resolve);
        const done = work();
        await begun;
        assertMatch(machine.runState, /^(save|restore)-vm$/);
        machine.stopGuest();
        assertMatch(machine.runState, /^(save|restore)-vm$/);
        return { done };
      };
      const stopped = await begin();
      await stopped.done;
      assertEquals(machine.runState, "paused", name);
      machine.continueGuest();
      assertEquals(machine.runState, "running");
      // And who lets it go on again has nothing to undo.
      const gone = await begin();
      machine.continueGuest();
      await gone.done;
      assertEquals(machine.runState, "running", name);
      await echoes(machine, name);
    }
    const each = ["stop", "resume"];
    assertEquals(held, [...each, ...each, ...each, ...each]);
  }));

Deno.test("snapshots: a folder that may only be read has them to load", async () => {
  if (Deno.uid() === 0 || Deno.build.os === "windows") {
    // Nothing is read-only for root but what the kernel keeps so.
    return await withFolder(async (folder) => {
      await using machine = await small("/proc");
      const error = await assertRejects(
        () => machine.saveSnapshot("here"),
        SnapshotError,
      );
      assertEquals(error.kind, "io");
      await machine.saveSnapshot(join(folder, "elsewhere.rhea"));
    });
  }
  await withFolder(async (folder) => {
    await using machine = await small(folder);
    await machine.saveSnapshot("here");
    await Deno.chmod(folder, 0o500);
    try {
      for (
        const action of [
          () => machine.saveSnapshot("here"),
          () => machine.deleteSnapshot("here"),
        ]
      ) {
        const error = await assertRejects(action, SnapshotError);
        assertEquals(error.kind, "io");
      }
      await machine.loadSnapshot("here");
    } finally {
      await Deno.chmod(folder, 0o700);
    }
  });
});

Deno.test("snapshots: no other file is replaced or deleted", () =>
  withFolder(async (folder) => {
    await using machine = await small(folder);
    const image = join(folder, "disk.img");
    for (const content of ["a disk", ""]) {
      await Deno.writeTextFile(image, content);
      for (
        const action of [
          () => machine.saveSnapshot(image),
          () => machine.deleteSnapshot(image),
        ]
      ) {
        const error = await assertRejects(
          action,
          SnapshotError,
          `"${image}": it is no snapshot of Rhea's`,
        );
        assertEquals(error.kind, "name");
      }
      assertEquals(await Deno.readTextFile(image), content);
    }
    const elsewhere = join(folder, "state");
    for (let i = 0; i < 2; i++) await machine.saveSnapshot(elsewhere);
    await machine.deleteSnapshot(elsewhere);
    // One that is damaged can be given up.
    const damaged = join(folder, "damaged.rhea");
    await Deno.writeTextFile(damaged, "");
    await machine.deleteSnapshot("damaged");
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assertEquals(left, ["disk.img"]);
  }));

/** Asks the server as gdb would. */
class Gdb {
  readonly #socket: Deno.Conn;
  readonly #reader = new PacketReader();

  constructor(socket: Deno.Conn) {
    this.#socket = socket;
  }

  async ask(packet: string): Promise<string> {
    await this.#socket.write(encodePacket(packet));
    return await this.next();
  }

  async next(): Promise<string> {
    const buffer = new Uint8Array(0x10000);
    for (;;) {
      const count = await this.#socket.read(buffer);
      if (count === null) throw new Error("the server hung up");
      for (const event of this.#reader.push(buffer.subarray(0, count))) {
        if (event.kind === "packet") return event.data;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

Deno.test("snapshots: of a guest at a breakpoint, which is not in them", async () => {
  await using guest = await Guest.of(COUNTS);
  const { machine, folder } = guest;
  const path = join(folder, "gdb.sock");
  await machine.serveGdb(`unix:${path}`);
  machine.start();
  using gdb = new Gdb(await Deno.connect({ transport: "unix", path }));
  await gdb.ask("qSupported:swbreak+");
  await gdb.ask("QStartNoAckMode");
  assertEquals(await gdb.ask("Z0,7c05,1"), "OK");
  /** Go on to the breakpoint, behind the count. */
  const count = async (): Promise<number> => {
    const stop = await gdb.ask("c");
    assert(/^T05/.test(stop), stop);
    return machine.space("memory").read(0x500, 4);
  };
  const first = await count();
  assertEquals(machine.runState, "debug");
  await machine.saveSnapshot("here");
  assertEquals([machine.runState, await gdb.ask("m7c05,1")], ["debug", "eb"]);
  assertEquals(await count(), first + 1);
  assertEquals(await count(), first + 2);
  await machine.loadSnapshot("here");
  assertEquals(machine.runState, "debug");
  const { u8, guestStart } = machine.memory;
  assertEquals(u8[guestStart + 0x500], first & 0xff);
  assertEquals(
    await gdb.ask("m500,1"),
    (first & 0xff).toString(16).padStart(2, "0"),
  );
  assertEquals(await count(), first + 1);
  await using other = await Machine.restore("here", { snapshots: folder });
  assertEquals(other.space("memory").read(0x7c05, 1), 0xeb);
  assertEquals(other.space("memory").read(0x500, 4), first);
});
