/**
 * What an engine counts, and the figures that follow from it.
 *
 * @module
 */

import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { BlockCache } from "../translate/block_cache.ts";
import type { BlockTranslator } from "../translate/block_translator.ts";
import type { RegionCompiler } from "./region_compiler.ts";
import type { Regions } from "./regions.ts";

/** The parts of an engine that count for themselves. */
export interface CountingParts {
  /** Knows the mix of instructions. */
  readonly translator: BlockTranslator;
  /** Counts what it compiles. */
  readonly compiler: RegionCompiler;
  /** Counts those compiled anew. */
  readonly regions: Regions;
  /** Counts blocks. */
  readonly cache: BlockCache;
  /** Counts walks and slow accesses. */
  readonly mmu: SoftMmu;
}

/** The counters of one engine, which counts in place. */
export class Statistics {
  /** How often what happened that brought control to the dispatcher. */
  readonly counts = {
    interrupts: 0,
    faults: 0,
    singles: 0,
    dispatches: 0,
    unlinked: 0,
    indirect: 0,
    hot: 0,
    modified: 0,
  };
  /** In which tier budgets ended: a sample of where the time goes. */
  readonly samples = { interpreter: 0, region: 0 };
  /** The time of all runs. */
  runMs = 0;
  /** What of that went into translating blocks, about. */
  translateMs = 0;

  /**
   * Counters by name. The time of a tier is the time of all runs, shared out
   * by where budgets ended. Misses are counted, and given in a million
   * instructions; hits stay in translated code and are not, so that the hit
   * rates (per cent) are estimates: of as many jumps and accesses as the
   * instructions would have if they were like the average translated block.
   */
  report(
    instructions: number,
    parts: CountingParts,
  ): Readonly<Record<string, number>> {
    const { cache, mmu } = parts;
    const { interpreter, region } = this.samples;
    const compile = parts.compiler.stats();
    const running = this.runMs - compile.compileMs - this.translateMs;
    const share = interpreter + region === 0
      ? 0
      : region / (interpreter + region);
    const rate = (n: number): number =>
      Math.round(n * 1e6 / Math.max(instructions, 1));
    const { insnsInBlock, accessesInInsn } = parts.translator.mix;
    const hits = (misses: number, tries: number): number =>
      tries <= misses ? 0 : Math.floor((1 - misses / tries) * 1e6) / 1e4;
    const chainMisses = this.counts.unlinked + this.counts.indirect;
    return {
      instructions,
      interpreterMs: Math.round(running * (1 - share)),
      regionMs: Math.round(running * share),
      translateMs: Math.round(this.translateMs),
      ...compile,
      blocksTranslated: cache.translated,
      blocksInvalidated: cache.invalidated,
      blocksRevived: cache.revived,
      arenaFlushes: cache.flushes,
      arenaBytes: cache.used,
      tlbWalks: mmu.walks,
      tlbFlushes: mmu.flushes,
      slowAccesses: mmu.slow,
      ...this.counts,
      ...parts.regions.counts,
      chainMissesPerMillion: rate(chainMisses),
      chainHitPercent: hits(
        chainMisses,
        instructions / Math.max(insnsInBlock, 1),
      ),
      tlbMissesPerMillion: rate(mmu.walks),
      tlbHitPercent: hits(mmu.walks, instructions * accessesInInsn),
    };
  }
}
