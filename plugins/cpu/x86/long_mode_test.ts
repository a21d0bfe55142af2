import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Access,
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_WRITE,
  type CpuEngine,
  GUEST_FAULT,
  type Mmu,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
  PERM_WRITE,
} from "../../../core/cpu/frontend.ts";
import { writeControl } from "./control.ts";
import { X86 } from "./cpu.ts";
import { cpuid } from "./cpuid.ts";
import { deliverException, interruptReturn } from "./interrupts.ts";
import { addressAt } from "./long_mode.ts";
import { MODELS } from "./models.ts";
import { readMsr, writeMsr } from "./msr.ts";
import { loadTr } from "./segments.ts";
import {
  AC,
  CS,
  DS,
  ES,
  FS,
  KEY_CODE32,
  KEY_CPL_SHIFT,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_IOPL_OK,
  KEY_LONG,
  KEY_PROTECTED,
  KEY_STACK32,
  OFF_CR,
  OFF_EFER,
  OFF_EXC_ERROR,
  OFF_EXC_VECTOR,
  OFF_FLAGS,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  SS,
} from "./state.ts";
import { syscall, sysret } from "./syscall.ts";
import { farCallLong, farJumpLong, returnLong } from "./long_transfers.ts";

const SIZE = 1 << 20;
// Where the tables stand in physical memory.
const PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000;
const GDT = 0x8000, IDT = 0x9000, TSS = 0xa000, STACK = 0xf000;
/** The memory once more. */
const HIGH = -(2 ** 47);
const CODE = 8, DATA = 0x10, CODE32 = 0x18, USER_DATA = 0x2b, USER_CODE = 0x33;

/** Memory through the page tables, without a TLB. */
class Memory implements Mmu {
  readonly view = new DataView(new ArrayBuffer(SIZE));
  readonly forgotten: number[] = [];
  flushes = 0;
  wide = false;
  cpu!: X86;

