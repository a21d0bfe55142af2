/**
 * The debugger beside interrupts, faults, HLT and time, with several CPUs, in
 * real mode, and over resets.
 */

import { assert, assertEquals } from "@std/assert";
import type { MachineDebugger } from "../../core/debug/contract.ts";
import { EVENTS, type Guest, guest, load } from "./guest.ts";

const made = await guest(EVENTS);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

function test(name: string, body: (g: Guest) => Promise<void>): void {
  Deno.test(name + skipped, async () => {
    if (made !== undefined) await body(made);
  });
}

/** Goes on to a place that has no breakpoint. */
async function goTo(debug: MachineDebugger, address: number): Promise<void> {
  const point = debug.setBreakpoint(address);
  const { kind } = await debug.resume();
  point.remove();
  assertEquals([kind, debug.cpus[0].pc], ["breakpoint", address]);
}

for (const accel of ["interp", "jit"] as const) {
  test(`a run under the instruction count is the same, however often it is looked at (${accel})`, async (g) => {
    await using plain = await load(g, { accel });
    const result = await plain.run();
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const places = ["again", "on_tick", "halt", "on_invalid"];
    let points = places.map((label) => debug.setBreakpoint(g.at(label)));
    const memory = new Uint8Array(4);
    for (let n = 0;; n++) {
      const running = debug.resume();
      if (n % 7 === 0) debug.pause();
      const stop = await running;
      if (stop.kind === "end") {
        assertEquals(stop.result, result);
        break;
      }
      assertEquals(debug.cpus[0].read(debug.cpus[0].pc, memory), 4);
      // As gdb does.
      for (const point of points) point.remove();
      if (n % 5 === 0) await debug.step(0);
      points = places.map((label) => debug.setBreakpoint(g.at(label)));
    }
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
    assertEquals(machine.clock.now(), plain.clock.now());
    assertEquals(machine.save().cpu, plain.save().cpu);
  });

  test(`a step ends at a handler's first instruction, and over HLT (${accel})`, async (g) => {
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    const step = async (): Promise<number> => {
      assertEquals(await debug.step(0), { kind: "step", cpu: 0 });
      return cpu.pc;
    };
    await goTo(debug, g.at("divide"));
    assertEquals(await step(), g.at("on_divide"));
    assertEquals(await step(), g.at("on_divide") + 4);
    assertEquals(await step(), g.at("divided"));
    await goTo(debug, g.at("shadow"));
    const before = machine.clock.now();
    assertEquals(await step(), g.at("halt"));
    assert(machine.clock.now() - before < 100);
    assertEquals(await step(), g.at("on_tick"));
    // It waited for the timer.
    assert(machine.clock.now() - before > 1000);
    await goTo(debug, g.at("halt") + 1);
  });

  test(`a step that holds interrupts off goes on behind HLT (${accel})`, async (g) => {
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    await goTo(debug, g.at("halt"));
    const before = machine.clock.now();
    assertEquals(await debug.step(0, true), { kind: "step", cpu: 0 });
    assertEquals(cpu.pc, g.at("halt") + 1);
    assert(machine.clock.now() - before > 1000);
    const flags = cpu.registers.read("eflags")[1];
    assert((flags & 2) !== 0, "interrupts are on");
    // It is still due.
    assertEquals(await debug.step(0), { kind: "step", cpu: 0 });
    assertEquals(cpu.pc, g.at("on_tick"));
  });

  test(`a pause ends a step over HLT that nothing ends (${accel})`, async () => {
    const halted = await guest("start:\n  mov al, 0\n  sti\nhalt:\n  hlt\n");
    if (halted === undefined) return;
    await using machine = await load(halted, { accel, icount: false });
    const debug = await machine.debug();
    await goTo(debug, halted.at("halt"));
    const stepped = debug.step(0);
    while (!debug.cpus[0].isWaiting) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    debug.pause();
    assertEquals(await stepped, { kind: "pause", cpu: 0 });
    assertEquals(debug.cpus[0].isWaiting, true);
    await halted.remove();
  });

  test(`watchpoints see what interrupts push, strings and wide accesses (${accel})`, async (g) => {
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    const to = async (
      address: number,
      access: "read" | "write",
    ): Promise<number> => {
      const point = debug.setWatchpoint({ address, size: 2, access });
      const stop = await debug.resume();
      assertEquals(stop, { kind: "watchpoint", cpu: 0, address, access });
      point.remove();
      return cpu.pc;
    };
    await goTo(debug, g.at("go_on"));
    assertEquals(await to(0x200000 - 12, "write"), g.at("on_tick"));
    await goTo(debug, g.at("copy"));
    // After the element, not the whole instruction.
    assertEquals(await to(0x182004, "write"), g.at("copy"));
    const left = new Uint8Array(1);
    cpu.read(0x182005, left);
    assertEquals(left[0], 0);
    assertEquals(await to(0x180028, "read"), g.at("copy"));
    assertEquals(await to(0x182006, "read"), g.at("wide") + 16);
    assertEquals(await to(0x182008, "write"), g.at("wide") + 23);
    await using plain = await load(g, { accel });
    const result = await plain.run();
    const end = await debug.resume();
    assertEquals(end, { kind: "end", cpu: 0, result });
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
  });
}

