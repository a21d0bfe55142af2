import { assert, assertEquals } from "@std/assert";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import { E1000Bench, frameTo, MAC } from "../../../tests/devices/nic_bench.ts";
import plugin, { type E1000 } from "./e1000.ts";
import {
  CTRL,
  CTRL_PHY_RST,
  CTRL_RST,
  CTRL_SLU,
  EECD,
  EERD,
  ICR,
  ICR_LSC,
  ICR_MDAC,
  ICR_RXT0,
  ICR_TXDW,
  ICS,
  IMC,
  IMS,
  ITR,
  MDIC,
  MTA,
  RADV,
  RAH0,
  RAL0,
  RCTL,
  RDLEN,
  RDTR,
  RDTR_FPD,
  STATUS,
  STATUS_LU,
  TADV,
  TCTL,
  TDT,
  TIDV,
  VET,
} from "./e1000_registers.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const US = 1000;
const MS = 1000 * US;

Deno.test("e1000: identity and what it maps", async () => {
  const { bus: { space }, bench } = await E1000Bench.create();
  assertEquals(
    [0x00, 0x08, 0x2c, 0x3c].map((r) => space.readConfig(r, 4)),
    [0x100e8086, 0x02000003, 0x11001af4, 0x00000100],
  );
  for (const r of [0x10, 0x14, 0x18]) space.writeConfig(r, 4, 0xffffffff);
  assertEquals(
    [0x10, 0x14, 0x18].map((r) => space.readConfig(r, 4)),
    [0xfffe0000, 0xffffffc1, 0],
  );
  space.writeConfig(0x10, 4, 0xfebc0000);
  space.writeConfig(0x14, 4, 0xc000);
  assertEquals(bench.memory.read(0xfebc0000 + VET, 4), 0x8100);
  // The ports lead to the same registers.
  bench.ports.write(0xc000, 4, VET);
  assertEquals(bench.ports.read(0xc004, 4), 0x8100);
  bench.ports.write(0xc004, 4, 0x88a8);
  assertEquals(bench.memory.read(0xfebc0000 + VET, 4), 0x88a8);
  assertEquals(bench.ports.read(0xc000, 4), VET);
  // Beyond the registers there is nothing.
  for (const at of [0x20000, 0x80000, 0xffffffff]) {
    bench.ports.write(0xc000, 4, at);
    bench.ports.write(0xc004, 4, 0x1234);
    assertEquals(bench.ports.read(0xc004, 4), 0);
  }
});

Deno.test("e1000: registers keep the bits that they have", async () => {
  const card = await E1000Bench.create();
  const kept = (register: number): number => {
    card.write(register, 0xffffffff);
    return card.read(register);
  };
  assertEquals(kept(RDLEN), 0x000fff80);
  assertEquals(kept(MTA + 0x1fc), 0xffffffff);
  assertEquals(kept(RAH0 + 8), 0x8003ffff);
  assertEquals(kept(RDTR), 0xffff);
  // Read only, or nothing at all.
  assertEquals(kept(STATUS), 0x283);
  assertEquals(kept(0x4074), 0);
  assertEquals(kept(0x0004), 0);
  assertEquals(kept(0x1fffc), 0);
  // A narrow read is cut from a register.
  assertEquals(card.bench.read("registers", RAH0 + 9, 1), 0xff);
});

Deno.test("e1000: the address is in RAL and RAH; a reset reads it again", async () => {
  const card = await E1000Bench.create({
    config: { mac: "02:11:22:33:44:55" },
  });
  const address = (): number[] => [card.read(RAL0), card.read(RAH0)];
  assertEquals(address(), [0x33221102, 0x80005544]);
  card.write(RAL0, 0);
  card.write(RAH0, 0);
  card.write(VET, 0);
  card.start();
  card.write(IMS, ICR_TXDW);
  card.send(frameTo(BROADCAST));
  assert(card.pin);
  // As Linux does it, by the ports.
  card.bench.write("io", 0, CTRL, 4);
  card.bench.write("io", 4, CTRL_RST, 4);
  assertEquals(address(), [0x33221102, 0x80005544]);
  assertEquals(card.read(VET), 0x8100);
  assertEquals([TDT, TCTL, RCTL, IMS, ICR].map((r) => card.read(r)), [
    ...[0, 0, 0, 0, 0],
  ]);
  assert(!card.pin);
  assertEquals(card.read(CTRL) & CTRL_RST, 0);
  // The function stays where it is.
  assertEquals(card.bus.space.readConfig(4, 2), 7);
});

