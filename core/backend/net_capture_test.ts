import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemoryCard } from "./memory_card.ts";
import type { FrameOffload, NetBackend, NetCard } from "./net.ts";
import { CapturedNet, PcapWriter } from "./net_capture.ts";

/** A network that keeps what it is told. */
class Net implements NetBackend {
  offload = true;
  card: NetCard | undefined;
  readonly calls: unknown[] = [];
  attach(card: NetCard): void {
    this.card = card;
  }
  send(frame: Uint8Array, offload?: FrameOffload): void {
    this.calls.push([frame.length, offload]);
  }
  ready(): void {
    this.calls.push("ready");
  }
  close(): Promise<void> {
    this.calls.push("close");
    return Promise.resolve();
  }
}

async function withFile(use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("capture: what is sent and what is taken, with its offload as it is", () =>
  withFile(async (path) => {
    const net = new Net();
    const warnings: string[] = [];
    const pcap = await PcapWriter.create(path, (line) => warnings.push(line));
    const captured = new CapturedNet(net, pcap);
    const card = new MemoryCard({ offload: true });
    captured.attach(card);
    assertEquals([captured.offload, net.card!.offload], [true, true]);
    const offload: FrameOffload = {
      checksum: { start: 34, offset: 16 },
      segments: { kind: "tcp4", bytes: 1448, headers: 66 },
    };
    captured.send(new Uint8Array(65_000).fill(1), offload);
    assertEquals(net.card!.receive(new Uint8Array(60).fill(2)), true);
    card.room = 0;
    assertEquals(net.card!.receive(new Uint8Array(60).fill(3)), false);
    captured.ready();
    captured.send(new Uint8Array(300_000).fill(4));
    await Promise.all([captured.close(), captured.close()]);
    assertEquals(net.calls, [
      [65_000, offload],
      "ready",
      [300_000, undefined],
      "close",
    ]);
    assertEquals(card.frames, [new Uint8Array(60).fill(2)]);
    const bytes = await Deno.readFile(path);
    const view = new DataView(bytes.buffer);
    // Magic, version 2.4, zone, precision, snapshot length, Ethernet.
    assertEquals(
      bytes.subarray(0, 24).toHex(),
      "d4c3b2a102000400" + "0000000000000000" + "0000040001000000",
    );
    let at = 24;
    for (
      const [kept, length, byte] of [
        [65_000, 65_000, 1],
        [60, 60, 2],
        [262_144, 300_000, 4],
      ]
    ) {
      assert(view.getUint32(at + 4, true) < 1_000_000);
      assertEquals(view.getUint32(at + 8, true), kept);
      assertEquals(view.getUint32(at + 12, true), length);
      const body = bytes.subarray(at + 16, at + 16 + kept);
      assert(body.every((b) => b === byte));
      at += 16 + kept;
    }
    assertEquals([at, warnings], [bytes.length, []]);
  }));

Deno.test("capture: a disk that is slow costs frames, which is said, and not memory", () =>
  withFile(async (path) => {
    const warnings: string[] = [];
    const pcap = await PcapWriter.create(path, (line) => warnings.push(line));
    const frame = new Uint8Array(256 * 1024);
    // No turn in between: the disk gets none.
    for (let i = 0; i < 200; i++) pcap.add(frame);
    await pcap.close();
    const { size } = await Deno.stat(path);
    const count = Math.floor((32 << 20) / (frame.length + 16));
    assertEquals(size, 24 + count * (frame.length + 16));
    assertEquals(warnings, [
      `"${path}" lacks ${200 - count} frames: the host's disk was slow`,
    ]);
  }));

Deno.test({
  name: "capture: a disk that is full is said once, and the network goes on",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const warnings: string[] = [];
    const warn = (line: string): void => void warnings.push(line);
    const net = new Net();
    const captured = new CapturedNet(
      net,
      await PcapWriter.create("/dev/full", warn),
    );
    for (let i = 0; i < 3; i++) {
      captured.send(new Uint8Array(60));
      await new Promise((next) => setTimeout(next, 1));
    }
    await captured.close();
    assertEquals([net.calls.length, warnings.length], [4, 1]);
    assert(warnings[0].startsWith('cannot write to "/dev/full": '));
    await assertRejects(
      () => PcapWriter.create("/absent/a.pcap", warn),
      Error,
      'Cannot open "/absent/a.pcap" for writing: ',
    );
  },
});
