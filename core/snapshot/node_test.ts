import { assertEquals } from "@std/assert";
import { crc32 as expected } from "node:zlib";
import { crc32 } from "./node.ts";

Deno.test("checksums are node:zlib's, of few bytes and of many", () => {
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i * i >> 3);
  // The short ones first: when node:zlib is there, it does all.
  for (const length of [0, 1, 9, 1000, 65536, 65537, 200_000]) {
    const part = bytes.subarray(0, length);
    assertEquals(crc32(part), expected(part));
    assertEquals(crc32(part, 0xdeadbeef), expected(part, 0xdeadbeef));
  }
  // The check value of CRC-32/ISO-HDLC.
  assertEquals(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});
