import { assertEquals, assertRejects } from "@std/assert";
import { ByteWriter } from "./byte_writer.ts";

Deno.test("byte writer: pieces in order, each as a whole, however little a write takes", async () => {
  let written = "";
  const writer = new ByteWriter(
    async (bytes) => {
      await Promise.resolve();
      const part = bytes.subarray(0, 3);
      written += new TextDecoder().decode(part);
      return part.length;
    },
    () => {},
  );
  const encoder = new TextEncoder();
  for (const text of ["abcdefgh", "", "12345", "xyz"]) {
    void writer.push(encoder.encode(text));
  }
  // Who was held back writes when it is let go: flush waits for that too.
  void writer.push(encoder.encode("-"))
    .then(() => writer.push(encoder.encode("!")));
  await writer.flush();
  assertEquals(written, "abcdefgh12345xyz-!");
});

Deno.test("byte writer: after an error nothing is written, and it is told once", async () => {
  let calls = 0;
  const errors: unknown[] = [];
  const writer = new ByteWriter(
    (bytes) => {
      calls++;
      return calls === 2
        ? Promise.reject(new Error("the disk is full"))
        : Promise.resolve(Math.min(bytes.length, 2));
    },
    (error) => errors.push(error),
  );
  // Who writes is not held up by it.
  await writer.push(new Uint8Array(4));
  await writer.push(new Uint8Array(4));
  assertEquals([calls, errors.length], [2, 1]);
  await assertRejects(() => writer.flush(), Error, "the disk is full");
});
