/**
 * Monitors and debuggers at a machine whose run is recorded or replayed: what
 * they do to the guest is in the recording, or they are told why not.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { DebugError } from "../../core/debug/control.ts";
import { ReplayError } from "../../core/replay/error.ts";
import { Machine } from "../../machines/machine.ts";
import { MediaError } from "../../mod.ts";
import { type Guest, guest } from "../debug/guest.ts";
import { answers, missing, runGdb } from "../gdb/harness.ts";
import { within } from "../limit.ts";
import { QmpClient } from "../qmp/client.ts";
import { NASM, PC, withKernel } from "../smp/kernels.ts";
import { type End, endOf, LISTENER, withFolder } from "./guests.ts";

/** Give a test the listener. */
function test(
  name: string,
  body: (made: Guest, folder: string) => Promise<void>,
): void {
  Deno.test(name, () =>
    withFolder(async (folder) => {
      const made = await guest(LISTENER);
      if (made === undefined) return;
      try {
        await body(made, folder);
      } finally {
        await made.remove();
      }
    }));
}

async function assertReplays(log: string, end: End): Promise<void> {
  const machine = await Machine.replay(log);
  await within("the end of the run", machine.run());
  assertEquals(endOf(machine), end);
  await machine.stop();
}

test(
  "monitors: what they do to a guest is recorded, also while it stands still",
  async (made, folder) => {
    const log = `${folder}/log`;
    const disc = `${folder}/disc.iso`;
    await Deno.writeFile(disc, new Uint8Array(20 * 2048));
    const machine = await Machine.load(PC, {
      kernel: made.kernel,
      memory: "16M",
      display: "none",
      cdrom: disc,
      record: log,
    });
    const { path } = await serve(machine, folder);
    const run = machine.run();
    const serial = machine.serial(0);
    await serial.expect("ready");
    const monitor = await machine.monitor();
    assertEquals(await monitor.run("sendkey a"), "");
    await serial.expect(/^k1e/mi);
    assertEquals(await monitor.run("nmi"), "");
    await serial.expect(/^n00/m);
    for (const line of ["i /b 0x60", "o /b 0x80 1", "set_link x off"]) {
      assertMatch(await monitor.run(line), /would not be in the recording/);
    }
    const client = await QmpClient.connect(path);
    const all = [
      ["stop"],
      ["blockdev-open-tray", { id: "ide.disk2" }],
      ["inject-nmi"],
      ["blockdev-close-tray", { id: "ide.disk2" }],
      ["blockdev-change-medium", {
        id: "ide.disk2",
        filename: disc,
        format: "raw",
      }],
      ["eject", { id: "ide.disk2", force: true }],
      ["cont"],
      ["send-key", { keys: [{ type: "qcode", data: "b" }] }],
    ] as const;
    for (const [name, args] of all) {
      assertEquals((await client.execute(name, args)).return, {}, name);
    }
    await serial.expect(/^k30/mi);
    await client.execute("system_reset");
    await serial.expect("ready");
    const outputs = serial.output.match(/^n00/gm);
    assertEquals(outputs?.length, 2);
    // A halted guest that stands still.
    const stands = machine.clock.now();
    machine.stopGuest();
    for (const _ of "abc") await machine.media.openTray("ide.disk2");
    assert(machine.clock.now() >= stands);
    machine.continueGuest();
    await client.execute("quit");
    assertEquals((await within("the end of the run", run)).reason, "quit");
    client[Symbol.dispose]();
    const end = endOf(machine);
    await machine.stop();
    await assertReplays(log, end);
  },
);

async function serve(
  machine: Machine,
  folder: string,
): Promise<{ path: string }> {
  const path = `${folder}/qmp`;
  await machine.serveQmp(`unix:${path}`);
  return { path };
}

test(
  "monitors: nothing of theirs reaches a replay, and they are told",
  async (made, folder) => {
    const log = `${folder}/log`;
    const options = { kernel: made.kernel, memory: "16M", display: "none" };
    const recording = await Machine.load(PC, { ...options, record: log });
    const run = recording.run();
    await recording.serial(0).expect("ready");
    recording.reset();
    await recording.serial(0).expect("ready");
    void recording.serial(0).write("q");
    await within("the end of the run", run);
    const end = endOf(recording);
    await recording.stop();
    const machine = await Machine.replay(log);
    const { path } = await serve(machine, folder);
    const client = await QmpClient.connect(path);
    const monitor = await machine.monitor();
    for (
      const line of [
        "sendkey a",
        "mouse_move 1 1",
        "system_reset",
        "system_powerdown",
        "nmi",
        "eject ide.disk2",
        "i /b 0x60",
        "o /b 0x80 1",
      ]
    ) {
      const [word] = line.split(" ");
      assertEquals(
        await monitor.run(line),
        `Error: "${word}" is not for a replay, which has what was recorded\n`,
      );
    }
    assertMatch(await monitor.run("loadvm x"), /does not become another one/);
    const { error } = await client.execute("system_reset");
    assertStringIncludes(error.desc, "not for a replay");
    client[Symbol.dispose]();
    assertThrows(() => machine.reset(), ReplayError, "nothing else reaches it");
    assertThrows(() => machine.pressPowerButton(), ReplayError);
    await assertRejects(
      () => machine.media.eject("ide.disk2", { force: true }),
      MediaError,
      "a replay has the media that were recorded",
    );
    const state = machine.save();
    assertThrows(() => machine.load(state), ReplayError, "another one");
    await within("the end of the run", machine.run());
    assertEquals(endOf(machine), end);
    await machine.stop();
  },
);

