/**
 * Copies from image to image: `image convert` and `image commit`.
 *
 * @module
 */

import { BlockError } from "../backend/block.ts";
import type {
  Extent,
  ImageFormat,
  OpenImage,
} from "../backend/image_format.ts";
import { isUrl } from "../machine/schema.ts";
import type { Formats } from "./image_formats.ts";

/** The most bytes read at once. */
const PIECE_BYTES = 2 << 20;

/** Takes how many bytes are done, of how many. */
export type Progress = (done: number, total: number) => void;

/** An image to read. */
export interface Source {
  /** Where it is. */
  readonly location: string;
  /** Its format. */
  readonly format: ImageFormat;
  /** Lock it, unless this is false. */
  readonly lock?: boolean;
  /** The id of the snapshot to read. */
  readonly snapshot?: string;
}

/** An image to make or to fill. */
export interface Target {
  /** The file. */
  readonly file: string;
  /** Its format's name. */
  readonly name: string;
  /** Its format. */
  readonly format: ImageFormat;
  /** The format's options, complete. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What is to lie behind it. */
  readonly backing?: { readonly name: string; readonly format: string };
  /** Whether clusters are compressed. */
  readonly compress: boolean;
  /** Zeroes of so many bytes are not written; 0: all are. */
  readonly sparse: number;
  /** Whether it is to be made, or is there, and then whether it is all zero. */
  readonly state: "new" | "zero" | "used";
}

/**
 * Make a file: `make` gets the path of an empty one beside it, which takes its
 * place when all went well and is gone otherwise. A file that is in use is not
 * replaced.
 */
export async function withOutput(
  name: string,
  formats: Formats,
  make: (path: string) => Promise<void>,
): Promise<void> {
  if (isUrl(name)) {
    throw new BlockError(
      "read-only",
      `Cannot make "${name}": what a server has is only read`,
    );
  }
  // Through a link, to what it leads to.
  const file = await Deno.realPath(name).catch(() => name);
  const before = await Deno.stat(file).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (before !== undefined) {
    if (!before.isFile) {
      throw new BlockError("unsupported", `"${file}" is not a regular file`);
    }
    // Opening it to write finds out whether anybody else has it.
    const raw = await formats.named("raw");
    await raw.mayReplace?.(file);
    await (await raw.open(file, { readOnly: false })).close();
  }
  const path = `${file}.${crypto.randomUUID().slice(0, 8)}.part`;
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  const stopped = Promise.withResolvers<never>();
  const stop = (): void =>
    stopped.reject(new BlockError("io", `"${file}" was not finished`));
  (await Deno.open(path, { write: true, createNew: true })).close();
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    // What only its owner could read stays so.
    if (before !== undefined && Deno.build.os !== "windows") {
      await Deno.chmod(path, before.mode! & 0o777);
    }
    await Promise.race([make(path), stopped.promise]);
    await Deno.rename(path, file);
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}

/** Copy an image, with what lies behind it, to another. */
export async function convertImage(
  { location, format, lock, snapshot }: Source,
  target: Target,
  formats: Formats,
  progress: Progress | undefined,
): Promise<void> {
  const source = await format.open(location, {
    readOnly: true,
    lock,
    snapshot,
  });
  try {
    if (target.state !== "new") {
      await copyInto(source, target, target.file, progress);
      return;
    }
    await withOutput(target.file, formats, async (path) => {
      const { options, backing } = target;
      await target.format.create(path, { size: source.size, options, backing });
      await copyInto(source, target, path, progress);
    });
  } finally {
    await source.close();
  }
}

/** Copy to an image that is there. */
async function copyInto(
  source: OpenImage,
  target: Target,
  path: string,
  progress: Progress | undefined,
): Promise<void> {
  const { name, compress, sparse, state, backing } = target;
  const { clusterSize = 1 } = await target.format.info(path);
  const into = await target.format.open(path, { readOnly: false });
  try {
    if (into.size < source.size) {
      throw new BlockError(
        "range",
        `"${target.file}" has ${into.size} bytes, ${source.size} are to go there`,
      );
    }
    if (compress && into.writeCompressed === undefined) {
      throw new BlockError(
        "unsupported",
        `Images of format ${name} cannot be compressed`,
      );
    }
    await new Copy(source, into, {
      unit: compress ? clusterSize : sparse || PIECE_BYTES,
      keepZeroes: sparse === 0,
      clear: state === "used" || backing !== undefined,
      own: backing !== undefined,
      compress,
    }).run(progress);
  } finally {
    await into.close();
  }
}

/** How to copy. */
interface CopyOptions {
  /** Bytes that are zero or not, compressed or not. */
  readonly unit: number;
  /** Write zeroes, too. */
  readonly keepZeroes: boolean;
  /** The output may have something else where there are to be zeroes. */
  readonly clear: boolean;
  /** Leave out what lies behind: that lies behind the output, too. */
  readonly own: boolean;
  /** Write compressed clusters. */
  readonly compress: boolean;
}

/** A copy under way. */
class Copy {
  readonly #source: OpenImage;
  readonly #into: OpenImage;
  readonly #options: CopyOptions;