  #at(address: number, access: Access, mmu: number): number {
    if (!this.cpu.walk(address, access, mmu, false)) throw GUEST_FAULT;
    const offset = ((address % 4096) + 4096) % 4096;
    return (this.cpu.pageWalk.physical + offset) % SIZE;
  }
  read8(address: number, mmu: number): number {
    return this.view.getUint8(this.#at(address, ACCESS_READ, mmu));
  }
  read16(address: number, mmu: number): number {
    return this.view.getUint16(this.#at(address, ACCESS_READ, mmu), true);
  }
  read32(address: number, mmu: number): number {
    return this.view.getInt32(this.#at(address, ACCESS_READ, mmu), true);
  }
  read64(address: number, to: Int32Array, mmu: number): void {
    to[0] = this.read32(address, mmu);
    to[1] = this.read32(address + 4, mmu);
  }
  write8(address: number, value: number, mmu: number): void {
    this.view.setUint8(this.#at(address, ACCESS_WRITE, mmu), value);
  }
  write16(address: number, value: number, mmu: number): void {
    this.view.setUint16(this.#at(address, ACCESS_WRITE, mmu), value, true);
  }
  write32(address: number, value: number, mmu: number): void {
    this.view.setInt32(this.#at(address, ACCESS_WRITE, mmu), value, true);
  }
  write64(address: number, from: Int32Array, mmu: number): void {
    this.write32(address, from[0], mmu);
    this.write32(address + 4, from[1], mmu);
  }
  probe(address: number, _size: number, access: Access, mmu: number): void {
    this.#at(address, access, mmu);
  }
  direct(): number {
    return -1;
  }
  directStore(): number {
    return -1;
  }
  readPhysical32(physical: number): number {
    return this.view.getInt32(physical % SIZE, true);
  }
  writePhysical32(physical: number, value: number): void {
    this.view.setInt32(physical % SIZE, value, true);
  }
  flush(): void {
    this.flushes++;
  }
  flushPage(address: number): void {
    this.forgotten.push(address);
  }
  forgetPage(address: number): void {
    this.forgotten.push(address);
  }
  readonly conditional: number[] = [];
  noteConditional(address: number): void {
    this.conditional.push(address);
  }
  endConditional(): void {
    this.forgotten.push(...this.conditional.splice(0));
  }
  beginConditional(): boolean {
    return false;
  }
  setWide(wide: boolean): void {
    this.wide = wide;
  }
  setPhysicalMask(): void {}
}

interface Bench {
  cpu: X86;
  memory: Memory;
}

function put64(memory: Memory, at: number, value: bigint): void {
  memory.view.setBigUint64(at, value, true);
}

function get64(memory: Memory, at: number): bigint {
  return memory.view.getBigUint64(at, true);
}

/** A 32-bit CPU of flat segments with all that IA-32e mode needs in memory. */
function make32(model = "max"): Bench {
  const cpu = new X86({ model: MODELS[model] });
  const memory = new Memory();
  memory.cpu = cpu;
  const shared = new ArrayBuffer(0x2000);
  const engine: CpuEngine = {
    base: 0,
    u8: new Uint8Array(shared),
    u16: new Uint16Array(shared),
    i32: new Int32Array(shared),
    f64: new Float64Array(shared),
    mmu: memory,
    instructions: 0,
    attention: () => {},
    halt: () => {},
    resume: () => {},
    requestStop: () => {},
    defers: () => false,
    keyChanged: () => {},
  };
  cpu.attach(engine);
  const state: Record<string, number> = { cr0: 0x11, eip: 0x1234, eflags: 2 };
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    state[`${s}.selector`] = s === "cs" ? CODE32 : DATA;
    state[`${s}.base`] = 0;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = s === "cs" ? 0xc09b : 0xc093;
  }
  cpu.enter(state);
  // 1 GB at 0 and at HIGH: 2 MB pages but for the first of 4 KB.
  put64(memory, PML4, BigInt(PDPT | 7));
  put64(memory, PML4 + 256 * 8, BigInt(PDPT | 7));
  put64(memory, PDPT, BigInt(PD | 7));
  put64(memory, PD, BigInt(PT | 7));
  for (let n = 1; n < 512; n++) {
    put64(memory, PD + 8 * n, BigInt(n << 21) | 0x83n);
  }
  for (let n = 0; n < 512; n++) put64(memory, PT + 8 * n, BigInt(n << 12) | 7n);
  const descriptors = [
    0n,
    0x00af9a000000ffffn, // 08 64-bit code
    0x00cf92000000ffffn, // 10 data
    0x00cf9a000000ffffn, // 18 32-bit code
    0x00cffa000000ffffn, // 20 32-bit code, level 3
    0x00cff2000000ffffn, // 28 data, level 3
    0x00affa000000ffffn, // 30 64-bit code, level 3
    0x00ef9a000000ffffn, // 38 L and D
    0x000089000000_0067n | BigInt(TSS) << 16n, // 40 TSS
    0xffff8000n, // its base's high half
    BigInt(CODE) << 16n | 0x00008c00_0000_2000n, // 50 call gate to 0x2000, level 0
    0n,
  ];
  descriptors.forEach((d, n) => put64(memory, GDT + 8 * n, d));
  cpu.state[OFF_GDT_BASE >> 2] = GDT;
  cpu.state[OFF_GDT_LIMIT >> 2] = 8 * descriptors.length - 1;
  cpu.state[OFF_IDT_BASE >> 2] = IDT;
  cpu.state[OFF_IDT_LIMIT >> 2] = 0xfff;
  return { cpu, memory };
}

/** The same in 64-bit mode. */
function make64(): Bench {
  const bench = make32();
  const { cpu } = bench;
  writeControl(cpu, 3, PML4, 0);
  writeControl(cpu, 4, 0x20, 0);
  writeMsr(cpu, 0xc0000080, 0x901, 0);
  writeControl(cpu, 0, 0x80010011 | 0, 0);
  farJumpLong(cpu, CODE, 0x1000, 0);
  cpu.setReg64(4, STACK);
  return bench;
}

/** The vector and error code of the fault that `f` raises. */
function faultOf(cpu: X86, f: () => void): [number, number] {
  let thrown: unknown;
  try {
    f();
  } catch (e) {
    thrown = e;
  }
  assert(thrown === GUEST_FAULT, "no fault");
  return [cpu.state[OFF_EXC_VECTOR >> 2], cpu.state[OFF_EXC_ERROR >> 2]];
}

function setGate(
  memory: Memory,
  vector: number,
  offset: bigint,
  type: number,
  ist = 0,
): void {
  const at = IDT + 16 * vector;
  put64(
    memory,
    at,
    offset & 0xffffn | BigInt(CODE) << 16n | BigInt(ist) << 32n |
      BigInt(type) << 40n | (offset >> 16n & 0xffffn) << 48n,
  );
  put64(memory, at + 8, offset >> 32n & 0xffffffffn);
}

Deno.test("IA-32e mode begins with paging and ends with it", () => {
  const { cpu, memory } = make32();
  assertEquals(cpu.lma, false);
  writeControl(cpu, 3, PML4, 0);
  writeMsr(cpu, 0xc0000080, 0x100, 0);
  assertEquals(faultOf(cpu, () => writeControl(cpu, 0, 0x80000011 | 0, 0)), [
    13,
    0,
  ]);
  writeControl(cpu, 4, 0x20, 0);
  writeControl(cpu, 0, 0x80000011 | 0, 0);
  assertEquals([cpu.lma, memory.wide, cpu.long], [true, true, false]);
  assertEquals(cpu.state[OFF_EFER >> 2], 0x500);
  // Compatibility mode: the key of a 32-bit mode.
  const flat = KEY_PROTECTED | KEY_CODE32 | KEY_STACK32 | KEY_FLAT_CS |
    KEY_FLAT_DATA;
  assertEquals(cpu.key() & (flat | KEY_LONG), flat);
  assertEquals(cpu.linear(-1, 0), 0xffffffff);
  assertEquals(faultOf(cpu, () => writeControl(cpu, 4, 0, 0)), [13, 0]);
  assertEquals(faultOf(cpu, () => writeMsr(cpu, 0xc0000080, 0, 0)), [13, 0]);
  writeControl(cpu, 0, 0x11, 0);
  assertEquals([cpu.lma, memory.wide], [false, false]);
  assertEquals(cpu.state[OFF_EFER >> 2], 0x100);
});

Deno.test("64-bit mode: key, program counter, and no way out but code of 32 bits", () => {
  const { cpu } = make64();
  const want = KEY_LONG | KEY_PROTECTED | KEY_FLAT_CS | KEY_FLAT_DATA |
    KEY_IOPL_OK;
  assertEquals(cpu.key() & (want | KEY_CODE32 | KEY_STACK32), want);
  assertEquals([cpu.pcLo(), cpu.pcHi(), cpu.pc], [0x1000, 0, 0x1000]);
  cpu.setPc(-4096, -1);
  assertEquals(cpu.linear(cpu.pcLo(), cpu.pcHi()), -4096);
  assertEquals(faultOf(cpu, () => writeControl(cpu, 0, 0x11, 0)), [13, 0]);
  assertEquals(faultOf(cpu, () => farJumpLong(cpu, 0x38, 0, 0)), [13, 0x38]);
  assertEquals(faultOf(cpu, () => farJumpLong(cpu, CODE, 0, 0x8000)), [13, 0]);
  assertEquals(faultOf(cpu, () => farJumpLong(cpu, CODE32, 0, 1)), [13, 0]);
  cpu.state[(cpu.globals[0].offset >> 2) + 1] = 5;
  farJumpLong(cpu, CODE32, 0x1000, 0);
  assertEquals([cpu.long, cpu.lma], [false, true]);
  assertEquals(cpu.reg64(0), 0, "no high halves");
  const enter = new X86({ model: MODELS.max });
  enter.enter({ rip: 2 ** 40 + 1, rax: -2, r15: 2 ** 52, efer: 0x100, cr0: 1 });
  assertEquals([enter.reg64(0), enter.reg64(15)], [-2, 2 ** 52]);
});

Deno.test("the walk: sizes of pages, rights, accessed and dirty", () => {
  const { cpu, memory } = make64();
  const walk = (address: number, access: Access, mmu = 0): boolean =>
    cpu.walk(address, access, mmu, false);
  assert(walk(0x5123, ACCESS_READ));
  assertEquals(
    { ...cpu.pageWalk },
    {
      physical: 0x5000,
      permissions: PERM_READ | PERM_EXECUTE,
      large: false,
      huge: false,
    },
  );
  assertEquals(get64(memory, PT + 5 * 8), 0x5027n);
  assertEquals(get64(memory, PML4), BigInt(PDPT | 0x27));
  assert(walk(0x5123, ACCESS_WRITE));
  assertEquals(cpu.pageWalk.permissions, PERM_READ | PERM_WRITE | PERM_EXECUTE);
  assertEquals(get64(memory, PT + 5 * 8), 0x5067n);
  // 2 MB, in the high half.
  put64(memory, PD + 3 * 8, 0x12_3460_0083n);
  assert(walk(HIGH + 0x612345, ACCESS_READ));
  assertEquals(cpu.pageWalk.physical, 0x12_3461_2000);
  assertEquals([cpu.pageWalk.large, cpu.pageWalk.huge], [true, false]);
  // 1 GB.
  put64(memory, PDPT + 8, 0x56_4000_0183n);
  writeControl(cpu, 4, 0xa0, 0);
  assert(walk(0x7fffffff, ACCESS_READ));
  assertEquals(cpu.pageWalk.physical, 0x56_7fff_f000);
  assertEquals([cpu.pageWalk.large, cpu.pageWalk.huge], [true, true]);
  assertEquals(cpu.pageWalk.permissions & PERM_GLOBAL, PERM_GLOBAL);
  // What a probe does: nothing.
  put64(memory, PT + 6 * 8, 0x6005n);
  assert(cpu.walk(0x6000, ACCESS_READ, 1, true));
  assertEquals(get64(memory, PT + 6 * 8), 0x6005n);
  const fault = (
    address: number,
    access: Access,
    mmu: number,
  ): [number, number] => {
    assertEquals(walk(address, access, mmu), false);
    return [
      cpu.state[OFF_EXC_ERROR >> 2],
      addressAt(cpu.state, 0x900 >> 2),
    ];
  };
  assertEquals(fault(0x6000, ACCESS_WRITE, 1), [7, 0x6000]);
  assertEquals(fault(0x6000, ACCESS_WRITE, 0), [3, 0x6000]);
  assertEquals(fault(0x200000, ACCESS_READ, 1), [5, 0x200000]);
  assertEquals(fault(HIGH + 2 ** 39 + 8, ACCESS_READ, 0), [
    0,
    HIGH + 2 ** 39 + 8,
  ]);
  put64(memory, PT + 7 * 8, 0x8000_0000_0000_7007n);
  assertEquals(fault(0x7000, ACCESS_EXECUTE, 1), [0x15, 0x7000]);
  assert(walk(0x7000, ACCESS_READ, 1));
  assertEquals(cpu.pageWalk.permissions & PERM_EXECUTE, 0);
  put64(memory, PT + 7 * 8, 0x0000_0100_0000_7007n);
  assertEquals(fault(0x7000, ACCESS_READ, 0), [9, 0x7000]);
  put64(memory, PDPT + 8, 0x2183n);
  assertEquals(fault(0x40000000, ACCESS_READ, 0), [9, 0x40000000]);
});

Deno.test("SMEP and SMAP: user pages are not the supervisor's", () => {
  const { cpu, memory } = make64();
  writeControl(cpu, 4, 0x300020, 0);
  const error = (access: Access): number =>
    cpu.walk(0x5000, access, 0, false) ? -1 : cpu.state[OFF_EXC_ERROR >> 2];
  assertEquals(error(ACCESS_EXECUTE), 0x11);
  assertEquals(error(ACCESS_READ), 1);
  assertEquals(error(ACCESS_WRITE), 3);
  cpu.setEflags(AC, AC);
  assertEquals(error(ACCESS_WRITE), -1);
  assertEquals(cpu.pageWalk.permissions, PERM_READ | PERM_WRITE);
  memory.forgotten.length = 0;
  cpu.setEflags(0, AC);
  assertEquals(memory.forgotten, [0x5000]);
  assertEquals(error(ACCESS_READ), 1);
  // A fetch says nothing of data.
  writeControl(cpu, 4, 0x200020, 0);
  assertEquals(error(ACCESS_EXECUTE), -1);
  assertEquals(cpu.pageWalk.permissions, PERM_EXECUTE);
  // Many pages.
  cpu.setEflags(AC, AC);
  for (let n = 0; n < 20; n++) {
    cpu.walk(0x10000 + n * 4096, ACCESS_READ, 0, false);
  }
  assertEquals(memory.conditional.length, 20);
  memory.forgotten.length = 0;
  cpu.setEflags(0, AC);
  assertEquals(memory.forgotten.length, 20);
  cpu.setCpl(3);
  cpu.setEflags(AC, AC);
  assertEquals(error(ACCESS_READ), 1, "the CPU itself at level 3");
  assert(cpu.walk(0x5000, ACCESS_READ, 1, false));
});

Deno.test("an exception pushes an aligned frame of 64 bits, and IRETQ takes it back", () => {
  const { cpu, memory } = make64();
  setGate(memory, 13, 0xffff800000002000n, 0x8e);
  cpu.setReg64(4, STACK - 3);
  cpu.setRip(0x1111);
  cpu.setEflags(0x246 | 0x100, -1);
  cpu.record(13, 0x1234, true);
  assert(deliverException(cpu));
  assertEquals(cpu.pc, HIGH + 0x2000);
  const rsp = STACK - 16 - 48;
  assertEquals(cpu.reg64(4), rsp);
  const frame = [0, 8, 16, 24, 32, 40].map((n) => get64(memory, rsp + n));
  assertEquals(frame, [
    0x1234n,
    0x1111n,
    BigInt(CODE),
    0x10346n,
    BigInt(STACK - 3),
    BigInt(DATA),
  ]);
  assertEquals(cpu.getEflags() & 0x300, 0);
  cpu.setReg64(4, rsp + 8);
  interruptReturn(cpu, 8, 0);
  assertEquals([cpu.pc, cpu.reg64(4)], [0x1111, STACK - 3]);
  assertEquals(cpu.getEflags(), 0x346);
  // IRET with NT is a task switch, and there are none.
  cpu.state[OFF_FLAGS >> 2] |= 0x4000;
  assertEquals(faultOf(cpu, () => interruptReturn(cpu, 8, 0)), [13, 0]);
});

Deno.test("from level 3: RSP0 and interrupt stacks; SS is null then", () => {
  const { cpu, memory } = make64();
  setGate(memory, 6, 0x2000n, 0x8f);
  setGate(memory, 7, 0x3000n, 0x8e, 7);
  put64(memory, TSS + 4, 0xe008n);
  put64(memory, TSS + 0x24 + 6 * 8, 0xd000n);
  loadTr(cpu, 0x40);
  assertEquals(cpu.longBase(7), HIGH + TSS);
  // To level 3, in compatibility mode.
  cpu.setReg64(4, STACK - 40);
  [0x5000n, 0x23n, 0x202n, 0xc000n, BigInt(USER_DATA)].forEach((v, n) =>
    put64(memory, STACK - 40 + 8 * n, v)
  );
  interruptReturn(cpu, 8, 0);
  assertEquals([cpu.cpl, cpu.long, cpu.pc], [3, false, 0x5000]);
  assertEquals(cpu.selector(DS), 0, "level 0's segment is gone");
  cpu.record(6, 0, false);
  assert(deliverException(cpu));
  assertEquals([cpu.cpl, cpu.long, cpu.selector(SS)], [0, true, 0]);
  assertEquals(cpu.reg64(4), 0xe000 - 40);
  assertEquals(get64(memory, 0xe000 - 40), 0x5000n);
  assertEquals(get64(memory, 0xe000 - 16), 0xc000n);
  assertEquals(get64(memory, 0xe000 - 8), BigInt(USER_DATA));
  assertEquals(cpu.getEflags() & 0x200, 0x200, "a trap gate");
  cpu.record(7, 0, false);
  assert(deliverException(cpu));
  assertEquals(cpu.reg64(4), 0xd000 - 40);
  assertEquals(get64(memory, 0xd000 - 16), BigInt(0xe000 - 40));
  // A stack that is not canonical: #SS, which has no gate: #DF, which has none.
  put64(memory, TSS + 0x24 + 6 * 8, 0x800000000008n);
  cpu.record(7, 0, false);
  assertEquals(deliverException(cpu), false);
});

Deno.test("call gates have 16 bytes and lead to 64-bit code", () => {
  const { cpu, memory } = make64();
  cpu.setRip(0x1007);
  farCallLong(cpu, 0x50, 0, 0, 4, 0);
  assertEquals(cpu.pc, 0x2000);
  assertEquals(get64(memory, STACK - 16), 0x1007n);
  assertEquals(get64(memory, STACK - 8), BigInt(CODE));
  returnLong(cpu, 8, 0, false);
  assertEquals([cpu.pc, cpu.reg64(4)], [0x1007, STACK]);
  put64(memory, GDT + 0x58, 1n << 40n);
  assertEquals(faultOf(cpu, () => farCallLong(cpu, 0x50, 0, 0, 4, 0)), [
    13,
    0x50,
  ]);
  put64(memory, GDT + 0x58, 0x8000n);
  assertEquals(faultOf(cpu, () => farCallLong(cpu, 0x50, 0, 0, 4, 0)), [13, 0]);
  // A TSS is no target.
  assertEquals(faultOf(cpu, () => farCallLong(cpu, 0x40, 0, 0, 4, 0)), [
    13,
    0x40,
  ]);
});

Deno.test("SYSCALL and SYSRET; MSRs of addresses are canonical", () => {
  const { cpu } = make64();
  writeMsr(cpu, 0xc0000081, 0, 0x0020_0008);
  writeMsr(cpu, 0xc0000082, 0x4000, -1);
  writeMsr(cpu, 0xc0000084, 0x40700, 0);
  for (const msr of [0xc0000082, 0xc0000083, 0xc0000100, 0xc0000102, 0x175]) {
    assertEquals(faultOf(cpu, () => writeMsr(cpu, msr, 0, 0x8000)), [13, 0]);
  }
  sysretTo(cpu, 0x7fff_0000_1000, 0x202, true);
  assertEquals([cpu.cpl, cpu.long, cpu.pc], [3, true, 0x7fff_0000_1000]);
  assertEquals([cpu.selector(CS), cpu.selector(SS)], [USER_CODE, USER_DATA]);
  const key = cpu.key();
  cpu.updateKey();
  assertEquals(cpu.key(), key);
  assertEquals((key >> KEY_CPL_SHIFT) & 3, 3);
  cpu.setEflags(0x603, -1);
  syscall(cpu);
  assertEquals([cpu.cpl, cpu.pc], [0, -(2 ** 32) + 0x4000]);
  assertEquals([cpu.reg64(1), cpu.reg64(11)], [0x7fff_0000_1000, 0x603]);
  assertEquals([cpu.selector(CS), cpu.selector(SS)], [CODE, DATA]);
  assertEquals(cpu.getEflags(), 3);
  const inner = cpu.key();
  cpu.updateKey();
  assertEquals(cpu.key(), inner);
  writeMsr(cpu, 0xc0000101, 1, 2);
  writeMsr(cpu, 0xc0000102, 3, 4);
  readMsr(cpu, 0xc0000101);
  assertEquals([cpu.reg32(0), cpu.reg32(2)], [1, 2]);
  readMsr(cpu, 0xc0000102);
  assertEquals([cpu.reg32(0), cpu.reg32(2)], [3, 4]);
  assertEquals(
    faultOf(cpu, () => sysretTo(cpu, 2 ** 47, 2, true)),
    [13, 0],
  );
  sysretTo(cpu, 0x1_2345_6789, 2, false);
  assertEquals([cpu.cpl, cpu.long, cpu.pc], [3, false, 0x23456789]);
  assertEquals(cpu.selector(CS), 0x23);
  assertEquals(faultOf(cpu, () => syscall(cpu))[0], 6);
});

function sysretTo(cpu: X86, rip: number, flags: number, wide: boolean): void {
  cpu.setReg64(1, rip);
  cpu.setReg64(11, flags);
  sysret(cpu, wide);
}

Deno.test("CR3, CR4 and CR8 in 64-bit mode", () => {
  const { cpu } = make64();
  assertEquals(faultOf(cpu, () => writeControl(cpu, 0, cpu.cr0, 1)), [13, 0]);
  assertEquals(faultOf(cpu, () => writeControl(cpu, 4, cpu.cr4, 1)), [13, 0]);
  assertEquals(faultOf(cpu, () => writeControl(cpu, 3, PML4, 0x100)), [13, 0]);
  assertEquals(faultOf(cpu, () => writeControl(cpu, 3, PML4, 1 << 31)), [
    13,
    0,
  ]);
  writeControl(cpu, 3, PML4 | 8, 0);
  assertEquals(faultOf(cpu, () => writeControl(cpu, 4, 0x20020, 0)), [13, 0]);
  writeControl(cpu, 3, PML4, 0);
  writeControl(cpu, 4, 0x20020, 0);
  writeControl(cpu, 3, PML4 | 7, 0x80000001 | 0);
  assertEquals(cpu.state[(OFF_CR >> 2) + 7], 1, "bit 63 is not kept");
  assertEquals(faultOf(cpu, () => writeControl(cpu, 8, 16, 0)), [13, 0]);
});

Deno.test("null segments and state records", () => {
  const { cpu } = make64();
  cpu.setSeg(ES, 0, 0, 0, 0);
  writeMsr(cpu, 0xc0000100, 0x1234, 0x7fff);
  const saved = cpu.save();
  const other = make32().cpu;
  other.load(saved);
  assertEquals(other.save(), saved);
  assertEquals([other.long, other.longBase(FS)], [true, 0x7fff_0000_1234]);
  assert(other.describe().startsWith("cs:rip 0008:0000000000001000, "));
  // A record of before there was 64-bit mode.
  const old = make32().cpu.save();
  const registers = old.registers as Uint8Array;
  other.load({ ...old, registers: registers.slice(0, 0x600) });
  assertEquals([other.lma, other.pc], [false, 0x1234]);
  assertThrows(
    () => other.load({ ...old, registers: registers.slice(0, 0x500) }),
    Error,
    "it has 1280 bytes",
  );
});

Deno.test("cpuid: what a 64-bit operating system looks for", () => {
  const { cpu } = make64();
  const leaf = (eax: number): number[] => {
    cpu.setReg32(0, eax);
    cpu.setReg32(1, 0);
    cpuid(cpu);
    return [0, 3, 1, 2].map((r) => cpu.reg32(r));
  };
  assertEquals(leaf(0x80000000)[0], 0x80000008 | 0);
  const [, , , edx] = leaf(0x80000001);
  for (const bit of [11, 20, 26, 29]) assertEquals((edx >> bit) & 1, 1);
  assertEquals(leaf(0x80000008)[0], 40 | 48 << 8);
  assertEquals(leaf(7)[1] & (1 << 7 | 1 << 20 | 1), 1 << 7 | 1 << 20 | 1);
  // REP MOVSB is fast, and short ones too (ERMS, FSRM).
  assertEquals([leaf(7)[1] >> 9 & 1, leaf(7)[3] >> 4 & 1], [1, 1]);
  farJumpLong(cpu, CODE32, 0x1000, 0);
  assertEquals((leaf(0x80000001)[3] >> 11) & 1, 0, "no SYSCALL there");
});