test(
  "debuggers: a run with breakpoints, steps and inputs is replayed",
  async (made, folder) => {
    const log = `${folder}/log`;
    const machine = await Machine.load(PC, {
      kernel: made.kernel,
      memory: "16M",
      display: "none",
      record: log,
    });
    const debug = await machine.debug();
    const serial = machine.serial(0);
    const ready = debug.setBreakpoint(made.at("work"));
    await debug.resume();
    ready.remove();
    const points = ["tick", "key", "serial", "report"].map((name) =>
      debug.setBreakpoint(made.at(name))
    );
    for (let i = 0; i < 200; i++) {
      if (i % 5 === 0) void serial.write("abc"[i % 3]);
      if (i % 7 === 0) void machine.screen().press("KeyA");
      await debug.resume();
      for (let j = 0; j < i % 4; j++) await debug.step(0);
    }
    const [cpu] = debug.cpus;
    const refused = "would not be in the recording";
    const bytes = new Uint8Array(4);
    assertThrows(() => cpu.registers.write("eax", bytes), DebugError, refused);
    assertThrows(() => cpu.write(0x200000, bytes), DebugError, refused);
    assertThrows(
      () => debug.writePhysical(0x200000, bytes),
      DebugError,
      refused,
    );
    assertEquals(cpu.read(0x200000, bytes), 4);
    for (const point of points) point.remove();
    const end = debug.resume();
    await serial.expect(/^k/m);
    void serial.write("q");
    assertEquals((await within("the end of the run", end)).kind, "end");
    const place = endOf(machine);
    await machine.stop();
    await assertReplays(log, place);
  },
);

Deno.test({
  name: `debuggers: steps of one CPU of several are replayed${
    NASM ? "" : " (skipped: there is no nasm)"
  }`,
  ignore: !NASM,
  fn: () =>
    withKernel("smp", ["CPUS=4", "X2APIC"], async (kernel, folder) => {
      const log = `${folder}/log`;
      const machine = await Machine.load(PC, {
        kernel,
        smp: 4,
        cpu: "max",
        memory: "64M",
        record: log,
      });
      const debug = await machine.debug();
      const started = debug.resume();
      // Where one waits for the others, with PAUSE.
      await machine.serial(0).expect(/\n[^]*\n/);
      debug.pause();
      let event = await started;
      // One after the other: what stopped before is not told again.
      const stepped = new Set<number>();
      for (let i = 0; i < 40 && event.kind !== "end"; i++) {
        const cpu = i % 4;
        if (debug.cpus[cpu].isWaiting) continue;
        event = await debug.step(cpu);
        assertEquals(event, { kind: "step", cpu });
        stepped.add(cpu);
      }
      assert(stepped.size > 1);
      for (let i = 0; i < 200 && event.kind !== "end"; i++) {
        const { cpu } = event;
        if (!debug.cpus[cpu].isWaiting) event = await debug.step(cpu);
        else break;
      }
      if (event.kind !== "end") event = await debug.resume();
      assertEquals(event.kind, "end");
      const end = endOf(machine);
      await machine.stop();
      await assertReplays(log, end);
    }),
});

const gdb = missing("gdb", "nasm");

Deno.test({
  name: `debuggers: gdb is told that it cannot write${gdb}`,
  ignore: gdb !== "",
  fn: () =>
    withFolder(async (folder) => {
      const made = (await guest(LISTENER))!;
      const log = `${folder}/log`;
      for (const isReplay of [false, true]) {
        const machine = isReplay
          ? await Machine.replay(log)
          : await Machine.load(PC, {
            kernel: made.kernel,
            cpu: "pentium3",
            memory: "16M",
            record: log,
          });
        const server = await machine.serveGdb(
          `unix:${folder}/gdb${isReplay}`,
          { wait: true },
        );
        machine.start();
        const shown = answers(
          await runGdb(
            { symbols: "/dev/null" },
            server.address,
            `set architecture i386
             target remote $REMOTE
             hbreak *0x${made.at("work").toString(16)}
             continue
             set $eax = 5
             set *(int*)0x200000 = 7
             p *(int*)0x200000 == 7
             monitor nmi
             delete
             stepi
             kill`,
          ),
        );
        const why = isReplay ? "is replayed" : "is recorded";
        const errors = shown.get("errors")!;
        assertMatch(errors, new RegExp(`Could not write register.*${why}`));
        assertMatch(
          errors,
          /Cannot access memory|is re(played|corded).*\n.*is re(played|corded)/s,
        );
        assertMatch(shown.get("p *(int*)0x200000 == 7")!, /= 0/);
        if (isReplay) {
          assertStringIncludes(errors, "not for a replay");
        }
        await machine.stop();
      }
      await made.remove();
    }),
});
