import { assert, assertEquals } from "@std/assert";
import { settled } from "../../../tests/devices/ide_bench.ts";
import { NEEDS_RESET } from "../../../tests/devices/virtio_bench.ts";
import {
  card,
  CTRL,
  header,
  type NetBench,
  NetFeature as F,
  SIZES,
  started,
} from "../../../tests/devices/virtio_net_bench.ts";
import { frame } from "../../../tests/devices/virtio_net_frames.ts";

const OK = 0;
const ERR = 1;

/** Which of these frames arrive. */
async function arrive(
  { driver, net }: NetBench,
  frames: Readonly<Record<string, Uint8Array>>,
): Promise<string[]> {
  const found: string[] = [];
  for (const [name, bytes] of Object.entries(frames)) {
    driver.give([1526]);
    assert(net.receive(bytes));
    if ((await driver.take()).length > 0) found.push(name);
  }
  return found;
}

const KINDS = {
  own: frame(),
  other: frame({ to: [2, 0, 0, 0, 0, 1] }),
  another: frame({ to: [2, 0, 0, 0, 0, 2] }),
  broadcast: frame({ to: [255, 255, 255, 255, 255, 255] }),
  group: frame({ to: [1, 0, 0x5e, 0, 0, 1] }),
  groups: frame({ to: [1, 0, 0x5e, 0, 0, 2] }),
};

Deno.test("virtio-net: the driver says which frames it wants", async () => {
  const made = await started();
  const { driver } = made;
  assertEquals(await arrive(made, KINDS), Object.keys(KINDS));
  assertEquals(driver.command(0, 0, 0), OK);
  assertEquals(await arrive(made, KINDS), ["own", "broadcast"]);
  assertEquals(driver.command(0, 1, 1), OK);
  const groups = ["own", "broadcast", "group", "groups"];
  assertEquals(await arrive(made, KINDS), groups);
  assertEquals(driver.command(0, 1, 0), OK);
  const tables = [
    ...[1, 0, 0, 0, 2, 0, 0, 0, 0, 1],
    ...[1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1],
  ];
  assertEquals(driver.command(1, 0, ...tables), OK);
  const listed = ["own", "other", "broadcast", "group"];
  assertEquals(await arrive(made, KINDS), listed);
  // Too many of one kind: all of it.
  const many = [65, 0, 0, 0, ...Array(65 * 6).fill(4), 0, 0, 0, 0];
  assertEquals(driver.command(1, 0, ...many), OK);
  const unicast = ["own", "other", "another", "broadcast"];
  assertEquals(await arrive(made, KINDS), unicast);
  const crowd = [0, 0, 0, 0, 65, 0, 0, 0, ...Array(65 * 6).fill(5)];
  assertEquals(driver.command(1, 0, ...crowd), OK);
  assertEquals(await arrive(made, KINDS), groups);
  assertEquals(driver.command(1, 1, 2, 0, 0, 0, 0, 2), OK);
  assertEquals(driver.command(1, 0, 0, 0, 0, 0, 0, 0, 0, 0), OK);
  assertEquals(await arrive(made, KINDS), ["another", "broadcast"]);
  assertEquals(driver.port.config(0), 2);
  // After a reset all is as it was.
  driver.start([], 3, SIZES);
  assertEquals(await arrive(made, KINDS), Object.keys(KINDS));
  assertEquals(driver.port.config(0), 0x12005452);
});

Deno.test("virtio-net: VLANs", async () => {
  const tagged = (id: number): Uint8Array => {
    const bytes = frame({ type: [0x81, 0] });
    bytes.set([id >> 8 | 0x60, id & 255], 14);
    return bytes;
  };
  const frames = {
    none: frame(),
    five: tagged(5),
    last: tagged(4095),
    others: tagged(6),
  };
  const made = await started();
  const { driver } = made;
  driver.command(0, 0, 0);
  assertEquals(await arrive(made, frames), ["none"]);
  assertEquals(driver.command(2, 0, 5, 0), OK);
  assertEquals(driver.command(2, 0, 0xff, 0x0f), OK);
  assertEquals(await arrive(made, frames), ["none", "five", "last"]);
  assertEquals(driver.command(2, 1, 5, 0), OK);
  assertEquals(await arrive(made, frames), ["none", "last"]);
  assertEquals(driver.command(2, 0, 0, 0x10), ERR, "4096");
  const without = await started({ without: [F.CTRL_VLAN] });
  without.driver.command(0, 0, 0);
  assertEquals(await arrive(without, frames), Object.keys(frames));
});

