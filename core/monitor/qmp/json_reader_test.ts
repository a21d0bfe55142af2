import { assert, assertEquals } from "@std/assert";
import { type JsonMessage, JsonReader } from "./json_reader.ts";
import { JsonFloat, type JsonOutput, jsonText } from "./json_value.ts";

/** All messages in a text that comes in chunks of so many bytes. */
function read(
  text: string | Uint8Array,
  chunk = Infinity,
): JsonMessage[] {
  const bytes = typeof text === "string"
    ? new TextEncoder().encode(text)
    : text;
  const messages: JsonMessage[] = [];
  const reader = new JsonReader((message) => messages.push(message));
  for (let at = 0; at < bytes.length; at += chunk) {
    reader.feed(bytes.slice(at, Math.min(at + chunk, bytes.length)));
  }
  return messages;
}

/** The value in a message, written again. */
function textOf(message: JsonMessage): string {
  if ("value" in message) return jsonText(message.value);
  throw new Error(message.error);
}

/** A generator of its own: the seed says the values. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

const TEXTS = ["", "a", 'q"\\', "é€😀", "\t\n\0\x1f", "'", "x".repeat(300)];
const NUMBERS = [0, -1, 7, 1e15, -123456789, 0.5, -2.25e-7, 1e300];

/** A value for `JSON.stringify`. */
function randomValue(
  below: (n: number) => number,
  depth: number,
): JsonOutput {
  const kind = below(depth > 0 ? 7 : 5);
  switch (kind) {
    case 0:
      return null;
    case 1:
      return below(2) === 1;
    case 2:
      return NUMBERS[below(NUMBERS.length)];
    case 3:
    case 4:
      return TEXTS[below(TEXTS.length)];
    case 5:
      return Array.from(
        { length: below(5) },
        () => randomValue(below, depth - 1),
      );
    default:
      return Object.fromEntries(
        Array.from({ length: below(5) }, (_, i) => [
          `${TEXTS[below(TEXTS.length)]}${i}`,
          randomValue(below, depth - 1),
        ]),
      );
  }
}

Deno.test("JSON reader: random values, split at every byte, are what JSON.parse gives", () => {
  const below = randomOf(15);
  for (let round = 0; round < 300; round++) {
    const value = randomValue(below, 4);
    const space = [undefined, 1, "\t"][below(3)];
    // A scalar ends where something else begins.
    const text = `${JSON.stringify(value, null, space)}\n`;
    const plain = JSON.stringify(JSON.parse(text));
    for (const chunk of [1, 2, 3, 7, Infinity]) {
      const [message, ...more] = read(text, chunk);
      assertEquals(more, []);
      assertEquals(JSON.stringify(JSON.parse(textOf(message))), plain);
    }
  }
});

Deno.test("JSON reader: values stand back to back", () => {
  assertEquals(read('{}[]"x"{"a":1}5 true'), [
    { value: new Map() },
    { value: [] },
    { value: "x" },
    { value: new Map([["a", 1]]) },
    { value: 5 },
  ]);
});

Deno.test("JSON reader: numbers are integers of 64 bits, or floats", () => {
  const [{ value }] = read(
    "[-0,9007199254740993,-9223372036854775808,18446744073709551615," +
      "18446744073709551616,1.0,1e2," + "9".repeat(30) + "]",
  ) as { value: unknown }[];
  assertEquals(value, [
    0,
    9007199254740993n,
    -9223372036854775808n,
    18446744073709551615n,
    new JsonFloat(18446744073709551616),
    new JsonFloat(1),
    new JsonFloat(100),
    new JsonFloat(1e30),
  ]);
});

Deno.test("JSON reader: strings in single quotes, escapes and modified UTF-8", () => {
  assertEquals(read(`'say "it\\'s"' "\\u00e9\\ud83d\\ude00\\/"`), [
    { value: 'say "it\'s"' },
    { value: "é😀/" },
  ]);
  const zero = new Uint8Array([0x22, 0x61, 0xc0, 0x80, 0x62, 0x22]);
  assertEquals(read(zero), [{ value: "a\0b" }]);
  for (
    const bytes of [
      [0xff - 3],
      [0xc0, 0x81],
      [0xe2, 0x82],
      [0xed, 0xa0, 0x80],
      [0xef, 0xbf, 0xbf],
    ]
  ) {
    assertEquals(read(new Uint8Array([0x22, ...bytes, 0x22])), [
      { error: "JSON parse error, invalid UTF-8 sequence in string" },
    ]);
  }
});

Deno.test("JSON reader: a key may be any string", () => {
  const [{ value }] = read('{"__proto__":1,"constructor":2}') as {
    value: ReadonlyMap<string, unknown>;
  }[];
  assertEquals([...value], [["__proto__", 1], ["constructor", 2]]);
});

Deno.test("JSON reader: nesting goes to 1024, and no further", () => {
  const deep = (n: number): string => "[".repeat(n) + "]".repeat(n);
  assert("value" in read(deep(1024))[0]);
  const messages = read(deep(1025));
  assertEquals(messages[0], { error: "JSON nesting depth limit exceeded" });
  // The brackets that close it are errors, and then all is well.
  assertEquals(read(`${deep(5000)} {"a":1}`).at(-1), {
    value: new Map([["a", 1]]),
  });
});

Deno.test("JSON reader: a value has a limited number of tokens", () => {
  const ones = new TextEncoder().encode("1,".repeat(1 << 15));
  const messages: JsonMessage[] = [];
  const reader = new JsonReader((message) => messages.push(message));
  reader.feed(new TextEncoder().encode("["));
  for (let i = 0; i < 31; i++) reader.feed(ones);
  assertEquals(messages, []);
  reader.feed(ones);
  assertEquals(messages[0], { error: "JSON token count limit exceeded" });
});

Deno.test("JSON reader: a token has a limited size", () => {
  const messages: JsonMessage[] = [];
  const reader = new JsonReader((message) => messages.push(message));
  reader.feed(new TextEncoder().encode('"'));
  const chunk = new Uint8Array(1 << 20).fill(0x61);
  for (let i = 0; i < 64; i++) reader.feed(chunk);
  assertEquals(messages, [{ error: "JSON token size limit exceeded" }]);
  reader.feed(new TextEncoder().encode('\n{"a":1}'));
  assertEquals(messages.at(-1), { value: new Map([["a", 1]]) });
});

Deno.test("JSON reader: after any rubbish a control character and a value are understood", () => {
  const below = randomOf(4);
  const pieces = [
    ..."[]{}:,\"'\\ \n\0aztf0-9.eE+%é",
    '"a":',
    "true",
    "1.5",
    '"\\u00',
    "\xff",
  ];
  for (let round = 0; round < 500; round++) {
    const length = below(30);
    let text = "";
    for (let i = 0; i < length; i++) text += pieces[below(pieces.length)];
    // What forces QEMU's reader to a known state: an unbalanced end, a control
    // character, brackets that close what may be open.
    const whole = `${text}\x01${"]".repeat(40)}\x01{"a":1}`;
    const all = read(whole);
    assertEquals(all.at(-1), { value: new Map([["a", 1]]) }, text);
    for (const chunk of [1, 3]) assertEquals(read(whole, chunk), all, text);
  }
});
