import { assertEquals, assertThrows } from "@std/assert";
import type {
  FirmwareTables,
  TablePlace,
} from "../../core/machine/firmware.ts";
import {
  type BootFile,
  type LoaderContext,
  LoadError,
  type RamRange,
} from "../../core/machine/plugin.ts";
import plugin from "./linux.ts";

const MIB = 1024 * 1024;
const RAM: RamRange[] = [
  { base: 0, size: 640 * 1024 },
  { base: MIB, size: 63 * MIB },
];

/** An image whose setup has one sector after the boot sector. */
function image(change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(1024 + 4096);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = 1;
  view.setUint32(0x1f4, 4096 / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x200, 0x6aeb, true); // the header ends at 26Ch
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  bytes[0x211] = 0x01;
  view.setUint32(0x214, 0x100000, true);
  view.setUint32(0x22c, 0x7fffffff, true);
  view.setUint32(0x230, 0x1000000, true);
  bytes[0x234] = 1;
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x248, 0x100, true);
  view.setUint32(0x24c, 0x200, true);
  view.setUint32(0x258, 0x1000000, true);
  view.setUint32(0x260, 0x100000, true);
  for (let i = 0; i < 4096; i++) bytes[1024 + i] = i * 7;
  bytes[1024 + 0x100] = 0xfd;
  bytes[1024 + 0x101] = 0x37;
  change(view);
  return bytes;
}

function context(
  kernel: Uint8Array,
  options: { initrd?: number; append?: string; ram?: RamRange[] } = {},
): LoaderContext & { memory: Uint8Array } {
  const memory = new Uint8Array(64 * MIB).fill(0xee);
  const file = (path: string, bytes: Uint8Array): BootFile => ({ path, bytes });
  const initrd = options.initrd === undefined
    ? undefined
    : file("initrd.gz", new Uint8Array(options.initrd).fill(0x33));
  return {
    memory,
    kernel: file("vmlinuz", kernel),
    initrd,
    modules: [],
    append: options.append ?? "console=ttyS0",
    ram: options.ram ?? RAM,
    dma: {
      read: (address, into) =>
        into.set(memory.subarray(address, address + into.length)),
      write: (address, bytes) => memory.set(bytes, address),
    },
    log: { guest() {}, warn() {} },
  };
}

Deno.test("linux: a 64-bit kernel on a CPU without the mode is warned of", () => {
  const wide = (version: number) =>
    image((view) => {
      view.setUint16(0x206, version, true);
      view.setUint8(0x236, 1);
    });
  const warnings = (kernel: Uint8Array, has64Bit?: boolean): number => {
    const said: string[] = [];
    const log = { guest() {}, warn: (text: string) => void said.push(text) };
    plugin.load({ ...context(kernel), has64Bit, log });
    return said.length;
  };
  assertEquals(warnings(wide(0x20c), false), 1);
  assertEquals(warnings(wide(0x20c), true), 0);
  assertEquals(warnings(wide(0x20c)), 0, "not known");
  assertEquals(warnings(wide(0x20b), false), 0, "not a flag yet");
  assertEquals(warnings(image(), false), 0);
});

Deno.test("linux: a kernel is known by its header", () => {
  assertEquals(plugin.probe(image()), true);
  assertEquals(plugin.probe(new Uint8Array(0x100)), false);
  assertEquals(plugin.probe(new Uint8Array(0x1000)), false);
});

Deno.test("linux: code, zero page, command line and registers", () => {
  const ctx = context(image());
  const entry = plugin.load(ctx);
  const view = new DataView(ctx.memory.buffer);
  assertEquals(entry.eip, 0x100000);
  assertEquals([entry["cs.selector"], entry["ds.selector"]], [0x10, 0x18]);
  assertEquals([entry.cr0, entry.eflags], [0x11, 2]);
  assertEquals([entry.ebp, entry.edi, entry.ebx], [0, 0, 0]);
  assertEquals(ctx.memory.slice(0x100000, 0x101000), image().slice(1024));
  const zero = entry.esi;
  assertEquals(view.getUint32(zero + 0x202, true), 0x53726448);
  assertEquals(ctx.memory[zero + 0x210], 0xff);
  assertEquals(ctx.memory[zero + 0x1ef], 0, "the sentinel");
  // Outside of the header everything that is not given is zero.
  assertEquals(ctx.memory[zero + 0x26c], 0);
  const line = view.getUint32(zero + 0x228, true);
  const text = new TextDecoder().decode(ctx.memory.subarray(line, line + 14));
  assertEquals(text, "console=ttyS0\0");
  assertEquals(view.getUint32(zero + 0x1e0, true), 63 * 1024);
});

