/**
 * Packet capture: a network that writes what passes between it and its card to
 * a file, in the format of libpcap 2.4 with Ethernet frames, times in
 * microseconds of the host's clock.
 *
 * A frame with an offload is written as it is sent, as Linux does: its sums may
 * be wrong, and one frame may stand for several. What the card had no room for
 * is not written, for the guest has not seen it.
 *
 * @module
 */

import type { FrameOffload, NetBackend, NetCard } from "./net.ts";
import { RecordWriter } from "./record_writer.ts";

/** https://www.tcpdump.org/manpages/pcap-savefile.5.html */
const MAGIC = 0xa1b2c3d4;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
/** LINKTYPE_ETHERNET. */
const LINK_TYPE = 1;
/** The most bytes of a frame that are kept: libpcap takes no more. */
const SNAP_BYTES = 256 * 1024;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** What may wait for the host's disk: seconds of a busy link. */
const QUEUE_BYTES = 32 << 20;

/** The first bytes of a file. */
function fileHeader(): Uint8Array {
  const header = new DataView(new ArrayBuffer(FILE_HEADER_BYTES));
  header.setUint32(0, MAGIC, true);
  header.setUint16(4, VERSION_MAJOR, true);
  header.setUint16(6, VERSION_MINOR, true);
  header.setUint32(16, SNAP_BYTES, true);
  header.setUint32(20, LINK_TYPE, true);
  return new Uint8Array(header.buffer);
}

/** A file of frames. */
export class PcapWriter {
  readonly #file: Deno.FsFile;
  readonly #records: RecordWriter;
  readonly #warn: (message: string) => void;
  readonly #path: string;
  readonly #header = new DataView(new ArrayBuffer(RECORD_HEADER_BYTES));
  readonly #headerBytes = new Uint8Array(this.#header.buffer);
  #failed = false;
  #closed = false;

  private constructor(
    path: string,
    file: Deno.FsFile,
    warn: (message: string) => void,
  ) {
    this.#path = path;
    this.#file = file;
    this.#warn = warn;
    this.#records = new RecordWriter(
      (bytes) => file.write(bytes),
      QUEUE_BYTES,
      (error) => {
        this.#failed = true;
        warn(`cannot write to "${path}": ${error}`);
      },
    );
    this.#records.push(fileHeader(), new Uint8Array(0));
  }

  /**
   * Create a file, in place of one that is there. Throws an error that names
   * it; `warn` is told of what happens later.
   */
  static async create(
    path: string,
    warn: (message: string) => void,
  ): Promise<PcapWriter> {
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path, {
        write: true,
        create: true,
        truncate: true,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot open "${path}" for writing: ${reason}`, {
        cause,
      });
    }
    return new PcapWriter(path, file, warn);
  }

  /** A frame that passes now; it is copied. */
  add(frame: Uint8Array): void {
    if (this.#closed) return;
    const kept = frame.length > SNAP_BYTES
      ? frame.subarray(0, SNAP_BYTES)
      : frame;
    const now = performance.timeOrigin + performance.now();
    const seconds = Math.floor(now / 1000);
    const header = this.#header;
    header.setUint32(0, seconds, true);
    header.setUint32(4, Math.floor((now - seconds * 1000) * 1000), true);
    header.setUint32(8, kept.length, true);
    header.setUint32(12, frame.length, true);
    this.#records.push(this.#headerBytes, kept);
  }

  /** Write what is left and close the file. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#records.flush();
    const { lost } = this.#records;
    if (lost > 0 && !this.#failed) {
      this.#warn(
        `"${this.#path}" lacks ${lost} frames: the host's disk was slow`,
      );
    }
    this.#file.close();
  }
}

/** A network with an observer of its link. */
export class CapturedNet implements NetBackend {
  readonly #net: NetBackend;
  readonly #pcap: PcapWriter;
  #closed: Promise<void> | undefined;

  /** The network, and where its frames are written; both are closed with it. */
  constructor(net: NetBackend, pcap: PcapWriter) {
    this.#net = net;
    this.#pcap = pcap;
  }

  /** See `NetBackend.offload`. */
  get offload(): boolean {
    return this.#net.offload;
  }

  /** See `NetBackend.attach`. */
  attach(card: NetCard): void {
    const pcap = this.#pcap;
    this.#net.attach({
      get offload(): boolean {
        return card.offload;
      },
      receive(frame, offload) {
        const taken = card.receive(frame, offload);
        if (taken) pcap.add(frame);
        return taken;
      },
    });
  }

  /** See `NetBackend.send`. */
  send(frame: Uint8Array, offload?: FrameOffload): void {
    this.#pcap.add(frame);
    this.#net.send(frame, offload);
  }

  /** See `NetBackend.guestReplaced`. */
  guestReplaced(): void {
    this.#net.guestReplaced?.();
  }

  /** See `NetBackend.addForward`. */
  get addForward(): NetBackend["addForward"] {
    return this.#net.addForward?.bind(this.#net);
  }

  /** See `NetBackend.removeForward`. */
  get removeForward(): NetBackend["removeForward"] {
    return this.#net.removeForward?.bind(this.#net);
  }

  /** See `NetBackend.ready`. */
  ready(): void {
    this.#net.ready();
  }

  /** See `NetBackend.describe`. */
  describe(): Iterable<string> {
    return this.#net.describe?.() ?? [];
  }

  /** See `NetBackend.close`. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    try {
      await this.#net.close();
    } finally {
      await this.#pcap.close();
    }
  }
}
