import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  CPU_AREA_BYTES,
  GuestMemory,
  MemoryError,
  PAGE_BYTES,
} from "./memory.ts";

Deno.test("the layout: CPUs, arena, guest memory, pages", () => {
  const memory = new GuestMemory({
    cpus: 2,
    arenaBytes: 1 << 20,
    guestBytes: 10_000,
  });
  assertEquals(memory.cpuArea(0), 65536);
  assertEquals(memory.cpuArea(1), 65536 + CPU_AREA_BYTES);
  assertEquals(memory.arenaOffset, 65536 + 2 * CPU_AREA_BYTES);
  const a = memory.alloc(100);
  const b = memory.alloc(PAGE_BYTES);
  assertEquals(a, memory.arenaOffset + (1 << 20));
  assertEquals(b, a + PAGE_BYTES);
  assert(memory.memory.buffer instanceof SharedArrayBuffer);
  assertEquals(memory.u8.length, memory.bytes);
  assertThrows(() => memory.cpuArea(2), RangeError);
  assertThrows(() => memory.alloc(1 << 20), RangeError);
});

Deno.test("more than WebAssembly's limit is refused", () => {
  assertThrows(
    () => new GuestMemory({ guestBytes: 4 * 2 ** 30 }),
    MemoryError,
    "the limit is 4096 MiB",
  );
});

Deno.test("3 GB of RAM can be reserved", () => {
  const memory = new GuestMemory({ guestBytes: 3 * 2 ** 30 });
  const offset = memory.alloc(3 * 2 ** 30);
  memory.u8[offset + 3 * 2 ** 30 - 1] = 1;
});
