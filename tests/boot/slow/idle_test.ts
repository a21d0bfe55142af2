/**
 * An idle guest leaves the host alone.
 *
 * The machine is a process of its own, so that nothing but the guest takes time
 * in it: from a few seconds after the shell's prompt, when the tick's code has
 * not been compiled yet, for a minute. The kernel of the guest programs 250 ticks
 * a second (no NO_HZ), whatever it does.
 */

import { assertLess } from "@std/assert";
import { boot } from "../guest.ts";
import { Process } from "../process.ts";

const SETTLE_S = 5;
const MEASURE_S = 60;
/** In percent of a core; 0.9 to 1.0 are measured here. */
const LIMIT = 2;
/** Ticks of `/proc`'s CPU times in a second (`sysconf(_SC_CLK_TCK)`). */
const HZ = 100;

/** CPU time of a process with all its threads, in seconds. */
function cpuTime(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name, which may contain anything, ends with the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / HZ;
}

/** CPU time of everything on the host, in seconds. */
function hostTime(): number {
  const [, user, nice, system, , , irq, softirq, steal] = Deno
    .readTextFileSync("/proc/stat").split("\n")[0].split(/\s+/).map(Number);
  return (user + nice + system + irq + softirq + steal) / HZ;
}

const wait = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

boot("an idle guest sleeps", async (guest) => {
  await using process = new Process(guest);
  await process.expect(/\/root # /);
  await wait(SETTLE_S);
  const before = { host: hostTime(), own: cpuTime(process.pid) };
  const start = performance.now();
  await wait(MEASURE_S);
  const seconds = (performance.now() - start) / 1000;
  const own = cpuTime(process.pid) - before.own;
  const others = hostTime() - before.host - own;
  const share = own / seconds * 100;
  const busy = others / seconds / navigator.hardwareConcurrency * 100;
  console.log(
    `an idle guest takes ${share.toFixed(2)} % of a core; ` +
      `others take ${busy.toFixed(0)} % of the host`,
  );
  assertLess(share, LIMIT);
});
