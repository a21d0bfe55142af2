import { assertEquals } from "@std/assert";
import { formatAddress } from "./addresses.ts";
import { DhcpServer } from "./dhcp.ts";
import { get32, put16, put32 } from "./pdu/bytes.ts";

const NETWORK = { base: 0x0a000200, mask: 0xffffff00 };
const SERVER = 0x0a000202;
const OWN = new Set([SERVER, 0x0a000203]);
const [DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM] = [
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
];

function setUp() {
  const clock = { time: 0, now: () => clock.time };
  const settings = {
    network: NETWORK,
    server: SERVER,
    first: 0x0a00020f,
    own: OWN,
    router: SERVER,
    dns: 0x0a000203,
    hostName: "emu",
  };
  return { clock, server: new DhcpServer(settings, clock) };
}

/** A message of the client whose address ends with `mac`. */
function message(
  type: number,
  mac: number,
  options: number[] = [],
  address = 0,
  flags = 0,
): Uint8Array {
  const bytes = new Uint8Array(300);
  bytes.set([1, 1, 6]);
  put32(bytes, 4, 0x1234);
  put16(bytes, 10, flags);
  put32(bytes, 12, address);
  bytes.set([0x52, 0x54, 0, 0, 0, mac], 28);
  put32(bytes, 236, 0x63825363);
  bytes.set([53, 1, type, ...options, 255], 240);
  return bytes;
}

const wants = (last: number): number[] => [50, 4, 10, 0, 2, last];
const from = (last: number): number[] => [54, 4, 10, 0, 2, last];

function ask(server: DhcpServer, bytes: Uint8Array): string {
  const answer = server.answer(bytes);
  if (answer === undefined) return "nothing";
  const { message, target } = answer;
  return `${message[242]} ${formatAddress(get32(message, 16))} ` +
    formatAddress(target);
}

Deno.test("an address is offered, lent, and lent again", () => {
  const { server } = setUp();
  assertEquals(
    ask(server, message(DISCOVER, 1)),
    `${OFFER} 10.0.2.15 10.0.2.15`,
  );
  const request = message(REQUEST, 1, [...wants(15), ...from(2)]);
  assertEquals(ask(server, request), `${ACK} 10.0.2.15 10.0.2.15`);
  // Another client; one that can only take broadcasts.
  assertEquals(
    ask(server, message(DISCOVER, 2, [], 0, 0x8000)),
    `${OFFER} 10.0.2.16 255.255.255.255`,
  );
  // It renews, and it starts again.
  const renew = message(REQUEST, 1, [], 0x0a00020f);
  assertEquals(ask(server, renew), `${ACK} 10.0.2.15 10.0.2.15`);
  assertEquals(
    ask(server, message(DISCOVER, 1)),
    `${OFFER} 10.0.2.15 10.0.2.15`,
  );
  assertEquals(
    ask(server, message(REQUEST, 3, wants(20))),
    `${ACK} 10.0.2.20 10.0.2.20`,
  );
});

Deno.test("addresses that cannot be had are refused", () => {
  const { server } = setUp();
  ask(server, message(REQUEST, 1, wants(15)));
  const refused = `${NAK} 0.0.0.0 255.255.255.255`;
  for (const last of [15, 2, 255, 200]) {
    assertEquals(ask(server, message(REQUEST, 2, wants(last))), refused);
  }
  // What another server offered is not this one's matter.
  const other = message(REQUEST, 2, [...wants(16), ...from(9)]);
  assertEquals(ask(server, other), "nothing");
});

Deno.test("a client that takes another address gives the first one back", () => {
  const { server } = setUp();
  ask(server, message(REQUEST, 1, wants(15)));
  ask(server, message(REQUEST, 1, wants(20)));
  assertEquals(ask(server, message(DISCOVER, 2)).slice(2, 11), "10.0.2.15");
  assertEquals(ask(server, message(DISCOVER, 1)).slice(2, 11), "10.0.2.20");
});

Deno.test("release, decline and inform", () => {
  const { clock, server } = setUp();
  ask(server, message(REQUEST, 1, wants(15)));
  assertEquals(ask(server, message(RELEASE, 2, [], 0x0a00020f)), "nothing");
  assertEquals(ask(server, message(DISCOVER, 2)).slice(2, 11), "10.0.2.16");
  ask(server, message(RELEASE, 1, [], 0x0a00020f));
  assertEquals(
    ask(server, message(REQUEST, 3, wants(15))).slice(0, 11),
    `${ACK} 10.0.2.15`,
  );
  ask(server, message(DECLINE, 3, wants(15)));
  assertEquals(ask(server, message(DISCOVER, 4)).slice(2, 11), "10.0.2.17");
  // Nor does who found it taken get it, before a day has passed.
  assertEquals(ask(server, message(DISCOVER, 3)).slice(2, 11), "10.0.2.18");
  clock.time = 86_400_000;
  assertEquals(
    ask(server, message(REQUEST, 3, wants(15))).slice(0, 11),
    `${ACK} 10.0.2.15`,
  );
  assertEquals(
    ask(server, message(INFORM, 5, [], 0x0a000232)),
    `${ACK} 0.0.0.0 10.0.2.50`,
  );
});

Deno.test("a network full of clients gives nothing more, until leases end", () => {
  const { server, clock } = setUp();
  for (let i = 0; i < 64; i++) ask(server, message(DISCOVER, i));
  assertEquals(ask(server, message(DISCOVER, 100)), "nothing");
  clock.time = 61_000;
  assertEquals(ask(server, message(DISCOVER, 100)).slice(0, 1), `${OFFER}`);
});

Deno.test("what a relay sends on is not answered", () => {
  const { server } = setUp();
  const relayed = message(DISCOVER, 1);
  put32(relayed, 24, 0x0a000203);
  assertEquals(ask(server, relayed), "nothing");
});

Deno.test("messages of any length are read", () => {
  const { server } = setUp();
  const whole = message(DISCOVER, 1, wants(15));
  for (let length = 0; length < whole.length; length++) {
    server.answer(whole.subarray(0, length));
  }
  whole[241] = 255;
  assertEquals(server.answer(whole), undefined);
});
