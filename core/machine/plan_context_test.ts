import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DefinitionError, parseDocument } from "./document.ts";
import { PlanContext } from "./plan_context.ts";
import type { CpuPlugin } from "./plugin.ts";

const context = (text: string, skipFiles = false): PlanContext =>
  new PlanContext(parseDocument(text, "m.json"), { plugins: {}, skipFiles });

Deno.test("plan: of several mistakes the first in the file is told", () => {
  const plan = context(`{\n"a": 1,\n"b": "x",\n"c": {}\n}`);
  const schema = {
    type: "object",
    properties: {
      c: { type: "string" },
      b: { type: "integer" },
      a: { type: "integer" },
    },
  } as const;
  const value = { a: 1, b: "x", c: {} };
  assertThrows(
    () => plan.check(schema, value, []),
    DefinitionError,
    "m.json:3: b: expected",
  );
});

Deno.test("plan: what was taken from elsewhere is told where it was written", () => {
  const plan = context(`{\n"devices": { "d": { "config": { "file": 1 } } } }`);
  const path = ["devices", "d", "config", "file", "size"];
  assertEquals(
    plan.error(path, "no").message,
    "m.json:2: devices.d.config.file.size: no",
  );
  plan.origins.set("d", new Map([["file", ["boot", "firmware"]]]));
  assertEquals(
    plan.error(path, "no").message,
    "m.json:2: boot.firmware.size: no",
  );
});

Deno.test("plan: names, plugins and files that are not there", async () => {
  const plan = context(`{\n"cpu": "x86" }`);
  plan.known(["cpu"], "CPU", "x86", ["arm", "x86"]);
  assertThrows(
    () => plan.known(["cpu"], "CPU", "x68", ["arm", "x86"]),
    DefinitionError,
    'm.json:2: cpu: there is no CPU "x68"; did you mean "x86"?',
  );
  await assertRejects(
    () => plan.plugin<CpuPlugin>(["cpu"], "x86", ["cpu"]),
    DefinitionError,
    'm.json:2: cpu: there is no cpu plugin "x86"',
  );
  const folder = await Deno.makeTempDir();
  try {
    for (const [file, reason] of [["absent", "no such"], ["", "a directory"]]) {
      await assertRejects(
        () => plan.needFile(`${folder}/${file}`, ["cpu"]),
        DefinitionError,
        reason,
      );
    }
    await Deno.writeTextFile(`${folder}/three`, "123");
    assertEquals(await plan.needFile(`${folder}/three`, []), 3);
    assertEquals(await plan.isThere(`${folder}/three`), true);
    assertEquals(await plan.isThere(`${folder}/absent`), false);
    assertEquals(await context("{}", true).needFile(`${folder}/absent`, []), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
