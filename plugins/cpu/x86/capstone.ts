/**
 * Capstone, the disassembler that QEMU's monitor has too: as WebAssembly
 * (npm `capstone-wasm`), read when code is to be listed for the first time.
 *
 * @module
 */

import { Capstone, Const, loadCapstone } from "capstone-wasm";
import type { InstructionLister } from "../../../core/cpu/inspector.ts";

/** Its modes, by the size of code. */
const MODES = {
  16: Const.CS_MODE_16,
  32: Const.CS_MODE_32,
  64: Const.CS_MODE_64,
} as const;

let loading: Promise<boolean> | undefined;
const listers = new Map<number, InstructionLister>();

/** Load it; false where its file must not be read. */
async function load(): Promise<boolean> {
  const file = new URL("capstone.wasm", import.meta.resolve("capstone-wasm"));
  // It would write to the terminal that it failed.
  const { state } = await Deno.permissions.query({ name: "read", path: file });
  if (state !== "granted") return false;
  await loadCapstone();
  return true;
}

/**
 * A lister for code of 16, 32 or 64 bits; undefined where Capstone's file may
 * not be read.
 */
export async function openCapstone(
  bits: 16 | 32 | 64,
): Promise<InstructionLister | undefined> {
  const there = listers.get(bits);
  if (there !== undefined) return there;
  if (!await (loading ??= load())) return undefined;
  const capstone = new Capstone(Const.CS_ARCH_X86, MODES[bits]);
  capstone.setOption(Const.CS_OPT_SYNTAX, Const.CS_OPT_SYNTAX_ATT);
  const lister: InstructionLister = (code, address) => {
    let found;
    try {
      [found] = capstone.disasm(code, { address, count: 1 });
    } catch {
      // It knows no such instruction.
      found = undefined;
    }
    if (found === undefined) {
      const byte = code[0].toString(16).padStart(2, "0");
      return { length: 1, text: `.byte    0x${byte}` };
    }
    const { mnemonic, opStr, size } = found;
    return { length: size, text: `${mnemonic.padEnd(8)} ${opStr}`.trimEnd() };
  };
  listers.set(bits, lister);
  return lister;
}
