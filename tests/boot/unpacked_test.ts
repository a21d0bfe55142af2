/**
 * How a kernel that the loader has unpacked finds the CPU, and what starts on
 * one that has not the kernel's mode.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../mod.ts";

const MICROVM = fromFileUrl(
  new URL("../../machines/microvm.json", import.meta.url),
);
const LOADED = 0x1000000;
const SETUP_BYTES = 1024;

/** Writes a letter to the serial port, for good. */
const letter = (text: string): number[] => [
  ...[0x66, 0xba, 0xf8, 0x03], // mov dx, 3f8h
  ...[0xb0, text.charCodeAt(0)], // mov al, text
  ...[0xee], // out dx, al
  ...[0xf4, 0xeb, 0xfd], // hlt; jmp to it
];

/**
 * Of 64 bits: the letter W if RSI is the zero page, CS the boot protocol's, and
 * the last bytes below 4 GiB can be read.
 */
const WIDE = [
  ...[0x48, 0xb8, 0, 0, 9, 0, 0, 0, 0, 0], // mov rax, 90000h
  ...[0x48, 0x39, 0xc6], // cmp rsi, rax
  ...[0x75, 38], // jne wrong
  ...[0x66, 0x8c, 0xc8], // mov ax, cs
  ...[0x66, 0x3d, 0x10, 0], // cmp ax, 10h
  ...[0x75, 29], // jne wrong
  ...[0xb8, 0xf8, 0xff, 0xff, 0xff], // mov eax, fffffff8h
  ...[0x48, 0x8b, 0x00], // mov rax, [rax]
  ...[0x48, 0x8d, 0x05, 4, 0, 0, 0], // lea rax, [right]: relative to RIP
  ...[0xff, 0xe0], // jmp rax
  ...[0xf4, 0xf4], // (not executed)
  ...letter("W"), // right
  ...letter("X"), // wrong
];

/** An image whose own code writes P and whose payload is a kernel of 64 bits. */
function image(): Uint8Array {
  const code = Uint8Array.from(letter("P"));
  const kernel = new Uint8Array(0x1000 + WIDE.length);
  const elf = new DataView(kernel.buffer);
  kernel.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  elf.setUint16(18, 62, true);
  elf.setUint32(24, LOADED, true);
  elf.setUint32(32, 64, true);
  elf.setUint16(56, 1, true);
  elf.setUint32(64, 1, true);
  elf.setUint32(64 + 8, 0x1000, true);
  elf.setUint32(64 + 24, LOADED, true);
  elf.setUint32(64 + 32, WIDE.length, true);
  kernel.set(WIDE, 0x1000);

  const codeBytes = Math.ceil((0x100 + kernel.length) / 16) * 16;
  const bytes = new Uint8Array(SETUP_BYTES + codeBytes);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = 1;
  view.setUint32(0x1f4, codeBytes / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x200, 0x6aeb, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  bytes[0x211] = 0x01;
  view.setUint32(0x214, 0x100000, true);
  view.setUint32(0x22c, 0x7fffffff, true);
  view.setUint32(0x230, LOADED, true);
  bytes[0x234] = 1;
  view.setUint16(0x236, 1, true);
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x248, 0x100, true);
  view.setUint32(0x24c, kernel.length, true);
  view.setUint32(0x258, LOADED, true);
  view.setUint32(0x260, 0x100000, true);
  bytes.set(code, SETUP_BYTES);
  bytes.set(kernel, SETUP_BYTES + 0x100);
  return bytes;
}

for (
  const [model, expected] of [
    ["x86-64", "W"],
    ["max", "W"],
    ["pentium3", "P"],
    ["486", "P"],
  ]
) {
  Deno.test(`a kernel of 64 bits, unpacked, on ${model}`, async () => {
    const kernel = await Deno.makeTempFile();
    try {
      await Deno.writeFile(kernel, image());
      await using machine = await Machine.load(MICROVM, {
        memory: "64M",
        kernel,
        set: [`cpu.model=${model}`],
      });
      assertEquals(await machine.serial(0).expect(/[A-Z]/), expected);
    } finally {
      await Deno.remove(kernel);
    }
  });
}
