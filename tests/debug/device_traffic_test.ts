/**
 * What network cards, virtio, the floppy drive and a CD-ROM drive tell of, and
 * watches of the memory that they access as bus masters: beside what their
 * driver, a small guest, has asked them for.
 */

import { assert, assertEquals } from "@std/assert";
import type { WatchedAccess } from "../../core/debug/events.ts";
import type { ToldEvent } from "../../core/machine/device_events.ts";
import { guest, load } from "./guest.ts";

/** Where the driver has things. */
const TX_RING = 0x190000, TX_DATA = 0x191004, RX_RING = 0x192000;
const RX_DATA = 0x193000, QUEUE = 0x1a0000, HEADER = 0x1a8000;
const SECTOR = 0x1a9000, STATUS = 0x1aa000, TRACK = 0x1b0000;
const FRAME_BYTES = 100, VIRTIO_SECTOR = 9, FLOPPY_SECTOR = 3, CD_SECTOR = 17;

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
%macro pci 3              ; slot, register, value
  outd 0xcf8, 0x80000000 | %1 << 11 | %2
  outd 0xcfc, %3
%endmacro
%macro await 4            ; port, mask, value, label
%4:
  mov edx, %1
  in al, dx
  and al, %2
  cmp al, %3
  jne %4
%endmacro
%macro fdc 1-*
%rep %0
  mov bl, %1
  call send
%rotate 1
%endrep
%endmacro
%define SENDER 0xe1000000
%define RECEIVER 0xe2000000
start:
  mov esp, 0x180000
  ; Two cards of the type e1000: the second one receives what the first one sends.
  pci 3, 0x10, SENDER
  pci 3, 4, 7
  pci 8, 0x10, RECEIVER
  pci 8, 4, 7
  mov dword [${RX_RING}], ${RX_DATA}
  mov dword [RECEIVER], 0x40
  mov dword [RECEIVER + 0x2800], ${RX_RING}
  mov dword [RECEIVER + 0x2808], 128
  mov dword [RECEIVER + 0x2810], 0
  mov dword [RECEIVER + 0x2818], 7
  mov dword [RECEIVER + 0x100], 0x801a
  mov edi, ${TX_DATA}
  mov ecx, ${FRAME_BYTES}
  mov al, 2
fill:
  mov [edi], al
  inc edi
  inc al
  loop fill
  mov dword [${TX_RING}], ${TX_DATA}
  mov dword [${TX_RING} + 8], 0x0b000000 | ${FRAME_BYTES}
  mov dword [SENDER], 0x40
  mov dword [SENDER + 0x3800], ${TX_RING}
  mov dword [SENDER + 0x3808], 128
  mov dword [SENDER + 0x3810], 0
  mov dword [SENDER + 0x3818], 0
  mov dword [SENDER + 0x400], 2
  mov dword [SENDER + 0x3818], 1
