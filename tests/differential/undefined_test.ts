/**
 * Which opcodes behind 0F 38 and 0F 3A, and which with prefixes that choose among
 * instructions, raise #UD: as on the host, but for what the host alone has.
 */

import { assertEquals } from "@std/assert";
import { placeCode } from "./generate.ts";
import { isIntel } from "./host_cpu.ts";
import { Oracle } from "./oracle.ts";
import { CaseRecord, DATA } from "./record.ts";
import { RheaSubject } from "./rhea.ts";

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build(directory);
if (typeof oracle === "string") {
  console.log(`undefined opcodes: skipped, ${oracle}`);
}

/** Beginnings of what newer hosts have and the model has not. */
const NEWER: Readonly<Record<string, string>> = {
  "66 0f 38 80": "INVEPT",
  "66 0f 38 81": "INVVPID",
  "66 0f 38 82": "INVPCID",
  "66 0f 38 cf": "GFNI",
  "66 0f 3a ce": "GFNI",
  "66 0f 3a cf": "GFNI",
  "66 0f 38 f5": "CET",
  "66 0f 38 f6": "CET",
  "0f 38 f6": "CET",
  "66 0f 38 f8": "MOVDIR64B",
  "f2 0f 38 f8": "ENQCMD",
  "f3 0f 38 f8": "ENQCMDS",
  "0f 38 f9": "MOVDIRI",
  "f3 0f 38 d8": "key locker",
  "f3 0f 38 dc": "key locker",
  "f3 0f 38 dd": "key locker",
  "f3 0f 38 de": "key locker",
  "f3 0f 38 df": "key locker",
  "f3 0f 38 fa": "key locker",
  "f3 0f 38 fb": "key locker",
  "0f ae": "XSAVE",
  "66 0f ae": "WAITPKG",
  "f2 0f ae": "WAITPKG",
  "f3 0f ae": "FSGSBASE, CET, PTWRITE",
  "0f c7": "XSAVES, VMX",
  "f3 0f c7": "RDPID",
};

interface Opcode {
  readonly name: string;
  readonly record: CaseRecord;
}

function opcodes(): Opcode[] {
  const prefixes = [[], [0x66], [0xf3], [0xf2], [0x66, 0xf3], [0x66, 0xf2]];
  const out: Opcode[] = [];
  const add = (bytes: number[]): void => {
    const record = new CaseRecord();
    for (let n = 0; n < 8; n++) record.setGpr(n, DATA + 0x800);
    const name = bytes.map((x) => x.toString(16).padStart(2, "0")).join(" ");
    const piece = { bytes, form: name, undefinedBefore: 0, undefinedAfter: 0 };
    placeCode(record, [piece], 0);
    out.push({ name, record });
  };
  for (const prefix of prefixes) {
    for (let opcode = 0; opcode < 256; opcode++) {
      for (const modrm of [0xc1, 0x03]) {
        add([...prefix, 0x0f, 0x38, opcode, modrm]);
        add([...prefix, 0x0f, 0x3a, opcode, modrm, 0]);
      }
    }
    for (const opcode of [0x0d, 0xae, 0xb8, 0xbc, 0xbd, 0xc7]) {
      for (let reg = 0; reg < 8; reg++) {
        add([...prefix, 0x0f, opcode, 0xc1 | reg << 3]);
        add([...prefix, 0x0f, opcode, 0x03 | reg << 3]);
      }
    }
  }
  return out;
}

Deno.test({
  name: "undefined opcodes are those of the host",
  ignore: typeof oracle === "string",
  fn: async () => {
    const all = opcodes();
    const expected = await (oracle as Oracle).run(all.map((c) => c.record));
    const subject = new RheaSubject("interp");
    const wrong: string[] = [];
    all.forEach(({ name, record }, n) => {
      const found = subject.run(record), host = expected[n];
      const isSame = found.vector === host.vector && found.eip === host.eip;
      // Intel's CPUs do nothing for PREFETCHW of a register, AMD's and QEMU
      // know no such instruction.
      const isPrefetch = isIntel && /\b0f 0d [c-f]/.test(name);
      const isNewer = found.vector === 6 &&
        Object.keys(NEWER).some((start) =>
          // The last of two prefixes is the one that chooses.
          name.replace(/^66 f/, "f").startsWith(start)
        );
      if (!isSame && !isNewer && !(isPrefetch && host.vector === 3)) {
        wrong.push(`${name}: ${host.vector} on the host, ${found.vector} here`);
      }
    });
    assertEquals(wrong, []);
  },
});

Deno.test({
  name: "remove the oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
