import { assertEquals, assertRejects } from "@std/assert";
import { loadState, saveState, type StateRecord } from "../state/state.ts";
import { ConformanceError, deviceConformance } from "./conformance.ts";
import type { Device, DeviceContext, DevicePlugin } from "./plugin.ts";

/** What is wrong with the device. */
type Fault =
  | "none"
  | "throws"
  | "forgets on load"
  | "gives its state away"
  | "forgets on reset"
  | "takes any record"
  | "does not drive on load"
  | "loses its timer"
  | "tells other values than it declares"
  | "tells what nobody hears"
  | "is another when it is heard";

interface State {
  value: number;
  seen: number[];
  due: number;
}

/** A byte that is stored, a line that shows its lowest bit, and a timer. */
class Subject implements Device {
  #state: State = { value: 0, seen: [0], due: -1 };
  readonly #fresh = (): State => ({ value: 0, seen: [0], due: -1 });
  readonly #timer;
  readonly #irq;
  constructor(readonly fault: Fault, readonly context: DeviceContext) {
    this.#irq = context.output("irq");
    const told = context.event<Record<string, string | number>>("stored");
    this.#timer = context.clock.timer(() => {
      this.#state.due = -1;
      this.#state.value ^= 0x80;
    });
    context.io("registers", {
      widths: [1],
      read: (offset) => offset === 0 ? this.#state.value : 0xff,
      write: (offset, _width, value) => {
        if (fault === "throws" && offset === 3 && value === 0x5a) {
          throw new Error("not implemented");
        }
        if (offset !== 0) return;
        this.#state.value = value;
        this.#state.seen[0] = value;
        this.#irq.set((value & 1) !== 0);
        if (told.isHeard || fault === "tells what nobody hears") {
          told.tell(
            fault === "tells other values than it declares"
              ? { text: "stored" }
              : { value },
          );
          if (fault === "is another when it is heard") this.#state.value = 0;
        }
        if ((value & 2) === 0) return;
        this.#state.due = context.clock.now() + 1000;
        this.#timer.arm(this.#state.due);
      },
    });
  }
  reset(): void {
    this.#timer.cancel();
    this.#irq.lower();
    const { value } = this.#state;
    this.#state = this.#fresh();
    if (this.fault === "forgets on reset") this.#state.value = value;
  }
  save(): StateRecord {
    if (this.fault === "gives its state away") {
      return this.#state as unknown as StateRecord;
    }
    return saveState(this.#state);
  }
  load(record: StateRecord): void {
    this.#state = this.fault === "takes any record"
      ? { ...this.#fresh(), ...record } as State
      : loadState(this.#fresh(), record, "subject");
    if (this.fault === "forgets on load") this.#state.seen = [0];
    if (this.fault !== "does not drive on load") {
      this.#irq.set((this.#state.value & 1) !== 0);
    }
    if (this.fault !== "loses its timer" && this.#state.due >= 0) {
      this.#timer.arm(this.#state.due);
    }
  }
}

function plugin(fault: Fault): DevicePlugin {
  return {
    type: "device",
    name: "subject",
    version: "1",
    regions: { registers: { space: "ports", size: 4 } },
    outputs: ["irq"],
    events: {
      stored: { description: "A byte is stored", data: { value: "number" } },
    },
    create: (_config, context) => new Subject(fault, context),
  };
}

Deno.test("conformance: a sound device passes", async () => {
  for (const test of deviceConformance(plugin("none"))) await test.run();
});

const CAUGHT: readonly [Fault, string][] = [
  ["throws", "any access of any width"],
  ["forgets on load", "save, load, save"],
  ["does not drive on load", "save, load, save"],
  ["gives its state away", "a saved state does not change"],
  ["loses its timer", "a loaded device goes on"],
  ["forgets on reset", "reset is complete"],
  ["takes any record", "a record that does not fit"],
  ["tells other values than it declares", "its events are those"],
  ["tells what nobody hears", "its events are those"],
  ["is another when it is heard", "its events are those"],
];

for (const [fault, promise] of CAUGHT) {
  Deno.test(`conformance: a device that ${fault} is caught`, async () => {
    const test = deviceConformance(plugin(fault)).find(({ name }) =>
      name.includes(promise)
    )!;
    if (fault === "throws") {
      await assertRejects(test.run, Error, "not implemented");
    } else if (fault === "tells other values than it declares") {
      await assertRejects(test.run, Error, '"value" is undefined');
    } else {
      await assertRejects(test.run, ConformanceError);
    }
  });
}

Deno.test("conformance: what a device keeps is named", async () => {
  const tests = deviceConformance(plugin("forgets on reset"), {
    keeps: { value: "this one is battery-backed" },
  });
  const reset = tests.filter(({ name }) => name.includes("reset"));
  assertEquals(reset.length, 1);
  await reset[0].run();
});
