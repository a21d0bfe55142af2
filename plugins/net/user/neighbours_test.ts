import { assertEquals } from "@std/assert";
import { GuestLink } from "./link.ts";
import { Neighbours } from "./neighbours.ts";
import { ARP_REPLY, ARP_REQUEST, arpFrame, readArp } from "./pdu/arp.ts";

const BASE = 0x0a000000; // 10.0.0.0/16
const GATEWAY = BASE + 2;
const GUEST = BASE + 15;
const MAC = 0x525400123456;

/** A table on a link, whose frames are ARP's. */
class Bench {
  now = 0;
  readonly resolved: number[] = [];
  readonly table: Neighbours;
  #sent: Uint8Array[] = [];

  constructor() {
    const clock = {
      now: () => this.now,
      after: () => () => {},
      soon: (callback: () => void) => callback(),
      random: () => 0,
    };
    const link = new GuestLink(clock);
    link.attach({
      offload: false,
      receive: (frame) => this.#sent.push(frame) > 0,
    });
    this.table = new Neighbours(
      { base: BASE, mask: 0xffff0000 },
      new Set([GATEWAY]),
      link,
      clock,
    );
    this.table.onResolved = (guest) => this.resolved.push(guest);
  }

  /** What was sent since the last call: the operation and whom it is about. */
  sent(): [operation: number, target: number][] {
    return this.#sent.splice(0).map((frame) => {
      const { operation, target } = readArp(frame)!;
      return [operation, target];
    });
  }
}

Deno.test("neighbours: an unknown guest is asked for, twice a second at most", () => {
  const bench = new Bench();
  const { table } = bench;
  assertEquals(table.macOf(GUEST, GATEWAY), undefined);
  assertEquals(bench.sent(), [[ARP_REQUEST, GUEST]]);
  bench.now = 499;
  table.macOf(GUEST, GATEWAY);
  assertEquals(bench.sent(), []);
  bench.now = 500;
  table.macOf(GUEST, GATEWAY);
  assertEquals(bench.sent(), [[ARP_REQUEST, GUEST]]);
  table.learn(GUEST, MAC);
  assertEquals(bench.resolved, [GUEST]);
  assertEquals(table.macOf(GUEST, GATEWAY), MAC);
  // Another card with the same address: nothing waits for it.
  table.learn(GUEST, MAC + 1);
  assertEquals(table.macOf(GUEST, GATEWAY), MAC + 1);
  assertEquals(bench.resolved, [GUEST]);
  assertEquals(bench.sent(), []);
});

Deno.test("neighbours: what is nobody's address is not learnt or asked for", () => {
  const bench = new Bench();
  const { table } = bench;
  for (const address of [GATEWAY, BASE, BASE + 0xffff, BASE + 0x10000, 0]) {
    table.learn(address, MAC);
    assertEquals(table.macOf(address, GATEWAY), undefined);
  }
  // A group's MAC address, all stations', and none.
  for (const mac of [0x01005e000001, 0xffffffffffff, 0]) {
    table.learn(GUEST, mac);
  }
  assertEquals([bench.resolved, bench.sent()], [[], []]);
  assertEquals(table.macOf(GUEST, GATEWAY), undefined);
});

Deno.test("neighbours: a guest that takes all addresses has the last 256", () => {
  const bench = new Bench();
  const { table } = bench;
  for (let i = 0; i < 1000; i++) table.learn(GUEST + i, MAC + i);
  const known = (i: number): boolean =>
    table.macOf(GUEST + i, GATEWAY) === MAC + i;
  assertEquals(
    Array.from({ length: 1000 }, (_, i) => i).filter(known),
    Array.from({ length: 256 }, (_, i) => 744 + i),
  );
  assertEquals(bench.sent().length, 744);
});

Deno.test("neighbours: who asks for the network's own addresses is answered", () => {
  const bench = new Bench();
  const ask = (operation: number, target: number): void =>
    bench.table.input(arpFrame({
      operation,
      senderMac: MAC,
      sender: GUEST,
      targetMac: 0,
      target,
    }));
  ask(ARP_REQUEST, GATEWAY);
  assertEquals(bench.sent(), [[ARP_REPLY, GUEST]]);
  assertEquals(bench.table.macOf(GUEST, GATEWAY), MAC, "it was heard");
  ask(ARP_REQUEST, GATEWAY + 1);
  ask(ARP_REPLY, GATEWAY);
  assertEquals(bench.sent(), []);
});
