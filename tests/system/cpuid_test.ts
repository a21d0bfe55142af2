/**
 * CPUID of each model, leaf by leaf, beside the QEMU model that is nearest to
 * it. Every word that differs is explained here, bit by bit where its bits are
 * features; what is explained and does not differ fails as well.
 *
 * Leaves above the highest one give what the highest basic leaf does (SDM
 * volume 2, CPUID), on both sides.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assemble, runImage } from "./bench.ts";
import { HAS_NASM, HAS_QEMU, runInQemu } from "./qemu.ts";

/** A word with another value, and why. Of features: the bits of each side that the other has not. */
type Difference =
  | { readonly why: string }
  | { readonly ours: number; readonly theirs: number; readonly why: string };

interface Pair {
  readonly model: string;
  /** What QEMU's `-cpu` takes. */
  readonly qemu: string;
  readonly words: Readonly<Record<string, Difference>>;
}

const REGISTERS = ["eax", "ebx", "ecx", "edx"] as const;

/** The word with these bits set. */
function bits(...numbers: number[]): number {
  return numbers.reduce((v, n) => v | 1 << n, 0);
}

// Leaf 1, EDX.
const VME = 1, PSE = 3, APIC = 9, CLFSH = 19, ACPI = 22, MMX = 23;
const SSE2 = 26, SS = 27;
// Leaf 1, ECX.
const PCLMULQDQ = 1, MONITOR = 3, PCID = 17, AESNI = 25, RDRAND = 30;
// Leaf 7, EBX.
const FSGSBASE = 0, TSC_ADJUST = 1, SMEP = 7, ERMS = 9, INVPCID = 10;
const MPX = 14, RDSEED = 18, PCOMMIT = 22, SHA = 29;
// Leaf 7, ECX.
const PKU = 3, VAES = 9, LA57 = 16, PKS = 31;
// Leaf 7, EDX.
const FSRM = 4, SPEC_CTRL = 26, ARCH_CAPABILITIES = 29;
// Leaf 0Dh, subleaf 1, EAX.
const XSAVEC = 1, XGETBV1 = 2, XSAVES = 3;
// Leaf 80000001h, ECX.
const LAHF = 0, SVM = 2, CR8_LEGACY = 4, SSE4A = 6, PREFETCHW = 8;
// Leaf 80000001h, EDX.
const SYSCALL = 11, MMXEXT = 22, RDTSCP = 27, EXT3DNOW = 30, AMD3DNOW = 31;

const SIGNATURE = { why: "another stepping of the family, or another family" };
const CACHES = { why: "the descriptors of the CPU that it is named after" };
const CACHE = { why: "one cache of 8 KB and one of 512 KB, as leaf 2 says" };
const BRAND = { why: "its own name" };
const INTEL = { why: "reserved by Intel; QEMU has it as AMD does" };
const LINE = { why: "QEMU gives CLFLUSH's line where there is no CLFLUSH" };
const HIGHEST = { why: "each ends where it has something to say" };
const NO_MONITOR = { why: "there is no MONITOR, whose extensions this is" };
const NO_APIC = { why: "the bench has no local APIC, which leaf 0Bh is about" };
const ARAT = { why: "ARAT: there are no states in which a timer could stop" };
const VME_APIC: Difference = {
  ours: bits(VME),
  theirs: bits(APIC),
  why: "QEMU has no VME; the bench has no local APIC",
};
const LONG_ONLY: Difference = {
  ours: 0,
  theirs: bits(SYSCALL),
  why: "Intel's say SYSCALL in 64-bit mode only",
};
const STEADY: Difference = {
  ours: bits(TSC_ADJUST, ERMS),
  theirs: 0,
  why: "for a steady counter and for copies by REP",
};
const LEAF_B: Readonly<Record<string, Difference>> = {
  "b.0 ebx": NO_APIC,
  "b.0 ecx": NO_APIC,
  "b.1 ebx": NO_APIC,
  "b.1 ecx": NO_APIC,
  "b.2 ecx": NO_APIC,
};

/** What models of 64 bits have in common. */
const LONG: Readonly<Record<string, Difference>> = {
  "1 edx": VME_APIC,
  "2 eax": CACHES,
  "2 ecx": CACHES,
  "2 edx": CACHES,
  "4.0 ebx": CACHE,
  "4.0 ecx": CACHE,
  "4.0 edx": CACHE,
  "4.1 eax": CACHE,
  "4.1 ecx": CACHE,
  "4.1 edx": CACHE,
  "4.2 eax": CACHE,
  "4.2 ebx": CACHE,
  "4.2 ecx": CACHE,
  "4.2 edx": CACHE,
  "4.3 eax": CACHE,
  "4.3 ebx": CACHE,
  "4.3 ecx": CACHE,
  "4.3 edx": CACHE,
  "5 ecx": NO_MONITOR,
  "7.0 eax": { why: "subleaf 2 has BHI_CTRL" },
  "7.0 edx": {
    ours: bits(FSRM, SPEC_CTRL, ARCH_CAPABILITIES),
    theirs: 0,
    why: "short strings are fast, and none of the leaks exists",
  },
  "7.2 edx": { why: "BHI_CTRL, for those who ask before they read BHI_NO" },
  "80000000 ebx": INTEL,
  "80000000 ecx": INTEL,
  "80000000 edx": INTEL,
  "80000001 eax": INTEL,
  "80000002 eax": BRAND,
  "80000002 ebx": BRAND,
  "80000002 ecx": BRAND,
  "80000002 edx": BRAND,
  "80000003 eax": BRAND,
  "80000005 eax": INTEL,
  "80000005 ebx": INTEL,
  "80000005 ecx": INTEL,
  "80000005 edx": INTEL,
  "80000006 ebx": INTEL,
  "80000006 ecx": { why: "as leaf 2: a cache of 512 KB, 8 ways" },
  "80000006 edx": INTEL,
  "80000007 edx": {
    ours: 1 << 8,
    theirs: 0,
    why: "the time stamp counter is invariant",
  },
};

