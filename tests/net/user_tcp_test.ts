/**
 * TCP of the user network by segments made by hand: what a link's faults alone
 * do not bring about.
 */

import { assertEquals } from "@std/assert";
import { get16, get32, put16 } from "../../plugins/net/user/pdu/bytes.ts";
import { checksum, pseudoSum } from "../../plugins/net/user/pdu/checksum.ts";
import { Bench, FakeSocket, GATEWAY, GUEST, tcpFrame } from "./frames.ts";

const [FIN, SYN, ACK] = [1, 2, 16];

/** A SYN with these options. */
function synWith(options: readonly number[]): Uint8Array {
  const syn = tcpFrame(GATEWAY, 80, 99, 0, SYN, Uint8Array.from(options));
  syn[46] = (20 + options.length) << 2;
  put16(syn, 50, 0);
  const pseudo = pseudoSum(GUEST, GATEWAY, 6, syn.length - 34);
  put16(syn, 50, checksum(syn, 34, syn.length, pseudo));
  return syn;
}

Deno.test("windows are shifted for a guest that shifts, and for no other", async () => {
  for (
    const [options, answer, shift] of [
      [[], [2, 4, 1460 >> 8, 1460 & 255], 0],
      [[3, 3, 7, 0], [2, 4, 1460 >> 8, 1460 & 255, 1, 3, 3, 5], 5],
    ]
  ) {
    const socket = new FakeSocket();
    const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
    await bench.ask(synWith(options as number[]));
    const [first] = bench.received;
    assertEquals([...first.subarray(54)], answer);
    assertEquals(get16(first, 48), 0xffff);
    const next = get32(first, 38) + 1;
    await bench.ask(
      tcpFrame(GATEWAY, 80, 100, next, ACK, new Uint8Array(10)),
    );
    // A ring of the greatest size, less what has just come, as far as the field
    // can say it.
    const window = Math.min(2 ** 20 - 10 >> (shift as number), 0xffff);
    assertEquals(get16(bench.received.at(-1)!, 48), window);
    await bench.net.close();
  }
});

Deno.test("connections that found no room have their turn as soon as there is", async () => {
  const sockets: FakeSocket[] = [];
  const bench = new Bench({}, {
    connect() {
      sockets.push(new FakeSocket());
      return Promise.resolve(sockets.at(-1)!);
    },
  });
  for (let i = 0; i < 20; i++) {
    const from = { sourcePort: 6000 + i };
    await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN, undefined, from));
    const next = get32(bench.received.at(-1)!, 38) + 1;
    await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK, undefined, from));
  }
  bench.room = false;
  const before = bench.received.length;
  for (const socket of sockets) socket.give(new Uint8Array(100));
  await bench.settle(1);
  assertEquals(bench.received.length, before);
  bench.room = true;
  bench.net.ready();
  // Much less than until anything is sent again.
  await bench.settle(1);
  const ports = bench.received.slice(before).map((frame) => get16(frame, 36));
  assertEquals(
    ports.toSorted(),
    Array.from({ length: 20 }, (_, i) => 6000 + i),
  );
  await bench.net.close();
});

Deno.test("a port is used again while the end of its last connection waits", async () => {
  const sockets: FakeSocket[] = [];
  const bench = new Bench({}, {
    connect() {
      sockets.push(new FakeSocket());
      return Promise.resolve(sockets.at(-1)!);
    },
  });
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN));
  const next = get32(bench.received[0], 38) + 1;
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK));
  // The host ends first.
  sockets[0].give(null);
  await bench.settle(1);
  bench.send(tcpFrame(GATEWAY, 80, 100, next + 1, ACK | FIN));
  await bench.settle(1);
  assertEquals([sockets[0].closed, bench.net.connections], [true, 1]);
  // A SYN that is old is not believed; one behind the last byte is.
  bench.send(tcpFrame(GATEWAY, 80, 50, 0, SYN));
  await bench.settle(1);
  assertEquals(sockets.length, 1);
  bench.send(tcpFrame(GATEWAY, 80, 5000, 0, SYN));
  await bench.settle(1);
  const last = bench.received.at(-1)!;
  assertEquals([last[47], get32(last, 42)], [SYN | ACK, 5001]);
  assertEquals([sockets.length, bench.net.connections], [2, 1]);
  await bench.net.close();
});

Deno.test("segments of no connection are refused with the numbers that they have", async () => {
  const bench = new Bench();
  const three = Uint8Array.of(1, 2, 3);
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 100, 7, FIN, three)), [
    "tcp 10.0.2.2:80 RST ACK",
  ]);
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 100, 7, ACK, three)), [
    "tcp 10.0.2.2:80 RST",
  ]);
  const numbers = bench.received.map((frame) => [
    get32(frame, 38),
    get32(frame, 42),
  ]);
  assertEquals(numbers, [[0, 104], [7, 0]]);
  await bench.net.close();
});
