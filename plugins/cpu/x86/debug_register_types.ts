/**
 * The features that debuggers see of an x86 CPU: registers in the order of
 * gdb's numbers ("Debugging with GDB", appendix G.5.5) with gdb's types, then
 * the system registers by the names that QEMU's gdb server gives them.
 *
 * @module
 */

import type {
  DebugFeature,
  DebugRegister,
} from "../../../core/debug/contract.ts";
import type { Model } from "./models.ts";

/** A bit, or bits, of a register of flags: name, first and last bit. */
type Field = readonly [name: string, first: number, last?: number];

function flags(id: string, bits: number, fields: readonly Field[]): string {
  const lines = fields.map(([name, start, end = start]) =>
    `      <field name="${name}" start="${start}" end="${end}"/>`
  );
  return [
    `    <flags id="${id}" size="${bits / 8}">`,
    ...lines,
    "    </flags>",
  ].join("\n");
}

const EFLAGS: readonly Field[] = [
  ["", 22, 31],
  ["ID", 21],
  ["VIP", 20],
  ["VIF", 19],
  ["AC", 18],
  ["VM", 17],
  ["RF", 16],
  ["", 15],
  ["NT", 14],
  ["IOPL", 12, 13],
  ["OF", 11],
  ["DF", 10],
  ["IF", 9],
  ["TF", 8],
  ["SF", 7],
  ["ZF", 6],
  ["", 5],
  ["AF", 4],
  ["", 3],
  ["PF", 2],
  ["", 1],
  ["CF", 0],
];

const MXCSR: readonly Field[] = [
  ["IE", 0],
  ["DE", 1],
  ["ZE", 2],
  ["OE", 3],
  ["UE", 4],
  ["PE", 5],
  ["DAZ", 6],
  ["IM", 7],
  ["DM", 8],
  ["ZM", 9],
  ["OM", 10],
  ["UM", 11],
  ["PM", 12],
  ["FZ", 15],
];

const CR0: readonly Field[] = [
  ["PG", 31],
  ["CD", 30],
  ["NW", 29],
  ["AM", 18],
  ["WP", 16],
  ["NE", 5],
  ["ET", 4],
  ["TS", 3],
  ["EM", 2],
  ["MP", 1],
  ["PE", 0],
];

/** The root table's page, and the process-context identifier. */
const CR3: readonly Field[] = [["PDBR", 12, 31], ["PCID", 0, 11]];
const CR3_LONG: readonly Field[] = [["PDBR", 12, 63], ["PCID", 0, 11]];

const CR4: readonly Field[] = [
  ["SMAP", 21],
  ["SMEP", 20],
  ["OSXSAVE", 18],
  ["PCIDE", 17],
  ["FSGSBASE", 16],
  ["UMIP", 11],
  ["OSXMMEXCPT", 10],
  ["OSFXSR", 9],
  ["PCE", 8],
  ["PGE", 7],
  ["MCE", 6],
  ["PAE", 5],
  ["PSE", 4],
  ["DE", 3],
  ["TSD", 2],
  ["PVI", 1],
  ["VME", 0],
];

const EFER: readonly Field[] = [
  ["NXE", 11],
  ["LMA", 10],
  ["LME", 8],
  ["SCE", 0],
];

/** An XMM register as gdb shows it. */
const VEC128 = `    <vector id="v4f" type="ieee_single" count="4"/>
    <vector id="v2d" type="ieee_double" count="2"/>
    <vector id="v16i8" type="int8" count="16"/>
    <vector id="v8i16" type="int16" count="8"/>
    <vector id="v4i32" type="int32" count="4"/>
    <vector id="v2i64" type="int64" count="2"/>
    <union id="vec128">
      <field name="v4_float" type="v4f"/>
      <field name="v2_double" type="v2d"/>
      <field name="v16_int8" type="v16i8"/>
      <field name="v8_int16" type="v8i16"/>
      <field name="v4_int32" type="v4i32"/>
      <field name="v2_int64" type="v2i64"/>
      <field name="uint128" type="uint128"/>
    </union>`;

