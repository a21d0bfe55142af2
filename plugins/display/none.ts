/**
 * The display that nobody sees: programs read it and type to it
 * (`Machine.screen`).
 *
 * @module
 */

import { MemoryDisplay } from "../../core/backend/memory_display.ts";
import type { DisplayPlugin } from "../../core/machine/plugin.ts";

/** The plugin. */
const plugin: DisplayPlugin<Record<never, never>> = {
  type: "display",
  name: "none",
  version: "1.0.0",
  description: "Shown nowhere, for programs (Machine.screen)",
  create: () => new MemoryDisplay(),
};
export default plugin;
