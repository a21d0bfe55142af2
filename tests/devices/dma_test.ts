/**
 * A bus master that writes to guest memory, code above all. A program must
 * jump before it runs what another has written (SDM volume 3, 9.1.3): Rhea
 * sees it at the end of the block.
 */

import { assertEquals } from "@std/assert";
import { Machine } from "../../core/machine/machine.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { assemble, multiboot } from "../faults/guest.ts";

const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;

/** Port 0 takes an address; a byte written to port 4 goes there at once. */
const writer: DevicePlugin = {
  type: "device",
  name: "writer",
  version: "1",
  regions: { ports: { space: "ports", size: 8 } },
  create(_config, context) {
    let address = 0;
    context.io("ports", {
      widths: [1, 4],
      read: () => address,
      write: (offset, _width, value) => {
        if (offset === 0) address = value;
        else context.dma.write(address, new Uint8Array([value]));
      },
    });
    return { reset() {}, save: () => ({}), load() {} };
  },
};

const PROGRAM = `
  mov esp, 0x180000
  mov edx, 0x300
  mov eax, next + 1
  out dx, eax
  mov edx, 0x304
  xor esi, esi
  mov edi, 20000
again:
  mov eax, edi
  out dx, al
  jmp next
next:
  mov bl, 0
  cmp bl, al
  jne .bad
  mov eax, remote_byte
  call remote               ; and code on another page
  add esi, ebx
  dec edi
  jnz again
  ; what is read has been written
  mov al, [next + 1]
  cmp al, 1
  jne .bad
  ; a page of the bus without memory
  mov edx, 0x300
  mov eax, 0xf0000000
  out dx, eax
  mov edx, 0x304
  out dx, al
  mov al, 0
  out 0xf4, al
.bad:
  mov al, 1
  out 0xf4, al
align 4096
remote:
  mov ecx, edx
  mov edx, 0x300
  push eax
  out dx, eax
  mov eax, edi
  mov edx, 0x304
  out dx, al
  jmp remote_code
remote_code: mov cl, 0
remote_byte equ remote_code + 1
  cmp cl, al
  jne .bad
  mov edx, 0x300
  mov eax, next + 1
  out dx, eax
  mov edx, 0x304
  pop eax
  ret
.bad:
  mov al, 2
  out 0xf4, al
`;

for (const accel of ["jit", "interp"] as const) {
  Deno.test(`DMA, ${accel}: code that a device writes is what the next jump finds`, async () => {
    const code = await assemble(PROGRAM);
    if (code === undefined) {
      console.log("skipped: nasm is not installed");
      return;
    }
    const kernel = await Deno.makeTempFile();
    try {
      await Deno.writeFile(kernel, multiboot(code));
      await using machine = await Machine.load(ISAPC, {
        kernel,
        memory: "16M",
        accel,
        plugins: {
          ...PLUGINS,
          device: {
            ...PLUGINS.device,
            writer: () => Promise.resolve({ default: writer }),
          },
        },
        set: ['devices.writer={"plugin":"writer","at":"0x300"}'],
      });
      const limit = setTimeout(() => void machine.stop(), 20_000);
      const result = await machine.run();
      clearTimeout(limit);
      assertEquals(result, { reason: "exit", status: 1 });
    } finally {
      await Deno.remove(kernel);
    }
  });
}
