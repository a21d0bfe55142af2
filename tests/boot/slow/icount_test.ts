/** With the instruction count as time a boot is the same every time. */

import { assertEquals, assertMatch } from "@std/assert";
import { boot, isapc, withScript } from "../guest.ts";

/** What must not differ. */
interface Run {
  readonly instructions: number;
  readonly time: number;
  readonly output: string;
}

async function run(
  kernel: string,
  initrd: string,
  accel: "jit" | "interp",
): Promise<Run> {
  const machine = await isapc({ kernel, initrd, accel, icount: true });
  try {
    // The guest types to its own shell: what a test types comes at no
    // particular instruction.
    await machine.run();
    return {
      instructions: machine.cpu.instructions,
      time: machine.clock.now(),
      output: machine.serial(0).output,
    };
  } finally {
    await machine.stop();
  }
}

const SCRIPT = `cd /root
(echo 'echo $((6 * 7)); date; ps; cat /proc/interrupts'; echo poweroff -f) |
  sh -i
`;

boot(
  "icount: two boots to the shell are the same",
  ({ kernel }) =>
    withScript(SCRIPT, async (initrd) => {
      const first = await run(kernel, initrd, "jit");
      assertMatch(first.output, /\/root # 42\r\n/);
      assertEquals(await run(kernel, initrd, "jit"), first);
    }),
);

boot(
  "icount: the interpreter boots as the compiler does",
  ({ kernel }) =>
    withScript(SCRIPT, async (initrd) => {
      const [jit, interp] = [
        await run(kernel, initrd, "jit"),
        await run(kernel, initrd, "interp"),
      ];
      assertEquals(interp, jit);
    }),
);
