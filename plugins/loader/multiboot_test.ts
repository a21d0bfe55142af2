import { assertEquals, assertThrows } from "@std/assert";
import type { FirmwareTables } from "../../core/machine/firmware.ts";
import {
  type BootFile,
  type LoaderContext,
  LoadError,
  type RamRange,
} from "../../core/machine/plugin.ts";
import plugin from "./multiboot.ts";

const MIB = 1024 * 1024;
const RAM: RamRange[] = [
  { base: 0, size: 640 * 1024 },
  { base: MIB, size: 15 * MIB },
];
const MAGIC = 0x1badb002;

function header(view: DataView, at: number, flags: number): void {
  view.setUint32(at, MAGIC, true);
  view.setUint32(at + 4, flags, true);
  view.setUint32(at + 8, -(MAGIC + flags), true);
}

interface Segment {
  readonly address: number;
  readonly virtual?: number;
  readonly fileSize: number;
  readonly size: number;
}

/** An ELF file with these segments and the header at the first one's start. */
function elf(segments: Segment[], entry: number, flags = 3): Uint8Array {
  const bytes = new Uint8Array(0x1000 * (segments.length + 1));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x464c457f, true);
  bytes.set([1, 1, 1], 4);
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(24, entry, true);
  view.setUint32(28, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, segments.length, true);
  segments.forEach(({ address, virtual, fileSize, size }, i) => {
    const at = 52 + 32 * i;
    const offset = 0x1000 * (i + 1);
    view.setUint32(at, 1, true);
    view.setUint32(at + 4, offset, true);
    view.setUint32(at + 8, virtual ?? address, true);
    view.setUint32(at + 12, address, true);
    view.setUint32(at + 16, fileSize, true);
    view.setUint32(at + 20, size, true);
    bytes.fill(0x40 + i, offset, offset + fileSize);
  });
  header(view, 0x1000, flags);
  return bytes;
}

function kludge(change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(0x400).fill(0x90);
  const view = new DataView(bytes.buffer);
  header(view, 0x40, 0x10003);
  [0x200040, 0x200000, 0x200300, 0x201000, 0x200060].forEach((value, i) =>
    view.setUint32(0x4c + 4 * i, value, true)
  );
  change(view);
  return bytes;
}

function context(
  kernel: Uint8Array,
  modules: BootFile[] = [],
): LoaderContext & { memory: Uint8Array } {
  const memory = new Uint8Array(16 * MIB).fill(0xee);
  return {
    memory,
    kernel: { path: "/home/me/kernel.elf", bytes: kernel },
    initrd: modules[0],
    modules,
    append: "one two",
    ram: RAM,
    dma: {
      read: (address, into) =>
        into.set(memory.subarray(address, address + into.length)),
      write: (address, bytes) => memory.set(bytes, address),
    },
    log: { guest() {}, warn() {} },
  };
}

function text(memory: Uint8Array, at: number): string {
  return new TextDecoder().decode(
    memory.subarray(at, memory.indexOf(0, at)),
  );
}

const SIMPLE: Segment[] = [
  { address: 0x100000, fileSize: 0x800, size: 0x800 },
  { address: 0x300000, fileSize: 0x100, size: 0x3000 },
];

Deno.test("multiboot: a kernel is known by its header", () => {
  assertEquals(plugin.probe(elf(SIMPLE, 0x100010)), true);
  const bytes = elf(SIMPLE, 0x100010);
  bytes[0x1008] ^= 1;
  assertEquals(plugin.probe(bytes), false, "the checksum is wrong");
  const late = new Uint8Array(0x4000);
  header(new DataView(late.buffer), 0x2000, 0);
  assertEquals(plugin.probe(late), false, "beyond the first 8192 bytes");
  assertEquals(plugin.probe(new Uint8Array(3)), false);
});

