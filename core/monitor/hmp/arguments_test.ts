import { assertEquals, assertThrows } from "@std/assert";
import { readArguments } from "./arguments.ts";
import { MonitorError } from "./error.ts";
import type { FormatDefaults } from "./format_defaults.ts";

function read(
  declaration: string,
  text: string,
  defaults: FormatDefaults = { format: "x", size: 4 },
) {
  return readArguments(declaration, text, {
    command: "cmd",
    registers: () => 7n,
    defaults,
  });
}

Deno.test("monitor arguments: words, quotes, flags, rests", () => {
  const args = read("force:-f,device:B,target:F,mode:s?", ' -f  cd "a \\"b" ');
  assertEquals(args.has("force"), true);
  assertEquals(args.text("device"), "cd");
  assertEquals(args.text("target"), 'a "b');
  assertEquals(args.text("mode"), undefined);
  assertEquals(read("force:-f,name:s", "-foo").text("name"), "-foo");
  assertEquals(read("rest:S", " a  b ").text("rest"), "a  b");
  assertEquals(read("on:b", "off").isOn("on"), false);
  assertEquals(read("a:l,b:i?", "1+ $x 3").integer("b"), 3n);
});

Deno.test("monitor arguments: a format is remembered", () => {
  const defaults: FormatDefaults = { format: "x", size: 4 };
  const format = (text: string) =>
    read("fmt:/,a:l", text, defaults).format("fmt");
  assertEquals(format("0"), { count: 1, format: "x", size: 4 });
  assertEquals(format("/3db 0"), { count: 3, format: "d", size: 1 });
  assertEquals(format("/2 0"), { count: 2, format: "d", size: 1 });
  assertEquals(format("/i 0").format, "i");
  assertEquals(format("/x 0"), { count: 1, format: "x", size: 1 });
});

Deno.test("monitor arguments: mistakes", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["name:s", "", "cmd: string expected"],
    ["name:F", "", "cmd: filename expected"],
    ["name:B", "", "cmd: block device name expected"],
    ["name:s", "a b", "cmd: extraneous characters at the end of line"],
    ["name:s", '"a', "unterminated string"],
    ["name:s", '"\\x"', "unsupported escape code: '\\x'"],
    ["on:b", "maybe", "Expected 'on' or 'off'"],
    ["n:i", "0x100000000", "'cmd' has failed: integer is for 32-bit values"],
    ["fmt:/,a:l", "/4q 0", "invalid char in format: 'q'"],
    ["fmt:/,a:l", "/99999999x 0", "99999999 values are too many"],
  ];
  for (const [declaration, text, message] of cases) {
    assertThrows(() => read(declaration, text), MonitorError, message, text);
  }
});
