/**
 * The CPU's state record.
 *
 * @module
 */

import {
  loadState,
  StateError,
  type StateRecord,
} from "../../../core/state/state.ts";
import type { X86 } from "./cpu.ts";
import { changedMsrs, msrWord, resetMsrs } from "./msr_storage.ts";
import {
  OFF_MTRR_DEF_TYPE,
  OFF_TSC_OFFSET,
  STATE_END,
  STATE_START,
} from "./state.ts";

/** Bytes of the registers in records of before there was 64-bit mode. */
const OLD_SIZE = 0x600;

/** The state record. */
type SavedCpu = {
  model: string;
  registers: Uint8Array;
  mtrrDefType: number;
  /** Address, low and high word of each MSR that has not the value of a reset. */
  msrs: number[][];
  pdpte: number[];
  irqLevel: boolean;
  nmiPending: boolean;
  nmiBlocked: boolean;
  waitsForStartup: boolean;
  pendingDebug: number;
  a20: boolean;
  ignne: boolean;
  tsc: number;
  /** The last reading of the time stamp counter, less what it has now: it may be ahead. */
  stamp: number;
};

/** The registers for the state record. */
export function saveCpu(cpu: X86): SavedCpu {
  const registers = cpu.state8.slice(STATE_START, STATE_END);
  // It belongs to this machine's source of time; `tsc` says the same.
  const offset = OFF_TSC_OFFSET - STATE_START;
  registers.fill(0, offset, offset + 8);
  return {
    model: cpu.model.name,
    registers,
    mtrrDefType: cpu.state[OFF_MTRR_DEF_TYPE >> 2],
    msrs: changedMsrs(cpu),
    pdpte: Array.from(cpu.pdpte),
    irqLevel: cpu.irqLevel,
    nmiPending: cpu.nmiPending,
    nmiBlocked: cpu.nmiBlocked,
    waitsForStartup: cpu.waitsForStartup,
    pendingDebug: cpu.pendingDebug,
    a20: cpu.a20,
    ignne: cpu.ignne,
    tsc: cpu.tsc.peek(),
    stamp: cpu.tsc.stamps[0] + cpu.tsc.offset - cpu.tsc.peek(),
  };
}

/** The reverse of {@linkcode saveCpu}. */
export function loadCpu(cpu: X86, record: Record<string, unknown>): void {
  const template = { ...saveCpu(cpu), msrs: [] as number[][] };
  const { registers } = record;
  if (registers instanceof Uint8Array && registers.length === OLD_SIZE) {
    const padded = new Uint8Array(STATE_END - STATE_START);
    padded.set(registers);
    record = { ...record, registers: padded };
  }
  // There was one CPU only, and readings were not kept.
  record = { waitsForStartup: false, stamp: -1, ...record };
  const s = loadState(template, record as StateRecord, "cpu");
  if (s.model !== cpu.model.name) {
    throw new StateError(
      "cpu.model",
      `it is "${s.model}", expected "${cpu.model.name}"`,
    );
  }
  cpu.state8.set(s.registers, STATE_START);
  resetMsrs(cpu);
  cpu.state[OFF_MTRR_DEF_TYPE >> 2] = s.mtrrDefType;
  for (const item of s.msrs) {
    const [address, lo, hi] = Array.isArray(item) ? item : [];
    const word = msrWord(address);
    if (word < 0 || typeof address !== "number") {
      throw new StateError("cpu.msrs", `there is no register ${address}`);
    }
    cpu.state[word] = lo;
    cpu.state[word + 1] = hi;
  }
  cpu.pdpte.set(s.pdpte);
  cpu.irqLevel = s.irqLevel;
  cpu.nmiPending = s.nmiPending;
  cpu.nmiBlocked = s.nmiBlocked;
  cpu.waitsForStartup = s.waitsForStartup;
  cpu.pendingDebug = s.pendingDebug;
  cpu.committed = false;
  cpu.suppressStep = false;
  cpu.tsc.write(s.tsc);
  cpu.tsc.stamps[0] = s.stamp + cpu.tsc.peek() - cpu.tsc.offset;
  cpu.setInput("a20", s.a20);
  cpu.ignne = s.ignne;
  cpu.driveFerr();
  cpu.engine?.mmu.setWide(cpu.lma);
  cpu.engine?.mmu.flush(false);
  cpu.debugChanged();
  cpu.engine?.keyChanged();
}
