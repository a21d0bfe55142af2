/**
 * CPU models: what CPUID says and which instructions and control bits exist.
 *
 * @module
 */

/**
 * A feature that gates instructions, control register bits or MSRs. Names are
 * those of Linux's /proc/cpuinfo where it has one.
 */
export type Feature =
  | "fpu"
  | "cpuid"
  | "vme"
  | "de"
  | "pse"
  | "tsc"
  | "msr"
  | "pae"
  | "mce"
  | "cx8"
  | "apic"
  | "sep"
  | "mtrr"
  | "pge"
  | "mca"
  | "cmov"
  | "pat"
  | "pse36"
  | "clflush"
  | "mmx"
  | "fxsr"
  | "sse"
  | "sse2"
  | "ss"
  | "sse3"
  | "pclmulqdq"
  | "ssse3"
  | "sse4_1"
  | "sse4_2"
  | "x2apic"
  | "movbe"
  | "popcnt"
  | "tsc_deadline_timer"
  | "aes"
  | "rdrand"
  | "bmi1"
  | "rdseed"
  | "adx"
  | "clflushopt"
  | "clwb"
  | "sha_ni"
  | "abm"
  | "3dnowprefetch"
  | "nx"
  | "rdtscp"
  | "xsave"
  | "xsaveopt"
  | "xsavec"
  | "xgetbv1"
  | "xsaves"
  | "avx"
  | "avx2"
  | "fma"
  | "f16c"
  | "bmi2"
  | "erms"
  | "fsrm"
  | "syscall"
  | "lm"
  | "lahf_lm"
  | "cx16"
  | "pcid"
  | "fsgsbase"
  | "smep"
  | "invpcid"
  | "smap"
  | "umip"
  | "pdpe1gb"
  | "tsc_adjust"
  | "nonstop_tsc"
  | "arch_capabilities";

/** Where the bits of features stand in a word of CPUID. */
type Bits = Readonly<Partial<Record<Feature, number>>>;

/**
 * Bits of CPUID leaf 1, EDX (SDM volume 2, CPUID, table 3-11). That of the
 * local APIC is not there: the machine says whether there is one.
 */
const LEAF1_EDX: Bits = {
  fpu: 0,
  vme: 1,
  de: 2,
  pse: 3,
  tsc: 4,
  msr: 5,
  pae: 6,
  mce: 7,
  cx8: 8,
  sep: 11,
  mtrr: 12,
  pge: 13,
  mca: 14,
  cmov: 15,
  pat: 16,
  pse36: 17,
  clflush: 19,
  mmx: 23,
  fxsr: 24,
  sse: 25,
  sse2: 26,
  ss: 27,
};
/** Bits of CPUID leaf 1, ECX (table 3-10). */
const LEAF1_ECX: Bits = {
  sse3: 0,
  pclmulqdq: 1,
  ssse3: 9,
  fma: 12,
  cx16: 13,
  pcid: 17,
  sse4_1: 19,
  sse4_2: 20,
  x2apic: 21,
  movbe: 22,
  popcnt: 23,
  tsc_deadline_timer: 24,
  aes: 25,
  xsave: 26,
  avx: 28,
  f16c: 29,
  rdrand: 30,
};
/** Bits of CPUID leaf 7, EBX (table 3-8). */
const LEAF7_EBX: Bits = {
  fsgsbase: 0,
  tsc_adjust: 1,
  bmi1: 3,
  avx2: 5,
  smep: 7,
  bmi2: 8,
  erms: 9,
  invpcid: 10,
  rdseed: 18,
  adx: 19,
  smap: 20,
  clflushopt: 23,
  clwb: 24,
  sha_ni: 29,
};
/** Bits of CPUID leaf 7, ECX. */
const LEAF7_ECX: Bits = { umip: 2 };
/** Bits of CPUID leaf 7, EDX: with IA32_ARCH_CAPABILITIES comes IA32_SPEC_CTRL. */
const LEAF7_EDX: Bits = { fsrm: 4, arch_capabilities: 29 };
/** IA32_SPEC_CTRL and IA32_PRED_CMD exist. */
const SPEC_CTRL = 1 << 26;
/** Bits of CPUID leaf 0x80000001, ECX. */
const EXTENDED_ECX: Bits = {
  lahf_lm: 0,
  abm: 5,
  "3dnowprefetch": 8,
};
/** Bits of CPUID leaf 0x80000001, EDX. */
const EXTENDED_EDX: Bits = {
  syscall: 11,
  nx: 20,
  pdpe1gb: 26,
  rdtscp: 27,
  lm: 29,
};

