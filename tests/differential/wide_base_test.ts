/**
 * Relocatable code of a 64-bit system whose pages are far from each other, or
 * from their linear addresses: the base of its program counters has 64 bits.
 */

import { assertEquals } from "@std/assert";
import { Mapper } from "./flow64.ts";
import {
  A,
  D,
  type FlowProgram64,
  KERNEL,
  P,
  PAGE,
  RW,
  SYSTEM,
  SYSTEM_PAGES,
  US,
  VERSION_AT,
} from "./flow64_layout.ts";
import { FlowSystem64 } from "./flow64_subject.ts";

/** A program at some address, each of whose pages is in one of the banks. */
function program(
  linear: bigint,
  banks: readonly number[],
  compatibility: boolean,
  ...pages: readonly (readonly number[])[]
): FlowProgram64 {
  const mapper = new Mapper();
  const code = new Uint8Array(pages.length * PAGE);
  pages.forEach((bytes, i) => {
    code.set(bytes, i * PAGE);
    const frame = VERSION_AT[banks[i]] + i * PAGE;
    const at = linear + BigInt(i * PAGE);
    mapper.map(at, BigInt(frame) | P | RW | US | A | D);
  });
  for (let i = 0; i < SYSTEM_PAGES; i++) {
    const frame = BigInt(SYSTEM + i * PAGE);
    mapper.map(KERNEL + BigInt(i * PAGE), frame | P | RW | A | D);
  }
  return {
    code: [code, code],
    tables: new Uint8Array(PAGE),
    values: [],
    // Nothing, and INVLPG of a page that there is not.
    ops: new BigUint64Array(256).map((_, i) => i % 4 === 3 ? 0x7000n : 0n),
    entries: [...mapper.entries],
    repaired: [],
    start: linear,
    stack: 0n,
    compatibility,
    base: 0,
    ist: false,
    cr4: 0x620,
    cpl: 3,
    registers: [0, 200, 0, 0, 0, 0, 0, 0],
  };
}

for (const accel of ["interp", "jit"] as const) {
  Deno.test(`${accel}: a loop over pages that are 2 GiB apart in memory ends where it does`, () => {
    for (const banks of [[0, 1], [1, 0], [0, 2], [2, 0]]) {
      const system = new FlowSystem64(accel, { accel, threshold: 10 });
      const far = PAGE - 7;
      system.load([program(
        0x5555_0040_0000n,
        banks,
        false,
        [0xff, 0xc0, 0xe9, far & 0xff, far >> 8, 0, 0], // INC EAX; JMP
        // DEC ECX; JZ to what is cold: JMP back; MOV EBX, ECX; JMP $
        // deno-fmt-ignore
        [0xff, 0xc9, 0x74, 5, 0xe9, 0xf7, 0xef, 0xff, 0xff,
          0x89, 0xcb, 0xeb, 0xfe],
      )]);
      const [cpu] = system.cpus;
      assertEquals(cpu.run(2000), "budget");
      const { rip, registers, events } = cpu.state();
      assertEquals([rip, events], ["55550040100b", 0], `banks ${banks}`);
      assertEquals((registers as string[]).slice(0, 2), ["c8", "0"]);
    }
  });

  Deno.test(`${accel}: a 32-bit program below where it is in memory goes to the kernel and back`, () => {
    const system = new FlowSystem64(accel, { accel, threshold: 10 });
    // INC EAX; TEST AL, 7; JNZ; INT 80h; DEC ECX; JNZ back; JMP $. The program
    // is hot before the kernel is.
    // deno-fmt-ignore
    const loop = [0x40, 0xa8, 7, 0x75, 2, 0xcd, 0x80, 0x49, 0x75, 0xf6, 0xeb, 0xfe];
    system.load([program(0x0804_0000n, [1], true, loop)]);
    const [cpu] = system.cpus;
    assertEquals(cpu.run(20_000), "budget");
    const { rip, registers, events } = cpu.state();
    assertEquals([rip, events], ["804000a", 25]);
    assertEquals((registers as string[]).slice(0, 2), ["c8", "0"]);
  });
}
