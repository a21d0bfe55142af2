/**
 * Accesses to devices and memory, as hooks tell of them: beside what a device
 * has seen itself, and what each instruction is known to access.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Machine,
  Machine as MachineMaker,
  type MachineOptions,
} from "../../machines/machine.ts";
import type { BusAccessEvent, WatchedAccess } from "../../core/debug/events.ts";
import { Prng, seedFrom } from "../differential/prng.ts";
import type { AccessProbe, Probed } from "../fixtures/access_probe.ts";
import { type Guest, guest } from "./guest.ts";

const PROBE = new URL("../fixtures/access_probe.ts", import.meta.url);
const PORT = 0x700;
const MMIO = 0xd0000;
const RAM = 0x180000;

/** A machine with the guest and a probe. */
async function load(
  { kernel }: Guest,
  { board = "isapc", ...options }: MachineOptions & {
    /** The machine that gets the probe. */
    readonly board?: string;
  } = {},
): Promise<Machine> {
  const path = new URL(`../../machines/${board}.json`, import.meta.url);
  const machine = await MachineMaker.load({
    extends: path.pathname,
    devices: {
      probe: { plugin: PROBE.pathname, at: { ports: PORT, memory: MMIO } },
    },
  }, {
    kernel,
    icount: true,
    noReboot: true,
    memory: "16M",
    cpu: "max",
    set: ["cpu.config.threshold=5", "time.precise=true"],
    ...options,
  });
  return machine;
}

/** What the probe has seen. */
function seenBy(machine: Machine): readonly Probed[] {
  return (machine.device("probe") as AccessProbe).seen;
}

const HEAD = `
start:
  mov esp, 0x1f0000
  lgdt [gdtr]
  jmp 8:flat
flat:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov eax, cr4
  or eax, 0x600
  mov cr4, eax
  fninit
`;
const TAIL = `
  xor eax, eax
  out 0xf4, al
  hlt
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
  dd gdt
`;

/** An instruction that accesses the probe, at a label, and what comes before it. */
function piece(label: string, p: Prng): string {
  const size = p.below(3);
  const [b, al] = [["b", "al"], ["w", "ax"], ["d", "eax"]][size];
  const unit = ["byte", "word", "dword"][size];
  const port = PORT + p.below(8);
  // Some of it across the two pages.
  const at = MMIO + (p.oneIn(3) ? 0xff0 + p.below(30) : p.below(8000));
  const count = 1 + p.below(5);
  const way = p.oneIn(4) ? "std" : "cld";
  const strings = (
    si: number,
    di: number,
    op: string,
    rep = "rep",
  ): string =>
    `${way}\n  mov esi, ${si}\n  mov edi, ${di}\n  mov ecx, ${count}\n` +
    `  mov edx, ${port}\n${label}: ${rep} ${op}${b}\n  cld`;
  const plain = (text: string): string => `mov edx, ${port}\n${label}: ${text}`;
  const all = [
    () => plain(`in ${al}, dx`),
    () => plain(`out dx, ${al}`),
    () => strings(0, RAM + 64, "ins"),
    () => strings(0, RAM + 64, "ins", ""),
    () => strings(RAM + 64, 0, "outs"),
    () => strings(at, RAM + 64, "movs"),
    () => strings(RAM + 64, at, "movs"),
    () => strings(at, MMIO + 0x800 + p.below(99), "movs"),
    () => strings(0, at, "stos"),
    () => strings(at, 0, "lods", ""),
    () => strings(at, RAM + 64, "cmps", "repe"),
    () => plain(`mov ${al}, [${at}]`),
    () => plain(`mov [${at}], ${al}`),
    () => plain(`inc ${unit} [${at}]`),
    () => plain(`xchg [${at}], ${al}`),
    () => plain(`lock cmpxchg [${at}], ${al}`),
    () => plain(`lock xadd [${at}], ${al}`),
    () => plain(`push dword [${at}]\n  pop ebx`),
    () => plain(`fld qword [${at}]\n  fstp st0`),
    () => plain(`movups xmm0, [${at}]`),
    () => plain(`movups [${at}], xmm0`),
  ];
  return `  ${all[p.below(all.length)]()}\n`;
}

const COUNT = 60;

/** A random program that accesses the probe: some rounds of the same. */
function program(p: Prng, rounds: number): string {
  let text = `${HEAD}\n  mov ebp, ${rounds}\nround:\n`;
  for (let i = 0; i < COUNT; i++) text += piece(`access${i}`, p);
  return `${text}\n  dec ebp\n  jnz near round\n${TAIL}`;
}

function bus(machine: Machine): Promise<BusAccessEvent[]> {
  const told: BusAccessEvent[] = [];
  const filter = { address: PORT, size: 16 };
  const listener = (event: BusAccessEvent): void => void told.push(event);
  return Promise.all([
    machine.on("port", listener, filter),
    machine.on("mmio", listener, { address: MMIO, size: 8192 }),
  ]).then(() => told);
}

