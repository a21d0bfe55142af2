/**
 * Conformance tests for any device plugin: what the contract promises, tried
 * with accesses that no guest would make.
 *
 * ```ts ignore
 * import { deviceConformance } from "./conformance.ts";
 * import type { DevicePlugin } from "./plugin.ts";
 *
 * declare const plugin: DevicePlugin;
 * for (const test of deviceConformance(plugin)) Deno.test(test.name, test.run);
 * ```
 *
 * @module
 */

import type { AccessWidth } from "../bus/handler.ts";
import { StateError, type StateRecord } from "../state/state.ts";
import type { StateValue } from "../state/state.ts";
import type { DevicePlugin } from "./plugin.ts";
import { COMMON_EVENTS } from "./device_events.ts";
import { type BenchOptions, DeviceBench } from "./testing.ts";

/** What a device needs to be tested, and where it may differ. */
export interface ConformanceOptions {
  /** How to make it. Called for each device: backends are not shared. */
  readonly bench?: () => BenchOptions;
  /**
   * Top-level state fields that a reset keeps, each with the reason, as "the
   * battery keeps it".
   */
  readonly keeps?: Readonly<Record<string, string>>;
}

/** One test. */
export interface ConformanceTest {
  /** Its name: the plugin's and what is promised. */
  readonly name: string;
  /** Rejects when the device breaks the promise. */
  readonly run: () => Promise<void>;
}

/** A device breaks the contract. */
export class ConformanceError extends Error {
  /** The name of the error's class. */
  override readonly name = "ConformanceError";
}

const WIDTHS: readonly AccessWidth[] = [1, 2, 4];
/** Values that find the edges of registers. */
const VALUES: readonly number[] = [0, 0xffffffff, 0x5a5aa5a5, 1, 0x80808080];
/** Offsets tried one by one; of a larger region, so many at random. */
const ALL_OFFSETS = 4096;
/** Random steps of one run, and runs of one test. */
const STEPS = 400;
const SEEDS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8];
/** The most that a step lets pass: 40 ms. */
const MAX_ADVANCE = 40_000_000;
/** An access that takes so many milliseconds of the host hangs the guest. */
const HANG_MS = 1000;

/** A small generator of numbers that are the same in each run (xorshift32). */
class Random {
  #x: number;

  constructor(seed: number) {
    this.#x = Math.imul(seed, 0x9e3779b9) | 1;
  }

  /** A number from 0 to `limit` - 1. */
  below(limit: number): number {
    let x = this.#x;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#x = x;
    return (x >>> 0) % limit;
  }
}

/** One thing that can happen to a device; gives back what it answers. */
type Step = (bench: DeviceBench) => number;

function randomStep(random: Random, plugin: DevicePlugin): Step {
  return (bench) => {
    // What a guest keeps in memory is no state of the device.
    const regions = Object.entries(bench.regions).filter(([, { kind }]) =>
      kind === undefined || kind === "io"
    );
    const inputs = plugin.inputs ?? [];
    const kind = random.below(10);
    if (kind === 0) {
      bench.advance(random.below(MAX_ADVANCE));
      return 0;
    }
    if (kind === 1 && inputs.length > 0) {
      const input = inputs[random.below(inputs.length)];
      bench.drive(input, random.below(2) === 1);
      return 0;
    }
    if (regions.length === 0) return 0;
    const [name, { size }] = regions[random.below(regions.length)];
    const offset = random.below(size);
    const width = WIDTHS[random.below(WIDTHS.length)];
    if (kind < 6) return bench.read(name, offset, width);
    const value = random.below(2) === 0
      ? random.below(0x100)
      : random.below(0x100000000);
    bench.write(name, offset, value, width);
    return 0;
  };
}

