import { assert, assertEquals } from "@std/assert";
import { missing } from "./handlers.ts";
import { MODELS } from "./models.ts";
import { rowOf, ROWS } from "./rows.ts";

Deno.test("every line names a translate function that exists", () => {
  assertEquals(missing(), []);
});

Deno.test("every line names a feature that some model has", () => {
  const features = new Set(MODELS.max.features as ReadonlySet<string>);
  for (const row of ROWS) {
    assert(row.feature === "" || features.has(row.feature), row.key);
  }
});

// Of two lines for one place the one that says more wins. If both say as much
// they name the same fields with the same values: they have the same key.
Deno.test("no two lines overlap", () => {
  const keys = new Set<string>();
  for (const row of ROWS) {
    // Lines for 64-bit mode only are in a table of their own.
    const place = row.only64 ? `${row.key} in 64-bit mode` : row.key;
    assert(!keys.has(place), place);
    keys.add(place);
  }
});

Deno.test("the undefined one-byte opcodes are those of the manual", () => {
  const undefinedOpcodes: string[] = [];
  const prefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67];
  prefixes.push(0x0f, 0xf0, 0xf2, 0xf3);
  for (let opcode = 0; opcode < 256; opcode++) {
    if (prefixes.includes(opcode)) continue;
    let defined = false;
    for (let k = 0; k < 512 && !defined; k++) {
      const row = ROWS[rowOf(opcode, 0, k >> 6 & 3, k >> 3 & 7, k & 7)];
      defined = row.handler !== "ud";
    }
    if (!defined) undefinedOpcodes.push(opcode.toString(16));
  }
  assertEquals(undefinedOpcodes, []);
});

Deno.test("the two-byte opcodes of a Pentium 4 are all there, and some since", () => {
  const gaps: string[] = [];
  for (let opcode = 0; opcode < 256; opcode++) {
    let defined = false;
    for (let k = 0; k < 2048 && !defined; k++) {
      const row = ROWS[
        rowOf(0x100 | opcode, k >> 9, k >> 6 & 3, k >> 3 & 7, k & 7)
      ];
      defined = row.handler !== "ud";
    }
    if (!defined) gaps.push(opcode.toString(16).padStart(2, "0"));
  }
  assertEquals(
    gaps.join(" "),
    "04 0a 0b 0c 0e 0f 24 25 26 27 36 37 38 39 3a 3b 3c 3d 3e 3f " +
      "78 79 7a 7b a6 a7 b9 ff",
  );
});