receiving:
  test byte [${RX_RING} + 12], 1
  jz receiving
  ; virtio-blk by its legacy interface at C100h: a read.
  pci 4, 0x10, 0xc101
  pci 4, 4, 7
  outb 0xc112, 3
  outw 0xc10e, 0
  mov edx, 0xc10c
  xor eax, eax
  in ax, dx
  mov ecx, eax            ; how long the queue is
  outd 0xc108, ${QUEUE} >> 12
  mov edi, ${QUEUE}
  mov dword [edi], ${HEADER}
  mov dword [edi + 8], 16
  mov dword [edi + 12], 1 << 16 | 1
  mov dword [edi + 16], ${SECTOR}
  mov dword [edi + 24], 512
  mov dword [edi + 28], 2 << 16 | 3
  mov dword [edi + 32], ${STATUS}
  mov dword [edi + 40], 1
  mov dword [edi + 44], 2
  mov dword [${HEADER} + 8], ${VIRTIO_SECTOR}
  shl ecx, 4
  mov word [edi + ecx + 2], 1
  outb 0xc112, 7
  outw 0xc110, 0
  await 0xc113, 1, 1, used
  ; The floppy drive, by DMA channel 2.
  outb 0x3f2, 0
  outb 0x3f2, 0x1c
  outb 0x3f7, 0           ; 500 kbit/s
  await 0x3f4, 0x80, 0x80, floppy
  fdc 8
  call result
  fdc 3, 0xaf, 2
  fdc 7, 0
  await 0x3f4, 0xff, 0x80, recalibrated
  fdc 8
  call result
  outb 0x0a, 6
  outb 0x0c, 0
  outb 0x0b, 0x46
  outb 0x04, ${TRACK} & 0xff
  outb 0x04, ${TRACK} >> 8 & 0xff
  outb 0x81, ${TRACK} >> 16
  outb 0x05, 0xff
  outb 0x05, 1
  outb 0x0a, 2
  fdc 0xe6, 0, 0, 0, ${FLOPPY_SECTOR}, 2, ${FLOPPY_SECTOR}, 0x1b, 0xff
  await 0x3f4, 0xd0, 0xd0, transferred
  call result
  ; The CD-ROM drive: READ (10).
  outb 0x176, 0xa0
  outb 0x174, 0
  outb 0x175, 8
  outb 0x177, 0xa0
  await 0x177, 0x88, 8, asked
  mov esi, packet
  mov ecx, 6
  mov edx, 0x170
  rep outsw
idle:
  mov edx, 0x177
  in al, dx
  test al, 0x80
  jnz idle
  test al, 8
  jz idle
  mov edi, 0x1c0000
  mov ecx, 1024
  mov edx, 0x170
  rep insw
  xor eax, eax
  out 0xf4, al
  hlt
send:
  mov edx, 0x3f4
  in al, dx
  and al, 0xc0
  cmp al, 0x80
  jne send
  mov edx, 0x3f5
  mov al, bl
  out dx, al
  ret
result:
  mov edx, 0x3f4
  in al, dx
  test al, 0x80
  jz result
  and al, 0x50
  cmp al, 0x50
  jne got
  mov edx, 0x3f5
  in al, dx
  jmp result
got:
  ret
