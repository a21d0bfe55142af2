/**
 * Guests whose output depends on when they are told what: what they print is
 * the same only if every input comes at the same instruction.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { hash32, hashRecord } from "../../core/replay/hash.ts";
import { Machine } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { interrupts, PRELUDE, PRINT } from "../devices/asm.ts";
import { within } from "../limit.ts";

/**
 * Works, and for each tick (of a thousand a second), key code, serial byte and
 * NMI prints what it was, how far the work had come and the time stamp counter's
 * low word. "q" ends it. In between it looks at the clock chip and at video
 * memory, which is a device's, and halts now and then.
 */
export const LISTENER: string = `${PRELUDE}${PRINT}
main:${interrupts(0xe8, 0xff)}
  gate 2, nmi
  gate 0x20, tick
  gate 0x21, key
  gate 0x24, serial
  outb 0x43, 0x34
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
  outb 0x3fc, 0x0b          ; OUT2: the port's interrupt reaches the PIC
  outb 0x3f9, 0x01          ; received data
  mov edi, 0x300000
  sti
  say "ready"
  call newline
work:
  mov eax, [0x200000]
  imul eax, eax, 1103515245
  add eax, 12345
  mov [0x200000], eax
  inc dword [0x200004]
  mov ecx, eax
  and ecx, 0xff
  push edi
  rep stosb
  pop edi
  test dword [0x200004], 0x3ff
  jnz .no_video
  mov [0xb8000], ax
  mov dx, [0xb8000]
  add [0x200008], dx
  mov word [0xa0000], ax    ; nothing there in text mode: the device is asked
.no_video:
  test dword [0x200004], 0x7fff
  jnz work
  outb 0x70, 0
  in al, 0x71
  add [0x200008], al
  hlt
  jmp work

report:                     ; AL: what, AH: its byte
  call put
  mov al, ah
  call byte_
  mov eax, [0x200004]
  call dword_
  rdtsc
  call dword_
  call newline
  ret
tick:
  pusha
  outb 0x20, 0x20
  inc dword [0x20000c]
  test dword [0x20000c], 7
  jnz .done
  mov ax, 't'
  call report
.done:
  popa
  iret
nmi:
  pusha
  mov ax, 'n'
  call report
  popa
  iret
key:
  pusha
  in al, 0x60
  mov ah, al
  mov al, 'k'
  push eax
  outb 0x20, 0x20
  pop eax
  call report
  popa
  iret
serial:
  pusha
.more:
  mov dx, 0x3fd
  in al, dx
  test al, 1
  jz .done
  mov dx, 0x3f8
  in al, dx
  cmp al, 'q'
  je .quit
  mov ah, al
  mov al, 's'
  call report
  jmp .more
.done:
  outb 0x20, 0x20
  popa
  iret
.quit:
  outb 0xf4, 0
  jmp .quit
`;

/**
 * For each key: adds it to a sector that it reads and writes, works for some
 * eighteen million instructions, writes the key on the screen.
 */
export const WRITER: string = `
  org 0x7c00
  bits 16
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov [drive], dl
  mov si, hello
.text:
  lodsb
  test al, al
  jz key
  call put
  jmp .text
key:
  mov ah, 0
  int 0x16
  push ax
  mov ax, 0x0201
  call sector
  pop ax
  push ax
  mov di, 0x8000
.add:
  add [di], al
  inc di
  cmp di, 0x8200
  jne .add
  mov ax, 0x0301
  call sector
  mov ecx, 9000000
.work:
  dec ecx
  jnz .work
  pop ax
  call put
  jmp key
sector:
  mov bx, 0x8000
  mov cx, 0x0002
  mov dh, 0
  mov dl, [drive]
  int 0x13
  jc .failed
  ret
.failed:
  mov al, '!'
put:
  mov ah, 0x0e
  mov bx, 7
  int 0x10
  ret
drive: db 0
hello: db "Hello ", 0
  times 510 - ($ - $$) db 0
  dw 0xaa55
`;

/** The listener as a multiboot kernel; undefined where nasm is not installed. */
async function listener(): Promise<Uint8Array | undefined> {
  const code = await assemble(LISTENER);
  if (code === undefined) console.log("skipped: nasm is not installed");
  return code && multiboot(code);
}

/**
 * A procedure writes through a pointer, in the midst of timer interrupts; once
 * the pointer is wrong and it writes over another one. The guest goes on for
 * long, looks at that one, and does not like it.
 */
