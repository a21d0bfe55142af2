import { assertEquals, assertThrows } from "@std/assert";
import { SyntaxProblem } from "./error.ts";
import { evaluate } from "./expression.ts";

const registers = (name: string): bigint | undefined =>
  ({ eax: 5n, "cs.base": 0xffff0000n, rip: 0xffffffff81000000n } as Record<
    string,
    bigint
  >)[name];

function value(text: string): bigint {
  const { value, end } = evaluate(text, 0, registers);
  assertEquals(end, text.length, text);
  return value;
}

Deno.test("monitor expressions: numbers, operators and registers", () => {
  const cases: readonly (readonly [string, bigint])[] = [
    ["1", 1n],
    ["0x10", 16n],
    ["010", 8n],
    ["0", 0n],
    [" 1 + 2 ", 3n],
    ["2 * 3 + 4", 10n],
    ["-(1 + 2) * 3", -9n],
    ["~0", -1n],
    ["7 / 2 % 2", 1n],
    ["-7 / 2", -3n],
    ["'A' + 1", 66n],
    ["$eax*2", 10n],
    ["$EAX", 5n],
    ["$cs.base + 0xfff0", 0xfffffff0n],
    ["$rip", -0x7f000000n],
    ["0xffffffffffffffff", -1n],
    ["0x7fffffffffffffff + 1", -(2n ** 63n)],
    // As QEMU has it: & binds more than +.
    ["1 + 6 & 3", 3n],
  ];
  for (const [text, expected] of cases) {
    assertEquals(value(text), expected, text);
  }
});

Deno.test("monitor expressions: what is wrong is said", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["", "unexpected end of expression"],
    ["1 +", "unexpected end of expression"],
    ["(1", "')' expected"],
    ["$foo", "unknown register"],
    ["1 / 0", "division by zero"],
    ["1 % (2 - 2)", "division by zero"],
    ["foo", "invalid char 'f' in expression"],
    ["'a", "missing terminating ' character"],
    ["'", "character constant expected"],
    ["99999999999999999999", "number too large"],
    ["(".repeat(5000), "the expression is nested too deeply"],
    ["-".repeat(5000), "the expression is nested too deeply"],
  ];
  for (const [text, message] of cases) {
    assertThrows(() => value(text), SyntaxProblem, message, text);
  }
});
