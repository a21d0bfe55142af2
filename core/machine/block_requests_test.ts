import { assert, assertEquals, assertRejects } from "@std/assert";
import type { BlockBackend } from "../backend/block.ts";
import { ManualTime } from "../time/time_source.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import { BlockRequests } from "./block_requests.ts";

/** A backend whose answers the test gives, in any order. */
class Host {
  readonly answers: PromiseWithResolvers<void>[] = [];
  readonly backend: BlockBackend;

  constructor() {
    const answer = async <T>(value: T): Promise<T> => {
      const given = Promise.withResolvers<void>();
      this.answers.push(given);
      await given.promise;
      return value;
    };
    this.backend = {
      size: 4096,
      readOnly: false,
      read: (_offset, length, room) => answer(room ?? new Uint8Array(length)),
      write: () => answer(undefined),
      discard: () => answer(undefined),
      writeZeroes: () => answer(undefined),
      flush: () => answer(undefined),
      close: () => Promise.resolve(),
    };
  }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

Deno.test("block requests: what was asked is counted, and failures are told", async () => {
  const requests = new BlockRequests();
  const failures: unknown[][] = [];
  requests.onError = (...failure) => failures.push(failure);
  const { backend, answers } = new Host();
  const block = requests.behind(backend, "disk");
  const all = [
    block.read(0, 512),
    block.write(1024, new Uint8Array(512)),
    block.writeZeroes(0, 256),
    block.flush(),
    block.discard(0, 100),
    block.read(0, 1),
  ];
  for (const answer of answers.slice(0, 5)) answer.resolve();
  const error = new Error("no");
  answers[5].reject(error);
  await Promise.allSettled(all);
  const { read, write, flush, discard, highestWrite } = requests.counts(
    backend,
  )!;
  assertEquals(
    [read, write, flush, discard].map(({ done, failed, bytes }) => [
      done,
      failed,
      bytes,
    ]),
    [[1, 1, 512], [2, 0, 768], [1, 0, 0], [1, 0, 100]],
  );
  assertEquals(highestWrite, 1536);
  assertEquals(failures, [["disk", "read", error]]);
});

Deno.test("block requests: counted until the host answers, well or not", async () => {
  const requests = new BlockRequests();
  let started = 0;
  requests.onRequest = () => started++;
  const { backend, answers } = new Host();
  const block = requests.behind(backend);
  assertEquals([block.size, block.readOnly], [4096, false]);
  const room = new Uint8Array(512);
  const read = block.read(0, 512, room);
  const write = block.write(0, new Uint8Array(9));
  assertEquals([requests.outstanding, started], [true, 1]);
  answers[0].resolve();
  assert(await read === room);
  assertEquals(requests.outstanding, true);
  answers[1].reject(new Error("no"));
  await assertRejects(() => write, Error, "no");
  assertEquals([requests.outstanding, requests.due], [false, undefined]);
  const flush = block.flush();
  assertEquals([requests.outstanding, started], [true, 2]);
  answers[2].resolve();
  await flush;
});

Deno.test("block requests: the more bytes, the later an answer is looked for", async () => {
  const requests = new BlockRequests();
  const { backend, answers } = new Host();
  const block = requests.behind(backend);
  const long = block.read(0, 2 ** 40, new Uint8Array());
  const short = block.read(0, 1);
  // 1 TiB takes 550 s, far more than the test: the time that passes is nothing.
  assert(requests.nextLook >= 2 ** 39);
  answers[0].resolve();
  await long;
  assert(requests.nextLook < 2 ** 38);
  // And with one that does not come, later and later.
  const soon = requests.nextLook;
  const start = performance.now();
  while (performance.now() - start < 5) await settled();
  assert(requests.nextLook > soon);
  answers[1].resolve();
  await short;
});

Deno.test("block requests: a device that asks again and again leaves the host its turns", async () => {
  const atOnce: BlockBackend = {
    ...new Host().backend,
    read: (_offset, length) => Promise.resolve(new Uint8Array(length)),
  };
  const block = new BlockRequests().behind(atOnce);
  let asked = 0;
  let turned = false;
  setImmediate(() => turned = true);
  while (!turned && asked < 10_000) {
    await block.read(0, 512);
    asked++;
  }
  assert(turned, `the host waits for ${asked} requests`);
});

Deno.test("block requests, icount: an answer comes at its virtual time", async () => {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  const requests = new BlockRequests(clock);
  const { backend, answers } = new Host();
  const block = requests.behind(backend);
  const seen: string[] = [];
  const note = (name: string) => (): number => seen.push(name);
  // The longer transfer is made first and is due last.
  block.read(0, 4096).then(note("read"));
  block.write(0, new Uint8Array(512)).catch(note("write"));
  const until = (deadline: number): void => {
    time.set(deadline);
    clock.runDue();
  };
  // The host is ready long before.
  answers[0].resolve();
  await settled();
  assertEquals([seen, requests.due], [[], undefined]);
  const first = clock.nextDeadline();
  until(first);
  const due = requests.due;
  assert(due !== undefined, "the guest waits for the write");
  await settled();
  assertEquals(seen, []);
  assertEquals(requests.due, due);
  const second = clock.nextDeadline();
  assert(second > first);
  until(second);
  await settled();
  assertEquals(seen, [], "the read is due after the write");
  answers[1].reject(new Error("no"));
  await settled();
  assertEquals(seen, ["write", "read"]);
  assertEquals([requests.due, requests.outstanding], [undefined, false]);
  assertEquals(clock.nextDeadline(), Infinity);
});

Deno.test("block requests: devices that are being made are answered without time", async () => {
  const time = new ManualTime();
  const requests = new BlockRequests(new VirtualClock(time, 0));
  const { backend, answers } = new Host();
  const block = requests.behind(backend);
  requests.building = true;
  const read = block.read(0, 512);
  answers[0].resolve();
  assertEquals((await read).length, 512);
});

Deno.test("block requests: made again after a load, they are answered when they would have been", async () => {
  const made = () => {
    const time = new ManualTime();
    const clock = new VirtualClock(time, 0);
    const requests = new BlockRequests(clock);
    const { backend, answers } = new Host();
    const done: string[] = [];
    const ask = (name: string, bytes: number): void => {
      requests.behind(backend, name).read(0, bytes)
        .then(() => done.push(`${name} ${clock.now()}`));
      answers.at(-1)!.resolve();
    };
    const advance = async (to: number): Promise<void> => {
      time.set(to);
      clock.runDue();
      await requests.due;
      await settled();
    };
    return { requests, done, ask, advance };
  };
  const first = made();
  first.ask("a", 512);
  await first.advance(50_000);
  first.ask("b", 0);
  first.ask("a", 4096);
  await first.requests.settle();
  assertEquals(first.done, []);
  const saved = { a: [105_120, 190_960], b: [150_000] };
  assertEquals(first.requests.save(), saved);
  const second = made();
  await second.advance(50_000);
  second.requests.expect(new Map(Object.entries(saved)));
  second.ask("a", 512);
  second.ask("a", 4096);
  second.ask("b", 0);
  second.requests.expect();
  assertEquals(second.requests.save(), saved);
  for (const each of [first, second]) {
    for (const time of [105_120, 150_000, 190_960]) await each.advance(time);
    assertEquals(each.done, ["a 105120", "b 150000", "a 190960"]);
  }
  // Before a load all are answered, and what comes of them at once.
  first.ask("a", 512);
  await first.requests.settle(true);
  assertEquals([first.done.length, first.requests.save()], [4, {}]);
});
