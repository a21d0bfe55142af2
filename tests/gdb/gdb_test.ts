/**
 * gdb on a guest in Rhea: what a machine has to do beyond what `qemu_test.ts`
 * compares.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { MachineInstance } from "../../mod.ts";
import { forSeeds } from "../random.ts";
import {
  answers,
  type Bits,
  endOf,
  type Guest,
  missing,
  PC,
  runGdb,
  startRhea,
  withGuest,
} from "./harness.ts";
import { hostileInput } from "./hostile.ts";

const absent = missing("gdb", "gcc", "objcopy");

type Rhea = Awaited<ReturnType<typeof startRhea>>;

/** A test with the guest, and a machine that waits for gdb. */
function test(
  name: string,
  bits: readonly Bits[],
  use: (guest: Guest, rhea: Rhea) => Promise<void>,
  options: Parameters<typeof startRhea>[1] = {},
): void {
  for (const width of bits) {
    Deno.test({
      name: `gdb: ${name}, ${width} bits${absent}`,
      ignore: absent !== "",
      fn: () =>
        withGuest(width, async (guest) => {
          const rhea = await startRhea(guest, options);
          await using _machine = rhea.machine;
          await use(guest, rhea);
        }),
    });
  }
}

/** Resolves when the guest has been in its last loop for a while. */
async function spins(guest: Guest, machine: MachineInstance): Promise<void> {
  const { cpus: [cpu] } = await machine.debug();
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  do {
    await new Promise((resolve) => setTimeout(resolve, 20));
    cpu.read(guest.at("spins"), bytes);
  } while (view.getUint32(0, true) < 1000);
}

test(
  "Ctrl-C, detach, reattach, and the end of the run",
  [32, 64],
  async (guest, { machine, remote }) => {
    const first = answers(
      await runGdb(
        guest,
        remote,
        `target remote $REMOTE
         break count
         continue
         delete
         continue
         p spins > 0
         info program
         break use_source
         detach`,
        { interrupt: () => spins(guest, machine) },
      ),
    );
    assertMatch(first.get("continue")!, /hit Breakpoint 1, count/);
    assertMatch(first.get("continue #2")!, /received signal SIGINT/);
    assertMatch(first.get("p spins > 0")!, /= 1/);
    assertMatch(first.get("detach")!, /detached/);
    assert(machine.running);
    const second = answers(
      await runGdb(
        guest,
        remote,
        `target remote $REMOTE
         set var $before = spins
         stepi 20
         p spins >= $before
         bt
         set var leave = 1
         continue
         info threads`,
      ),
    );
    assertMatch(second.get("p spins >= $before")!, /= 1/);
    assertMatch(second.get("bt")!, /spin \(\)[^]*kernel_main \(\)/);
    const { status, reason } = await endOf(machine);
    assertEquals(reason, "exit");
    assertMatch(
      second.get("continue")!,
      new RegExp(`exited with code 0*${status.toString(8)}\\]`),
    );
    assertMatch(second.get("info threads")!, /No threads/);
  },
);

