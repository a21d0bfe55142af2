/**
 * Watches and hooks where memory ends and changes: RAM's end, ROM, a device's
 * registers and the borders between them, registers that the guest moves, and
 * thousands of watches at once.
 */

import { assert, assertEquals } from "@std/assert";
import type { BusAccessEvent, WatchedAccess } from "../../core/debug/events.ts";
import { guest, load } from "./guest.ts";

/** 32 MiB of RAM end here. */
const END = 0x2000000;
const ROM = 0xfff00;
const FIRST_BAR = 0xe1000000, SECOND_BAR = 0xe2000000;

const BORDERS = `
start:
  mov esp, 0x180000
  mov ebp, 20
round:
  ; RAM's end: 2 bytes of it, and nothing.
ram_read:
  mov eax, [${END - 2}]
ram_write:
  mov [${END - 2}], eax
behind:
  mov eax, [${END}]
  ; The end of RAM under video memory, and that.
video_read:
  mov eax, [0x9fffe]
video_write:
  mov [0x9fffe], eax
  ; ROM: a write changes nothing.
rom_read:
  mov eax, [${ROM}]
rom_write:
  mov [${ROM}], eax
  ; The registers of the e1000: CTRL, at one address and at another.
  mov edx, 0xcf8
  mov eax, 0x80001810
  out dx, eax
  mov edx, 0xcfc
  mov eax, ${FIRST_BAR}
  out dx, eax
  mov edx, 0xcf8
  mov eax, 0x80001804
  out dx, eax
  mov edx, 0xcfc
  mov eax, 6
  out dx, eax
first:
  mov eax, [${FIRST_BAR}]
  mov ebx, [${SECOND_BAR}]
  mov edx, 0xcf8
  mov eax, 0x80001810
  out dx, eax
  mov edx, 0xcfc
  mov eax, ${SECOND_BAR}
  out dx, eax
  mov eax, [${FIRST_BAR}]
second:
  mov [${SECOND_BAR}], ebx
  dec ebp
  jnz near round
  xor eax, eax
  out 0xf4, al
  hlt
`;

const made = await guest(BORDERS);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";
const ROUNDS = 20;

for (const accel of ["interp", "jit"] as const) {
  for (const space of ["linear", "physical"] as const) {
    Deno.test(`watches over the ends of RAM, ROM and devices, and over what moves: ${space}, ${accel}${skipped}`, async () => {
      if (made === undefined) return;
      const options = {
        accel,
        threshold: 2,
        definition: "pc.json",
        memory: "32M",
        set: ["time.precise=true"],
        nics: [{ network: "hub", config: { id: crypto.randomUUID() } }],
      };
      await using plain = await load(made, options);
      const result = await plain.run();
      await using machine = await load(made, options);
      const ranges = [
        [END - 4, 8],
        [0x9fffc, 8],
        [ROM - 4, 8],
        [FIRST_BAR, 4],
        [SECOND_BAR, 4],
      ];
      const told: WatchedAccess[] = [];
      for (const [address, size] of ranges) {
        await machine.watch(
          { address, size, access: "access", space, by: "cpu" },
          (access) => void told.push(access),
        );
      }
      const device: BusAccessEvent[] = [];
      await machine.on("mmio", (event) => void device.push(event), {
        address: FIRST_BAR,
        size: SECOND_BAR + 4 - FIRST_BAR,
      });
      assertEquals(await machine.run(), result);
      assertEquals(machine.cpu.instructions, plain.cpu.instructions);
      assertEquals(machine.save().cpu, plain.save().cpu);
      const is = (
        at: number,
        size: number,
        access: string,
        label?: string,
      ): unknown => [label && made.at(label), at, size, access];
      const round = [
        is(END - 2, 4, "read", "ram_read"),
        is(END - 2, 4, "write", "ram_write"),
        is(END, 4, "read", "behind"),
        is(0x9fffe, 4, "read", "video_read"),
        is(0x9fffe, 4, "write", "video_write"),
        is(ROM, 4, "read", "rom_read"),
        is(ROM, 4, "write", "rom_write"),
        is(FIRST_BAR, 4, "read", "first"),
        is(SECOND_BAR, 4, "read"),
        is(FIRST_BAR, 4, "read"),
        is(SECOND_BAR, 4, "write", "second"),
      ];
      const labels = new Set(
        [...BORDERS.matchAll(/^(\w+):/gm)].map(([, l]) => made.at(l)),
      );
      const got = told.map(({ pc, address, size, access }) => [
        labels.has(pc!) ? pc : undefined,
        address,
        size,
        access,
      ]);
      assertEquals(got, Array.from({ length: ROUNDS }, () => round).flat());
      // The card answers where it stands then.
      assertEquals(
        device.map(({ pc, address, access }) => [pc, address, access]),
        Array.from({ length: ROUNDS }, () => [
          [made.at("first"), FIRST_BAR, "read"],
          [made.at("second"), SECOND_BAR, "write"],
        ]).flat(),
      );
    });
  }
}

const COUNT = 3000;
const MANY = `
start:
  mov ebp, 3
round:
  mov ecx, ${COUNT}
each:
  mov [0x180000 + 4 * ecx - 4], ecx
  dec ecx
  jnz each
  dec ebp
  jnz round
  xor eax, eax
  out 0xf4, al
  hlt
`;

Deno.test(`thousands of watches hear each of its own${skipped}`, async () => {
  const many = await guest(MANY);
  if (many === undefined) return;
  for (const accel of ["interp", "jit"] as const) {
    await using plain = await load(many, { accel });
    const result = await plain.run();
    await using machine = await load(many, { accel });
    const counts = new Int32Array(COUNT);
    const hooks = await Promise.all(
      Array.from({ length: COUNT }, (_, i) =>
        machine.watch(
          { address: 0x180000 + 4 * i + 1, size: 2, access: "write" },
          () => void counts[i]++,
        )),
    );
    assertEquals(await machine.run(), result);
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
    assert(counts.every((count) => count === 3));
    for (const hook of hooks) hook.remove();
  }
  await many.remove();
});

Deno.test({ name: "remove the guest", fn: async () => await made?.remove() });
