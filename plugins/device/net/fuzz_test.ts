/**
 * Guests and networks that mean no good: any registers, any descriptors
 * anywhere, any frames. Nothing throws, what goes out is no longer than what a
 * card can send, and the state stays one that can be loaded.
 */

import { assert } from "@std/assert";
import { MemoryNet } from "../../../core/backend/memory_net.ts";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import type { Device, DevicePlugin } from "../../../core/machine/plugin.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { frameTo, MAC, onNet } from "../../../tests/devices/nic_bench.ts";
import { Random } from "../../../tests/random.ts";
import e1000 from "./e1000.ts";
import {
  CTRL,
  CTRL_SLU,
  CTRL_VME,
  MDIC,
  RCTL,
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  RXCSUM,
  Stat,
  TCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
} from "./e1000_registers.ts";
import ne2kPci from "./ne2k_pci.ts";

const SEEDS = [1, 2, 3, 4, 5, 6];
const STEPS = 1500;
/** What a card can send at the most: a frame whole, with a tag. */
const MOST_SENT = 65535 + 14 + 4;

/** A card in RAM that answers where it is, on its network. */
async function make(plugin: DevicePlugin, offload: boolean) {
  const net = new MemoryNet({ offload });
  const sent = { frames: 0, segmented: 0 };
  net.onSend = ({ bytes, offload }) => {
    assert(bytes.length >= 14 && bytes.length <= MOST_SENT, `${bytes.length}`);
    sent.frames++;
    if (offload?.segments !== undefined) sent.segmented++;
  };
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create<Device>(onNet(plugin, () => net), {
    use: { bus },
  });
  bench.device.reset();
  bus.space.writeConfig(4, 2, 7);
  return { bench, net, bus, sent };
}

/** A frame of some protocol, damaged here and there. */
function anyFrame(random: Random): Uint8Array {
  const length = random.of([0, 1, 13, 14, 17, 60, 100, 576, 1514, 1518, 9000]);
  const to = random.of([MAC, MAC.map(() => 255), MAC.map(() => 1)]);
  const type = random.of([0x0800, 0x86dd, 0x8100, 0x0806, 0x8808]);
  const frame = frameTo(to, length, type);
  const at = type === 0x8100 ? 18 : 14;
  if (length >= 60) {
    const isIpv6 = type === 0x86dd;
    const protocol = random.of([6, 17, 1]);
    frame.set([isIpv6 ? 0x60 : 0x45, 0], at);
    frame.set([(length - at) >> 8, length - at & 255], at + (isIpv6 ? 4 : 2));
    frame[at + (isIpv6 ? 6 : 9)] = protocol;
    if (type === 0x8100) frame.set([8, 0], 16);
  }
  for (let n = random.below(4); n > 0 && length > 0; n--) {
    frame[random.below(Math.min(length, 80))] = random.below(256);
  }
  return frame;
}

/** Registers of which much depends, and values that make sense in them. */
const E1000_VALUES: readonly (readonly [number, readonly number[]])[] = [
  [CTRL, [CTRL_SLU, CTRL_SLU | CTRL_VME, 0]],
  [TCTL, [2, 0xa, 0]],
  [RCTL, [0x801a, 0x803a, 0x0403803a, 0x805a, 0]],
  [RXCSUM, [0x300, 0x3ff, 0]],
  [TDBAL, [0, 0x1000, 0xffff0, 0xfffffff0]],
  [TDBAH, [0, 0, 0, 0xffffffff]],
  [TDLEN, [0, 128, 256, 4096, 0xfff80]],
  [TDH, [0, 1, 0xffff]],
  [RDBAL, [0x2000, 0x1000, 0xffff0, 0xfffffff0]],
  [RDBAH, [0, 0, 0, 0xffffffff]],
  [RDLEN, [0, 128, 256, 4096, 0xfff80]],
  [RDH, [0, 1, 0xffff]],
  [MDIC, [1 << 26 | 1 << 21 | 0x4140, 1 << 26 | 1 << 21 | 0x1140]],
];

/** What a driver would write: rings at 1000h and 2000h, both sides on. */
const SOUND: readonly (readonly [number, number])[] = [
  [CTRL, CTRL_SLU | CTRL_VME],
  [MDIC, 1 << 26 | 1 << 21 | 0x1140],
  [TDBAL, 0x1000],
  [TDBAH, 0],
  [TDLEN, 256],
  [TDH, 0],
  [TDT, 0],
  [TCTL, 0xa],
  [RDBAL, 0x2000],
  [RDBAH, 0],
  [RDLEN, 256],
  [RDH, 0],
  [RDT, 15],
  [RCTL, 0x803a],
];