/** What was told, as the probe has it. */
function asProbed(told: readonly BusAccessEvent[]): Probed[] {
  return told.map(({ region, address, width, value, access, cpu }) => {
    const space = region === "probe.ports" ? "port" : "mmio";
    const offset = address - (space === "port" ? PORT : MMIO);
    return { space, offset, width, value, access, cpu: cpu! };
  });
}

const seed = seedFrom(Date.now() % 1_000_000);
const made = await guest(program(new Prng(seed), 12));
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

for (const accel of ["interp", "jit"] as const) {
  Deno.test(`accesses to a device are told as it has seen them, with the instruction: ${accel}${skipped}`, async () => {
    if (made === undefined) return;
    await using plain = await load(made, { accel });
    const result = await plain.run();
    await using machine = await load(made, { accel });
    const told = await bus(machine);
    // By a byte in the midst of one.
    const wide = seenBy(plain).find((s) => s.space === "mmio" && s.width > 1)!;
    const byte = MMIO + wide.offset + 1;
    const inner: BusAccessEvent[] = [];
    await machine.on("mmio", (e) => inner.push(e), { address: byte });
    assertEquals(await machine.run(), result, `seed ${seed}`);
    assert(inner.length > 0);
    const reach = ({ address, width }: BusAccessEvent): boolean =>
      address <= byte && byte < address + width;
    assertEquals(
      inner,
      told.filter((e) => e.address >= MMIO && reach(e)),
    );
    const seen = seenBy(machine);
    assert(seen.length > 500);
    assertEquals(seen, seenBy(plain), `seed ${seed}`);
    assertEquals(asProbed(told), seen, `seed ${seed}`);
    // Each piece in its turn.
    const labels = Array.from(
      { length: COUNT },
      (_, i) => made.at(`access${i}`),
    );
    const pcs = told.map(({ pc }) => labels.indexOf(pc!));
    assert(pcs.every((i) => i >= 0), `seed ${seed}`);
    const turns = pcs.filter((i, n) => n === 0 || i !== pcs[n - 1]);
    const accessing = [...new Set(turns)].sort((a, b) => a - b);
    assertEquals(
      turns,
      turns.map((_, n) => accessing[n % accessing.length]),
      `seed ${seed}`,
    );
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
  });
}

/** The second CPU starts in real mode at 8000h. */
const SMP = `${HEAD}
  mov esi, trampoline
  mov edi, 0x8000
  mov ecx, trampoline_end - trampoline
  rep movsb
  mov eax, [0xfee000f0]
  or eax, 0x100
  mov [0xfee000f0], eax
  mov dword [0xfee00300], 0xc4500
  mov dword [0xfee00300], 0xc4608
  mov ecx, 200
mine:
  mov edx, ${PORT + 1}
  mov al, cl
  out dx, al
  mov [${MMIO} + ecx], cl
  pause
  loop mine
finish:
  cmp dword [0x90000], 200
  pause
  jne finish
${TAIL}
trampoline:
bits 16
  mov ax, 0x9000
  mov ds, ax
  mov ax, ${MMIO >> 4}
  mov es, ax
  mov cx, 200
theirs:
  mov dx, ${PORT + 2}
  in ax, dx
  mov bx, cx
  inc word [es:bx]
  inc dword [0]
  pause
  loop theirs
  hlt
bits 32
trampoline_end:
`;

Deno.test(
  `of several CPUs it is told which one accesses a device${skipped}`,
  async () => {
    const both = await guest(SMP);
    if (both === undefined) return;
    for (const accel of ["interp", "jit"] as const) {
      const options = { accel, smp: 2, board: "pc", memory: "32M" };
      await using machine = await load(both, options);
      const told = await bus(machine);
      const mine: BusAccessEvent[] = [];
      await machine.on("port", (e) => mine.push(e), { cpu: 1, access: "read" });
      assertEquals((await machine.run()).reason, "exit");
      const seen = seenBy(machine);
      assertEquals(asProbed(told), seen);
      for (const cpu of [0, 1]) {
        assert(seen.filter((s) => s.cpu === cpu).length >= 400, `CPU ${cpu}`);
      }
      assertEquals(
        mine,
        told.filter((e) =>
          e.region === "probe.ports" && e.cpu === 1 && e.access === "read"
        ),
      );
    }
    await both.remove();
  },
);

