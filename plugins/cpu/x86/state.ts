/**
 * Where each x86 register stands in the CPU state: 8-byte slots, so that a
 * 16- or 32-bit block declares the low half as i32 and a 64-bit block the
 * whole as i64, over one state. Offsets are in bytes from the CPU's base;
 * those below 0x100 belong to the engine.
 *
 * @module
 */

import { LOCAL_APIC_BYTES } from "../../../core/bus/apic.ts";
import { OFF_PC_BASE } from "../../../core/exec/layout.ts";
import {
  type Global,
  I32,
  I64,
  type Type,
  V128,
} from "../../../core/ir/types.ts";

/** RAX; register r stands at `OFF_GPR + 8 * r`, in encoding order (AX CX DX BX SP BP SI DI R8-R15). */
export const OFF_GPR = 0x100;
/** RIP. */
export const OFF_EIP = 0x180;
/** Lazy flags: operation ({@link CC_EFLAGS} and following). */
export const OFF_CC_OP = 0x188;
/** Lazy flags: result. */
export const OFF_CC_DST = 0x190;
/** Lazy flags: source. */
export const OFF_CC_SRC = 0x198;
/** Lazy flags: second source (carry in). */
export const OFF_CC_SRC2 = 0x1a0;
/** EFLAGS without CF PF AF ZF SF OF, which are lazy; bit 1 set. */
export const OFF_FLAGS = 0x1a8;
/** Interrupt shadow: not 0 while the next instruction is shielded. */
export const OFF_SHADOW = 0x1b0;
/** STI's shadow: no interrupts. */
export const SHADOW_STI = 1;
/**
 * That of MOV SS and POP SS: no instruction breakpoint and no step either (SDM
 * volume 3, 6.8.3).
 */
export const SHADOW_STACK = 2;

/** Lazy flags: what CF and OF come from when CC_OP has one of the `CC_OVERRIDE` bits. */
export const OFF_CC_OVER = 0x1b8;

/** Segment registers ES CS SS DS FS GS, LDTR (6), TR (7): 32 bytes each at `OFF_SEG + 32 * s`. */
export const OFF_SEG = 0x200;
/** Within a segment register: selector. */
export const SEG_SELECTOR = 0;
/** Within a segment register: base. */
export const SEG_BASE = 8;
/** Within a segment register: limit in bytes (granularity applied). */
export const SEG_LIMIT = 16;
/** Within a segment register: bits 8-23 of the descriptor's high word, at their place (type, S, DPL, P, AVL, L, D/B, G). 0 for an unusable (null) one. */
export const SEG_ATTR = 24;
/** Segment numbers. */
export const ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5, LDTR = 6, TR = 7;

/** CR0, CR2, CR3, CR4 stand at `OFF_CR + 8 * n`. */
export const OFF_CR = 0x300;
/** DR0-DR7 stand at `OFF_DR + 8 * n`. */
export const OFF_DR = 0x348;
/** GDTR base. */
export const OFF_GDT_BASE = 0x388;
/** GDTR limit. */
export const OFF_GDT_LIMIT = 0x390;
/** IDTR base. */
export const OFF_IDT_BASE = 0x398;
/** IDTR limit. */
export const OFF_IDT_LIMIT = 0x3a0;
/** EFER. */
export const OFF_EFER = 0x3a8;
/** IA32_SYSENTER_CS, _ESP, _EIP: 8 bytes each. */
export const OFF_SYSENTER = 0x3b0;
/** Pending exception: vector, or -1. */
export const OFF_EXC_VECTOR = 0x3c8;
/** Pending exception: error code. */
export const OFF_EXC_ERROR = 0x3cc;
/** Pending exception: 1 if it pushes an error code. */
export const OFF_EXC_HAS_ERROR = 0x3d0;
/** Pending exception: linear address of a page fault (goes to CR2 at delivery). */
export const OFF_EXC_ADDRESS = 0x3d4;
/** Current privilege level. */
export const OFF_CPL = 0x3d8;
/** Level of the INTR line. */
export const OFF_INTR = 0x3e0;
/** Bits for DR6 of a debug trap to be delivered before the next instruction. */
export const OFF_PENDING_DEBUG = 0x3e8;
/** 1: an NMI waits. */
export const OFF_NMI_PENDING = 0x3ec;
/** 1: NMIs are blocked until IRET. */
export const OFF_NMI_BLOCKED = 0x3f0;
/** 1: the CPU waits for a start-up message. */
export const OFF_WAITS_STARTUP = 0x3f4;
/** What is added to the source of the time stamp counter: an f64. */
export const OFF_TSC_OFFSET = 0x3f8;

