/** Lists the code of a guest that stands still, for a run without permissions. */

import { Machine } from "../../machines/machine.ts";

const machine = await Machine.load(
  new URL("../../machines/isapc.json", import.meta.url).pathname,
  { kernel: Deno.args[0], memory: "16M" },
);
await machine.serial(0).expect("# ");
const monitor = await machine.monitor();
await monitor.run("stop");
console.log(await monitor.run("x/3i 0x10000c"));
await machine.stop();
