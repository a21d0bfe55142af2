import { assertEquals } from "@std/assert";
import { Generator } from "./generate.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import { type CaseRecord, CODE, DATA, PAGES } from "./record.ts";
import {
  HANDLERS,
  HAS_ERROR,
  RheaSubject,
  SUPERVISOR_CODE,
  SUPERVISOR_DATA,
} from "./rhea.ts";

/** `native/supervisor.asm`, assembled. */
const SUPERVISOR =
  "601e068cd28eda8ec2fc8b1dfc3f3c6b8d4301a3fc3f3c6b83e31fc1e30a81c3" +
  "00403c6b8b44242889038b4c2430894b0483f8200f83a90000008b54242c8953" +
  "088b54243889530c0f20d28953108b54243c89531489ca8d7424088d7b20b908" +
  "000000f3a50fae830002000089d181e90000001081f9e01f000072098b0dfc3f" +
  "3c6bc1e10581e1e01f000081c12000001081f9002000107205b900000010894c" +
  "243081642438ffbefbffc744243c00100020c704242b000000c74424042b0000" +
  "00c744240800110020c744240c000f0020c7442410800e0020c7442418401000" +
  "20dbe2071f6183c408cf";

const SLOT = 32;
const IRQ_VECTOR = 0x20;

/** A CPU with the supervisor, which runs random programs. */
class Subject {
  readonly rhea: RheaSubject;

  constructor(
    readonly title: string,
    accel: "jit" | "interp",
    threshold: number,
  ) {
    this.rhea = new RheaSubject(accel, threshold, true, () => {
      // The acknowledge cycle lowers the line.
      this.rhea.engine.setIrq(false);
      return IRQ_VECTOR;
    });
  }

  load(program: Uint8Array, state: CaseRecord): void {
    const { rhea } = this;
    const code = rhea.supervisor(SUPERVISOR_CODE, 4096);
    code.fill(0);
    for (let i = 0; i < SUPERVISOR.length; i += 2) {
      code[i / 2] = parseInt(SUPERVISOR.slice(i, i + 2), 16);
    }
    const stubs = rhea.supervisor(HANDLERS, 4096);
    const view = new DataView(stubs.buffer, stubs.byteOffset);
    for (let n = 0; n < 256; n++) {
      let at = 16 * n;
      if (!HAS_ERROR.has(n)) {
        stubs.set([0x6a, 0x00], at); // PUSH 0
        at += 2;
      }
      stubs[at] = 0x68; // PUSH n
      view.setUint32(at + 1, n, true);
      stubs[at + 5] = 0xe9; // JMP
      view.setUint32(at + 6, SUPERVISOR_CODE - (HANDLERS + at + 10), true);
    }
    rhea.supervisor(SUPERVISOR_DATA, 0x8000).fill(0);
    rhea.code.set(program);
    rhea.data.set(state.data);
    rhea.engine.setIrq(false);
    rhea.start(state);
  }

  /** What can be seen. */
  state(): Record<string, unknown> {
    const { rhea } = this;
    const position = new DataView(
      rhea.supervisor(SUPERVISOR_CODE, 4096).slice().buffer,
    ).getUint32(4092, true);
    return {
      instructions: rhea.engine.instructions,
      events: position,
      eip: (rhea.cpu.eip >>> 0).toString(16),
      eflags: rhea.cpu.getEflags().toString(16),
      registers: Array.from(
        { length: 8 },
        (_, i) => (rhea.cpu.reg32(i) >>> 0).toString(16),
      ),
      code: hash(rhea.code),
      data: hash(rhea.data),
      log: hash(rhea.supervisor(SUPERVISOR_DATA, 0x8000)),
    };
  }
}

function hash(bytes: Uint8Array): number {
  let h = 0;
  for (const b of bytes) h = Math.imul(h ^ b, 0x01000193) | 0;
  return h;
}

/** Code in slots: what the generator makes, loops, and stores into the code. */
function program(p: Prng, groups: string[]): Uint8Array {
  const code = new Uint8Array(PAGES).fill(0x90);
  const g = new Generator(p, groups, 5);
  for (let slot = 0; slot < PAGES; slot += SLOT) {
    let bytes: number[] = [];
    // Jumps that nothing limits go forward and round, so that all code runs.
    const onward = (): number => (slot + SLOT * (1 + p.below(6))) % PAGES;
    for (const piece of g.next().pieces) {
      if (bytes.length + piece.bytes.length <= SLOT - 12) {
        bytes = [...bytes, ...piece.bytes];
      }
    }
    switch (p.below(6)) {
      case 0: // DEC DWORD [counter]; JNZ a slot before, three times of four
      case 1: {
        const counter = DATA + 16 * p.below(4);
        const back = Math.min(slot / SLOT, p.below(4)) * SLOT;
        bytes.push(
          ...[0xff, 0x0d, ...word(counter)],
          ...[0xf6, 0x05, ...word(counter), p.pick([3, 7, 15])],
        );
        const rel = -(back + bytes.length + 6);
        bytes.push(0x0f, 0x85, ...word(rel));
        break;
      }
      case 2: { // MOV BYTE [code], imm8
        const target = p.oneIn(3) ? slot + p.below(SLOT) : p.below(PAGES);
        bytes.push(0xc6, 0x05, ...word(CODE + target), p.below(256));
        break;
      }
      case 3: // CALL or JMP to a later slot
        bytes.push(
          p.pick([0xe8, 0xe9]),
          ...word(onward() - slot - bytes.length - 5),
        );
        break;
      case 4: // PUSH a slot; RET
        bytes.push(
          0x68,
          ...word(CODE + onward()),
          0xc3,
        );
        break;
    }
    code.set(bytes.slice(0, SLOT), slot);
  }
  code.set([0xe9, ...word(-PAGES)], PAGES - 5); // from the end to the start
  return code;
}

function word(v: number): number[] {
  return [v & 0xff, v >>> 8 & 0xff, v >>> 16 & 0xff, v >>> 24 & 0xff];
}

const SUBJECTS = [
  new Subject("interp", "interp", 1),
  new Subject("jit, threshold 1", "jit", 1),
  new Subject("jit, threshold 10", "jit", 10),
];

/** Seeds that have found something. */
const ONCE_FAILED = [1134, 20003];

function compare(seed: number, groups: string[]): void {
  const p = new Prng(seed);
  const state = new Generator(p, groups, 1).next().record;
  state.codeOffset = 0;
  const code = program(p, groups);
  for (const s of SUBJECTS) s.load(code, state);
  for (let step = 0; step < 12; step++) {
    const budget = p.oneIn(3) ? 1 + p.below(30) : 100 + p.below(2000);
    const irq = p.oneIn(2);
    const states = SUBJECTS.map((s) => {
      const exit = s.rhea.engine.run(budget);
      if (irq) s.rhea.engine.setIrq(true);
      return { exit, ...s.state() };
    });
    for (let i = 1; i < states.length; i++) {
      assertEquals(
        states[i],
        states[0],
        `seed ${seed}, step ${step}: ${SUBJECTS[i].title} differs from interp`,
      );
    }
  }
}

Deno.test("random x86 programs with faults, loops, self-modification and interrupts: interpreter and compiler agree", () => {
  const seed = seedFrom(1);
  const seeds = Array.from({ length: casesFrom(12) }, (_, i) => seed + i);
  for (const s of [...ONCE_FAILED, ...seeds]) {
    compare(s, s % 2 === 0 ? ["integer"] : ["integer", "x87", "mmx", "sse"]);
  }
});