/** x87 registers by physical number: 16 bytes each, 80 bits used; the mantissas are the MMX registers. */
export const OFF_FPR = 0x400;
/** x87 control word. */
export const OFF_FCW = 0x480;
/** x87 status word without TOP. */
export const OFF_FSW = 0x488;
/** TOP of the x87 stack. */
export const OFF_FTOP = 0x490;
/** x87 tags: one bit a physical register, 1 = valid (not empty), as FXSAVE's abridged tag word. */
export const OFF_FTAG = 0x498;
/** Last x87 instruction: FOP, FIP, FCS, FDP, FDS; 8 bytes each. */
export const OFF_FOP = 0x4a0,
  OFF_FIP = 0x4a8,
  OFF_FCS = 0x4b0,
  OFF_FDP = 0x4b8,
  OFF_FDS = 0x4c0;
/** MXCSR. */
export const OFF_MXCSR = 0x4c8;
/** XMM registers: 16 bytes each, 16 of them. */
export const OFF_XMM = 0x500;
/** Scratch for helpers whose operands or results are wider than 32 bits: 64 bytes, 16-byte aligned. */
export const OFF_SCRATCH = 0x600;
/** Slots for operands and results of floating-point helpers: 8 of 16 bytes. */
export const OFF_X87_TEMP = 0x680;
/** Upper halves of the YMM registers: 16 bytes each, 16 of them. */
export const OFF_YMMH = 0x700;
/** XCR0: the state components that XSAVE and AVX may use; 8 bytes. */
export const OFF_XCR0 = 0x800;
/** IA32_XSS: the components beside them that XSAVES may use; 8 bytes. */
export const OFF_XSS = 0x808;
/** The four page-directory-pointer entries as loaded with CR3 (PAE): 8 bytes each. */
export const OFF_PDPTE = 0x820;
/** Pending page fault in IA-32e mode: its linear address, all 64 bits ({@link OFF_EXC_ADDRESS} has the low half). */
export const OFF_EXC_ADDRESS64 = 0x900;
/** IA32_KERNEL_GS_BASE. */
export const OFF_KERNEL_GS_BASE = 0x908;
/** IA32_STAR. */
export const OFF_STAR = 0x910;
/** IA32_LSTAR. */
export const OFF_LSTAR = 0x918;
/** IA32_CSTAR. */
export const OFF_CSTAR = 0x920;
/** IA32_FMASK. */
export const OFF_FMASK = 0x928;
/** Where the x86 state begins: before it stands what the engine works with. */
export const STATE_START = 0x100;
/**
 * End of what the state record keeps as the bytes that they are. What follows
 * is in the record by name, or only has a meaning within an instruction.
 */