Deno.test("linux: a seed of random numbers", () => {
  const ctx = context(image());
  const seed = Uint8Array.from({ length: 32 }, (_, i) => i * 5 + 1);
  const { esi } = plugin.load({ ...ctx, seed });
  const view = new DataView(ctx.memory.buffer);
  // The kernel walks a list: link, type, length, data.
  const at = view.getUint32(esi + 0x250, true);
  assertEquals(view.getBigUint64(at, true), 0n);
  assertEquals([8, 12].map((o) => view.getUint32(at + o, true)), [9, 32]);
  assertEquals(ctx.memory.slice(at + 16, at + 48), seed);
  const without = context(image());
  plugin.load(without);
  const plain = new DataView(without.memory.buffer);
  assertEquals(plain.getUint32(esi + 0x250, true), 0);
});

Deno.test("linux: what devices add to the command line", () => {
  for (
    const [append, parameters, expected] of [
      ["quiet", ["a.b=1", "c=2"], "quiet a.b=1 c=2"],
      ["", ["a.b=1"], "a.b=1"],
      ["", [], ""],
    ] as const
  ) {
    const ctx = context(image(), { append });
    const { esi } = plugin.load({ ...ctx, parameters });
    const view = new DataView(ctx.memory.buffer);
    const line = view.getUint32(esi + 0x228, true);
    const text = ctx.memory.subarray(line, ctx.memory.indexOf(0, line));
    assertEquals(new TextDecoder().decode(text), expected);
  }
});

Deno.test("linux: the text screen", () => {
  const none = context(image());
  const { esi } = plugin.load(none);
  const info = (memory: Uint8Array): number[] => [
    ...memory.slice(esi, esi + 2),
    ...memory.slice(esi + 6, esi + 0x12),
  ];
  assertEquals(info(none.memory), new Array(14).fill(0));
  const ctx = {
    ...context(image()),
    screen: {
      columns: 80,
      rows: 25,
      cellHeight: 16,
      characters: new Uint16Array(2000),
      colours: new Uint8Array(2000),
      cursor: { row: 3, column: 5, top: 13, bottom: 14 },
      start: 0,
    },
  };
  plugin.load(ctx);
  // Column, row; mode, columns; EGA's BX; lines, VGA, points.
  assertEquals(info(ctx.memory), [
    ...[5, 3, 3, 80, 0, 0, 3, 0, 0, 0, 25, 1, 16, 0],
  ]);
});

/** The memory map in a zero page: base, size and type of each range. */
function memoryMap(zeroPage: DataView): string[] {
  const map: string[] = [];
  for (let i = 0; i < zeroPage.getUint8(0x1e8); i++) {
    const at = 0x2d0 + 20 * i;
    map.push(
      `${zeroPage.getBigUint64(at, true).toString(16)}+` +
        `${zeroPage.getBigUint64(at + 8, true).toString(16)}:` +
        zeroPage.getUint32(at + 16, true),
    );
  }
  return map;
}

Deno.test("linux: the memory map", () => {
  const ctx = context(image());
  const { esi } = plugin.load(ctx);
  const view = new DataView(ctx.memory.buffer, esi);
  assertEquals(memoryMap(view), [
    "0+9fc00:1",
    "9fc00+400:2",
    "f0000+10000:2",
    "100000+3f00000:1",
  ]);
  assertEquals(view.getBigUint64(0x70, true), 0n, "no ACPI");
});

Deno.test("linux: tables at the end of memory, out of everybody's way", () => {
  const places: TablePlace[] = [];
  const tables: FirmwareTables = {
    placeTables(place) {
      places.push(place);
      const addresses = new Map([["etc/acpi/rsdp", place.entries + 0x20]]);
      return { base: place.end - 0x3000, addresses };
    },
  };
  const ctx = { ...context(image(), { initrd: 5000 }), tables };
  const { esi } = plugin.load(ctx);
  const view = new DataView(ctx.memory.buffer, esi);
  assertEquals(places, [{ end: 64 * MIB, entries: 0xf0000 }]);
  assertEquals(view.getBigUint64(0x70, true), 0xf0020n);
  assertEquals(memoryMap(view).slice(3), [
    "100000+3efd000:1",
    "3ffd000+3000:2",
  ]);
  assertEquals(view.getUint32(0x218, true), 64 * MIB - 0x3000 - 8192);
  assertEquals(view.getUint32(0x1e0, true), 63 * 1024 - 12);
  // A machine too small for them has none.
  const ram = [{ base: 0, size: 640 * 1024 }, { base: MIB, size: MIB - 1 }];
  assertThrows(() => plugin.load({ ...ctx, ram }), LoadError);
  assertEquals(places.length, 1);
});

