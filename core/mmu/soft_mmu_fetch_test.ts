/** The TLBs of fetches. */

import { assertEquals } from "@std/assert";
import {
  ACCESS_EXECUTE,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
} from "../cpu/frontend.ts";
import { A, B, C, PAGE, RWX, subject } from "./testing.ts";

Deno.test("softMMU: fetches have a TLB of their own, which data does not disturb", () => {
  const s = subject();
  assertEquals(s.mmu.fetch(A + 5, 0), PAGE + 5);
  assertEquals(s.mmu.fetchHost, s.ram + PAGE);
  assertEquals(s.walks.splice(0), [[A + 5, ACCESS_EXECUTE]]);
  s.mmu.read8(B, 0);
  s.mmu.read8(C, 0);
  s.mmu.read8(A, 0);
  s.walked();
  assertEquals(s.mmu.fetch(A + 6, 0), PAGE + 6);
  assertEquals(s.walked(), 0);
  // A fetch is no permission to read, nor the other way round.
  s.map(B, 2, PERM_READ);
  s.map(C, 3, PERM_EXECUTE);
  s.mmu.flush(false);
  s.mmu.read8(B, 0);
  assertEquals(s.mmu.fetch(B, 0), -1);
  assertEquals(s.mmu.fetch(C, 0), 3 * PAGE);
  assertEquals(s.mmu.slowLoad(C, 1, 0), 0);
});

Deno.test("softMMU: the TLBs of fetches are flushed as those of data, each by its own mode", () => {
  const s = subject();
  s.map(A, 1, RWX | PERM_GLOBAL);
  s.map(B + PAGE, 2);
  s.mmu.flush(false);
  s.flushes.length = 0;
  // Global in both; local only in that of mode 1.
  s.mmu.fetch(A, 0);
  s.mmu.fetch(A, 1);
  s.mmu.flush(true);
  assertEquals(s.flushes, []);
  s.mmu.fetch(B + PAGE, 1);
  s.walked();
  s.mmu.flush(true);
  assertEquals(s.flushes, [[-1, 2]]);
  s.map(A, 4, RWX);
  s.map(B + PAGE, 5);
  assertEquals(s.mmu.fetch(A, 0), PAGE);
  assertEquals(s.mmu.fetch(A, 1), PAGE);
  assertEquals(s.walked(), 0);
  assertEquals(s.mmu.fetch(B + PAGE, 1), 5 * PAGE);
  s.mmu.flushPage(A);
  assertEquals(s.flushes.pop(), [A, 3]);
  assertEquals(s.mmu.fetch(A, 0), 4 * PAGE);
  assertEquals(s.mmu.fetch(A, 1), 4 * PAGE);
  s.mmu.flush(true);
  assertEquals(s.flushes.pop(), [-1, 3]);
  s.mmu.flush(false);
  assertEquals(s.flushes.pop(), [-1, 3]);
});

Deno.test("softMMU: a peek at a fetch changes nothing", () => {
  const s = subject();
  assertEquals(s.mmu.peekFetch(A + 3, 0), PAGE + 3);
  assertEquals(s.mmu.peekFetch(0x7000, 0), -1);
  assertEquals(s.walked(), 0);
  s.map(A, 2);
  assertEquals(s.mmu.fetch(A, 0), 2 * PAGE);
  // Where the tables have changed and nothing was flushed, it is what a fetch gets.
  s.map(A, 1);
  assertEquals(s.mmu.peekFetch(A + 3, 0), 2 * PAGE + 3);
  assertEquals(s.mmu.fetch(A + 3, 0), 2 * PAGE + 3);
  s.mmu.flush(false);
  assertEquals(s.mmu.peekFetch(A + 3, 0), PAGE + 3);
});