const PAIRS: readonly Pair[] = [
  {
    model: "486",
    qemu: "486",
    words: {
      "1 ebx": LINE,
      "1 edx": {
        ours: bits(VME),
        theirs: bits(PSE),
        why: "a DX4 has VME, which QEMU has not, and no large pages",
      },
    },
  },
  {
    model: "pentium",
    qemu: "pentium",
    words: {
      "1 eax": SIGNATURE,
      "1 ebx": LINE,
      "1 edx": {
        ours: bits(VME),
        theirs: bits(APIC, MMX),
        why: "a P54C, before MMX; see VME_APIC",
      },
    },
  },
  {
    model: "pentium3",
    qemu: "pentium3",
    words: {
      "0 eax": HIGHEST, // leaf 3 is the Katmai's number
      "1 eax": SIGNATURE,
      "1 ebx": LINE,
      "1 edx": VME_APIC,
      "2 eax": CACHES,
      "2 ecx": CACHES,
      "2 edx": CACHES,
    },
  },
  {
    model: "pentium4", // QEMU has none
    qemu: "pentium3",
    words: {
      "0 eax": HIGHEST,
      "1 eax": SIGNATURE,
      "1 edx": {
        ours: bits(VME, CLFSH, SSE2, SS),
        theirs: bits(APIC),
        why: "what came with the Pentium 4; see VME_APIC",
      },
      "2 eax": CACHES,
      "2 ecx": CACHES,
      "2 edx": CACHES,
    },
  },
  {
    model: "x86-64",
    qemu: "kvm64",
    words: {
      ...LONG,
      "0 eax": HIGHEST,
      "1 eax": SIGNATURE,
      "7.0 ebx": STEADY,
      "80000001 ecx": {
        ours: bits(LAHF),
        theirs: 0,
        why: "no operating system does without",
      },
      "80000001 edx": LONG_ONLY,
    },
  },
  {
    model: "x86-64-v2",
    qemu: "Nehalem", // its family, model and stepping
    words: {
      ...LONG,
      "0 eax": HIGHEST,
      "7.0 ebx": STEADY,
      "80000001 edx": LONG_ONLY,
      "80000003 ebx": BRAND,
      "80000003 ecx": BRAND,
      "80000003 edx": BRAND,
      "80000004 eax": BRAND,
      "80000004 ebx": BRAND,
      "80000004 ecx": BRAND,
    },
  },
  {
    model: "x86-64-v3",
    qemu: "Haswell-noTSX",
    words: {
      ...LONG,
      ...LEAF_B,
      "1 eax": SIGNATURE,
      "1 ecx": {
        ours: 0,
        theirs: bits(PCLMULQDQ, AESNI, RDRAND),
        why: "no part of the psABI's level",
      },
      "6 eax": ARAT,
      "7.0 ebx": {
        ours: bits(TSC_ADJUST),
        theirs: bits(FSGSBASE, SMEP),
        why: "no part of the level; a steady counter",
      },
      "d.1 eax": {
        ours: bits(XSAVEC, XGETBV1, XSAVES),
        theirs: 0,
        why: "came with later CPUs",
      },
      "d.1 ebx": { why: "the size for what XCR0 has: x87, and the header" },
      "80000001 edx": {
        ours: 0,
        theirs: bits(SYSCALL, RDTSCP),
        why: "see LONG_ONLY; RDTSCP is no part of the level",
      },
      "80000003 ebx": BRAND,
      "80000003 ecx": BRAND,
      "80000003 edx": BRAND,
      "80000004 eax": BRAND,
      "80000004 ebx": BRAND,
    },
  },
  {
    model: "max",
    qemu: "max,vendor=GenuineIntel",
    words: {
      ...LONG,
      ...LEAF_B,
      "1 eax": SIGNATURE,
      "1 ecx": {
        ours: bits(PCID),
        theirs: bits(MONITOR),
        why: "each lacks the other's",
      },
      "1 edx": {
        ours: bits(VME),
        theirs: bits(APIC, ACPI),
        why: "no thermal monitor; see VME_APIC",
      },
      "6 eax": ARAT,
      "7.0 ebx": {
        ours: bits(TSC_ADJUST, INVPCID, RDSEED, SHA),
        theirs: bits(MPX, PCOMMIT),
        why: "each lacks the other's; no CPU has MPX and PCOMMIT any more",
      },
      "7.0 ecx": {
        ours: 0,
        theirs: bits(PKU, VAES, LA57, PKS),
        why: "keys, AES of 256 bits and tables of five levels are not there",
      },
      "d.0 eax": { ours: 0, theirs: bits(3, 4, 9), why: "MPX, PKRU" },
      "d.0 ecx": { why: "the area without MPX and PKRU" },
      "d.1 eax": {
        ours: bits(XSAVEC, XSAVES),
        theirs: 0,
        why: "QEMU has neither",
      },
      "d.1 ebx": { why: "the size for what XCR0 has: x87, and the header" },
      "d.3 eax": { why: "MPX" },
      "d.3 ebx": { why: "MPX" },
      "80000000 eax": HIGHEST, // 8000000Ah is SVM's
      "80000001 ecx": {
        ours: bits(PREFETCHW),
        theirs: bits(SVM, CR8_LEGACY, SSE4A),
        why: "QEMU's is an AMD at heart",
      },
      "80000001 edx": {
        ours: 0,
        theirs: bits(SYSCALL, MMXEXT, EXT3DNOW, AMD3DNOW),
        why: "see LONG_ONLY; the others are AMD's",
      },
      "80000003 ebx": BRAND,
      "80000003 ecx": BRAND,
      "80000008 eax": { why: "48 bits of linear addresses, not 57" },
    },
  },
];

