/**
 * Exceptions and interrupts of random programs, as hooks tell of them and as
 * the programs' own handlers have seen them.
 */

import { assert, assertEquals } from "@std/assert";
import { Prng, seedFrom } from "../differential/prng.ts";
import type { Machine } from "../../machines/machine.ts";
import { guest, load } from "./guest.ts";
import {
  ENTRY,
  exceptionsGuest,
  LOG,
  LOG_LOW,
  type Mode,
  TICK,
} from "./exceptions_guest.ts";

interface Seen {
  readonly vector: number;
  readonly error: number | undefined;
  readonly address: number | undefined;
  readonly pc: number;
}

/** What the handlers have written. */
function logOf(machine: Machine, mode: Mode, count: number): Seen[] {
  const wide = mode === "long";
  const size = wide ? 2 * ENTRY : ENTRY;
  const at = mode === "real" ? LOG_LOW + ENTRY : LOG;
  const bytes = new Uint8Array(count * size);
  machine.space("memory").peek(at, bytes);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, i) => {
    const [vector, error, cr2, pc] = [0, 1, 2, 3].map((n) =>
      wide
        ? Number(view.getBigInt64(i * size + 8 * n, true))
        : view.getInt32(i * size + 4 * n, true)
    );
    return {
      vector,
      error: error === -1 ? undefined : error,
      address: vector === 14 ? wide ? cr2 : cr2 >>> 0 : undefined,
      pc: wide ? pc : pc >>> 0,
    };
  });
}

const MODES: readonly Mode[] = ["real", "virtual-8086", "protected", "long"];

for (const mode of MODES) {
  const seed = seedFrom(Date.now() % 1_000_000);
  const made = await guest(exceptionsGuest(mode, new Prng(seed)));
  const skipped = made === undefined ? " (skipped: there is no nasm)" : "";
  for (const accel of ["interp", "jit"] as const) {
    Deno.test(`what hooks tell of a random program is what its handlers saw: ${mode} mode, ${accel}${skipped}`, async () => {
      if (made === undefined) return;
      await using machine = await load(made, { accel });
      const told: Seen[] = [];
      const kinds = { exception: 0, interrupt: 0, software: 0 };
      await machine.on("exception", ({ cpu, vector, error, address, pc }) => {
        assertEquals(cpu, 0);
        kinds.exception++;
        told.push({ vector, error, address, pc });
      });
      const none = { error: undefined, address: undefined };
      await machine.on("interrupt", ({ vector, pc }) => {
        assertEquals(vector, TICK);
        kinds.interrupt++;
        told.push({ vector, ...none, pc });
      });
      await machine.on("software-interrupt", ({ vector, pc }) => {
        assert(vector >= 0x40);
        kinds.software++;
        told.push({ vector, ...none, pc });
      });
      const { reason } = await machine.run();
      assertEquals(reason, "exit", `seed ${seed}`);
      const seen = logOf(machine, mode, told.length);
      assertEquals(told, seen, `seed ${seed}`);
      for (const [kind, count] of Object.entries(kinds)) {
        assert(count > 5, `${count} of ${kind}, seed ${seed}`);
      }
      // Nothing came behind.
      const [end] = logOf(machine, mode, told.length + 1).slice(-1);
      assertEquals(end.pc, 0);
    });
  }
  Deno.test({
    name: `remove the guest of ${mode} mode`,
    fn: () => made?.remove(),
  });
}

/** Handlers that are not present: of #GP (with #NP it is a double fault), of #UD (it is not); then none at all. */
const NESTED = `
start:
  mov esp, 0x1f0000
  lgdt [gdtr]
  jmp 8:flat
flat:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  lidt [idtr]
  mov ebx, second
  mov eax, 0x7f8
first: mov fs, ax
second:
  mov ebx, third
invalid: ud2
third:
  mov ebx, 0
  lidt [none]
last: int3
on_double:
  add esp, 4
  mov [esp], ebx
  iret
on_missing:
  pop dword [0x180000]
  mov [esp], ebx
  iret
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
  dd gdt
none: dw 0
  dd 0
%macro gate 1
  dw (%1 - $$ + 0x20) & 0xffff, 8, 0x8e00, (0x100020 + %1 - $$) >> 16
%endmacro
idt: times 8 dq 0x0e0000080000
  gate on_double
  times 2 dq 0x0e0000080000
  gate on_missing
  times 20 dq 0x0e0000080000
idtr: dw 32 * 8 - 1
  dd idt
`;

Deno.test("exceptions within exceptions are told, as is a double fault", async () => {
  const nested = await guest(NESTED);
  if (nested === undefined) return;
  for (const accel of ["interp", "jit"] as const) {
    await using machine = await load(nested, { accel });
    const told: (number | undefined)[][] = [];
    await machine.on(
      "exception",
      ({ vector, error, pc }) => void told.push([vector, error, pc]),
    );
    assertEquals((await machine.run()).reason, "shutdown");
    const word = new Uint8Array(4);
    machine.space("memory").peek(0x180000, word);
    const missing = new DataView(word.buffer).getUint32(0, true);
    // The gate's number, from the interrupt table.
    assertEquals(missing & ~1, 6 << 3 | 2);
    const [first, invalid, last] = ["first", "invalid", "last"].map(nested.at);
    assertEquals(told, [
      [13, 0x7f8, first],
      [8, 0, first],
      [6, undefined, invalid],
      [11, missing, invalid],
      // INT3 finds no table: a fault, a fault in its delivery, and the end.
      [13, 3 << 3 | 2, last],
      [8, 0, last],
    ]);
  }
  await nested.remove();
});
