/**
 * The directed system tests: each source of this folder in both executors,
 * against the golden output beside it; and QEMU against the same golden, with
 * the lines in which QEMU is known not to follow the hardware named below.
 *
 * `deno test -A tests/system -- --update` accepts what the interpreter prints.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assemble, runImage } from "./bench.ts";
import { HAS_NASM, HAS_QEMU, runInQemu } from "./qemu.ts";

interface Case {
  name: string;
  model?: string;
  /** It uses the bench's own ports. */
  benchOnly?: boolean;
  /**
   * Beginnings of lines in which QEMU 7.2 differs from the manual: it checks
   * no segment limits and no types of data accesses, has no #AC, no general
   * detect, no T bit, no LTR check, and reports reserved bits without P.
   */
  qemu?: readonly string[];
}

const LIMITS = [
  "use of null ds",
  "write to readable code",
  "write to read only",
  "small: ",
  "fs small",
  "down: below",
  "down 16-bit",
  "ss limit",
  "ltr null",
  "run into the limit",
  "limit: ",
  "word at ffff",
  "dword at fffd",
  "32-bit offset above",
  "jmp beyond ffff",
];

const CASES: readonly Case[] = [
  { name: "segments", qemu: LIMITS },
  {
    name: "gates",
    qemu: [
      ...LIMITS,
      "3: int1",
      "3: call gate, absent level 1 SS", // #TS instead of #SS
      "3: call gate, TSS too short",
    ],
  },
  {
    name: "tasks",
    qemu: [
      "new task: ", // EIP of the old task, no T bit
      "dr6 ",
      "double fault: bad stack",
    ],
  },
  {
    name: "paging",
    qemu: [
      "3: enter, ", // the new top is not looked at
      "ebp", // POPA that faults has loaded registers
      "4M reserved",
      "global ", // small TLB: global entries may go
      "copied ", // a page fault leaves the TLB as it is
      "PAE: XD without NXE",
      "PAE: physical bit",
      "PAE: reserved bit",
      "PAE: the same",
      "PG without PE",
      "NW without CD",
      "reserved bit of CR4",
    ],
  },
  { name: "paging", model: "max", benchOnly: true },
  { name: "v86", qemu: [...LIMITS, "VME: "] }, // QEMU has no VME
  {
    name: "debug",
    qemu: [
      " #0006 ", // RF
      " #0001 ", // RF, watchpoints beside the range
      "general detect",
      "dr6 ",
      "all ones",
      "int1",
      "3: misaligned",
    ],
  },
  { name: "realmode", qemu: [...LIMITS, "write to cs"] },
  {
    name: "misc",
    qemu: ["rdmsr unknown", "wrmsr unknown", "rdpmc", "pat of a bad type"],
  },
  { name: "events", benchOnly: true },
  {
    name: "long_modes",
    model: "max",
    qemu: [
      // Left out: QEMU lets most of these pass.
      "pce-",
      "PG cleared",
      "PAE cleared",
      "LME cleared",
      "high bits",
      "cr",
      "dr",
      "jmp far to both L and D",
      "jmp far, not canonical",
      "lgdt, not canonical",
      "lidt, not canonical",
      "retf, not canonical", // found at the fetch
      "ret, not canonical",
      "jmp, not canonical",
      "iretq to 32-bit code, SS null",
      "iretq, not canonical",
      "null SS with RPL 3",
      "lar of a 16-bit TSS",
      "fs base, not canonical",
      "lldt, not canonical",
      "lldt, type in the second half",
    ],
  },
  {
    name: "long_events",
    model: "max",
    qemu: [
      "int to an address that is not canonical", // left out
      "3: syscall in compatibility mode", // left out: as AMD has it
      "3: handler without a stack", // EXT
      "ud2: ", // RF
      "int through", // the vector times 16
      "3: int of level 0",
      "3: pusha above", // from the other end
      "breakpoint of strings", // before the last
      "store by rbp", // #GP
      "push: ",
      "call: ",
      "sysret, not canonical", // at level 3
      "lstar, not canonical",
      "fmask, high bits",
      "wrgsbase, not canonical",
    ],
  },
  {
    name: "long_paging",
    model: "max",
    qemu: [
      "load, no-execute without NXE", // without P
      "load, physical address too large",
      "load, 1 GB, reserved bit",
      "load, 2 MB, reserved bit",
      "load, large page at the top",
      "PCIDE", // left out: no PCIDs
      "pcid ",
      "invpcid",
      "3: invpcid",
    ],
  },
  {
    name: "long_strings",
    model: "max",
    qemu: [],
  },
  { name: "long_avx", model: "max", benchOnly: true },
  {
    name: "long_canonical",
    model: "max",
    qemu: [
      // It has no #SS for what is not canonical,
      "push, ",
      "push across",
      "push from memory to",
      "pop: ",
      "pop by",
      "leave: ",
      "enter: ",
      "call to a bad stack",
      "ret from",
      "iretq from",
      "retfq from",
      "pushfq: ",
      "popfq: ",
      "load by rbp: ",
      "load by rbp and",
      "load by rsp: ",
      "load by rbp in ds",
      "store by rbp",
      // finds it only when it fetches what is there,
      "jmp register",
      "jmp memory",
      "jmp below",
      "call register",
      "call memory",
      "ret: ",
      "ret and",
      "ret, ",
      "3: jmp: ",
      "3: jmp memory",
      "3: call: ",
      "3: ret: ",
      "ret in a loop",
      "jmp in a loop",
      // and does not look.
      "fxsave",
      "clflush",
      "sysret to the hole",
    ],
  },
  {
    name: "long_walk",
    model: "max",
    qemu: [
      "reserved", // without P
      "ldt read only", // a double word
      "ldt in a user's page, SMAP, AC", // lets it through
      "far return to 32-bit code, ldt", // not marked accessed
    ],
  },
  {
    name: "long_segments",
    model: "max",
    qemu: [
      "00b0 ", // types that only other modes have: TSS of 16 bits,
      "0198 ",
      "01a8 ",
      "01ab ",
      "01d8 ",
      "01e8 ",
      "01eb ",
      "01f8 ", // their call gates and task gates
      "0208 ",
      "020b ",
      "0218 ",
      "0228 ",
      "022b ",
      "0198 ",
      "0448 ", // bases that are not canonical
      "044b ",
      "0458 ",
      "access: ",
    ],
  },
  {
    name: "long_transfers",
    model: "max",
    qemu: [
      "0038 ", // both L and D
      "0120 ",
      "0123 ",
      "00b8 ", // limits
      "0128 ",
      "012b ",
      "0118 ", // not present before not of 64 bits
      "011b ",
      "03f8 ",
      "03fb ",
      "03e8 ", // RPL of CS
      "03eb ",
      "access: ", // it marks no code accessed
    ],
  },
  {
    name: "long_gates",
    model: "max",
    qemu: [
      "ud2, ", // EXT; the vector times 16
      "int, gate beyond",
      "3: int, gate beyond",
      "3: ud2, RSP0",
      " #91 ", // SS null with an interrupt stack of the same level
      "nmi", // left out
      " #02 ",
      " #02",
      " and",
      "back",
      "IF clear",
      "interrupt ",
      "not in",
      "shadow of",
      "behind",
      " #80",
    ],
  },
  {
    name: "long_switch",
    model: "max",
    qemu: [
      "beyond the limit", // left out
      "null ",
      "write to code",
      "#GP ", // a TSS of 16 bits goes
      "no fault",
    ],
  },
  {
    name: "long_code",
    model: "max",
    qemu: [
      "2 MB", // INVLPG of another address in the page
    ],
  },
  {
    name: "long_stack",
    model: "max",
    qemu: [
      "0008 000000000000c0de o16 call", // left out
      "0008 o16 ret",
    ],
  },
  { name: "long_control", model: "max", benchOnly: true },
  { name: "long_pcid", model: "max", benchOnly: true }, // 7.2 has no PCIDs
  {
    name: "long_sysret",
    model: "max",
    qemu: [
      "above it", // at level 3, when it fetches there, as AMD has it
      "in the hole",
      "below the upper half",
      "  flags: ", // it takes VM, and neither VIF nor VIP
      "  flags, VIF",
    ],
  },
  { name: "long_align", model: "max", benchOnly: true }, // QEMU has no #AC
  {
    name: "long_returns",
    model: "max",
    qemu: [
      "null 1  ", // it leaves FS and GS their RPL
      "null 2  ",
      "null 3  ",
      "null 1, level 0", // and takes any of SS
      "null 3, level 0",
      "null 0, 32-bit", // and 32-bit code none
    ],
  },
  {
    name: "long_debug",
    model: "max",
    qemu: [
      " #06 ", // RF
      " #82 ", // RF is not cleared
      " #01 +000b cs 08", // no INT1
      " #01 +000c cs 08",
      " #01 +0012 cs 08", // no general detect
      " #01 +0018 cs 08",
      " #01 +001b cs 08", // not stopped by MOV SS
      " #01 +0061 cs 08", // none behind STI
      " #01 +0019 cs 08", // a step and a breakpoint in one
      " #01 +0020 cs 08",
      " #01 +0021 cs 08", // not delayed by MOV SS
      " #01 +0022 cs 08", // RF behind IN
      " #01 +0024 cs 08",
      " #01 +0034 cs 08",
      " #01 +0043 cs 08", // each time in REP
      " #01 +009c cs 08", // and what was hit before
      " #01 +00d3 cs 08", // RF within REP
      "general detect",
      "dr6 ",
      "int1",
      "3: int1",
      "3: dr8",
    ],
  },
];

