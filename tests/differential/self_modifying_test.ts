/**
 * Random programs that write into their own code all the time: values of
 * instructions, opcodes that come and go, the next instruction, data between
 * functions. The executors must agree, wherever runs are interrupted.
 */

import { assert, assertEquals } from "@std/assert";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import { CaseRecord, CODE, DATA, PAGES } from "./record.ts";
import { RheaSubject } from "./rhea.ts";

const FUNCTIONS = 12;
/** Where functions start, in the second page, at odd distances. */
const functionAt = (n: number): number => 4096 + 40 + 53 * n;
/** In a function: offsets of the opcode, the immediate, the displacement. */
const OPCODE = 0, IMMEDIATE = 1, DISPLACEMENT = 7, STORED = 18;

function word(v: number): number[] {
  return [v & 0xff, v >>> 8 & 0xff, v >>> 16 & 0xff, v >>> 24 & 0xff];
}

/** A function: EAX op= value; ESI += [value]; [value + EBX] = value; JNZ over it; RET. */
function body(p: Prng): number[] {
  return [
    ...[p.pick([0x05, 0x35, 0x2d, 0x0d]), ...word(p.u32())],
    ...[0x03, 0x35, ...word(DATA + 4 * p.below(64))],
    ...[0x66, 0xc7, 0x83, ...word(DATA), p.below(256), p.below(256)],
    ...[0x75, 0x06, 0x81, 0xc2, ...word(p.u32())],
    ...[0xc3, 0xc3, 0xc3],
  ];
}

function program(p: Prng): Uint8Array {
  const code = new Uint8Array(PAGES).fill(0x90);
  for (let n = 0; n < FUNCTIONS; n++) code.set(body(p), functionAt(n));
  const main: number[] = [0xbd, ...word(40 + p.below(40))]; // MOV EBP, times
  const loop = main.length;
  for (let n = 0; n < 30; n++) {
    const f = functionAt(p.below(FUNCTIONS));
    // EDI = EDI * 69069 + 1; EBX = EDI & 0xfc
    main.push(0x69, 0xff, ...word(69069), 0x47);
    main.push(0x89, 0xfb, 0x81, 0xe3, ...word(0xfc));
    switch (p.below(8)) {
      case 0:
      case 1: // MOV [immediate], EDI
        main.push(0x89, 0x3d, ...word(CODE + f + IMMEDIATE));
        break;
      case 2: // MOV [displacement], BL: the data are aligned
        main.push(0x88, 0x1d, ...word(CODE + f + DISPLACEMENT));
        break;
      case 3: // XOR BYTE [opcode], 0x10: there and back
        main.push(0x80, 0x35, ...word(CODE + f + OPCODE), 0x10);
        break;
      case 4: // MOV [stored], DI: a word of two bytes
        main.push(0x66, 0x89, 0x3d, ...word(CODE + f + STORED));
        break;
      case 5: { // MOV [next's immediate], EDI; ADD EDX, immediate
        const next = CODE + main.length + 6;
        main.push(0x89, 0x3d, ...word(next + 2));
        main.push(0x81, 0xc2, ...word(0));
        break;
      }
      case 6: { // MOV [next's opcode], ADD or XOR; that
        const next = CODE + main.length + 7;
        main.push(0x80, 0x35, ...word(next), 0x30);
        main.push(0x05, ...word(p.u32()));
        break;
      }
      case 7: // Data between functions
        main.push(0x01, 0x3d, ...word(CODE + f - 4 - 4 * p.below(3)));
        break;
    }
    main.push(0xe8, ...word(f - main.length - 5)); // CALL
  }
  main.push(0x4d); // DEC EBP
  main.push(0x0f, 0x85, ...word(loop - main.length - 6)); // JNZ
  main.push(0xf4); // HLT: a fault, and the end
  code.set(main);
  return code;
}

class Subject {
  readonly rhea: RheaSubject;
  constructor(
    readonly title: string,
    accel: "jit" | "interp",
    threshold: number,
    readonly most: number,
  ) {
    this.rhea = new RheaSubject(accel, threshold, true);
  }

  /** Runs so many instructions, `most` at a time, and tells all that can be seen. */
  run(budget: number): unknown[] {
    const { engine, cpu, code, data } = this.rhea;
    let exit = "budget";
    const end = engine.instructions + budget;
    while (exit === "budget" && engine.instructions < end) {
      exit = engine.run(Math.min(end - engine.instructions, this.most));
    }
    const registers = Array.from({ length: 8 }, (_, i) => cpu.reg32(i) >>> 0);
    return [
      ...[exit, engine.instructions, cpu.eip, cpu.getEflags(), ...registers],
      ...[code.toHex(), data.slice(0, 512).toHex()],
    ];
  }
}

Deno.test("random programs that rewrite themselves: interpreter and compiler agree, whatever the budgets", () => {
  const subjects = [
    new Subject("interp", "interp", 1, 1 << 30),
    new Subject("interp, small budgets", "interp", 1, 7),
    new Subject("jit, threshold 1", "jit", 1, 1 << 30),
    new Subject("jit, threshold 20", "jit", 20, 1 << 30),
    new Subject("jit, threshold 2, small budgets", "jit", 2, 61),
  ];
  const first = seedFrom(1);
  let revived = 0;
  for (let n = 0; n < casesFrom(6); n++) {
    const seed = first + n;
    const p = new Prng(seed);
    const code = program(p);
    const state = new CaseRecord();
    state.setGpr(4, DATA + 0x1800);
    state.setGpr(7, p.u32());
    for (const { rhea } of subjects) {
      rhea.code.set(code);
      rhea.data.fill(0);
      rhea.start(state);
    }
    for (let step = 0; step < 4; step++) {
      const budget = 1 + p.below(step === 3 ? 1 << 20 : 4000);
      const [expected, ...others] = subjects.map((s) => s.run(budget));
      others.forEach((o, i) =>
        assertEquals(
          o,
          expected,
          `seed ${seed}, step ${step}: ${subjects[i + 1].title}`,
        )
      );
    }
    for (const { rhea } of subjects) revived += rhea.engine.cache.revived;
  }
  assert(revived > 1000, `only ${revived} blocks came back`);
});