test(
  "all registers are shown, and taken back",
  [32, 64],
  async (guest, { remote }) => {
    const long = guest.bits === 64;
    const said = answers(
      await runGdb(
        guest,
        remote,
        `target remote $REMOTE
       break floats_here
       continue
       info registers all
       p $st0
       p $st1
       set var $st1 = 2.5
       p $st1
       set var $xmm3.v4_int32[0] = 0xddeeff00
       set var $xmm3.v4_int32[3] = 0x11223344
       p/x $xmm3.v4_int32
       set var $mxcsr = 0x1fa0
       p $mxcsr
       set var $cs = 0x7777
       set var $cr0 = 1 << 31 | $cr0 & ~1
       p $cr0
       set var $fs_base = 0x12345000
       p/x $fs_base
       set var $ds = 0
       p $ds
       set var $ds = 0x10
       ${
          long
            ? `p/x $ymm4.v8_int32
             set var $ymm4.v4_int64[3] = 0x1234567890abcdef
             p/x $ymm4.v8_int32
             p/x $ymm4h
             set var $r15 = -2
             p $r15
             set var $rip = 0x4000000000000
             p $cr8 = 5
             p $cr8
             p $k_gs_base`
            : "p $al"
        }
       set var leave = 1
       kill`,
      ),
    );
    const all = said.get("info registers all")!;
    const names = all.split("\n").map((line) => line.split(" ")[0]);
    const expected = long
      ? [
        ...["rax", "r15", "rip", "eflags", "gs", "st0", "st7", "fop"],
        ...["mxcsr", "fs_base", "gs_base", "ymm0", "ymm15", "k_gs_base", "cr0"],
        ...["cr2", "cr3", "cr4", "cr8", "efer"],
      ]
      : ["eax", "edi", "eip", "eflags", "st7", "fop", "xmm7", "mxcsr", "cr4"];
    for (const name of expected) assert(names.includes(name), name);
    assertMatch(said.get("p $st0")!, /= 1\n/);
    assertMatch(said.get("p $st1 #2")!, /= 2\.5\n/);
    assertMatch(
      said.get("p/x $xmm3.v4_int32")!,
      /\{0xddeeff00, 0x0, 0x0, 0x11223344\}/,
    );
    assertMatch(said.get("p $mxcsr")!, /\[ PE IM DM ZM OM UM PM \]/);
    assertMatch(
      said.get("errors")!,
      /"cs"; remote failure reply 'E\.the CPU does not take 0x7777 for cs now'/,
    );
    assertMatch(said.get("errors")!, /"cr0"; remote failure reply/);
    assertMatch(said.get("p $cr0")!, /ET PE/);
    assertMatch(said.get("p/x $fs_base")!, /0x12345000/);
    assertMatch(said.get("p $ds")!, /= 0\n/);
    if (!long) return;
    assertMatch(said.get("p/x $ymm4.v8_int32 #2")!, /0x90abcdef, 0x12345678\}/);
    assertMatch(said.get("p $r15")!, /= -2\n/);
    assertMatch(said.get("errors")!, /"rip"; remote failure reply 'E\.no code/);
    assertMatch(said.get("p $cr8")!, /= 5\n/);
  },
);

test(
  "where the guest died can be looked at",
  [32, 64],
  async (guest, { machine, remote }) => {
    const said = answers(
      await runGdb(
        guest,
        remote,
        `target remote $REMOTE
         break spin
         continue
         set var die = 1
         continue
         bt
         p die
         continue`,
      ),
    );
    assertMatch(said.get("continue #2")!, /received signal SIGABRT/);
    assertMatch(said.get("bt")!, /kernel_main \(\)/);
    assertMatch(said.get("p die")!, /= 1\n/);
    assertMatch(said.get("continue #3")!, /terminated with signal SIGABRT/);
    assertEquals((await endOf(machine)).reason, "shutdown");
  },
);

test(
  "kill ends the run",
  [32],
  async (guest, { machine, remote }) => {
    const said = await runGdb(guest, remote, "target remote $REMOTE\nkill");
    assertMatch(said, /killed/);
    assertEquals((await endOf(machine)).reason, "quit");
  },
);