/** Leaf and subleaf to the four registers. */
type Leaves = ReadonlyMap<string, readonly number[]>;

function nameOf(leaf: number, subleaf: number): string {
  const many = [4, 7, 0xb, 0xd].includes(leaf);
  return leaf.toString(16) + (many ? `.${subleaf}` : "");
}

function parse(output: string): Leaves {
  return new Map(
    output.split("\n").filter((line) => line !== "").map((line) => {
      const [leaf, subleaf, ...values] = line.trim().split(" ").map((t) =>
        parseInt(t, 16)
      );
      return [nameOf(leaf, subleaf), values];
    }),
  );
}

/** The highest basic leaf and the highest extended one. */
function highest(leaves: Leaves): readonly [number, number] {
  const extended = leaves.get("80000000")![0];
  return [leaves.get("0")![0], extended >>> 31 === 1 ? extended : 0];
}

/** Whether a CPU with these highest leaves has a leaf. */
function has(
  [basic, extended]: readonly [number, number],
  leaf: number,
): boolean {
  return leaf < 0x80000000 ? leaf <= basic : leaf <= extended;
}

/** Checks that leaves that are not there are the highest basic one. */
function checkBeyond(leaves: Leaves, title: string): void {
  const last = highest(leaves);
  const expected = leaves.get(nameOf(last[0], 0));
  for (const [name, values] of leaves) {
    const [leaf, subleaf = "0"] = name.split(".");
    if (subleaf !== "0" || has(last, parseInt(leaf, 16))) continue;
    assertEquals(values, expected, `${title}: leaf ${name}`);
  }
}

function hex(v: number): string {
  return (v >>> 0).toString(16).padStart(8, "0");
}

/** What differs, as the table has it. */
function compare(ours: Leaves, theirs: Leaves): Map<string, [number, number]> {
  const [a, b] = [highest(ours), highest(theirs)];
  const found = new Map<string, [number, number]>();
  for (const [name, values] of ours) {
    const leaf = parseInt(name.split(".")[0], 16);
    if (!has(a, leaf) || !has(b, leaf)) continue;
    const others = theirs.get(name)!;
    values.forEach((v, i) => {
      if (v !== others[i]) found.set(`${name} ${REGISTERS[i]}`, [v, others[i]]);
    });
  }
  return found;
}

for (const { model, qemu, words } of PAIRS) {
  const skipped = HAS_NASM && HAS_QEMU ? "" : " (skipped: no nasm or no QEMU)";
  Deno.test({
    name: `CPUID of ${model} beside QEMU's ${qemu}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const image = await assemble("cpuid");
      if (image === undefined) throw new Error("there is no nasm");
      const ours = parse(runImage(image, { accel: "interp", model }));
      const theirs = parse(await runInQemu(image, qemu));
      checkBeyond(ours, model);
      checkBeyond(theirs, qemu);
      const unexplained: string[] = [];
      const found = compare(ours, theirs);
      for (const [name, [a, b]] of found) {
        const known = words[name];
        if (
          known === undefined ||
          "ours" in known &&
            ((known.ours ^ a & ~b) !== 0 || (known.theirs ^ b & ~a) !== 0)
        ) {
          unexplained.push(
            `${name}: ${hex(a)}, QEMU ${hex(b)}; ` +
              `only ours ${hex(a & ~b)}, only QEMU's ${hex(b & ~a)}`,
          );
        }
      }
      for (const name of Object.keys(words)) {
        if (!found.has(name)) unexplained.push(`${name}: they agree`);
      }
      assertEquals(unexplained, []);
    },
  });
}
