/**
 * Loads of DS and ES in WebAssembly, in the case that every kernel has at each
 * of its entries and exits: a flat segment takes the place of a flat one, so
 * that the mode key stays as it is. All else is left to the TypeScript of the
 * helper.
 *
 * [measured] A page fault of level 3 with four such loads: 0.9 of the time.
 *
 * @module
 */

import {
  OFF_JUMP_KEY,
  OFF_TLB,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
} from "../../../core/exec/layout.ts";
import {
  add,
  and,
  type Code,
  eq,
  eqz,
  get,
  i32,
  leave,
  load,
  ltU,
  or,
  set,
  shl,
  shrU,
  store,
  when,
  xor,
} from "./float80_emit.ts";
import { type Frame, type Native, native } from "./integer_kernel.ts";
import { EFER_LMA } from "./long_mode.ts";
import {
  KEY_CPL_SHIFT,
  KEY_DEBUG,
  KEY_FLAT_DATA,
  KEY_PROTECTED,
  OFF_EFER,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_SEG,
  SEG_ATTR,
} from "./state.ts";

const PAGE = 4096;
const DESCRIPTOR_BYTES = 8;
/** Low word of a flat descriptor: limit bits 0-15, base bits 0-15. */
const FLAT_LO = 0xffff;
/**
 * High word: the rest of base and limit, D/B and G; present data that expand up,
 * are writable and have been accessed.
 */
const FLAT_HI_MASK = 0xffcf9fff | 0, FLAT_HI = 0x00cf9300;
/** The attributes that a segment register keeps. */
const ATTR_MASK = 0xf0ff00;
/** The operand's size and whether ESP is the stack pointer, in what POP is given: 4 bytes, it is. */
const POP_KIND = 0x1f0, POP_WIDE = 0x140;

/** Unless `condition`: the slow way. */
function need(f: Frame, condition: Code): void {
  when(eqz(condition), () => f.slow());
}

/** Loads the segment register `seg` (code for its number) with a selector, or goes the slow way. */
function loadFlat(f: Frame, seg: Code, selector: Code): void {
  const key = f.local(),
    sel = f.local(),
    entry = f.local(),
    at = f.local(),
    hi = f.local(),
    dpl = f.local();
  set(key, f.word(OFF_JUMP_KEY));
  const fixed = KEY_PROTECTED | KEY_FLAT_DATA;
  need(f, eq(and(get(key), i32(fixed | KEY_DEBUG)), i32(fixed)));
  // In IA-32e mode tables have addresses of 64 bits.
  need(f, eqz(and(f.word(OFF_EFER), i32(EFER_LMA))));
  set(sel, and(selector, i32(0xffff)));
  // In the GDT, and not null.
  const inTable = ltU(i32(3), get(sel));
  const within = eqz(ltU(f.word(OFF_GDT_LIMIT), or(get(sel), i32(7))));
  need(f, and(and(eqz(and(get(sel), i32(4))), inTable), within));
  set(at, add(f.word(OFF_GDT_BASE), and(get(sel), i32(0xfff8))));
  const index = and(shrU(get(at), i32(12)), i32(TLB_ENTRIES - 1));
  const shift = Math.log2(TLB_ENTRY_BYTES);
  set(entry, add(shl(index, i32(shift)), i32(f.base + OFF_TLB)));
  set(at, xor(get(at), load(get(entry), TLB_READ)));
  need(f, ltU(get(at), i32(PAGE - DESCRIPTOR_BYTES + 1)));
  set(at, add(get(at), load(get(entry), TLB_READ + TLB_HOST)));
  need(f, eq(load(get(at), 0), i32(FLAT_LO)));
  set(hi, load(get(at), 4));
  need(f, eq(and(get(hi), i32(FLAT_HI_MASK)), i32(FLAT_HI)));
  set(dpl, and(shrU(get(hi), i32(13)), i32(3)));
  const cpl = and(shrU(get(key), i32(KEY_CPL_SHIFT)), i32(3));
  const denied = or(
    ltU(get(dpl), and(get(sel), i32(3))),
    ltU(get(dpl), cpl),
  );
  need(f, eqz(denied));
  set(at, add(shl(seg, i32(5)), i32(f.base + OFF_SEG)));
  store(get(at), 0, get(sel));
  store(get(at), SEG_ATTR, and(get(hi), i32(ATTR_MASK)));
}

/** `load_segment`: segment, selector, next instruction. */
export const LOAD_DATA: Native = native((f) => {
  loadFlat(f, get(0), get(1));
  leave(i32(0));
}, 3);

/** `pop_segment`: segment and more, selector, next instruction. */
export const POP_DATA: Native = native((f) => {
  need(f, eq(and(get(0), i32(POP_KIND)), i32(POP_WIDE)));
  loadFlat(f, and(get(0), i32(15)), get(1));
  const esp = OFF_GPR + 4 * 8;
  f.setWord(esp, add(f.word(esp), i32(4)));
  leave(i32(0));
}, 3);
