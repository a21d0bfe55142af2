/**
 * A debugger and monitors know of each other: who stops the guest, and who lets
 * it go on.
 */

import { assertEquals } from "@std/assert";
import { COUNTS, Guest } from "./rhea.ts";

/** Where the firmware puts the guest. */
const CODE = 0x7c00;

Deno.test("QMP: a debugger's stops are told, and cont and stop reach it", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  const { machine } = guest;
  const look = async (): Promise<string> => {
    const { running, status } = (await client.execute("query-status")).return;
    return `${status} ${running}`;
  };
  const told = (): string[] => {
    const names = client.events.map(({ event }) => event as string);
    client.events.length = 0;
    return names;
  };
  machine.start();
  const debug = await machine.debug();
  const point = debug.setBreakpoint(CODE);
  assertEquals((await debug.resume()).kind, "breakpoint");
  assertEquals(await look(), "debug false");
  assertEquals(told(), ["STOP"]);
  assertEquals((await debug.step(0)).kind, "step");
  assertEquals(await look(), "debug false");
  assertEquals(told(), ["RESUME", "STOP"]);
  // Many steps of one command are one run.
  await debug.asOne(async () => {
    for (let n = 0; n < 20; n++) await debug.step(0);
  });
  assertEquals(await look(), "debug false");
  assertEquals(told(), ["RESUME", "STOP"]);

  // A monitor lets it go on, though the debugger did not; its point stops it.
  await client.execute("cont");
  await client.event("RESUME");
  await client.event("STOP");
  assertEquals(await look(), "debug false");
  point.remove();
  await client.execute("cont");
  assertEquals(await look(), "running true");
  assertEquals(told(), ["RESUME"]);

  // It stops it for who waits.
  const waiting = debug.resume();
  await client.execute("stop");
  await client.execute("stop");
  assertEquals((await waiting).kind, "pause");
  assertEquals(await look(), "paused false");
  assertEquals(told(), ["STOP"]);
  const again = debug.resume();
  assertEquals(await look(), "running true");
  debug.pause();
  await again;
  assertEquals(await look(), "paused false");
  assertEquals(told(), ["RESUME", "STOP"]);

  // What a monitor has stopped goes on when the debugger leaves.
  await client.execute("cont");
  await client.execute("stop");
  debug.pause();
  debug.detach();
  assertEquals(await look(), "running true");
  assertEquals(told(), ["RESUME", "STOP", "RESUME"]);
});

Deno.test("QMP: saving and loading a snapshot stop the guest", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  guest.machine.start();
  await guest.machine.saveSnapshot("one");
  await guest.machine.loadSnapshot("one");
  await client.execute("query-status");
  assertEquals(client.events.map(({ event }) => event), [
    ...["STOP", "RESUME"],
    // QEMU's schema: that it is reset for that "doesn't occur in QMP".
    ...["STOP", "RESUME"],
  ]);
});

Deno.test("QMP: snapshots that are saved at the same time stop the guest once", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  const { machine } = guest;
  machine.start();
  await Promise.all(
    ["one", "two", "three"].map((name) => machine.saveSnapshot(name)),
  );
  const { return: status } = await client.execute("query-status");
  assertEquals(status.status, "running");
  assertEquals(client.events.map(({ event }) => event), ["STOP", "RESUME"]);
});