/** The general registers of 32 bits in gdb's order. */
export const GENERAL_32: readonly string[] = [
  "eax",
  "ecx",
  "edx",
  "ebx",
  "esp",
  "ebp",
  "esi",
  "edi",
];
/** Those of 64 bits. */
export const GENERAL_64: readonly string[] = [
  "rax",
  "rbx",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
  "rbp",
  "rsp",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
];
const POINTERS = /^[er][bs]p$/;
const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs"];
const X87 = [
  "fctrl",
  "fstat",
  "ftag",
  "fiseg",
  "fioff",
  "foseg",
  "fooff",
  "fop",
];

/** Registers `prefix0` to `prefix<count - 1>`. */
function row(
  count: number,
  prefix: string,
  bits: number,
  type: string,
  suffix = "",
): DebugRegister[] {
  return Array.from(
    { length: count },
    (_, n) => ({ name: `${prefix}${n}${suffix}`, bits, type }),
  );
}

/** The registers of a CPU model. */
export function featuresOf({ features: has, cr4Mask }: Model): DebugFeature[] {
  const isLong = has.has("lm");
  const bits = isLong ? 64 : 32;
  const word = `int${bits}`;
  const vectors = isLong ? 16 : 8;
  const general = isLong ? GENERAL_64 : GENERAL_32;
  const core: DebugRegister[] = [
    ...general.map((name) => ({
      name,
      bits,
      type: POINTERS.test(name) ? "data_ptr" : word,
    })),
    { name: isLong ? "rip" : "eip", bits, type: "code_ptr" },
    { name: "eflags", bits: 32, type: "i386_eflags" },
    ...SEGMENTS.map((name) => ({ name, bits: 32, type: "int32" })),
    ...row(8, "st", 80, "i387_ext"),
    ...X87.map((name) => ({ name, bits: 32, type: "int", group: "float" })),
  ];
  const all: DebugFeature[] = [{
    name: "org.gnu.gdb.i386.core",
    types: flags("i386_eflags", 32, EFLAGS),
    registers: core,
  }];
  if (has.has("sse")) {
    all.push({
      name: "org.gnu.gdb.i386.sse",
      types: `${VEC128}\n${flags("i386_mxcsr", 32, MXCSR)}`,
      registers: [
        ...row(vectors, "xmm", 128, "vec128"),
        { name: "mxcsr", bits: 32, type: "i386_mxcsr", group: "vector" },
      ],
    });
  }
  const bases = ["fs_base", "gs_base"].map((name) => ({
    name,
    bits,
    type: word,
  }));
  // gdb knows this feature of 64-bit CPUs only.
  if (isLong) {
    all.push({ name: "org.gnu.gdb.i386.segments", registers: bases });
  }
  if (has.has("avx")) {
    all.push({
      name: "org.gnu.gdb.i386.avx",
      registers: row(vectors, "ymm", 128, "uint128", "h"),
    });
  }
  const register = (name: string, type = word): DebugRegister => ({
    name,
    bits,
    type,
  });
  const system = isLong ? [register("k_gs_base")] : bases;
  const types = [
    flags("x86_cr0", bits, CR0),
    flags("x86_cr3", bits, isLong ? CR3_LONG : CR3),
  ];
  system.push(
    register("cr0", "x86_cr0"),
    register("cr2"),
    register("cr3", "x86_cr3"),
  );
  if (cr4Mask !== 0) {
    types.push(flags("x86_cr4", bits, CR4));
    system.push(register("cr4", "x86_cr4"));
  }
  if (isLong) system.push(register("cr8"));
  if (has.has("nx")) {
    types.push(flags("x86_efer", bits, EFER));
    system.push(register("efer", "x86_efer"));
  }
  all.push({
    name: "org.rhea.i386.system",
    types: types.join("\n"),
    registers: system,
  });
  return all;
}
