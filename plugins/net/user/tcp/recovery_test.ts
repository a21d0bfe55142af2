import { assertEquals } from "@std/assert";
import { Recovery } from "./recovery.ts";

/** So many duplicates; whether one of them said that there is a loss. */
function duplicates(recovery: Recovery, at: number, count = 3): boolean {
  let isLoss = false;
  for (let i = 0; i < count; i++) {
    if (recovery.duplicate(at | 0, at + 100_000 | 0)) isLoss = true;
  }
  return isLoss;
}

Deno.test("three duplicates are a loss, once until it is mended", () => {
  const recovery = new Recovery(0x7fff_ff00);
  recovery.advance(0x7fff_ff01);
  assertEquals(duplicates(recovery, 0x7fff_ff01, 2), false);
  recovery.advance(0x8000_0000 | 0);
  assertEquals(duplicates(recovery, 0x8000_0000, 2), false);
  assertEquals(duplicates(recovery, 0x8000_0000, 1), true);
  assertEquals(recovery.resend, true);
  recovery.resend = false;
  assertEquals(duplicates(recovery, 0x8000_0000, 9), false);
  // A part has come: more was lost.
  recovery.advance(0x8000_1000 | 0);
  assertEquals(recovery.resend, true);
  recovery.resend = false;
  // All that was sent then: duplicates of it say nothing.
  recovery.advance(0x8000_0000 + 100_000 | 0);
  assertEquals(recovery.resend, false);
  assertEquals(duplicates(recovery, 0x8000_0000 + 100_000), false);
  recovery.advance(0x8000_0000 + 100_001 | 0);
  assertEquals(duplicates(recovery, 0x8000_0000 + 100_001), true);
});

Deno.test("a timeout sends all again: duplicates of that are none", () => {
  const recovery = new Recovery(0);
  recovery.advance(1);
  assertEquals(duplicates(recovery, 1), true);
  recovery.timeout(50_000);
  assertEquals(recovery.resend, false);
  recovery.advance(30_000);
  assertEquals([recovery.resend, duplicates(recovery, 30_000)], [false, false]);
  recovery.advance(50_001);
  assertEquals(duplicates(recovery, 50_001), true);
});

Deno.test("gigabytes without a loss do not hide the next one", () => {
  const recovery = new Recovery(0);
  for (let sent = 1; sent < 12 * 2 ** 30; sent += 2 ** 30) {
    recovery.advance(sent | 0);
  }
  for (let sent = 12 * 2 ** 30; sent < 16 * 2 ** 30; sent += 2 ** 29) {
    recovery.advance(sent | 0);
    assertEquals(duplicates(recovery, sent), true, `${sent}`);
    recovery.advance(sent + 100_000 | 0);
  }
});