test("breakpoints stay over a reset", async () => {
  const restarts = await guest(`
start:
  inc byte [0x90000]
  cmp byte [0x90000], 3
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
  await using machine = await load(restarts, { noReboot: false });
  const debug = await machine.debug();
  debug.setBreakpoint(restarts.at("start"));
  // Where it is at first, it has come to already.
  for (let n = 0; n < 2; n++) {
    assertEquals(await debug.resume(), { kind: "breakpoint", cpu: 0 });
  }
  const byte = new Uint8Array(1);
  assertEquals(debug.readPhysical(0x90000, byte), 1);
  assertEquals(byte[0], 2);
  assertEquals((await debug.resume()).kind, "end");
  await restarts.remove();
});

/** Two CPUs that count; the second one starts in real mode at 0x8000. */
const SMP = `
start:
  mov esp, 0x200000
  mov esi, trampoline
  mov edi, 0x8000
  mov ecx, trampoline_end - trampoline
  rep movsb
  mov eax, [0xfee000f0]
  or eax, 0x100
  mov [0xfee000f0], eax
  mov dword [0xfee00300], 0xc4500
  mov dword [0xfee00300], 0xc4608
  mov ecx, 300
mine:
  call work
  dec ecx
  jnz mine
finish:
  cmp dword [0x90000], 300
  pause
  jne finish
  xor eax, eax
  out 0xf4, al
  hlt
work:
  mov eax, [0x90004]
  inc eax
  mov [0x90004], eax
  ret
trampoline:
bits 16
  mov ax, 0x9000
  mov ds, ax
  mov cx, 300
theirs:
  inc dword [0]
  loop theirs
  hlt
bits 32
trampoline_end:
`;

test("several CPUs stop and step by themselves, one of them in real mode", async () => {
  const both = await guest(SMP);
  if (both === undefined) return;
  const options = { smp: 2, definition: "pc.json", memory: "32M" };
  for (const accel of ["interp", "jit"] as const) {
    await using plain = await load(both, { ...options, accel });
    const result = await plain.run();
    assertEquals(result, { reason: "exit", status: 1 });
    await using machine = await load(both, { ...options, accel });
    const debug = await machine.debug();
    const theirs = 0x8000 + both.at("theirs") - both.at("trampoline");
    debug.setBreakpoint(both.at("work"));
    debug.setBreakpoint(theirs);
    const hits = [0, 0];
    for (;;) {
      const stop = await debug.resume();
      if (stop.kind === "end") {
        assertEquals(stop.result, result);
        break;
      }
      assertEquals(stop.kind, "breakpoint");
      const [one, other] = stop.cpu === 0 ? [0, 1] : [1, 0];
      hits[one]++;
      assertEquals(
        debug.cpus[one].pc,
        one === 0 ? both.at("work") : theirs,
      );
      if (hits[one] % 10 !== 0) continue;
      // The other one stands still while it steps.
      const at = debug.cpus[other].pc;
      assertEquals(await debug.step(one), { kind: "step", cpu: one });
      assert(debug.cpus[one].pc !== debug.cpus[other].pc);
      assertEquals(debug.cpus[other].pc, at);
    }
    assertEquals(hits, [300, 300]);
  }
  await both.remove();
});
