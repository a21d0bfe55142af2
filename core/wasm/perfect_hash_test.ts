import { assert, assertEquals } from "@std/assert";
import { perfectHash } from "./perfect_hash.ts";

Deno.test("no two keys share a slot, and the table stays small", () => {
  const sets = [
    [0, -1],
    Array.from({ length: 16 }, (_, i) => 0x100000 + 16 * i),
    Array.from({ length: 16 }, (_, i) => (0xc0000000 + 4096 * i) | 0),
    Array.from({ length: 16 }, (_, i) => 1 << (2 * i)),
  ];
  for (const keys of sets) {
    const { factor, bits } = perfectHash(keys);
    const slots = keys.map((key) => Math.imul(key, factor) >>> (32 - bits));
    assertEquals(new Set(slots).size, keys.length);
    assert(bits <= 8, `${bits} bits for ${keys.length} keys`);
  }
});
