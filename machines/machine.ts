/**
 * The machine with the shipped plugins in reach.
 *
 * @module
 */

import { Machine as CoreMachine } from "../core/machine/machine.ts";
import type { MachineOptions as CoreOptions } from "../core/machine/options.ts";
import type { JsonObject } from "../core/machine/schema_types.ts";
import { PLUGINS } from "./registry.ts";

/** What a program says beside the machine definition. */
export type MachineOptions = Partial<CoreOptions>;

/**
 * A machine, made from a definition with the plugins that ship with Rhea and
 * those that the definition names by path or URL.
 */
export class Machine extends CoreMachine {
  /**
   * Read a machine definition (a path, or the definition itself), check it,
   * and build the machine. Throws a `DefinitionError` for what is wrong in the
   * definition and a `LoadError` for a kernel that cannot be loaded.
   */
  static override async load(
    definition: string | JsonObject,
    options: MachineOptions = {},
  ): Promise<CoreMachine> {
    return await CoreMachine.load(definition, { plugins: PLUGINS, ...options });
  }
}
