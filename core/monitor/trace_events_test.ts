import { assertEquals } from "@std/assert";
import { isNamed } from "./trace_events.ts";

Deno.test("names of events may be patterns", () => {
  const cases: [string, string, boolean][] = [
    ["ide.command", "ide.command", true],
    ["ide.command", "ide", false],
    ["ide.command", "*", true],
    ["ide.command", "ide.*", true],
    ["ide.command", "*.command", true],
    ["ide.command", "i*e.*mm*d", true],
    ["ide.command", "*x*", false],
    ["ide.command", "*.comm", false],
    ["ide.command", "ide.command*d", false],
    ["aaa", "a*a*a*a", false],
    ["a.b", "a?b", false],
  ];
  for (const [name, pattern, is] of cases) {
    assertEquals(isNamed(name, pattern), is, `${name} ${pattern}`);
  }
  const hostile = "a*".repeat(5000);
  assertEquals(isNamed("a".repeat(100), hostile), false);
});
