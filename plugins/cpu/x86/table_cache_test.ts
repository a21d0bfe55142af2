import { assertEquals } from "@std/assert";
import { TableCache } from "./table_cache.ts";

Deno.test("table cache: 2 MiB an entry, until it is told to forget", () => {
  const cache = new TableCache();
  const low = 0x1234_5678;
  const high = -(2 ** 47) + 0x1234_5678;
  assertEquals([cache.find(0), cache.find(low), cache.find(high)], [
    -1,
    -1,
    -1,
  ]);
  cache.enter(low, 0x12_3456_7000, 7, -2);
  const entry = cache.find(low & ~0x1fffff);
  assertEquals(cache.find(low | 0x1fffff), entry);
  assertEquals(
    [cache.table(entry), cache.rights(entry), cache.high(entry)],
    [0x12_3456_7000, 7, -2],
  );
  assertEquals(cache.find(low + 0x200000), -1);
  assertEquals(cache.find(high), -1, "another address with the same low half");
  cache.enter(high, 0x1000, 5, 0);
  assertEquals(cache.find(low), -1, "they share an entry");
  assertEquals(cache.table(cache.find(high)), 0x1000);
  cache.forget();
  assertEquals(cache.find(high), -1);
});
