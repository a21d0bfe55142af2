/**
 * gdb's scripts on Rhea and on QEMU: the same text comes out. Where QEMU 7.2 is
 * not like the hardware or has another opinion, it is said here.
 */

import { assert, assertEquals } from "@std/assert";
import {
  answers,
  type Bits,
  endOf,
  missing,
  runGdb,
  startQemu,
  startRhea,
  withGuest,
} from "./harness.ts";

/** In the guest's code, with everything that prints the same on both. */
const SCRIPT = `
target remote $REMOTE
tbreak *(_start + 1)
continue
x/4i $pc
stepi
stepi 3
p $pc
p/x $sp
p/x $cs
stepi 6
p/x $cs
p $ds
break kernel_main
continue
info registers
x/20i $pc
x/8xb $pc
x/4xw $sp
bt
tbreak trap_here
continue
stepi
info symbol $pc
x/3x $sp
info registers eflags cs
stepi
stepi
stepi
info symbol $pc
p handled
break square
continue
bt
finish
set var $eax = 41
continue
p counter
up
info locals
next
step
info breakpoints
delete
watch counter
continue
continue
continue
delete
watch counter if counter > 150
continue
delete
rwatch source
continue
continue
delete
awatch source
continue
info watchpoints
delete
hbreak floats_here
continue
info registers xmm0
p $xmm1.v2_double
p $mxcsr
p/x $fctrl
p/x $fstat
p half
p text
set var half = 2.5
p half
x/gx &half
delete
break spin
continue
p spins
next
next
next
p spins
info threads
delete
p square(7)
set var $first = *(unsigned char *)square
set var *(unsigned char *)square = 0xc3
set var $old = $eax
set var $eax = 77
p square(7)
set var $eax = $old
set var *(unsigned char *)square = $first
p square(8)
p use_source(10)
p spins
set var spins = 1000
tbreak *$pc
continue
p spins
set var $eflags = 0x46
p $eflags
set var $old = $eax
set var $eax = 0x1234567
p/x $eax
set var $ax = 0x89ab
p/x $eax
set var $eax = $old
set var $old = $pc
set var $pc = spin
x/2i $pc
set var $pc = $old
p $sp = $sp - 16
p $sp = $sp + 16
maintenance packet Qqemu.PhyMemMode:1
p text
set var text[0] = 'R'
maintenance packet Qqemu.PhyMemMode:0
x/s &text
thread 2
p $_thread
thread 1
detach
`;

/**
 * Before the end: the guest leaves. With QEMU it stays, for QEMU is gone with
 * it, before or after gdb has acknowledged that it is detached.
 */
const LEAVE = "set var leave = 1";

/** Answers that differ, with the reason; the others do not. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "target remote $REMOTE":
    "QEMU starts its firmware, Rhea the kernel that it has loaded",
  "x/3x $sp": "QEMU does not set RF in what a fault pushes",
  "continue #13":
    "QEMU's XMM registers are not those of gdb's debug information",
  "info threads": "QEMU's CPU 1 waits where its firmware has left it",
  "thread 2": "the same",
  "p $mxcsr": "in QEMU's description of 32 bits it belongs to no feature",
};

/** What QEMU's registers have that Rhea's have not, or not in all words. */
function comparable(command: string, text: string, bits: Bits): string {
  let lines = text.split("\n");
  if (command === "info registers") {
    // QEMU has all that is not gdb's own in the general group.
    const others = bits === 64 ? /^(xmm|mxcsr)/ : /^(xmm|mxcsr|k_gs|cr8|efer)/;
    lines = lines.filter((line) => !others.test(line));
    // In 32 bits, QEMU names CR4's bits from the lowest one.
    if (bits === 32) {
      lines = lines.map((line) => line.replace(/^(cr4.*?)\[.*/, "$1"));
    }
  }
  return lines.join("\n");
}

const absent = missing(
  "gdb",
  "gcc",
  "objcopy",
  "qemu-system-x86_64",
  "qemu-system-i386",
);

for (const bits of [32, 64] as const) {
  Deno.test({
    name: `gdb: prints the same as with QEMU, ${bits} bits${absent}`,
    ignore: absent !== "",
    fn: () =>
      withGuest(bits, async (guest) => {
        const { machine, remote } = await startRhea(guest);
        await using _machine = machine;
        const script = SCRIPT.replace(/(?=detach\n$)/, `${LEAVE}\n`);
        const rhea = answers(await runGdb(guest, remote, script));
        assertEquals(rhea.get(LEAVE), "");
        rhea.delete(LEAVE);
        // The guest has gone on, and out.
        const { reason } = await endOf(machine);
        assertEquals(reason, "exit");
        const { child, remote: other } = await startQemu(guest);
        let qemu: Map<string, string>;
        try {
          qemu = answers(await runGdb(guest, other, SCRIPT));
        } finally {
          child.kill("SIGKILL");
          await child.status;
        }
        assertEquals([...rhea.keys()], [...qemu.keys()]);
        const same = (all: Map<string, string>) =>
          [...all].filter(([command]) => DIFFERENT[command] === undefined)
            .map(([command, text]) => [
              command,
              comparable(command, text, bits),
            ]);
        assertEquals(same(rhea), same(qemu));
        assert(rhea.get("p half #2")!.includes("2.5"));
      }),
  });
}
