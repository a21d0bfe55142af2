/**
 * Intel's ACPI compiler as an oracle: takes a table apart and makes it again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";

/** What the compiler makes of a table. */
export interface Disassembly {
  /** The table in source form. */
  readonly source: string;
  /** The source compiled again. */
  readonly again: Uint8Array;
}

async function run(args: string[], cwd: string): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("iasl", {
    args,
    cwd,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return decoder.decode(stdout) + decoder.decode(stderr);
}

/**
 * Disassemble a table and compile it again. Fails where `iasl` has an error, a
 * warning or a remark; undefined where it is not installed.
 */
export async function throughIasl(
  table: Uint8Array,
): Promise<Disassembly | undefined> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/t.aml`, table);
    const apart = await run(["-d", "t.aml"], folder);
    assert(!/error|warning|invalid/i.test(apart), apart);
    const source = await Deno.readTextFile(`${folder}/t.dsl`);
    assert(!/\*\*\*\*|Unknown|Invalid/.test(source), source);
    // Without optimizations: they would shorten names.
    const compiled = await run(["-oa", "-p", "again", "t.dsl"], folder);
    if (/Compilation/.test(compiled)) {
      assert(/ 0 Errors, 0 Warnings, 0 Remarks/.test(compiled), compiled);
    }
    return { source, again: await Deno.readFile(`${folder}/again.aml`) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && !await isInstalled()) {
      console.log("skipped: iasl (acpica-tools) is not installed");
      return undefined;
    }
    throw error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function isInstalled(): Promise<boolean> {
  try {
    return (await new Deno.Command("iasl", { args: ["-v"] }).output()).success;
  } catch {
    return false;
  }
}

/** Assert that two tables are the same, but for who compiled them. */
export function assertSameTable(a: Uint8Array, b: Uint8Array): void {
  const content = (table: Uint8Array): Uint8Array => {
    const out = table.slice();
    out[9] = 0; // checksum
    out.fill(0, 28, 36); // creator
    return out;
  };
  assertEquals(content(a), content(b));
}
