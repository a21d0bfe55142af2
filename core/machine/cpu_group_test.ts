import { assertEquals, assertThrows } from "@std/assert";
import { StateError, type StateRecord } from "../state/state.ts";
import type { CpuCore, CpuExit } from "./cpu.ts";
import { CpuGroup } from "./cpu_group.ts";

/** A CPU that does what it is told, and notes what it was asked. */
class Puppet implements CpuCore {
  instructions = 0;
  readonly calls: string[] = [];
  readonly name: string;
  /** What the next runs do: instructions (all there are if none) and the end. */
  readonly runs: [number | undefined, CpuExit][] = [];
  onRun: (max: number) => void = () => {};
  watcher: (() => void) | undefined;

  constructor(name: string) {
    this.name = name;
  }

  run(max: number): CpuExit {
    const [count, exit] = this.runs.shift() ?? [undefined, "budget"];
    this.onRun(max);
    this.instructions += count ?? max;
    return exit;
  }

  #note(call: string): void {
    this.calls.push(call);
  }

  reset(): void {
    this.#note("reset");
  }
  enter(): void {
    this.#note("enter");
  }
  requestStop(): void {
    this.#note("stop");
  }
  setIrq(): void {
    this.#note("irq");
  }
  nmi(): void {
    this.#note("nmi");
  }
  setInput(name: string): void {
    this.#note(name);
  }
  invalidate(): void {
    this.#note("invalidate");
  }
  watchWrites(_physical: number, _length: number, changed: () => void): void {
    this.watcher = changed;
  }
  flushMapping(): void {
    this.#note("flush");
  }
  save(): StateRecord {
    return { name: this.name };
  }
  load(record: StateRecord): void {
    this.#note(`load ${record.name}`);
  }
  stats(): Readonly<Record<string, number>> {
    return { walks: 3, hitPercent: 98 };
  }
  describe(): string {
    return this.name;
  }
}

function group(): { all: CpuGroup; a: Puppet; b: Puppet; turns: string[] } {
  const a = new Puppet("a");
  const b = new Puppet("b");
  const all = new CpuGroup([a, b]);
  const turns: string[] = [];
  for (const cpu of [a, b]) {
    cpu.onRun = (max) => turns.push(`${cpu.name} ${max} ${all.running}`);
  }
  return { all, a, b, turns };
}

Deno.test("CPU group: turns of the same length until the budget is used up", () => {
  const { all, turns } = group();
  assertEquals(all.run(25_000), "budget");
  assertEquals(turns, ["a 10000 0", "b 10000 1", "a 5000 0"]);
  assertEquals([all.instructions, all.running], [25_000, -1]);
  // It goes on with the next one.
  assertEquals(all.run(100), "budget");
  assertEquals(turns.at(-1), "b 100 1");
});

Deno.test("CPU group: one that waits is asked once in a round", () => {
  const { all, a, turns } = group();
  a.runs.push([10, "halted"], [0, "halted"], [0, "halted"]);
  assertEquals(all.run(30_000), "budget");
  assertEquals(turns, [
    "a 10000 0",
    "b 10000 1",
    "a 10000 0",
    "b 10000 1",
    "a 9800 0", // to wait took a part of the first turn
    "b 9800 1",
  ]);
});

Deno.test("CPU group: when all wait, one that an interrupt may wake counts", () => {
  const { all, a, b } = group();
  a.runs.push([10, "dead"], [0, "dead"]);
  b.runs.push([10, "halted"], [0, "halted"]);
  assertEquals(all.run(1000), "halted");
  a.runs.push([0, "dead"]);
  b.runs.push([0, "dead"]);
  assertEquals(all.run(1000), "dead");
  b.runs.push([5, "shutdown"]);
  a.runs.push([0, "dead"]);
  assertEquals(all.run(1000), "shutdown");
});