/** Read a word by moving the EEPROM's wires. */
function microwire(card: E1000Bench, address: number, count = 1): number[] {
  const SK = 1, CS = 2, DI = 4, DO = 8, REQ = 0x40, GNT = 0x80;
  card.write(EECD, REQ);
  assert((card.read(EECD) & GNT) !== 0);
  const clock = (bit: number): number => {
    const wires = REQ | CS | (bit === 1 ? DI : 0);
    card.write(EECD, wires);
    card.write(EECD, wires | SK);
    const out = (card.read(EECD) & DO) !== 0 ? 1 : 0;
    card.write(EECD, wires);
    return out;
  };
  card.write(EECD, REQ | CS);
  // A leading zero, READ, six bits of address.
  for (const bit of [0, 1, 1, 0]) clock(bit);
  let dummy = 1;
  for (let i = 5; i >= 0; i--) dummy = clock(address >> i & 1);
  assertEquals(dummy, 0);
  const words = Array.from({ length: count }, () => {
    let word = 0;
    for (let i = 0; i < 16; i++) word = word << 1 | clock(0);
    return word;
  });
  card.write(EECD, REQ);
  card.write(EECD, 0);
  assertEquals(card.read(EECD) & GNT, 0);
  return words;
}

Deno.test("e1000: EEPROM by EERD and by its wires, with the right checksum", async () => {
  const card = await E1000Bench.create();
  const words = Array.from({ length: 64 }, (_, address) => {
    card.write(EERD, address << 8 | 1);
    const value = card.read(EERD);
    assertEquals(value & 0xffff, address << 8 | 0x10);
    return value >>> 16;
  });
  assertEquals(words.slice(0, 3), [0x5452, 0x1200, 0x5634]);
  assertEquals(words.reduce((a, b) => a + b) & 0xffff, 0xbaba);
  assertEquals(words.slice(0x0b, 0x0f), [0x1100, 0x1af4, 0x100e, 0x8086]);
  for (const address of [0, 2, 0x0d, 63]) {
    assertEquals(microwire(card, address), [words[address]]);
  }
  assertEquals(microwire(card, 62, 4), [
    ...words.slice(62),
    ...words.slice(0, 2),
  ]);
});

const mdicRead = (card: E1000Bench, register: number): number => {
  card.write(MDIC, 1 << 27 | 1 << 21 | register << 16);
  const value = card.read(MDIC);
  assertEquals(value & 0x50000000, 0x10000000, "ready, no error");
  return value & 0xffff;
};
const mdicWrite = (card: E1000Bench, register: number, value: number): void =>
  card.write(MDIC, 1 << 26 | 1 << 21 | register << 16 | value);

Deno.test("e1000: PHY by MDIC, and its interrupt", async () => {
  const card = await E1000Bench.create();
  assertEquals(mdicRead(card, 2), 0x0141);
  assertEquals(mdicRead(card, 3), 0x0c20);
  assertEquals(mdicRead(card, 1) & 0x24, 0x24);
  mdicWrite(card, 4, 0x01e1);
  assertEquals(mdicRead(card, 4), 0x01e1);
  mdicWrite(card, 2, 0xffff);
  assertEquals(mdicRead(card, 2), 0x0141);
  // Another PHY is not there.
  card.write(MDIC, 1 << 27 | 2 << 21 | 2 << 16);
  assertEquals(card.read(MDIC) >>> 28 & 5, 5);
  assertEquals(card.read(ICR), 0);
  card.write(MDIC, 1 << 29 | 1 << 27 | 1 << 21 | 2 << 16);
  assertEquals(card.read(ICR), ICR_MDAC);
});

Deno.test("e1000: the link goes down and up: negotiation, power, SLU, cable", async () => {
  const card = await E1000Bench.create();
  const { device } = card.bench;
  const isUp = (): boolean => (card.read(STATUS) & STATUS_LU) !== 0;
  const changes = (up: boolean): void => {
    assertEquals(isUp(), up);
    assertEquals(card.read(ICR), ICR_LSC);
  };
  card.start();
  assert(isUp());
  mdicWrite(card, 0, 0x1340);
  changes(false);
  assertEquals(mdicRead(card, 1) & 0x24, 0);
  // Nothing goes out, nothing comes in.
  card.send(frameTo(BROADCAST));
  assert(card.net.receive(frameTo(BROADCAST)));
  assertEquals([card.sent(), card.received()], [[], []]);
  assertEquals(card.read(ICR) & ICR_TXDW, ICR_TXDW);
  card.bench.advance(499 * MS);
  assert(!isUp());
  card.bench.advance(2 * MS);
  changes(true);
  assertEquals(mdicRead(card, 1) & 0x24, 0x24);
  assertEquals(mdicRead(card, 17), 0xac00);

  mdicWrite(card, 0, 0x1940);
  changes(false);
  card.bench.advance(1000 * MS);
  assert(!isUp());
  mdicWrite(card, 0, 0x1140);
  card.bench.advance(600 * MS);
  changes(true);

  card.write(CTRL, 0);
  changes(false);
  card.write(CTRL, CTRL_SLU);
  changes(true);

  card.write(CTRL, (CTRL_SLU | CTRL_PHY_RST) >>> 0);
  changes(false);
  card.bench.advance(600 * MS);
  changes(true);

  device.cable = false;
  changes(false);
  device.reset();
  assert(!isUp());
  device.cable = true;
  card.bench.advance(600 * MS);
  changes(true);
});