export const STATE_END = 0x980;
/** 1: a task switch has replaced the state, and a fault must not restore the old program counter. */
export const OFF_COMMITTED = 0x980;
/** 1: the present instruction has entered a handler, and no single-step trap follows it. */
export const OFF_SUPPRESS_STEP = 0x984;
/** 1: since AC was last clear, a supervisor may have accessed user pages. */
export const OFF_USER_ACCESS = 0x988;
/** Level of the A20 line. */
export const OFF_A20 = 0x98c;
/** Level of IGNNE#. */
export const OFF_IGNNE = 0x990;
/** IA32_MTRR_DEF_TYPE. */
export const OFF_MTRR_DEF_TYPE = 0x998;
/** The MSRs that are mere storage, 8 bytes each: see msr_storage.ts. */
export const OFF_MSRS = 0x9a0;
/** Room for those: 64 of them. */
export const MSRS_BYTES = 512;
/** End of the CPU's own state. */
export const CPU_END: number = OFF_MSRS + MSRS_BYTES;
/** The registers of the local APIC: where what stands is the device's affair. */
export const OFF_APIC: number = CPU_END;
/** End of all that is the CPU's: the engine's temps begin at 1000h. */
export const AREA_END: number = OFF_APIC + LOCAL_APIC_BYTES;
/** In the area of CPU 0, for all of them: the last reading of the time stamp counter's source, an f64. */
export const OFF_STAMP: number = AREA_END;

/** Flag bits. */
export const CF = 1,
  PF = 4,
  AF = 0x10,
  ZF = 0x40,
  SF = 0x80,
  TF = 0x100,
  IF = 0x200,
  DF = 0x400,
  OF = 0x800;
/** Flag bits, system. */
export const NT = 0x4000,
  RF = 0x10000,
  VM = 0x20000,
  AC = 0x40000,
  VIF = 0x80000,
  VIP = 0x100000,
  ID = 0x200000;
/** The two IOPL bits. */
export const IOPL_MASK = 0x3000;
/** The flags that are lazy. */
export const ARITH_FLAGS = CF | PF | AF | ZF | SF | OF;

/**
 * Lazy flag operations. CC_EFLAGS: CC_SRC holds the six flag bits themselves.
 * The sized ones come in groups of four (8, 16, 32, 64 bits): `CC_ADD + n`.
 * CC_DST is the result; values are kept zero- or sign-extended as flags.ts says.
 */
export const CC_EFLAGS = 0;
/** Addition: CC_SRC is the second operand. */
export const CC_ADD = 4;
/** Addition with carry: CC_SRC second operand, CC_SRC2 carry in. */
export const CC_ADC = 8;
/** Subtraction and compare: CC_SRC is the second operand. */
export const CC_SUB = 12;
/** Subtraction with borrow: CC_SRC second operand, CC_SRC2 borrow in. */
export const CC_SBB = 16;
/** AND, OR, XOR, TEST: CF = OF = 0. */
export const CC_LOGIC = 20;
/** INC: CC_SRC is the CF to keep. */
export const CC_INC = 24;
/** DEC: CC_SRC is the CF to keep. */
export const CC_DEC = 28;
/** SHL: CC_SRC is the operand shifted by count - 1. */
export const CC_SHL = 32;
/** SHR, SAR: CC_SRC is the operand shifted by count - 1. */
export const CC_SAR = 36;
/** MUL, IMUL: CC_SRC is not 0 when the high half is significant (CF = OF). */
export const CC_MUL = 40;
/** IMUL of two operands (16 and 32 bits): CC_SRC and CC_SRC2 are the factors, sign-extended. */
export const CC_IMUL = 44;
/**
 * Bits of CC_OP beside the operation: CF and OF come from CC_OVER, the others
 * still from the operation. CC_ROL: CC_OVER is the result of a rotate to the
 * left, repeated to fill 32 bits; CC_ROR: to the right; CC_BITS: CC_OVER holds
 * the bits themselves.
 */
export const CC_ROL = 0x40, CC_ROR = 0x80, CC_BITS = 0xc0;
/** The bits of CC_OP that CC_ROL and its kin are. */
export const CC_OVERRIDE = 0xc0;

/**
 * Bits of the static mode key: everything beside CS:EIP that the translation
 * of an instruction depends on.
 */
