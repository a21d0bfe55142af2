/**
 * What modules import, from their text.
 *
 * @module
 */

import { dirname, fromFileUrl, join, relative, resolve } from "@std/path";

/** The repository. */
export const ROOT: string = fromFileUrl(new URL("..", import.meta.url));

/** An import statement. */
export interface Import {
  /** The module, as a path from the root. */
  readonly from: string;
  /** What it imports, likewise. */
  readonly to: string;
  /** Neither of types only nor dynamic: what counts for cycles. */
  readonly eager: boolean;
}

/** All modules in a folder but tests and benches. */
export async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(join(ROOT, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (/\.ts$/.test(path) && !/_(test|bench)\.ts$/.test(path)) yield path;
  }
}

/** The relative imports of a module, as paths from the root. */
export async function importsOf(path: string): Promise<Import[]> {
  const text = (await Deno.readTextFile(join(ROOT, path)))
    // Examples in comments import too.
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/^\s*\/\/.*$/gm, "");
  const found: Import[] = [];
  const add = (specifier: string, eager: boolean): void => {
    if (!specifier.startsWith(".")) return;
    const to = relative(ROOT, resolve(ROOT, dirname(path), specifier));
    found.push({ from: path, to: to.replaceAll("\\", "/"), eager });
  };
  const statement =
    /^\s*(?:import|export)\s+(type\s+)?(?:([^"';]*?)\sfrom\s+)?["']([^"']+)["']/gm;
  for (const [, type, what = "", specifier] of text.matchAll(statement)) {
    add(specifier, type === undefined && !isTypesOnly(what));
  }
  for (const [, specifier] of text.matchAll(/\bimport\(\s*["']([^"']+)["']/g)) {
    add(specifier, false);
  }
  return found;
}

/** Whether all that is imported by name are types: `{ type A, type B }`. */
function isTypesOnly(what: string): boolean {
  const names = /^\{([^}]*)\}$/.exec(what.trim())?.[1].split(",")
    .map((name) => name.trim()).filter((name) => name !== "");
  return names !== undefined && names.every((name) => name.startsWith("type "));
}
