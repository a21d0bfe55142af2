/**
 * What a kernel is started with: its files and what the machine tells it.
 *
 * @module
 */

import type { TextScreen, TextSource } from "../backend/display.ts";
import type { EntryState } from "./cpu.ts";
import { dmaPort } from "./bus_masters.ts";
import type { FirmwareTables } from "./firmware.ts";
import { createLogger } from "./logger.ts";
import type { Parts } from "./parts.ts";
import type { MachinePlan } from "./plan_types.ts";
import { ramRanges, surveyDevice } from "./survey.ts";

/** Bytes of the seed that a kernel gets. */
const SEED_BYTES = 32;

/** The first device that fulfils a contract. */
export function providerOf<T>(
  { plan, devices }: Parts,
  contract: string,
): T | undefined {
  const found = plan.devices.find(({ plugin }) =>
    plugin.provides?.includes(contract)
  );
  return found && devices.get(found.name) as T;
}

/** The first text screen among the devices that shows text. */
function textScreen({ plan, devices }: Parts): TextScreen | undefined {
  for (const { name, plugin } of plan.devices) {
    if (!plugin.provides?.includes("text-source")) continue;
    const screen = (devices.get(name) as unknown as TextSource).text();
    if (screen !== undefined) return screen;
  }
  return undefined;
}

/** Put the kernel into memory; gives back how the CPU starts, undefined without one. */
export function loadKernel(parts: Parts): EntryState | undefined {
  const { boot, plan, spaces, cpu } = parts;
  if (boot === undefined) return undefined;
  return boot.loader.load({
    kernel: boot.kernel,
    initrd: boot.initrd,
    modules: boot.modules,
    append: plan.definition.boot.append ?? "",
    has64Bit: plan.cpu.models64?.includes(
      plan.definition.cpu.model ?? plan.cpu.models[0],
    ),
    parameters: linuxParameters(plan),
    ram: ramRanges(plan),
    screen: textScreen(parts),
    tables: providerOf<FirmwareTables>(parts, "firmware-tables"),
    seed: randomSeed(plan),
    dma: dmaPort(spaces.get(plan.definition.cpu.physical)!, () => cpu),
    log: createLogger(boot.loader.name, parts.log.write),
  });
}

/** What the machine adds to Linux's command line, and what its devices do. */
function linuxParameters({ definition, devices }: MachinePlan): string[] {
  const own = devices.map((device) =>
    device.plugin.kernelParameter?.(surveyDevice(device))
  );
  return [
    ...definition.boot.parameters,
    ...own.filter((parameter) => parameter !== undefined),
  ];
}

/** The seed of a guest: with `icount` two runs are the same. */
function randomSeed({ definition }: MachinePlan): Uint8Array {
  if (definition.boot.seed !== undefined) {
    return Uint8Array.fromHex(definition.boot.seed);
  }
  const seed = new Uint8Array(SEED_BYTES);
  return definition.time.mode === "icount"
    ? seed
    : crypto.getRandomValues(seed);
}
