/**
 * The `socket` backend and QEMU: a QEMU without a guest joins two of its
 * netdevs by a hub, so that what goes in at one end comes out at the other, and
 * writes a capture of its own.
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MemoryCard } from "../../core/backend/memory_card.ts";
import type { NetBackend } from "../../core/backend/net.ts";
import { CapturedNet, PcapWriter } from "../../core/backend/net_capture.ts";
import { applySchema } from "../../core/machine/schema.ts";
import plugin, { openSocketNet } from "../../plugins/net/socket.ts";
import type { StreamLink } from "../../plugins/net/socket_link.ts";
import { withFolder } from "../block/oracle.ts";
import { QEMU } from "../qemu.ts";
import { readPcap } from "./pcap.ts";
import { freePort } from "../vnc/free_port.ts";

const hasQemu = await (async () => {
  try {
    const { stdout } = await new Deno.Command(QEMU, {
      args: ["-netdev", "help"],
    })
      .output();
    return /^stream$/m.test(new TextDecoder().decode(stdout));
  } catch {
    return false;
  }
})();

/** A test that needs QEMU; its name says when it is absent. */
function qemuTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: hasQemu ? name : `${name} (skipped: no ${QEMU} with -netdev stream)`,
    ignore: !hasQemu,
    fn,
  });
}

/** A backend with this configuration, and a card on it. */
async function open(
  config: Record<string, unknown>,
): Promise<{ net: NetBackend; card: MemoryCard }> {
  const net = await openSocketNet(applySchema(plugin.config, config), {
    log: { guest: () => {}, warn: () => {} },
  });
  const card = new MemoryCard();
  net.attach(card);
  return { net, card };
}

