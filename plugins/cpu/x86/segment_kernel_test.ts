import { assertEquals } from "@std/assert";
import {
  OFF_JUMP_KEY,
  OFF_TLB,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
} from "../../../core/exec/layout.ts";
import type { X86 } from "./cpu.ts";
import { LOAD_DATA, POP_DATA } from "./segment_kernel.ts";
import {
  DS,
  ES,
  KEY_CPL_SHIFT,
  KEY_DEBUG,
  KEY_FLAT_DATA,
  KEY_PROTECTED,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_SEG,
  SEG_ATTR,
} from "./state.ts";

const BASE = 0x10000;
const GDT = 0xc0123450;
/** Where the page with the GDT lies. */
const HOST = 0x80000;
const memory = new WebAssembly.Memory({
  initial: 16,
  maximum: 16,
  shared: true,
});
const i32 = new Int32Array(memory.buffer);
const word = (offset: number): number => (BASE + offset) >> 2;
const noCpu = undefined as unknown as X86;
let slow = 0;
const refuse = (): number => ++slow;
const load = LOAD_DATA(noCpu)!(memory, BASE, refuse);
const pop = POP_DATA(noCpu)!(memory, BASE, refuse);
const ENTRY = BASE + OFF_TLB +
  ((GDT >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_BYTES;
const USER_DATA = 0x00cff300, KERNEL_DATA = 0x00cf9300;

/** The CPU and its table: `hi` is the second word of the descriptor at index 3. */
function prepare({ cpl = 0, hi = KERNEL_DATA, lo = 0xffff, key = 0 } = {}) {
  slow = 0;
  const plain = KEY_PROTECTED | KEY_FLAT_DATA | cpl << KEY_CPL_SHIFT;
  i32[word(OFF_JUMP_KEY)] = plain ^ key;
  i32[word(OFF_GDT_BASE)] = GDT | 0;
  i32[word(OFF_GDT_LIMIT)] = 0x1f;
  i32[(ENTRY + TLB_READ) >> 2] = (GDT & ~0xfff) | 0;
  i32[(ENTRY + TLB_READ + TLB_HOST) >> 2] = HOST;
  const at = (HOST + (GDT & 0xfff) + 0x18) >> 2;
  i32[at] = lo;
  i32[at + 1] = hi;
  for (const seg of [ES, DS]) {
    i32[word(OFF_SEG + seg * 32)] = 0x7777;
    i32[word(OFF_SEG + seg * 32 + SEG_ATTR)] = 0x5555;
  }
  i32[word(OFF_GPR + 4 * 8)] = 0x1000;
}

/** Selector and attributes of a segment register. */
function segment(seg: number): [number, number] {
  const at = OFF_SEG + seg * 32;
  return [i32[word(at)], i32[word(at + SEG_ATTR)]];
}

Deno.test("flat segments: loaded without the TypeScript", () => {
  prepare();
  assertEquals(load(DS, 0xabcd0018 | 0, 0), 0);
  assertEquals(segment(DS), [0x18, KERNEL_DATA & 0xf0ff00]);
  assertEquals(segment(ES), [0x7777, 0x5555]);
  prepare({ cpl: 3, hi: USER_DATA });
  assertEquals(load(ES, 0x1b, 0), 0);
  assertEquals(segment(ES), [0x1b, USER_DATA & 0xf0ff00]);
  prepare({ hi: USER_DATA });
  assertEquals(pop(ES | 4 << 4 | 0x100, 0x1b, 0), 0);
  assertEquals(segment(ES), [0x1b, USER_DATA & 0xf0ff00]);
  assertEquals(i32[word(OFF_GPR + 4 * 8)], 0x1004);
  assertEquals(slow, 0);
});

Deno.test("all else is left to the TypeScript, and nothing is changed before", () => {
  const refused = (what: string, selector = 0x18, run = load, seg = DS) => {
    assertEquals(run(seg, selector, 0), 1, what);
    assertEquals(segment(DS), [0x7777, 0x5555], what);
    assertEquals(i32[word(OFF_GPR + 4 * 8)], 0x1000, what);
  };
  prepare();
  refused("null", 0);
  slow = 0;
  refused("null with a level", 3);
  slow = 0;
  refused("in the LDT", 0x1c);
  slow = 0;
  refused("beyond the table", 0x20);
  for (
    const [what, hi] of Object.entries({
      "not accessed": 0x00cf9200,
      "not writable": 0x00cf9100,
      "expands down": 0x00cf9700,
      "code": 0x00cf9b00,
      "a system segment": 0x00cf8300,
      "not present": 0x00cf1300,
      "in bytes": 0x004f9300,
      "16 bits": 0x008f9300,
      "with a base": 0x00cf9301,
      "with a high base": 0x01cf9300,
      "small": 0x00c09300,
    })
  ) {
    prepare({ hi });
    refused(what);
  }
  prepare({ lo: 0xfffe });
  refused("smaller");
  prepare({ lo: 0x1ffff });
  refused("with a low base");
  prepare({ cpl: 3 });
  refused("the kernel's, for a program");
  prepare();
  refused("a selector for programs", 0x1b);
  prepare({ key: KEY_DEBUG });
  refused("while debugged");
  prepare({ key: KEY_FLAT_DATA });
  refused("another segment is not flat");
  prepare({ key: KEY_PROTECTED });
  refused("not in protected mode");
  prepare();
  i32[(ENTRY + TLB_READ) >> 2] ^= 0x1000;
  refused("not in the TLB");
  prepare();
  i32[word(OFF_GDT_BASE)] = GDT - 0x450 + 0xfe4 | 0;
  refused("across two pages");
  prepare();
  refused("16-bit operand", 0x18, pop, DS | 2 << 4 | 0x100);
  prepare();
  refused("16-bit stack", 0x18, pop, DS | 4 << 4);
});
