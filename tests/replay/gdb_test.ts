/** gdb goes backwards in C: by lines, out of functions, to points that were passed. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Machine } from "../../machines/machine.ts";
import { until, within } from "../limit.ts";
import { answers, missing, PC, runGdb, withGuest } from "../gdb/harness.ts";

const absent = missing("gdb", "gcc", "objcopy", "nm");

/** Goes forwards, and back to the start. */
const SCRIPT = `target remote $REMOTE
  break floats
  continue
  delete
  reverse-finish
  p $pc > kernel_main && $pc < kernel_main + 200
  reverse-next
  p counter == 7 && source == 15
  reverse-next
  p counter == 7 && source == 5
  break square
  reverse-continue
  p n == 10
  reverse-continue
  p n == 9 && counter == 1 + 204
  delete
  watch counter
  reverse-continue
  p counter == 1 + 140
  delete
  hbreak *trap_here
  reverse-continue
  p handled == 0
  stepi
  p $pc == on_invalid_opcode
  reverse-stepi
  p $pc == trap_here
  delete
  reverse-continue
  p counter == 0
  reverse-stepi
  reverse-continue
  break spin
  continue
  p source == 15 && handled == 1
  kill`;

for (const bits of [32, 64] as const) {
  Deno.test({
    name: `gdb: lines and functions backwards, ${bits} bits${absent}`,
    ignore: absent !== "",
    fn: () =>
      withGuest(bits, async (guest) => {
        const log = `${guest.folder}/log`;
        const recorded = await Machine.load(PC, {
          kernel: guest.kernel,
          cpu: bits === 64 ? "max" : "pentium3",
          memory: "64M",
          smp: 2,
          record: log,
        });
        const run = recorded.run();
        await until(
          "20 million instructions",
          () => recorded.cpu.instructions >= 20_000_000,
        );
        recorded.quit();
        await within("the end of the recorded run", run);
        await recorded.stop();
        const machine = await Machine.replay(log);
        const { address } = await machine.serveGdb(
          `unix:${guest.folder}/gdb`,
          { wait: true },
        );
        machine.start();
        const text = await runGdb(guest, address, SCRIPT);
        await machine.stop();
        const shown = answers(text);
        assertEquals(shown.get("errors"), undefined, text);
        const tests = [...shown].filter(([line]) => /^p .*==/.test(line));
        for (const [line, answer] of tests) {
          assertMatch(answer, /= 1\n/, `${line}: ${text}`);
        }
        assertEquals(tests.length, 10);
        for (const back of ["reverse-continue #5", "reverse-continue #6"]) {
          assertStringIncludes(
            shown.get(back)!,
            "No more reverse-execution history",
          );
        }
      }),
  });
}
