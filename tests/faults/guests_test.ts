import { assert, assertEquals } from "@std/assert";
import { Prng } from "../differential/prng.ts";
import { assemble, multiboot, run } from "./guest.ts";

const ACCELS = ["interp", "jit"] as const;

Deno.test("faults: guests of garbage neither crash nor hang", async () => {
  const p = new Prng(11);
  for (let i = 0; i < 24; i++) {
    const size = 4096 << p.below(4);
    // Noise, or noise thinned with NOP-like bytes so that it runs longer.
    const thin = p.oneIn(2);
    const code = Uint8Array.from(
      { length: size },
      () =>
        thin && !p.oneIn(4)
          ? p.pick([0x40, 0x90, 0x31, 0xc0, 0x74])
          : p.below(256),
    );
    await run(multiboot(code), { accel: ACCELS[i & 1], milliseconds: 100 });
  }
});

/** Assembly that ends the machine with status `(v << 1) | 1`. */
const exit = (v: number): string => `
  mov al, ${v}
  out 0xf4, al
.dead: hlt
  jmp .dead`;

async function guest(source: string): Promise<Uint8Array | undefined> {
  const code = await assemble(source);
  if (code === undefined) console.log("skipped: nasm is not installed");
  return code && multiboot(code);
}

for (const accel of ACCELS) {
  Deno.test(`faults, ${accel}: a jump to unmapped memory ends in a triple fault`, async () => {
    for (
      const target of ["0xf0000000", "0xfffffff0", "0x0a0000", "0x4000000"]
    ) {
      const kernel = await guest(`mov eax, ${target}\n jmp eax`);
      if (kernel === undefined) return;
      // All ones is an undefined instruction, without an IDT a triple fault.
      const { result } = await run(kernel, { accel, milliseconds: 2000 });
      assertEquals(result.reason, "shutdown", target);
    }
  });

  Deno.test(`faults, ${accel}: every port, read and written at every width`, async () => {
    // Ports that end or reset the machine are left out here.
    const kernel = await guest(`
  mov esp, 0x180000
  mov ebx, patterns
pass:
  xor edx, edx
port:
  in al, dx
  in ax, dx
  in eax, dx
  mov esi, forbidden
check:
  movzx ecx, word [esi]
  jecxz allowed
  sub ecx, edx
  cmp ecx, 4 ; a double word reaches three ports further
  jb next
  add esi, 2
  jmp check
allowed:
  mov eax, [ebx]
  out dx, al
  out dx, ax
  out dx, eax
next:
  inc edx
  cmp edx, 0x10000
  jb port
  add ebx, 4
  cmp ebx, patterns.end
  jb pass
${exit(0x15)}
forbidden: dw 0x64, 0x92, 0xf4, 0xf5, 0xf6, 0xf7, 0
align 4
patterns: dd 0, 0xffffffff, 0x55aa1234, 0x80017ffe
.end:`);
    if (kernel === undefined) return;
    const { result } = await run(kernel, { accel, milliseconds: 20000 });
    assertEquals([result.reason, result.status], ["exit", 0x2b]);
  });

  Deno.test(`faults, ${accel}: ports that end or reset the machine do just that`, async () => {
    for (const port of ["0x64", "0x92", "0xf4"]) {
      for (const value of ["0xff", "0", "1", "0xfe", "0xd1"]) {
        const kernel = await guest(`
  mov al, ${value}
  mov dx, ${port}
  out dx, al
  out dx, ax
  out dx, eax
${exit(1)}`);
        if (kernel === undefined) return;
        const { result } = await run(kernel, { accel, milliseconds: 2000 });
        assert(
          ["exit", "reset"].includes(result.reason),
          `${port} ${value}: ${result.reason}`,
        );
      }
    }
  });

  Deno.test(`faults, ${accel}: all of the physical address space, at every width`, async () => {
    // Everything but the guest's own megabyte, a few places a page, misaligned
    // and across pages too.
    const kernel = await guest(`
  mov esp, 0x180000
  mov edi, 0xa0000
  call range.low
  mov edi, 0x200000
  call range.high
${exit(3)}
range:
.low:
  mov ebp, 0x100000
  jmp .go
.high:
  xor ebp, ebp
.go:
  mov al, [edi]
  mov ax, [edi+1]
  mov eax, [edi+3]
  mov [edi], al
  mov [edi+1], ax
  mov [edi+3], eax
  mov ecx, [edi+0xffe]
  mov [edi+0xffe], ecx
  fld qword [edi+8]
  fstp qword [edi+16]
  movups xmm0, [edi+0xff8]
  movups [edi+0xff8], xmm0
  lock inc dword [edi+32]
  add edi, 0x1000
  cmp edi, ebp
  jne .go
  ret`.replace(
      "mov esp, 0x180000",
      `mov esp, 0x180000
  mov eax, cr4
  or eax, 0x600
  mov cr4, eax
  fninit`,
    ));
    if (kernel === undefined) return;
    const { result } = await run(kernel, { accel, milliseconds: 60000 });
    assertEquals([result.reason, result.status], ["exit", 7]);
  });
}

Deno.test("faults: a guest that keeps making code uses bounded memory", async () => {
  // A ring of 1 MiB of code that is written anew and called, for ever.
  const kernel = await guest(`
  mov esp, 0x180000
  xor ebx, ebx
again:
  mov edi, 0x200000
fill:
  imul ebx, ebx, 69069
  inc ebx
  mov eax, ebx
  shr eax, 16
  mov byte [edi], 0x04 ; ADD AL, imm8
  mov [edi+1], al
  mov byte [edi+2], 0x34 ; XOR AL, imm8
  mov [edi+3], ah
  mov byte [edi+4], 0xc3 ; RET
  mov ecx, 3
run:
  call edi
  loop run
  add edi, 32
  cmp edi, 0x300000
  jb fill
  jmp again`);
  if (kernel === undefined) return;
  // While the first twelve arenas fill, and from then on: the highest RSS, and
  // the least JavaScript heap. It takes so many because V8 collects the blocks
  // of past arenas, some 100 MiB each, and gives their pages back when it
  // likes: over 44 arenas RSS went up and down between 400 and 790 MiB.
  const rss = [0, 0];
  const live = [Infinity, Infinity];
  let translated = 0;
  const { result } = await run(kernel, {
    accel: "jit",
    milliseconds: 120_000,
    watch: ({ arenaFlushes, blocksTranslated }) => {
      const memory = Deno.memoryUsage();
      const phase = arenaFlushes <= 12 ? 0 : 1;
      rss[phase] = Math.max(rss[phase], memory.rss);
      // The heap of the first two arenas is not full yet.
      if (arenaFlushes > 2) {
        live[phase] = Math.min(live[phase], memory.heapUsed);
      }
      translated = blocksTranslated;
      return arenaFlushes > 20;
    },
  });
  assertEquals(result.reason, "stop");
  assert(translated > 50_000, `only ${translated} blocks`);
  assert(rss[1] > 0, "too few arenas were filled");
  const grown = rss[1] - rss[0];
  assert(grown < 192 << 20, `RSS grew by ${grown >> 20} MiB`);
  const kept = live[1] - live[0];
  assert(kept < 96 << 20, `the live heap grew by ${kept >> 20} MiB`);
});
