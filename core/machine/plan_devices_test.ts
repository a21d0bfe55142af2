import { assertEquals, assertThrows } from "@std/assert";
import { DefinitionError, locate } from "./document.ts";
import { planRoles } from "./plan_backends.ts";
import { PlanContext } from "./plan_context.ts";
import { planWires } from "./plan_devices.ts";
import type { PlannedBackend } from "./plan_types.ts";
import type { BackendSpec } from "./plugin.ts";

const context = new PlanContext(
  locate({}, { file: "m.json", directory: "/" }),
  { plugins: {} },
);
const DEVICE = ["devices", "d"];

Deno.test("wires: one input or several, of outputs that there are", () => {
  const wires = (spec: Record<string, unknown>) =>
    planWires(context, DEVICE, spec, ["irq", "drq"]);
  assertEquals(
    [...wires({ irq: "pic.irq3", drq: ["dma.drq1", "dma.drq2"] })],
    [["irq", ["pic.irq3"]], ["drq", ["dma.drq1", "dma.drq2"]]],
  );
  for (
    const [spec, message] of [
      [
        { irk: "pic.irq3" },
        'wires.irk: there is no output "irk"; did you mean',
      ],
      [{ irq: "pic" }, 'expected "device.input" or a list of them, not "pic"'],
      [{ irq: ["pic.irq3", "a.b.c"] }, 'not "a.b.c"'],
      [{ irq: 3 }, "not 3"],
    ] as const
  ) {
    assertThrows(() => wires(spec), DefinitionError, message);
  }
});

Deno.test("roles: backends of their type; a display where input is taken", () => {
  const backends = ["char", "display"].map((type) => ({
    name: type,
    plugin: { type },
  })) as unknown as PlannedBackend[];
  const roles = (
    spec: Record<string, string>,
    declared: Record<string, BackendSpec>,
  ) => [...planRoles(context, DEVICE, spec, declared, backends)];
  assertEquals(
    roles({ input: "display" }, { input: { type: "input" } }),
    [["input", "display"]],
  );
  assertEquals(roles({}, { out: { type: "char" } }), []);
  assertEquals(roles({}, { disk: { type: "block", optional: true } }), []);
  for (
    const [spec, declared, message] of [
      [{}, { disk: { type: "block" } }, 'the block backend "disk" is missing'],
      [{ a: "char" }, { out: { type: "char" } }, 'no backend role "a"'],
      [
        { out: "cahr" },
        { out: { type: "char" } },
        'no backend "cahr"; did you',
      ],
      [
        { out: "display" },
        { out: { type: "char" } },
        'backend "display" is a display backend, expected a char backend',
      ],
      [
        { keys: "char" },
        { keys: { type: "input" } },
        'backend "char" is a char backend, expected an input backend',
      ],
    ] as const
  ) {
    assertThrows(() => roles(spec, declared), DefinitionError, message);
  }
});
