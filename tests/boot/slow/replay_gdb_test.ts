/**
 * gdb goes backwards in Debian's kernel on two CPUs: from the end of a recorded
 * session to who wrote a variable last, over interrupts, and to the beginning.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";
import { answers, missing, runGdb } from "../../gdb/harness.ts";
import { boot, PATIENCE, Shell } from "../guest.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const SYMBOLS = ["panic_timeout", "schedule", "start_kernel"] as const;

boot(`gdb goes backwards in Linux${missing("gdb")}`, async (guest) => {
  if (missing("gdb") !== "") return;
  const folder = await Deno.makeTempDir();
  const log = `${folder}/log`;
  try {
    const recorded = await Machine.load(PC, {
      kernel: guest.kernel,
      initrd: guest.initramfs,
      append: "console=ttyS0 nokaslr nowatchdog",
      cpu: "max",
      smp: 2,
      memory: "128M",
      record: log,
    });
    const shell = await Shell.of(recorded);
    const { output } = await shell.run(
      `grep -E ' (${SYMBOLS.join("|")})$' /proc/kallsyms`,
    );
    await shell.run("echo 7 > /proc/sys/kernel/panic");
    await shell.run("sleep 1");
    recorded.quit();
    await recorded.wait();
    await recorded.stop();
    const at = (name: string): string =>
      `0x${new RegExp(`^(\\w+) \\w ${name}$`, "m").exec(output)![1]}`;
    const machine = await Machine.replay(log);
    const { address } = await machine.serveGdb(`unix:${folder}/gdb`, {
      wait: true,
    });
    machine.start();
    const timeout = `*(int *)${at("panic_timeout")}`;
    const text = await runGdb(
      { symbols: "/dev/null" },
      address,
      `set architecture i386:x86-64
       target remote $REMOTE
       hbreak *${at("start_kernel")}
       continue
       p/x (unsigned)$pc == ${at("start_kernel")}
       delete
       continue
       p ${timeout} == 7
       info threads
       watch ${timeout}
       reverse-continue
       p ${timeout} == 0
       stepi
       p ${timeout} == 7
       reverse-stepi
       p ${timeout} == 0
       delete
       hbreak *${at("schedule")}
       reverse-continue
       p (unsigned)$pc == ${at("schedule")}
       reverse-stepi
       reverse-stepi
       stepi
       stepi
       p (unsigned)$pc == ${at("schedule")}
       delete
       hbreak *${at("start_kernel")}
       reverse-continue
       p (unsigned)$pc == ${at("start_kernel")}
       delete
       reverse-continue
       kill`,
      { limit: PATIENCE.timeout },
    );
    await machine.stop();
    const shown = answers(text);
    const tests = [...shown].filter(([line]) => /^p.*==/.test(line));
    for (const [line, answer] of tests) {
      assertMatch(answer, /= (0x)?1\n/, `${line}: ${text}`);
    }
    assertEquals(tests.length, 8, text);
    assertMatch(shown.get("info threads")!, /Thread 2/);
    assertMatch(
      shown.get("reverse-continue")!,
      /Old value = 7\s+New value = 0/,
      text,
    );
    assertStringIncludes(
      shown.get("reverse-continue #4")!,
      "No more reverse-execution history",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
