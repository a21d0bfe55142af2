/**
 * What planning a machine needs everywhere: the definition, its checks against
 * schemas, plugins and files, and errors that say where a mistake was written.
 *
 * @module
 */

import type { MachineDefinition } from "./definition.ts";
import { at, DefinitionError, type Located } from "./document.ts";
import { suggest } from "./nearest.ts";
import { resolve } from "./path.ts";
import type { PlanReport } from "./plan_checks.ts";
import type { Plugin } from "./plugin.ts";
import {
  loadPlugin,
  PluginError,
  type PluginTable,
  type PluginType,
} from "./registry.ts";
import { checkSchema, type DocumentPath } from "./schema.ts";
import type { ConfigSchema } from "./schema_types.ts";

/** How to plan. */
export interface PlanOptions {
  /** The plugins that have names. */
  readonly plugins: PluginTable;
  /** Documents laid over the definition, in this order. */
  readonly overlays?: readonly Located[];
  /** Do not look whether files exist; for `schema` and `resolve`. */
  readonly skipFiles?: boolean;
  /** What is loaded at a reset need not be there yet. */
  readonly bootsLater?: boolean;
}

/** One machine's planning. */
export class PlanContext implements PlanReport {
  /** The definition as it was written, with what devices take from elsewhere. */
  document: Located;
  /** How to plan. */
  readonly options: PlanOptions;
  /** Where values of devices' configurations were written, if elsewhere. */
  readonly origins: Map<string, ReadonlyMap<string, DocumentPath>> = new Map();
  /** The definition, complete: set before anything reads it. */
  definition!: MachineDefinition;
  /** Sizes of memories by name, once they are planned. */
  memorySizes: ReadonlyMap<string, number> = new Map();

  /** For a definition with all that is laid over it. */
  constructor(document: Located, options: PlanOptions) {
    this.document = document;
    this.options = options;
  }

  /** See `PlanReport`. */
  error(path: DocumentPath, message: string): DefinitionError {
    const { place } = at(this.document, path);
    const [top, device, config, key, ...rest] = path;
    const origin = top === "devices" && config === "config"
      ? this.origins.get(String(device))?.get(String(key))
      : undefined;
    const written = origin === undefined ? path : [...origin, ...rest];
    return new DefinitionError(place, written, message);
  }

  /** A part by its schema, complete; throws the first mistake in the file. */
  check(schema: ConfigSchema, value: unknown, path: DocumentPath): unknown {
    const { value: result, issues } = checkSchema(schema, value, path, {
      resolvePath: (relative, where) =>
        resolve(at(this.document, where).place.directory, relative),
      // Values from the command line have no line.
      memories: this.memorySizes,
      isUnquoted: (where) => at(this.document, where).place.line === undefined,
    });
    if (issues.length > 0) {
      // The first in the file, so that mistakes are met in reading order.
      const [first] = issues.map((issue) => ({
        issue,
        line: at(this.document, issue.path).place.line ?? 0,
      })).sort((a, b) => a.line - b.line);
      throw this.error(first.issue.path, first.issue.message);
    }
    return result;
  }

  /** See `PlanReport`. */
  known(
    path: DocumentPath,
    what: string,
    name: string,
    names: Iterable<string>,
  ): void {
    const known = [...names];
    if (known.includes(name)) return;
    throw this.error(
      path,
      `there is no ${what} "${name}"${suggest(name, known)}`,
    );
  }

  /** A plugin by the name at a path. */
  async plugin<P extends Plugin>(
    types: readonly PluginType[],
    name: string,
    path: DocumentPath,
  ): Promise<P> {
    const { place } = at(this.document, path);
    try {
      const table = this.options.plugins;
      return await loadPlugin(types, name, place, table) as P;
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      throw this.error(path, error.message);
    }
  }

  /** The size in bytes of a file that must be there; 0 when nobody looks. */
  async needFile(file: string, path: DocumentPath): Promise<number> {
    if (this.options.skipFiles) return 0;
    let info: Deno.FileInfo;
    try {
      info = await Deno.stat(file);
    } catch (error) {
      const reason = error instanceof Deno.errors.NotFound
        ? "there is no such file"
        : error instanceof Error
        ? error.message
        : String(error);
      throw this.error(path, `cannot read "${file}": ${reason}`);
    }
    if (info.isDirectory) {
      throw this.error(path, `"${file}" is a directory, expected a file`);
    }
    return info.size;
  }

  /** Whether a file is there. */
  async isThere(file: string): Promise<boolean> {
    try {
      await Deno.stat(file);
      return true;
    } catch (error) {
      // What else is wrong is said where the file is needed.
      return !(error instanceof Deno.errors.NotFound);
    }
  }
}
