/**
 * Copies from image to image: `image convert` and `image commit`.
 *
 * @module
 */

import { BlockError } from "../backend/block.ts";
import type { ImageFormat, OpenImage } from "../backend/image_format.ts";
import type { Formats } from "./image.ts";

/** The most bytes read at once. */
const PIECE_BYTES = 2 << 20;
/** Zeroes of so many bytes are not written, as in QEMU. */
const SPARSE_BYTES = 4096;

/** Takes how much is done, from 0 to 1. */
export type Progress = (done: number) => void;

/** An image to read. */
export interface Source {
  /** Where it is. */
  readonly location: string;
  /** Its format. */
  readonly format: ImageFormat;
}

/** An image to make. */
export interface Target {
  /** The file. */
  readonly file: string;
  /** Its format's name. */
  readonly name: string;
  /** Its format. */
  readonly format: ImageFormat;
  /** The format's options, complete. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether clusters are compressed. */
  readonly compress: boolean;
}

/**
 * Make a file: `make` gets the path of an empty one beside it, which takes its
 * place when all went well and is gone otherwise. A file that is in use is not
 * replaced.
 */
export async function withOutput(
  file: string,
  formats: Formats,
  make: (path: string) => Promise<void>,
): Promise<void> {
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
    await Promise.race([make(path), stopped.promise]);
    await Deno.rename(path, file);
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}

/** Copy an image, with what lies behind it, to a new one. */
export async function convertImage(
  { location, format }: Source,
  target: Target,
  formats: Formats,
  progress: Progress | undefined,
): Promise<void> {
  const source = await format.open(location, { readOnly: true });
  try {
    await withOutput(target.file, formats, async (path) => {
      const { size } = source;
      await target.format.create(path, { size, options: target.options });
      const { clusterSize = SPARSE_BYTES } = await target.format.info(path);
      const into = await target.format.open(path, { readOnly: false });
      try {
        if (target.compress && into.writeCompressed === undefined) {
          throw new BlockError(
            "unsupported",
            `Images of format ${target.name} cannot be compressed`,
          );
        }
        const unit = target.compress ? clusterSize : SPARSE_BYTES;
        await copy(source, into, unit, target.compress, progress);
      } finally {
        await into.close();
      }
    });
  } finally {
    await source.close();
  }
}

/** Copy what is not zero, in pieces of whole units. */
async function copy(
  source: OpenImage,
  into: OpenImage,
  unit: number,
  compress: boolean,
  progress: Progress | undefined,
): Promise<void> {
  const { size } = source;
  const piece = Math.max(unit, Math.floor(PIECE_BYTES / unit) * unit);
  const write = compress
    ? (offset: number, bytes: Uint8Array) =>
      into.writeCompressed!(offset, bytes)
    : (offset: number, bytes: Uint8Array) => into.write(offset, bytes);
  let writing: Promise<void> = Promise.resolve();
  const put = async (offset: number, bytes: Uint8Array): Promise<void> => {
    let start = -1;
    for (let at = 0; at < bytes.length; at += unit) {
      const part = bytes.subarray(at, at + unit);
      const zero = isZero(part);
      if (compress && !zero) await write(offset + at, part);
      else if (!compress && zero && start >= 0) {
        await write(offset + start, bytes.subarray(start, at));
        start = -1;
      } else if (!compress && !zero && start < 0) start = at;
    }
    if (start >= 0) await write(offset + start, bytes.subarray(start));
  };
  for (let offset = 0; offset < size;) {
    progress?.(offset / size);
    const { kind, length } = await source.extent(offset, size - offset);
    if (kind === "zero") {
      // Up to the last whole unit: its rest goes with what follows.
      const last = offset + length;
      const end = last === size ? size : Math.floor(last / unit) * unit;
      if (end > offset) {
        offset = end;
        continue;
      }
    }
    const bytes = await source.read(offset, Math.min(piece, size - offset));
    // One piece is written while the next one is read.
    await writing;
    writing = put(offset, bytes);
    writing.catch(() => {});
    offset += bytes.length;
  }
  await writing;
  await into.flush();
  progress?.(1);
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

/** Write what an image has over what lies behind it, and empty it. */
export async function commitImage(
  top: Source,
  behind: Source,
  keep: boolean,
  progress: Progress | undefined,
): Promise<void> {
  const from = await top.format.open(top.location, {
    readOnly: false,
    alone: true,
  });
  try {
    const { size } = from;
    let into = await behind.format.open(behind.location, { readOnly: false });
    try {
      if (into.size < size) {
        await into.close();
        await behind.format.resize(behind.location, size);
        into = await behind.format.open(behind.location, { readOnly: false });
      }
      for (let offset = 0; offset < size;) {
        progress?.(offset / size);
        const { kind, length } = await from.extent(offset, size - offset);
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
    if (!keep && size > 0) await from.discard(0, size);
    progress?.(1);
  } finally {
    await from.close();
  }
}
