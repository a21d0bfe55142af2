/**
 * gdb where code is not flat and not of one kind: virtual-8086 mode, ways into
 * a kernel and out of it, accesses over the ends of pages, and a connection
 * that outlives what it was attached to. The same text comes out with QEMU.
 */

import { assertEquals } from "@std/assert";
import {
  answers,
  type Bits,
  type Guest,
  missing,
  runGdb,
  startQemu,
  startRhea,
  withAssembly,
  withGuest,
} from "./harness.ts";

const TOOLS = ["gdb", "nasm", "gcc", "objcopy", "qemu-system-x86_64"];
const absent = missing(...TOOLS, "qemu-system-i386");

/** Where QEMU and Rhea begin is not the same. */
const START = "target remote $REMOTE";

function same(
  name: string,
  bits: Bits,
  of: "guest.c" | `${string}.asm`,
  script: string,
  /** Answers that differ, with the reason. */
  different: Readonly<Record<string, string>> = {},
): void {
  const compare = async (guest: Guest): Promise<void> => {
    const { machine, remote } = await startRhea(guest);
    await using _machine = machine;
    const rhea = answers(await runGdb(guest, remote, script));
    const { child, remote: other } = await startQemu(guest);
    let qemu: Map<string, string>;
    try {
      qemu = answers(await runGdb(guest, other, script));
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
    for (const all of [rhea, qemu]) {
      for (const command of [START, ...Object.keys(different)]) {
        all.delete(command);
      }
    }
    assertEquals([...rhea], [...qemu]);
  };
  Deno.test({
    name: `gdb: ${name}, as with QEMU${absent}`,
    ignore: absent !== "",
    fn: () =>
      of === "guest.c"
        ? withGuest(bits, compare)
        : withAssembly(bits, of, compare),
  });
}

same(
  "virtual-8086 mode",
  32,
  "v86.asm",
  `${START}
   hbreak *0x10100
   set architecture i8086
   continue
   info registers eip cs eflags ss esp ds
   x/6i $cs*16+$eip
   stepi
   p/x $eip
   stepi 3
   x/xw 0x20010
   p/x $bx
   watch *(short*)0x20010
   continue
   continue
   p/x $eip
   delete
   watch *(short*)0x20021
   continue
   delete
   rwatch *(short*)0x20010
   continue
   p/x $eip
   delete
   awatch *(char*)0x20010
   continue
   delete
   break *(0x10100 + (char*)&gate_here - (char*)&user)
   continue
   p/x $eip
   stepi
   p/x $cs
   info symbol $pc
   stepi 4
   p/x $cs
   p/x $eip
   p (int)handled
   set var $eflags = $eflags | 1
   p $eflags
   set var $ax = 0x4321
   p/x $eax
   set var $ds = 0x2100
   p $ds
   set var $cs = 0x1001
   set var $eip = $eip - 0x10
   p/x $cs
   stepi
   p/x $eip
   info registers eip cs eflags ds`,
);

same(
  "SYSCALL, SYSENTER, interrupts; watched memory over the ends of pages",
  64,
  "calls64.asm",
  `${START}
   hbreak *user
   continue
   p $cs
   stepi 3
   stepi
   info symbol $pc
   info registers cs ss rcx r11 eflags
   stepi 2
   info symbol $pc
   p $cs
   stepi
   stepi
   info symbol $pc
   p $cs
   stepi 2
   info symbol $pc
   stepi
   stepi
   info symbol $pc
   info registers cs ss rsp rip
   stepi 4
   info symbol $pc
   p $cs
   stepi 2
   nexti
   info symbol $pc
   watch *(long*)0x200ffd
   continue
   delete
   watch *(char*)0x201000
   continue
   delete
   watch *(char*)0x200fff
   continue
   continue
   delete
   watch *(short*)0x400000
   continue
   p $rip
   delete
   rwatch *(char*)0x400000
   continue
   p $rip
   delete
   watch *(int*)0x202000
   continue
   p $rip
   delete
   watch *(short*)0x203001
   continue
   p $rip
   p $ecx
   delete
   awatch *(char*)0x202fff
   continue
   p $rip
   continue
   delete
   rwatch *(int*)0x300000
   continue
   continue
   p $rip
   delete
   watch *(long*)0x2ffffe
   continue
   delete
   watch *(char(*)[100])0x2fffc0
   info watchpoints
   delete
   set var $eflags = $eflags | 0x400
   p $eflags
   set var $eflags = $eflags & ~0x400
   p $eflags
   set var $eflags |= 0x100
   p $eflags
   set var $eflags &= ~0x100
   p/x $eflags
   set var $xmm7.v2_int64[1] = 0x123456789abcdef0
   p/x $xmm7.v16_int8
   set var $st3 = 1.25
   p $st3
   set var $fctrl = 0x27f
   p/x $fctrl
   maintenance packet m300000,0
   maintenance packet m7fffffffff000,4
   maintenance packet Z9,0,1
   maintenance packet Z0,0
   maintenance packet nonsense
   maintenance packet Hg5
   maintenance packet T9`,
);

/** Steps, each with where it has led. */
function steps(count: number): string {
  return "stepi\ninfo symbol $pc\np $cs\np $esp\np $eflags\n".repeat(count);
}

same(
  "SYSENTER, interrupts, a call gate; steps over what is one to the CPU",
  32,
  "calls32.asm",
  `${START}
   hbreak *user
   continue
   info registers cs ss ds esp eflags
   ${steps(28)}
   break *strings
   continue
   ${steps(8)}
   delete
   watch *(short*)0x201000
   continue
   p $ecx
   delete
   watch *(int*)0x201001
   continue
   delete
   watch *(char*)0x202000
   continue
   delete
   rwatch *(char*)0x201fff
   continue
   delete
   awatch *(short*)0x203004
   continue
   p $pc`,
);

same(
  "attached again by a connection that stays",
  64,
  "guest.c",
  `target extended-remote $REMOTE
   tbreak spin
   continue
   detach
   monitor info version
   attach 1
   tbreak 234
   continue
   p spins > 0
   stepi
   detach
   attach 7
   attach 1
   tbreak 234
   continue
   bt
   p square(5)`,
  {
    "target extended-remote $REMOTE": "where they begin",
    "monitor info version": "it is each one's own",
    "attach 1": "where it is found is by chance",
    "attach 1 #2": "the same",
    errors: "the monitor's answer is there",
  },
);
