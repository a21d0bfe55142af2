import { assertEquals, assertNotEquals } from "@std/assert";
import { hash32, hashRecord } from "./hash.ts";

Deno.test("hash: MurmurHash3's known values, at any alignment", () => {
  // From the reference implementation, by seed and text.
  const known: [string, number, number][] = [
    ["", 0, 0],
    ["", 1, 0x514e28b7],
    ["", 0xffffffff, 0x81f16f39],
    ["a", 0x9747b28c, 0x7fa09ea6],
    ["aaaa", 0x9747b28c, 0x5a97808a],
    ["abc", 0, 0xb3dd93fa],
    ["Hello, world!", 0x9747b28c, 0x24884cba],
  ];
  for (const [text, seed, hash] of known) {
    const bytes = new TextEncoder().encode(text);
    for (let shift = 0; shift < 4; shift++) {
      const room = new Uint8Array(bytes.length + shift);
      room.set(bytes, shift);
      assertEquals(hash32(room.subarray(shift), seed), hash, text);
    }
  }
});

Deno.test("hash: a record's is that of its fields, whatever their order", () => {
  const record = { a: 1, b: [true, null, "x"], c: { d: 2n ** 64n, e: 0.5 } };
  const same = { c: { e: 0.5, d: 2n ** 64n }, b: [true, null, "x"], a: 1 };
  assertEquals(hashRecord(record), hashRecord(same));
  for (
    const other of [
      { ...record, a: 2 },
      { ...record, a: "1" },
      { ...record, a: true },
      { ...record, b: [true, null] },
      { ...record, c: { d: 2n ** 64n + 1n, e: 0.5 } },
      { ...record, c: { d: 2n ** 64n, e: 0.25 } },
      { ...record, f: Uint8Array.of(1) },
    ]
  ) assertNotEquals(hashRecord(other), hashRecord(record));
});
