/**
 * gdb on Debian's kernels: from before its first instruction to the shell. The
 * symbols are the kernel's own, by /proc/kallsyms of a boot before.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { GuestArchitecture, GuestFiles } from "../../../core/cli/guest.ts";
import type { MachineInstance } from "../../../mod.ts";
import { answers, missing, runGdb } from "../../gdb/harness.ts";
import { load } from "../amd64.ts";
import { bootsOf, isapc, PATIENCE, Shell } from "../guest.ts";

const FUNCTIONS = [
  ...["start_kernel", "setup_arch", "rest_init", "schedule", "do_idle"],
];
/** Bytes of the kernel's code and data, and more. */
const SIZE = "0x8000000";
const LIMIT = { limit: PATIENCE.timeout };
const APPEND = "console=ttyS0 nokaslr nowatchdog";

interface Case {
  readonly architecture: GuestArchitecture;
  /** The stack pointer's name, a word in gdb's `x`, and where the kernel begins. */
  readonly word: "gx" | "wx";
  readonly flag: "-m64" | "-m32";
  readonly base: string;
  readonly cpus: number;
}

const CASES: readonly Case[] = [
  {
    architecture: "i386",
    word: "wx",
    flag: "-m32",
    base: "0xc1000000",
    cpus: 1,
  },
  {
    architecture: "amd64",
    word: "gx",
    flag: "-m64",
    base: "0xffffffff81000000",
    cpus: 2,
  },
];

function start(
  { architecture, cpus }: Case,
  { kernel, initramfs }: GuestFiles,
): Promise<MachineInstance> {
  const options = { kernel, initrd: initramfs, append: APPEND };
  return architecture === "i386"
    ? isapc(options)
    : load("pc", { ...options, cpu: "x86-64-v3", smp: cpus });
}

/** Where the kernel's symbols are, in hexadecimal. */
async function symbolsOf(
  of: Case,
  guest: GuestFiles,
): Promise<Map<string, string>> {
  await using machine = await start(of, guest);
  const shell = await Shell.of(machine);
  const { output } = await shell.run(
    `grep -E ' (${FUNCTIONS.join("|")})$' /proc/kallsyms`,
  );
  return new Map(
    [...output.matchAll(/^([0-9a-f]+) \w (\w+)$/gm)].map((
      [, at, name],
    ) => [name, at]),
  );
}

/** A file of these symbols for gdb. */
async function symbolFile(
  { flag, base }: Case,
  symbols: ReadonlyMap<string, string>,
  folder: string,
): Promise<string> {
  // gdb wants a section around them. What is in it, the machine knows.
  const lines = ['.section .kernel, "ax", @nobits', `base: .skip ${SIZE}`];
  for (const [name, at] of symbols) {
    lines.push(
      `.globl ${name}`,
      `.type ${name}, @function`,
      `.set ${name}, base + (0x${at} - ${base})`,
    );
  }
  await Deno.writeTextFile(`${folder}/symbols.s`, `${lines.join("\n")}\n`);
  const { success, stderr } = await new Deno.Command("gcc", {
    args: [
      ...[flag, "-nostdlib", "-static", "-no-pie", "-o", `${folder}/symbols`],
      ...[
        `-Wl,--section-start=.kernel=${base},-e,start_kernel,--build-id=none`,
      ],
      `${folder}/symbols.s`,
    ],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return `${folder}/symbols`;
}

/** From the reset on. */
const FROM_THE_START = (word: string) => `
target remote $REMOTE
break *start_kernel
continue
p $pc == start_kernel
info registers
x/20i $pc
stepi
stepi 10
tbreak *setup_arch
continue
x/1${word} $sp
finish
info symbol $pc
watch -l *(unsigned *)($sp - 8)
continue
delete
hbreak *rest_init
continue
delete
info threads
detach
`;

/** In the running system. */
const AT_THE_SHELL = `
target remote $REMOTE
info threads
stepi
stepi 200
break *schedule
continue
p $pc == schedule
delete
watch -l *(unsigned *)($sp - 8)
continue
delete
detach
`;

const absent = missing("gdb", "gcc");

for (const of of CASES) {
  const boot = await bootsOf(of.architecture);
  boot(
    `gdb: ${of.architecture}, from start_kernel to the shell${absent}`,
    async (guest) => {
      if (absent !== "") return;
      const found = await symbolsOf(of, guest);
      assert(found.has("start_kernel"), [...found.keys()].join(" "));
      const folder = await Deno.makeTempDir();
      try {
        const symbols = await symbolFile(of, found, folder);
        await using machine = await start(of, guest);
        const { address } = await machine.serveGdb(`unix:${folder}/gdb`, {
          wait: true,
        });
        machine.start();
        const first = answers(
          await runGdb({ symbols }, address, FROM_THE_START(of.word), LIMIT),
        );
        assertMatch(first.get("continue")!, /Breakpoint 1, .* in start_kernel/);
        assertMatch(first.get("p $pc == start_kernel")!, /= 1/);
        assertEquals(first.get("x/20i $pc")!.trim().split("\n").length, 20);
        assertMatch(first.get("continue #2")!, /in setup_arch \(\)/);
        assertMatch(first.get("info symbol $pc")!, /start_kernel \+ \d+/);
        assertMatch(first.get("continue #3")!, /Old value = .*\nNew value = /);
        assertMatch(first.get("continue #4")!, /in rest_init \(\)/);
        assertMatch(
          first.get("info threads")!,
          new RegExp(`CPU#${of.cpus - 1} `),
        );
        const shell = await Shell.of(machine);
        const second = answers(
          await runGdb({ symbols }, address, AT_THE_SHELL, LIMIT),
        );
        assertMatch(second.get("p $pc == schedule")!, /= 1/);
        assertMatch(second.get("continue #2")!, /Old value = .*\nNew value = /);
        assertEquals(await shell.run("echo $((6 * 7))"), {
          status: 0,
          output: "42\n",
        });
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}
