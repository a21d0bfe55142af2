import { assertEquals, assertRejects } from "@std/assert";
import type { StopEvent } from "../../core/debug/contract.ts";
import { type Guest, guest, load } from "./guest.ts";

/** Runs of a loop, a procedure, a string instruction, a fault; then it ends with status 1. */
const SOURCE = `
start:
  mov esp, 0x200000
  xor ebx, ebx
  mov ecx, 1000
loop:
  add ebx, ecx
  call leaf
back:
  dec ecx
  jnz loop
done:
  mov edi, 0x180000
  mov ecx, 20
fill:
  rep stosd
filled:
  mov dword [0x180100], 0x1234
  mov eax, [0x180100]
  xor eax, eax
  out 0xf4, al
  hlt
leaf:
  inc edx
  ret
`;

const made = await guest(SOURCE);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

function test(name: string, body: (g: Guest) => Promise<void>): void {
  Deno.test(name + skipped, async () => {
    if (made !== undefined) await body(made);
  });
}

/** A stop without what differs. */
function kindOf(event: StopEvent): string {
  return event.kind;
}

for (const accel of ["interp", "jit"] as const) {
  test(`a breakpoint in a loop stops each time it is reached (${accel})`, async (g) => {
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    const point = debug.setBreakpoint(g.at("back"));
    for (let n = 1; n <= 200; n++) {
      assertEquals(await debug.resume(), { kind: "breakpoint", cpu: 0 });
      assertEquals(cpu.pc, g.at("back"));
    }
    point.remove();
    const leaf = debug.setBreakpoint(g.at("leaf"));
    for (let n = 0; n < 100; n++) {
      assertEquals(kindOf(await debug.resume()), "breakpoint");
      assertEquals(cpu.pc, g.at("leaf"));
    }
    leaf.remove();
    debug.setBreakpoint(g.at("done"));
    assertEquals(kindOf(await debug.resume()), "breakpoint");
    assertEquals(cpu.pc, g.at("done"));
    const end = await debug.resume();
    assertEquals(end, {
      kind: "end",
      cpu: 0,
      result: { reason: "exit", status: 1 },
    });
  });

  test(`steps go through calls, and through the elements of a string instruction (${accel})`, async (g) => {
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    const pcs = [];
    debug.setBreakpoint(g.at("loop"));
    assertEquals(kindOf(await debug.resume()), "breakpoint");
    for (let n = 0; n < 7; n++) {
      assertEquals(await debug.step(0), { kind: "step", cpu: 0 });
      pcs.push(cpu.pc);
    }
    const [loop, leaf, back] = ["loop", "leaf", "back"].map(g.at);
    assertEquals(pcs, [
      loop + 2,
      leaf,
      leaf + 1,
      back,
      back + 1,
      loop,
      loop + 2,
    ]);
    debug.setBreakpoint(g.at("fill"));
    let stop = await debug.resume();
    while (cpu.pc !== g.at("fill")) stop = await debug.resume();
    assertEquals(stop.kind, "breakpoint");
    const before = machine.cpu.instructions;
    for (let n = 1; n < 20; n++) {
      assertEquals(kindOf(await debug.step(0)), "step");
      assertEquals(cpu.pc, g.at("fill"));
    }
    await debug.step(0);
    assertEquals(cpu.pc, g.at("filled"));
    assertEquals(machine.cpu.instructions, before + 1);
  });

  test(`watchpoints stop after the instruction (${accel})`, async (g) => {
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    const write = debug.setWatchpoint({
      address: 0x180102,
      size: 1,
      access: "write",
    });
    assertEquals(await debug.resume(), {
      kind: "watchpoint",
      cpu: 0,
      address: 0x180102,
      access: "write",
    });
    assertEquals(cpu.pc, g.at("filled") + 10);
    write.remove();
    debug.setWatchpoint({ address: 0x180100, size: 4, access: "read" });
    assertEquals(kindOf(await debug.resume()), "watchpoint");
    assertEquals(cpu.pc, g.at("filled") + 15);
    assertEquals(kindOf(await debug.resume()), "end");
  });

  test(`memory is read and written as the CPU sees it (${accel})`, async (g) => {
    await using machine = await load(g, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    debug.setBreakpoint(g.at("loop"));
    for (let n = 0; n < 20; n++) await debug.resume();
    const code = new Uint8Array(4);
    assertEquals(cpu.read(g.at("done"), code), 4);
    assertEquals([...code], [0xbf, 0, 0, 0x18]);
    // DEC ECX; JNZ becomes MOV AL, 6; OUT 0xf4, AL.
    assertEquals(cpu.write(g.at("back"), Uint8Array.of(0xb0, 6, 0xe6)), 3);
    assertEquals(debug.writePhysical(g.at("back") + 3, Uint8Array.of(0xf4)), 1);
    const end = await debug.resume();
    assertEquals(end, {
      kind: "end",
      cpu: 0,
      result: { reason: "exit", status: 13 },
    });
    assertEquals(cpu.read(0x7fffffff, code), 0);
  });
}

test("a pause, a detach, and the end of a run", async (g) => {
  await using machine = await load(g, { icount: false });
  const debug = await machine.debug();
  debug.pause();
  const run = machine.run();
  assertEquals(debug.isRunning, false);
  assertEquals(machine.running, true);
  assertEquals(machine.cpu.instructions, 0);
  await assertRejects(async () => await debug.step(1), RangeError);
  debug.setBreakpoint(g.at("back"));
  assertEquals(kindOf(await debug.resume()), "breakpoint");
  debug.detach();
  assertEquals(await run, { reason: "exit", status: 1 });
});