Deno.test("e1000: without a network there is no link", async () => {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create<E1000>(plugin, { use: { bus } });
  bench.device.reset();
  assertEquals(bench.read("registers", STATUS, 4) & STATUS_LU, 0);
  assertEquals(bench.device.mac, MAC);
});

Deno.test("e1000: causes, mask and pin", async () => {
  const card = await E1000Bench.create();
  card.write(ICS, 0x95);
  assert(!card.pin);
  card.write(IMS, 0x04);
  assert(card.pin);
  card.write(IMS, 0x90);
  assertEquals(card.read(IMS), 0x94);
  card.write(IMC, 0x04);
  assertEquals([card.read(IMS), card.pin], [0x90, true]);
  assertEquals(card.read(ICS), 0x95);
  card.write(ICR, 0x80);
  assert(card.pin);
  card.write(ICR, 0x10);
  assert(!card.pin);
  assertEquals([card.read(ICR), card.read(ICR)], [0x05, 0]);
  // There are no other causes.
  card.write(ICS, 0xffffffff);
  card.write(IMS, 0xffffffff);
  assertEquals([card.read(ICR), card.read(IMS)], [0x1f3df, 0x1f3df]);
});

Deno.test("e1000: ITR keeps interrupts apart", async () => {
  const card = await E1000Bench.create();
  const cause = (): void => card.write(ICS, ICR_RXT0);
  card.write(IMS, ICR_RXT0);
  // 100 us.
  card.write(ITR, 391);
  cause();
  assert(card.pin);
  card.read(ICR);
  assert(!card.pin);
  card.bench.advance(50 * US);
  cause();
  assert(!card.pin);
  card.bench.advance(49 * US);
  assert(!card.pin);
  card.bench.advance(2 * US);
  assert(card.pin);
  card.read(ICR);
  cause();
  assert(!card.pin);
  // No throttle any more: at once.
  card.write(ITR, 0);
  assert(card.pin);
  card.read(ICR);
  cause();
  assert(card.pin);
  // What is acknowledged before it is due does not come.
  card.write(ITR, 391);
  card.read(ICR);
  cause();
  card.read(ICR);
  cause();
  card.read(ICR);
  card.bench.advance(200 * US);
  assert(!card.pin);
});

Deno.test("e1000: RDTR and RADV delay what was received", async () => {
  const card = await E1000Bench.create();
  card.start();
  card.write(IMS, ICR_RXT0);
  // 102.4 us after the last, 204.8 us after the first.
  card.write(RDTR, 100);
  card.write(RADV, 200);
  const receive = (): unknown => card.net.receive(frameTo(BROADCAST));
  receive();
  card.bench.advance(100 * US);
  assert(!card.pin);
  card.bench.advance(3 * US);
  assert(card.pin);
  card.read(ICR);
  // Each frame puts it off, but not for ever.
  let waited = 0;
  for (; waited < 1000 && !card.pin; waited += 50) {
    receive();
    card.bench.advance(50 * US);
  }
  assertEquals(waited, 250);
  card.read(ICR);
  receive();
  assert(!card.pin);
  card.write(RDTR, RDTR_FPD);
  assert(card.pin);
  card.read(ICR);
  receive();
  assert(card.pin);
});

Deno.test("e1000: TIDV and TADV delay what was transmitted, where IDE says so", async () => {
  const card = await E1000Bench.create();
  card.start();
  card.write(IMS, ICR_TXDW);
  card.write(TIDV, 100);
  card.write(TADV, 200);
  const frame = frameTo(BROADCAST);
  card.send(frame);
  assert(card.pin);
  card.read(ICR);
  card.send(frame, 0x8b);
  assert(!card.pin);
  card.bench.advance(103 * US);
  assert(card.pin);
  card.read(ICR);
  let waited = 0;
  for (; waited < 1000 && !card.pin; waited += 50) {
    card.send(frame, 0x8b);
    card.bench.advance(50 * US);
  }
  assertEquals(waited, 250);
  card.read(ICR);
  // One without IDE ends the wait.
  card.send(frame, 0x8b);
  card.send(frame);
  assert(card.pin);
  card.read(ICR);
  card.bench.advance(1000 * US);
  assert(!card.pin);
});
