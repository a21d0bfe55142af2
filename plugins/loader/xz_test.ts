import { assert, assertEquals, assertThrows } from "@std/assert";
import { LzmaError } from "./lzma.ts";
import { unpackXz } from "./xz.ts";

/** What `xz` makes of bytes; undefined where it is not installed. */
async function xz(
  bytes: Uint8Array,
  ...options: string[]
): Promise<Uint8Array | undefined> {
  try {
    const child = new Deno.Command("xz", {
      args: ["--compress", "--stdout", "--quiet", ...options],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    const written = writer.write(bytes).then(() => writer.close());
    const { stdout } = await child.output();
    await written;
    return stdout;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** Bytes of several kinds. */
function samples(): Record<string, Uint8Array> {
  const next = random(5);
  const words = Array.from({ length: 50 }, () => next().toString(36));
  let text = "";
  while (text.length < 300_000) text += `${words[next() % 50]} `;
  const noise = Uint8Array.from({ length: 100_000 }, next);
  // Calls near each other, as the filter for x86 looks for.
  const calls = Uint8Array.from(
    { length: 200_000 },
    () => next() % 3 === 0 ? [0xe8, 0xe9, 0, 0xff][next() % 4] : next(),
  );
  return {
    nothing: new Uint8Array(0),
    one: new Uint8Array([7]),
    zeroes: new Uint8Array(1_000_000),
    text: new TextEncoder().encode(text),
    noise,
    calls,
    mixed: new Uint8Array([...noise, ...calls, ...noise]),
  };
}

const OPTIONS: readonly string[][] = [
  ["--check=crc32", "--x86", "--lzma2=dict=32MiB"],
  ["--check=crc32", "-9e"],
  ["--check=crc64", "-0"],
  ["--check=none", "--lzma2=lc=0,lp=2,pb=0"],
  ["--check=sha256", "--x86", "--lzma2=lc=4,lp=0,pb=4"],
  ["--check=crc32", "--block-size=65536", "--x86", "--lzma2=preset=6"],
];

for (const options of OPTIONS) {
  Deno.test(`xz unpacks what ${options.join(" ")} packs`, async () => {
    for (const [name, bytes] of Object.entries(samples())) {
      const packed = await xz(bytes, ...options);
      if (packed === undefined) {
        console.log("skipped: xz is not installed");
        return;
      }
      assertEquals(unpackXz(packed, bytes.length).length, bytes.length, name);
      const unpacked = unpackXz(packed, bytes.length + 10);
      const same = unpacked.length === bytes.length &&
        unpacked.every((byte, i) => byte === bytes[i]);
      assert(same, name);
    }
  });
}

Deno.test("xz: damaged data are refused, and nothing else happens", async () => {
  const bytes = samples().text.subarray(0, 20_000);
  const packed = await xz(bytes, "--check=crc32", "--x86", "--lzma2");
  if (packed === undefined) {
    console.log("skipped: xz is not installed");
    return;
  }
  assertThrows(() => unpackXz(packed, bytes.length - 1), LzmaError);
  assertThrows(() => unpackXz(new Uint8Array(0), 1), LzmaError);
  const next = random(9);
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const damaged = packed.slice(0, i % 2 ? packed.length : next());
    damaged[next() % packed.length] ^= 1 << next() % 8;
    try {
      unpackXz(damaged, bytes.length);
    } catch (error) {
      if (!(error instanceof LzmaError)) throw error;
      refused++;
    }
  }
  // Some bits, as those of the index, are not looked at.
  assert(refused > 350, `${refused}`);
});
