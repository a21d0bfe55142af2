import { assertEquals } from "@std/assert";
import {
  type ClientEvent,
  encodePacket,
  fromHex,
  PACKET_SIZE,
  PacketReader,
} from "./packet.ts";

const bytes = (text: string): Uint8Array =>
  Uint8Array.from(text, (c) => c.charCodeAt(0));
const text = (b: Uint8Array): string => String.fromCharCode(...b);
const read = (...parts: string[]): ClientEvent[] => {
  const reader = new PacketReader();
  return parts.flatMap((part) => reader.push(bytes(part)));
};
const packet = (data: string): ClientEvent => ({ kind: "packet", data });

Deno.test("packets: whole, split at every place, and several at once", () => {
  const stream = "+$m0,4#fd$?#3f\x03-";
  const expected: ClientEvent[] = [
    packet("m0,4"),
    packet("?"),
    { kind: "interrupt" },
    { kind: "again" },
  ];
  assertEquals(read(stream), expected);
  assertEquals(read(...stream), expected);
});

Deno.test("packets: what is escaped comes out, and goes in again", () => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
  assertEquals(read(text(encodePacket(all))), [packet(all)]);
  assertEquals(text(encodePacket("OK")), "$OK#9a");
  assertEquals(text(encodePacket("")), "$#00");
  assertEquals(text(encodePacket("a}b")), "$a}]b#9d");
  // A byte 3 within a packet is none of Ctrl-C's.
  assertEquals(read("$\x03#03"), [packet("\x03")]);
});

Deno.test("packets: damage is told, and the next packet is heard", () => {
  assertEquals(read("$?#40$?#3f"), [{ kind: "damaged" }, packet("?")]);
  assertEquals(read("$?#3x$?#3f"), [{ kind: "damaged" }, packet("?")]);
  // The end of the first one is lost.
  assertEquals(read("$m0,4$?#3f"), [packet("?")]);
  // An escape without what it escapes.
  assertEquals(read("$a}#de"), [{ kind: "damaged" }]);
});

Deno.test("packets: one that is too long is damaged, at no cost of memory", () => {
  const longest = "a".repeat(PACKET_SIZE);
  assertEquals(read(text(encodePacket(longest))), [packet(longest)]);
  assertEquals(read(text(encodePacket(`${longest}a`)), "$?#3f"), [
    { kind: "damaged" },
    packet("?"),
  ]);
});

Deno.test("hexadecimal: pairs of digits and nothing else", () => {
  assertEquals(fromHex("00fF"), Uint8Array.of(0, 255));
  assertEquals(fromHex("0"), undefined);
  assertEquals(fromHex("0g"), undefined);
  assertEquals(fromHex(" 1"), undefined);
});