/** Bits of CPUID leaf 0x80000007, EDX: the time stamp counter is invariant. */
const POWER_EDX: Bits = { nonstop_tsc: 8 };

/** Bits of CPUID leaf 0Dh, subleaf 1, EAX. */
const LEAFD1_EAX: Bits = {
  xsaveopt: 0,
  xsavec: 1,
  xgetbv1: 2,
  xsaves: 3,
};

/** The word of CPUID that says these features. */
function word(bits: Bits, features: ReadonlySet<Feature>): number {
  let v = 0;
  for (const [name, bit] of Object.entries(bits)) {
    if (features.has(name as Feature)) v |= 1 << bit;
  }
  return v;
}

/** One CPU model. */
export interface Model {
  /** The name that `--cpu` takes. */
  readonly name: string;
  /** CPUID leaf 1 EAX, and EDX after reset: type, family, model, stepping. */
  readonly signature: number;
  /** CPUID leaf 0's twelve letters. */
  readonly vendor: string;
  /** Highest basic CPUID leaf. */
  readonly maxLeaf: number;
  /** Brand string of leaves 0x80000002-4; empty when those do not exist. */
  readonly brand: string;
  /** Descriptors of CPUID leaf 2: EAX, EBX, ECX, EDX. */
  readonly caches: readonly [number, number, number, number];
  /** What it has. */
  readonly features: ReadonlySet<Feature>;
  /** CPUID leaf 1 EDX. */
  readonly leaf1Edx: number;
  /** CPUID leaf 1 ECX. */
  readonly leaf1Ecx: number;
  /** CPUID leaf 7 EBX; the leaf exists if `maxLeaf` says so. */
  readonly leaf7Ebx: number;
  /** CPUID leaf 0Dh, subleaf 1, EAX. */
  readonly leafD1Eax: number;
  /** The bits of XCR0 that may be set; 0: there is none. */
  readonly xcr0Mask: number;
  /** CPUID leaf 7 ECX. */
  readonly leaf7Ecx: number;
  /** CPUID leaf 7 EDX. */
  readonly leaf7Edx: number;
  /** CPUID leaf 0x80000001 ECX. */
  readonly extendedEcx: number;
  /** CPUID leaf 0x80000001 EDX. */
  readonly extendedEdx: number;
  /** CPUID leaf 0x80000007 EDX. */
  readonly powerEdx: number;
  /** Bits of CR4 that may be set. */
  readonly cr4Mask: number;
  /** Bits of MXCSR that may be set (MXCSR_MASK of the FXSAVE image). */
  readonly mxcsrMask: number;
  /** Physical address bits. */
  readonly physicalBits: number;
}

/** CR4 bits. */
export const CR4_VME = 0x1,
  CR4_PVI = 0x2,
  CR4_TSD = 0x4,
  CR4_DE = 0x8,
  CR4_PSE = 0x10,
  CR4_PAE = 0x20,
  CR4_MCE = 0x40,
  CR4_PGE = 0x80,
  CR4_PCE = 0x100,
  CR4_OSFXSR = 0x200,
  CR4_OSXMMEXCPT = 0x400,
  CR4_UMIP = 0x800,
  CR4_FSGSBASE = 0x10000,
  CR4_PCIDE = 0x20000,
  CR4_SMEP = 0x100000,
  CR4_SMAP = 0x200000,
  CR4_OSXSAVE = 0x40000;

interface Sheet {
  name: string;
  signature: number;
  maxLeaf: number;
  brand?: string;
  caches?: readonly [number, number, number, number];
  features: readonly Feature[];
}

