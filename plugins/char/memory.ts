/**
 * The char backend that keeps everything in memory, for programs and tests.
 *
 * @module
 */

import { MemoryChar } from "../../core/backend/memory_char.ts";
import type { CharPlugin } from "../../core/machine/plugin.ts";

/** The plugin. */
const plugin: CharPlugin<Record<never, never>> = {
  type: "char",
  name: "memory",
  version: "1.0.0",
  description: "Kept in memory, for programs (Machine.serial)",
  create: () => new MemoryChar(),
};

export default plugin;
