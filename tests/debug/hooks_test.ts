import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type {
  BlockEvent,
  BusAccessEvent,
  BusFilter,
  ExceptionEvent,
  InterruptEvent,
  WatchedAccess,
} from "../../core/debug/events.ts";
import { EVENTS, type Guest, guest, load } from "./guest.ts";

const made = await guest(EVENTS);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

function test(name: string, body: (g: Guest) => Promise<void>): void {
  Deno.test(name + skipped, async () => {
    if (made !== undefined) await body(made);
  });
}

test("exceptions and interrupts are told, by filter", async (g) => {
  await using machine = await load(g);
  const exceptions: ExceptionEvent[] = [];
  const invalid: ExceptionEvent[] = [];
  const interrupts: InterruptEvent[] = [];
  await machine.on("exception", (e) => exceptions.push(e));
  await machine.on("exception", (e) => invalid.push(e), { vector: [6] });
  {
    using _ = await machine.on("exception", () => {
      throw new Error("it was removed");
    });
  }
  await machine.on("interrupt", (e) => interrupts.push(e));
  await machine.run();
  const error = undefined;
  assertEquals(exceptions, [
    { cpu: 0, vector: 0, error, address: undefined, pc: g.at("divide") },
    { cpu: 0, vector: 6, error, address: undefined, pc: g.at("invalid") },
  ]);
  assertEquals(invalid, exceptions.slice(1));
  assertEquals(interrupts.map(({ vector }) => vector), [32, 32, 32, 32]);
  for (const { pc } of interrupts) {
    assert(pc >= g.at("ticking") && pc <= g.at("halt") + 1);
  }
});

test("accesses to devices are told, by filter", async (g) => {
  await using machine = await load(g);
  const pic: BusAccessEvent[] = [];
  const reads: BusAccessEvent[] = [];
  await machine.on("port", (e) => pic.push(e), { address: 0x20, size: 2 });
  await machine.on("port", (e) => reads.push(e), {
    address: 0,
    size: 0x10000,
    access: "read",
  });
  await machine.run();
  const values = pic.map(({ address, value }) => [address, value]);
  assertEquals(values, [
    [0x20, 0x11],
    [0x21, 0x20],
    [0x21, 4],
    [0x21, 1],
    [0x21, 0xfe],
    [0x20, 0x20],
    [0x20, 0x20],
    [0x20, 0x20],
    [0x20, 0x20],
  ]);
  assert(pic.every(({ access, width }) => access === "write" && width === 1));
  assertEquals(reads, []);
});

for (const accel of ["interp", "jit"] as const) {
  test(`executed blocks are told, and counted by instruction (${accel})`, async (g) => {
    await using plain = await load(g, { accel });
    const result = await plain.run();
    await using machine = await load(g, { accel });
    const blocks: BlockEvent[] = [];
    using coverage = await machine.coverage();
    const hook = await machine.on("block", (e) => blocks.push(e), {
      address: g.at("again"),
    });
    assertEquals(await machine.run(), result);
    // The first time it is part of the block before.
    assertEquals(blocks.length, 299);
    assertEquals(blocks[0], {
      cpu: 0,
      address: g.at("again"),
      physical: g.at("again"),
      instructions: 4,
      bytes: g.at("divide") - 2 - g.at("again"),
    });
    const counts = coverage.counts();
    assertEquals(counts.get(g.at("again")), 300);
    assertEquals(counts.get(g.at("again") + 6), 300);
    assertEquals(counts.get(g.at("divide")), undefined);
    assertEquals(counts.get(g.at("divided")), 1);
    assertEquals(counts.get(g.at("on_tick")), 4);
    const total = [...counts.values()].reduce((a, b) => a + b, 0);
    assertEquals(total, machine.cpu.instructions);
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
    hook.remove();
  });

  test(`watched memory is told while the guest runs on (${accel})`, async (g) => {
    await using plain = await load(g, { accel });
    const result = await plain.run();
    await using machine = await load(g, { accel });
    const all: WatchedAccess[] = [];
    const physical: WatchedAccess[] = [];
    await machine.watch(
      { address: 0x180004, size: 4, access: "access" },
      (e) => all.push(e),
    );
    const hook = await machine.watch(
      { address: 0x180002, size: 2, access: "write", space: "physical" },
      (e) => physical.push(e),
    );
    assertEquals(await machine.run(), result);
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
    assertEquals(all.length, 600);
    const common = {
      cpu: 0,
      address: 0x180004,
      size: 4,
      pc: g.at("again") + 6,
      device: undefined,
    };
    assertEquals(all.slice(0, 2), [
      { ...common, access: "read" },
      { ...common, access: "write" },
    ]);
    assertEquals(physical.length, 300);
    assertEquals(physical[299], {
      cpu: 0,
      address: 0x180002,
      size: 2,
      access: "write",
      pc: g.at("again"),
      device: undefined,
    });
    hook.remove();
  });
}

test("what happens to the machine is told", async (g) => {
  await using machine = await load(g);
  const told: string[] = [];
  for (const event of ["pause", "resume", "shutdown"] as const) {
    await machine.on(event, ({ type }) => told.push(type));
  }
  const debug = await machine.debug();
  debug.setBreakpoint(g.at("divide"));
  await debug.resume();
  await debug.resume();
  assertEquals(told, ["stop", "resume", "shutdown"]);
  assertThrows(() => machine.space("port"), RangeError, 'mean "ports"?');
  const listener = () => {};
  const on: (event: string, filter?: unknown) => Promise<unknown> = (
    event,
    filter,
  ) => machine.on(event as "port", listener, filter as BusFilter);
  for (
    const [why, event, filter] of [
      ['mean "exception"?', "exeption", undefined],
      ["there is no CPU 1", "interrupt", { cpu: 1 }],
      ["needs an address", "port", { size: 4 }],
      ["size is 0", "mmio", { address: 0xa0000, size: 0 }],
      ["see linearAddress", "block", { address: 2 ** 64 - 2 ** 31 }],
      ['mean "vector"?', "exception", { vectr: 6 }],
      ['not filtered by "cpu"', "device", { cpu: 0 }],
      ["vector is 6,", "interrupt", { vector: [32, "6"] }],
      ['no access "rw"', "mmio", { access: "rw" }],
      ["a filter is null", "block", null],
    ] as const
  ) await assertRejects(() => on(event, filter), RangeError, why);
  await assertRejects(
    () => machine.watch({ address: 0, size: 0, access: "read" }, () => {}),
    RangeError,
  );
  const access = "rw" as "read";
  await assertRejects(
    () => machine.watch({ address: 0, size: 1, access }, () => {}),
    RangeError,
    'no access "rw"',
  );
  const none = undefined as unknown as () => void;
  for (
    const add of [
      () => machine.on("reset", none),
      () => machine.watch({ address: 0, size: 1, access: "read" }, none),
    ]
  ) await assertRejects(add, TypeError, "a listener is undefined");
});
