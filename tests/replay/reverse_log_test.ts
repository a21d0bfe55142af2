/**
 * Going backwards beside a log of all that was executed, made while the run was
 * recorded: over interrupts, exceptions, repeated strings, what a disk wrote to
 * memory, and a reset.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../machines/machine.ts";
import { interrupts, PRELUDE } from "../devices/asm.ts";
import { type Guest, guest, load } from "../debug/guest.ts";
import { answers, missing, runGdb } from "../gdb/harness.ts";
import { within } from "../limit.ts";
import { type Place, placeOf, withFolder } from "./guests.ts";

/** Where the disk's sector goes, where a string does, and how often it was reset. */
const SECTOR = 0x210000, TEXT = 0x220ff0, TIMES = 0x300000;

/**
 * Two exceptions, an interrupt of its own, ticks each ten microseconds, strings
 * over the end of a page, a sector by bus master DMA; then it resets the
 * machine, and does all of it once more.
 */
const REVERSER = `${PRELUDE}
%macro outd 2
  mov edx, %1
  mov eax, %2
  out dx, eax
%endmacro
main:${interrupts(0xfa, 0xbf)}
  gate 0, skip2
  gate 6, skip2
  gate 0x20, tick
  gate 0x2e, disk
  gate 0x40, call
  outb 0x43, 0x34
  outb 0x40, 12
  outb 0x40, 0
  mov dword [0x230000], 0
  sti
  xor edx, edx
divide:
  div edx
  int 0x40
  ud2
  mov ecx, 1500
work:
  inc dword [0x230000]
  loop work
  mov edi, ${TEXT}
  mov ecx, 40
  mov al, 'x'
fill:
  rep stosb
  mov esi, ${TEXT}
  mov edi, ${TEXT} + 3
  mov ecx, 30
move:
  rep movsb
  mov edi, ${TEXT}
  mov ecx, 100
scan:
  repe scasb
  outd 0xcf8, 0x80000920      ; the bus master's registers: C000h
  outd 0xcfc, 0xc001
  outd 0xcf8, 0x80000904
  outd 0xcfc, 5
  mov dword [0x200000], ${SECTOR}
  mov dword [0x200004], 0x80000200
  outd 0xc004, 0x200000
  outb 0xc000, 8
  outb 0x1f6, 0xe0
  outb 0x1f2, 1
  outb 0x1f3, 5
  outb 0x1f4, 0
  outb 0x1f5, 0
  outb 0x1f7, 0xc8
  mov byte [0x230010], 0
  outb 0xc000, 9
sleep:
  hlt
  cmp byte [0x230010], 0
  je sleep
  inc dword [${TIMES}]
  cmp dword [${TIMES}], 2
  je end
reset:
  outb 0x64, 0xfe
  jmp $
end:
  outb 0xf4, 0
skip2:
  add dword [esp], 2
  iret
call:
  iret
tick:
  push eax
  inc dword [0x230004]
  outb 0x20, 0x20
  pop eax
  iret
disk:
  pusha
  outb 0xc000, 0
  outb 0xc002, 4
  mov edx, 0x1f7
  in al, dx
  mov byte [0x230010], 1
  outb 0xa0, 0x20
  outb 0x20, 0x20
  popa
  iret
`;

/** A place where the CPU has been, and how many instructions it had executed. */
interface Visit {
  readonly pc: number;
  readonly count: number;
}

/** Without repetitions: a string's elements are steps of their own. */
function places(all: readonly number[]): string[] {
  return all.filter((pc, i) => pc !== all[i - 1]).map((pc) => pc.toString(16));
}

/** What was recorded. */
interface Recorded {
  readonly made: Guest;
  readonly folder: string;
  readonly log: string;
  /** All that was executed, and where interrupts were taken. */
  readonly visits: readonly Visit[];
}

async function withReverser(
  use: (recorded: Recorded) => Promise<void>,
): Promise<void> {
  const made = await guest(REVERSER);
  if (made === undefined) return;
  await withFolder(async (folder) => {
    const disk = `${folder}/disk`;
    const content = new Uint8Array(1 << 20).map((_, i) => i >> 9);
    await Deno.writeFile(disk, content);
    const log = `${folder}/log`;
    await using machine = await load(made, {
      definition: "pc.json",
      memory: "16M",
      cpu: "pentium3",
      noReboot: false,
      drives: [{ file: disk, if: "ide", format: "raw" }],
      // Each instruction is a block, so that all are told.
      set: ["cpu.config.maxInsns=1"],
      record: log,
    });
    const visits: Visit[] = [];
    const visit = (pc: number): void =>
      void visits.push({ pc, count: machine.cpu.instructions });
    await machine.on("block", ({ address }) => visit(address));
    await machine.on("interrupt", ({ pc }) => visit(pc));
    assertEquals(
      (await within("the end of the run", machine.run())).reason,
      "exit",
    );
    await machine.stop();
    await use({ made, folder, log, visits });
  });
  await made.remove();
}

