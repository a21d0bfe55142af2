/**
 * Reads captures in libpcap's format, little-endian, for tests.
 *
 * @module
 */

/** A capture. */
export interface Capture {
  /** LINKTYPE_*: 1 is Ethernet. */
  readonly linkType: number;
  /** Its packets in order. */
  readonly packets: readonly {
    /** Milliseconds since 1970. */
    readonly time: number;
    /** The bytes that are there. */
    readonly bytes: Uint8Array;
  }[];
}

/** Read a capture; throws when it is not one, or ends within a packet. */
export async function readPcap(path: string): Promise<Capture> {
  const bytes = await Deno.readFile(path);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number): number => view.getUint32(at, true);
  const version = [view.getUint16(4, true), view.getUint16(6, true)];
  if (u32(0) !== 0xa1b2c3d4 || `${version}` !== "2,4") {
    throw new Error(`${path} is no capture`);
  }
  const packets: Capture["packets"][number][] = [];
  for (let at = 24; at < bytes.length;) {
    const length = u32(at + 8);
    const packet = bytes.slice(at + 16, at + 16 + length);
    if (packet.length !== length) throw new Error(`${path} ends in a packet`);
    const time = u32(at) * 1000 + u32(at + 4) / 1000;
    packets.push({ time, bytes: packet });
    at += 16 + length;
  }
  return { linkType: u32(20), packets };
}
