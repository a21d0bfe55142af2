import { assertEquals, assertThrows } from "@std/assert";
import { JsoncError, type JsoncNode, parseJsonc } from "./jsonc.ts";

function plain(node: JsoncNode): unknown {
  switch (node.kind) {
    case "object":
      return Object.fromEntries(
        node.properties.map(({ key, value }) => [key, plain(value)]),
      );
    case "array":
      return node.items.map(plain);
    default:
      return node.value;
  }
}

Deno.test("what is JSON is read as JSON.parse does", () => {
  const texts = [
    "null",
    " true\n",
    "[]",
    "{}",
    "[1,-2.5e3,0,1E-2,[[]],{}]",
    '{"a":{"b":[null,false,""]},"__proto__":1,"":2}',
    String.raw`"q\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é😀"`,
  ];
  for (const text of texts) {
    assertEquals(plain(parseJsonc(text)), JSON.parse(text), text);
  }
});

Deno.test("comments, trailing commas, a byte order mark", () => {
  const text = '\ufeff// a\r\n{ /* b\n*/ "c" /**/ : [1, /*,*/ 2, ], // d\n}//';
  assertEquals(plain(parseJsonc(text)), { c: [1, 2] });
});

Deno.test("values know where they were written", () => {
  const node = parseJsonc(' {"a": [7]}');
  if (node.kind !== "object") throw new Error(node.kind);
  const [{ offset, value }] = node.properties;
  assertEquals([node.offset, offset, value.offset], [1, 2, 7]);
});

Deno.test("mistakes are named where they are", () => {
  const fails = (text: string, offset: number, message: string): void => {
    const error = assertThrows(() => parseJsonc(text), JsoncError, message);
    assertEquals(error.offset, offset, text);
  };
  fails("", 0, "value expected");
  fails(" // a", 5, "value expected");
  fails("/* a", 0, "unexpected end of comment");
  fails("{} x", 3, "end of file expected");
  fails("[1 2]", 3, "comma expected");
  fails("[1", 2, "close bracket expected");
  fails("[1,", 3, "close bracket expected");
  fails("[,]", 1, "value expected");
  fails('{"a":1,,}', 7, "property name expected");
  fails('{"a" 1}', 5, "colon expected");
  fails('{"a":', 5, "value expected");
  fails('{"a":1', 6, "close brace expected");
  fails("{a:1}", 1, "property name expected");
  fails("[tru]", 1, "invalid symbol");
  fails("[01]", 1, "invalid number format");
  fails("[1.]", 1, "invalid number format");
  fails("[-]", 1, "invalid number format");
  fails("[0x10]", 1, "invalid number format");
  fails('["a\n"]', 1, "unexpected end of string");
  fails('["a', 1, "unexpected end of string");
  fails('["\\x"]', 1, "invalid escape character");
  fails("[".repeat(100_000), 500, "nested too deeply");
});