/** An instruction, and what it is to access of the bytes from RAM on: `r` or `w`, first byte, how many. */
const ACCESSES: readonly [
  string,
  readonly (readonly [string, number, number])[],
][] = [
  ["mov al, [RAM + 3]", [["r", 3, 1]]],
  ["mov ax, [RAM + 3]", [["r", 3, 2]]],
  ["mov eax, [RAM + 5]", [["r", 5, 4]]],
  ["mov [RAM + 2], ax", [["w", 2, 2]]],
  // Over the edges of what is watched.
  ["mov eax, [RAM - 2]", [["r", 0, 2]]],
  ["mov [RAM - 3], eax", [["w", 0, 1]]],
  ["mov eax, [RAM - 4]", []],
  ["mov [RAM + 8192], eax", []],
  ["mov [RAM + 8190], eax", [["w", 8190, 2]]],
  // Across two pages.
  ["mov eax, [RAM + 4094]", [["r", 4094, 4]]],
  ["mov [RAM + 4093], eax", [["w", 4093, 4]]],
  ["inc word [RAM + 4095]", [["r", 4095, 2], ["w", 4095, 2]]],
  // Reads and writes.
  ["inc dword [RAM + 8]", [["r", 8, 4], ["w", 8, 4]]],
  ["xchg [RAM + 8], al", [["r", 8, 1], ["w", 8, 1]]],
  ["lock xadd [RAM + 8], eax", [["r", 8, 4], ["w", 8, 4]]],
  ["lock cmpxchg8b [RAM + 16]", [["r", 16, 8], ["w", 16, 8]]],
  ["cmp dword [RAM + 8], 5", [["r", 8, 4]]],
  ["bts dword [RAM + 4], 3", [["r", 4, 4], ["w", 4, 4]]],
  ["push dword [RAM + 12]\n  pop dword [RAM + 32]", [["r", 12, 4], [
    "w",
    32,
    4,
  ]]],
  // Strings, element by element.
  ["mov esi, RAM + 4\n  mov edi, RAM + 64\n  mov ecx, 3\n  rep movsb", [
    ["r", 4, 1],
    ["w", 64, 1],
    ["r", 5, 1],
    ["w", 65, 1],
    ["r", 6, 1],
    ["w", 66, 1],
  ]],
  ["mov edi, RAM + 4092\n  mov ecx, 3\n  rep stosd", [
    ["w", 4092, 4],
    ["w", 4096, 4],
    ["w", 4100, 4],
  ]],
  ["mov edi, RAM + 8\n  mov ecx, 2\n  std\n  rep stosw\n  cld", [["w", 8, 2], [
    "w",
    6,
    2,
  ]]],
  ["mov esi, RAM + 8\n  lodsd", [["r", 8, 4]]],
  // x87, MMX, SSE, AVX.
  ["fld dword [RAM + 4]\n  fstp qword [RAM + 16]", [["r", 4, 4], ["w", 16, 8]]],
  ["fld tword [RAM + 8]\n  fstp tword [RAM + 32]", [["r", 8, 10], [
    "w",
    32,
    10,
  ]]],
  ["fild word [RAM + 4]\n  fistp dword [RAM + 8]", [["r", 4, 2], ["w", 8, 4]]],
  ["fnstenv [RAM + 64]", [["w", 64, 28]]],
  ["fxsave [RAM + 512]", [["w", 512, 288]]],
  ["movq mm0, [RAM + 3]\n  movq [RAM + 13], mm0\n  emms", [["r", 3, 8], [
    "w",
    13,
    8,
  ]]],
  ["movups xmm0, [RAM + 1]\n  movups [RAM + 33], xmm0", [["r", 1, 16], [
    "w",
    33,
    16,
  ]]],
  ["movups xmm0, [RAM + 4090]", [["r", 4090, 16]]],
  ["movups [RAM + 4088], xmm0", [["w", 4088, 16]]],
  ["movss xmm1, [RAM + 4]\n  addsd xmm1, [RAM + 8]", [["r", 4, 4], [
    "r",
    8,
    8,
  ]]],
  ["movups xmm0, [RAM - 8]", [["r", 0, 8]]],
  // What the CPU does by itself.
  ["lidt [RAM + 6]", [["r", 6, 6]]],
  ["sgdt [RAM + 16]", [["w", 16, 6]]],
  ["mov esp, RAM + 16\n  push eax\n  pop ecx\n  mov esp, 0x1f0000", [[
    "w",
    12,
    4,
  ], ["r", 12, 4]]],
  ["mov esp, RAM + 64\n  pusha\n  mov esp, 0x1f0000", [["w", 32, 32]]],
  ["mov esp, RAM + 16\n  call $ + 5\n  mov esp, 0x1f0000", [["w", 12, 4]]],
];

const tabled = await guest(
  `%define RAM ${RAM}\n${HEAD}\n  mov dword [RAM + 4], 0\n  mov ebp, 8\nround:\n` +
    ACCESSES.map(([text], i) =>
      `  mov eax, ${i}\n  mov [0x1e0000], eax\n  ${text}\n`
    ).join("") +
    `  mov dword [0x1e0000], -1\n  dec ebp\n  jnz near round\n${TAIL}`,
);

