/** Watchpoints stop where they do in QEMU under gdb. */

import { assert, assertEquals } from "@std/assert";
import type { WatchAccess } from "../../core/debug/contract.ts";
import { hasProgram } from "../programs.ts";
import { type Guest, guest, load } from "./guest.ts";

/** What is watched: four bytes. */
const WATCHED = 0x180100;

/** Accesses of many kinds to what is watched, and beside it. Stores always change it. */
const SOURCE = `
start:
  mov esp, 0x200000
  cld
  fninit
  mov ecx, 40
again:
  mov [0x180100], ecx
  mov eax, [0x180100]
  mov eax, [0x1800fc]
  mov eax, [0x1800fd]
  inc dword [0x180102]
  mov [0x180104], ecx
  xchg [0x180100], eax
  or ecx, 0x7f0000
  lock xadd [0x1800fe], ecx
  mov ecx, [0x1800fe]
  add byte [0x180103], 5
  bt dword [0x180100], 3
  bts dword [0x1800f0], 131
  btr dword [0x1800f0], 131
  mov edi, 0x1800f8
  mov esi, 0x181000
  mov [0x181008], ecx
  push ecx
  mov ecx, 4
  rep movsd
  mov edi, 0x1800fa
  mov eax, [esp]
  not eax
  mov ecx, 4            ; QEMU is still at it after the last one
  rep stosd
  mov esi, 0x1800fe
  lodsd
  mov esi, 0x180100
  mov edi, 0x180200
  cmpsd
  mov edi, 0x180101
  scasb
  pop ecx
  mov ebp, esp
  mov esp, 0x180104
  push ecx
  pop eax
  pop eax
  mov esp, 0x180104
  call leaf
  push ebp
  mov esp, ebp
  fld dword [0x180100]
  fistp dword [0x180200]
  sub dword [0x180100], 77
  test [0x180100], eax
  cmp byte [0x1800ff], 1
  and ecx, 63
  dec ecx
  test ecx, ecx
  jle done
  cmp dword [count], 12
  inc dword [count]
  jb again
done:
  mov al, 0
  out 0xf4, al
  hlt
leaf:
  add dword [0x180104], 0
  ret
align 4
count: dd 0
`;

/** gdb's command for each kind. */
const COMMANDS: Readonly<Record<WatchAccess, string>> = {
  read: "rwatch",
  write: "watch",
  access: "awatch",
};

/** Where gdb stops in QEMU. */
async function inQemu(kernel: string, access: WatchAccess): Promise<number[]> {
  const commands = [
    "set pagination off",
    "set confirm off",
    "set architecture i386",
    `target remote | qemu-system-i386 -accel tcg -S -gdb stdio -kernel ${kernel} -display none -serial none -monitor none -m 16 -device isa-debug-exit,iobase=0xf4`,
    `${COMMANDS[access]} *(int *)${WATCHED}`,
    'while 1\ncontinue\nprintf "stop %x\\n", $pc\nend',
  ];
  const script = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(script, commands.join("\n"));
    const { stdout } = await new Deno.Command("gdb", {
      args: ["-nx", "-batch", "-x", script],
      stderr: "null",
      signal: AbortSignal.timeout(60_000),
    }).output();
    const text = new TextDecoder().decode(stdout);
    return [...text.matchAll(/^stop ([0-9a-f]+)$/gm)].map(([, pc]) =>
      parseInt(pc, 16)
    );
  } finally {
    await Deno.remove(script);
  }
}

/**
 * Stops, those at one place after each other as one: QEMU stops once more at
 * some instructions that access twice.
 */
function places(pcs: readonly number[]): string[] {
  return pcs.filter((pc, i) => pc !== pcs[i - 1]).map((pc) => pc.toString(16));
}

/** Where Rhea's debugger stops. */
async function inRhea(
  g: Guest,
  access: WatchAccess,
  accel: "interp" | "jit",
): Promise<number[]> {
  await using machine = await load(g, { accel, threshold: 2 });
  const debug = await machine.debug();
  debug.setWatchpoint({ address: WATCHED, size: 4, access });
  const pcs: number[] = [];
  for (;;) {
    const stop = await debug.resume();
    if (stop.kind === "end") return pcs;
    assertEquals(stop.kind, "watchpoint");
    pcs.push(debug.cpus[0].pc);
  }
}

const made = await guest(SOURCE);
const missing = ["gdb", "qemu-system-i386"].filter((tool) => !hasProgram(tool));
if (made === undefined) missing.push("nasm");
const skipped = missing.length === 0
  ? ""
  : ` (skipped: there is no ${missing.join(", no ")})`;

for (const access of ["access", "read", "write"] as const) {
  Deno.test(`watchpoints stop where QEMU's do: ${access}${skipped}`, async () => {
    if (made === undefined || missing.length > 0) return;
    const expected = await inQemu(made.kernel, access);
    assert(expected.length > 100);
    for (const accel of ["interp", "jit"] as const) {
      const pcs = await inRhea(made, access, accel);
      assertEquals(places(pcs), places(expected), accel);
    }
  });
}
