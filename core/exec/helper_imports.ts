/**
 * A frontend's helpers as the functions that translated code imports.
 *
 * @module
 */

import { GUEST_FAULT, GUEST_MODIFIED } from "../cpu/frontend.ts";
import type { Helper } from "../ir/builder.ts";

/** By the helpers' numbers. */
export type HelperImports = Record<string, (...args: number[]) => number>;

/** The helpers of one CPU. */
export interface CpuHelpers {
  /** For regions: which forms are made late is found by asking for them. */
  readonly forRegions: HelperImports;
  /** For the interpreter. */
  readonly forInterpreter: HelperImports;
}

/**
 * The imports for the CPU whose area is at `base`. An exception must not pass
 * through translated code: a helper that may fault returns why it did, or 0.
 * With `isAlone` there are no regions, and the interpreter has all native forms.
 */
export function helperImports(
  helpers: readonly Helper[],
  memory: WebAssembly.Memory,
  base: number,
  isAlone: boolean,
): CpuHelpers {
  const forRegions: HelperImports = {};
  const forInterpreter: HelperImports = {};
  for (const h of helpers) {
    const fn = h.fn;
    const called = (h.faults
      ? (a: number, b: number, c: number): number => {
        try {
          return fn(a, b, c);
        } catch (e) {
          if (e === GUEST_FAULT) return 1;
          if (e === GUEST_MODIFIED) return 2;
          throw e;
        }
      }
      : fn) as HelperImports[string];
    const name = String(h.index);
    const { native } = h;
    if (native !== undefined && h.isNativeLate === true && !isAlone) {
      let made: HelperImports[string] | undefined;
      forInterpreter[name] = called;
      Object.defineProperty(forRegions, name, {
        get: () => made ??= native(memory, base, called),
      });
    } else {
      const form = native?.(memory, base, called) ?? called;
      forInterpreter[name] = forRegions[name] = form as typeof called;
    }
  }
  return { forRegions, forInterpreter };
}