Deno.test("virtio-net: commands that are none change nothing", async () => {
  const made = await started();
  const { driver } = made;
  for (
    const command of [
      [0, 0],
      [0, 0, 0, 0],
      [0, 2, 1],
      [1, 0],
      [1, 0, 0, 0, 0, 0],
      [1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
      [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
      [1, 1, 1, 2, 3],
      [1, 1, 1, 2, 3, 4, 5, 6, 7],
      [1, 2],
      [2, 0, 1],
      [2, 2, 1, 0],
      [3, 0],
      [4, 0, 1, 0],
      [5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [255, 255],
    ]
  ) {
    const [kind, number, ...data] = command;
    assertEquals(driver.command(kind, number, ...data), ERR, `${command}`);
  }
  assertEquals(await arrive(made, KINDS), Object.keys(KINDS));
  const none = await started({
    without: [F.CTRL_RX, F.CTRL_VLAN, F.CTRL_MAC_ADDR],
  });
  assertEquals(none.driver.command(0, 0, 0), ERR);
  assertEquals(none.driver.command(1, 1, 2, 0, 0, 0, 0, 2), ERR);
  assertEquals(none.driver.command(2, 0, 5, 0), ERR);
  const queue = driver.queues[CTRL];
  queue.offer(queue.chain([driver.place(Uint8Array.of(0, 0))]));
  driver.port.notify(CTRL);
  assertEquals(driver.port.status & NEEDS_RESET, NEEDS_RESET);
});

Deno.test("virtio-net: in another network the guest is to announce itself", async () => {
  const first = await started();
  first.driver.command(0, 0, 0);
  const state = first.bench.save();
  const second = await card("mmio", { ram: first.driver.ram });
  second.bench.device.load(state);
  await settled();
  assertEquals(second.driver.port.config(6, 2), 1);
  const port = second.driver.port;
  const generation = (): number => second.bench.read("registers", 0x0fc, 4);
  const before = generation();
  second.bench.device.announce?.();
  assertEquals(port.config(6, 2), 3);
  assertEquals(generation(), before + 1);
  assertEquals(port.acknowledge() & 2, 2);
  second.driver.queues = first.driver.queues;
  assertEquals(second.driver.command(3, 0), OK);
  assertEquals(port.config(6, 2), 1);
  assertEquals(second.driver.command(3, 0), ERR);
  assertEquals(await arrive(second, KINDS), ["own", "broadcast"]);
  const other = await started({ without: [F.GUEST_ANNOUNCE] });
  other.bench.device.load(other.bench.save());
  await settled();
  other.bench.device.announce?.();
  assertEquals(other.driver.port.config(6, 2), 1);
});

Deno.test("virtio-net: without a cable there is no link, and no frame passes", async () => {
  const { driver, net, bench } = await started();
  const { device } = bench;
  const { port } = driver;
  driver.give([1526], [1526]);
  port.acknowledge();
  assertEquals([device.cable, port.config(6, 2)], [true, 1]);
  device.cable = false;
  assertEquals([device.cable, port.config(6, 2)], [false, 0]);
  // The driver hears of it.
  assertEquals(port.acknowledge() & 2, 2);
  const sent = net.sent.length;
  assertEquals(driver.send(header(), frame()), 1);
  assertEquals(net.sent.length, sent);
  assert(net.receive(frame()), "it is lost");
  assertEquals((await driver.take()).length, 0);
  // A reset is nobody who puts it in.
  port.status = 0;
  assertEquals(device.cable, false);
  const copy = await card("mmio", { ram: driver.ram });
  copy.bench.device.load(bench.save());
  assertEquals(copy.bench.device.cable, false);
  device.cable = true;
  assertEquals(port.config(6, 2), 1);
});
