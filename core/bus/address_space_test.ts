import { assertEquals, assertThrows } from "@std/assert";
import { AddressSpace, RegionError } from "./address_space.ts";
import type { AccessWidth, IoHandler } from "./handler.ts";

function backing(bytes: number): { u8: Uint8Array; view: DataView } {
  const u8 = new Uint8Array(bytes);
  return { u8, view: new DataView(u8.buffer) };
}

/** Registers that keep bytes and record how they are accessed. */
function recorder(size: number, widths?: AccessWidth[]): IoHandler & {
  bytes: Uint8Array;
  log: string[];
} {
  const bytes = new Uint8Array(size);
  const log: string[] = [];
  return {
    bytes,
    log,
    widths,
    read(offset, width) {
      log.push(`r${width}@${offset}`);
      let value = 0;
      for (let i = 0; i < width; i++) value |= bytes[offset + i] << (8 * i);
      return value;
    },
    write(offset, width, value) {
      log.push(`w${width}@${offset}=${value.toString(16)}`);
      for (let i = 0; i < width; i++) bytes[offset + i] = value >>> (8 * i);
    },
  };
}

for (const size of [65536, 2 ** 32]) {
  Deno.test(`io of every width, space of ${size}`, () => {
    const space = new AddressSpace("test", size);
    const device = recorder(16);
    space.add({
      name: "d",
      base: 0x100,
      size: 16,
      kind: "io",
      handler: device,
    });
    space.write(0x104, 4, -1);
    assertEquals(space.read(0x104, 4), 0xffffffff);
    assertEquals(space.read(0x106, 2), 0xffff);
    space.write(0x108, 2, 0x12345);
    assertEquals(space.read(0x108, 2), 0x2345);
    assertEquals(space.read(0x109, 1), 0x23);
    assertEquals(device.log, [
      "w4@4=ffffffff",
      "r4@4",
      "r2@6",
      "w2@8=2345",
      "r2@8",
      "r1@9",
    ]);
  });

  Deno.test(`unassigned accesses are counted, space of ${size}`, () => {
    const space = new AddressSpace("test", size);
    const handler = recorder(2);
    space.add({ name: "d", base: 0x10, size: 2, kind: "io", handler });
    assertEquals(space.read(0x1000, 1), 0xff);
    assertEquals(space.read(0x1000, 2), 0xffff);
    assertEquals(space.read(0x1000, 4), 0xffffffff);
    space.write(0x1000, 4, 0);
    assertEquals(space.unassigned, { reads: 3, writes: 1 });
    // Half in, half out.
    handler.bytes.set([0x12, 0x34]);
    assertEquals(space.read(0x10, 4), 0xffff3412);
    assertEquals(space.read(0x0f, 2), 0x12ff);
    // Beyond the end.
    assertEquals(space.read(size - 1, 4), 0xffffffff);
    space.write(size - 1, 4, 0);
  });
}

Deno.test("a byte-wide device gets bytes, in ascending order", () => {
  const space = new AddressSpace("ports", 65536);
  const handler = recorder(8, [1]);
  space.add({ name: "d", base: 0, size: 8, kind: "io", handler });
  space.write(1, 4, 0xa1b2c3d4);
  assertEquals(handler.log, ["w1@1=d4", "w1@2=c3", "w1@3=b2", "w1@4=a1"]);
  assertEquals(space.read(1, 4), 0xa1b2c3d4);
});

Deno.test("a word-wide device is read and merged", () => {
  const space = new AddressSpace("memory", 2 ** 32);
  const handler = recorder(8, [4]);
  space.add({ name: "d", base: 0, size: 8, kind: "io", handler });
  handler.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(space.read(1, 1), 2);
  assertEquals(space.read(3, 4), 0x07060504);
  space.write(2, 1, 0xaa);
  assertEquals([...handler.bytes], [1, 2, 0xaa, 4, 5, 6, 7, 8]);
  space.write(3, 4, 0xdeadbeef);
  assertEquals([...handler.bytes], [1, 2, 0xaa, 0xef, 0xbe, 0xad, 0xde, 8]);
  space.write(1, 2, 0x1122);
  assertEquals([...handler.bytes.subarray(0, 4)], [1, 0x22, 0x11, 0xef]);
});

Deno.test("misaligned accesses are cut into aligned ones", () => {
  const space = new AddressSpace("memory", 2 ** 32);
  const handler = recorder(8);
  space.add({ name: "d", base: 0, size: 8, kind: "io", handler });
  space.read(1, 4);
  space.read(2, 4);
  assertEquals(handler.log, ["r1@1", "r2@2", "r1@4", "r2@2", "r2@4"]);
});

