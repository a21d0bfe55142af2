import { assertEquals, assertThrows } from "@std/assert";
import {
  at,
  DefinitionError,
  formatPath,
  locate,
  merge,
  parseDocument,
  parseSet,
  toJson,
} from "./document.ts";

Deno.test("comments, trailing commas and places", () => {
  const document = parseDocument(
    '{\n  // one\n  "a": [1, 2,],\n  /* two */ "b": {\n    "c": "x" },\n}',
    "dir/m.json",
  );
  assertEquals(toJson(document), { a: [1, 2], b: { c: "x" } });
  const { place } = at(document, ["b", "c"]);
  assertEquals(place, { file: "dir/m.json", line: 5, directory: "dir" });
  // The deepest that is there.
  assertEquals(at(document, ["a", 1, "x", 7]).place.line, 3);
  assertEquals(
    formatPath(["boot", "modules", 0, "file"]),
    "boot.modules[0].file",
  );
});

Deno.test("mistakes in the JSON name the line", () => {
  const fails = (text: string, message: string): void => {
    assertThrows(
      () => parseDocument(text, "m.json"),
      DefinitionError,
      message,
    );
  };
  fails('{\n"a": 1\n"b": 2}', "m.json:3: not valid JSON: comma expected");
  fails("", "m.json:1: not valid JSON");
  fails('{"a": tru}', "m.json:1: not valid JSON");
  fails('{\n"a": {"b": 1,\n "b": 2}}', "m.json:3: a.b: the key is there twice");
});

Deno.test("merging: deep by key, null deletes, lists replace", () => {
  const base = parseDocument(
    '{"d": {"x": {"p": 1, "q": 2}, "y": {}}, "l": [1, 2], "s": 1}',
    "base.json",
  );
  const over = parseDocument(
    '{"d": {"x": {"q": 3, "r": null}, "y": null, "z": {"n": null}}, "l": [3]}',
    "over.json",
  );
  const merged = merge(base, over);
  assertEquals(toJson(merged), {
    d: { x: { p: 1, q: 3 }, z: {} },
    l: [3],
    s: 1,
  });
  assertEquals(at(merged, ["d", "x", "p"]).place.file, "base.json");
  assertEquals(at(merged, ["d", "x", "q"]).place.file, "over.json");
});

Deno.test("--set takes JSON or text", () => {
  const set = (text: string) => toJson(parseSet(text, "."));
  assertEquals(set("a.b.c=12"), { a: { b: { c: 12 } } });
  assertEquals(set("a=0x10"), { a: "0x10" });
  assertEquals(set('a={"b":null}'), { a: { b: null } });
  assertEquals(set("append=root=/dev/sda"), { append: "root=/dev/sda" });
  for (const bad of ["a", "=1", "a..b=1"]) {
    assertThrows(() => parseSet(bad, "."), DefinitionError, "path=value");
  }
});

Deno.test("an object to which an option adds is told where it was written", () => {
  const base = parseDocument('{\n"a": { "b": 1 } }', "m.json");
  const option = locate({ a: { c: 2 } }, { file: "--set", directory: "/" });
  const merged = merge(base, option);
  const placeOf = (...path: string[]) => {
    const { file, line } = at(merged, path).place;
    return [file, line];
  };
  assertEquals(placeOf(), ["m.json", 1]);
  assertEquals(placeOf("a"), ["m.json", 2]);
  assertEquals(placeOf("a", "c"), ["--set", undefined]);
  const other = parseDocument('\n\n{ "a": { "c": 2 } }', "n.json");
  assertEquals(at(merge(base, other), ["a"]).place.file, "n.json");
});
