/**
 * TCP over links that fail: the same stack at both ends, in simulated time.
 */

import { assert, assertEquals } from "@std/assert";
import type { HostClock } from "../../plugins/net/user/clock.ts";
import { End, type Faults, join, Party, SimulatedClock } from "./simulation.ts";

const GATEWAY = 0x0a000202;
const GUEST = 0x0a00020f;
const MB = 1_000_000;

/** `first`: the sequence number with which both ends begin; any when absent. */
function setUp(faults: Faults, first?: number) {
  const clock = new SimulatedClock(1);
  const ends: HostClock = first === undefined ? clock : {
    now: () => clock.now(),
    soon: (call) => clock.soon(call),
    after: (ms, call) => clock.after(ms, call),
    random: () => first,
  };
  const accepted: Party[] = [];
  let make = (): Party => new Party(0);
  const host = new End(ends, GATEWAY, (connection) => {
    const party = make();
    party.connection = connection;
    accepted.push(party);
    connection.accept(party);
  });
  const guest = new End(ends, GUEST, (connection) => connection.abort());
  join(clock, host, guest, faults);
  return {
    clock,
    host,
    guest,
    accepted,
    serve: (made: () => Party) => make = made,
    connect(party: Party, port = 80): Party {
      party.connection = guest.stack.connect(GATEWAY, port, GUEST, party);
      return party;
    },
  };
}

/** Both directions at once; everything arrives, and the connection ends. */
function exchange(faults: Faults, bytes: number, first?: number): void {
  const sim = setUp(faults, first);
  sim.serve(() => new Party(bytes));
  const guest = sim.connect(new Party(bytes));
  const done = () =>
    guest.ending !== undefined && sim.accepted[0]?.ending !== undefined;
  assert(sim.clock.run(done), "the connection does not end");
  const [host] = sim.accepted;
  assertEquals([guest.taken, host.taken], [bytes, bytes]);
  assertEquals([guest.sawEnd, host.sawEnd], [true, true]);
  assertEquals([guest.ending, host.ending], ["closed", "closed"]);
  // What waits for late segments is gone soon, with its memory.
  sim.clock.run(() => false, 10_000);
  assertEquals([sim.host.stack.count, sim.guest.stack.count], [0, 0]);
  assertEquals(sim.host.stack.budget.left, 128 * 1024 * 1024);
}

Deno.test("20 MB both ways over a good link, a segment a frame", () => {
  exchange({}, 20 * MB);
});

Deno.test("20 MB both ways over a good link, in large frames", () => {
  exchange({ offload: true }, 20 * MB);
});

Deno.test("20 MB both ways, 5 % lost, 5 % reordered, 1 % doubled", () => {
  exchange({ loss: 0.05, reordered: 0.05, doubled: 0.01 }, 20 * MB);
});

Deno.test("20 MB both ways in large frames, 5 % lost and reordered", () => {
  exchange({ loss: 0.05, reordered: 0.05, offload: true }, 20 * MB);
});

for (const end of [2 ** 31, 2 ** 32]) {
  const name = `sequence numbers pass ${end}`;
  Deno.test(`${name} in the handshake, the bytes and FIN`, () => {
    for (let before = 0; before <= 12; before++) exchange({}, 10, end - before);
  });

  Deno.test(`${name} among 3 MB both ways, 5 % lost and reordered`, () => {
    const faults = { loss: 0.05, reordered: 0.05, doubled: 0.01 };
    for (const offload of [false, true]) {
      exchange({ ...faults, offload }, 3 * MB, end - 1.5 * MB);
    }
  });

  Deno.test(`${name} in a window that is shut`, () => {
    const sim = setUp({ loss: 0.1 }, end - MB);
    sim.serve(() => new Party(0, true));
    sim.connect(new Party(3 * MB));
    sim.clock.run(() => sim.accepted[0]?.isOpen ?? false);
    const [host] = sim.accepted;
    host.paused = true;
    const { taken } = host;
    sim.clock.run(() => false, 60_000);
    assertEquals(host.taken, taken);
    host.paused = false;
    host.readable();
    assert(sim.clock.run(() => host.taken === 3 * MB && host.sawEnd));
  });
}

Deno.test("a card without room now and then, and loss", () => {
  exchange({ loss: 0.02, full: 0.2 }, 5 * MB);
});

Deno.test("a third of all frames lost: little comes, but whole", () => {
  exchange({ loss: 0.33 }, 200_000);
});

