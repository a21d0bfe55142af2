/**
 * What an observer can ask of an engine: where a block's code is, and what.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { TranslatorView } from "./trace.ts";

const PAGE = 4096;

/** The view of the CPU that translates by this MMU, whose memory is `u8`. */
export function translatorView(
  frontend: Frontend,
  mmu: SoftMmu,
  u8: Uint8Array,
): TranslatorView {
  return {
    address: (b) => frontend.wide(b.key) ? b.address : b.address >>> 0,
    pc: (b) => (b.address - (frontend.wide(b.key) ? 0 : b.pcHi)) >>> 0,
    code: ({ physical, secondPage, byteLength }) => {
      const first = secondPage < 0 ? byteLength : PAGE - (physical % PAGE);
      return Uint8Array.from({ length: byteLength }, (_, i) => {
        const at = i < first ? physical + i : secondPage + i - first;
        const page = mmu.hostOf(at);
        return page < 0 ? mmu.readCode(at) : u8[page + (at % PAGE)];
      });
    },
  };
}
