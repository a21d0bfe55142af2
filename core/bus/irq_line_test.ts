import { assertEquals } from "@std/assert";
import { IrqLine, OrGate } from "./irq_line.ts";

Deno.test("a line tells changes of its level only", () => {
  const seen: boolean[] = [];
  const line = new IrqLine((level) => seen.push(level));
  line.lower();
  line.raise();
  line.raise();
  line.set(false);
  line.pulse();
  assertEquals(seen, [true, false, true, false]);
  line.raise();
  const late: boolean[] = [];
  line.connect((level) => late.push(level));
  assertEquals(late, [true]);
});

Deno.test("a line knows whether anything listens", () => {
  const line = new IrqLine();
  assertEquals(line.connected, false);
  line.connect(() => {});
  assertEquals(line.connected, true);
});

Deno.test("a gate is high while any driver is", () => {
  const seen: boolean[] = [];
  const gate = new OrGate((level) => seen.push(level));
  const a = new IrqLine(gate.input());
  const b = new IrqLine(gate.input());
  a.raise();
  b.raise();
  a.lower();
  assertEquals(seen, [true]);
  b.lower();
  assertEquals(seen, [true, false]);
});
