/**
 * The command line in this process, and machine files for it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { main } from "../core/cli/main.ts";
import type { PluginTable } from "../core/machine/registry.ts";
import { PLUGINS } from "../machines/registry.ts";
import { withFolder } from "./block/oracle.ts";

/** What a command did. */
export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly messages: readonly string[];
}

/** The command line with a table of plugins. */
export interface CommandLine {
  rhea(...args: string[]): Promise<Outcome>;
  /** A definition with flags laid over it, as `resolve` prints it. */
  // deno-lint-ignore no-explicit-any
  resolved(file: string, ...flags: string[]): Promise<any>;
}

export function commandLine(plugins: PluginTable = PLUGINS): CommandLine {
  const rhea = async (...args: string[]): Promise<Outcome> => {
    let out = "";
    const messages: string[] = [];
    const status = await main(args, plugins, {
      out: (text) => out += text,
      message: (line) => messages.push(line),
      trace: () => {},
    });
    return { status, out, messages };
  };
  return {
    rhea,
    resolved: async (file, ...flags) => {
      const { status, out, messages } = await rhea("resolve", file, ...flags);
      assertEquals([status, ...messages], [0]);
      return JSON.parse(out);
    },
  };
}

/** A machine file `m.json` that extends another, its lines from line 2 on. */
export async function withMachine(
  base: string,
  body: string,
  test: (file: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, "m.json");
    const text = `{ "extends": ${JSON.stringify(base)},\n${body} }`;
    await Deno.writeTextFile(file, text);
    await test(file);
  });
}
