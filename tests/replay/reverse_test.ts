/** Going backwards in a replayed run. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { MachineDebugger } from "../../core/debug/contract.ts";
import { ReplayError } from "../../core/replay/error.ts";
import type { ReplayDebugger } from "../../core/replay/reverse.ts";
import { Machine } from "../../machines/machine.ts";
import { type Guest, guest, load } from "../debug/guest.ts";
import { answers, missing, runGdb } from "../gdb/harness.ts";
import { within } from "../limit.ts";
import { CRASHER } from "./guests.ts";

const made = await guest(CRASHER);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

interface Replay {
  readonly guest: Guest;
  readonly machine: Machine;
  readonly replayer: ReplayDebugger;
  readonly debug: MachineDebugger;
}

function test(name: string, body: (replay: Replay) => Promise<void>): void {
  Deno.test(name + skipped, async () => {
    if (made === undefined) return;
    const log = await Deno.makeTempFile();
    try {
      await using recorded = await load(made, { record: log, cpu: "pentium3" });
      assertEquals(
        (await within("the end of the run", recorded.run())).reason,
        "shutdown",
      );
      await recorded.stop();
      await using machine = await Machine.replay(log);
      const replayer = await machine.replayer();
      const debug = await machine.debug();
      await body({ guest: made, machine, replayer, debug });
    } finally {
      await Deno.remove(log);
    }
  });
}

/** Where a CPU is, and what it has. */
function look({ debug, replayer }: Replay): string {
  const [cpu] = debug.cpus;
  const registers = ["eax", "ebx", "edi", "esp", "eflags"].map((name) =>
    cpu.registers.read(name).toHex()
  );
  return `${replayer.count} ${cpu.pc.toString(16)} ${registers.join(" ")}`;
}

test("reverse: steps undo steps, interrupts included", async (replay) => {
  const { replayer, debug } = replay;
  await replayer.seek(500_000);
  const point = debug.setBreakpoint(replay.guest.at("tick"));
  await debug.resume();
  point.remove();
  // Back to before the interrupt, and over it.
  await replayer.seek(replayer.count - 8);
  const seen: string[] = [];
  for (let i = 0; i < 20; i++) {
    seen.push(look(replay));
    assertEquals((await debug.step(0)).kind, "step");
  }
  const { at } = replay.guest;
  assert(seen.some((line) => line.includes(` ${at("tick").toString(16)} `)));
  for (const line of seen.toReversed()) {
    assertEquals(await replayer.step(0), { kind: "step", cpu: 0 });
    assertEquals(look(replay), line);
  }
});

test("reverse: back to the breakpoints that were passed, and to the beginning", async (replay) => {
  const { replayer, debug, guest } = replay;
  const point = debug.setBreakpoint(guest.at("write"));
  const seen: string[] = [];
  for (let i = 0; i < 5; i++) {
    assertEquals((await debug.resume()).kind, "breakpoint");
    seen.push(look(replay));
  }
  for (const line of seen.slice(0, -1).toReversed()) {
    assertEquals((await replayer.resume()).kind, "breakpoint");
    assertEquals(look(replay), line);
  }
  assertEquals((await replayer.resume()).kind, "beginning");
  assertEquals(replayer.count, 0);
  assertEquals((await replayer.step(0)).kind, "beginning");
  // Forwards again it is the same.
  for (const line of seen) {
    assertEquals((await debug.resume()).kind, "breakpoint");
    assertEquals(look(replay), line);
  }
  point.remove();
});

test("reverse: after a crash, who wrote the variable last", async (replay) => {
  const { replayer, debug, guest } = replay;
  const end = await debug.resume();
  assertEquals(end.kind, "end");
  const [cpu] = debug.cpus;
  const victim = guest.at("victim");
  const value = (): number => {
    const bytes = new Uint8Array(4);
    assertEquals(cpu.read(victim, bytes), 4);
    return new DataView(bytes.buffer).getUint32(0, true);
  };
  assertEquals(value(), 1_000_000);
  const watch = debug.setWatchpoint({
    address: victim,
    size: 4,
    access: "write",
  });
  assertEquals(await replayer.resume(), {
    kind: "watchpoint",
    cpu: 0,
    address: victim,
    access: "write",
  });
  // Before the instruction that did it.
  assertEquals(cpu.pc, guest.at("write"));
  assertEquals(value(), guest.at("fine"));
  assertEquals(cpu.registers.read("ebx").toHex(), "40420f00");
  watch.remove();
  // And forwards it crashes as it did.
  const again = await debug.resume();
  assertEquals(again, end);
});

Deno.test("reverse: only a replay that was not started goes back", async () => {
  if (made === undefined) return;
  await using machine = await load(made);
  await assertRejects(() => machine.replayer(), ReplayError, "not a replay");
});

/** Numbers that gdb prints. */
function numbersOf(text: string): number[] {
  return [...text.matchAll(/= (-?\d+)/g)].map(([, digits]) => Number(digits));
}

const gdb = missing("gdb");

Deno.test({
  name: `reverse: gdb finds who wrote the variable${skipped}${gdb}`,
  ignore: gdb !== "",
  fn: async () => {
    if (made === undefined) return;
    const folder = await Deno.makeTempDir();
    const log = `${folder}/log`;
    try {
      await using recorded = await load(made, { record: log, cpu: "pentium3" });
      await within("the end of the run", recorded.run());
      await recorded.stop();
      await using machine = await Machine.replay(log);
      const server = await machine.serveGdb(`unix:${folder}/gdb`, {
        wait: true,
      });
      machine.start();
      const at = (label: string): string => `0x${made.at(label).toString(16)}`;
      const shown = answers(
        await runGdb(
          { symbols: "/dev/null" },
          server.address,
          `set architecture i386
           target remote $REMOTE
           break *${at("crash")}
           continue
           delete
           watch *(int*)${at("victim")}
           reverse-continue
           p $pc == ${at("write")}
           p $ebx
           stepi
           p *(int*)${at("victim")}
           reverse-stepi
           p *(int*)${at("victim")} == ${at("fine")}
           reverse-stepi
           p $pc == ${at("store")}
           delete
           hbreak *${at("tick")}
           reverse-continue
           p $pc == ${at("tick")}
           reverse-stepi
           p $pc >= ${at("again")} && $pc < ${at("tick")}
           delete
           reverse-continue
           continue`,
        ),
      );
      const hit = shown.get("reverse-continue")!;
      assert(hit.includes(`Hardware watchpoint 2`), hit);
      assertEquals(numbersOf(hit), [1_000_000, made.at("fine")], hit);
      const tests = [...shown].filter(([line]) => /^p .*(==|>=)/.test(line));
      assertEquals(tests.length, 5);
      for (const [line, answer] of tests) {
        assertEquals(numbersOf(answer), [1], `${line}: ${answer}`);
      }
      assertEquals(numbersOf(shown.get("p $ebx")!), [1_000_000]);
      const wrong = shown.get(`p *(int*)${at("victim")}`)!;
      assertEquals(numbersOf(wrong), [1_000_000]);
      const start = shown.get("reverse-continue #3")!;
      assert(start.includes("No more reverse-execution history"), start);
      // Forwards it dies as it did.
      const end = shown.get("continue #2")!;
      assert(/SIG|exited/.test(end), end);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
