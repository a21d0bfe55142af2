/** A toy machine whose inputs are recorded and replayed. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { MemoryNet } from "../backend/memory_net.ts";
import type { FrameOffload, NetCard } from "../backend/net.ts";
import { InputQueue } from "../backend/input_queue.ts";
import { MemoryChar } from "../backend/memory_char.ts";
import { SilentNet, timedChar, timedInput, timedNet } from "./channels.ts";
import { ReplayError } from "./error.ts";
import type { Subject, TimedInputs } from "./inputs.ts";
import { EntryWriter, INPUTS, writeHeader } from "./log.ts";
import { LogFile } from "./log_file.ts";
import { Player } from "./player.ts";
import { Recorder } from "./recorder.ts";

/** Frames that the card has room for. */
const ROOM = 3;
const LAST = 30_000;

/** Executes "instructions", and notes when it is told what. */
class Toy {
  count = 0;
  skipped = 0;
  stopped = false;
  readonly heard: string[] = [];
  #frames: number[] = [];
  #isFull = false;
  readonly #inputs: TimedInputs;
  readonly #net;

  constructor(
    inputs: TimedInputs,
    { char, net, input }: {
      char: MemoryChar;
      net: MemoryNet | SilentNet;
      input: InputQueue;
    },
  ) {
    this.#inputs = inputs;
    const note = (what: string): void =>
      void this.heard.push(`${this.count} ${this.skipped} ${what}`);
    timedChar(inputs, "char", char).onInput((bytes) => note(`char ${bytes}`));
    timedInput(inputs, "keys", input).onEvent((event) =>
      note(JSON.stringify(event))
    );
    this.#net = timedNet(inputs, "net", net);
    const card: NetCard = {
      offload: true,
      receive: (frame, offload?: FrameOffload) => {
        const isTaken = this.#frames.length < ROOM;
        this.#isFull ||= !isTaken;
        note(`frame ${frame} ${JSON.stringify(offload)} ${isTaken}`);
        if (isTaken) this.#frames.push(frame[0]);
        return isTaken;
      },
    };
    this.#net.attach(card);
    const subject: Subject = {
      position: () => ({
        count: this.count,
        time: this.count * 4 + this.skipped,
      }),
      save: () => ({ count: this.count, frames: this.#frames }),
      memory: new Uint8Array(4096),
      awaitsDisk: false,
      isCut: false,
      forgetMappings: () => {},
      skipTo: (time) => this.skipped = time - this.count * 4,
      stop: () => this.stopped = true,
      wake: () => {},
    };
    inputs.attach(subject);
  }

  async run(): Promise<void> {
    while (this.count < LAST && !this.stopped) {
      const taken = this.#inputs.take();
      if (taken !== undefined) {
        await taken;
        continue;
      }
      if (this.stopped) return;
      // To a multiple of 100, as if a timer were due there.
      const left = 100 - this.count % 100;
      this.count += Math.min(left, this.#inputs.budget);
      if (this.count % 700 === 0 && this.#frames.length > 0) {
        this.#net.send(Uint8Array.of(this.#frames.shift()!));
        if (this.#isFull) {
          this.#isFull = false;
          this.#net.ready();
        }
      }
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
    this.#inputs.end();
  }
}

async function record(): Promise<{ log: Uint8Array; heard: string[] }> {
  const written: Uint8Array[] = [];
  const recorder = new Recorder({
    append: (bytes) => void written.push(bytes),
    close: () => {},
  });
  const char = new MemoryChar();
  const net = new MemoryNet({ offload: true });
  const input = new InputQueue();
  const toy = new Toy(recorder, { char, net, input });
  recorder.begin({});
  const run = toy.run();
  const segments = { kind: "tcp4", bytes: 1000, headers: 54 } as const;
  for (let i = 0; i < 40; i++) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
    if (i % 3 === 0) net.inject(Uint8Array.of(i, 1), { segments });
    else net.inject(Uint8Array.of(i));
    if (i % 4 === 0) void char.send(Uint8Array.of(i, i));
    if (i % 5 === 0) {
      void input.send([{ type: "key", code: "KeyA", down: i % 2 === 0 }]);
    }
  }
  await run;
  recorder.close();
  return {
    log: new Uint8Array(await new Blob(written as BlobPart[]).bytes()),
    heard: toy.heard,
  };
}

Deno.test("inputs: frames, bytes and keys come where they came, refused ones too", async () => {
  const { log, heard } = await record();
  assert(heard.some((line) => line.endsWith("false")));
  assert(heard.some((line) => line.includes("char")));
  assert(heard.some((line) => line.includes("KeyA")));
  const recorded = new LogFile(log);
  assertEquals(recorded.isTruncated, false);
  const player = new Player(recorded);
  const char = new MemoryChar();
  const input = new InputQueue();
  const net = new SilentNet(true);
  const toy = new Toy(player, { char, net, input });
  player.checkChannels();
  // What the host has is dropped.
  void char.send("x");
  void input.send([{ type: "key", code: "KeyB", down: true }]);
  await toy.run();
  assertEquals(toy.heard, heard);
});

Deno.test("inputs: what is for no channel is refused", () => {
  const position = { count: 0, time: 0 };
  const events = [{ channel: 7, again: false, bytes: new Uint8Array() }];
  const player = new Player(
    new LogFile(Uint8Array.of(
      ...writeHeader({}),
      ...new EntryWriter(position).write({ type: INPUTS, ...position, events }),
    )),
  );
  assertThrows(() => player.checkChannels(), ReplayError, "nothing that there");
});

Deno.test("inputs: where the host writes no more nobody waits, and the file is closed", async () => {
  let room = 1;
  let closed = 0;
  const recorder = new Recorder({
    append: () => {
      if (room-- === 0) throw new Error("no room");
    },
    close: () => void closed++,
  });
  const channel = recorder.channel<Uint8Array>({
    name: "bytes",
    encode: (bytes) => bytes,
    decode: (bytes) => bytes,
    deliver: () => {},
  });
  recorder.begin({});
  const taken = channel.submit(new Uint8Array(1));
  assertThrows(() => recorder.begin({}), ReplayError, "Cannot record: no room");
  await taken;
  recorder.close();
  assertEquals(closed, 1);
});
