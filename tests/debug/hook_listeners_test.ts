/**
 * Listeners that do more than take notes: they throw, end hooks, pause and stop
 * the machine, save it, and look at registers and memory.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HookError } from "../../core/debug/hook_error.ts";
import type { Hook } from "../../core/debug/events.ts";
import type { Machine, MachineOptions } from "../../machines/machine.ts";
import { EVENTS, type Guest, guest, load as loadGuest } from "./guest.ts";

const made = await guest(EVENTS);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

function test(name: string, body: (g: Guest) => Promise<void>): void {
  Deno.test(name + skipped, async () => {
    if (made !== undefined) await body(made);
  });
}

/** A machine that does the same however its run is cut. */
function load(
  g: Guest,
  options: MachineOptions & { threshold?: number } = {},
): Promise<Machine> {
  return loadGuest(g, { ...options, set: ["time.precise=true"] });
}

type Place = (
  machine: Machine,
  g: Guest,
  listener: () => void,
) => Promise<Hook>;

/** All that can be listened to, at a place that the guest comes to. */
const PLACES: Readonly<Record<string, Place>> = {
  exception: (machine, _g, listener) => machine.on("exception", listener),
  interrupt: (machine, _g, listener) => machine.on("interrupt", listener),
  port: (machine, _g, listener) =>
    machine.on("port", listener, { address: 0x20, size: 2 }),
  block: (machine, _g, listener) => machine.on("block", listener),
  device: (machine, _g, listener) =>
    machine.on("device", listener, { device: "pit" }),
  watch: (machine, _g, listener) =>
    machine.watch({ address: 0x180000, size: 4, access: "write" }, listener),
  execute: (machine, g, listener) =>
    machine.watch(
      { address: g.at("again"), size: 1, access: "execute" },
      listener,
    ),
};

test("what a listener throws ends the run with a HookError, and the guest can go on", async (g) => {
  await using plain = await load(g);
  const result = await plain.run();
  for (const [kind, place] of Object.entries(PLACES)) {
    await using machine = await load(g);
    let calls = 0;
    const hook = await place(machine, g, () => {
      if (++calls === 2) throw new Error("no more");
    });
    const error = await assertRejects(
      () => machine.run(),
      HookError,
      "no more",
      kind,
    );
    assertEquals(error.event, kind === "execute" ? "watch" : kind);
    assert(error.cause instanceof Error);
    assertEquals(machine.running, false);
    hook.remove();
    assertEquals(await machine.run(), result, kind);
    assertEquals(machine.cpu.instructions, plain.cpu.instructions, kind);
    // An asynchronous one.
    await using other = await load(g);
    const listener = async (): Promise<void> => {
      await Promise.resolve();
      throw "rejected";
    };
    await place(other, g, listener);
    await assertRejects(
      () => other.run().then(() => other.stop()),
      HookError,
      "rejected",
      kind,
    );
  }
});

test("a listener's error when the machine does not run comes with the next run, or stop", async (g) => {
  const machine = await load(g);
  await machine.on("shutdown", () => {
    throw new Error("at the end");
  });
  await assertRejects(() => machine.stop(), HookError, "at the end");
});

test("a hook that is removed within a listener hears no more, others do", async (g) => {
  for (const accel of ["interp", "jit"] as const) {
    await using plain = await load(g, { accel });
    const result = await plain.run();
    for (const [kind, place] of Object.entries(PLACES)) {
      await using machine = await load(g, { accel });
      const hooks: Hook[] = [];
      let mine = 0, others = 0;
      hooks.push(
        await place(machine, g, () => {
          mine++;
          hooks[0].remove();
          hooks[1].remove();
          hooks[0][Symbol.dispose]();
        }),
      );
      hooks.push(await place(machine, g, () => others--));
      hooks.push(await place(machine, g, () => others++));
      assertEquals(await machine.run(), result, kind);
      assertEquals(machine.cpu.instructions, plain.cpu.instructions, kind);
      assertEquals(mine, 1, kind);
      assert(others > 1, `${kind}: ${others}`);
    }
  }
});