/** Start QEMU with netdevs, all at one hub. */
async function withQemu(
  netdevs: readonly string[],
  more: readonly string[],
  use: (process: Deno.ChildProcess) => Promise<void>,
): Promise<void> {
  const process = new Deno.Command(QEMU, {
    args: [
      ...["-machine", "none", "-nodefaults", "-display", "none"],
      ...netdevs.flatMap((netdev, i) => [
        ...["-netdev", `${netdev},id=n${i}`],
        ...["-netdev", `hubport,id=h${i},hubid=0,netdev=n${i}`],
      ]),
      ...more,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await use(process);
  } finally {
    try {
      process.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    await process.status;
  }
}

/** Frames of many lengths, each full of what says which it is. */
function framesFrom(sender: number): Uint8Array[] {
  const lengths = [60, 61, 64, 590, 1513, 1514, 1518, 9014, 65535, 65536];
  return lengths.map((length, i) => {
    const frame = new Uint8Array(length).fill(i * 16 + sender);
    frame.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, sender, 8, 0]);
    return frame;
  });
}

/** Send until the other end has something: it may not be there yet. */
async function joined(from: NetBackend, to: MemoryCard): Promise<void> {
  const hello = new Uint8Array(60).fill(255);
  const timer = setInterval(() => from.send(hello), 10);
  from.send(hello);
  await to.has(1);
  clearInterval(timer);
}

/** What a card has got beside the frames by which the ends met. */
const real = (card: MemoryCard): Uint8Array[] =>
  card.frames.filter((frame) => frame[11] !== 255);

/** All frames go through QEMU, both ways, unchanged. */
async function exchange(
  a: { net: NetBackend; card: MemoryCard },
  b: { net: NetBackend; card: MemoryCard },
): Promise<void> {
  await joined(a.net, b.card);
  await joined(b.net, a.card);
  for (const [from, to] of [[a, b], [b, a]]) {
    const frames = framesFrom(from === a ? 1 : 2);
    for (const frame of frames) from.net.send(frame);
    await to.card.until(() => real(to.card).length === frames.length);
    assertEquals(real(to.card), frames);
  }
}

const inet = (port: number): string =>
  `addr.type=inet,addr.host=127.0.0.1,addr.port=${port}`;

qemuTest(
  "QEMU's stream comes to ours, by TCP and by unix socket",
  () =>
    withFolder(async (folder) => {
      const path = join(folder, "link");
      const a = await open({ listen: ":0" });
      const b = await open({ unix: path, server: true });
      const { port } = a.net as StreamLink;
      await withQemu(
        [
          `stream,server=off,${inet(port!)}`,
          `stream,server=off,addr.type=unix,addr.path=${path}`,
        ],
        [],
        () => exchange(a, b),
      );
      await Promise.all([a.net.close(), b.net.close()]);
    }),
);

qemuTest(
  "ours comes to QEMU's stream and to its older socket, when they are there",
  () =>
    withFolder(async (folder) => {
      const port = freePort();
      const path = join(folder, "link");
      const a = await open({ connect: `:${port}`, reconnect: 20 });
      const b = await open({ unix: path, reconnect: 20 });
      await withQemu(
        [
          `socket,listen=127.0.0.1:${port}`,
          `stream,server=on,addr.type=unix,addr.path=${path}`,
        ],
        [],
        () => exchange(a, b),
      );
      await Promise.all([a.net.close(), b.net.close()]);
    }),
);

qemuTest("datagrams, as QEMU's dgram has them", async () => {
  const [ours, theirs] = [freePort(), freePort()];
  const a = await open({
    udp: `:${theirs}`,
    localaddr: `:${ours}`,
  });
  const b = await open({ listen: ":0" });
  const { port } = b.net as StreamLink;
  await withQemu(
    [
      `dgram,local.type=inet,local.host=127.0.0.1,local.port=${theirs},` +
      `remote.type=inet,remote.host=127.0.0.1,remote.port=${ours}`,
      `stream,server=off,${inet(port!)}`,
    ],
    [],
    async () => {
      await joined(a.net, b.card);
      await joined(b.net, a.card);
      for (const [from, to] of [[a, b], [b, a]]) {
        const frames = framesFrom(3).filter((frame) => frame.length < 65000);
        for (const frame of frames) from.net.send(frame);
        await to.card.until(() => real(to.card).length === frames.length);
        assertEquals(real(to.card), frames);
      }
    },
  );
  await Promise.all([a.net.close(), b.net.close()]);
});

/** "Who has 10.0.2.2? Tell 10.0.2.15", from 52:54:00:12:34:56. */
const ARP_REQUEST = Uint8Array.fromHex(
  "ffffffffffff525400123456080600010800060400015254001234560a00020f" +
    "0000000000000a000202" + "00".repeat(18),
);

qemuTest(
  "QEMU's user network answers ours, and both captures are alike",
  () =>
    withFolder(async (folder) => {
      const [mine, theirs] = [join(folder, "a.pcap"), join(folder, "b.pcap")];
      const link = await openSocketNet(
        applySchema(plugin.config, { listen: ":0" }),
        { log: { guest: () => {}, warn: () => {} } },
      ) as StreamLink;
      const pcap = await PcapWriter.create(mine, (message) => {
        throw new Error(message);
      });
      const net = new CapturedNet(link, pcap);
      const card = new MemoryCard();
      net.attach(card);
      const before = Date.now() - 1;
      await withQemu(
        [`stream,server=off,${inet(link.port!)}`, "user"],
        ["-object", `filter-dump,id=f,netdev=n0,file=${theirs}`],
        async () => {
          while (!link.connected) {
            await new Promise((next) => setTimeout(next, 1));
          }
          for (let i = 1; i <= 3; i++) {
            net.send(ARP_REQUEST);
            await card.has(i);
          }
        },
      );
      const after = Date.now() + 1;
      await net.close();
      assertEquals(card.frames.length, 3);
      // ARP, a reply, from 10.0.2.2.
      const reply = card.frames[0];
      assertEquals([...reply.subarray(12, 22)], [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
      assertEquals([...reply.subarray(28, 32)], [10, 0, 2, 2]);
      const [ours, qemus] = [await readPcap(mine), await readPcap(theirs)];
      assertEquals(
        ours.packets.map(({ bytes }) => bytes),
        qemus.packets.map(({ bytes }) => bytes),
      );
      assertEquals(ours.linkType, qemus.linkType);
      const times = ours.packets.map(({ time }) => time);
      assertEquals(times, times.toSorted((a, b) => a - b));
      assertEquals(times.filter((t) => t < before || t > after), []);
    }),
);