Deno.test("multiboot: ELF segments and the machine state", () => {
  const ctx = context(elf(SIMPLE, 0x100010));
  const entry = plugin.load(ctx);
  assertEquals([entry.eip, entry.eax], [0x100010, 0x2badb002]);
  assertEquals([entry.cr0 & 1, entry.eflags & 0x20200], [1, 0]);
  assertEquals(ctx.memory[0x1007ff], 0x40);
  assertEquals(ctx.memory[0x3000ff], 0x41);
  assertEquals(
    ctx.memory.subarray(0x300100, 0x303000).every((byte) => byte === 0),
    true,
  );
  assertEquals(ctx.memory[0x303000], 0xee);
});

Deno.test("multiboot: information, modules and memory map", () => {
  const module = (path: string, size: number, append?: string) => ({
    path,
    bytes: new Uint8Array(size).fill(0x77),
    append,
  });
  const ctx = context(elf(SIMPLE, 0x100010), [
    module("/x/initrd.img", 5000),
    module("b.mod", 3, "with args"),
  ]);
  const { ebx } = plugin.load(ctx);
  const { memory } = ctx;
  const view = new DataView(memory.buffer);
  const u32 = (at: number) => view.getUint32(at, true);
  assertEquals(u32(ebx), 0x24d);
  assertEquals([u32(ebx + 4), u32(ebx + 8)], [639, 15 * 1024]);
  assertEquals(text(memory, u32(ebx + 16)), "kernel.elf one two");
  assertEquals(text(memory, u32(ebx + 64)), "Rhea");
  assertEquals(u32(ebx + 20), 2);
  const mods = u32(ebx + 24);
  assertEquals([u32(mods) % 4096, u32(mods + 4) - u32(mods)], [0, 5000]);
  assertEquals(u32(mods) >= 0x303000, true);
  assertEquals(memory[u32(mods) + 4999], 0x77);
  assertEquals(text(memory, u32(mods + 8)), "initrd.img");
  assertEquals(u32(mods + 16) % 4096, 0);
  assertEquals(text(memory, u32(mods + 24)), "b.mod with args");
  const ranges: string[] = [];
  const end = u32(ebx + 48) + u32(ebx + 44);
  for (let at = u32(ebx + 48); at < end; at += u32(at) + 4) {
    ranges.push(
      `${view.getBigUint64(at + 4, true).toString(16)}+` +
        `${view.getBigUint64(at + 12, true).toString(16)}:${u32(at + 20)}`,
    );
  }
  assertEquals(ranges, [
    "0+9fc00:1",
    "9fc00+400:2",
    "f0000+10000:2",
    "100000+f00000:1",
  ]);
});

Deno.test("multiboot: the BIOS data area says where low memory ends", () => {
  const ctx = context(elf(SIMPLE, 0x100010));
  plugin.load(ctx);
  const view = new DataView(ctx.memory.buffer);
  assertEquals(view.getUint16(0x40e, true), 0x9fc0);
  assertEquals(view.getUint16(0x413, true), 639);
  assertEquals(ctx.memory[0x9fc00], 1);
  const small = context(elf([{
    address: 0x10000,
    fileSize: 0x100,
    size: 0x100,
  }], 0x10000));
  plugin.load({ ...small, ram: [{ base: 0, size: 0x80000 }] });
  assertEquals(small.memory[0x40e], 0xee, "it ends elsewhere");
});

Deno.test("multiboot: a virtual entry means the memory behind it", () => {
  const ctx = context(elf([{
    address: 0x100000,
    virtual: 0xc0100000,
    fileSize: 0x800,
    size: 0x800,
  }], 0xc0100020));
  assertEquals(plugin.load(ctx).eip, 0x100020);
});