function model(sheet: Sheet): Model {
  const f = new Set(sheet.features);
  let cr4 = 0;
  if (f.has("vme")) cr4 |= CR4_VME | CR4_PVI;
  if (f.has("tsc")) cr4 |= CR4_TSD;
  if (f.has("de")) cr4 |= CR4_DE;
  if (f.has("pse")) cr4 |= CR4_PSE;
  if (f.has("pae")) cr4 |= CR4_PAE;
  if (f.has("mce")) cr4 |= CR4_MCE;
  if (f.has("pge")) cr4 |= CR4_PGE;
  if (f.has("mmx") && f.has("msr")) cr4 |= CR4_PCE;
  if (f.has("fxsr")) cr4 |= CR4_OSFXSR;
  if (f.has("sse")) cr4 |= CR4_OSXMMEXCPT;
  if (f.has("xsave")) cr4 |= CR4_OSXSAVE;
  if (f.has("umip")) cr4 |= CR4_UMIP;
  if (f.has("fsgsbase")) cr4 |= CR4_FSGSBASE;
  if (f.has("pcid")) cr4 |= CR4_PCIDE;
  if (f.has("smep")) cr4 |= CR4_SMEP;
  if (f.has("smap")) cr4 |= CR4_SMAP;
  return {
    name: sheet.name,
    signature: sheet.signature,
    vendor: "GenuineIntel",
    maxLeaf: sheet.maxLeaf,
    brand: sheet.brand ?? "",
    caches: sheet.caches ?? [1, 0, 0, 0],
    features: f,
    leaf1Edx: word(LEAF1_EDX, f),
    leaf1Ecx: word(LEAF1_ECX, f),
    leaf7Ebx: word(LEAF7_EBX, f),
    leafD1Eax: word(LEAFD1_EAX, f),
    xcr0Mask: !f.has("xsave") ? 0 : f.has("avx") ? 7 : 3,
    leaf7Ecx: word(LEAF7_ECX, f),
    leaf7Edx: word(LEAF7_EDX, f) |
      (f.has("arch_capabilities") ? SPEC_CTRL : 0),
    extendedEcx: word(EXTENDED_ECX, f),
    extendedEdx: word(EXTENDED_EDX, f),
    powerEdx: word(POWER_EDX, f),
    cr4Mask: cr4,
    mxcsrMask: f.has("sse2") ? 0xffff : 0xffbf, // DAZ came with SSE2
    physicalBits: f.has("lm") ? 40 : f.has("pae") ? 36 : 32,
  };
}

const I486: readonly Feature[] = ["fpu", "cpuid", "vme"];
const PENTIUM: readonly Feature[] = [
  ...I486,
  "de",
  "pse",
  "tsc",
  "msr",
  "mce",
  "cx8",
  "apic",
];
const PENTIUM3: readonly Feature[] = [
  ...PENTIUM,
  "pae",
  "sep",
  "mtrr",
  "pge",
  "mca",
  "cmov",
  "pat",
  "pse36",
  "mmx",
  "fxsr",
  "sse",
];
const PENTIUM4: readonly Feature[] = [
  ...PENTIUM3,
  "clflush",
  "sse2",
  "ss",
];
/**
 * With both, Linux relies on the time stamp counter; else it compares it with
 * another timer, and where the host gives a CPU no time in the middle of that,
 * does without it from then on.
 */
const STEADY_TSC: readonly Feature[] = ["tsc_adjust", "nonstop_tsc"];
/** What 32-bit code can use of CPUs since. */
const LATER: readonly Feature[] = [
  "sse3",
  "pclmulqdq",
  "ssse3",
  "sse4_1",
  "sse4_2",
  "movbe",
  "popcnt",
  "aes",
  "rdrand",
  "bmi1",
  "rdseed",
  "adx",
  "clflushopt",
  "clwb",
  "sha_ni",
  "abm",
  "3dnowprefetch",
  "nx",
  "rdtscp",
];
/**
 * REP MOVSB and STOSB are fast, and short ones as well: a copy of up to 48 bytes
 * takes two thirds of the time that moves in a loop take, one of 4 KB a tenth.
 */