packet: db 0x28, 0, 0, 0, 0, ${CD_SECTOR}, 0, 0, 1, 0, 0, 0
`;

/** Events that are not looked at here. */
const OTHERS = new Set(["config", "map", "line"]);

const made = await guest(DRIVER);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

for (const accel of ["interp", "jit"] as const) {
  Deno.test(`cards, virtio, a floppy and a disc tell what they do, and their DMA is watched: ${accel}${skipped}`, async () => {
    if (made === undefined) return;
    const folder = await Deno.makeTempDir();
    const file = async (name: string, size: number): Promise<string> => {
      const path = `${folder}/${name}`;
      const bytes = new Uint8Array(size).map((_, i) => i >> 9);
      await Deno.writeFile(path, bytes);
      return path;
    };
    const id = crypto.randomUUID();
    const config = { id };
    try {
      await using machine = await load(made, {
        accel,
        threshold: 1,
        definition: "pc.json",
        memory: "32M",
        drives: [
          { file: await file("disk", 1 << 20), format: "raw", if: "virtio" },
          {
            file: await file("floppy.img", 1474560),
            if: "floppy",
            format: "raw",
          },
        ],

        cdrom: await file("cd.iso", 1 << 20),
        nics: [1, 2].map((n) => ({
          network: "hub",
          model: "e1000",
          mac: `02:00:00:00:00:0${n}`,
          config,
        })),
      });
      const told: ToldEvent[] = [];
      await machine.on("device", (event) => void told.push(event));
      const watched: WatchedAccess[] = [];
      // The middle of what is sent and received, and of the sectors.
      for (const address of [TX_DATA, RX_DATA, SECTOR, TRACK]) {
        await machine.watch({
          address: address + 10,
          size: 4,
          access: "access",
          space: "physical",
          by: "device",
        }, (access) => void watched.push(access));
      }
      // What is the device's is not told as the driver's.
      const byCpus: WatchedAccess[] = [];
      await machine.watch({
        address: SECTOR,
        size: 512,
        access: "access",
        space: "physical",
        by: "cpu",
      }, (access) => void byCpus.push(access));
      const result = await machine.run();
      assertEquals(result, { reason: "exit", status: 1 });
      const of = (device: string): unknown[] =>
        told.filter((t) => t.device === device)
          .filter(({ event }) => !OTHERS.has(event))
          .map(({ event, data }) => [event, data]);
      const dma = (address: number, size: number, write: boolean): unknown => [
        "dma",
        { address, size, write },
      ];
      const bytes = new Uint8Array(FRAME_BYTES).map((_, i) => i + 2);
      const frame = { offload: false, bytes };
      assertEquals(of("nic0"), [
        dma(TX_RING, 16, false),
        dma(TX_DATA, FRAME_BYTES, false),
        ["frame", { ...frame, sent: true }],
        dma(TX_RING + 12, 4, true),
      ]);
      assertEquals(of("nic1"), [
        dma(RX_RING, 16, false),
        dma(RX_DATA, FRAME_BYTES, true),
        dma(RX_RING, 16, true),
        ["frame", { ...frame, sent: false }],
      ]);
      const disk = (backend: string, offset: number, size: number): unknown => [
        "disk",
        { backend, request: "read", offset, size },
      ];
      // Descriptors and the rings of the queue aside.
      const ofQueue = ([event, data]: [string, { address: number }]): boolean =>
        event === "dma" && data.address < HEADER;
      assertEquals(
        of("blk0").filter((e) => !ofQueue(e as [string, { address: number }])),
        [
          dma(HEADER, 16, false),
          ["request", { queue: 0, type: 0, sector: VIRTIO_SECTOR, size: 512 }],
          disk("disk", 512 * VIRTIO_SECTOR, 512),
          dma(SECTOR, 512, true),
          dma(STATUS, 1, true),
        ],
      );
      assert(of("blk0").length > 8);
      const command = (name: string, ...bytes: number[]): unknown => [
        "command",
        { name, bytes: Uint8Array.from(bytes) },
      ];
      const floppy = of("floppy");
      assertEquals(floppy, [
        command("SENSE INTERRUPT STATUS", 8),
        command("SPECIFY", 3, 0xaf, 2),
        command("RECALIBRATE", 7, 0),
        command("SENSE INTERRUPT STATUS", 8),
        command(
          "READ DATA",
          ...[0xe6, 0, 0, 0, FLOPPY_SECTOR, 2, FLOPPY_SECTOR, 0x1b, 0xff],
        ),
        disk("drive0", 512 * (FLOPPY_SECTOR - 1), 512),
      ]);
      // The master of its transfers is the DMA controller.
      assertEquals(of("dma"), [dma(TRACK, 512, true)]);
      const packet = Uint8Array.of(
        0x28,
        0,
        0,
        0,
        0,
        CD_SECTOR,
        0,
        0,
        1,
        0,
        0,
        0,
      );
      assertEquals(of("ide"), [
        ["command", { channel: 1, drive: 0, command: 0xa0 }],
        ["packet", { channel: 1, drive: 0, packet }],
        disk("disk2", 2048 * CD_SECTOR, 2048),
      ]);
      const by = (
        device: string,
        address: number,
        access: string,
      ): unknown => ({
        cpu: undefined,
        pc: undefined,
        device,
        address: address + 10,
        size: 4,
        access,
      });
      assertEquals(watched, [
        by("nic0", TX_DATA, "read"),
        by("nic1", RX_DATA, "write"),
        by("blk0", SECTOR, "write"),
        by("dma", TRACK, "write"),
      ]);
      assertEquals(byCpus, []);
      const memory = machine.space("memory");
      const sector = (address: number): number => memory.read(address, 1);
      assertEquals([SECTOR, TRACK].map(sector), [
        VIRTIO_SECTOR,
        FLOPPY_SECTOR - 1,
      ]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test({ name: "remove the guest", fn: async () => await made?.remove() });
