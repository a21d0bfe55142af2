/**
 * Having V8 optimise a region early.
 *
 * @module
 */

/**
 * A region's function: from the CPU's base to the reason for which it came
 * back. With -n it only goes round a loop n times.
 */
export type RegionFunction = (cpu: number) => number;

/**
 * V8 compiles a function with its optimising compiler once it has executed so
 * many bytes of the code of its quick one (`--wasm-tiering-budget`; flags
 * cannot be changed at run time). A region is hot when it is made, so most of
 * that is taken off at once.
 */
const TIERING_BUDGET = 13_000_000;
/**
 * What is left of it. Short runs of many processes in Linux take half the time
 * with 1.5 M instead of 13 M; a boot of Linux is not slower down to that, and
 * slower below.
 */
const BUDGET_LEFT = 1_500_000;
/** Bytes that V8's quick compiler makes of a byte of a region's WebAssembly. */
const QUICK_BYTES_PER_BYTE = 3;

/** Has V8 optimise a region soon, by going round the loop that spans its function. */
export function warmUp(region: RegionFunction, codeBytes: number): void {
  const round = codeBytes * QUICK_BYTES_PER_BYTE;
  region(-Math.floor((TIERING_BUDGET - BUDGET_LEFT) / round));
}