for (const accel of ["interp", "jit"] as const) {
  for (const space of ["linear", "physical"] as const) {
    Deno.test(`each instruction's accesses to watched memory are told once: ${space}, ${accel}${skipped}`, async () => {
      if (tabled === undefined) return;
      await using machine = await load(tabled, { accel });
      const told: (readonly [string, number, number])[][] = [];
      const current = new Uint8Array(4);
      const memory = machine.space("memory");
      let last = -1;
      await machine.watch(
        { address: 0x1e0000, size: 4, access: "write" },
        () => {
          memory.peek(0x1e0000, current);
          last = new DataView(current.buffer).getInt32(0, true);
          if (last >= 0) told.push([]);
        },
      );
      await machine.watch(
        { address: RAM, size: 8192, access: "access", space },
        ({ access, address, cpu, device, size }) => {
          assertEquals([cpu, device], [0, undefined]);
          if (last < 0) return;
          told.at(-1)!.push([access[0], address - RAM, size]);
        },
      );
      assertEquals((await machine.run()).reason, "exit");
      assertEquals(told.length, 8 * ACCESSES.length);
      const got = told.map((
        list,
        n,
      ) => [ACCESSES[n % ACCESSES.length][0], list]);
      const wanted = told.map((_, n) => ACCESSES[n % ACCESSES.length]);
      assertEquals(got, wanted);
    });
  }
}

const DMA = `${HEAD}
  mov edx, ${PORT + 12}
  mov ecx, 50
again:
  mov eax, ${RAM + 4}
  out dx, eax
called:
  mov eax, [${RAM + 8}]
  loop again
${TAIL}`;

Deno.test(`what devices do to memory is told by the device, and what instructions are executed${skipped}`, async () => {
  const busy = await guest(DMA);
  if (busy === undefined) return;
  for (const accel of ["interp", "jit"] as const) {
    await using plain = await load(busy, { accel });
    const result = await plain.run();
    await using machine = await load(busy, { accel });
    const all: WatchedAccess[] = [];
    const devices: WatchedAccess[] = [];
    const linear: WatchedAccess[] = [];
    const executed: WatchedAccess[] = [];
    const events: unknown[] = [];
    const range = { address: RAM + 6, size: 6, access: "access" } as const;
    const listener = (to: WatchedAccess[]) => (e: WatchedAccess): void =>
      void to.push(e);
    await machine.watch({ ...range, space: "physical" }, listener(all));
    await machine.watch(
      { ...range, access: "write", space: "physical", by: "device" },
      listener(devices),
    );
    await machine.watch(range, listener(linear));
    await machine.watch(
      { address: busy.at("called"), size: 2, access: "execute" },
      listener(executed),
    );
    await machine.on("device", ({ data }) => void events.push(data), {
      device: "probe",
      event: "dma",
    });
    assertEquals(await machine.run(), result);
    assertEquals(machine.cpu.instructions, plain.cpu.instructions);
    const by = { cpu: undefined, pc: undefined, device: "probe" };
    const cpu = { cpu: 0, pc: busy.at("called"), device: undefined };
    const write = {
      ...by,
      address: RAM + 6,
      size: 4,
      access: "write",
    } as const;
    const read = { ...cpu, address: RAM + 8, size: 4, access: "read" } as const;
    assertEquals(all.length, 150);
    for (let i = 0; i < 150; i += 3) {
      assertEquals(all.slice(i, i + 3), [
        write,
        { ...by, address: RAM + 10, size: 2, access: "read" },
        read,
      ]);
    }
    assertEquals(devices, new Array(50).fill(write));
    assertEquals(linear, new Array(50).fill(read));
    const fetched = { ...cpu, address: cpu.pc, size: 1, access: "execute" };
    assertEquals(executed, new Array(50).fill(fetched));
    assertEquals(events.slice(0, 2), [
      { address: RAM + 4, size: 6, write: true },
      { address: RAM + 10, size: 3, write: false },
    ]);
    for (
      const watch of [
        { ...range, by: "device" },
        { ...range, access: "execute", space: "physical" },
        { ...range, access: "execute", by: "any" },
        { ...range, access: "execute", size: 2 ** 17 },
        { ...range, size: 2 ** 21 },
        { ...range, address: 0.5 },
      ] as const
    ) {
      await assertRejects(() => machine.watch(watch, () => {}), RangeError);
    }
    await assertRejects(
      () => machine.on("device", () => {}, { device: "prob" }),
      RangeError,
      'did you mean "probe"?',
    );
  }
  await busy.remove();
});

Deno.test({
  name: "remove the guests",
  fn: async () => {
    await made?.remove();
    await tabled?.remove();
  },
});
