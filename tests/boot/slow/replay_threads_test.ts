/**
 * gdb goes backwards in Debian's kernel on several CPUs, each of which is a
 * thread: over their work, to what another one wrote, to where each began.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";
import { answers, missing, runGdb } from "../../gdb/harness.ts";
import { bootsOf, PATIENCE, Shell } from "../guest.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const SYMBOLS = ["schedule", "start_secondary", "jiffies_64"] as const;
const WORK = "for i in 1 2 3 4; do (seq 1 3000 | sha256sum) & done; wait";

/** A loop is for a file: each command of the script stands alone. */
const OTHER = `while $_thread == $first && $n < 50
reverse-continue
set $n = $n + 1
end
`;

const boot = await bootsOf("amd64");

/** Over one instruction of a thread and back, and back and over another one. */
function steps(thread: number): string {
  return `
       thread ${thread}
       set $pc0 = $pc
       set $sp0 = $sp
       stepi
       reverse-stepi
       p $_thread == ${thread} && $pc == $pc0 && $sp == $sp0
       reverse-stepi
       reverse-stepi
       p $_thread == ${thread}
       stepi
       stepi
       p $_thread == ${thread} && $pc == $pc0 && $sp == $sp0`;
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
      await shell.run(WORK);
      recorded.quit();
      await recorded.wait();
      await recorded.stop();
      const at = (name: string): string =>
        `0x${new RegExp(`^(\\w+) \\w ${name}\\s*$`, "m").exec(output)![1]}`;
      const machine = await Machine.replay(log);
      const { address } = await machine.serveGdb(`unix:${folder}/gdb`, {
        wait: true,
      });
      machine.start();
      await Deno.writeTextFile(`${folder}/other.gdb`, OTHER);
      const all = Array.from({ length: smp }, (_, i) => i + 1);
      const text = await runGdb(
        { symbols: "/dev/null" },
        address,
        `set architecture i386:x86-64
       target remote $REMOTE
       info threads
       continue
       hbreak *${at("schedule")}
       reverse-continue
       p $pc == ${at("schedule")}
       set $first = $_thread
       set $n = 0
       source ${folder}/other.gdb
       p $pc == ${at("schedule")} && $_thread != $first
       set $other = $_thread
       set $pc0 = $pc
       set $sp0 = $sp
       continue
       p $pc == ${at("schedule")} && $sp != $sp0
       reverse-continue
       p $_thread == $other && $pc == $pc0 && $sp == $sp0
       delete
       set $place = (unsigned long *)$sp
       set $value = *$place
       watch *(unsigned long *)$place
       reverse-continue
       p $_thread == $other
       p *$place != $value
       delete
       stepi
       p *$place == $value
       ${all.map(steps).join("\n")}
       set $ticks = *(unsigned long *)${at("jiffies_64")}
       watch *(unsigned long *)${at("jiffies_64")}
       reverse-continue
       reverse-continue
       p *(unsigned long *)${at("jiffies_64")} == $ticks - 2
       continue
       p *(unsigned long *)${at("jiffies_64")} == $ticks - 1
       delete
       hbreak *${at("start_secondary")}
       ${
          all.slice(1).toReversed().map((thread) =>
            `reverse-continue
       p $_thread == ${thread} && $pc == ${at("start_secondary")}`
          ).join("\n")
        }
       reverse-continue
       info threads
       kill`,
        { limit: PATIENCE.timeout },
      );
      await machine.stop();
      const shown = [...answers(text)];
      const tests = shown.filter(([line]) => /^p /.test(line));
      for (const [line, answer] of tests) {
        assertMatch(answer, /= 1\n/, `${line}: ${text}`);
      }
      assertEquals(tests.length, 9 + 3 * smp + smp - 1, text);
      assert(text.includes("No more reverse-execution history"), text);
      assertEquals(text.match(/^\W*\d+ +Thread .*CPU#\d/gm)?.length, 2 * smp);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