Deno.test("linux: the descriptor table is where the registers say", () => {
  const ctx = context(image());
  const entry = plugin.load(ctx);
  const view = new DataView(ctx.memory.buffer, entry["gdtr.base"]);
  assertEquals(entry["gdtr.limit"], 31);
  assertEquals(view.getBigUint64(0x10, true), 0x00cf9b000000ffffn);
  assertEquals(view.getBigUint64(0x18, true), 0x00cf93000000ffffn);
});

Deno.test("linux: the initrd is as high as the kernel allows", () => {
  const load = (max: number) => {
    const ctx = context(
      image((view) => view.setUint32(0x22c, max, true)),
      { initrd: 5000 },
    );
    const { esi } = plugin.load(ctx);
    const view = new DataView(ctx.memory.buffer, esi);
    const at = view.getUint32(0x218, true);
    assertEquals(view.getUint32(0x21c, true), 5000);
    assertEquals([ctx.memory[at], ctx.memory[at + 4999]], [0x33, 0x33]);
    return at;
  };
  assertEquals(load(0x7fffffff), 64 * MIB - 8192);
  assertEquals(load(0x2ffffff), 48 * MIB - 8192);
});

Deno.test("linux: an old kernel gets its command line the old way", () => {
  const ctx = context(image((view) => view.setUint16(0x206, 0x0201, true)));
  const { esi } = plugin.load(ctx);
  const view = new DataView(ctx.memory.buffer);
  assertEquals(view.getUint16(esi + 0x20, true), 0xa33f);
  assertEquals(ctx.memory[esi + view.getUint16(esi + 0x22, true)], 0x63);
});

Deno.test("linux: the last paragraph need not be whole", () => {
  const whole = context(image());
  const part = context(image().slice(0, -15));
  const { eip } = plugin.load(whole);
  assertEquals(plugin.load(part).eip, eip);
});

Deno.test("linux: what cannot be loaded", () => {
  const refused = (
    bytes: Uint8Array,
    message: string,
    options = {},
  ) => {
    assertThrows(
      () => plugin.load(context(bytes, options)),
      LoadError,
      message,
    );
  };
  refused(image().slice(0, 3000), "it is truncated: 3000 bytes, expected 5120");
  refused(image().slice(0, -16), "expected 5120");
  refused(image().slice(0, 0x208), "truncated: 520 bytes");
  refused(
    image((v) => v.setUint16(0x206, 0x300, true)),
    "boot protocol is 3.0",
  );
  refused(image((v) => v.setUint8(0x201, 0xff)), "setup header is damaged");
  refused(image((v) => v.setUint32(0x24c, 0x10000, true)), "payload");
  refused(image((v) => v.setUint16(1024 + 0x100, 0, true)), "payload");
  refused(image((v) => v.setUint32(0x1f4, 0, true)), "no protected-mode code");
  // As iPXE's lkrn and MEMDISK are: with code of real mode alone.
  refused(
    image((v) => v.setUint32(0x214, 0, true)),
    "it starts in real mode and calls the BIOS",
  );
  refused(
    image((v) => {
      v.setUint16(0x206, 0x203, true);
      v.setUint32(0x1f4, 0, true);
    }),
    "it starts in real mode and calls the BIOS",
  );
  refused(image(), "the command line has 3000 bytes, the kernel takes 2047", {
    append: "x".repeat(3000),
  });
  refused(image(), "no room for the initrd", { initrd: 60 * MIB });
  refused(image(), "needs memory up to 17 MiB, the machine's ends at 8 MiB", {
    ram: [{ base: 0, size: 8 * MIB }],
  });
  refused(image(), "no memory below 640 KiB", {
    ram: [{ base: MIB, size: 63 * MIB }],
  });
});

Deno.test("linux: no damaged header does anything but be refused", () => {
  let x = 12345;
  const random = (limit: number) => {
    x = Math.imul(x, 1103515245) + 12345;
    return (x >>> 8) % limit;
  };
  const ctx = context(image());
  for (let i = 0; i < 3000; i++) {
    const bytes = image();
    for (let n = 0; n < 3; n++) bytes[0x1f1 + random(0x80)] = random(256);
    try {
      plugin.load({ ...ctx, kernel: { path: "k", bytes } });
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
    }
  }
});
