import { assertEquals } from "@std/assert";
import { DnsServer } from "./dns.ts";
import type { HostRecord } from "./host.ts";
import { get16 } from "./pdu/bytes.ts";
import { encodeIpv6, encodeName } from "./pdu/dns.ts";

const RECORDS: Record<string, HostRecord[]> = {
  "A example.org": ["192.0.2.1", "192.0.2.2"],
  "A host": ["127.0.1.1"],
  "AAAA six.example": ["2001:db8::7"],
  "CNAME www.example.org": ["example.org."],
  "MX example.org": [{ preference: 10, exchange: "mail.example.org." }],
  "TXT example.org": [["a", "bc"]],
  "SRV _x._tcp.example.org": [
    { priority: 1, weight: 2, port: 443, target: "a.example.org." },
  ],
  "A big": Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`),
};

function server(restrict = false, resolves = true): DnsServer {
  return new DnsServer(
    {
      resolves: () => resolves,
      resolve(name, type) {
        if (name === "broken") return Promise.reject(new Error("no server"));
        const records = RECORDS[`${type} ${name}`];
        return records === undefined
          ? Promise.reject(new Deno.errors.NotFound())
          : Promise.resolve(records);
      },
    },
    { gateway: 0x0a000202, restrict },
    () => {},
  );
}

function query(name: string, type: number, extra: number[] = []): Uint8Array {
  return new Uint8Array([
    ...[0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, extra.length > 0 ? 1 : 0],
    ...encodeName(name)!,
    ...[0, type, 0, 1],
    ...extra,
  ]);
}

/** The response code, the count and the data of all answers. */
async function ask(
  name: string,
  type: number,
  dns = server(),
): Promise<[number, ...number[][]]> {
  const answer = await dns.answer(query(name, type), false);
  if (answer === undefined) throw new Error("no answer");
  assertEquals(get16(answer, 0), 0xabcd);
  assertEquals(get16(answer, 2) & 0xfff0, 0x8180);
  const data: number[][] = [];
  let at = 12 + encodeName(name)!.length + 4;
  for (let left = get16(answer, 6); left > 0; left--) {
    assertEquals([get16(answer, at), get16(answer, at + 2)], [0xc00c, type]);
    const length = get16(answer, at + 10);
    data.push([...answer.subarray(at + 12, at + 12 + length)]);
    at += 12 + length;
  }
  assertEquals(at, answer.length);
  return [answer[3] & 15, ...data];
}

Deno.test("records of each type", async () => {
  const name = (text: string) => [...encodeName(text)!];
  assertEquals(await ask("example.org", 1), [0, [192, 0, 2, 1], [
    192,
    0,
    2,
    2,
  ]]);
  assertEquals(await ask("six.example", 28), [
    0,
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
  ]);
  assertEquals(await ask("www.example.org", 5), [0, name("example.org")]);
  assertEquals(await ask("example.org", 15), [
    0,
    [0, 10, ...name("mail.example.org")],
  ]);
  assertEquals(await ask("example.org", 16), [0, [1, 97, 2, 98, 99]]);
  assertEquals(await ask("_x._tcp.example.org", 33), [
    0,
    [0, 1, 0, 2, 1, 187, ...name("a.example.org")],
  ]);
});

Deno.test("no such name, no such record, no answer", async () => {
  assertEquals(await ask("nowhere.example", 1), [3]);
  assertEquals(await ask("example.org", 28), [0]);
  assertEquals(await ask("six.example", 1), [0]);
  assertEquals(await ask("example.org", 65), [0]);
  assertEquals(await ask("broken", 1), [2]);
});

Deno.test("localhost is the guest, the host's other loopback names the host", async () => {
  assertEquals(await ask("localhost", 1), [0, [127, 0, 0, 1]]);
  assertEquals((await ask("a.localhost", 28)).length, 2);
  assertEquals(await ask("host", 1), [0, [10, 0, 2, 2]]);
});

Deno.test("without permission, or restricted, questions are refused", async () => {
  assertEquals(await ask("example.org", 1, server(true)), [5]);
  assertEquals(await ask("example.org", 1, server(false, false)), [5]);
});

Deno.test("a long answer is cut over UDP, not over TCP, nor for who takes it", async () => {
  const question = query("big", 1);
  const short = await server().answer(question, false);
  assertEquals([short?.length, short![2] & 2], [question.length, 2]);
  const long = await server().answer(question, true);
  assertEquals([long?.length, get16(long!, 6)], [question.length + 1600, 100]);
  const extended = query("big", 1, [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
  const answer = await server().answer(extended, false);
  assertEquals([get16(answer!, 6), get16(answer!, 10)], [100, 1]);
});

Deno.test("a host that does not answer is asked so many questions at once", async () => {
  const waiting: (() => void)[] = [];
  const dns = new DnsServer(
    {
      resolves: () => true,
      resolve: () =>
        new Promise((resolve) => waiting.push(() => resolve(["192.0.2.1"]))),
    },
    { gateway: 0x0a000202, restrict: false },
    () => {},
  );
  const ask = () => dns.answer(query("example.org", 1), false);
  const asked = Array.from({ length: 256 }, ask);
  assertEquals(await ask(), undefined);
  assertEquals(waiting.length, 256);
  waiting.pop()!();
  await Promise.race(asked);
  void ask();
  assertEquals(waiting.length, 256, "there is room for one");
  for (const answer of waiting) answer();
  await Promise.all(asked);
});

Deno.test("messages that are none", async () => {
  const dns = server();
  const whole = query("example.org", 1);
  for (let length = 0; length < whole.length; length++) {
    const answer = await dns.answer(whole.subarray(0, length), false);
    assertEquals(answer === undefined, length < 12);
    if (answer !== undefined) assertEquals(answer[3] & 15, 1);
  }
  // An answer is never answered.
  whole[2] |= 0x80;
  assertEquals(await dns.answer(whole, false), undefined);
});

Deno.test("IPv6 addresses as text", () => {
  const hex = (text: string) => encodeIpv6(text)?.toHex();
  assertEquals(hex("::"), "0".repeat(32));
  assertEquals(hex("::ffff:1.2.3.4"), "00000000000000000000ffff01020304");
  assertEquals(hex("1:2:3:4:5:6:7:8"), "00010002000300040005000600070008");
  for (const text of ["1:2", "1::2::3", "g::", "1:2:3:4:5:6:7:8:9"]) {
    assertEquals(hex(text), undefined);
  }
});
