/**
 * The x86 CPU plugin: 16-, 32- and 64-bit x86, from a 486 to x86-64-v3.
 *
 * @module
 */

import "../../../core/exec/modules.ts";
import "./modules.ts";
import { isLocalApic } from "../../../core/bus/apic.ts";
import { Engine } from "../../../core/exec/engine.ts";
import { SharedCode } from "../../../core/exec/shared_code.ts";
import type { CpuCore } from "../../../core/machine/cpu.ts";
import type { CpuContext, CpuPlugin } from "../../../core/machine/plugin.ts";
import { X86 } from "./cpu.ts";
import { DEBUG_DATA, DEBUG_FETCH, DEBUG_TRAP } from "./debug.ts";
import { type Model, MODELS } from "./models.ts";
import type { BlockTranslator } from "./options.ts";
import { machineStamps } from "./time_stamp.ts";
import { Translator } from "./translate.ts";

/**
 * The translator of a CPU of this model; `yields`: there are others, to which
 * PAUSE gives the turn; `precise`: see {@linkcode CpuContext.precise}.
 */
export function createTranslator(
  model: Model,
  yields = false,
  precise = false,
): BlockTranslator {
  return new Translator({
    features: model.features,
    debugFetch: DEBUG_FETCH,
    debugData: DEBUG_DATA,
    debugTrap: DEBUG_TRAP,
    yields,
    precise,
  });
}

/** Configuration. */
export interface X86Config {
  /** The model's name. */
  readonly model: string;
  /** Executions that make a block hot; the engine's own choice when absent. */
  readonly threshold?: number;
  /** Guest instructions in a block at most; the engine's own choice when absent. */
  readonly maxInsns?: number;
}

const pool = new Int32Array(256);
let used = pool.length;

/** 32 bits from the host's generator, none twice. */
function hostRandom(): number {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  return pool[used++];
}

function create(config: X86Config, context: CpuContext): CpuCore {
  if (!Object.hasOwn(MODELS, config.model)) {
    throw new Error(
      `there is no x86 model "${config.model}", expected one of ${
        Object.keys(MODELS).join(", ")
      }`,
    );
  }
  const model = MODELS[config.model];
  const { clock, interrupts, memory } = context;
  const ferr = context.output("ferr");
  const apic = interrupts !== undefined && isLocalApic(interrupts) &&
      model.features.has("apic")
    ? interrupts
    : undefined;
  const several = context.count > 1;
  if (several && apic === undefined) {
    throw new Error(
      `the model "${config.model}" has no local APIC, as several CPUs need`,
    );
  }
  const cpu = new X86({
    model,
    ports: context.ports,
    acknowledge: interrupts && ((): number => interrupts.acknowledge()),
    apic,
    count: context.count,
    // One tick a nanosecond: the time stamp counter of a 1 GHz CPU. No CPU sees
    // a count that another has seen before.
    timestamp: () => clock.now(),
    stamps: machineStamps(memory, context.index),
    random: context.icount ? undefined : hostRandom,
    ferr: (level) => ferr.set(level),
    translator: () => createTranslator(model, several, context.precise),
  });
  if (apic !== undefined) {
    apic.onStartup = (page): void => cpu.startup(page);
    apic.hasDeadline = model.features.has("tsc_deadline_timer");
  }
  return new Engine(cpu, {
    memory,
    space: context.physical,
    cpu: context.index,
    shared: several
      ? context.shared("code", () => new SharedCode())
      : undefined,
    accel: context.accel,
    exact: context.icount,
    precise: context.precise,
    threshold: config.threshold,
    maxInsns: config.maxInsns,
  });
}

/** The plugin. */
const plugin: CpuPlugin<X86Config> = {
  type: "cpu",
  name: "x86",
  version: "1.0.0",
  description: "x86: 486 to Pentium 4, and x86-64 up to x86-64-v3",
  config: {
    type: "object",
    properties: {
      threshold: {
        type: "integer",
        minimum: 1,
        description: "executions that make a block hot",
      },
      maxInsns: {
        type: "integer",
        minimum: 1,
        maximum: 1000,
        description: "guest instructions in a block at most",
      },
    },
  },
  models: Object.keys(MODELS),
  models64: Object.keys(MODELS).filter((name) =>
    MODELS[name].features.has("lm")
  ),
  inputs: ["a20", "ignne"],
  outputs: ["ferr"],
  disassembler: async () => (await import("./listing.ts")).LISTING,
  create,
};

export default plugin;
