import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { MachineDefinition } from "./definition.ts";
import { DefinitionError, locate } from "./document.ts";
import { PlanContext } from "./plan_context.ts";
import {
  placeRegions,
  planMemories,
  planMemoryRegions,
} from "./plan_regions.ts";
import type { RegionSpec } from "./plugin.ts";

/** A planning of a definition that has these parts, complete. */
function contextOf(
  definition: Pick<MachineDefinition, "memories" | "spaces">,
): PlanContext {
  const document = locate({}, { file: "m.json", directory: "/" });
  const context = new PlanContext(document, { plugins: {} });
  context.definition = definition as MachineDefinition;
  return context;
}

const RAM = { kind: "ram", size: 0x1000 } as const;
const IN_RAM = { memory: "ram", at: 0, offset: 0, priority: 0 };

Deno.test("memories: a size, a file's size, not more than the size, not nothing", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, new Uint8Array(6));
    const plan = (memory: MachineDefinition["memories"][string]) =>
      planMemories(contextOf({ memories: { m: memory }, spaces: {} }));
    const [rom] = await plan({ kind: "rom", file });
    assertEquals(rom, { name: "m", kind: "rom", size: 6, file });
    assertEquals((await plan({ kind: "rom", file, size: 8 }))[0].size, 8);
    for (
      const [memory, message] of [
        [
          { kind: "rom", file, size: 5 },
          "has 6 bytes, more than the memory's 5",
        ],
        [{ kind: "ram" }, 'memories.m: the key "size" is missing'],
        [{ kind: "ram", size: 0 }, 'memory "m" is empty'],
      ] as const
    ) {
      await assertRejects(() => plan(memory), DefinitionError, message);
    }
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("regions of memory: the rest of one, if there is any", async () => {
  const context = contextOf({
    memories: { ram: RAM },
    spaces: {
      memory: {
        size: 0x10000,
        regions: {
          low: { ...IN_RAM, size: 0x400 },
          rest: { ...IN_RAM, at: 0x8000, offset: 0x400, priority: 1 },
          beyond: { ...IN_RAM, at: 0xc000, offset: 0x1000 },
          some: { ...IN_RAM, at: 0xd000, offset: 0x800, maxSize: 0x100 },
          all: { ...IN_RAM, at: 0xe000, offset: 0xc00, maxSize: 0x900 },
        },
      },
    },
  });
  const regions = planMemoryRegions(context, await planMemories(context));
  assertEquals(
    regions.map(({ name, base, size, offset, priority }) => [
      ...[name, base, size, offset, priority],
    ]),
    [
      ["low", 0, 0x400, 0, 0],
      ["rest", 0x8000, 0xc00, 0x400, 1],
      ["some", 0xd000, 0x100, 0x800, 0],
      ["all", 0xe000, 0x400, 0xc00, 0],
    ],
  );
});

Deno.test("regions of memory: what no memory has", async () => {
  for (
    const [region, message] of [
      [
        { ...IN_RAM, memory: "rma" },
        'memory: there is no memory "rma"; did you',
      ],
      [{ ...IN_RAM, offset: 1, size: 0x1000 }, 'of memory "ram", which has'],
    ] as const
  ) {
    const context = contextOf({
      memories: { ram: RAM },
      spaces: { memory: { size: 0x10000, regions: { region } } },
    });
    const memories = await planMemories(context);
    assertThrows(
      () => planMemoryRegions(context, memories),
      DefinitionError,
      message,
    );
  }
});

Deno.test("a device's regions: a place for the only one, or for each", () => {
  const context = contextOf({
    memories: {},
    spaces: {
      ports: { size: 0x10000, regions: {} },
      memory: { size: 0x10000, regions: {} },
    },
  });
  const place = (spec: unknown, regions: Record<string, RegionSpec>) =>
    [...placeRegions(context, ["devices", "d"], "d", spec, regions).values()]
      .map(({ name, space, base, priority }) => [name, space, base, priority]);
  const one: RegionSpec = { space: "ports", size: 8 };
  const two = { a: one, b: { ...one, at: 0x20 } };
  assertEquals(place("0x3f8", { a: one }), [["d", "ports", 0x3f8, 0]]);
  assertEquals(place({ a: 16 }, two), [
    ["d.a", "ports", 16, 0],
    ["d.b", "ports", 0x20, 0],
  ]);
  assertEquals(
    place({ a: { space: "memory", base: "0x10", priority: 2 } }, { a: one }),
    [["d", "memory", 0x10, 2]],
  );
  assertEquals(place(undefined, { a: { ...one, optional: true } }), []);
  assertEquals(place(undefined, { a: { ...one, movable: true } }), []);
  const mistakes: [unknown, Record<string, RegionSpec>, string][] = [
    [1, two, 'has 2 regions: expected an object with the keys "a", "b"'],
    [1, {}, "the device has no regions"],
    [{ c: 1 }, { a: one }, 'there is no region "c"'],
    [undefined, { a: one }, 'the address of region "a" is missing'],
    ["x", { a: one }, 'expected an address such as 1016 or "0x3f8", not "x"'],
    [1, { a: { ...one, movable: true } }, "is placed by the guest"],
    [{ a: { space: "prots", base: 1 } }, { a: one }, 'no space "prots"'],
  ];
  for (const [spec, regions, message] of mistakes) {
    assertThrows(() => place(spec, regions), DefinitionError, message);
  }
});
