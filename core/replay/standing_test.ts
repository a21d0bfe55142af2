/**
 * A guest that is told to stand still at whatever moment hears what is sent to
 * it there, and a replay hears it at the same place.
 */

import { assert, assertEquals } from "@std/assert";
import { InertCpu } from "../../tests/inert_cpu.ts";
import { within } from "../../tests/limit.ts";
import { forSeeds, randomBelow } from "../../tests/random.ts";
import { BlockRequests } from "../machine/block_requests.ts";
import type { CpuExit } from "../machine/cpu.ts";
import { RunLoop } from "../machine/run_loop.ts";
import { InstructionTime } from "../time/time_source.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import type { Channel, TimedInputs } from "./inputs.ts";
import { LogFile } from "./log_file.ts";
import { Player } from "./player.ts";
import { Recorder } from "./recorder.ts";

/** Nanoseconds of an instruction, and of a tick. */
const STEP = 4;
const TICK = 1_000_000;
/** Ticks of a run: at least two checks, each of 16 million instructions. */
const TICKS = 200;

/** So much that the guest waits until the host has taken it. */
const MUCH = new Uint8Array(2 ** 20);

/** A machine of a CPU that halts now and then until a tick, and sends much. */
class Guest extends InertCpu {
  readonly heard: string[] = [];
  readonly loop: RunLoop;
  readonly channel: Channel<Uint8Array>;
  readonly #inputs: TimedInputs;
  readonly #isSlow: boolean;
  #isHalted = false;
  #ticks = 0;

  /** `isSlow`: those it sends to take their time. */
  constructor(inputs: TimedInputs, isSlow: boolean) {
    super();
    this.#inputs = inputs;
    this.#isSlow = isSlow;
    const time = new InstructionTime(() => this.instructions, STEP);
    const clock = new VirtualClock(time, 0);
    const blocks = new BlockRequests();
    const between = (): boolean => false;
    this.loop = new RunLoop({
      cpu: this,
      clock,
      time,
      between,
      blocks,
      inputs,
    });
    const timer = clock.timer(() => {
      this.#isHalted = false;
      this.#ticks++;
      timer.arm((this.#ticks + 1) * TICK);
    });
    timer.arm(TICK);
    this.channel = inputs.channel<Uint8Array>({
      name: "bytes",
      encode: (bytes) => bytes,
      decode: (bytes) => bytes,
      deliver: ([byte]) => {
        this.heard.push(`${byte} ${this.instructions} ${time.now()}`);
      },
    });
    inputs.attach({
      position: () => ({ count: this.instructions, time: time.now() }),
      save: () => ({ halted: this.#isHalted, ticks: this.#ticks }),
      memory: new Uint8Array(64),
      awaitsDisk: false,
      isCut: false,
      forgetMappings: () => {},
      skipTo: (to) => time.skipTo(to),
      stop: () => this.loop.stop(),
      wake: () => this.loop.wake(),
    });
  }

  get isOver(): boolean {
    return this.#ticks >= TICKS;
  }

  run(budget: number): CpuExit {
    if (this.#isHalted) return "halted";
    this.instructions += budget;
    // As good as random, and the same in a replay.
    const dice = Math.imul(this.instructions + 1, 0x9e3779b9) >>> 24;
    if (dice % 4 === 0) {
      const taken = this.#isSlow ? wait(dice % 7) : undefined;
      this.#inputs.sent(MUCH, taken);
    }
    this.#isHalted = dice < 32;
    return this.#isHalted ? "halted" : "budget";
  }
}

/** Some turns of the event loop; without any, some microtasks. */
async function wait(turns: number): Promise<void> {
  if (turns === 0) { for (let i = 0; i < 3; i++) await null; }
  for (let i = 0; i < turns; i++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

Deno.test("a guest that stands hears what comes, and so does its replay", async () => {
  await forSeeds(3, async (seed) => {
    const random = randomBelow(seed);
    const parts: Uint8Array[] = [];
    const recorder = new Recorder({
      append: (bytes) => parts.push(bytes),
      close: () => {},
    });
    const guest = new Guest(recorder, true);
    recorder.begin({});
    const run = guest.loop.run();
    let sent = 0;
    while (!guest.isOver) {
      await wait(random(6));
      // Who is answered goes on at once, or later.
      const all: Promise<void>[] = [];
      for (let i = random(3); i > 0; i--) {
        all.push(guest.channel.submit(Uint8Array.of(sent++ & 255)));
      }
      if (random(2) === 0) await within("a running guest", Promise.all(all));
      await wait(random(3));
      const release = guest.loop.standStill();
      for (let i = random(4); i > 0; i--) {
        const heard = guest.channel.submit(Uint8Array.of(sent++ & 255));
        await within(`byte ${sent} of a guest that stands`, heard);
        await wait(random(3));
      }
      release();
    }
    guest.loop.stop();
    await run;
    recorder.close();
    assert(sent > 100 && guest.heard.length > 0.9 * sent);
    const player = new Player(
      new LogFile(Uint8Array.from(parts.flatMap((part) => [...part]))),
    );
    const replay = new Guest(player, false);
    await within("the replay", replay.loop.run());
    assertEquals(replay.heard, guest.heard);
    assertEquals(replay.instructions, guest.instructions);
    assert(player.isAtEnd);
  });
});
