import { assertEquals } from "@std/assert";
import { checksum } from "./pdu/checksum.ts";
import { Ipv4Packet, MORE_FRAGMENTS, putIpv4 } from "./pdu/ipv4.ts";
import { Reassembly } from "./reassembly.ts";

/** A place for fragments whose time is the test's. */
class Bench {
  now = 0;
  readonly packets = new Reassembly({ now: () => this.now });

  /**
   * Add the bytes from `from` to before `to` of a packet's payload, each its
   * place; gives back the length of the packet that they complete, or 0.
   */
  add(
    from: number,
    to: number,
    { more = true, id = 1, options = 0 } = {},
  ): number {
    const header = 20 + options;
    const bytes = new Uint8Array(header + to - from);
    const flags = more ? MORE_FRAGMENTS : 0;
    putIpv4(bytes, 0, bytes.length, id, flags | from / 8, 17, 1, 2);
    bytes[0] = 0x40 | header / 4;
    bytes.set([0, 0], 10);
    const sum = checksum(bytes, 0, header);
    bytes.set([sum >> 8, sum], 10);
    for (let i = from; i < to; i++) bytes[header + i - from] = i;
    const packet = new Ipv4Packet();
    assertEquals(packet.read(bytes, 0, false), true);
    const whole = this.packets.add(packet);
    if (whole === undefined) return 0;
    const read = new Ipv4Packet();
    assertEquals(read.read(whole, 0, false), true);
    assertEquals([read.fragment, read.identification], [0, id]);
    const payload = whole.subarray(read.payload);
    assertEquals(payload.every((byte, i) => byte === (i & 255)), true);
    return whole.length;
  }
}

Deno.test("reassembly: in any order, and once", () => {
  const bench = new Bench();
  assertEquals(bench.add(16, 21, { more: false }), 0);
  assertEquals(bench.add(0, 8, { options: 8 }), 0);
  assertEquals(bench.add(0, 8, { options: 8 }), 0);
  assertEquals(bench.packets.size, 1);
  // The header is that of the first fragment.
  assertEquals(bench.add(8, 16), 28 + 21);
  assertEquals(bench.packets.size, 0);
});

Deno.test("reassembly: fragments may take 30 s", () => {
  const bench = new Bench();
  bench.add(0, 8);
  bench.now = 29_999;
  assertEquals(bench.add(8, 10, { more: false }), 30);
  bench.add(0, 8);
  bench.now += 30_000;
  assertEquals(bench.add(8, 10, { more: false }), 0);
  assertEquals(bench.packets.size, 1, "the new one");
});

Deno.test("reassembly: fragments that disagree drop their packet", () => {
  const cases: [first: [number, number], rest: [number, number, boolean][]][] =
    [
      // They overlap.
      [[0, 16], [[8, 24, true]]],
      // The last one is not the last.
      [[16, 24], [[0, 8, false]]],
      // There are two last ones.
      [[0, 8], [[16, 20, false], [24, 28, false]]],
      // There is something behind the last one.
      [[0, 8], [[16, 20, false], [24, 32, true]]],
      // All but the last have a multiple of eight bytes.
      [[0, 8], [[8, 12, true]]],
      // It ends beyond the longest packet.
      [[0, 8], [[65_520, 65_528, true]]],
    ];
  for (const [[from, to], rest] of cases) {
    const bench = new Bench();
    bench.add(from, to);
    rest.forEach(([from, to, more], i) => {
      assertEquals(bench.packets.size, 1, `${rest}, ${i}`);
      assertEquals(bench.add(from, to, { more }), 0);
    });
    assertEquals(bench.packets.size, 0, `${rest}`);
  }
});

Deno.test("reassembly: no packet is longer than the longest", () => {
  const last = 65_515;
  const plain = new Bench();
  plain.add(0, 32_000);
  assertEquals(plain.add(32_000, last, { more: false }), 65_535);
  // With options in the first header it would be.
  const long = new Bench();
  long.add(0, 32_000, { options: 4 });
  assertEquals(long.add(32_000, last, { more: false }), 0);
  assertEquals(long.packets.size, 0);
});

Deno.test("reassembly: packets and fragments are bounded, the oldest goes", () => {
  const bench = new Bench();
  for (let id = 0; id < 20; id++) {
    bench.now++;
    bench.add(0, 8, { id });
    assertEquals(bench.packets.size, Math.min(id + 1, 16));
  }
  assertEquals(bench.add(8, 9, { id: 19, more: false }), 29);
  assertEquals(bench.add(8, 9, { id: 4, more: false }), 29);
  assertEquals(bench.add(8, 9, { id: 3, more: false }), 0, "it had to go");
  const many = new Bench();
  for (let i = 0; i < 64; i++) many.add(8 * i, 8 * i + 8);
  assertEquals(many.packets.size, 1);
  many.add(8 * 64, 8 * 64 + 8);
  assertEquals(many.packets.size, 0);
});
