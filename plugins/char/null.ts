/**
 * The `null` char backend: takes everything, gives nothing.
 *
 * @module
 */

import { NULL_CHAR } from "../../core/backend/null_char.ts";
import type { CharPlugin } from "../../core/machine/plugin.ts";

/** The `null` plugin. */
const plugin: CharPlugin<Record<string, never>> = {
  type: "char",
  name: "null",
  version: "1.0.0",
  description: "Takes everything, gives nothing",
  create: () => NULL_CHAR,
};
export default plugin;
