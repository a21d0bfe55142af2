/** The devices of the ISA PC, as small guests see them. */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { RunResult } from "../../core/machine/machine.ts";
import { Machine } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { interrupts, PRELUDE } from "./asm.ts";

const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;

/** What every guest here begins with: all interrupts masked. */
const BEGIN = `${PRELUDE}main:${interrupts(0xff, 0xff)}`;

interface Options {
  readonly icount?: boolean;
  readonly accel?: "jit" | "interp";
  /** Resets boot again. */
  readonly reboot?: boolean;
  /** Called with the running machine. */
  readonly meanwhile?: (machine: Machine, start: number) => Promise<void>;
}

interface Ran {
  readonly result: RunResult;
  readonly output: string;
  readonly instructions: number;
}

/** Run a guest to its end; undefined where nasm is not installed. */
async function run(
  source: string,
  options: Options = {},
): Promise<Ran | undefined> {
  const code = await assemble(BEGIN + source);
  if (code === undefined) {
    console.log("skipped: nasm is not installed");
    return undefined;
  }
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, multiboot(code));
    const machine = await Machine.load(ISAPC, {
      kernel: path,
      memory: "16M",
      noReboot: !options.reboot,
      accel: options.accel,
      icount: options.icount,
    });
    const limit = setTimeout(() => void machine.stop(), 20_000);
    const start = performance.now();
    const end = machine.run();
    await options.meanwhile?.(machine, start);
    const result = await end;
    clearTimeout(limit);
    await machine.stop();
    return {
      result,
      output: machine.serial(0).output,
      instructions: machine.cpu.instructions,
    };
  } finally {
    await Deno.remove(path);
  }
}

/** Counts ECX ticks of the PIT at 1000 Hz between "B" and "E". */
const ticks = (count: number): string => `
  gate 0x20, tick
  outb 0x43, 0x34
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
  outb 0x21, 0xfe
  mov ecx, ${count}
  mov al, 'B'
  call put
  sti
again:
  hlt
  test ecx, ecx
  jnz again
  cli
  mov al, 'E'
  call put
  outb 0xf4, 0
tick:
  push eax
  dec ecx
  outb 0x20, 0x20
  pop eax
  iret
`;

/** Milliseconds of virtual time at the guest's B and at its E. */
async function timed(
  machine: Machine,
): Promise<{ begin: number; end: number }> {
  const serial = machine.serial(0);
  const virtual = (): number => machine.stats()["virtual time ms"];
  await serial.expect("B");
  const begin = virtual();
  await serial.expect("E");
  return { begin, end: virtual() };
}

// How long the host takes is for the bench: it depends on what else the host
// does. That ticks do not come early, nor fewer than virtual time has passed,
// holds on any host: an expectation is told within a slice or two, and the
// guest's time does not run away from its ticks, nor from the host's.
const SLACK_MS = 60;

Deno.test("guest: 500 ticks at 1000 Hz take half a second", async () => {
  let took = { begin: 0, end: 0 };
  let host = 0;
  const ran = await run(ticks(500), {
    meanwhile: async (machine, start) => {
      took = await timed(machine);
      host = performance.now() - start;
    },
  });
  if (ran === undefined) return;
  assertEquals(ran.result.status, 1);
  assertAlmostEquals(took.end - took.begin, 500, SLACK_MS);
  // From the machine's start: the host may stop it when the guest has begun,
  // and what it has missed it catches up.
  assert(host >= took.end, `too early: ${host} ms for ${took.end}`);
});

Deno.test("guest: no tick is lost while the host is busy", async () => {
  let took = { begin: 0, end: 0 };
  const ran = await run(ticks(500), {
    meanwhile: async (machine) => {
      const busy = setInterval(() => {
        const until = performance.now() + 40;
        while (performance.now() < until);
      }, 60);
      took = await timed(machine);
      clearInterval(busy);
    },
  });
  if (ran === undefined) return;
  assertAlmostEquals(took.end - took.begin, 500, 75);
});

Deno.test("guest: with icount two runs are the same", async () => {
  const first = await run(ticks(200), { icount: true });
  const second = await run(ticks(200), { icount: true });
  if (first === undefined || second === undefined) return;
  assertEquals(first, second);
});

Deno.test("guest: the RTC interrupts through the slave", async () => {
  const ran = await run(
    `
  gate 0x28, periodic
  outb 0x70, 0x0a
  outb 0x71, 0x26
  outb 0x70, 0x0b
  outb 0x71, 0x42
  outb 0x21, 0xfb
  outb 0xa1, 0xfe
  mov ecx, 64
  sti
again:
  hlt
  test ecx, ecx
  jnz again
  outb 0xf4, 3
periodic:
  push eax
  outb 0x70, 0x0c
  in al, 0x71
  test al, 0x40
  jz .none
  dec ecx
.none:
  outb 0xa0, 0x20
  outb 0x20, 0x20
  pop eax
  iret
`,
    { icount: true },
  );
  if (ran === undefined) return;
  assertEquals(ran.result, { reason: "exit", status: 7 });
});