export const CRASHER: string = `${PRELUDE}
main:${interrupts(0xfe, 0xff)}
  gate 0x20, tick
  outb 0x43, 0x34
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
  mov dword [victim], fine
  sti
  xor ebx, ebx
again:
  mov edi, 0x300000
  cmp ebx, 1000000
  jne .right
  mov edi, victim
.right:
  call store
  inc ebx
  cmp ebx, 3000000
  jne again
crash:
  jmp [victim]
store:
  mov eax, ebx
write:
  stosd
  ret
tick:
  push eax
  inc dword [0x300010]
  outb 0x20, 0x20
  pop eax
  iret
fine:
  outb 0xf4, 0
victim: dd 0
`;

/**
 * Looks at the second channel's CD-ROM drive again and again, and says what it
 * has when that is something else: its last block, or "e" for an error.
 */
export const WATCHER: string = `${PRELUDE}${PRINT}
main:${interrupts(0xff, 0xff)}
  say "begin"
  call newline
  mov ebp, -1
look:
  mov dx, 0x176
  mov al, 0xa0
  out dx, al
  call idle
  mov dx, 0x174
  mov al, 0xfe
  out dx, al
  inc edx
  mov al, 0xff
  out dx, al
  mov dx, 0x177
  mov al, 0xa0
  out dx, al
  call idle
  mov esi, capacity
  mov ecx, 6
  mov dx, 0x170
  rep outsw
  call idle
  xor ebx, ebx
  test al, 1
  jnz .error
  mov dx, 0x170
  in ax, dx
  mov bx, ax
  in ax, dx
  shl eax, 16
  or ebx, eax
  bswap ebx
  in ax, dx
  in ax, dx
.error:
  cmp ebx, ebp
  je look
  mov ebp, ebx
  test ebx, ebx
  jz .none
  mov eax, ebx
  call dword_
  call newline
  jmp look
.none:
  mov al, 'e'
  call put
  call newline
  jmp look
idle:
  mov dx, 0x177
.wait:
  in al, dx
  test al, 0x80
  jnz .wait
  ret
capacity: db 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
`;

/** The machine of the listener. */
export const ISAPC: string =
  new URL("../../machines/isapc.json", import.meta.url).pathname;

/** What the machine is at a number of instructions, whatever led there. */
export interface Place {
  readonly time: number;
  readonly state: number;
  readonly memory: number;
}

/** The same of a machine. */
export function placeOf(machine: Machine): Place {
  const { arenaOffset, arenaBytes, u8 } = machine.memory;
  return {
    time: machine.clock.now(),
    state: hashRecord(machine.save()),
    memory: hash32(u8.subarray(arenaOffset + arenaBytes)),
  };
}

/** What must be the same at the end of a run. */
export interface End extends Place {
  readonly instructions: number;
  readonly output: string;
}

/** Everything that must be the same. */
export function endOf(machine: Machine): End {
  return {
    ...placeOf(machine),
    instructions: machine.cpu.instructions,
    output: machine.serial(0).output,
  };
}

export async function withFolder(
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Record the listener, with keys and bytes at times of the host's. */
async function record(
  kernel: string,
  log: string,
  inputs: number,
): Promise<End> {
  const machine = await Machine.load(ISAPC, {
    kernel,
    memory: "16M",
    noReboot: true,
    display: "none",
    record: log,
  });
  const serial = machine.serial(0);
  const end = machine.run();
  await serial.expect("ready");
  for (let i = 0; i < inputs; i++) {
    await pause(Math.random() * 20);
    void serial.write(String.fromCharCode(97 + i % 16));
    await pause(Math.random() * 20);
    void machine.screen().press("KeyA");
  }
  await pause(50);
  void serial.write("q");
  const { reason } = await within("the end of the recorded run", end);
  assertEquals(reason, "exit");
  const result = endOf(machine);
  await machine.stop();
  return result;
}

/** The listener's run, recorded. */
export interface Recorded {
  /** The kernel's file. */
  readonly kernel: string;
  /** The recording. */
  readonly log: string;
  /** How it ended. */
  readonly recorded: End;
}

/** Record the listener with so many keys and bytes; nothing where there is no nasm. */
export async function withListener(
  inputs: number,
  use: (recorded: Recorded) => Promise<void>,
): Promise<void> {
  await withFolder((folder) =>
    withKernel(folder, async (kernel) => {
      const log = `${folder}/log`;
      await use({ kernel, log, recorded: await record(kernel, log, inputs) });
    })
  );
}

/** The listener's kernel in a folder; nothing where there is no nasm. */
export async function withKernel(
  folder: string,
  use: (kernel: string) => Promise<void>,
): Promise<void> {
  const code = await listener();
  if (code === undefined) return;
  const kernel = `${folder}/kernel`;
  await Deno.writeFile(kernel, code);
  await use(kernel);
}