for (const accel of ["interp", "jit"] as const) {
  test(
    `several CPUs: threads, a watchpoint that another one hits, one alone; ${accel}`,
    [32, 64],
    async (guest, { remote }) => {
      const said = answers(
        await runGdb(
          guest,
          remote,
          `target remote $REMOTE
           info threads
           break spin
           continue
           delete
           set var start_other = 1
           hbreak *0x8000
           continue
           p $cs
           p $pc
           delete
           stepi
           p $pc
           tbreak other_main
           continue
           thread 1
           watch other_count
           continue
           continue
           continue
           delete
           info threads
           thread 1
           set var $before = other_count
           set scheduler-locking on
           next
           stepi 50
           p other_count == $before
           thread 2
           stepi 50
           p other_count > $before
           set scheduler-locking off
           thread 1
           set var $before = other_count
           stepi 200
           p other_count > $before
           thread apply all p $pc != 0
           p square(9)
           detach`,
        ),
      );
      assertMatch(
        said.get("info threads")!,
        /CPU#0 \[running\][^]*CPU#1 \[halted \]/,
      );
      // In real mode gdb sees offsets.
      assertMatch(said.get("continue #2")!, /Thread 2 received signal SIGTRAP/);
      assertMatch(said.get("p $cs")!, /= 2048\n/);
      assertMatch(said.get("p $pc")!, /= \(.*\) 0x0\n/);
      assertMatch(said.get("p $pc #2")!, /= \(.*\) 0x1\n/);
      assertMatch(
        said.get("continue #3")!,
        /Thread 2 hit Temporary breakpoint/,
      );
      assertMatch(
        said.get("continue #4")!,
        /Thread 2 hit Hardware watchpoint \d+: other_count\n\nOld value = 0\nNew value = 1/,
      );
      assertMatch(said.get("continue #5")!, /Old value = 1\nNew value = 2/);
      assertMatch(said.get("info threads #2")!, /\* 2 .*CPU#1 \[running\]/);
      assertMatch(said.get("p other_count == $before")!, /= 1\n/);
      assertMatch(said.get("p other_count > $before")!, /= 1\n/);
      assertMatch(said.get("p other_count > $before #2")!, /= 1\n/);
      assertMatch(said.get("p square(9)")!, /= 81\n/);
    },
    { accel },
  );
}

test("monitor commands", [32], async (guest, { remote }) => {
  const said = answers(
    await runGdb(
      guest,
      remote,
      `target remote $REMOTE
       break count
       continue
       monitor help
       monitor info registers
       monitor nonsense
       monitor system_reset
       p counter
       continue
       p counter`,
    ),
  );
  const monitor = said.get("errors")!;
  assertMatch(monitor, /^info \[subcommand\]/m);
  assertMatch(monitor, /ESP=0010af/);
  assertMatch(monitor, /unknown command: 'nonsense'/);
  assertMatch(said.get("continue #2")!, /hit Breakpoint 1, count/);
});

test(
  "a guest that runs is stopped, wherever it is",
  [64],
  async (guest, { machine, remote }) => {
    await spins(guest, machine);
    const said = answers(
      await runGdb(
        guest,
        remote,
        `target remote $REMOTE
         bt
         detach`,
      ),
    );
    assertMatch(said.get("bt")!, /spin \(\)/);
    assert(machine.running);
  },
  { wait: false },
);

test(
  "hostile clients do not disturb the server of a machine",
  [32, 64],
  async (guest, { remote }) => {
    await forSeeds(4, async (seed) => {
      const socket = await Deno.connect({ transport: "unix", path: remote });
      const ended = (async () => {
        const buffer = new Uint8Array(0x10000);
        while (await socket.read(buffer) !== null);
      })().catch(() => {});
      try {
        for (const part of hostileInput(seed)) {
          await socket.write(part);
          await new Promise((resolve) => setTimeout(resolve));
        }
      } catch {
        // It was hung up on.
      }
      await socket.closeWrite().catch(() => {});
      await ended;
      socket.close();
    });
    const said = await runGdb(
      guest,
      remote,
      `target remote $REMOTE
       x/x 0x800000000000
       info threads
       detach`,
    );
    assertMatch(said, /CPU#1/);
    if (guest.bits === 64) {
      assertMatch(said, /Cannot access memory at address 0x800000000000/);
    }
  },
  { wait: false },
);

Deno.test({
  name: `gdb: the flags --gdb and --wait${absent}`,
  ignore: absent !== "",
  fn: () =>
    withGuest(32, async (guest) => {
      const remote = `${guest.folder}/socket`;
      const args = [
        ...["run", "-A", new URL("../../mod.ts", import.meta.url).pathname],
        ...[PC, "--kernel", guest.kernel, "--serial", "null"],
        ...["--cpu", "pentium3", "--gdb"],
      ];
      const child = new Deno.Command(Deno.execPath(), {
        args: [...args, `unix:${remote}`, "--wait"],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      const reader = child.stderr.pipeThrough(new TextDecoderStream())
        .getReader();
      const { value } = await reader.read();
      assertMatch(value!, /waiting for gdb at /);
      const said = await runGdb(
        guest,
        remote,
        `target remote $REMOTE
         p counter
         break spin
         continue
         set var leave = 1
         continue`,
      );
      assertMatch(said, /exited with code/);
      while (!(await reader.read()).done);
      await child.status;
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...args, `unix:${guest.folder}/no/socket`],
        stdin: "null",
      }).output();
      assertEquals(code, 2);
      assertMatch(
        new TextDecoder().decode(stderr),
        /^rhea: Cannot listen on .*no\/socket for gdb: /,
      );
    }),
});
