import { assertEquals, assertThrows } from "@std/assert";
import { RegisterMap } from "./register_map.ts";

Deno.test("each field mode does what it says", () => {
  const writes: [number, number][] = [];
  const map = new RegisterMap({
    CTRL: {
      offset: 0,
      reset: 0x80000001,
      fields: {
        EN: { mask: 0x1, mode: "rw" },
        RO: { mask: 0x2, mode: "ro" },
        WO: { mask: 0x4, mode: "wo" },
        ID: { mask: 0xff000000, mode: "const" },
      },
      mode: "ro",
      onWrite: (value, written) => writes.push([value, written]),
    },
    STAT: { offset: 4, reset: 0xf0, mode: "w1c" },
    SET: { offset: 8, mode: "w1s" },
    CLR: { offset: 12, reset: 7, mode: "rc" },
  });
  assertEquals(map.read(0, 4), 0x80000001);
  map.write(0, 4, 0xffffffff);
  assertEquals(map.values.CTRL, 0x80000005);
  assertEquals(map.read(0, 4), 0x80000001);
  assertEquals(writes, [[0x80000005, 0xffffffff]]);
  map.write(4, 4, 0x30);
  assertEquals(map.read(4, 4), 0xc0);
  map.write(8, 4, 1);
  map.write(8, 4, 4);
  assertEquals(map.read(8, 4), 5);
  assertEquals(map.read(12, 4), 7);
  assertEquals(map.read(12, 4), 0);
  map.write(12, 4, 7);
  assertEquals(map.read(12, 4), 0);
  map.reset();
  assertEquals(map.values, { CTRL: 0x80000001, STAT: 0xf0, SET: 0, CLR: 7 });
});

Deno.test("registers of mixed widths are gathered and spread", () => {
  const map = new RegisterMap({
    A: { offset: 0, width: 1 },
    B: { offset: 1, width: 1, reset: 0x22 },
    C: { offset: 2, width: 2, reset: 0x4433 },
  });
  assertEquals(map.widths, [1, 2]);
  map.write(0, 2, 0x5566);
  assertEquals(map.values, { A: 0x66, B: 0x55, C: 0x4433 });
  assertEquals(map.read(0, 4), 0x44335566);
  map.write(2, 1, 0x99);
  assertEquals(map.values.C, 0x4499);
  assertEquals(map.read(3, 1), 0x44);
  assertEquals(map.read(8, 4), 0);
  map.write(8, 4, 1);
});

Deno.test("a map that contradicts itself is refused", () => {
  assertThrows(
    () => new RegisterMap({ A: { offset: 0 }, B: { offset: 2, width: 2 } }),
    TypeError,
    "overlap",
  );
  assertThrows(
    () => new RegisterMap({ A: { offset: 1, width: 2 } }),
    TypeError,
    "aligned",
  );
  const field = { mask: 1, mode: "rw" } as const;
  assertThrows(
    () => new RegisterMap({ A: { offset: 0, fields: { X: field, Y: field } } }),
    TypeError,
    "overlaps",
  );
});