export const KEY_CODE32 = 1;
/** SS.B: the stack pointer is ESP. */
export const KEY_STACK32 = 2;
/** Bits 2-3: CPL. */
export const KEY_CPL_SHIFT = 2;
/** CR0.PE and not VM. */
export const KEY_PROTECTED = 0x10;
/** EFLAGS.VM. */
export const KEY_V86 = 0x20;
/** CS is flat: base 0, limit 4 GiB. */
export const KEY_FLAT_CS = 0x40;
/** DS, ES and SS are flat (base 0, limit 4 GiB, present, read/write, expand-up). */
export const KEY_FLAT_DATA = 0x80;
/** EFLAGS.TF: one instruction a block, then #DB. */
export const KEY_TF = 0x100;
/** CR0.EM: x87 instructions raise #NM, SSE #UD. */
export const KEY_EM = 0x200;
/** CR0.TS: x87, MMX and SSE raise #NM. */
export const KEY_TS = 0x400;
/** CR0.MP: WAIT with TS raises #NM. */
export const KEY_MP = 0x800;
/** CR4.OSFXSR: SSE instructions are available. */
export const KEY_OSFXSR = 0x1000;
/** CPL <= IOPL (in protected mode), or real mode: CLI, STI, IN, OUT need no further check. */
export const KEY_IOPL_OK = 0x2000;
/** Alignment checks are on (CR0.AM, EFLAGS.AC, CPL 3). */
export const KEY_ALIGN = 0x4000;
/** MXCSR is in the default mode (all masked, round to nearest, no DAZ, no FTZ). */
export const KEY_MXCSR_DEFAULT = 0x8000;
/** Sticky MXCSR.PE is set (with the default mode: ordinary results need no flag update). */
export const KEY_MXCSR_PE = 0x10000;
/** An enabled instruction breakpoint or data watchpoint is in DR7. */
export const KEY_DEBUG = 0x20000;
/** CR0.NE: a pending x87 exception (FSW.ES, tested by the code itself) raises #MF. */
export const KEY_NE = 0x100000;
/** FS covers 4 GiB from its base, whatever that is, and may be read and written: no checks. */
export const KEY_OPEN_FS = 0x80000;
/** The same of GS; only looked at at CPL 3, so that kernel code is not translated once for each kind of GS that user code left. */
export const KEY_OPEN_GS = 0x400000;
/** CR0.PG is clear: linear addresses are physical ones. */
export const KEY_UNPAGED = 0x800000;
/**
 * Real or virtual-8086 mode with every segment's limit exactly 0xFFFF and no
 * odd type left over from protected mode: 16-bit accesses need almost no checks.
 */
export const KEY_LIMIT_64K = 0x200000;

/** CR4.OSXSAVE is set and XCR0 has SSE and AVX: instructions with a VEX prefix on vectors are available. */
export const KEY_AVX = 0x20000000;
/**
 * 64-bit mode: EFER.LMA and CS.L. KEY_CODE32 and KEY_STACK32 are clear then,
 * KEY_FLAT_CS and KEY_FLAT_DATA set, KEY_PROTECTED set.
 */
export const KEY_LONG = 0x8000000;

const RELOCATABLE = 3 << KEY_CPL_SHIFT | KEY_PROTECTED | KEY_FLAT_CS;

/**
 * Whether code of a mode is translated for wherever it stands: 32-bit and
 * 64-bit programs at CPL 3, flat and not debugged. (Their shared libraries are at another
 * address in each process. A kernel stays where it is, and addresses that are
 * constants are worth a little.)
 */
export function isRelocatable(key: number): boolean {
  return (key & (RELOCATABLE | KEY_V86 | KEY_TF | KEY_DEBUG)) ===
      RELOCATABLE && (key & (KEY_CODE32 | KEY_LONG)) !== 0;
}

const globals: Global[] = [];
function global(name: string, type: Type, offset: number): Global {
  const g: Global = { index: globals.length, name, type, offset };
  globals.push(g);
  return g;
}

