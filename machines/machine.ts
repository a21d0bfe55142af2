/**
 * The machine with the shipped plugins in reach.
 *
 * @module
 */

import { Machine as CoreMachine } from "../core/machine/machine.ts";
import type { LoadOptions } from "../core/machine/options.ts";
import type { JsonObject } from "../core/machine/schema_types.ts";
import { PLUGINS } from "./registry.ts";

/** What a program says beside the machine definition. */
export type MachineOptions = Partial<LoadOptions>;

/** A machine. */
export type Machine = CoreMachine;

/** Makes machines. */
export interface MachineFactory {
  /**
   * Read a machine definition (a path, or the definition itself), check it,
   * and build the machine with the plugins that ship with Rhea and those that
   * the definition names by path or URL. It does not run yet: `Machine.run` and
   * `Machine.start` let it. Whoever loads a machine stops it, as `await using`
   * does. Throws a `DefinitionError` for what is wrong in the definition, with
   * its file, line and path, and a `LoadError` for a kernel that cannot be
   * loaded.
   *
   * ```ts ignore
   * await using machine = await Machine.load(
   *   { extends: "machines/pc.json", cpu: { model: "x86-64-v2" } },
   *   { kernel: "tests/fixtures/echo.elf", memory: "64M", smp: 2 },
   * );
   * console.log(await machine.serial(0).expect("# "));
   * ```
   */
  load(
    definition: string | JsonObject,
    options?: MachineOptions,
  ): Promise<Machine>;
  /**
   * Build the machine of a recording that `MachineOptions.record` has made, to
   * run as it ran. Throws a `ReplayError` when it cannot be replayed.
   */
  replay(path: string, options?: MachineOptions): Promise<Machine>;
  /**
   * A machine from a snapshot file alone, as it was when it was saved and not
   * running. The options are laid over the definition that is in the file: they
   * say where serial ports, screens and networks are now, and may change nothing
   * that the guest sees. Throws a `SnapshotError`, and a `DefinitionError` for
   * what is wrong in the options.
   */
  restore(file: string, options?: MachineOptions): Promise<Machine>;
}

/** Makes machines from definitions. */
export const Machine: MachineFactory = {
  load: (definition, options = {}) =>
    CoreMachine.load(definition, { plugins: PLUGINS, ...options }),
  replay: (path, options = {}) =>
    CoreMachine.replay(path, { plugins: PLUGINS, ...options }),
  restore: (file, options = {}) =>
    CoreMachine.restore(file, { plugins: PLUGINS, ...options }),
};
