import { assertEquals } from "@std/assert";
import { AddressSpace } from "./address_space.ts";
import type { IoHandler } from "./handler.ts";
import { MovablePriorities, MovableRegion } from "./movable_region.ts";

/** A device that reads as one value and keeps what is written last. */
function device(value: number): IoHandler & { written: string[] } {
  const written: string[] = [];
  return {
    written,
    read: (offset) => value + offset,
    write: (offset, width, v) => written.push(`${width}@${offset}=${v}`),
  };
}

function memory(): { space: AddressSpace; u8: Uint8Array } {
  const u8 = new Uint8Array(0x10000);
  const view = new DataView(u8.buffer);
  return { space: new AddressSpace("memory", 2 ** 32, { u8, view }), u8 };
}

Deno.test("a movable region is mapped, moved, and nowhere where it does not fit", () => {
  const { space } = memory();
  const region = new MovableRegion(space, {
    name: "bar",
    size: 0x1000,
    kind: "io",
    priority: -1,
  });
  region.answer(device(0x40));
  assertEquals([region.base, space.read(0, 1)], [undefined, 0xff]);
  region.map(0xe0000000);
  assertEquals(space.read(0xe0000002, 1), 0x42);
  region.map(0xfffff000);
  assertEquals([space.read(0xe0000002, 1), space.read(0xfffff001, 1)], [
    0xff,
    0x41,
  ]);
  const { generation } = space;
  region.map(0xfffff000);
  assertEquals(space.generation, generation, "nothing has changed");
  for (const base of [0xfffff004, 2 ** 32, 2 ** 64, -4, NaN]) {
    region.map(0x1000);
    region.map(base);
    assertEquals([region.base, space.read(0x1000, 1)], [undefined, 0xff]);
  }
  region.unmap();
});

Deno.test("RAM shadows a movable region, which shadows a later one", () => {
  const { space, u8 } = memory();
  const priorities = new MovablePriorities();
  const make = (name: string, value: number): MovableRegion => {
    const region = new MovableRegion(space, {
      name,
      size: 0x2000,
      kind: "io",
      priority: priorities.next(false),
    });
    region.answer(device(value));
    return region;
  };
  u8[0] = 0x11;
  const [first, second] = [make("first", 0x22), make("second", 0x33)];
  space.add({
    name: "ram",
    base: 0x1000,
    size: 0x1000,
    kind: "ram",
    hostOffset: 0,
    priority: -3,
  });
  second.map(0x1000);
  assertEquals(space.read(0x1000, 1), 0x11);
  assertEquals(space.read(0x2000, 1), 0x33);
  first.map(0x2000);
  assertEquals(space.read(0x2000, 1), 0x22);
  first.map(0x1000);
  assertEquals([0x1000, 0x2000].map((a) => space.read(a, 1)), [0x11, 0x22]);
});

Deno.test("shadow memory takes writes; reads find what lies beneath", () => {
  const { space, u8 } = memory();
  const below = device(0x50);
  space.add({ name: "rom", base: 0x1000, size: 0x1000, kind: "rom" });
  space.add({
    name: "io",
    base: 0x2000,
    size: 0x10,
    kind: "io",
    handler: below,
  });
  u8[0xffe] = 0x77;
  u8[0xfff] = 0x78;
  const region = new MovableRegion(space, {
    name: "pam",
    size: 0x3000,
    kind: "ram",
    priority: new MovablePriorities().next(true),
  });
  region.back(0x4000);
  region.map(0x1000, "shadow");
  assertEquals(space.read(0x1ffe, 4), 0x51507877);
  assertEquals(space.read(0x2010, 2), 0xffff);
  space.write(0x1ffe, 4, 0x04030201);
  assertEquals([...u8.subarray(0x4ffe, 0x5002)], [1, 2, 3, 4]);
  assertEquals(below.written, []);
  assertEquals(space.lookupPage(1).kind, "io");
  region.map(0x1000, "rom");
  space.write(0x1ffe, 1, 9);
  assertEquals(space.read(0x1ffe, 4), 0x04030201);
  assertEquals(space.lookupPage(1), {
    kind: "rom",
    hostOffset: 0x4000,
    writable: false,
  });
  region.map(0x1000);
  space.write(0x1ffe, 1, 9);
  assertEquals(space.read(0x1ffe, 4), 0x04030209);
  region.unmap();
  assertEquals(space.read(0x1ffe, 4), 0x51507877);
});

Deno.test("a region of one width lets the others through", () => {
  const space = new AddressSpace("ports", 65536);
  const [wide, byte] = [device(0x12345678), device(0x66)];
  space.add({
    name: "cf8",
    base: 0xcf8,
    size: 4,
    kind: "io",
    handler: wide,
    width: 4,
    priority: 1,
  });
  space.add({
    name: "cf9",
    base: 0xcf9,
    size: 1,
    kind: "io",
    handler: byte,
  });
  assertEquals(space.read(0xcf8, 4), 0x12345678);
  assertEquals(space.read(0xcf8, 2), 0x66ff);
  assertEquals(space.read(0xcf9, 1), 0x66);
  space.write(0xcf8, 4, 1);
  space.write(0xcf8, 2, 0x0203);
  space.write(0xcf9, 1, 4);
  assertEquals([wide.written, byte.written], [["4@0=1"], ["1@0=2", "1@0=4"]]);
});

Deno.test("ROM gives its writes to a handler, which answers alone when it is told to", () => {
  const { space, u8 } = memory();
  u8.set([1, 2, 3, 4], 0x2000);
  const region = new MovableRegion(space, {
    name: "flash",
    size: 0x4000,
    kind: "rom",
    priority: 1,
  });
  const chip = device(0x40);
  region.answer(chip);
  region.back(0x2000);
  region.map(0xffffc000, "rom", 0x1000);
  assertEquals(space.lookupPage(0xffffc).kind, "rom");
  assertEquals(space.lookupPage(0xffffd).kind, "none", "it is smaller");
  space.write(0xffffc001, 1, 0x98);
  space.write(0xffffc004, 4, 0x12345678);
  assertEquals(chip.written.splice(0), ["1@1=152", "4@4=305419896"]);
  assertEquals(space.read(0xffffc000, 4), 0x04030201);
  region.map(0xffffc000, "io", 0x1000);
  assertEquals(space.read(0xffffc002, 1), 0x42);
  space.write(0xffffc002, 2, 7);
  assertEquals(chip.written, ["2@2=7"]);
  region.map(0xffffc000, "rom", 0x4000);
  assertEquals(space.read(0xffffc000, 1), 1);
  assertEquals(space.lookupPage(0xfffff).kind, "rom");
});