const UPDATE = Deno.args.includes("--update");

function goldenPath(c: Case): URL {
  const suffix = c.model === undefined ? "" : `.${c.model}`;
  return new URL(`golden/${c.name}${suffix}.txt`, import.meta.url);
}

for (const c of CASES) {
  const label = c.model === undefined ? c.name : `${c.name} on ${c.model}`;
  Deno.test({
    name: `system: ${label}${HAS_NASM ? "" : " (skipped: there is no nasm)"}`,
    ignore: !HAS_NASM,
    async fn() {
      const image = await assemble(c.name);
      if (image === undefined) throw new Error("there is no nasm");
      if (UPDATE) {
        const out = runImage(image, { accel: "interp", model: c.model });
        await Deno.writeTextFile(goldenPath(c), out);
      }
      const golden = await Deno.readTextFile(goldenPath(c));
      for (const accel of ["interp", "jit"] as const) {
        // With so low a threshold nearly all of it is compiled.
        const out = runImage(image, { accel, model: c.model, threshold: 3 });
        assertEquals(out, golden, accel);
      }
    },
  });
  if (c.benchOnly === true) continue;
  Deno.test({
    name: `system: ${label} in QEMU${
      HAS_NASM && HAS_QEMU ? "" : " (skipped: there is no nasm or QEMU)"
    }`,
    ignore: !HAS_NASM || !HAS_QEMU,
    async fn() {
      const image = await assemble(c.name, ["QEMU"]);
      if (image === undefined) throw new Error("there is no nasm");
      // What the vendors have each in its own way, its "max" has as this one.
      const cpu = c.model === "max"
        ? "max,vendor=GenuineIntel"
        : c.model ?? "pentium3";
      const out = await runInQemu(image, cpu);
      // Addresses relative to something else may move with what is left out.
      const known = (line: string): boolean =>
        c.qemu?.some((start) => line.startsWith(start)) ?? false;
      const golden = await Deno.readTextFile(goldenPath(c));
      const pick = (text: string): string[] =>
        text.split("\n").filter((line) => line !== "" && !known(line));
      assertEquals(pick(out), pick(golden));
    },
  });
}
