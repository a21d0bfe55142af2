import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FilePace } from "./file_pace.ts";

/** A clock that actions move on. */
class Clock {
  now = 0;
  readonly pace: FilePace = new FilePace(1 << 20, () => this.now);

  isQuick(bytes: number): boolean {
    return this.pace.isQuick(bytes);
  }

  waitedFor(milliseconds: number, bytes = 4096): void {
    this.pace.waitFor(bytes, () => this.now += milliseconds);
  }

  async handedOver(milliseconds: number, bytes = 4096): Promise<void> {
    await this.pace.handOver(bytes, () => {
      this.now += milliseconds;
      return Promise.resolve();
    });
  }
}

/** Hands reads over until one may be waited for: how many it took. */
async function untilQuick(
  pace: Clock,
  milliseconds = 0.02,
): Promise<number> {
  for (let n = 0; n < 10_000; n++) {
    if (pace.isQuick(4096)) return n;
    await pace.handedOver(milliseconds);
  }
  return Infinity;
}

Deno.test("a file is waited for once many reads in a row were quick", async () => {
  const pace = new Clock();
  assertEquals(pace.isQuick(4096), false);
  for (let i = 0; i < 15; i++) await pace.handedOver(0.02);
  await pace.handedOver(5);
  assertEquals(pace.isQuick(4096), false);
  assertEquals(await untilQuick(pace), 16);
  assertEquals(pace.isQuick(1 << 20), true);
  assertEquals(pace.isQuick((1 << 20) + 512), false);
});

Deno.test("what is longer may take longer, and no more than that", async () => {
  const MIB = 1 << 20;
  const pace = new Clock();
  for (let i = 0; i < 16; i++) {
    assertEquals(pace.isQuick(MIB), false);
    await pace.handedOver(0.5, MIB);
  }
  for (let i = 0; i < 1000; i++) {
    assertEquals(pace.isQuick(MIB), true);
    pace.waitedFor(0.2, MIB);
  }
  // As long for 4 KiB is slow: what was saved is used up.
  let slow = 0;
  for (; pace.isQuick(4096); slow++) pace.waitedFor(0.2);
  assertEquals(slow, 11);
  assertEquals(await untilQuick(pace, 0.5), Infinity);
});

Deno.test("a disk is never waited for", async () => {
  assertEquals(await untilQuick(new Clock(), 0.4), Infinity);
});

Deno.test("a slow read ends it, and more are asked for each time, to a limit", async () => {
  const pace = new Clock();
  const asked: number[] = [];
  for (let i = 0; i < 8; i++) {
    asked.push(await untilQuick(pace));
    pace.waitedFor(0.003);
    assertEquals(pace.isQuick(4096), true);
    pace.waitedFor(2);
    assertEquals(pace.isQuick(4096), false);
  }
  assertEquals(asked, [16, 32, 64, 128, 256, 512, 1024, 1024]);
});

Deno.test("what quick reads have saved makes good for a slow one", async () => {
  const pace = new Clock();
  await untilQuick(pace);
  for (let i = 0; i < 1000; i++) pace.waitedFor(0.003);
  pace.waitedFor(1.5);
  assertEquals(pace.isQuick(4096), true);
  pace.waitedFor(1.5);
  assertEquals(pace.isQuick(4096), false);
  assertEquals(await untilQuick(pace), 32);
  for (let i = 0; i < 1000; i++) pace.waitedFor(0.003);
  pace.waitedFor(50);
  assertEquals(await untilQuick(pace), 32);
});

Deno.test("however it mixes them, a disk has the guest wait for little", async () => {
  const pace = new Clock();
  let waited = 0, quick = 0;
  for (let n = 0; n < 100_000; n++) {
    const slow = n % 20 === 0;
    if (!pace.isQuick(4096)) {
      await pace.handedOver(slow ? 5 : 0.05);
      continue;
    }
    pace.waitedFor(slow ? 5 : 0.003);
    if (slow) waited += 5;
    else quick++;
  }
  assert(waited < 200, `${waited} ms of ${quick} quick and 5,000 slow reads`);
});

Deno.test("what fails is not quick, however soon it fails", async () => {
  const fail = (): never => {
    throw new Error("no such sector");
  };
  const pace = new Clock();
  await untilQuick(pace);
  assertEquals(pace.pace.waitFor(512, () => 7), 7);
  assertThrows(() => pace.pace.waitFor(512, fail), Error, "no such sector");
  assertEquals(await untilQuick(pace), 32);
  const other = new Clock();
  for (let i = 0; i < 15; i++) await other.handedOver(0.02);
  await assertRejects(
    () => other.pace.handOver(512, () => Promise.reject(new Error("no"))),
    Error,
  );
  assertEquals(await untilQuick(other), 16);
});
