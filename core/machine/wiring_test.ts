import { assertEquals } from "@std/assert";
import { Wiring } from "./wiring.ts";

/** A wiring whose inputs write down what they hear. */
function listening(...inputs: string[]) {
  const wiring = new Wiring();
  const heard: [string, boolean][] = [];
  for (const input of inputs) {
    const [owner, name] = input.split(".");
    wiring.listen(owner, name, (level) => heard.push([input, level]));
  }
  return { wiring, heard };
}

Deno.test("wiring: an output drives several inputs", () => {
  const { wiring, heard } = listening("a.in", "b.in");
  wiring.declare("timer", "out");
  const wires = new Map([["out", ["a.in", "b.in", "a.deaf"]]]);
  wiring.connect([{ name: "timer", wires }], {});
  wiring.output("timer", "out")!.set(true);
  assertEquals(heard, [["a.in", true], ["b.in", true]]);
  assertEquals(wiring.output("timer", "other"), undefined);
});

Deno.test("wiring: drivers that are joined hold an input up together", () => {
  const { wiring, heard } = listening("pic.irq3");
  const wires = new Map([["irq", ["pic.irq3"]]]);
  for (const name of ["com1", "com2"]) wiring.declare(name, "irq");
  wiring.connect(
    [{ name: "com1", wires }, { name: "com2", wires }],
    { "pic.irq3": "or" },
  );
  const [one, two] = ["com1", "com2"].map((n) => wiring.output(n, "irq")!);
  one.set(true);
  two.set(true);
  one.set(false);
  assertEquals(heard.at(-1), ["pic.irq3", true]);
  two.set(false);
  assertEquals(heard.at(-1), ["pic.irq3", false]);
});
