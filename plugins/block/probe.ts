/**
 * Finds out an image's format from its first bytes, and keeps a guest from
 * deciding it: a guest that may write any bytes to a raw image could make it a
 * qcow2 one that names any file of the host behind it, which the next start
 * would show to the guest. So an image that was found to be raw takes no first
 * sector that would make it something else (as QEMU does, block/raw-format.c).
 *
 * @module
 */

import {
  type BlockBackend,
  BlockError,
  type BlockSnapshots,
  checkRange,
  SECTOR_BYTES,
} from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";

/** Bytes that tell formats apart: where they are, and what they are. */
const MAGICS: readonly [format: string, at: number, bytes: string][] = [
  ["qcow2", 0, "QFI\xfb\0\0\0\x02"],
  ["qcow2", 0, "QFI\xfb\0\0\0\x03"],
  ["qcow", 0, "QFI\xfb"],
  ["qed", 0, "QED\0"],
  ["vmdk", 0, "KDMV"],
  ["vmdk", 0, "COWD"],
  ["vmdk", 0, "# Disk DescriptorFile"],
  ["vdi", 64, "\x7f\x10\xda\xbe"],
  ["vhdx", 0, "vhdxfile"],
  ["vpc", 0, "conectix"],
  ["parallels", 0, "WithoutFreeSpace"],
  ["parallels", 0, "WithouFreSpacExt"],
  ["luks", 0, "LUKS\xba\xbe"],
  ["bochs", 0, "Bochs Virtual HD Image"],
  ["cloop", 0, "#!/bin/sh\n#V2.0 Format\n"],
];

/** The format of an image that begins with these bytes: `raw` if no other. */
export function formatOf(head: Uint8Array): string {
  for (const [format, at, text] of MAGICS) {
    let i = 0;
    while (i < text.length && head[at + i] === text.charCodeAt(i)) i++;
    if (i === text.length) return format;
  }
  return "raw";
}

/** The format of the image in a store. */
export async function probe(store: ByteStore): Promise<string> {
  const head = new Uint8Array(SECTOR_BYTES);
  await store.read(0, head);
  return formatOf(head);
}

/** A raw image that no write makes look like one of another format. */
export class GuardedBlock implements BlockBackend {
  /** The image's size. */
  readonly size: number;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  readonly #image: BlockBackend;
  /** Writes to the first sector go one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** Guards an image, which is closed with it. */
  constructor(image: BlockBackend) {
    this.#image = image;
    this.size = image.size;
    this.readOnly = image.readOnly;
  }

  /** See `BlockBackend.format`. */
  get format(): string | undefined {
    return this.#image.format;
  }

  /** See `BlockBackend.machineSnapshots`. */
  get machineSnapshots(): BlockSnapshots | undefined {
    return this.#image.machineSnapshots;
  }

  /** See `BlockBackend.read`. */
  read(
    offset: number,
    length: number,
    room?: Uint8Array,
  ): Promise<Uint8Array> {
    return this.#image.read(offset, length, room);
  }

  /** See `BlockBackend.write`; some first sectors are refused. */
  write(offset: number, bytes: Uint8Array): Promise<void> {
    if (!(offset < SECTOR_BYTES) || this.readOnly || bytes.length === 0) {
      return this.#image.write(offset, bytes);
    }
    return this.#writeHead(offset, bytes);
  }

  async #writeHead(offset: number, bytes: Uint8Array): Promise<void> {
    checkRange(offset, bytes.length, this.size);
    const write = async (): Promise<void> => {
      const head = await this.#image.read(
        0,
        Math.min(SECTOR_BYTES, this.size),
      );
      head.set(bytes.subarray(0, Math.max(0, head.length - offset)), offset);
      const format = formatOf(head);
      if (format !== "raw") {
        throw new BlockError(
          "unsupported",
          `Refused a write that would turn a raw image into a ${format} one: ` +
            `if the guest may do that, give the image's format as raw`,
        );
      }
      await this.#image.write(offset, bytes);
    };
    const done = this.#last.then(write);
    this.#last = done.catch(() => {});
    await done;
  }

  /** See `BlockBackend.discard`. */
  discard(offset: number, length: number): Promise<void> {
    return this.#image.discard(offset, length);
  }

  /** See `BlockBackend.writeZeroes`: sectors of zeroes make no format. */
  writeZeroes(offset: number, length: number): Promise<void> {
    return this.#image.writeZeroes(offset, length);
  }

  /** See `BlockBackend.flush`. */
  flush(): Promise<void> {
    return this.#image.flush();
  }

  /** Close the image. */
  close(): Promise<void> {
    return this.#image.close();
  }
}