Deno.test("ram, rom and their edges", () => {
  const memory = backing(0x3000);
  const space = new AddressSpace("memory", 2 ** 32, memory);
  space.add({
    name: "ram",
    base: 0xfffff000,
    size: 0x1000,
    kind: "ram",
    hostOffset: 0x1000,
  });
  space.add({ name: "rom", base: 0, size: 0x1000, kind: "rom", hostOffset: 0 });
  memory.u8[5] = 0x77;
  space.write(5, 1, 1);
  assertEquals(space.read(5, 1), 0x77);
  space.write(0xfffffff1, 4, 0xcafebabe);
  assertEquals(space.read(0xfffffff1, 4), 0xcafebabe);
  assertEquals(space.read(0xfffffffe, 4), 0xffff0000);
  assertEquals(space.lookupPage(0xfffff), {
    kind: "ram",
    hostOffset: 0x1000,
    writable: true,
  });
  assertEquals(space.lookupPage(0).writable, false);
  assertEquals(space.lookupPage(1).kind, "none");
  // Parts of pages are none.
  space.add({
    name: "odd",
    base: 0x4100,
    size: 0x2e00,
    kind: "ram",
    hostOffset: 0,
  });
  assertEquals(space.ramRuns(), [
    { page: 5, pages: 1 },
    { page: 0xfffff, pages: 1 },
  ]);
  const bytes = new Uint8Array(8);
  space.readBytes(0xffc, bytes);
  assertEquals([...bytes], [0, 0, 0, 0, 255, 255, 255, 255]);
  space.writeBytes(0xffffeffe, new Uint8Array([1, 2, 3, 4]));
  assertEquals(space.read(0xfffff000, 2), 0x0403);
});

Deno.test("bytes that nothing answers are skipped, up to what does", () => {
  const memory = backing(4096);
  const space = new AddressSpace("test", 2 ** 32, memory);
  const device = recorder(4);
  const base = 0x8000_0000;
  space.add({ name: "ram", base, size: 4096, kind: "ram", hostOffset: 0 });
  const io = { kind: "io", handler: device } as const;
  space.add({ name: "d", base: base + 0x2000, size: 4, ...io });
  memory.u8.fill(1);
  device.bytes.fill(2);
  const bytes = new Uint8Array(0x3002);
  space.readBytes(base - 1, bytes);
  const expected = new Uint8Array(0x3002).fill(0xff);
  expected.fill(1, 1, 0x1001).fill(2, 0x2001, 0x2005);
  assertEquals(bytes, expected);
  assertEquals(space.unassigned, { reads: 3, writes: 0 });
  space.writeBytes(base - 1, new Uint8Array(0x3002).fill(3));
  assertEquals(memory.u8, new Uint8Array(4096).fill(3));
  assertEquals(device.bytes, new Uint8Array(4).fill(3));
  assertEquals(space.unassigned, { reads: 3, writes: 3 });
  // Beyond all that there is, and beyond the space.
  space.readBytes(2 ** 51, bytes);
  assertEquals(bytes, new Uint8Array(0x3002).fill(0xff));
  space.writeBytes(2 ** 51, bytes);
});

Deno.test("overlaps name both; a higher priority shadows", () => {
  const memory = backing(0x4000);
  const space = new AddressSpace("memory", 2 ** 32, memory);
  const ram = { kind: "ram", hostOffset: 0 } as const;
  space.add({ name: "low", base: 0, size: 0x3000, ...ram });
  const error = assertThrows(
    () => space.add({ name: "other", base: 0x2fff, size: 2, ...ram }),
    RegionError,
    'region "other" (0x2fff-0x3000) overlaps region "low" (0x0-0x2fff)',
  );
  assertEquals(error.regions, ["other", "low"]);
  assertThrows(
    () => space.add({ name: "none", base: 0, size: 0, ...ram }),
    RegionError,
    "is empty",
  );
  assertThrows(
    () => space.add({ name: "far", base: 2 ** 32 - 1, size: 2, ...ram }),
    RegionError,
    "does not fit",
  );
  let changes = 0;
  space.onChange(() => changes++);
  const bar = space.add({
    name: "bar",
    base: 0x1000,
    size: 0x1000,
    kind: "io",
    handler: recorder(0x1000),
    priority: 1,
  });
  assertEquals(space.lookupPage(1).kind, "io");
  assertEquals(space.lookupPage(2).hostOffset, 0x2000);
  const moved = space.move(bar, 0x2000);
  assertEquals(space.lookupPage(1).kind, "ram");
  assertEquals(space.lookupPage(2).kind, "io");
  assertEquals(space.ramRuns(), [{ page: 0, pages: 2 }]);
  space.remove(moved);
  assertEquals(space.lookupPage(2).kind, "ram");
  assertEquals(changes, 3);
  assertEquals(space.generation, 4);
});