Deno.test("guest: counter 2 measures as Linux calibrates", async () => {
  // 10 ms by port 61h and counter 2 in mode 0, and the TSC over it.
  const ran = await run(`
  in al, 0x61
  and al, 0xfc
  or al, 1
  out 0x61, al
  outb 0x43, 0xb0
  outb 0x42, 11932 & 255
  outb 0x42, 11932 >> 8
  rdtsc
  mov esi, eax
.wait:
  in al, 0x61
  test al, 0x20
  jz .wait
  rdtsc
  sub eax, esi
  ; 1 GHz: 10 ms are 10 million, give or take 2 %
  sub eax, 9800000
  cmp eax, 400000
  mov al, 0
  jb .good
  mov al, 1
.good:
  out 0xf4, al
`);
  if (ran === undefined) return;
  assertEquals(ran.result.status, 1);
});

for (const accel of ["jit", "interp"] as const) {
  Deno.test(`guest, ${accel}: an interrupt-driven echo loses nothing`, async () => {
    const text = Array.from({ length: 3000 }, (_, i) => `${i};`).join("");
    const ran = await run(
      `
  gate 0x24, serial
  outb 0x3fa, 0xc7
  outb 0x3fb, 0x03
  outb 0x3fc, 0x0b
  outb 0x3f9, 0x01
  outb 0x21, 0xef
  mov esi, 0x300000       ; reader of the ring
  mov edi, 0x300000       ; writer
  mov al, '!'
  call put
  sti
idle:
  hlt
  jmp idle
serial:
  pushad
.next:
  mov dx, 0x3fa
  in al, dx
  test al, 1
  jnz .done
  and al, 0x0f
  cmp al, 2
  je .transmit
.receive:
  mov dx, 0x3fd
  in al, dx
  test al, 1
  jz .next
  mov dx, 0x3f8
  in al, dx
  cmp al, 4               ; Ctrl-D ends it
  je .end
  mov edi, [writer]
  mov [edi], al
  inc dword [writer]
  outb 0x3f9, 3
  jmp .receive
.transmit:
  mov esi, [reader]
  cmp esi, [writer]
  je .empty
  mov al, [esi]
  inc dword [reader]
  mov dx, 0x3f8
  out dx, al
  jmp .next
.empty:
  cmp byte [ending], 0
  jne .exit
  outb 0x3f9, 1
  jmp .next
.end:
  mov byte [ending], 1
  outb 0x3f9, 3
  jmp .next
.exit:
  outb 0xf4, 0
.done:
  outb 0x20, 0x20
  popad
  iret
reader: dd 0x300000
writer: dd 0x300000
ending: db 0
`,
      {
        accel,
        meanwhile: async (machine) => {
          const serial = machine.serial(0);
          await serial.expect("!");
          await serial.write(text + "\x04");
        },
      },
    );
    if (ran === undefined) return;
    assertEquals(ran.output, "!" + text);
    assertEquals(ran.result.status, 1);
  });
}

Deno.test("the CMOS tells the size of the machine's memory", async () => {
  for (
    const [memory, base, extended, above16M] of [
      ["1M", 640, 0, 0],
      ["16M", 640, 15 * 1024, 0],
      ["96M", 640, 0xffff, 80 * 16],
    ] as const
  ) {
    await using machine = await Machine.load(ISAPC, { memory });
    const ports = machine.space("ports");
    const word = (index: number): number => {
      ports.write(0x70, 1, index);
      const low = ports.read(0x71, 1);
      ports.write(0x70, 1, index + 1);
      return low | ports.read(0x71, 1) << 8;
    };
    assertEquals(word(0x15), base);
    assertEquals([word(0x17), word(0x30)], [extended, extended]);
    assertEquals(word(0x34), above16M);
  }
});

for (
  const [name, code] of [
    ["the keyboard controller's pulse", "outb 0x64, 0xfe"],
    ["port 92h", "outb 0x92, 0x03"],
    ["the keyboard controller's output port", "outb 0x64, 0xd1\n outb 0x60, 0"],
  ]
) {
  Deno.test(`guest: ${name} resets the machine`, async () => {
    const ran = await run(`${code}\n.wait: jmp .wait`);
    if (ran === undefined) return;
    assertEquals(ran.result.reason, "reset");
  });
}

for (const accel of ["jit", "interp"] as const) {
  Deno.test(`guest, ${accel}: a reset boots again from a fresh state`, async () => {
    // The CMOS counts the boots. What each leaves behind, its changed code
    // first of all, must be gone in the next.
    const ran = await run(
      `
  mov edi, 5000           ; long enough to be compiled
.work:
  call letter
  dec edi
  jnz .work
  mov al, bl
  call put
  cmp byte [letter + 1], 'A'
  jne .bad
  mov byte [letter + 1], 'B'
  mov edi, 5000
.again:
  call letter
  dec edi
  jnz .again
  mov al, bl
  call put
  fnstcw [0x500]
  cmp word [0x500], 0x40  ; as a reset leaves it
  jne .bad
  fninit
  push 0x37b
  fldcw [esp]
  fldz
  fld1
  fdivrp                  ; FERR# stays active
  outb 0x70, 0x50
  in al, 0x71
  cmp al, 3
  je .enough
  inc al
  out 0x71, al
  outb 0x92, 0            ; A20 off
  outb 0x64, 0xfe
.wait: jmp .wait
.enough:
  outb 0xf4, 3
.bad:
  outb 0xf4, 4
letter:
  mov bl, 'A'
  ret
`,
      { accel, reboot: true },
    );
    if (ran === undefined) return;
    assertEquals(ran.output, "ABABABAB");
    assertEquals(ran.result, { reason: "exit", status: 7 });
  });
}

