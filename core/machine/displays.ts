/**
 * Displays: what the machine definition changes beside the display itself when
 * one is asked for, a VGA that suits it, say.
 *
 * @module
 */

import { DISPLAYS_SCHEMA, type MachineDefinition } from "./definition.ts";
import type { Located } from "./document.ts";
import { suggest } from "./nearest.ts";
import { checkedPart, childOf } from "./option_text.ts";

/**
 * The documents to be laid over the definition for a display plugin. Throws a
 * `DefinitionError` when its `displays` are wrong.
 */
export function displayMeaning(document: Located, plugin: string): Located[] {
  checkedPart(document, "displays", DISPLAYS_SCHEMA);
  const change = childOf(document, "displays", plugin);
  return change === undefined ? [] : [change];
}

/** What is wrong in a definition's `displays`: the first mistake, if any. */
export function displayProblem(
  { displays }: MachineDefinition,
  plugins: readonly string[],
): { path: string[]; message: string } | undefined {
  const name = Object.keys(displays).find((name) => !plugins.includes(name));
  if (name === undefined) return undefined;
  return {
    path: ["displays", name],
    message: `there is no display plugin "${name}"${suggest(name, plugins)}`,
  };
}
