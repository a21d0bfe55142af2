/**
 * The registry of helpers: instructions (or parts of them) too large for IR,
 * written as TypeScript functions over a CPU's state.
 *
 * A helper is defined once, at module level, by a maker that gives back the
 * function for one CPU. A closure for each CPU and helper, instead of one
 * function that takes the CPU, lets V8 specialise each of them.
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import type { Global } from "../../../core/ir/types.ts";
import type { X86 } from "./cpu.ts";
import { WIDE_VIEW } from "./state.ts";

/** A helper's function; arguments and result are signed 32-bit integers. */
export type HelperFunction = (a: number, b: number, c: number) => number;

/** What translated code must know of a helper. Everything absent means the worst. */
export interface HelperOptions {
  /**
   * It may raise a guest fault (throw `GUEST_FAULT`, by `cpu.raise` or through
   * the MMU); it then gives back 0 and has no other result.
   */
  readonly faults?: boolean;
  /** The globals that it reads; `"all"` when absent. */
  readonly reads?: readonly Global[] | "all";
  /** The globals that it writes; `"all"` when absent. */
  readonly writes?: readonly Global[] | "all";
  /** It has no effect but its result: an unused call is removed. */
  readonly pure?: boolean;
  /** See `Helper.longs`. */
  readonly longs?: boolean;
  /** Its WebAssembly form for one CPU; see `Helper.native`. */
  readonly native?: (cpu: X86) => Helper["native"];
  /** See `Helper.isNativeLate`. */
  readonly isNativeLate?: boolean;
}

/** Globals, with the other views of their slots. */
function withViews(
  list: readonly Global[] | "all" | undefined,
): readonly Global[] | "all" {
  if (list === undefined || list === "all") return "all";
  const views = list.map((g) => WIDE_VIEW.get(g.index));
  return [...list, ...views.filter((g) => g !== undefined)];
}

const defined: Helper[] = [];
const makers: ((cpu: X86) => HelperFunction)[] = [];
const natives: HelperOptions["native"][] = [];

/** Defines a helper; `make` gives its function for one CPU. */
export function define(
  name: string,
  args: 0 | 1 | 2 | 3,
  options: HelperOptions,
  make: (cpu: X86) => HelperFunction,
): Helper {
  const helper: Helper = {
    index: defined.length,
    name,
    args,
    longs: options.longs ?? false,
    faults: options.faults ?? false,
    reads: withViews(options.reads),
    writes: withViews(options.writes),
    pure: options.pure ?? false,
    isNativeLate: options.isNativeLate ?? false,
    fn: () => {
      throw new Error(`helper ${name} is not bound to a CPU`);
    },
  };
  defined.push(helper);
  makers.push(make);
  natives.push(options.native);
  return helper;
}

/** All helpers defined so far, bound to `cpu`, in index order. */
export function bindHelpers(cpu: X86): readonly Helper[] {
  return defined.map((h, i) => ({
    ...h,
    fn: makers[i](cpu),
    native: natives[i]?.(cpu),
  }));
}