const GPR_NAMES = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
/** EAX ECX EDX EBX ESP EBP ESI EDI, as i32. */
export const GPR: readonly Global[] = GPR_NAMES.map((n, i) =>
  global(n, I32, OFF_GPR + 8 * i)
);
/** What to add to a translator's EIP for the guest's: see `isRelocatable`. */
export const PC_BASE: Global = global("pc_base", I32, OFF_PC_BASE);
/** EIP: only written where the frontend leaves a block by `exit`. */
export const EIP: Global = global("eip", I32, OFF_EIP);
/** Lazy flags: operation. */
export const CC_OP: Global = global("cc_op", I32, OFF_CC_OP);
/** Lazy flags: result. */
export const CC_DST: Global = global("cc_dst", I32, OFF_CC_DST);
/** Lazy flags: source. */
export const CC_SRC: Global = global("cc_src", I32, OFF_CC_SRC);
/** Lazy flags: second source. */
export const CC_SRC2: Global = global("cc_src2", I32, OFF_CC_SRC2);
/** Lazy flags: what CF and OF come from, if not from the operation. */
export const CC_OVER: Global = global("cc_over", I32, OFF_CC_OVER);
/** The other flags. */
export const FLAGS: Global = global("flags", I32, OFF_FLAGS);
/** Interrupt shadow. */
export const SHADOW: Global = global("shadow", I32, OFF_SHADOW);
const SEG_NAMES = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];
/** Selectors, by segment number. */
export const SELECTOR: readonly Global[] = SEG_NAMES.map((n, i) =>
  global(n, I32, OFF_SEG + 32 * i + SEG_SELECTOR)
);
/** Segment bases. */
export const BASE: readonly Global[] = SEG_NAMES.map((n, i) =>
  global(n + ".base", I32, OFF_SEG + 32 * i + SEG_BASE)
);
/** Segment limits. */
export const LIMIT: readonly Global[] = SEG_NAMES.map((n, i) =>
  global(n + ".limit", I32, OFF_SEG + 32 * i + SEG_LIMIT)
);
/** Segment attributes. */
export const ATTR: readonly Global[] = SEG_NAMES.map((n, i) =>
  global(n + ".attr", I32, OFF_SEG + 32 * i + SEG_ATTR)
);
/** Control registers 0-4. */
export const CR: readonly Global[] = [0, 1, 2, 3, 4].map((n) =>
  global("cr" + n, I32, OFF_CR + 8 * n)
);
/**
 * MMX registers, each with the whole slot of the x87 register it lives in: the
 * mantissa in the low half, the exponent (all ones after an MMX write) above it.
 */
export const MM: readonly Global[] = Array.from(
  { length: 8 },
  (_, n) => global("mm" + n, V128, OFF_FPR + 16 * n),
);
/** x87 TOP. */
export const FTOP: Global = global("ftop", I32, OFF_FTOP);
/** x87 tags. */
export const FTAG: Global = global("ftag", I32, OFF_FTAG);
/** x87 control word. */
export const FCW: Global = global("fcw", I32, OFF_FCW);
/** x87 status word without TOP. */
export const FSW: Global = global("fsw", I32, OFF_FSW);
/** MXCSR. */
export const MXCSR: Global = global("mxcsr", I32, OFF_MXCSR);
/** XMM0-XMM15; the last eight are for blocks of 64-bit mode. */
export const XMM: readonly Global[] = Array.from(
  { length: 16 },
  (_, n) => global("xmm" + n, V128, OFF_XMM + 16 * n),
);
/** Upper halves of YMM0-YMM15; 8-15 exist in 64-bit mode only. */
export const YMMH: readonly Global[] = Array.from(
  { length: 16 },
  (_, n) => global(`ymmh${n}`, V128, OFF_YMMH + 16 * n),
);
/** Helper scratch, low and high i64, and as a vector. */
export const SCRATCH: readonly Global[] = [0, 1, 2, 3].map((n) =>
  global("scratch" + n, I64, OFF_SCRATCH + 8 * n)
);
/** Helper scratch as words (a second view of other bytes: the upper 32). */
export const SCRATCH32: readonly Global[] = [0, 1, 2, 3, 4, 5, 6, 7].map((n) =>
  global("scratch32." + n, I32, OFF_SCRATCH + 32 + 4 * n)
);
/** Helper scratch as vectors: result (0) and operands (1 to 3) of SSE helpers. */
export const SCRATCH128: readonly Global[] = [0, 1, 2, 3].map((n) =>
  global("scratch128." + n, V128, OFF_SCRATCH + 64 + 16 * n)
);
/** Pointers of the last x87 instruction. */
export const FOP: Global = global("fop", I32, OFF_FOP),
  FIP: Global = global("fip", I32, OFF_FIP),
  FCS: Global = global("fcs", I32, OFF_FCS),
  FDP: Global = global("fdp", I32, OFF_FDP),
  FDS: Global = global("fds", I32, OFF_FDS);
