import { assert, assertEquals } from "@std/assert";
import { FilePace } from "./file_pace.ts";

/** Hands reads over until one may be waited for: how many it took. */
function untilQuick(pace: FilePace, milliseconds = 0.02): number {
  for (let n = 0; n < 10_000; n++) {
    if (pace.isQuick(4096)) return n;
    pace.handedOver(milliseconds);
  }
  return Infinity;
}

Deno.test("a file is waited for once many reads in a row were quick", () => {
  const pace = new FilePace();
  assertEquals(pace.isQuick(4096), false);
  for (let i = 0; i < 15; i++) pace.handedOver(0.02);
  pace.handedOver(5);
  assertEquals(pace.isQuick(4096), false);
  assertEquals(untilQuick(pace), 16);
  assertEquals(pace.isQuick(1 << 20), false);
});

Deno.test("a disk is never waited for", () => {
  assertEquals(untilQuick(new FilePace(), 0.4), Infinity);
});

Deno.test("a slow read ends it, and more are asked for each time, to a limit", () => {
  const pace = new FilePace();
  const asked: number[] = [];
  for (let i = 0; i < 8; i++) {
    asked.push(untilQuick(pace));
    pace.waitedFor(0.003);
    assertEquals(pace.isQuick(4096), true);
    pace.waitedFor(2);
    assertEquals(pace.isQuick(4096), false);
  }
  assertEquals(asked, [16, 32, 64, 128, 256, 512, 1024, 1024]);
});

Deno.test("what quick reads have saved makes good for a slow one", () => {
  const pace = new FilePace();
  untilQuick(pace);
  for (let i = 0; i < 1000; i++) pace.waitedFor(0.003);
  pace.waitedFor(1.5);
  assertEquals(pace.isQuick(4096), true);
  pace.waitedFor(1.5);
  assertEquals(pace.isQuick(4096), false);
  assertEquals(untilQuick(pace), 32);
  for (let i = 0; i < 1000; i++) pace.waitedFor(0.003);
  pace.waitedFor(50);
  assertEquals(untilQuick(pace), 32);
});

Deno.test("however it mixes them, a disk has the guest wait for little", () => {
  const pace = new FilePace();
  let waited = 0, quick = 0;
  for (let n = 0; n < 100_000; n++) {
    const slow = n % 20 === 0;
    if (!pace.isQuick(4096)) {
      pace.handedOver(slow ? 5 : 0.05);
      continue;
    }
    pace.waitedFor(slow ? 5 : 0.003);
    if (slow) waited += 5;
    else quick++;
  }
  assert(waited < 200, `${waited} ms of ${quick} quick and 5,000 slow reads`);
});
