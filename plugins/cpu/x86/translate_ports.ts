/**
 * Port instructions: what the task's permission bitmap says is asked first,
 * where it counts.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { define } from "./helpers.ts";
import {
  checkPort,
  portIn,
  portOut,
  portString,
  REPEAT_LIMIT,
} from "./ports.ts";
import { DS, GPR, GPR64, KEY_IOPL_OK } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { next } from "./translate_privilege.ts";

const CHECK_PORT = define(
  "check_port",
  2,
  { faults: true, writes: [] },
  (cpu) => (port, size) => {
    checkPort(cpu, port, size);
    return 0;
  },
);
const PORT_IN = define(
  "port_in",
  2,
  { reads: [], writes: [] },
  (cpu) => (port, size) => portIn(cpu, port, size),
);
/** Port | size << 16, value, next EIP. What the device raises is taken before the next instruction. */
const PORT_OUT = define(
  "port_out",
  3,
  { faults: true, writes: [] },
  (cpu) => (what, value, next) => {
    portOut(cpu, what & 0xffff, what >> 16, value);
    cpu.leaveIfChanged(cpu.key(), next);
    return 0;
  },
);
const PORT_STRING = define(
  "port_string",
  1,
  { faults: true, writes: [...GPR, ...GPR64] },
  (cpu) => (what) => {
    portString(
      cpu,
      (what & 0x10) !== 0,
      what & 15,
      (what & 0x20) !== 0,
      (what & 0x40) === 0 ? 0 : (what & 0x800) === 0 ? REPEAT_LIMIT : 1,
      (what >> 8) & 7,
      (what & 0x80) !== 0,
    );
    return 0;
  },
);

function checkedPort(t: Translator, port: Value, size: number): void {
  if (t.v86 || (t.key & KEY_IOPL_OK) === 0 || t.tellsPorts) {
    t.b.call(CHECK_PORT, port, t.imm(size));
  }
}

/** The port of IN and OUT: an immediate or DX. */
function portOf(t: Translator, i: Insn): Value {
  return (i.opcode & 8) !== 0 ? t.reg(2, 2) : t.imm(i.imm & 0xff);
}

/** The width of IN, OUT, INS and OUTS. */
function portSize(i: Insn): number {
  return (i.opcode & 1) === 0 ? 1 : Math.min(i.opSize, 4);
}

function input(t: Translator, i: Insn): void {
  const size = portSize(i);
  const port = portOf(t, i);
  checkedPort(t, port, size);
  t.setReg(size, 0, t.b.call(PORT_IN, port, t.imm(size)));
}

function output(t: Translator, i: Insn): void {
  const size = portSize(i);
  const port = portOf(t, i);
  checkedPort(t, port, size);
  const what = t.b.or(port, t.imm(size << 16));
  t.syncFlags();
  t.b.call(PORT_OUT, what, t.reg(size, 0), next(t));
}

function portStrings(out: boolean): Translate {
  return (t, i) => {
    const wide = i.addrSize >= 4;
    const repeated = i.rep !== 0;
    const seg = i.override >= 0 ? i.override : DS;
    const what = portSize(i) | (out ? 0x10 : 0) | (wide ? 0x20 : 0) |
      (repeated ? 0x40 : 0) | (i.addrSize === 8 ? 0x80 : 0) | (seg << 8) |
      (t.isSingleElement ? 0x800 : 0);
    if (repeated) t.elements = REPEAT_LIMIT;
    t.syncFlags();
    t.b.call(PORT_STRING, t.imm(what));
    if (!repeated) return;
    const count = t.reg(wide ? i.addrSize : 2, 1);
    const more = i.addrSize === 8
      ? t.b.op(Op["i64.ne"], count, t.b.i64(0))
      : count;
    t.branch(more, t.eip, t.nextEip);
  };
}

/** The functions, by the names that the instruction table uses. */
export const PORTS: Readonly<Record<string, Translate>> = {
  in: input,
  out: output,
  ins: portStrings(false),
  outs: portStrings(true),
};
