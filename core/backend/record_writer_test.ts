import { assertEquals } from "@std/assert";
import { RecordWriter } from "./record_writer.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

Deno.test("records: whole, in order, in few pieces, however little a write takes", async () => {
  const pieces: number[][] = [];
  const writer = new RecordWriter(
    async (piece) => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      const taken = piece.subarray(0, 5);
      pieces.push([...taken]);
      return taken.length;
    },
    100,
    (error) => {
      throw error;
    },
  );
  const expected: number[] = [];
  for (let i = 0; i < 10; i++) {
    assertEquals(writer.push(bytes(i), bytes(100, i)), true);
    expected.push(i, 100, i);
  }
  await writer.flush();
  assertEquals(pieces.flat(), expected);
  assertEquals(pieces.length, 6);
  assertEquals(writer.lost, 0);
});

Deno.test("records: a slow stream loses whole records and gets the others", async () => {
  let go = Promise.withResolvers<void>();
  const got: number[] = [];
  const writer = new RecordWriter(
    async (piece) => {
      await go.promise;
      got.push(...piece);
      return piece.length;
    },
    8,
    () => {},
  );
  const push = (n: number): boolean => writer.push(bytes(n), bytes(n, n));
  assertEquals([push(1), push(2), push(3)], [true, true, false]);
  // Those are being written now: there is room for as many again.
  await Promise.resolve();
  await Promise.resolve();
  assertEquals([push(4), push(5), push(6)], [true, true, false]);
  go.resolve();
  await writer.flush();
  assertEquals(got, [1, 1, 1, 2, 2, 2, 4, 4, 4, 5, 5, 5]);
  assertEquals(writer.lost, 2);
  go = Promise.withResolvers();
  assertEquals(push(7), true);
  go.resolve();
  await writer.flush();
  assertEquals(got.slice(12), [7, 7, 7]);
});

Deno.test("records: after an error nothing is written, and it is said once", async () => {
  const errors: unknown[] = [];
  const writer = new RecordWriter(
    () => Promise.reject(new Error("broken")),
    100,
    (error) => errors.push(error),
  );
  writer.push(bytes(1), bytes());
  await writer.flush();
  assertEquals(writer.push(bytes(2), bytes()), false);
  await writer.flush();
  assertEquals(errors.map(String), ["Error: broken"]);
  assertEquals(writer.lost, 1);
});
