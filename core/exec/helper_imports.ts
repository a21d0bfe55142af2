/**
 * A frontend's helpers as the functions that translated code imports.
 *
 * @module
 */

import { GUEST_FAULT, GUEST_MODIFIED } from "../cpu/frontend.ts";
import type { Helper } from "../ir/builder.ts";

/** By the helpers' numbers. */
export type HelperImports = Record<string, (...args: number[]) => number>;

/**
 * The imports for the CPU whose area is at `base`. An exception must not pass
 * through translated code: a helper that may fault returns why it did, or 0.
 */
export function helperImports(
  helpers: readonly Helper[],
  memory: WebAssembly.Memory,
  base: number,
): HelperImports {
  const imports: HelperImports = {};
  for (const h of helpers) {
    const fn = h.fn;
    const called = h.faults
      ? (a: number, b: number, c: number): number => {
        try {
          return fn(a, b, c);
        } catch (e) {
          if (e === GUEST_FAULT) return 1;
          if (e === GUEST_MODIFIED) return 2;
          throw e;
        }
      }
      : fn;
    const native = h.native?.(memory, base, called);
    imports[String(h.index)] = (native ?? called) as (
      ...args: number[]
    ) => number;
  }
  return imports;
}