/** A descriptor that is one, with something wrong in it perhaps. */
function descriptor(random: Random): Uint8Array {
  const bytes = Uint8Array.from({ length: 16 }, () => random.below(256));
  const view = new DataView(bytes.buffer);
  if (random.below(8) === 0) return bytes;
  const kind = random.below(3);
  if (kind === 0) {
    // A context of a TCP packet, more or less.
    bytes.set([14, 24, 33, 0, 34, 50, 0, 0]);
    view.setUint32(8, random.below(70000), true);
    bytes[11] = 0x20 | random.of([0, 4]) | random.below(4);
    bytes[13] = random.of([54, 54, 66, 0, 255]);
    view.setUint16(14, random.of([1460, 100, 1, 0, 65535]), true);
    return bytes;
  }
  view.setUint32(0, random.below(0x110000), true);
  view.setUint32(4, random.below(40) === 0 ? 0xffffffff : 0, true);
  const length = random.of([0, 20, 60, 1514, 5000, 65535, 0xfffff]);
  view.setUint32(8, kind === 1 ? length & 0xffff : length | 1 << 20, true);
  bytes[11] = random.below(256) & ~0x20 | (kind === 1 ? 0 : 0x20);
  return bytes;
}

/** A packet to be segmented, with a byte that is wrong perhaps. */
function tcpPacket(random: Random): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  bytes.set([14, 24, 33, 0, 34, 50, 0, 0]);
  view.setUint32(8, 0x27 << 24, true);
  view.setUint32(12, 54 << 8 | random.of([1460, 536, 64]) << 16, true);
  view.setUint32(16, random.below(0x3000) * 64, true);
  const length = random.of([1000, 3000, 60000]);
  view.setUint32(24, (length | 1 << 20 | 0x2f << 24) >>> 0, true);
  view.setUint32(28, 3 << 8 | 0x1234 << 16, true);
  if (random.below(3) === 0) bytes[random.below(32)] = random.below(256);
  return bytes;
}

for (const offload of [false, true]) {
  Deno.test(`e1000: any registers, descriptors and frames, ${offload ? "with" : "without"} offload`, async () => {
    const total = { sent: 0, segmented: 0, received: 0 };
    for (const seed of SEEDS) {
      const random = new Random(seed);
      const { bench, net, sent } = await make(e1000, offload);
      // Headers of TCP are everywhere, so that some packets are sound.
      for (let at = 0; at + 64 <= bench.ram.length; at += 64) {
        bench.ram.set([8, 0, 0x45, 0], at + 12);
        bench.ram[at + 23] = 6;
        bench.ram[at + 46] = 0x50;
      }
      const write = (register: number, value: number): void =>
        bench.write("registers", register, value, 4);
      for (let step = 0; step < STEPS; step++) {
        switch (random.below(9)) {
          case 8:
            for (const [register, value] of SOUND) write(register, value);
            break;
          case 0:
            write(random.below(0x8000) * 4, random.below(2 ** 32));
            break;
          case 1:
            bench.read("registers", random.below(0x8000) * 4, 4);
            break;
          case 2:
          case 3: {
            const [register, values] = random.of(E1000_VALUES);
            write(register, random.of(values));
            break;
          }
          case 4: {
            const ring = random.of([0, 0x1000, 0x2000]);
            for (let i = 0; i < 16; i++) {
              bench.ram.set(descriptor(random), ring + 16 * i);
            }
            if (random.below(2) === 0) {
              for (let i = 0; i < 8; i++) {
                bench.ram.set(tcpPacket(random), ring + 32 * i);
              }
            }
            break;
          }
          case 5:
            write(random.of([TDT, RDT]), random.of([0, 1, 5, 15, 0xffff]));
            break;
          case 6: {
            net.receive(anyFrame(random));
            total.received += bench.read("registers", Stat.TPR, 4);
            break;
          }
          case 7:
            bench.advance(random.below(3_000_000));
        }
      }
      const saved = bench.save();
      bench.device.load(saved);
      bench.device.reset();
      total.sent += sent.frames;
      total.segmented += sent.segmented;
    }
    // It was no idle card.
    const { sent, segmented, received } = total;
    assert(sent > 1000 && received > 100, `${sent} sent, ${received} received`);
    assert(segmented > 10 === offload, `${segmented} left to the network`);
  });
}

Deno.test("ne2k-pci: any registers and frames", async () => {
  let frames = 0;
  for (const seed of SEEDS) {
    const random = new Random(seed);
    const { bench, net, sent } = await make(ne2kPci, false);
    for (let step = 0; step < 5 * STEPS; step++) {
      switch (random.below(6)) {
        case 0:
          bench.write("io", random.below(32), random.below(256));
          break;
        case 1:
          bench.read("io", random.below(32), random.of([1, 2, 4]));
          break;
        case 2:
          // Commands that start, send and move.
          bench.write("io", 0, random.of([0x22, 0x26, 0x0a, 0x12, 0x62, 0x21]));
          break;
        case 3: {
          // A ring that may be one.
          const register = random.of([1, 2, 3, 4, 7]);
          bench.write(
            "io",
            register,
            random.of([0x40, 0x46, 0x80, 0xc0, 0xff]),
          );
          break;
        }
        case 4:
          bench.write("io", 0x10, random.below(2 ** 32), random.of([1, 2, 4]));
          break;
        case 5:
          net.receive(anyFrame(random));
      }
    }
    const saved = bench.save();
    bench.device.load(saved);
    bench.device.reset();
    frames += sent.frames;
  }
  assert(frames > 100, `${frames} sent`);
});
