/**
 * gdb goes backwards in Debian's kernel on several CPUs, each of which is a
 * thread: by steps of one and of another, to what another one wrote.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";
import { answers, missing, runGdb } from "../../gdb/harness.ts";
import { bootsOf, PATIENCE, Shell } from "../guest.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const SYMBOLS = ["start_secondary", "jiffies_64"] as const;

const boot = await bootsOf("amd64");

/** Over instructions of a thread and back, and over one again. */
function steps(thread: number): string {
  return `
       thread ${thread}
       set $pc0 = $pc
       set $sp0 = $sp
       stepi
       set $pc1 = $pc
       stepi
       stepi
       reverse-stepi
       reverse-stepi
       p $_thread == ${thread} && $pc == $pc1
       reverse-stepi
       p $_thread == ${thread} && $pc == $pc0 && $sp == $sp0
       stepi
       p $_thread == ${thread} && $pc == $pc1`;
}

for (const smp of [2, 4]) {
  const name = `gdb goes backwards in Linux on ${smp} CPUs${missing("gdb")}`;
  boot(name, async (guest) => {
    if (missing("gdb") !== "") return;
    const folder = await Deno.makeTempDir();
    const log = `${folder}/log`;
    try {
      const recorded = await Machine.load(PC, {
        kernel: guest.kernel,
        initrd: guest.initramfs,
        append: "console=ttyS0 nokaslr nowatchdog " +
          "rcupdate.rcu_cpu_stall_suppress=1",
        memory: "128M",
        smp,
        record: log,
      });
      recorded.start();
      const shell = await Shell.of(recorded);
      const { output } = await shell.run(
        `grep -E ' (${SYMBOLS.join("|")})$' /proc/kallsyms`,
      );
      recorded.quit();
      await recorded.wait();
      await recorded.stop();
      const at = (name: string): string =>
        `0x${new RegExp(`^(\\w+) \\w ${name}\\s*$`, "m").exec(output)![1]}`;
      const ticks = `*(unsigned long *)${at("jiffies_64")}`;
      const machine = await Machine.replay(log);
      const { address } = await machine.serveGdb(`unix:${folder}/gdb`, {
        wait: true,
      });
      machine.start();
      const text = await runGdb(
        { symbols: "/dev/null" },
        address,
        `set architecture i386:x86-64
       target remote $REMOTE
       hbreak *${at("start_secondary")}
       ${
          Array.from({ length: smp - 1 }, (_, i) =>
            `continue
       p $_thread == ${i + 2} && $pc == ${at("start_secondary")}`).join("\n")
        }
       delete
       ${steps(smp)}
       ${steps(1)}
       set $ticks = ${ticks}
       watch ${ticks}
       reverse-continue
       reverse-continue
       p ${ticks} == $ticks - 2
       continue
       p ${ticks} == $ticks - 1
       kill`,
        { limit: PATIENCE.timeout },
      );
      await machine.stop();
      const tests = [...answers(text)].filter(([line]) => /^p /.test(line));
      for (const [line, answer] of tests) {
        assertMatch(answer, /= 1\n/, `${line}: ${text}`);
      }
      assertEquals(tests.length, smp - 1 + 6 + 2, text);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