const FAST_STRINGS: readonly Feature[] = ["erms", "fsrm"];
/** The first level of the x86-64 psABI, and what no operating system does without. */
const X86_64: readonly Feature[] = [
  ...FAST_STRINGS,
  ...PENTIUM4.filter((name) => name !== "ss"),
  "nx",
  "syscall",
  "lm",
  "sse3",
  "cx16",
  "lahf_lm",
  "arch_capabilities",
  ...STEADY_TSC,
];
/** What makes an operating system of 64 bits safer or faster. */
const LONG: readonly Feature[] = [
  ...FAST_STRINGS,
  "syscall",
  "lm",
  "lahf_lm",
  "cx16",
  "pcid",
  "fsgsbase",
  "smep",
  "invpcid",
  "smap",
  "umip",
  "x2apic",
  "tsc_deadline_timer",
  "pdpe1gb",
  "arch_capabilities",
  ...STEADY_TSC,
];

/** What x86-64-v3 has in VEX encodings, and the state that belongs to it. */
const AVX2: readonly Feature[] = [
  "xsave",
  "xsaveopt",
  "xsavec",
  "xgetbv1",
  "xsaves",
  "avx",
  "avx2",
  "fma",
  "f16c",
  "bmi2",
];

/** CPUID leaf 1 EAX of a Nehalem, as QEMU's. */
const NEHALEM = 0x106a3;

/** The models, by name. */
export const MODELS: Readonly<Record<string, Model>> = {
  // A DX4 with write-back cache: one of the 486s that have CPUID and VME.
  "486": model({
    name: "486",
    signature: 0x480,
    maxLeaf: 1,
    features: I486,
  }),
  "pentium": model({
    name: "pentium",
    signature: 0x52c, // P54C
    maxLeaf: 1,
    features: PENTIUM,
  }),
  "pentium3": model({
    name: "pentium3",
    signature: 0x68a, // Coppermine
    maxLeaf: 2,
    // 4 KB and 4 MB TLBs, 16 KB L1s, 256 KB L2.
    caches: [0x03020101, 0, 0, 0x0c040882],
    features: PENTIUM3,
  }),
  "pentium4": model({
    name: "pentium4",
    signature: 0xf24, // Northwood
    maxLeaf: 2,
    brand: "Intel(R) Pentium(R) 4 CPU",
    // TLBs, 8 KB L1 data, 12 K-uop trace cache, 512 KB L2.
    caches: [0x665b5001, 0, 0, 0x007b7040],
    features: PENTIUM4,
  }),
  // The levels of the x86-64 psABI, with Nehalem's family, model and stepping.
  // Software asks for the family where it has no feature bit: in family 15 a
  // Linux kernel clears programs' memory in a loop, because REP was slow there.
  // It works around bugs of later models (TSX, the APIC's deadline).
  "x86-64": model({
    name: "x86-64",
    signature: NEHALEM,
    maxLeaf: 7,
    brand: "Rhea x86-64 CPU",
    caches: [0x665b5001, 0, 0, 0x007b7040],
    features: X86_64,
  }),
  "x86-64-v2": model({
    name: "x86-64-v2",
    signature: NEHALEM,
    maxLeaf: 7,
    brand: "Rhea x86-64-v2 CPU",
    caches: [0x665b5001, 0, 0, 0x007b7040],
    features: [...X86_64, "ssse3", "sse4_1", "sse4_2", "popcnt"],
  }),
  "x86-64-v3": model({
    name: "x86-64-v3",
    signature: NEHALEM,
    maxLeaf: 0xd,
    brand: "Rhea x86-64-v3 CPU",
    caches: [0x665b5001, 0, 0, 0x007b7040],
    features: [
      ...X86_64,
      "ssse3",
      "sse4_1",
      "sse4_2",
      "popcnt",
      "abm",
      "movbe",
      "bmi1",
      ...AVX2,
    ],
  }),
  "max": model({
    name: "max",
    signature: NEHALEM,
    maxLeaf: 0xd,
    brand: "Rhea CPU",
    caches: [0x665b5001, 0, 0, 0x007b7040],
    features: [...PENTIUM4, ...LATER, ...LONG, ...AVX2],
  }),
};
