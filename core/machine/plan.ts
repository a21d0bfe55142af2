/**
 * From a machine definition to a plan: every check that can be made before any
 * guest code runs is made here. A plan holds plugins, complete configurations
 * and resolved places; `machine.ts` builds it.
 *
 * @module
 */

import { MACHINE_SCHEMA, type MachineDefinition } from "./definition.ts";
import { type Located, merge, toJson } from "./document.ts";
import { displayProblem } from "./displays.ts";
import { bootOrderProblem, driveProblem } from "./drives.ts";
import { nicProblem } from "./nics.ts";
import { planBackends } from "./plan_backends.ts";
import {
  checkInterrupts,
  checkLines,
  checkSpaces,
  orderDevices,
} from "./plan_checks.ts";
import { PlanContext, type PlanOptions } from "./plan_context.ts";
import { giveEachItsController, PER_CPU } from "./several_cpus.ts";
import { planDevices, planWires } from "./plan_devices.ts";
import { planMemories, planMemoryRegions } from "./plan_regions.ts";
import type { MachinePlan, PlannedDevice } from "./plan_types.ts";
import type { CpuPlugin, DevicePlugin, LoaderPlugin } from "./plugin.ts";

export type { PlanOptions } from "./plan_context.ts";

/** Check a definition; throws a `DefinitionError` for the first mistake. */
export async function planMachine(
  document: Located,
  options: PlanOptions,
): Promise<MachinePlan> {
  const { overlays = [] } = options;
  const context = new PlanContext(overlays.reduce(merge, document), options);
  const checkAll = (): MachineDefinition =>
    context.check(
      MACHINE_SCHEMA,
      toJson(context.document),
      [],
    ) as MachineDefinition;
  context.definition = checkAll();
  if (context.definition.cpu.count > 1) {
    await checkController(context);
    context.document = giveEachItsController(context.document);
    context.definition = checkAll();
  }
  const { cpu, cpuConfig } = await planCpu(context);
  const memories = await planMemories(context);
  context.memorySizes = new Map(memories.map((m) => [m.name, m.size]));
  const regions = planMemoryRegions(context, memories);
  const backends = await planBackends(context);
  const devices = orderDevices(context, await planDevices(context, backends));
  checkShortForms(context, devices);
  checkSpaces(context, context.definition, regions, devices);
  checkInterrupts(context, context.definition, devices);
  const cpuWires = planWires(
    context,
    ["cpu"],
    context.definition.cpu.wires,
    cpu.outputs ?? [],
  );
  checkLines(context, context.definition, devices, cpu, cpuWires);
  const loaders = await planBoot(context);
  return {
    definition: context.definition,
    document: context.document,
    cpu,
    cpuConfig,
    cpuWires,
    memories,
    regions,
    devices,
    backends,
    loaders,
  };
}

/** Several CPUs need a controller of which each can have its own. */
async function checkController(context: PlanContext): Promise<void> {
  const { cpu: { intc }, devices } = context.definition;
  const path = ["cpu", "count"];
  if (intc === undefined) {
    throw context.error(
      path,
      'several CPUs need an interrupt controller each: "intc" is missing',
    );
  }
  // One that is not there is an error in what is checked next.
  if (!Object.hasOwn(devices, intc)) return;
  const plugin = await context.plugin<DevicePlugin>(
    ["device"],
    devices[intc].plugin,
    ["devices", intc, "plugin"],
  );
  if (!plugin.provides?.includes(PER_CPU)) {
    throw context.error(
      path,
      `device "${intc}" (${plugin.name}) serves one CPU only`,
    );
  }
}

async function planCpu(
  context: PlanContext,
): Promise<{ cpu: CpuPlugin; cpuConfig: { model: string } }> {
  const spec = context.definition.cpu;
  const cpu = await context.plugin<CpuPlugin>(
    ["cpu"],
    spec.plugin,
    ["cpu", "plugin"],
  );
  const model = spec.model ?? cpu.models[0];
  context.known(["cpu", "model"], "CPU model", model, cpu.models);
  const config = context.check(
    cpu.config ?? { type: "object" },
    spec.config ?? {},
    ["cpu", "config"],
  ) as Record<string, unknown>;
  const spaces = Object.keys(context.definition.spaces);
  context.known(["cpu", "physical"], "space", spec.physical, spaces);
  if (spec.ports !== undefined) {
    context.known(["cpu", "ports"], "space", spec.ports, spaces);
  }
  return { cpu, cpuConfig: { ...config, model } };
}

/** What the definition says of drives, cards and displays to come. */
function checkShortForms(
  context: PlanContext,
  devices: readonly PlannedDevice[],
): void {
  const roles = new Map(devices.map(({ name, plugin }) => {
    const all = Object.entries(plugin.backends ?? {});
    const block = all.filter(([, { type }]) => type === "block");
    return [name, block.map(([role]) => role)];
  }));
  const displays = Object.keys(context.options.plugins.display ?? {});
  const problem = driveProblem(context.definition, roles) ??
    nicProblem(context.definition) ??
    displayProblem(context.definition, displays);
  if (problem !== undefined) throw context.error(problem.path, problem.message);
}

/** What is started; gives back who can load it. */
async function planBoot(context: PlanContext): Promise<LoaderPlugin[]> {
  const { bootsLater = false } = context.options;
  const { boot } = context.definition;
  const problem = boot.order === undefined
    ? undefined
    : bootOrderProblem(boot.order);
  if (problem !== undefined) throw context.error(["boot", "order"], problem);
  const loaders: LoaderPlugin[] = [];
  for (const [i, name] of boot.loaders.entries()) {
    const path = ["boot", "loaders", i];
    loaders.push(await context.plugin<LoaderPlugin>(["loader"], name, path));
  }
  if (boot.kernel !== undefined && !bootsLater) {
    await context.needFile(boot.kernel, ["boot", "kernel"]);
  }
  if (boot.initrd !== undefined && !bootsLater) {
    await context.needFile(boot.initrd, ["boot", "initrd"]);
  }
  for (const [i, module] of (boot.modules ?? []).entries()) {
    if (bootsLater) break;
    await context.needFile(module.file, ["boot", "modules", i, "file"]);
  }
  if (boot.kernel !== undefined && loaders.length === 0) {
    throw context.error(
      ["boot", "kernel"],
      'this machine has no "loaders" for a kernel',
    );
  }
  return loaders;
}
