import { assert, assertEquals } from "@std/assert";
import {
  applyChecksum,
  cut,
  internetChecksum,
  internetSum,
  segment,
  segmentsOf,
} from "./net_offload.ts";

/** The sum of 16-bit words as RFC 1071 says it, with no care for speed. */
function plainSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i] << 8) + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

const random = (() => {
  let state = 0x2545f491;
  return (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
})();

const noise = (length: number): Uint8Array =>
  Uint8Array.from({ length }, () => random(256));

interface Options {
  readonly isIpv6?: boolean;
  readonly tags?: number;
  readonly payload: number;
  readonly flags?: number;
  readonly extension?: boolean;
}

/** A TCP frame without lengths and checksums. */
function tcpFrame(options: Options) {
  const { isIpv6 = false, tags = 0, payload, flags = 0x18 } = options;
  const network = 14 + 4 * tags;
  const extension = options.extension === true ? 16 : 0;
  const transport = network + (isIpv6 ? 40 : 24) + extension;
  const headers = transport + 32;
  const frame = new Uint8Array(headers + payload);
  const view = new DataView(frame.buffer);
  for (let i = 0; i < tags; i++) view.setUint32(12 + 4 * i, 0x81000005);
  view.setUint16(network - 2, isIpv6 ? 0x86dd : 0x0800);
  if (isIpv6) {
    frame[network] = 0x60;
    frame[network + 6] = extension > 0 ? 0 : 6;
    if (extension > 0) frame.set([6, 1], network + 40);
    frame.set(noise(32), network + 8);
  } else {
    frame[network] = 0x46;
    view.setUint16(network + 4, 0xfffe);
    frame[network + 9] = 6;
    frame.set(noise(12), network + 12);
  }
  view.setUint32(transport + 4, 0xfffffe00);
  frame[transport + 12] = 0x80;
  frame[transport + 13] = flags;
  frame.set(noise(payload), headers);
  return { frame, network, transport, headers };
}

/** Sum of the pseudo header and the segment: FFFFh when it is right. */
function transportSum(
  frame: Uint8Array,
  network: number,
  transport: number,
  isIpv6: boolean,
  protocol: number,
): number {
  const addresses = isIpv6
    ? frame.subarray(network + 8, network + 40)
    : frame.subarray(network + 12, network + 20);
  const whole = frame.subarray(transport);
  const pseudo = [...addresses, 0, protocol];
  pseudo.push(whole.length >> 8, whole.length & 255);
  return plainSum(Uint8Array.from([...pseudo, ...whole]));
}

Deno.test("net offload: the Internet checksum is RFC 1071's", () => {
  // The example of RFC 1071, 3.
  const bytes = Uint8Array.from([0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]);
  assertEquals(internetSum(bytes, 0, 8), 0xddf2);
  assertEquals(internetChecksum(bytes, 0, 8), 0x220d);
  assertEquals(internetSum(bytes, 4, 8, internetSum(bytes, 0, 4)), 0xddf2);
  for (let i = 0; i < 200; i++) {
    const bytes = noise(random(70));
    const from = random(4);
    if (from > bytes.length) continue;
    const part = bytes.subarray(from);
    assertEquals(internetSum(bytes, from, bytes.length), plainSum(part));
  }
  assertEquals(internetSum(new Uint8Array(65536).fill(0xff), 0, 65536), 0xffff);
});

Deno.test("net offload: a checksum goes where it belongs", () => {
  const frame = noise(77);
  const sum = internetSum(frame, 20, 77);
  assert(applyChecksum(frame, { checksum: { start: 20, offset: 6 } }));
  assertEquals(frame[26] << 8 | frame[27], ~sum & 0xffff);
  // Nothing is sent as 0, which is "no checksum" to UDP.
  const ones = new Uint8Array(32);
  ones.set([0xff, 0xff], 20);
  assert(applyChecksum(ones, { checksum: { start: 16, offset: 2 } }));
  assertEquals([...ones.subarray(18, 20)], [0xff, 0xff]);
  const before = ones.slice();
  for (
    const [start, offset] of [[16, 15], [32, 0], [-4, 2], [4, -2], [1e9, 2]]
  ) {
    assert(!applyChecksum(ones, { checksum: { start, offset } }));
  }
  assert(applyChecksum(ones, {}));
  assertEquals(ones, before);
});

for (const isIpv6 of [false, true]) {
  for (const tags of [0, 1, 2]) {
    for (const extension of isIpv6 ? [false, true] : [false]) {
      const name = `${isIpv6 ? "IPv6" : "IPv4"}, ${tags} tags` +
        (extension ? ", an extension header" : "");
      Deno.test(`net offload: TCP is cut into segments: ${name}`, () => {
        const made = tcpFrame({
          ...{ isIpv6, tags, extension },
          payload: 3001,
          flags: 0x80 | 0x18 | 0x01,
        });
        const { frame, network, transport, headers } = made;
        const out: Uint8Array[] = [];
        const kind = isIpv6 ? "tcp6" : "tcp4";
        const segments = { kind, bytes: 1000, headers } as const;
        const offload = {
          segments,
          checksum: { start: transport, offset: 16 },
        };
        assert(segment(frame, offload, (f) => out.push(f.slice())));
        assertEquals(out.map((f) => f.length - headers), [1000, 1000, 1000, 1]);
        assertEquals(out.map((f) => f[transport + 13]), [
          ...[0x90, 0x10, 0x10, 0x19],
        ]);
        const bytes: number[] = [];
        out.forEach((f, n) => {
          const view = new DataView(f.buffer);
          assertEquals(f.subarray(0, network), frame.subarray(0, network));
          assertEquals(
            view.getUint32(transport + 4),
            (0xfffffe00 + 1000 * n) % 2 ** 32,
          );
          if (isIpv6) {
            assertEquals(view.getUint16(network + 4), f.length - network - 40);
          } else {
            assertEquals(view.getUint16(network + 2), f.length - network);
            assertEquals(view.getUint16(network + 4), (0xfffe + n) & 0xffff);
            assertEquals(plainSum(f.subarray(network, transport)), 0xffff);
          }
          assertEquals(transportSum(f, network, transport, isIpv6, 6), 0xffff);
          bytes.push(...f.subarray(headers));
        });
        assertEquals(Uint8Array.from(bytes), frame.subarray(headers));
      });
    }
  }
}

Deno.test("net offload: UDP is cut into datagrams; checksums are kept if asked", () => {
  const { frame, network, transport } = tcpFrame({ payload: 100 });
  const headers = transport + 8;
  const layout = { network, transport, headers, bytes: 64 };
  const out: Uint8Array[] = [];
  const kinds = { isIpv6: false, isTcp: false };
  frame[network + 9] = 17;
  assert(cut(frame, { ...layout, ...kinds }, (f) => out.push(f.slice())));
  assertEquals(out.map((f) => f.length - headers), [64, 60]);
  for (const f of out) {
    const length = f[transport + 4] << 8 | f[transport + 5];
    assertEquals(length, f.length - transport);
    assertEquals(transportSum(f, network, transport, false, 17), 0xffff);
  }
  out.length = 0;
  const keeps = { keepsChecksum: true, keepsIpChecksum: true };
  cut(frame, { ...layout, ...kinds, ...keeps }, (f) => out.push(f.slice()));
  for (const f of out) {
    for (const at of [network + 10, transport + 6]) {
      assertEquals(f.subarray(at, at + 2), frame.subarray(at, at + 2));
    }
  }
});

Deno.test("net offload: a frame without payload is one segment", () => {
  const { frame, headers } = tcpFrame({ payload: 0 });
  let count = 0;
  const segments = { kind: "tcp4", bytes: 1460, headers } as const;
  assert(segment(frame, { segments }, () => count++));
  assertEquals(count, 1);
  assert(segment(frame, {}, (f) => assertEquals(f, frame)));
});

Deno.test("net offload: segments are counted before they are cut", () => {
  for (const payload of [0, 1, 999, 1000, 1001, 5000]) {
    const { frame, headers } = tcpFrame({ payload });
    const segments = { kind: "tcp4", bytes: 1000, headers } as const;
    let count = 0;
    assert(segment(frame, { segments }, () => count++));
    assertEquals(segmentsOf(frame, { segments }), count, `${payload}`);
  }
  assertEquals(segmentsOf(noise(5000)), 1);
});

Deno.test("net offload: what is not TCP, or not all there, is not cut", () => {
  const { frame, headers } = tcpFrame({ payload: 50 });
  const never = (): never => {
    throw new Error("a frame");
  };
  for (
    const [kind, bytes, length] of [
      ["tcp6", 10, headers],
      ["tcp4", 0, headers],
      ["tcp4", 10, headers - 13],
      ["tcp4", 10, 1000],
      ["tcp4", -1, headers],
    ] as const
  ) {
    const segments = { kind, bytes, headers: length };
    assert(!segment(frame, { segments }, never), `${kind} ${bytes} ${length}`);
  }
  const checksum = { start: 1000, offset: 0 };
  assert(!segment(frame, { checksum }, never));
  // Any bytes, any offsets.
  for (let i = 0; i < 3000; i++) {
    const { frame } = tcpFrame({ isIpv6: random(2) === 1, payload: 20 });
    const short = frame.slice(0, random(frame.length + 1));
    for (let n = random(4); n > 0 && short.length > 0; n--) {
      short[random(short.length)] = random(256);
    }
    const before = short.slice();
    const segments = {
      kind: random(2) === 1 ? "tcp4" : "tcp6",
      bytes: random(30),
      headers: random(120),
    } as const;
    let payload = 0;
    const done = segment(short, { segments }, (f) => {
      assert(f.length <= segments.headers + segments.bytes);
      payload += f.length - segments.headers;
    });
    assertEquals(payload, done ? short.length - segments.headers : 0);
    assertEquals(short, before);
  }
});
