import { assert, assertEquals, assertThrows } from "@std/assert";
import { decodeRecord, encodeRecord, RecordError } from "./record_codec.ts";
import type { StateRecord } from "./state.ts";

const RECORD: StateRecord = {
  nothing: null,
  flags: [true, false],
  integers: [0, 1, -1, 127, 128, -300, 2 ** 31, 2 ** 51, -(2 ** 52) + 1],
  numbers: [2 ** 52, 2 ** 60, -(2 ** 53), 0.1, -0, 1e300, 5e-324],
  endless: [Infinity, -Infinity, NaN],
  big: [0n, 1n, -1n, 255n, 256n, -(2n ** 64n), 2n ** 200n],
  texts: ["", "a", "Rhea \u{1f426} \0", "\ufeffx"],
  bytes: [new Uint8Array(0), Uint8Array.of(0, 255, 128), new Uint8Array(70000)],
  "a b.c": { inner: { list: [[], [[]], {}] } },
};

Deno.test("a record comes back with every type as it was", () => {
  const back = decodeRecord(encodeRecord(RECORD));
  assertEquals(back, RECORD);
  const { numbers } = back as { numbers: number[] };
  assert(Object.is(numbers[4], -0));
});

Deno.test("what no state may be is not encoded", () => {
  for (const value of [undefined, () => {}, Symbol(), new Uint16Array(2)]) {
    assertThrows(() => encodeRecord({ value } as never), TypeError);
  }
  let deep: StateRecord = {};
  for (let i = 0; i < 100; i++) deep = { deep };
  assertThrows(() => encodeRecord(deep), TypeError, "too deep");
});

Deno.test("no bytes but a record's are decoded, and none cost much", () => {
  const good = encodeRecord(RECORD);
  for (let length = 0; length < 400; length++) {
    assertThrows(() => decodeRecord(good.subarray(0, length)), RecordError);
  }
  let decoded = 0;
  for (let at = 0; at < 400; at++) {
    for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
      const bytes = good.slice();
      bytes[at] ^= flip;
      try {
        decodeRecord(bytes);
        decoded++;
      } catch (error) {
        assert(error instanceof RecordError, String(error));
      }
    }
  }
  // A value may be another one; a checksum is not this one's business.
  assert(decoded > 0);
});

Deno.test("counts beyond the end, deep lists, keys that are there twice", () => {
  const wrong: number[][] = [
    [9, 255, 255, 255, 255, 255, 255, 255, 255, 127],
    [8, 255, 255, 255, 127, 0],
    [7, 200, 1],
    [9, 1, 1, 97, 10],
    [9, 2, 1, 97, 0, 1, 97, 0],
    [9, 1, 9, ...new TextEncoder().encode("__proto__"), 0],
    [9, 1, 1, 255, 0],
    [9, 0, 0],
    [0],
    [9, 1, 1, 97, ...new Array(100).fill([8, 1]).flat(), 0],
    [9, 1, 1, 97, 3, ...new Array(40).fill(255), 1],
    [9, 1, 1, 97, 5, 2, 0],
  ];
  for (const bytes of wrong) {
    assertThrows(() => decodeRecord(Uint8Array.from(bytes)), RecordError);
  }
});