Deno.test("an alias sees the same memory and registers", () => {
  const memory = backing(0x2000);
  const space = new AddressSpace("memory", 2 ** 32, memory);
  space.add({ name: "a", base: 0, size: 0x2000, kind: "ram", hostOffset: 0 });
  space.add({
    name: "b",
    base: 0x10000,
    size: 0x1000,
    kind: "ram",
    hostOffset: 0,
    offset: 0x1000,
  });
  space.write(0x10004, 2, 0x55aa);
  assertEquals(space.read(0x1004, 2), 0x55aa);
  const handler = recorder(8);
  space.add({
    name: "c",
    base: 0x20000,
    size: 4,
    kind: "io",
    handler,
    offset: 4,
  });
  space.read(0x20000, 1);
  assertEquals(handler.log, ["r1@4"]);
});

Deno.test("space: a peek reads RAM and ROM, and asks no device", () => {
  const u8 = Uint8Array.from({ length: 64 }, (_, i) => i);
  const space = new AddressSpace("memory", 2 ** 32, {
    u8,
    view: new DataView(u8.buffer),
  });
  let asked = 0;
  const handler = {
    read: () => ++asked,
    write: () => {},
  };
  space.add({ name: "ram", base: 0x10, size: 16, kind: "ram", hostOffset: 0 });
  space.add({ name: "rom", base: 0x20, size: 16, kind: "rom", hostOffset: 32 });
  space.add({ name: "io", base: 0x30, size: 16, kind: "io", handler });
  const into = new Uint8Array(40);
  assertEquals(space.peek(0x18, into), 24);
  assertEquals([...into.subarray(0, 24)], [
    ...u8.subarray(8, 16),
    ...u8.subarray(32, 48),
  ]);
  for (const address of [0, 0x30, 0x100000, 2 ** 40, -1]) {
    assertEquals(space.peek(address, into), 0);
  }
  assertEquals([asked, space.unassigned.reads], [0, 0]);
});

Deno.test("who looks and writes without being seen reaches memory only", () => {
  const memory = backing(0x40);
  const space = new AddressSpace("test", 0x1000, memory);
  const device = recorder(0x10);
  const common = { kind: "ram", size: 0x10 } as const;
  space.add({ name: "a", base: 0, hostOffset: 0, ...common });
  space.add({ name: "b", base: 0x10, hostOffset: 0x20, ...common });
  space.add({
    ...common,
    name: "r",
    base: 0x20,
    hostOffset: 0x30,
    kind: "rom",
  });
  space.add({ name: "d", base: 0x30, size: 0x10, kind: "io", handler: device });
  assertEquals(space.poke(0xe, Uint8Array.of(1, 2, 3, 4)), 4);
  assertEquals([...memory.u8.subarray(0xe, 0x10)], [1, 2]);
  assertEquals([...memory.u8.subarray(0x20, 0x22)], [3, 4]);
  assertEquals(space.poke(0x1f, Uint8Array.of(5, 6)), 1);
  memory.u8[0x3f] = 7;
  const into = new Uint8Array(4);
  assertEquals(space.peek(0x2e, into), 2);
  assertEquals([...into], [0, 7, 0, 0]);
  assertEquals(space.peek(0x500, into), 0);
  assertEquals(space.unassigned.reads, 0);
  assertEquals(device.log, []);
});

Deno.test("accesses to devices are observed as the devices see them", () => {
  const memory = backing(0x20);
  const space = new AddressSpace("test", 0x10000, memory);
  const device = recorder(0x20, [1, 2]);
  const told: unknown[][] = [];
  const handler = device;
  space.add({ name: "ram", base: 0, size: 16, kind: "ram", hostOffset: 0 });
  space.add({ name: "d", base: 0x70, size: 16, kind: "io", handler });
  space.add({
    name: "alias",
    base: 0x90,
    size: 8,
    offset: 4,
    kind: "io",
    handler,
  });
  space.add({
    name: "one",
    base: 0x71,
    size: 1,
    width: 1,
    priority: 1,
    kind: "io",
    handler,
  });
  let changes = 0;
  space.onChange(() => changes++);
  space.observe((...access) => told.push(access));
  space.write(0, 4, 1);
  space.write(0x74, 4, 0x12345678);
  assertEquals(space.read(0x90, 2), 0x5678);
  space.write(0x71, 1, 9);
  // A change of the regions does not end it.
  space.add({ name: "e", base: 0x100, size: 1, kind: "io", handler });
  assertEquals(space.read(0x100, 1), 9);
  const expected = [
    ["d", 0x74, 2, 0x5678, true],
    ["d", 0x76, 2, 0x1234, true],
    ["alias", 0x90, 2, 0x5678, false],
    ["one", 0x71, 1, 9, true],
    ["e", 0x100, 1, 9, false],
  ];
  assertEquals(told, expected);
  space.observe(undefined);
  space.write(0x74, 4, 0);
  assertEquals(told, expected);
  assertEquals(changes, 1);
});
