import { assertEquals, assertRejects } from "@std/assert";
import { ReplayError } from "./error.ts";
import { type Entry, EntryWriter, INPUTS, writeHeader } from "./log.ts";
import { LogFile } from "./log_file.ts";
import { Player } from "./player.ts";

/** Nanoseconds of an instruction. */
const STEP = 4;

/** A recording with one byte of input, or several, at these positions. */
function recording(...positions: [count: number, time: number][]): LogFile {
  const writer = new EntryWriter({ count: 0, time: 0 });
  const entries = positions.map(([count, time], i): Entry => {
    const event = { channel: 0, again: false, bytes: Uint8Array.of(i) };
    return { type: INPUTS, count, time, events: [event] };
  });
  return new LogFile(Uint8Array.of(
    ...writeHeader({}),
    ...entries.flatMap((entry) => [...writer.write(entry)]),
  ));
}

/**
 * Plays it to a guest that halts after `halt` instructions until it is told
 * the byte `wakes`, with a timer each `period` nanoseconds: what it is told, and when.
 */
async function play(
  log: LogFile,
  { halt = Infinity, period = Infinity, wakes = 0 } = {},
): Promise<string[]> {
  const heard: string[] = [];
  let [count, skipped, isOver] = [0, 0, false];
  const now = (): number => count * STEP + skipped;
  const player = new Player(log);
  let isAwake = false;
  player.channel<Uint8Array>({
    name: "bytes",
    encode: (bytes) => bytes,
    decode: (bytes) => bytes,
    deliver: ([byte]) => {
      isAwake ||= byte === wakes;
      heard.push(`${byte} ${count} ${now()}`);
    },
  });
  player.attach({
    position: () => ({ count, time: now() }),
    save: () => ({}),
    memory: new Uint8Array(),
    awaitsDisk: false,
    isCut: false,
    forgetMappings: () => {},
    skipTo: (time) => skipped = time - count * STEP,
    stop: () => isOver = true,
    wake: () => {},
  });
  for (let rounds = 0; !isOver && rounds < 1000; rounds++) {
    const taken = player.take();
    if (taken !== undefined) {
      await taken;
      continue;
    }
    const isHalted = count === halt && !isAwake;
    if (isHalted) {
      const deadline = Math.floor(now() / period + 1) * period;
      await player.idle(deadline);
    } else count += Math.min(player.budget, halt - count || 50, 50);
  }
  return heard;
}

Deno.test("player: a guest that runs has an input's time at its instruction", async () => {
  assertEquals(await play(recording([100, 400], [130, 520])), [
    "0 100 400",
    "1 130 520",
  ]);
  for (const time of [399, 401, 404, 519]) {
    await assertRejects(
      () => play(recording([100, time], [130, 520])),
      ReplayError,
      "the next input is for instruction 100",
    );
  }
});

Deno.test("player: a guest that waits is told something when its time has come", async () => {
  const timer = { halt: 100, period: 3000 };
  for (const time of [401, 2999, 3000, 3001, 7777]) {
    assertEquals(await play(recording([100, time]), timer), [`0 100 ${time}`]);
  }
  // One after the other, at the same instruction.
  assertEquals(
    await play(
      recording([100, 500], [100, 501]),
      { ...timer, wakes: 1 },
    ),
    [
      "0 100 500",
      "1 100 501",
    ],
  );
  await assertRejects(
    () => play(recording([100, 399]), timer),
    ReplayError,
    "the next input is for instruction 100",
  );
});
