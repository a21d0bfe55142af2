import { assertEquals } from "@std/assert";
import { MemoryChar } from "../../../core/backend/memory_char.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import debugcon from "./debugcon.ts";
import fpuError from "./fpu_error.ts";
import isaDebugExit from "./isa_debug_exit.ts";
import port92 from "./port92.ts";

Deno.test("isa-debug-exit: value v is status 2v+1", async () => {
  const bench = await DeviceBench.create(isaDebugExit);
  bench.write("port", 0, 0);
  bench.write("port", 0, 0x10, 4);
  bench.write("port", 0, 0xff, 1);
  assertEquals(bench.exits, [1, 0x21, 0xff]);
});

Deno.test("debugcon: reads its signature, writes to its backend", async () => {
  const char = new MemoryChar();
  const bench = await DeviceBench.create(debugcon, { char: { char } });
  assertEquals(bench.read("port", 0), 0xe9);
  for (const c of "ok\n") bench.write("port", 0, c.charCodeAt(0));
  await Promise.resolve();
  assertEquals(char.output, "ok\n");
});

Deno.test("fpu-error: FERR# is latched, IGNNE# lasts until it goes away", async () => {
  const bench = await DeviceBench.create(fpuError);
  const levels = (): boolean[] => [bench.level("irq"), bench.level("ignne")];
  bench.write("ports", 0, 0);
  assertEquals(levels(), [false, false], "without FERR# nothing is ignored");
  bench.drive("ferr", true);
  assertEquals(levels(), [true, false]);
  bench.write("ports", 1, 0);
  assertEquals(levels(), [true, false]);
  bench.write("ports", 0, 0);
  assertEquals(levels(), [false, true]);
  bench.drive("ferr", false);
  assertEquals(levels(), [false, false]);
  // The exception is cleared first.
  bench.drive("ferr", true);
  bench.drive("ferr", false);
  assertEquals(levels(), [true, false]);
  bench.write("ports", 0, 0);
  assertEquals(levels(), [false, false]);
});

Deno.test("port92: A20 and reset", async () => {
  const bench = await DeviceBench.create(port92);
  bench.write("control", 0, 0xfe);
  assertEquals([bench.read("control", 0), bench.level("a20")], [2, true]);
  assertEquals(bench.takeEdges("reset"), []);
  bench.write("control", 0, 1);
  assertEquals(bench.level("a20"), false);
  assertEquals(bench.takeEdges("reset"), [true, false]);
  bench.write("control", 0, 1);
  assertEquals(bench.takeEdges("reset"), [], "only the edge resets");
});

Deno.test("port92: where a keyboard controller has the gate, it is one gate", async () => {
  const gate = { a20: true };
  const bench = await DeviceBench.create(port92, {
    providers: { "a20-gate": [gate] },
  });
  bench.device.reset();
  assertEquals([bench.read("control", 0), gate.a20], [2, true]);
  // Open by either; whoever closes it, it is closed.
  bench.write("control", 0, 2);
  bench.write("control", 0, 0);
  assertEquals([bench.read("control", 0), gate.a20], [0, false]);
  bench.write("control", 0, 2);
  gate.a20 = false;
  assertEquals([bench.read("control", 0), bench.level("a20")], [0, false]);
});
