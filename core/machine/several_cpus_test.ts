import { assertEquals, assertStrictEquals } from "@std/assert";
import { locate, toJson } from "./document.ts";
import type { JsonObject } from "./schema_types.ts";
import { giveEachItsController } from "./several_cpus.ts";

const PLACE = { file: "m.json", line: 1, directory: "/" };

function expanded(definition: JsonObject): JsonObject {
  const document = locate(definition, PLACE);
  return toJson(giveEachItsController(document)) as JsonObject;
}

Deno.test("several CPUs: each has a controller like the first one's", () => {
  const cpu = { count: 3, intc: "apic" };
  const apic = {
    plugin: "lapic",
    use: { bus: "apics" },
    config: { virtualWire: true },
    wires: { intr: "cpu.intr", nmi: ["cpu.nmi", "led.on"] },
  };
  const more = (i: number) => ({
    ...apic,
    config: { virtualWire: true, id: i },
    wires: { intr: `cpu${i}.intr`, nmi: [`cpu${i}.nmi`, "led.on"] },
  });
  assertEquals(expanded({ cpu, devices: { apic } }), {
    cpu,
    devices: { apic, apic1: more(1), apic2: more(2) },
  });
  // What the definition says of one stays.
  const own = { config: { id: 7 } };
  assertEquals(expanded({ cpu, devices: { apic, apic2: own } }), {
    cpu,
    devices: {
      apic,
      apic1: more(1),
      apic2: { ...more(2), ...own, config: { virtualWire: true, id: 7 } },
    },
  });
});

Deno.test("several CPUs: without a first controller there is nothing to add", () => {
  for (
    const definition of <JsonObject[]> [
      {},
      { cpu: 5 },
      { cpu: { count: 2 } },
      { cpu: { count: "2", intc: "apic" }, devices: { apic: {} } },
      { cpu: { count: 2, intc: "apic" } },
      { cpu: { count: 2, intc: "toString" }, devices: {} },
    ]
  ) {
    const document = locate(definition, PLACE);
    assertStrictEquals(giveEachItsController(document), document);
  }
});
