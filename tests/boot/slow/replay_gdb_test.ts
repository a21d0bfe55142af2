/**
 * gdb goes backwards in Debian's kernel: from the end of a recorded session to a
 * function, to who wrote a word of the stack last, and to the beginning.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Machine } from "../../../mod.ts";
import { answers, missing, runGdb } from "../../gdb/harness.ts";
import { boot, isapc, PATIENCE, Shell } from "../guest.ts";

const SYMBOLS = ["schedule", "start_kernel"] as const;

boot(`gdb goes backwards in Linux${missing("gdb")}`, async (guest) => {
  if (missing("gdb") !== "") return;
  const folder = await Deno.makeTempDir();
  const log = `${folder}/log`;
  try {
    const recorded = await isapc({
      kernel: guest.kernel,
      initrd: guest.initramfs,
      append: "console=ttyS0 nokaslr nowatchdog",
      memory: "64M",
      record: log,
    });
    const shell = await Shell.of(recorded);
    const { output } = await shell.run(
      `grep -E ' (${SYMBOLS.join("|")})$' /proc/kallsyms`,
    );
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
    const text = await runGdb(
      { symbols: "/dev/null" },
      address,
      `set architecture i386
       target remote $REMOTE
       hbreak *${at("start_kernel")}
       continue
       p $pc == ${at("start_kernel")}
       delete
       continue
       hbreak *${at("schedule")}
       reverse-continue
       p $pc == ${at("schedule")}
       set $place = (unsigned *)$sp
       set $value = *$place
       reverse-stepi
       reverse-stepi
       stepi
       stepi
       p $pc == ${at("schedule")}
       delete
       watch *(unsigned *)$place
       reverse-continue
       p *$place != $value
       stepi
       p *$place == $value
       reverse-stepi
       p *$place != $value
       delete
       hbreak *${at("start_kernel")}
       reverse-continue
       p $pc == ${at("start_kernel")}
       delete
       reverse-continue
       kill`,
      { limit: PATIENCE.timeout },
    );
    await machine.stop();
    const shown = answers(text);
    const tests = [...shown].filter(([line]) => /^p .*[!=]=/.test(line));
    for (const [line, answer] of tests) {
      assertMatch(answer, /= 1\n/, `${line}: ${text}`);
    }
    assertEquals(tests.length, 7, text);
    assertMatch(shown.get("reverse-continue #2")!, /Old value = /, text);
    assertStringIncludes(
      shown.get("reverse-continue #4")!,
      "No more reverse-execution history",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
