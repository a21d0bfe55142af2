import { assertEquals } from "@std/assert";
import { ACCESS_READ, GUEST_MODIFIED } from "../cpu/frontend.ts";
import { AccessGuard, type GuardedRange } from "./access_guard.ts";
import { A, PAGE, subject } from "./testing.ts";
import { REFUSES_READ, REFUSES_WRITE } from "./tlb.ts";

const WRITES: GuardedRange = {
  space: "linear",
  address: 0x1ffe,
  size: 4,
  reads: false,
  writes: true,
};
const READS: GuardedRange = {
  space: "physical",
  address: 0x5010,
  size: 1,
  reads: true,
  writes: false,
};

Deno.test("a guard refuses the pages of its ranges", () => {
  const guard = new AccessGuard([WRITES, READS], () => false, () => 7);
  assertEquals(guard.refuses(0x1000, 0x99), REFUSES_WRITE);
  assertEquals(guard.refuses(0x2fff, 0x99), REFUSES_WRITE);
  assertEquals(guard.refuses(0x3000, 0x99), 0);
  assertEquals(guard.refuses(0x3000, 5), REFUSES_READ | REFUSES_WRITE);
  assertEquals(guard.pages(), [{ page: 1, pages: 2 }, { page: 5, pages: 1 }]);
  assertEquals(guard.hasPhysical, true);
});

Deno.test("a guard notes what an instruction accesses, and forgets it at a fault", () => {
  let alone = false;
  const guard = new AccessGuard([WRITES, READS], () => !alone, () => 7);
  assertEquals(guard.allows(0x1ff0, 0, 14, true), true);
  // Any access to a range, as the instruction may go on to write.
  assertEquals(guard.allows(0x1ff0, 0, 15, false), false);
  assertEquals(guard.refusesProbe(0x2001, 0, 1), true);
  assertEquals(guard.refusesProbe(0x2002, 0, 1), false);
  alone = true;
  assertEquals(guard.allows(0x1ff0, 0, 15, false), true);
  assertEquals(guard.take(), []);
  assertEquals(guard.allows(0x1ff0, 0, 16, true), true);
  assertEquals(guard.allows(0x900e, 0x500e, 4, false), true);
  assertEquals(guard.take(), [
    { range: WRITES, address: 0x1ffe, size: 2, isWrite: true, pc: 7 },
    { range: READS, address: 0x5010, size: 1, isWrite: false, pc: 7 },
  ]);
  assertEquals(guard.take(), []);
  guard.allows(0x2000, 0, 1, true);
  guard.drop();
  assertEquals(guard.take(), []);
});

Deno.test("what one instruction accesses does not fill memory", () => {
  const guard = new AccessGuard([WRITES], () => false, () => 7);
  for (let n = 0; n < 5000; n++) guard.allows(0x2000, 0, 1, true);
  assertEquals(guard.take().length, 1024);
});

Deno.test("a helper that makes sure of bytes of which some are watched is run alone", () => {
  const s = subject();
  s.map(A + PAGE, 5);
  let alone = false;
  s.mmu.guard = new AccessGuard([READS], () => !alone, () => 7);
  const probe = (size: number): unknown => {
    try {
      s.mmu.probe(A + PAGE - 16, size, ACCESS_READ, 0);
      return undefined;
    } catch (error) {
      return error;
    }
  };
  assertEquals([probe(32), s.mmu.retries], [undefined, false]);
  assertEquals([probe(33), s.mmu.retries], [GUEST_MODIFIED, true]);
  alone = true;
  assertEquals(probe(33), undefined);
});