/** The same in 64-bit mode: all 64 bits. */
export const FIP64: Global = global("fip64", I64, OFF_FIP),
  FDP64: Global = global("fdp64", I64, OFF_FDP);

/** The same where RIP has 64 bits. */
export const PC_BASE64: Global = global("pc_base64", I64, OFF_PC_BASE);
const GPR64_NAMES = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];
/**
 * RAX RCX RDX RBX RSP RBP RSI RDI R8-R15, as i64: blocks of 64-bit mode use
 * these, others {@link GPR}. No block uses both views of one slot.
 */
export const GPR64: readonly Global[] = Array.from(
  { length: 16 },
  (_, i) => global(GPR64_NAMES[i] ?? `r${i}`, I64, OFF_GPR + 8 * i),
);
/** RIP, for blocks of 64-bit mode: only written where the frontend leaves a block by `exit`. */
export const RIP: Global = global("rip", I64, OFF_EIP);
/** Lazy flags of 64-bit mode: result, all 64 bits (what an operation of a smaller size does not fill is zero). */
export const CC_DST64: Global = global("cc_dst64", I64, OFF_CC_DST);
/** Lazy flags of 64-bit mode: source. */
export const CC_SRC64: Global = global("cc_src64", I64, OFF_CC_SRC);
/** Lazy flags of 64-bit mode: second source. */
export const CC_SRC2_64: Global = global("cc_src2_64", I64, OFF_CC_SRC2);
/** Segment bases of 64-bit mode, by segment number; only those of FS and GS count. */
export const BASE64: readonly Global[] = SEG_NAMES.map((n, i) =>
  global(n + ".base64", I64, OFF_SEG + 32 * i + SEG_BASE)
);
/** IA32_KERNEL_GS_BASE. */
export const KERNEL_GS_BASE: Global = global(
  "kernel_gs_base",
  I64,
  OFF_KERNEL_GS_BASE,
);
/** CR2 and CR3, by number, in 64-bit mode. */
export const CR64: Readonly<Record<2 | 3, Global>> = {
  2: global("cr2_64", I64, OFF_CR + 16),
  3: global("cr3_64", I64, OFF_CR + 24),
};
/**
 * The i64 global over the same slot as an i32 one, by the latter's index: what
 * a helper reads or writes, it does in both views.
 */
export const WIDE_VIEW: ReadonlyMap<number, Global> = new Map([
  ...GPR.map((g, i): [number, Global] => [g.index, GPR64[i]]),
  [EIP.index, RIP],
  [FIP.index, FIP64],
  [FDP.index, FDP64],
  [CC_DST.index, CC_DST64],
  [CC_SRC.index, CC_SRC64],
  [CC_SRC2.index, CC_SRC2_64],
  ...BASE.map((g, i): [number, Global] => [g.index, BASE64[i]]),
  [CR[2].index, CR64[2]],
  [CR[3].index, CR64[3]],
]);

/** All globals, in index order. */
export const GLOBALS: readonly Global[] = globals;
