/** An idle guest leaves the host alone. */

import { assert } from "@std/assert";
import { boot, isapc, PATIENCE } from "../guest.ts";

/** CPU time of this process so far, in milliseconds. */
function cpuTime(): number {
  let time = 0;
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    const text = Deno.readTextFileSync(`/proc/self/task/${name}/schedstat`);
    time += Number(text.split(" ")[0]) / 1e6;
  }
  return time;
}

const wait = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

boot("an idle guest sleeps", async ({ kernel, initramfs }) => {
  const machine = await isapc({ kernel, initrd: initramfs });
  try {
    await machine.serial(0).expect(/\/root # /, PATIENCE);
    // Until the tick's code has been compiled.
    await wait(10);
    const slept = machine.stats()["slept ms"];
    const before = cpuTime();
    await wait(10);
    const share = (cpuTime() - before) / 100;
    console.log(`an idle guest takes ${share.toFixed(1)} % of a core`);
    // How long it takes depends on what else the host does; that it sleeps
    // most of the time does not.
    const asleep = (machine.stats()["slept ms"] - slept) / 100;
    assert(asleep > 50, `it sleeps ${asleep} % of the time`);
  } finally {
    await machine.stop();
  }
});
