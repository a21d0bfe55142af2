/**
 * The smallest set of Deno permissions that a machine needs.
 *
 * @module
 */

import { at, type Located } from "./document.ts";
import { dirname, isAbsolute, resolve } from "./path.ts";
import type { MachinePlan } from "./plan_types.ts";
import type { PermissionNeeds } from "./plugin.ts";

const KINDS = ["read", "write", "net", "env", "run", "ffi", "sys"] as const;

/** What a machine needs, and what else there is, by kind, sorted. */
export async function machinePermissions(
  plan: MachinePlan,
  more: PermissionNeeds = {},
): Promise<Readonly<Record<typeof KINDS[number], readonly string[]>>> {
  const needs = Object.fromEntries(
    KINDS.map((kind) => [kind, new Set<string>()]),
  ) as Record<typeof KINDS[number], Set<string>>;
  const add = (more: PermissionNeeds): void => {
    for (const kind of KINDS) {
      for (const item of more[kind] ?? []) needs[kind].add(item);
    }
  };
  const { definition, document } = plan;
  add(more);
  add({ read: [...filesOf(document)] });
  for (const { file } of plan.memories) {
    if (file !== undefined) add({ read: [file] });
  }
  const { boot } = definition;
  for (const file of [boot.kernel, boot.initrd]) {
    if (file !== undefined) add({ read: [file] });
  }
  add({ read: (boot.modules ?? []).map((module) => module.file) });
  const specifier = (name: string, path: string[]): void => {
    if (/^\.{0,2}\//.test(name) || isAbsolute(name)) {
      const { directory } = at(document, path).place;
      add({ read: [resolve(directory, name)] });
    }
  };
  specifier(definition.cpu.plugin, ["cpu", "plugin"]);
  for (const [name, { plugin }] of Object.entries(definition.devices)) {
    specifier(plugin, ["devices", name, "plugin"]);
  }
  for (const { files } of plan.devices) {
    for (const { path } of files.values()) add({ read: [path] });
  }
  for (const { name, plugin, config, pcap } of plan.backends) {
    specifier(definition.backends[name].plugin, ["backends", name, "plugin"]);
    add(await plugin.permissions?.(config) ?? {});
    if (pcap !== undefined) add({ write: [pcap] });
  }
  return Object.fromEntries(
    KINDS.map((kind) => [kind, [...needs[kind]].sort()]),
  ) as Record<typeof KINDS[number], string[]>;
}

/**
 * A path as Deno's options can name it: they have no way to write a comma, so
 * that it is the folder above, or the one above that.
 */
function nameable(path: string): string {
  return path.includes(",") ? nameable(dirname(path)) : path;
}

/**
 * An option's items. A unix socket whose path has a comma is none that Deno's
 * options can name, and there is no folder of them: it takes the whole network.
 */
function itemsOf(
  kind: typeof KINDS[number],
  needs: readonly string[],
): readonly string[] {
  if (kind === "read" || kind === "write") return needs.map(nameable);
  const isNameable = needs.every((item) => !item.includes(","));
  return kind !== "net" || isNameable ? needs : [];
}

/** The same as `--allow-...` options. */
export async function permissionFlags(
  plan: MachinePlan,
  more?: PermissionNeeds,
): Promise<string[]> {
  const needs = await machinePermissions(plan, more);
  return KINDS.filter((kind) => needs[kind].length > 0)
    .map((kind) => {
      const items = new Set(itemsOf(kind, needs[kind]));
      if (items.size === 0) return `--allow-${kind}`;
      return `--allow-${kind}=${[...items].join(",")}`;
    });
}

/** The files that a merged document was read from. */
function filesOf(document: Located): Set<string> {
  const files = new Set<string>();
  const visit = (node: Located): void => {
    // Values from the command line have no line.
    if (node.place.line !== undefined) files.add(resolve(node.place.file));
    if (node.kind === "object") node.entries.forEach(visit);
    else if (node.kind === "array") node.items.forEach(visit);
  };
  visit(document);
  return files;
}
