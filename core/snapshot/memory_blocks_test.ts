import { assertEquals } from "@std/assert";
import { GuestMemory, PAGE_BYTES } from "../machine/memory.ts";
import { memoryBlocks, usedPages } from "./memory_blocks.ts";

/** No multiple of the pages that are compared at once. */
const PAGES = 1003;

Deno.test("a page with one byte that is not zero is used, wherever it is", () => {
  const bytes = PAGES * PAGE_BYTES;
  const memory = new GuestMemory({ arenaBytes: 65536, guestBytes: bytes });
  memory.alloc(bytes);
  const wanted = [0, 15, 16, 31, 47, 48, 49, 512, 1001, 1002];
  for (const [i, page] of wanted.entries()) {
    // At the first byte, at the last, and between.
    const at = Math.floor(i * (PAGE_BYTES - 1) / (wanted.length - 1));
    memory.u8[memory.guestStart + page * PAGE_BYTES + at] = 1;
  }
  const used = [...usedPages(memory).entries()]
    .filter(([, isUsed]) => isUsed === 1).map(([page]) => page);
  assertEquals(used, wanted);
  const pages = [...memoryBlocks(memory)].map((block) => block.pages);
  assertEquals(pages, [wanted.length]);
});
