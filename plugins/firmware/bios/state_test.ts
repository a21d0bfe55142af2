import { assertEquals, assertThrows } from "@std/assert";
import { StateError, type StateValue } from "../../../core/state/state.ts";
import { freshState, loadBiosState } from "./state.ts";

const REQUEST = {
  frame: 0x1000,
  kind: "read",
  drive: 0x80,
  sector: 0,
  count: 1,
  address: 0x7c00,
  done: false,
  status: 0,
};
const GEOMETRY = { cylinders: 9, heads: 2, sectors: 18 };

Deno.test("bios: what a saved state lists is what the BIOS lists", () => {
  const fresh = freshState() as unknown as Record<string, StateValue>;
  const good = {
    ...fresh,
    requests: [REQUEST, { ...REQUEST, kind: "boot", done: true }],
    waits: [{ frame: 1, until: 5e9 }],
    partitioned: [null, GEOMETRY],
    roms: [{ segment: 0xc800, ax: 0 }],
    changes: [1, 2],
  };
  assertEquals(loadBiosState(good, "bios") as unknown, good);
  const bad: [string, StateValue][] = [
    ["requests", ["x"]],
    ["requests", [null]],
    ["requests", [{ ...REQUEST, kind: "erase" }]],
    ["requests", [{ ...REQUEST, count: 2 ** 32 }]],
    ["requests", [{ ...REQUEST, sector: -1 }]],
    ["requests", [{ ...REQUEST, address: NaN }]],
    ["requests", new Array(9).fill(REQUEST)],
    ["waits", [{ frame: 1, until: NaN }]],
    ["waits", [1]],
    ["partitioned", ["x"]],
    ["roms", [{}]],
    ["changes", ["x"]],
    ["changes", new Array(1000).fill(0)],
    ["emulation", "x"],
    ["emulation", {}],
    ["boot", { ...fresh.boot as object, drives: ["x"] }],
  ];
  for (const [key, value] of bad) {
    assertThrows(
      () => loadBiosState({ ...good, [key]: value }, "bios"),
      StateError,
    );
  }
});
