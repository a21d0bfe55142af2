/**
 * FXSAVE and FXRSTOR of 64-bit mode, with and without REX.W, against the host
 * CPU: 16 XMM registers, and pointers of 64 bits. (The host, an AMD, stores the
 * pointers only while an exception is pending, and its MXCSR_MASK has a bit
 * more: neither is compared.)
 */

import { assertEquals } from "@std/assert";
import { Generator64, place64 } from "./generate64.ts";
import { Oracle } from "./oracle.ts";
import { Prng, seedFrom } from "./prng.ts";
import { DATA } from "./record.ts";
import type { CaseRecord64 } from "./record64.ts";
import { RheaSubject64 } from "./rhea64.ts";

/** Offsets in the data pages: where images go, where they come from. */
const TO = 0x400, FROM = 0x800;
const CASES = 20;

/** 0F AE /reg with an absolute operand. */
function at(rex: number[], reg: number, offset: number): number[] {
  const address = DATA + offset;
  return [
    ...rex,
    0x0f,
    0xae,
    (reg << 3) | 4,
    0x25,
    ...[0, 8, 16, 24].map((n) => (address >>> n) & 0xff),
  ];
}

const W = [0x48];
const SEQUENCES: Readonly<Record<string, number[]>> = {
  "fxsave": at([], 0, TO),
  "fxsave64": at(W, 0, TO),
  "fxsave64 across pages": at(W, 0, 0xf00),
  "fxrstor; fxsave": [...at([], 1, FROM), ...at([], 0, TO)],
  "fxrstor64; fxsave64": [...at(W, 1, FROM), ...at(W, 0, TO)],
};

/** Everything that must agree, as text. */
function outcome(r: CaseRecord64): string[] {
  const hex = (b: Uint8Array): string =>
    Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  const memory = r.data.slice();
  for (const to of [TO, 0xf00]) {
    memory.fill(0, to + 6, to + 24); // FOP and pointers
    memory.fill(0, to + 28, to + 32); // MXCSR_MASK
  }
  const lines = [
    `vector ${r.vector} at ${r.rip.toString(16)}`,
    `fcw ${r.fcw} fsw ${r.fsw} ftw ${r.ftw} mxcsr ${r.mxcsr}`,
    hex(memory.subarray(TO, TO + 512)),
    hex(memory.subarray(0xf00, 0xf00 + 512)),
  ];
  for (let n = 0; n < 8; n++) lines.push(hex(r.st(n)));
  for (let n = 0; n < 16; n++) lines.push(hex(r.xmm(n)));
  return lines;
}

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build64(directory);
if (typeof oracle === "string") {
  console.log(`64-bit x87 images: skipped, ${oracle}`);
}

for (const accel of ["interp", "jit"] as const) {
  Deno.test({
    name: `FXSAVE and FXRSTOR of 64-bit mode as the host has them, ${accel}`,
    ignore: typeof oracle === "string",
    fn: async () => {
      const seed = seedFrom(0x64);
      const generator = new Generator64(new Prng(seed), ["x87"], 1);
      const names: string[] = [];
      const cases: CaseRecord64[] = [];
      for (let k = 0; k < CASES; k++) {
        for (const [name, bytes] of Object.entries(SEQUENCES)) {
          const { record } = generator.next();
          record.rip = 0x10000000n;
          if (name.startsWith("fxrstor")) {
            // A valid MXCSR.
            const view = new DataView(
              record.data.buffer,
              record.data.byteOffset,
            );
            view.setUint32(FROM + 24, (k & 1) !== 0 ? 0x7f80 : 0x1f80, true);
          }
          const piece = { form: name, undefinedBefore: 0, undefinedAfter: 0 };
          place64(record, [{ ...piece, bytes }], 0);
          cases.push(record);
          names.push(name);
        }
      }
      const expected = await (oracle as Oracle<CaseRecord64>).run(cases);
      const subject = new RheaSubject64(accel);
      cases.forEach((c, n) =>
        assertEquals(
          outcome(subject.run(c)),
          outcome(expected[n]),
          `${names[n]}, RHEA_SEED=${seed}`,
        )
      );
    },
  });
}

Deno.test({
  name: "remove the 64-bit oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
