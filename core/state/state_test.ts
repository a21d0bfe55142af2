import { assert, assertEquals, assertThrows } from "@std/assert";
import { loadState, saveState, StateError } from "./state.ts";

const fresh = () => ({
  count: 0,
  on: false,
  name: "",
  big: 0n,
  ram: new Uint8Array(4),
  channels: [{ mode: 0 }, { mode: 0 }],
  queue: [] as number[],
  last: null as number | null,
});

Deno.test("save, load, save is the identity, and copies", () => {
  const state = fresh();
  state.count = Infinity;
  state.ram[2] = 7;
  state.channels[1].mode = 3;
  state.queue.push(1, 2);
  state.last = 9;
  state.big = 1n << 63n;
  const record = saveState(state);
  state.ram[2] = 0;
  state.channels[1].mode = 0;
  const loaded = loadState(fresh(), record, "x");
  assertEquals(saveState(loaded), record);
  assert(loaded.ram !== record.ram);
  assertEquals(loaded.channels[1].mode, 3);
});

Deno.test("a record that does not fit is refused, with the field", () => {
  const bad = (change: (record: Record<string, unknown>) => void): string => {
    const record = saveState(fresh()) as Record<string, unknown>;
    change(record);
    const error = assertThrows(
      () => loadState(fresh(), record as never, "pit"),
      StateError,
    );
    return error.path;
  };
  assertEquals(bad((r) => delete r.count), "pit.count");
  assertEquals(bad((r) => r.extra = 1), "pit.extra");
  assertEquals(bad((r) => r.on = 1), "pit.on");
  assertEquals(bad((r) => r.ram = new Uint8Array(3)), "pit.ram");
  assertEquals(bad((r) => r.channels = [{ mode: 0 }]), "pit.channels");
  assertEquals(
    bad((r) => r.channels = [{ mode: 0 }, { mode: "a" }]),
    "pit.channels[1].mode",
  );
  assertEquals(bad((r) => r.queue = 1), "pit.queue");
});

Deno.test("a state with something that is no value cannot be saved", () => {
  assertThrows(() => saveState({ f: () => {} }), TypeError, "f");
  assertThrows(() => saveState({ a: { m: new Map() } }), TypeError, "a.m");
});