Deno.test("guest: a triple fault ends the run where resets boot again", async () => {
  const ran = await run("lidt [.none]\n int3\n.none: dw 0\n dd 0", {
    reboot: true,
  });
  if (ran === undefined) return;
  assertEquals([ran.result.reason, ran.result.status], ["shutdown", 1]);
});

Deno.test("guest: A20 off wraps at 1 MiB", async () => {
  const ran = await run(`
  mov byte [0x0500], 0x11
  mov byte [0x300500], 0x22
  outb 0x92, 0
  outb 0x64, 0xdd
  mov al, [0x300500]      ; bit 20 is masked: 200500h
  mov byte [0x300500], 0x33
  outb 0x64, 0xdf
  mov al, [0x200500]
  cmp al, 0x33
  jne .bad
  mov al, [0x300500]
  cmp al, 0x22
  jne .bad
  outb 0xf4, 0
.bad:
  outb 0xf4, 1
`);
  if (ran === undefined) return;
  assertEquals(ran.result.status, 1);
});

Deno.test("guest: a HLT with interrupts off ends the run, and says where", async () => {
  const ran = await run("cli\n hlt");
  if (ran === undefined) return;
  assertEquals(ran.result.reason, "halt");
  assert(ran.result.where !== undefined);
});

for (const accel of ["jit", "interp"] as const) {
  Deno.test(`guest, ${accel}: x87 exceptions come as IRQ 13 while CR0.NE is clear`, async () => {
    // Each handler writes whether it was entered at [expected]; "x": a waiting
    // instruction has gone on with IGNNE#.
    const ran = await run(
      `
%macro divide 0          ; 1 / 0
  fninit
  fldcw [unmasked]
  fldz
  fld1
  fdivrp
%endmacro
  gate 0x20, tick
  gate 0x2d, error
  outb 0x43, 0x34
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
  outb 0x21, 0xfb
  outb 0xa1, 0xdf
  ; The instruction after STI runs in its shadow, but it must wait.
  mov dword [expected], .first
  divide
  sti
.first:
  fwait
  cli
  mov al, '1'
  call put
  ; A frozen instruction begins anew after any interrupt.
  outb 0x21, 0xfa
  outb 0xa1, 0xff
  mov dword [expected], .second
  divide
  sti
.second:
  fld1
  cli
  mov al, '2'
  call put
  ; FNCLEX alone takes FERR# back, not the latched interrupt.
  outb 0x21, 0xff
  outb 0xa1, 0xff
  divide
  fnclex
  fwait
  outb 0xa0, 0x0a
  in al, 0xa0
  test al, 0x20
  jz .bad
  outb 0xf0, 0
  in al, 0xa0
  test al, 0x20
  jnz .bad
  ; With CR0.NE set it is #MF, and nobody hears of FERR#.
  gate 0x10, fault
  mov eax, cr0
  or eax, 0x20
  mov cr0, eax
  mov dword [expected], .third
  divide
.third:
  fwait
  in al, 0xa0
  test al, 0x20
  jnz .bad
  ; Until it is clear again.
  divide
  mov eax, cr0
  and eax, ~0x20
  mov cr0, eax
  in al, 0xa0
  test al, 0x20
  jz .bad
  outb 0xf4, 0
.bad:
  outb 0xf4, 1
unmasked: dw 0x37b
align 4
expected: dd 0
where:                    ; whether EIP at [esp + 8] is [expected]
  mov eax, [esp + 8]
  cmp eax, [expected]
  mov al, 'y'
  je put
  mov al, 'n'
  jmp put
error:
  push eax
  call where
  outb 0xf0, 0
  fld1                    ; goes on
  fstp st0
  mov al, 'x'
  call put
  fnclex
  outb 0xa0, 0x20
  outb 0x20, 0x20
  pop eax
  iret
tick:
  push eax
  call where
  mov al, 't'
  call put
  outb 0x21, 0xfb
  outb 0xa1, 0xdf
  outb 0x20, 0x20
  pop eax
  iret
fault:
  push eax
  call where
  mov al, 'm'
  call put
  fnclex
  pop eax
  iret
`,
      { accel },
    );
    if (ran === undefined) return;
    assertEquals(ran.output, "yx1ytyx2ym");
    assertEquals(ran.result.status, 1);
  });
}

Deno.test("guest: an x87 instruction that waits with interrupts off halts", async () => {
  const ran = await run(`
  fninit
  push 0x37b
  fldcw [esp]
  fldz
  fld1
  fdivrp
  fwait
  outb 0xf4, 0
`);
  if (ran === undefined) return;
  assertEquals(ran.result.reason, "halt");
});
