/**
 * A client of the gdb server that breaks the protocol.
 *
 * @module
 */

import { encodePacket } from "../../core/debug/gdb/packet.ts";
import { Random } from "../random.ts";

/** What the fuzz begins with. */
const SEEDS = [
  "qSupported:multiprocess+;swbreak+",
  "?",
  "g",
  "G0000",
  "p1",
  "P0=01020304",
  "m100,10",
  "x100,10",
  "mfffffffffffffff8,10",
  "m7ffffffffff8,10",
  "m800000000000,1",
  "mfffffffc,8",
  "Mffff800000000000,1:00",
  "M100,2:0102",
  "X100,2:ab",
  "Hgp1.2",
  "Hc-1",
  "Tp1.1",
  "Z0,100,1",
  "z0,100,1",
  "Z2,8000,4",
  "Z4,8000,8",
  "Z2,fffffffffffffffc,8",
  "Z3,7fffffffffff,1000",
  "Z1,800000000000,1",
  "Z4,0,100000",
  "vCont?",
  "vCont;s:p1.1;c",
  "vCont;r10,20:p1.1",
  "s",
  "qXfer:features:read:target.xml:0,fff",
  "qfThreadInfo",
  "qThreadExtraInfo,1",
  "qRcmd,68656c70",
  "Qqemu.PhyMemMode:1",
  "qC",
  "D",
  "vKill;1",
  "bs",
];

/** One client's input, of packets that are and are not. */
export function hostileInput(seed: number): Uint8Array[] {
  const random = new Random(seed);
  const byte = () => String.fromCharCode(random.below(256));
  const mutated = (): string => {
    let text = random.of(SEEDS);
    for (let n = random.below(4); n > 0; n--) {
      const at = random.below(text.length + 1);
      text = random.of([
        text.slice(0, at) + byte() + text.slice(at + 1),
        text.slice(0, at) + byte() + text.slice(at),
        text.slice(0, at),
        text + random.of(SEEDS).slice(at),
      ]);
    }
    return text;
  };
  const input: Uint8Array[] = [];
  for (let n = 0; n < 60; n++) {
    const kind = random.below(12);
    if (kind === 0) {
      const noise = new Uint8Array(random.below(400) + 1);
      input.push(noise.map(() => random.below(256)));
      continue;
    }
    const packet = encodePacket(mutated()).slice();
    if (kind === 1) packet[random.below(packet.length)] = random.below(256);
    const at = kind === 2 ? random.below(packet.length - 1) + 1 : packet.length;
    input.push(packet.subarray(0, at), packet.subarray(at), Uint8Array.of(3));
  }
  // Whatever came, this ends it, stops what runs, and asks for a sign of life.
  const last = Uint8Array.from(
    "#00\x03$QStartNoAckMode#b0",
    (c) => c.charCodeAt(0),
  );
  return [...input, last, last, encodePacket("qsThreadInfo")];
}
