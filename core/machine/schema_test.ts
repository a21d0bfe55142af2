import { assertEquals, assertThrows } from "@std/assert";
import { nearest, suggest } from "./nearest.ts";
import { formatSize, parseAddress, parseSize } from "./numbers.ts";
import { applySchema, checkSchema } from "./schema.ts";
import type { ConfigSchema } from "./schema_types.ts";

Deno.test("sizes and addresses", () => {
  assertEquals(parseSize("640K"), 655360);
  assertEquals(parseSize("128M"), 134217728);
  assertEquals(parseSize("1.5G"), 1610612736);
  assertEquals(parseSize("0x3f8"), 0x3f8);
  assertEquals(parseSize("64KiB"), 65536);
  assertEquals(parseSize("4gb"), 2 ** 32);
  assertEquals(parseAddress(1016), 1016);
  for (const bad of ["", "K", "12X", "-1", -1, 1.5, "0x", null, "1.00001K"]) {
    assertEquals(parseSize(bad), undefined, `${bad}`);
  }
  assertEquals(formatSize(3 * 2 ** 30), "3G");
  assertEquals(formatSize(1025), "1025");
});

Deno.test("the nearest name", () => {
  const names = ["i8259", "i8254", "ns16550a", "stdio"];
  assertEquals(nearest("i8295", names), "i8259");
  assertEquals(nearest("ns16550", names), "ns16550a");
  assertEquals(nearest("STDIO", names), "stdio");
  assertEquals(nearest("virtio-blk", names), undefined);
  assertEquals(suggest("zzz", ["a", "b"]), '; expected "a" or "b"');
  assertEquals(suggest("", ["net", "b"]), '; expected "net" or "b"');
});

const schema: ConfigSchema = {
  type: "object",
  required: ["name"],
  properties: {
    name: { type: "string" },
    size: { format: "size", default: "4K" },
    base: { format: "address" },
    mode: { type: "string", enum: ["fast", "slow"], default: "fast" },
    count: { type: "integer", minimum: 1, maximum: 8 },
    image: { type: "string", format: "path" },
    list: { type: "array", items: { type: "boolean" } },
    inner: {
      type: "object",
      default: {},
      properties: { on: { type: "boolean", default: true } },
    },
  },
};

Deno.test("defaults are filled in and values converted", () => {
  const { value, issues } = checkSchema(
    schema,
    { name: "x", base: "0x3f8", count: "0x4", image: "a.img", list: [true] },
    [],
    { resolvePath: (path) => `/dir/${path}` },
  );
  assertEquals(issues, []);
  assertEquals(value, {
    name: "x",
    size: 4096,
    base: 0x3f8,
    mode: "fast",
    count: 4,
    image: "/dir/a.img",
    list: [true],
    inner: { on: true },
  });
});

Deno.test("a memory's name stands for its size", () => {
  const memories = new Map([["ram", 65536], ["rom", 4096]]);
  const size = (value: unknown) =>
    checkSchema({ format: "memory-size" }, value, [], { memories });
  assertEquals(size("ram").value, 65536);
  assertEquals(size("2K").value, 2048);
  assertEquals(size(17).value, 17);
  assertEquals(
    size("ran").issues[0].message,
    'expected a size or the name of a memory, not "ran"; did you mean "ram"?',
  );
  assertEquals(size(-1).issues.length, 1);
});

Deno.test("a word stands for itself where a path is expected", () => {
  const path = (value: string) =>
    checkSchema(
      { type: "string", format: "path", words: ["builtin"] },
      value,
      [],
      { resolvePath: (relative) => `/somewhere/${relative}` },
    ).value;
  assertEquals(path("bios.bin"), "/somewhere/bios.bin");
  assertEquals(path("builtin"), "builtin");
  assertEquals(path("./builtin"), "/somewhere/./builtin");
});

Deno.test("issues say what was expected", () => {
  const issue = (value: unknown): string => {
    const { issues } = checkSchema(schema, value);
    return `${issues[0].path.join(".")}: ${issues[0].message}`;
  };
  assertEquals(issue({}), ': the key "name" is missing');
  assertEquals(issue({ name: 1 }), "name: expected a string, not 1");
  assertEquals(
    issue({ name: "", moed: 1 }),
    'moed: unknown key "moed"; did you mean "mode"?',
  );
  assertEquals(
    issue({ name: "", mode: "fats" }),
    'mode: there is no "fats"; did you mean "fast"?',
  );
  assertEquals(
    issue({ name: "", count: 9 }),
    "count: 9 is more than the most, 8",
  );
  assertEquals(
    issue({ name: "", count: 0 }),
    "count: 0 is less than the least, 1",
  );
  assertEquals(
    issue({ name: "", base: "3f8h" }),
    'base: expected an address such as 1016 or "0x3f8", not "3f8h"',
  );
  assertEquals(
    issue({ name: "", list: [1] }),
    "list.0: expected true or false, not 1",
  );
  assertEquals(issue([]), ": expected an object, not a list");
  assertEquals(
    issue({ name: "", inner: null }),
    "inner: expected an object, not null",
  );
  assertThrows(
    () => applySchema(undefined, { a: 1 }),
    TypeError,
    "unknown key",
  );
});