test("a hook that a listener asks for hears from its instruction on", async (g) => {
  for (const accel of ["interp", "jit"] as const) {
    await using plain = await load(g, { accel });
    const result = await plain.run();
    for (const [kind, place] of Object.entries(PLACES)) {
      await using machine = await load(g, { accel });
      let first = 0, second = 0;
      let added: Promise<Hook> | undefined;
      await place(machine, g, () => {
        first++;
        added ??= place(machine, g, () => second++);
      });
      assertEquals(await machine.run(), result, kind);
      assertEquals(machine.cpu.instructions, plain.cpu.instructions, kind);
      await added;
      assertEquals(second, first - 1, kind);
    }
  }
});

test("a machine is paused, and stopped, by a listener", async (g) => {
  for (const [kind, place] of Object.entries(PLACES)) {
    const machine = await load(g);
    const paused: Promise<void>[] = [];
    const hook = await place(machine, g, () => {
      paused.push(machine.pause());
    });
    assertEquals((await machine.run()).reason, "stop", kind);
    await Promise.all(paused);
    assertEquals(machine.running, false);
    hook.remove();
    let stopped: Promise<unknown> | undefined;
    await machine.on("port", () => stopped ??= machine.stop());
    await machine.run();
    await stopped;
    assertThrows(() => machine.start(), Error, "stopped");
    await machine.stop();
  }
});

test("a snapshot that a listener asks for is one between instructions", async (g) => {
  const directory = await Deno.makeTempDir();
  try {
    await using plain = await load(g);
    const result = await plain.run();
    for (const [kind, place] of Object.entries(PLACES)) {
      const path = `${directory}/${kind}.rhea`;
      await using machine = await load(g);
      let saved: Promise<unknown> | undefined;
      const hook = await place(machine, g, () => {
        if (saved !== undefined) return;
        saved = machine.saveSnapshot(path);
        hook.remove();
      });
      assertEquals(await machine.run(), result, kind);
      await saved;
      await using other = await load(g);
      await other.loadSnapshot(path);
      assert(other.cpu.instructions < plain.cpu.instructions, kind);
      assertEquals(await other.run(), result, kind);
      assertEquals(other.save().cpu, plain.save().cpu, kind);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("a machine whose hooks were removed executes as one that never had any", async (g) => {
  for (const accel of ["interp", "jit"] as const) {
    // Whatever is no time of the host's.
    const counts = (machine: Machine): Record<string, number> =>
      Object.fromEntries(
        Object.entries(machine.stats()).filter(([name]) =>
          !/ms$|Ms$|Flushes|flushes/.test(name)
        ),
      );
    await using plain = await load(g, { accel });
    await plain.run();
    await using machine = await load(g, { accel });
    for (const place of Object.values(PLACES)) {
      (await place(machine, g, () => {})).remove();
    }
    (await machine.on("mmio", () => {})).remove();
    (await machine.on("software-interrupt", () => {})).remove();
    (await machine.coverage()).stop();
    await machine.run();
    assertEquals(counts(machine), counts(plain));
  }
});

for (const accel of ["interp", "jit"] as const) {
  test(`registers and memory in a listener are those of the instruction (${accel})`, async (g) => {
    await using machine = await load(g, { accel, threshold: 2 });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    const word = (bytes: Uint8Array): number =>
      new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    const ecx = (): number => word(cpu.registers.read("rcx"));
    const stored = new Uint8Array(4);
    const seen: number[][] = [];
    await machine.watch(
      { address: 0x180000, size: 4, access: "write" },
      () => {
        cpu.read(0x180000, stored);
        seen.push([ecx(), word(stored)]);
      },
    );
    const reached: number[] = [];
    await machine.watch(
      { address: g.at("again"), size: 1, access: "execute" },
      ({ pc }) => {
        assertEquals([pc, cpu.pc], [g.at("again"), g.at("again")]);
        reached.push(ecx());
      },
    );
    const ports: number[][] = [];
    await machine.on("port", ({ pc, value }) => {
      assertEquals(cpu.pc, pc);
      const code = new Uint8Array(1);
      cpu.read(pc!, code);
      // out imm8, al.
      assertEquals(code[0], 0xe6);
      ports.push([word(cpu.registers.read("rax")) & 0xff, value]);
    }, { address: 0x20, size: 2 });
    await machine.run();
    const down = Array.from({ length: 300 }, (_, i) => 300 - i);
    assertEquals(seen, down.map((n) => [n, n]));
    assertEquals(reached, down);
    assertEquals(ports.length, 9);
    for (const [al, value] of ports) assertEquals(al, value);
  });
}

Deno.test({
  name: "remove the guest",
  fn: async () => await made?.remove(),
});
