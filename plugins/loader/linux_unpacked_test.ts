import { assertEquals, assertThrows } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import {
  type LoaderContext,
  type LoaderPlugin,
  LoadError,
} from "../../core/machine/plugin.ts";
import linux from "./linux.ts";
import plugin from "./linux_unpacked.ts";

const MIB = 1024 * 1024;
const ENTRY = 0x1000020;

/** A kernel with two segments and a note. */
function elf(change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(0x3000);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(18, 3, true);
  view.setUint32(24, ENTRY, true);
  view.setUint32(28, 52, true);
  view.setUint16(44, 3, true);
  const segments = [
    [1, 0x1000, 0x1000000, 0x800],
    [4, 0x1100, 0x1000100, 0x10],
    [1, 0x2000, 0x1004000, 0x1000],
  ];
  segments.forEach(([type, offset, address, size], i) => {
    view.setUint32(52 + 32 * i, type, true);
    view.setUint32(52 + 32 * i + 4, offset, true);
    view.setUint32(52 + 32 * i + 12, address, true);
    view.setUint32(52 + 32 * i + 16, size, true);
  });
  for (let i = 0x1000; i < 0x3000; i++) bytes[i] = i * 11;
  change(view);
  return bytes;
}

/** A kernel of 64 bits with one segment. */
function elf64(
  code: Uint8Array,
  address = 0x1000000,
  change: (view: DataView) => void = () => {},
): Uint8Array {
  const bytes = new Uint8Array(0x1000 + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, 62, true);
  view.setUint32(24, address, true);
  view.setUint32(32, 64, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(64 + 8, 0x1000, true);
  view.setUint32(64 + 24, address, true);
  view.setUint32(64 + 32, code.length, true);
  bytes.set(code, 0x1000);
  change(view);
  return bytes;
}

/** An image with this payload. */
function image(
  payload: Uint8Array,
  size?: number,
  change: (view: DataView) => void = () => {},
): Uint8Array {
  const tail = size === undefined ? 0 : 4;
  const code = Math.ceil((0x100 + payload.length + tail) / 16) * 16;
  const bytes = new Uint8Array(1024 + code);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = 1;
  view.setUint32(0x1f4, code / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x200, 0x6aeb, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  bytes[0x211] = 0x01;
  view.setUint32(0x214, 0x100000, true);
  view.setUint32(0x22c, 0x7fffffff, true);
  view.setUint32(0x230, 0x1000000, true);
  bytes[0x234] = 1;
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x248, 0x100, true);
  view.setUint32(0x24c, payload.length + tail, true);
  view.setUint32(0x258, 0x1000000, true);
  view.setUint32(0x260, 0x100000, true);
  bytes.set(payload, 1024 + 0x100);
  if (size !== undefined) {
    view.setUint32(1024 + 0x100 + payload.length, size, true);
  }
  change(view);
  return bytes;
}

function load(loader: LoaderPlugin, kernel: Uint8Array) {
  const memory = new Uint8Array(64 * MIB);
  const context: LoaderContext = {
    kernel: { path: "vmlinuz", bytes: kernel },
    initrd: undefined,
    modules: [],
    append: "quiet",
    ram: [
      { base: 0, size: 640 * 1024 },
      { base: MIB, size: 63 * MIB },
    ],
    dma: {
      read: (address, into) =>
        into.set(memory.subarray(address, address + into.length)),
      write: (address, bytes) => memory.set(bytes, address),
    },
    log: { guest() {}, warn() {} },
  };
  return { entry: loader.load(context), memory };
}

Deno.test("linux-unpacked: the kernel is where it is linked to be", () => {
  const kernel = elf();
  for (
    const packed of [
      image(kernel),
      image(gzipSync(kernel)),
      image(zstdCompressSync(kernel), kernel.length),
    ]
  ) {
    assertEquals(plugin.probe(packed), true);
    const { entry, memory } = load(plugin, packed);
    const expected = load(linux, packed);
    // All but code and entry is as for the packed kernel.
    assertEquals(entry, { ...expected.entry, eip: ENTRY });
    assertEquals(
      memory.slice(0, 0xa0000),
      expected.memory.slice(0, 0xa0000),
    );
    assertEquals(memory.slice(MIB, MIB + 0x1000), new Uint8Array(0x1000));
    const at = (address: number, length: number): Uint8Array =>
      memory.slice(address, address + length);
    assertEquals(at(0x1000000, 0x800), kernel.slice(0x1000, 0x1800));
    assertEquals(at(0x1000800, 0x3800), new Uint8Array(0x3800));
    assertEquals(at(0x1004000, 0x1000), kernel.slice(0x2000, 0x3000));
    assertEquals(load(plugin, packed).entry, entry, "and so at a reset");
  }
});

/** `hlt`. */
const DONE = Uint8Array.of(0xf4);

Deno.test("linux-unpacked: of a kernel of 64 bits the packed one is there, too", () => {
  const packed = image(gzipSync(elf64(DONE)));
  const { entry, memory } = load(plugin, packed);
  const expected = load(linux, packed);
  assertEquals(entry, { ...expected.entry, eip: 0x86000 });
  assertEquals(
    memory.slice(0x90000, 0x1000000),
    expected.memory.slice(0x90000, 0x1000000),
  );
  assertEquals(memory[0x1000000], DONE[0]);
});

Deno.test("linux-unpacked: a kernel of 64 bits where the packed one is", () => {
  const packed = image(gzipSync(elf64(DONE, 0x100080)), undefined, (v) => {
    // It may move, and wants to be there.
    v.setUint32(0x230, 0x1000, true);
    v.setUint32(0x258, 0x100000, true);
  });
  assertEquals(load(plugin, packed), load(linux, packed));
});

Deno.test("linux-unpacked: other images are not its own", () => {
  const kernel = elf();
  const cases: [string, Uint8Array][] = [
    ["nothing", new Uint8Array(0)],
    ["no image", kernel],
    ["LZ4", image(new Uint8Array([2, 0x21, 0x4c, 0x18]), 8)],
    ["old", image(kernel, undefined, (v) => v.setUint16(0x206, 0x20b, true))],
  ];
  for (const [name, bytes] of cases) {
    assertEquals(plugin.probe(bytes), false, name);
  }
});

Deno.test("linux-unpacked: what cannot be loaded", () => {
  const kernel = elf();
  const packed = gzipSync(kernel);
  const cases: [string, Uint8Array, string][] = [
    ["damaged", image(packed.slice(0, 100)), "cannot be unpacked"],
    [
      "larger than it says",
      image(zstdCompressSync(kernel), kernel.length - 1),
      "cannot be unpacked",
    ],
    [
      "larger than its memory",
      image(gzipSync(new Uint8Array(2 * MIB))),
      "cannot be unpacked",
    ],
    ["no ELF", image(gzipSync(new Uint8Array(100))), "no kernel for x86"],
    [
      "64 bits, for another machine",
      image(gzipSync(elf((v) => v.setUint8(4, 2)))),
      "no kernel for x86",
    ],
    [
      "no bits",
      image(gzipSync(elf((v) => v.setUint8(4, 3)))),
      "no kernel for x86",
    ],
    [
      "64 bits, it starts beyond 4 GiB",
      image(gzipSync(elf64(DONE, 0x1000000, (v) => v.setUint32(28, 1, true)))),
      "no kernel for x86",
    ],
    [
      "64 bits, a segment of 2^63 bytes",
      image(gzipSync(elf64(DONE, 0x1000000, (v) => v.setUint8(103, 0x80)))),
      "no kernel for x86",
    ],
    [
      "64 bits, a segment beyond what the kernel wants",
      image(gzipSync(elf64(DONE, 0x3000000))),
      "does not fit",
    ],
    [
      "headers beyond the end",
      image(gzipSync(elf((v) => v.setUint16(44, 0xffff, true)))),
      "no kernel for x86",
    ],
    [
      "a segment beyond the end",
      image(gzipSync(elf((v) => v.setUint32(56, 0xfffff000, true)))),
      "no kernel for x86",
    ],
    [
      "a segment in low memory",
      image(gzipSync(elf((v) => v.setUint32(64, 0x90000, true)))),
      "does not fit",
    ],
    [
      "a segment beyond what the kernel wants",
      image(gzipSync(elf((v) => v.setUint32(64, 0x3000000, true)))),
      "does not fit",
    ],
  ];
  for (const [name, bytes, message] of cases) {
    assertEquals(plugin.probe(bytes), true, name);
    assertThrows(() => load(plugin, bytes), LoadError, message, name);
  }
});