Deno.test("a reader that stops closes the window, and opens it again", () => {
  const sim = setUp({ loss: 0.3 });
  sim.serve(() => new Party(0, true));
  const guest = sim.connect(new Party(5 * MB));
  sim.clock.run(() => sim.accepted[0]?.isOpen ?? false);
  const [host] = sim.accepted;
  host.paused = true;
  const { taken } = host;
  sim.clock.run(() => false, 600_000);
  assertEquals(host.taken, taken);
  assert(guest.ending === undefined, "probes are answered: it stays");
  host.paused = false;
  host.readable();
  assert(sim.clock.run(() => host.taken === 5 * MB && host.sawEnd));
});

Deno.test("each direction ends for itself", () => {
  const sim = setUp({ loss: 0.1 });
  sim.serve(() => new Party(0, true));
  const guest = sim.connect(new Party(1000));
  assert(sim.clock.run(() => sim.accepted[0]?.sawEnd ?? false));
  const [host] = sim.accepted;
  sim.clock.run(() => false, 120_000);
  assertEquals([guest.ending, host.ending], [undefined, undefined]);
  // The other half still carries bytes.
  Object.assign(host, { total: MB, keepsOpen: false });
  host.writable();
  assert(sim.clock.run(() => guest.ending !== undefined));
  assertEquals([guest.taken, guest.sawEnd, guest.ending], [MB, true, "closed"]);
});

Deno.test("both ends close at once", () => {
  const sim = setUp({});
  sim.serve(() => new Party(0, true));
  const guest = sim.connect(new Party(0, true));
  sim.clock.run(() => sim.accepted[0]?.isOpen ?? false);
  const [host] = sim.accepted;
  guest.connection?.finish();
  host.connection?.finish();
  assert(sim.clock.run(() => guest.ending !== undefined));
  sim.clock.run(() => false, 10_000);
  assertEquals([guest.ending, host.ending], ["closed", "closed"]);
  assertEquals([sim.host.stack.count, sim.guest.stack.count], [0, 0]);
});

Deno.test("a reset reaches the other end and frees everything", () => {
  const sim = setUp({});
  sim.serve(() => new Party(10 * MB, true));
  const guest = sim.connect(new Party(0, true));
  assert(sim.clock.run(() => guest.taken > MB));
  guest.connection?.abort();
  const [host] = sim.accepted;
  assert(sim.clock.run(() => host.ending !== undefined));
  assertEquals(host.ending, "reset");
  assertEquals([sim.host.stack.count, sim.guest.stack.count], [0, 0]);
});

Deno.test("who is reset before it is accepted hears of it", () => {
  const sim = setUp({});
  sim.guest.stack.connect(GATEWAY, 1, GUEST, new Party(0));
  const party = new Party(0);
  party.connection = sim.host.stack.connect(GUEST, 22, GATEWAY, party);
  assert(sim.clock.run(() => party.ending !== undefined));
  assertEquals(party.ending, "reset");
});

Deno.test("an end that is gone is given up", () => {
  const sim = setUp({ loss: 1 });
  const guest = sim.connect(new Party(0));
  // Known, so that segments are sent at all.
  sim.guest.neighbours.learn(GATEWAY, 0x5255_0a00_0202);
  assert(sim.clock.run(() => guest.ending !== undefined));
  assertEquals(guest.ending, "timeout");
});

Deno.test("1,000 connections at once, 2 % lost", () => {
  const sim = setUp({ loss: 0.02, reordered: 0.02, offload: true });
  sim.serve(() => new Party(10_000));
  const guests = Array.from(
    { length: 1000 },
    (_, i) => sim.connect(new Party(10_000), 1 + i % 3),
  );
  assert(
    sim.clock.run(() => guests.every(({ ending }) => ending !== undefined)),
  );
  assertEquals(sim.accepted.length, 1000);
  for (const party of guests) {
    assertEquals([party.taken, party.ending], [10_000, "closed"]);
  }
  sim.clock.run(() => false, 100_000);
  assertEquals([sim.host.stack.count, sim.guest.stack.count], [0, 0]);
});

Deno.test("more connections than there may be: the most silent is reset", () => {
  const sim = setUp({ offload: true });
  sim.serve(() => new Party(0, true));
  const guests: Party[] = [];
  for (let i = 0; i < 4196; i++) {
    guests.push(sim.connect(new Party(0, true), 1 + i % 5));
    sim.clock.run(() => guests[i].isOpen);
  }
  sim.clock.run(() => false, 1000);
  assertEquals(sim.host.stack.count, 4096);
  assertEquals(guests.findIndex(({ ending }) => ending === undefined), 100);
});