Deno.test("multiboot: addresses in the header", () => {
  const ctx = context(kludge());
  assertEquals(plugin.load(ctx).eip, 0x200060);
  assertEquals(ctx.memory[0x2002ff], 0x90);
  assertEquals([ctx.memory[0x200300], ctx.memory[0x200fff]], [0, 0]);
  assertEquals(ctx.memory[0x201000], 0xee);
  const all = context(kludge((view) => {
    view.setUint32(0x54, 0, true);
    view.setUint32(0x58, 0, true);
  }));
  plugin.load(all);
  assertEquals(all.memory[0x2003ff], 0x90);
  assertEquals(all.memory[0x200400], 0xee);
});

Deno.test("multiboot: a kernel low in memory keeps what is its own", () => {
  const ctx = context(elf([{
    address: 0x1000,
    fileSize: 0x1000,
    size: 0x8000,
  }], 0x1010));
  const { ebx } = plugin.load(ctx);
  assertEquals(ebx >= 0x9000, true);
  assertEquals(ctx.memory[0x1fff], 0x40);
});

Deno.test("multiboot: what cannot be loaded", () => {
  const refused = (bytes: Uint8Array, message: string) => {
    assertThrows(() => plugin.load(context(bytes)), LoadError, message);
  };
  const changed = (change: (view: DataView) => void) => {
    const bytes = elf(SIMPLE, 0x100010);
    change(new DataView(bytes.buffer));
    return bytes;
  };
  refused(elf(SIMPLE, 0x100010, 0x0b), "requires unknown features: flags 0xb");
  refused(elf(SIMPLE, 0x100010).slice(0, 0x2010), "it is truncated");
  refused(
    changed((view) => view.setUint8(4, 2)),
    "not an ELF file for the i386",
  );
  refused(changed((view) => view.setUint16(18, 40, true)), "i386");
  refused(changed((view) => view.setUint8(0, 0)), "neither an ELF file");
  refused(
    changed((view) => {
      view.setUint32(52, 2, true);
      view.setUint32(84, 2, true);
    }),
    "nothing to load",
  );
  refused(
    elf([{ address: 0xa0000, fileSize: 16, size: 16 }], 0xa0000),
    "segment at 0xa0000-0xa000f is not in the machine's memory",
  );
  refused(
    elf([SIMPLE[0], { address: 0x100700, fileSize: 16, size: 16 }], 0x100000),
    "overlaps another",
  );
  refused(kludge((v) => v.setUint32(0x50, 0x300000, true)), "load address");
  refused(kludge((v) => v.setUint32(0x54, 0x210000, true)), "truncated");
  refused(kludge((v) => v.setUint32(0x58, 0x200100, true)), "bss");
});

Deno.test("multiboot: no damaged file does anything but be refused", () => {
  let x = 4711;
  const random = (limit: number) => {
    x = Math.imul(x, 1103515245) + 12345;
    return (x >>> 8) % limit;
  };
  const ctx = context(elf(SIMPLE, 0x100010));
  for (let i = 0; i < 2000; i++) {
    const bytes = i % 2 === 0 ? elf(SIMPLE, 0x100010) : kludge();
    const limit = i % 2 === 0 ? 0x80 : 0x60;
    for (let n = 0; n < 3; n++) bytes[random(limit)] = random(256);
    try {
      plugin.load({ ...ctx, kernel: { path: "k", bytes } });
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
    }
  }
});

Deno.test("multiboot: tables at the end of memory are not the kernel's", () => {
  const tables: FirmwareTables = {
    placeTables: ({ end }) => ({ base: end - 0x1000, addresses: new Map() }),
  };
  const ctx = { ...context(elf(SIMPLE, 0x100010)), tables };
  const { ebx } = plugin.load(ctx);
  const view = new DataView(ctx.memory.buffer);
  const last = view.getUint32(ebx + 48, true) + view.getUint32(ebx + 44, true) -
    24;
  assertEquals(
    [4, 12, 20].map((offset) => view.getUint32(last + offset, true)),
    [16 * MIB - 0x1000, 0x1000, 2],
  );
  assertEquals(view.getUint32(ebx + 8, true), 15 * 1024 - 4);
});