Deno.test("reverse: steps go back through what was executed", () =>
  withReverser(async ({ made, log, visits }) => {
    await using machine = await Machine.replay(log);
    const replayer = await machine.replayer();
    const [cpu] = (await machine.debug()).cpus;
    const sector = (): number => machine.space("memory").read(SECTOR, 1);
    const seen = new Set<number>();
    /** From some places behind a visit to some before it. */
    const around = async (index: number): Promise<void> => {
      let from = Math.min(index + 4, visits.length - 1);
      // The first of those with its count.
      while (visits[from - 1].count === visits[from].count) from--;
      const { count: least } = visits[Math.max(index - 4, 0)];
      await replayer.seek(visits[from].count);
      const pcs = [cpu.pc];
      while (replayer.count > least) {
        const stop = await replayer.step(0);
        if (stop.kind !== "step") break;
        seen.add(sector());
        pcs.push(cpu.pc);
      }
      const to = visits.findLastIndex(({ count }) => count <= least);
      const executed = visits.slice(to, from + 1).map(({ pc }) => pc);
      assertEquals(places(pcs.toReversed()), places(executed));
    };
    const labels = [
      ...["divide", "call", "skip2", "tick", "fill", "move", "scan"],
      ...["disk", "sleep", "reset", "end"],
    ];
    for (const label of labels) {
      const at = made.at(label);
      // In the second pass, over the reset in the first.
      if (label !== "reset") {
        await around(visits.findLastIndex(({ pc }) => pc === at));
      } else await around(visits.findIndex(({ pc }) => pc === at));
    }
    // Over the beginning.
    await around(4);
    // What the disk had written was not there before.
    assertEquals(seen, new Set([5, 0]));
  }));

const gdb = missing("gdb");

Deno.test({
  name: `reverse: gdb goes back over strings, interrupts and a reset${gdb}`,
  ignore: gdb !== "",
  fn: () =>
    withReverser(async ({ made, folder, log, visits }) => {
      await using machine = await Machine.replay(log);
      const server = await machine.serveGdb(`unix:${folder}/gdb`, {
        wait: true,
      });
      machine.start();
      const at = (label: string): string => `0x${made.at(label).toString(16)}`;
      const shown = answers(
        await runGdb(
          { symbols: "/dev/null" },
          server.address,
          `set architecture i386
           target remote $REMOTE
           hbreak *${at("reset")}
           continue
           delete
           awatch *(char*)${TEXT + 20}
           reverse-continue
           p $pc == ${at("scan")} && $ecx == 80
           reverse-continue
           p $pc == ${at("move")} && $ecx == 10
           reverse-continue
           p $pc == ${at("fill")} && $ecx == 20
           p *(char*)${TEXT + 20} == 0 && *(char*)${TEXT + 19} == 'x'
           delete
           stepi
           p $pc == ${at("fill")} && $ecx == 19
           p *(char*)${TEXT + 20} == 'x'
           reverse-stepi
           reverse-stepi
           p $pc == ${at("fill")} && $ecx == 21
           hbreak *${at("end")}
           continue
           delete
           watch *(int*)${TIMES}
           reverse-continue
           p *(int*)${TIMES} == 1
           reverse-continue
           p *(int*)${TIMES} == 0
           continue
           continue
           p *(int*)${TIMES} == 2
           delete
           hbreak *${at("disk")}
           reverse-continue
           p $pc == ${at("disk")}
           reverse-stepi
           p $pc == ${at("sleep")} || $pc == ${at("sleep")} + 1
           stepi
           p $pc == ${at("disk")}
           reverse-continue
           p $pc == ${at("disk")} && *(int*)${TIMES} == 0
           delete
           reverse-continue
           reverse-stepi
           p $pc == ${visits[0].pc}
           stepi
           p $pc == ${visits[1].pc}`,
        ),
      );
      const asked = [...shown].filter(([line]) => line.startsWith("p "));
      assertEquals(asked.length, 16);
      for (const [line, answer] of asked) {
        assertMatch(answer, /= 1\n/, `${line}: ${answer}`);
      }
      for (const line of ["reverse-continue #8", "reverse-stepi #4"]) {
        assertMatch(shown.get(line)!, /No more reverse-execution history/);
      }
    }),
});

Deno.test("reverse: to and fro while a disk has something to answer", () =>
  withReverser(async ({ made, log, visits }) => {
    await using machine = await Machine.replay(log);
    const replayer = await machine.replayer();
    // In the second pass: the last sleep before the disk's interrupt.
    const disk = visits.findLastIndex(({ pc }) => pc === made.at("disk"));
    const { count } = visits[disk];
    const known = new Map<number, Place>();
    for (const back of [1, 30, 1, 3300, 1, 2, 30, 3270, 3290, 1, 30, 1, 0]) {
      await replayer.seek(count - back);
      const place = placeOf(machine);
      assertEquals(known.get(back) ?? place, place, `${back} before`);
      known.set(back, place);
    }
    assertEquals(
      (await within("the end of the run", machine.run())).reason,
      "exit",
    );
  }));