/** Where two records differ, as text; undefined when they do not. */
function difference(
  a: StateValue,
  b: StateValue,
  path = "",
): string | undefined {
  if (Object.is(a, b)) return undefined;
  if (
    typeof a === "object" && typeof b === "object" && a !== null &&
    b !== null && Array.isArray(a) === Array.isArray(b) &&
    a instanceof Uint8Array === b instanceof Uint8Array
  ) {
    const left = a as Record<string, StateValue>;
    const right = b as Record<string, StateValue>;
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const found = difference(
        left[key],
        right[key],
        path === "" ? key : `${path}.${key}`,
      );
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return `${path || "state"} is ${String(a)} and ${String(b)}`;
}

function outputs(plugin: DevicePlugin, bench: DeviceBench): string {
  return (plugin.outputs ?? []).filter((name) => bench.level(name)).join(" ");
}

/** The conformance tests for a device plugin. */
export function deviceConformance(
  plugin: DevicePlugin,
  options: ConformanceOptions = {},
): ConformanceTest[] {
  const make = (): Promise<DeviceBench> =>
    DeviceBench.create(plugin, options.bench?.());
  const fail = (message: string): never => {
    throw new ConformanceError(`${plugin.name}: ${message}`);
  };

  /** A device to which things have happened, and its inputs' levels. */
  const worn = async (
    seed: number,
    hears = false,
  ): Promise<DeviceBench> => {
    const bench = await make();
    bench.hears = hears;
    bench.device.reset();
    const step = randomStep(new Random(seed), plugin);
    for (let i = 0; i < STEPS; i++) step(bench);
    for (const input of plugin.inputs ?? []) bench.drive(input, false);
    return bench;
  };
  /** A new device at the same virtual time. */
  const sibling = async (of: DeviceBench): Promise<DeviceBench> => {
    const bench = await make();
    bench.advance(of.clock.now());
    bench.device.reset();
    return bench;
  };

  const tests: Record<string, () => Promise<void>> = {
    async "any access of any width neither throws nor hangs"() {
      const bench = await make();
      bench.device.reset();
      const random = new Random(1);
      for (const [name, { size }] of Object.entries(bench.regions)) {
        const count = Math.min(size, ALL_OFFSETS);
        for (let i = 0; i < count; i++) {
          const offset = size > ALL_OFFSETS ? random.below(size) : i;
          for (const width of WIDTHS) {
            for (const value of VALUES) {
              const start = performance.now();
              const read = bench.read(name, offset, width);
              bench.write(name, offset, value, width);
              const took = performance.now() - start;
              if (!(read >= 0 && read < 2 ** (8 * width))) {
                fail(`${name}+${offset} reads as ${read}`);
              }
              if (took > HANG_MS) {
                fail(`${name}+${offset} takes ${Math.round(took)} ms`);
              }
            }
          }
        }
      }
      bench.advance(MAX_ADVANCE);
    },

    async "random use neither throws nor hangs"() {
      for (const seed of SEEDS) await worn(seed);
    },

    async "save, load, save is the identity"() {
      for (const seed of SEEDS) {
        const first = await worn(seed);
        const saved = first.save();
        const again = difference(saved, first.save());
        if (again !== undefined) fail(`saving changes the state: ${again}`);
        const second = await sibling(first);
        second.device.load(saved);
        const found = difference(saved, second.save());
        if (found !== undefined) fail(`load loses something: ${found}`);
        const [a, b] = [outputs(plugin, first), outputs(plugin, second)];
        if (a !== b) fail(`load drives "${b}", it was "${a}"`);
      }
    },

    async "a saved state does not change any more"() {
      for (const seed of SEEDS) {
        const bench = await worn(seed);
        const saved = bench.save();
        const copy = structuredClone(saved);
        const step = randomStep(new Random(seed + 100), plugin);
        for (let i = 0; i < STEPS; i++) step(bench);
        const found = difference(copy, saved);
        if (found !== undefined) fail(`save gives away its state: ${found}`);
      }
    },

    async "a loaded device goes on as the saved one"() {
      for (const seed of SEEDS) {
        const first = await worn(seed);
        const second = await sibling(first);
        // Regions of memory are saved with the machine's memory.
        second.backing.set(first.backing);
        second.device.load(first.save());
        const a = randomStep(new Random(seed + 200), plugin);
        const b = randomStep(new Random(seed + 200), plugin);
        for (let i = 0; i < STEPS; i++) {
          const [x, y] = [a(first), b(second)];
          if (x !== y) fail(`step ${i} reads ${x}, after a load ${y}`);
          const [p, q] = [outputs(plugin, first), outputs(plugin, second)];
          if (p !== q) fail(`step ${i} drives "${p}", after a load "${q}"`);
        }
        const found = difference(first.save(), second.save());
        if (found !== undefined) fail(`they part: ${found}`);
      }
    },

    async "its events are those it declares, and to hear them changes nothing"() {
      for (const name of Object.keys(plugin.events ?? {})) {
        if (Object.hasOwn(COMMON_EVENTS, name)) {
          fail(`its event "${name}" has the name of one that all devices have`);
        }
      }
      for (const seed of SEEDS) {
        const deaf = await worn(seed);
        // (The bench refuses events that are not as they are declared.)
        const heard = await worn(seed, true);
        const found = difference(deaf.save(), heard.save());
        if (found !== undefined) {
          fail(`it is another when it is heard: ${found}`);
        }
        if (deaf.events.length > 0) fail("it tells what nobody hears");
      }
    },

    async "reset is complete"() {
      const keeps = new Set(Object.keys(options.keeps ?? {}));
      const visible = (record: StateRecord): StateRecord =>
        Object.fromEntries(
          Object.entries(record).filter(([name]) => !keeps.has(name)),
        );
      for (const seed of SEEDS) {
        const used = await worn(seed);
        used.device.reset();
        const fresh = await sibling(used);
        const found = difference(visible(fresh.save()), visible(used.save()));
        if (found !== undefined) fail(`reset leaves something: ${found}`);
        const [a, b] = [outputs(plugin, fresh), outputs(plugin, used)];
        if (a !== b) fail(`reset leaves "${b}" high rather than "${a}"`);
      }
    },

    async "a record that does not fit is refused"() {
      const bench = await worn(1);
      const saved = bench.save();
      const names = Object.keys(saved);
      const wrong: StateRecord[] = [{ ...saved, "no such field": 0 }];
      if (names.length > 0) {
        const { [names[0]]: _left, ...rest } = saved;
        wrong.push(rest, { ...saved, [names[0]]: "neither" });
      } else {
        // There is nothing that could be missing.
        return;
      }
      for (const record of wrong) {
        let error: unknown;
        try {
          bench.device.load(record);
        } catch (thrown) {
          error = thrown;
        }
        if (!(error instanceof StateError)) fail("a wrong record is loaded");
        const found = difference(saved, bench.save());
        if (found !== undefined) fail(`a refused load changes it: ${found}`);
      }
    },
  };
  return Object.entries(tests).map(([promise, run]) => ({
    name: `${plugin.name}: ${promise}`,
    run,
  }));
}
