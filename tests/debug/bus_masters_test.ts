/**
 * Watches of memory that virtio network cards and a CD-ROM drive's bus master
 * access, beside what their driver, a small guest, has asked them for.
 */

import { assertEquals } from "@std/assert";
import type { WatchedAccess } from "../../core/debug/events.ts";
import { guest, load } from "./guest.ts";

/** Where the driver has things: queues, a frame that is sent, and what comes. */
const TX_QUEUE = 0x1a0000, RX_QUEUE = 0x1b0000;
const TX_DATA = 0x1c0000, RX_DATA = 0x1c1000;
const TABLE = 0x1d0000, BLOCK = 0x1d1000;
/** virtio's header without merged buffers, and bytes of the frame. */
const HEADER_BYTES = 10, FRAME_BYTES = 64;
const CD_SECTOR = 17;

const DRIVER = `
%macro outb 2
  mov edx, %1
  mov al, %2
  out dx, al
%endmacro
%macro outw 2
  mov edx, %1
  mov ax, %2
  out dx, ax
%endmacro
%macro outd 2
  mov edx, %1
  mov eax, %2
  out dx, eax
%endmacro
%macro pci 3              ; function, register, value
  outd 0xcf8, 0x80000000 | (%1) << 8 | %2
  outd 0xcfc, %3
%endmacro
; A virtio device's queue: its ports, number, address. ECX: how long it is.
%macro queue 3
  outw %1 + 0x0e, %2
  mov edx, %1 + 0x0c
  xor eax, eax
  in ax, dx
  mov ecx, eax
  outd %1 + 0x08, %3 >> 12
%endmacro
start:
  mov esp, 0x180000
  pci 3 << 3, 0x10, 0xc201
  pci 3 << 3, 4, 7
  pci 8 << 3, 0x10, 0xc301
  pci 8 << 3, 4, 7
  outb 0xc312, 3
  queue 0xc300, 0, ${RX_QUEUE}
  mov dword [${RX_QUEUE}], ${RX_DATA}
  mov dword [${RX_QUEUE} + 8], 2048
  mov dword [${RX_QUEUE} + 12], 2
  mov edi, ecx
  shl edi, 4
  mov word [${RX_QUEUE} + edi + 2], 1
  imul ebx, ecx, 18       ; the used ring is in the page behind
  add ebx, 6 + 4095
  and ebx, ~4095
  outb 0xc312, 7
  outw 0xc310, 0
  mov edi, ${TX_DATA + HEADER_BYTES}
  mov ecx, ${FRAME_BYTES}
  mov al, 0xff            ; for all
  rep stosb
  outb 0xc212, 3
  queue 0xc200, 1, ${TX_QUEUE}
  mov dword [${TX_QUEUE}], ${TX_DATA}
  mov dword [${TX_QUEUE} + 8], ${HEADER_BYTES + FRAME_BYTES}
  mov edi, ecx
  shl edi, 4
  mov word [${TX_QUEUE} + edi + 2], 1
  outb 0xc212, 7
  outw 0xc210, 1
receiving:
  cmp word [${RX_QUEUE} + ebx + 2], 1
  jne receiving
  ; The CD-ROM drive: READ (10), by the second channel's bus master.
  pci 1 << 3 | 1, 0x20, 0xc001
  pci 1 << 3 | 1, 4, 5
  mov dword [${TABLE}], ${BLOCK}
  mov dword [${TABLE} + 4], 0x80000000 | 2048
  outd 0xc00c, ${TABLE}
  outb 0xc008, 8
  outb 0x176, 0xa0
  outb 0x171, 1
  outb 0x174, 0
  outb 0x175, 8
  outb 0x177, 0xa0
asked:
  mov edx, 0x177
  in al, dx
  and al, 0x88
  cmp al, 8
  jne asked
  mov esi, packet
  mov ecx, 6
  mov edx, 0x170
  rep outsw
  outb 0xc008, 9
transferring:
  mov edx, 0xc00a
  in al, dx
  test al, 4
  jz transferring
  xor eax, eax
  out 0xf4, al
  hlt
packet: db 0x28, 0, 0, 0, 0, ${CD_SECTOR}, 0, 0, 1, 0, 0, 0
`;

const made = await guest(DRIVER);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

for (const accel of ["interp", "jit"] as const) {
  Deno.test(`virtio's network cards and a disc's DMA are watched: ${accel}${skipped}`, async () => {
    if (made === undefined) return;
    const folder = await Deno.makeTempDir();
    const disc = `${folder}/cd.iso`;
    const content = new Uint8Array(1 << 20).map((_, i) => i >> 11);
    await Deno.writeFile(disc, content);
    const config = { id: crypto.randomUUID() };
    try {
      await using machine = await load(made, {
        accel,
        threshold: 1,
        definition: "pc.json",
        memory: "32M",
        cdrom: disc,
        nics: [1, 2].map((n) => ({
          network: "hub",
          model: "virtio",
          mac: `02:00:00:00:00:0${n}`,
          config,
        })),
      });
      const watched: WatchedAccess[] = [];
      const frames: unknown[] = [];
      await machine.on("device", ({ device, data }) => {
        frames.push([device, data.sent, (data.bytes as Uint8Array).length]);
      }, { event: "frame" });
      const from = HEADER_BYTES + 20;
      for (const address of [TX_DATA + from, RX_DATA + from, BLOCK + from]) {
        await machine.watch({
          address,
          size: 4,
          access: "access",
          space: "physical",
          by: "device",
        }, (access) => void watched.push(access));
      }
      assertEquals(await machine.run(), { reason: "exit", status: 1 });
      const by = (
        device: string,
        address: number,
        access: string,
      ): unknown => ({
        cpu: undefined,
        pc: undefined,
        device,
        address: address + from,
        size: 4,
        access,
      });
      assertEquals(watched, [
        by("nic0", TX_DATA, "read"),
        by("nic1", RX_DATA, "write"),
        by("ide", BLOCK, "write"),
      ]);
      assertEquals(frames, [
        ["nic0", true, FRAME_BYTES],
        ["nic1", false, FRAME_BYTES],
      ]);
      const memory = machine.space("memory");
      assertEquals(memory.read(RX_DATA + from, 4), 0xffffffff);
      assertEquals(memory.read(BLOCK, 1), CD_SECTOR);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test({ name: "remove the guest", fn: async () => await made?.remove() });
