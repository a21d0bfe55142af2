/**
 * What the page is made of: its own three files, xterm.js, and the modules of
 * noVNC.
 *
 * They come from Deno's cache of npm packages, where the imports of this module
 * put them like any other dependency: no other server is asked, and what was
 * installed once works without a network. Imports as text need no permission
 * and no build. noVNC exports but its main module, which is enough to have the
 * whole package in the cache: the modules that it imports in turn are read from
 * there, for which the folder's read permission is needed.
 *
 * @module
 */

import { createRequire } from "node:module";
import novncMain from "@novnc/novnc" with { type: "text" };
import xtermModule from "@xterm/xterm/lib/xterm.mjs" with { type: "text" };
import xtermStyle from "@xterm/xterm/css/xterm.css" with { type: "text" };
import pageStyle from "./page/page.css" with { type: "text" };
import pageText from "./page/page.html" with { type: "text" };
import pageScript from "./page/page.js" with { type: "text" };

/** A file as it is served. */
export interface WebFile {
  /** Its media type. */
  readonly type: string;
  /** Its content. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The main module within its package. */
const MAIN = "core/rfb.js";

/** The folder of noVNC's package, with a slash at its end. */
export function novncFolder(): string {
  // The cache answers whoever asks; the module's own URL may be no file's.
  const main = createRequire("file:///rhea.js").resolve("@novnc/novnc")
    .replaceAll("\\", "/");
  return main.slice(0, -MAIN.length);
}

/** The relative specifiers of a module's static imports. */
function importsOf(source: string): string[] {
  const statement =
    /^\s*(?:import|export)\b(?:[^"';]*?\bfrom)?\s*["'](\.{1,2}\/[^"']+)["']/gm;
  return [...source.matchAll(statement)].map(([, specifier]) => specifier);
}

/** A module's path within its package, from the importing module's. */
function within(importer: string, specifier: string): string {
  return new URL(specifier, `file:///${importer}`).pathname.slice(1);
}

/** noVNC's modules by their paths in the package. */
async function novncModules(): Promise<ReadonlyMap<string, string>> {
  const folder = novncFolder();
  const modules = new Map([[MAIN, novncMain]]);
  // Grows while it is walked.
  for (const [path, source] of modules) {
    for (const specifier of importsOf(source)) {
      const target = within(path, specifier);
      if (modules.has(target)) continue;
      modules.set(target, await Deno.readTextFile(folder + target));
    }
  }
  return modules;
}

/** All files by the paths under which they are served; there are no others. */
export async function webFiles(): Promise<ReadonlyMap<string, WebFile>> {
  const files = new Map<string, WebFile>();
  const encoder = new TextEncoder();
  const add = (path: string, type: string, text: string): void => {
    files.set(path, {
      type: `${type}; charset=utf-8`,
      body: encoder.encode(text),
    });
  };
  add("/", "text/html", pageText);
  add("/page.js", "text/javascript", pageScript);
  add("/page.css", "text/css", pageStyle);
  add("/xterm.js", "text/javascript", xtermModule);
  add("/xterm.css", "text/css", xtermStyle);
  for (const [path, source] of await novncModules()) {
    add(`/novnc/${path}`, "text/javascript", source);
  }
  return files;
}