Deno.test("CPU group: CPUs that only wait for each other use the slice up", () => {
  const { all, a, b, turns } = group();
  for (let i = 0; i < 10; i++) {
    a.runs.push([1, "stop"]);
    b.runs.push([1, "stop"]);
  }
  assertEquals(all.run(1000), "budget");
  assertEquals(turns.length, 5);
});

Deno.test("CPU group: a stop ends the slice of the CPU that runs, and of all", () => {
  const { all, a, b, turns } = group();
  a.onRun = () => all.requestStop();
  a.runs.push([7, "stop"]);
  assertEquals(all.run(1000), "stop");
  assertEquals([a.calls, b.calls, turns], [["stop"], [], []]);
});

Deno.test("CPU group: what is for the first CPU, and what for all", () => {
  const { all, a, b } = group();
  all.enter({});
  all.setIrq(true);
  all.nmi();
  assertEquals([a.calls.splice(0), b.calls], [["enter", "irq", "nmi"], []]);
  all.reset();
  all.setInput("a20", true);
  all.invalidate(0, 1);
  all.flushMapping();
  const both = ["reset", "a20", "invalidate", "flush"];
  assertEquals([a.calls.splice(0), b.calls.splice(0)], [both, both]);
  all.quiet = true;
  assertEquals([a, b].map((cpu: CpuCore) => cpu.quiet), [true, true]);
  assertEquals(all.stats(), { walks: 6, hitPercent: 98 });
  assertEquals(all.describe(), "CPU 0: a; CPU 1: b");
  // A watch is told once, whoever stores.
  let told = 0;
  all.watchWrites(0, 4096, () => told++);
  b.watcher!();
  a.watcher!();
  assertEquals(told, 1);
});

Deno.test("CPU group: its state is that of each CPU and whose turn it is", () => {
  const { all, a, b, turns } = group();
  all.run(10);
  const state = all.save();
  assertEquals(state, { turn: 1, cpu0: { name: "a" }, cpu1: { name: "b" } });
  all.run(10);
  all.load(state);
  assertEquals([a.calls, b.calls], [["load a"], ["load b"]]);
  all.run(10);
  assertEquals(turns.at(-1), "b 10 1");
  for (
    const wrong of <StateRecord[]> [
      { ...state, turn: 2 },
      { ...state, turn: "0" },
      { turn: 0, cpu0: {} },
      { turn: 0, cpu0: {}, cpu2: {} },
      { turn: 0, cpu0: {}, cpu1: 5 },
      { model: "max" },
    ]
  ) assertThrows(() => all.load(wrong), StateError);
});

Deno.test("CPU group: turns may be the same however a run is divided", () => {
  const all = (budgets: readonly number[]): string[] => {
    const [a, b] = [new Puppet("a"), new Puppet("b")];
    const group = new CpuGroup([a, b], true);
    let turns = "";
    for (const cpu of [a, b]) {
      cpu.onRun = (max) => turns += cpu.name.repeat(max);
    }
    for (const budget of budgets) {
      group.run(budget);
      group.load({ ...group.save() });
    }
    return turns.match(/a+|b+/g)!.map((turn) => `${turn[0]}${turn.length}`);
  };
  const whole = all([35_000]);
  assertEquals(whole, ["a10000", "b10000", "a10000", "b5000"]);
  assertEquals(all([1, 9_998, 1, 12_000, 13_000]), whole);
});

Deno.test("CPU group: one that keeps its turns goes on from one that did not", () => {
  const make = (keepsTurns: boolean): CpuGroup =>
    new CpuGroup([new Puppet("a"), new Puppet("b")], keepsTurns);
  const other = make(false);
  other.run(10_100);
  const state = other.save();
  const group = make(true);
  group.load(state);
  assertEquals(group.turn, other.turn);
  assertEquals(group.save(), { ...state, left: 10_000 });
  assertThrows(() => group.load({ ...state, left: 0 }), StateError);
});
