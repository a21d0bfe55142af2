/**
 * The layering: mod.ts -> machines -> plugins -> core. Imports only go down,
 * plugins know only core and themselves, and there are no cycles.
 */

import { assertEquals } from "@std/assert";
import { type Import, importsOf, sources } from "./imports.ts";

const FOLDERS = ["core", "plugins", "machines"];

async function allImports(): Promise<Import[]> {
  const all: Import[] = await importsOf("mod.ts");
  for (const folder of FOLDERS) {
    for await (const path of sources(folder)) {
      all.push(...await importsOf(path));
    }
  }
  return all;
}

/** A plugin's own folder: `plugins/cpu/x86`, or `plugins/char` of modules. */
function pluginFolder(path: string): string {
  return path.split("/").slice(0, -1).slice(0, 3).join("/");
}

/** Whether a plugin's module stands in the folder of another, or within it. */
function isOwn(from: string, to: string): boolean {
  return `${pluginFolder(to)}/`.startsWith(`${pluginFolder(from)}/`);
}

function isAllowed({ from, to }: Import): boolean {
  const [layer] = from.split("/");
  const [target] = to.split("/");
  switch (layer) {
    case "core":
      return target === "core";
    case "plugins":
      return target === "core" || isOwn(from, to);
    case "machines":
      return target !== "mod.ts";
    default:
      return true;
  }
}

Deno.test("imports only go down", async () => {
  const upward = (await allImports()).filter((edge) => !isAllowed(edge));
  assertEquals(upward.map(({ from, to }) => `${from} -> ${to}`), []);
});

Deno.test("imports have no cycles", async () => {
  const graph = new Map<string, string[]>();
  for (const { from, to, eager } of await allImports()) {
    if (!eager) continue;
    graph.set(from, [...graph.get(from) ?? [], to]);
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    if (done.has(path)) return;
    const at = trail.indexOf(path);
    if (at >= 0) {
      cycles.push([...trail.slice(at), path].join(" -> "));
      return;
    }
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  assertEquals(cycles, []);
});

Deno.test("the test sees imports of every form", async () => {
  const edges = await allImports();
  const has = (from: string, to: string, eager: boolean): boolean =>
    edges.some((e) => e.from === from && e.to === to && e.eager === eager);
  assertEquals(has("mod.ts", "core/cli/main.ts", true), true);
  assertEquals(
    has("machines/registry.ts", "plugins/char/memory.ts", false),
    true,
  );
  assertEquals(
    has("core/machine/plugin.ts", "core/bus/handler.ts", false),
    true,
  );
});
