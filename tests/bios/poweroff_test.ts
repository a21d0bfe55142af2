/** A program of old turns the machine off by the BIOS's power management. */

import { assertEquals } from "@std/assert";
import { biosMachine, inFolder, tool } from "./machine.ts";

const SOURCE = `
bits 16
org 0x7c00
  mov ax, 0x5301          ; connect
  xor bx, bx
  int 0x15
  mov ax, 0x5307          ; all devices off
  mov bx, 1
  mov cx, 3
  int 0x15
  mov al, ah              ; it goes on: an error
  out 0xf4, al
  hlt
  times 510 - ($ - $$) db 0
  dw 0xaa55
`;
const DISK_BYTES = 1 << 20;
/** What isa-debug-exit makes of the error "cannot enter the state". */
const CANNOT_ENTER = 0x60 << 1 | 1;

for (
  const [machine, reason, status] of [
    ["pc", "poweroff", 0],
    // There is nothing that could.
    ["isapc", "exit", CANNOT_ENTER],
  ] as const
) {
  Deno.test(`bios: ${machine}, turned off`, () =>
    inFolder(async (folder) => {
      const [source, file] = [`${folder}/source`, `${folder}/disk`];
      await Deno.writeTextFile(source, SOURCE);
      if (!await tool("nasm", "-f", "bin", "-o", file, source)) return;
      await Deno.truncate(file, DISK_BYTES);
      await using started = await biosMachine({ machine, drives: [{ file }] });
      const limit = setTimeout(() => void started.stop(), 20_000);
      const end = await started.run();
      clearTimeout(limit);
      assertEquals([end.reason, end.status], [reason, status]);
    }));
}
