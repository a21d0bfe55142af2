/**
 * Backends, and the devices' roles in which they stand.
 *
 * @module
 */

import { checkCaptures, checkTerminal } from "./plan_checks.ts";
import type { PlanContext } from "./plan_context.ts";
import { BACKEND_TYPES, type PlannedBackend } from "./plan_types.ts";
import type { BackendPlugin, BackendSpec } from "./plugin.ts";
import type { DocumentPath } from "./schema.ts";

/** Backends, with complete configurations. */
export async function planBackends(
  context: PlanContext,
): Promise<PlannedBackend[]> {
  const planned: PlannedBackend[] = [];
  for (const [name, spec] of Object.entries(context.definition.backends)) {
    const path = ["backends", name];
    const plugin = await context.plugin<BackendPlugin>(
      BACKEND_TYPES,
      spec.plugin,
      [...path, "plugin"],
    );
    const config = context.check(
      plugin.config ?? { type: "object" },
      spec.config ?? {},
      [...path, "config"],
    );
    if (plugin.check !== undefined && !context.options.skipFiles) {
      const [problem] = await plugin.check(config);
      if (problem !== undefined) {
        throw context.error([...path, "config"], problem);
      }
    }
    planned.push({ name, plugin, config, pcap: spec.pcap });
  }
  checkTerminal(context, planned);
  checkCaptures(context, planned);
  return planned;
}

/** Which backends stand behind a device, by role. */
export function planRoles(
  context: PlanContext,
  device: DocumentPath,
  spec: Readonly<Record<string, string>>,
  roles: Readonly<Record<string, BackendSpec>>,
  backends: readonly PlannedBackend[],
): Map<string, string> {
  for (const [role, name] of Object.entries(spec)) {
    const path = [...device, "backends", role];
    context.known(path, "backend role", role, Object.keys(roles));
    context.known(path, "backend", name, backends.map((b) => b.name));
    const { plugin } = backends.find((b) => b.name === name)!;
    const { type } = roles[role];
    const isInput = type === "input" && plugin.type === "display";
    if (plugin.type !== type && !isInput) {
      throw context.error(
        path,
        `backend "${name}" is a ${plugin.type} backend, expected ` +
          `${type === "input" ? "an" : "a"} ${type} backend`,
      );
    }
  }
  for (const [role, { type, optional }] of Object.entries(roles)) {
    if (spec[role] === undefined && !optional && type !== "char") {
      throw context.error(
        device,
        `the ${type} backend "${role}" is missing in "backends"`,
      );
    }
  }
  return new Map(Object.entries(spec));
}
