/** What the benchmarks print. */

import { assertEquals } from "@std/assert";
import { row } from "./bench/turns.ts";

Deno.test("turns: a row has medians, ratios, and says when results differ", () => {
  const sample = (wall: number, cpu: number, sum = "x") => ({ wall, cpu, sum });
  const jit = [sample(90, 9), sample(10, 1), sample(20, 2)];
  const tcg = [sample(40, 8), sample(40, 8), sample(41, 9)];
  assertEquals(
    row("read", ["jit", "tcg"], [jit, tcg]),
    "read          jit 20 (CPU 2)  tcg 40 (CPU 8)  ratio 0.50 (CPU 0.25)",
  );
  assertEquals(
    row("read", ["jit", "tcg"], [jit, [sample(20, 2, "y")]]),
    "read          jit 20 (CPU 2)  tcg 20 (CPU 2)  ratio 1.00 (CPU 1.00)" +
      '  RESULTS DIFFER: jit "x" "x" "x", tcg "y"',
  );
});
