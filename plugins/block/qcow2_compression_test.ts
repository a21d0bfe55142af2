import { assertEquals, assertThrows } from "@std/assert";
import { deflateRawSync, zstdCompressSync } from "node:zlib";
import { BlockError } from "../../core/backend/block.ts";
import { decompress } from "./qcow2_compression.ts";

const SIZE = 4096;
const CLUSTER = new Uint8Array(SIZE).map((_, i) => (i * i) >> 5);

/** Compressed bytes, with others behind them. */
function compressed(kind: "zlib" | "zstd", bytes: Uint8Array): Uint8Array {
  const packed = kind === "zlib"
    ? deflateRawSync(bytes)
    : zstdCompressSync(bytes);
  const all = new Uint8Array(packed.length + 300).fill(0xa5);
  all.set(packed);
  return all;
}

for (const kind of ["zlib", "zstd"] as const) {
  Deno.test(`decompress: ${kind} with other bytes behind it`, () => {
    for (const cluster of [CLUSTER, new Uint8Array(SIZE)]) {
      const result = decompress(kind, compressed(kind, cluster), SIZE);
      assertEquals([...result], [...cluster]);
    }
  });

  Deno.test(`decompress: ${kind} of another size, cut off or none`, () => {
    const refuses = (bytes: Uint8Array) =>
      assertThrows(() => decompress(kind, bytes, SIZE), BlockError, "Damaged");
    refuses(compressed(kind, new Uint8Array(SIZE + 1)));
    refuses(compressed(kind, new Uint8Array(SIZE - 1)));
    // It stops before it has made all of this.
    refuses(compressed(kind, new Uint8Array(64 << 20)));
    refuses(compressed(kind, CLUSTER).subarray(0, 50));
    refuses(new Uint8Array(512).fill(0xff));
    refuses(new Uint8Array(0));
  });
}
