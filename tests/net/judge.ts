/**
 * Captures of frames, and tshark as the judge of them.
 *
 * @module
 */

/** Frames in the order in which they passed. */
export class Capture {
  readonly #parts: Uint8Array[] = [];
  count = 0;

  constructor() {
    // The file format's version 2.4, and Ethernet (link type 1).
    const head = new DataView(new ArrayBuffer(24));
    head.setUint32(0, 0xa1b2c3d4);
    head.setUint16(4, 2);
    head.setUint16(6, 4);
    head.setUint32(16, 262144);
    head.setUint32(20, 1);
    this.#parts.push(new Uint8Array(head.buffer));
  }

  add(frame: Uint8Array): void {
    const head = new DataView(new ArrayBuffer(16));
    head.setUint32(0, this.count / 1e6);
    head.setUint32(4, this.count++ % 1e6);
    head.setUint32(8, frame.length);
    head.setUint32(12, frame.length);
    this.#parts.push(new Uint8Array(head.buffer), frame.slice());
  }

  async save(path: string): Promise<void> {
    await Deno.writeFile(path, new Blob(this.#parts as BlobPart[]).stream());
  }
}

/** Whether a program is there. */
export async function has(program: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("which", { args: [program] })
      .output();
    return success;
  } catch {
    return false;
  }
}

/** What tshark prints of the frames that a filter chooses: a line a frame. */
export async function tshark(
  capture: Capture,
  filter: string,
  fields: readonly string[] = [],
): Promise<string[]> {
  const path = await Deno.makeTempFile({ suffix: ".pcap" });
  try {
    await capture.save(path);
    return await tsharkFile(path, filter, fields);
  } finally {
    await Deno.remove(path);
  }
}

/** The same of a capture in a file; sums that are left to others are not `summed`. */
export async function tsharkFile(
  path: string,
  filter: string,
  fields: readonly string[] = [],
  summed = true,
): Promise<string[]> {
  const { stdout, stderr, success } = await new Deno.Command("tshark", {
    args: [
      "-r",
      path,
      ...["ip", "tcp", "udp"].flatMap((p) => [
        "-o",
        `${p}.check_checksum:${summed ? "TRUE" : "FALSE"}`,
      ]),
      "-Y",
      filter,
      ...(fields.length > 0
        ? ["-T", "fields", ...fields.flatMap((f) => ["-e", f])]
        : []),
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\n").filter((l) => l !== "");
}

/**
 * A filter of frames that are not what they say. Payload of TCP is what tshark's
 * guesses make of random bytes.
 */
export const WRONG =
  "(_ws.malformed || _ws.expert.severity==error) && !(tcp.len > 0)";

/** A filter of frames that this network sent and that are not as they should be. */
export const BAD = "eth.src[0:2]==52:55 && (" +
  'ip.checksum.status=="Bad" || tcp.checksum.status=="Bad" || ' +
  'udp.checksum.status=="Bad" || icmp.checksum.status=="Bad" || ' +
  `(${WRONG}))`;
