import { assertEquals } from "@std/assert";
import type { CpuEngine, Mmu } from "../../../core/cpu/frontend.ts";
import { X86 } from "./cpu.ts";
import { bindHelpers } from "./helpers.ts";
import { LONG_REP_MOVS, LONG_REP_SCAS } from "./long_strings.ts";
import { MODELS } from "./models.ts";
import { MAX_ELEMENTS, REP_FLAT, REP_LOG_SHIFT } from "./string_what.ts";
import { REP_WHAT } from "./strings.ts";

const SOURCE = -(2 ** 40), TARGET = 2 ** 40;

/** A CPU all of whose memory is a device; what it does there. */
function atDevice() {
  const accesses: string[] = [];
  let tries = 0;
  const mmu = {
    read8: (at: number) => {
      accesses.push(`read ${at}`);
      return 0x55;
    },
    read64: (at: number, to: Int32Array) => {
      accesses.push(`read ${at}`);
      to.set([at - SOURCE, 7]);
    },
    write64: (at: number, from: Int32Array) =>
      accesses.push(`write ${at} ${from.join()}`),
    direct: () => {
      tries++;
      return -1;
    },
    directStore: () => -1,
    setPhysicalMask: () => {},
    setWide: () => {},
  } as unknown as Mmu;
  const cpu = new X86({ model: MODELS.max });
  const shared = new ArrayBuffer(0x2000);
  cpu.attach(
    {
      base: 0,
      u8: new Uint8Array(shared),
      i32: new Int32Array(shared),
      mmu,
      keyChanged: () => {},
    } as unknown as CpuEngine,
  );
  const call = (helper: { index: number }, log: number): void => {
    const what = log << REP_LOG_SHIFT | REP_FLAT | MAX_ELEMENTS;
    cpu.state[REP_WHAT.offset >> 2] = what;
    bindHelpers(cpu)[helper.index].fn(0, 0, 0);
  };
  return { cpu, accesses, call, tries: () => tries };
}

Deno.test("a device gets REP MOVSQ element by element, and a call ends soon", () => {
  const { cpu, accesses, call, tries } = atDevice();
  cpu.setReg64(1, 5000);
  cpu.setReg64(6, SOURCE);
  cpu.setReg64(7, TARGET);
  call(LONG_REP_MOVS, 3);
  const done = accesses.length / 2;
  assertEquals(done > 0 && done <= 512, true, `${done} elements`);
  const wanted = Array.from({ length: done }, (_, n) => [
    `read ${SOURCE + 8 * n}`,
    `write ${TARGET + 8 * n} ${8 * n},7`,
  ]);
  assertEquals(accesses, wanted.flat());
  assertEquals(
    [1, 6, 7].map((n) => cpu.reg64(n)),
    [5000 - done, SOURCE + 8 * done, TARGET + 8 * done],
  );
  // Whether it is memory is asked once for many.
  assertEquals(tries() <= done / 32, true, `${tries()} tries`);
});

Deno.test("REPE SCASB of a device ends soon, and where they differ", () => {
  const { cpu, accesses, call } = atDevice();
  cpu.setReg64(0, 0x55);
  cpu.setReg64(1, 5000);
  cpu.setReg64(7, TARGET);
  call(LONG_REP_SCAS, 0);
  const done = accesses.length;
  assertEquals(done > 0 && done <= 512, true, `${done} elements`);
  assertEquals(cpu.reg64(7), TARGET + done);
  cpu.setReg64(0, 0x54);
  call(LONG_REP_SCAS, 0);
  assertEquals(accesses.length, done + 1);
  assertEquals(cpu.reg64(1), 5000 - done - 1);
});
