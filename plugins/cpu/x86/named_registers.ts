/**
 * A CPU's registers by name: how a loader sets them, and how messages say where
 * a CPU stands.
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { setAddressAt, WORD } from "./long_mode.ts";
import {
  CS,
  DS,
  ES,
  FS,
  GPR64,
  GS,
  LDTR,
  OFF_CR,
  OFF_EFER,
  OFF_EIP,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  OFF_SEG,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS,
  TR,
} from "./state.ts";

const W_EIP = OFF_EIP >> 2;
const W_GPR = OFF_GPR >> 2;
const W_CR0 = OFF_CR >> 2;

const REGISTER_OFFSETS = new Map<string, number>([
  ["eip", OFF_EIP],
  ["rip", OFF_EIP],
  ["efer", OFF_EFER],
  ["gdtr.base", OFF_GDT_BASE],
  ["gdtr.limit", OFF_GDT_LIMIT],
  ["idtr.base", OFF_IDT_BASE],
  ["idtr.limit", OFF_IDT_LIMIT],
]);
["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"].forEach((n, i) =>
  REGISTER_OFFSETS.set(n, OFF_GPR + 8 * i)
);
/** Registers of 64 bits: both words are written. */
const WIDE_NAMES = new Set(["rip", "cr2", "cr3"]);
GPR64.forEach((g) => {
  REGISTER_OFFSETS.set(g.name, g.offset);
  WIDE_NAMES.add(g.name);
});
for (const n of [0, 2, 3, 4]) REGISTER_OFFSETS.set(`cr${n}`, OFF_CR + 8 * n);
([["es", ES], ["cs", CS], ["ss", SS], ["ds", DS], ["fs", FS], ["gs", GS], [
  "ldtr",
  LDTR,
], ["tr", TR]] as const).forEach(([n, seg]) => {
  const at = OFF_SEG + 32 * seg;
  REGISTER_OFFSETS.set(`${n}.selector`, at + SEG_SELECTOR);
  REGISTER_OFFSETS.set(`${n}.base`, at + SEG_BASE);
  REGISTER_OFFSETS.set(`${n}.limit`, at + SEG_LIMIT);
  REGISTER_OFFSETS.set(`${n}.flags`, at + SEG_ATTR);
});

/**
 * Sets a register: a general one, `eip`, `eflags`, `cr0` `cr2` `cr3` `cr4`,
 * `efer`, `gdtr.base` `.limit`, `idtr.base` `.limit`, `rip`, `rax` to `r15`
 * (what a number can say: up to 2^53, negative ones sign-extended), and of `cs`
 * `ds` `es` `fs` `gs` `ss` `tr` `ldtr` the `.selector`, `.base`, `.limit` (in
 * bytes) and `.flags` (access rights: type in bits 0-3, S 4, DPL 5-6, P 7, AVL
 * 12, D/B 14, G 15).
 */
export function setRegister(cpu: X86, name: string, value: number): void {
  if (name === "eflags") return cpu.setEflags(value, -1);
  const offset = REGISTER_OFFSETS.get(name);
  if (offset === undefined) throw new Error(`no x86 register "${name}"`);
  const w = offset >> 2;
  if (name.endsWith(".flags")) cpu.state[w] = (value & 0xf0ff) << 8;
  else if (WIDE_NAMES.has(name) || value >= WORD) {
    setAddressAt(cpu.state, w, value);
  } else cpu.state[w] = value;
}

/** Where a CPU stands. */
export function describeCpu(cpu: X86): string {
  const hex = (v: number, n: number): string =>
    (v >>> 0).toString(16).padStart(n, "0");
  const s = cpu.state;
  const long = cpu.long;
  const wide = (w: number): string =>
    (cpu.lma ? hex(s[w + 1], 8) : "") + hex(s[w], 8);
  const pc = (long ? hex(s[W_EIP + 1], 8) : "") + hex(cpu.eip, 8);
  const sp = (long ? hex(s[W_GPR + 9], 8) : "") + hex(cpu.reg32(4), 8);
  return `cs:${long ? "rip" : "eip"} ${hex(cpu.selector(CS), 4)}:${pc}, ` +
    `cr0 ${hex(cpu.cr0, 8)}, cr2 ${wide(W_CR0 + 4)}, ` +
    `cr3 ${wide(W_CR0 + 6)}, cpl ${cpu.cpl}, ` +
    `eflags ${hex(cpu.getEflags(), 8)}, ` +
    `ss:${long ? "rsp" : "esp"} ${hex(cpu.selector(SS), 4)}:${sp}`;
}