  constructor(source: OpenImage, into: OpenImage, options: CopyOptions) {
    this.#source = source;
    this.#into = into;
    this.#options = options;
  }

  /** Copy all of it, in pieces of whole units. */
  async run(progress: Progress | undefined): Promise<void> {
    const source = this.#source;
    const { unit, keepZeroes, own, clear } = this.#options;
    const { size } = source;
    const piece = Math.max(unit, Math.floor(PIECE_BYTES / unit) * unit);
    let writing: Promise<void> = Promise.resolve();
    for (let offset = 0; offset < size;) {
      progress?.(offset, size);
      const { kind, length } = await source.extent(offset, size - offset, own);
      if (kind === "backing" || kind === "zero" && !keepZeroes) {
        // Up to the last whole unit: its rest goes with what follows.
        const last = offset + length;
        const end = last === size ? size : Math.floor(last / unit) * unit;
        if (end > offset) {
          await writing;
          if (kind === "zero" && clear) await this.#clear(offset, end);
          offset = end;
          continue;
        }
      }
      // What lies behind is not to be copied without need.
      const most = own ? Math.ceil(length / unit) * unit : piece;
      const bytes = await source.read(
        offset,
        Math.min(piece, most, size - offset),
      );
      // One piece is written while the next one is read.
      await writing;
      writing = this.#put(offset, bytes);
      writing.catch(() => {});
      offset += bytes.length;
    }
    await writing;
    await this.#into.flush();
    progress?.(size, size);
  }

  /** Write units: runs of those that are zero, runs of those that are not. */
  async #put(offset: number, bytes: Uint8Array): Promise<void> {
    const { unit, keepZeroes, compress, clear } = this.#options;
    for (let at = 0; at < bytes.length;) {
      const zero = !keepZeroes && isZero(bytes.subarray(at, at + unit));
      let end = Math.min(bytes.length, at + unit);
      while (
        (zero || !compress) && end < bytes.length &&
        zero === (!keepZeroes && isZero(bytes.subarray(end, end + unit)))
      ) end = Math.min(bytes.length, end + unit);
      const part = bytes.subarray(at, end);
      if (!zero && compress) {
        await this.#into.writeCompressed!(offset + at, part);
      } else if (!zero) await this.#into.write(offset + at, part);
      else if (clear) await this.#clear(offset + at, offset + end);
      at = end;
    }
  }

  /** Make bytes zero that are not; holes stay holes. */
  async #clear(start: number, end: number): Promise<void> {
    const into = this.#into;
    for (let at = start; at < end;) {
      const { kind, length } = await into.extent(at, end - at);
      const part = kind === "data" ? Math.min(length, PIECE_BYTES) : length;
      if (kind === "data" && !isZero(await into.read(at, part))) {
        await into.writeZeroes(at, part);
      }
      at += part;
    }
  }
}

function isZero(bytes: Uint8Array): boolean {
  const { buffer, byteOffset, length } = bytes;
  if (length % 4 !== 0 || byteOffset % 4 !== 0) {
    return bytes.every((byte) => byte === 0);
  }
  const words = new Uint32Array(buffer, byteOffset, length / 4);
  for (let i = 0; i < words.length; i++) {
    if (words[i] !== 0) return false;
  }
  return true;
}

/** What the first of several images that lie on each other has. */
async function layeredExtent(
  layers: readonly OpenImage[],
  offset: number,
  length: number,
): Promise<Extent & { readonly from: OpenImage }> {
  for (const from of layers) {
    const rest = from.size - offset;
    // A disk that ends before those on it is followed by zeroes.
    if (rest <= 0) return { kind: "zero", length, from };
    const extent = await from.extent(offset, Math.min(length, rest));
    if (extent.kind !== "backing") return { ...extent, from };
    ({ length } = extent);
  }
  return { kind: "backing", length, from: layers[0] };
}

/**
 * Write what images have over what lies behind the last of them, and empty
 * them unless they are to `keep` it.
 */
export async function commitImage(
  [top, ...between]: readonly Source[],
  behind: Source,
  keep: boolean,
  progress: Progress | undefined,
): Promise<void> {
  const layers = [
    await top.format.open(top.location, { readOnly: false, alone: true }),
  ];
  try {
    for (const { location, format } of between) {
      layers.push(await format.open(location, { readOnly: true, alone: true }));
    }
    const { size } = layers[0];
    if ((await behind.format.info(behind.location)).size < size) {
      await behind.format.resize(behind.location, size, "off");
    }
    const into = await behind.format.open(behind.location, { readOnly: false });
    try {
      for (let offset = 0; offset < size;) {
        progress?.(offset, size);
        const { kind, length, from } = await layeredExtent(
          layers,
          offset,
          size - offset,
        );
        const part = kind === "data" ? Math.min(length, PIECE_BYTES) : length;
        if (kind === "data") {
          await into.write(offset, await from.read(offset, part));
        } else if (kind === "zero") await into.writeZeroes(offset, part);
        offset += part;
      }
      await into.flush();
    } finally {
      await into.close();
    }
    // What lies behind has it all now, and would after a power cut.
    if (!keep && size > 0) await layers[0].discard(0, size);
    progress?.(size, size);
  } finally {
    for (const layer of layers) await layer.close();
  }
}
