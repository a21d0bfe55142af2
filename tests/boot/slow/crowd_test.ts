/**
 * A guest that gets little of its host keeps its clocks together: the kernel's
 * watchdog compares the TSC with the PIT's ticks twice a second.
 */

import { assertEquals } from "@std/assert";
import { boot } from "../guest.ts";
import { Process } from "../process.ts";
import { ISAPC_WARNINGS, warnings } from "../session.ts";

/** Of cores: more than there are. */
const GUESTS = Math.min(navigator.hardwareConcurrency + 1, 4);

boot("guests that share a host find no clock unstable", async (guest) => {
  await Promise.all(Array.from({ length: GUESTS }, async () => {
    await using process = new Process(guest);
    await process.expect(/\/root # /);
    // No sleep: see `warnings`.
    await process.type(
      'until dmesg | grep -qE "to clocksource tsc$|unstable"; do :; done; ' +
        'dmesg -r; echo "en""d"',
    );
    const log = await process.expect(/\r\nend\r\n/);
    const seen = warnings(log).difference(new Set(ISAPC_WARNINGS));
    assertEquals([...seen], []);
  }));
});
