/**
 * Hooks over what happens to their machine: snapshots loaded, resets, recorded
 * runs and replays; listeners that write registers and memory.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { DebugCpu } from "../../core/debug/contract.ts";
import { HookError } from "../../core/debug/hook_error.ts";
import type { Machine } from "../../machines/machine.ts";
import { Machine as MachineMaker } from "../../machines/machine.ts";
import { EVENTS, type Guest, guest, load } from "./guest.ts";

const made = await guest(EVENTS);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

function test(name: string, body: (g: Guest) => Promise<void>): void {
  Deno.test(name + skipped, async () => {
    if (made !== undefined) await body(made);
  });
}

/** Notes what all kinds of hooks tell, in its order. */
async function notes(machine: Machine, g: Guest): Promise<unknown[]> {
  const told: unknown[] = [];
  const note = (kind: string) => (event: object): void =>
    void told.push([kind, machine.cpu.instructions, event]);
  for (
    const kind of ["exception", "interrupt", "port", "device"] as const
  ) await machine.on(kind, note(kind));
  await machine.on("block", note("block"), {
    address: g.at("again"),
    size: g.at("go_on") - g.at("again"),
  });
  await machine.watch(
    { address: 0x180000, size: 8, access: "access" },
    note("linear"),
  );
  await machine.watch(
    { address: 0x181000, size: 0x2000, access: "write", space: "physical" },
    note("physical"),
  );
  await machine.watch(
    { address: g.at("on_tick"), size: 1, access: "execute" },
    note("execute"),
  );
  return told;
}

const PRECISE = { set: ["time.precise=true"] };

for (const accel of ["interp", "jit"] as const) {
  test(`hooks hear the same again after a snapshot was loaded (${accel})`, async (g) => {
    const folder = await Deno.makeTempDir();
    try {
      await using machine = await load(g, { ...PRECISE, accel });
      const told = await notes(machine, g);
      let saved: Promise<unknown> | undefined;
      let before = 0;
      await machine.watch(
        { address: g.at("invalid"), size: 1, access: "execute" },
        () => {
          saved ??= machine.saveSnapshot(`${folder}/a.rhea`)
            .then(() => before = told.length);
        },
      );
      const result = await machine.run();
      await saved;
      const rest = told.slice(before);
      assert(before > 900 && rest.length > 30, `${before}, ${rest.length}`);
      for (let n = 0; n < 2; n++) {
        await machine.loadSnapshot(`${folder}/a.rhea`);
        told.length = 0;
        assertEquals(await machine.run(), result);
        assertEquals(told, rest);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  test(`what hooks hear of a recorded run they hear of its replay, whether it had any (${accel})`, async (g) => {
    const folder = await Deno.makeTempDir();
    try {
      const all: unknown[][] = [];
      for (const hasHooks of [true, false]) {
        const path = `${folder}/${hasHooks}.log`;
        const recorded = await load(g, {
          ...PRECISE,
          accel,
          icount: undefined,
          record: path,
        });
        if (hasHooks) all.push(await notes(recorded, g));
        const result = await recorded.run();
        await recorded.stop();
        await using replayed = await MachineMaker.replay(path);
        const told = await notes(replayed, g);
        assertEquals(await replayed.run(), result);
        all.push(told);
      }
      await using again = await MachineMaker.replay(`${folder}/true.log`);
      const { cpus: [cpu] } = await again.debug();
      await again.on("exception", () => {
        cpu.registers.write("rcx", number(1));
      });
      await assertRejects(() => again.run(), HookError, "replay");
      const [first, ...others] = all;
      assert(first.length > 900);
      // Times are not those of another run: the guest waits for the host's.
      assertEquals(others[0], first);
      assertEquals(others[1].length, first.length);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  test(`hooks stay over resets (${accel})`, async () => {
    const restarts = await guest(`
start:
  inc byte [0x90000]
access:
  mov dword [0x180000], 1
  cmp byte [0x90000], 4
  je done
  mov al, 0xfe
  out 0x64, al
  jmp $
done:
  xor eax, eax
  out 0xf4, al
  hlt
`);
    if (restarts === undefined) return;
    await using machine = await load(restarts, { accel, noReboot: false });
    const told: string[] = [];
    const hear = (what: string) => (): void => void told.push(what);
    await machine.on("reset", hear("reset"));
    await machine.on("port", hear("port"), { address: 0x64 });
    await machine.watch(
      { address: 0x180000, size: 1, access: "write" },
      hear("watch"),
    );
    await machine.watch(
      { address: restarts.at("access"), size: 1, access: "execute" },
      hear("execute"),
    );
    assertEquals((await machine.run()).reason, "exit");
    const turn = ["execute", "watch", "port", "reset"];
    assertEquals(told, [turn, turn, turn, turn.slice(0, 2)].flat());
    await restarts.remove();
  });

  test(`a watch's listener writes registers, the program counter and code, and starts nothing (${accel})`, async (g) => {
    for (const place of ["execute", "write"] as const) {
      /** Does something the fifth time; gives how often the loop was begun, and its counter. */
      const run = async (
        change: (cpu: DebugCpu, machine: Machine) => void,
      ): Promise<number[]> => {
        await using machine = await load(g, { accel, threshold: 2 });
        const { cpus: [cpu] } = await machine.debug();
        let n = 0;
        await machine.watch(
          place === "write"
            ? { address: 0x180000, size: 4, access: "write" }
            : { address: g.at("again"), size: 1, access: "execute" },
          () => {
            if (++n === 5) change(cpu, machine);
          },
        );
        using coverage = await machine.coverage();
        assertEquals((await machine.run()).reason, "exit");
        const counter = machine.space("memory").read(0x180004, 4);
        return [coverage.counts().get(g.at("again"))!, counter];
      };
      // Of ECX's ten rounds the fifth is the first.
      const shorter = await run((cpu) =>
        cpu.registers.write("rcx", number(10))
      );
      assertEquals(shorter, [14, 14], place);
      // Behind the division: the round is over before its store, or its increment.
      const left = await run((cpu) =>
        cpu.registers.write("rip", number(g.at("divided")))
      );
      assertEquals(left, [place === "write" ? 5 : 4, 4], place);
      // The increment is gone.
      const patched = await run((cpu) =>
        assertEquals(cpu.write(g.at("again") + 6, nops(6)), 6)
      );
      assertEquals(patched, [300, 4], place);
      const started = await run((_cpu, machine) => machine.start());
      assertEquals(started, [300, 300], place);
    }
  });
}

function number(n: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, n, true);
  return bytes;
}

function nops(count: number): Uint8Array {
  return new Uint8Array(count).fill(0x90);
}

Deno.test({ name: "remove the guest", fn: async () => await made?.remove() });
