/**
 * Writes cpio archives in the "newc" format that Linux unpacks as its initial
 * RAM file system.
 *
 * @module
 */

/** A file of an archive. */
export interface CpioEntry {
  /** Its path, without a slash at the front. */
  readonly path: string;
  /** Its type and permissions as in `st_mode`: see the helpers here. */
  readonly mode: number;
  /** Its contents, or a symbolic link's target. */
  readonly data?: Uint8Array;
  /** Major and minor number of a device file. */
  readonly device?: readonly [major: number, minor: number];
}

/** Files end here. */
const TRAILER = "TRAILER!!!";
const HEADER_BYTES = 110;
const TYPE_DIRECTORY = 0o040000;
const TYPE_FILE = 0o100000;
const TYPE_SYMLINK = 0o120000;
const TYPE_CHARACTER = 0o020000;

const encoder = new TextEncoder();

/** A directory. */
export function directory(path: string, mode = 0o755): CpioEntry {
  return { path, mode: TYPE_DIRECTORY | mode };
}

/** A regular file. */
export function file(
  path: string,
  data: Uint8Array | string,
  mode = 0o644,
): CpioEntry {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return { path, mode: TYPE_FILE | mode, data: bytes };
}

/** A symbolic link. */
export function symlink(path: string, target: string): CpioEntry {
  return { path, mode: TYPE_SYMLINK | 0o777, data: encoder.encode(target) };
}

/** A character device. */
export function characterDevice(
  path: string,
  major: number,
  minor: number,
  mode = 0o600,
): CpioEntry {
  return { path, mode: TYPE_CHARACTER | mode, device: [major, minor] };
}

function align(size: number): number {
  return (size + 3) & ~3;
}

/** An archive of the entries, in their order. */
export function writeCpio(
  entries: readonly CpioEntry[],
): Uint8Array<ArrayBuffer> {
  const all = [...entries, { path: TRAILER, mode: 0 }];
  const names = all.map((entry) => encoder.encode(`${entry.path}\0`));
  let size = 0;
  all.forEach((entry: CpioEntry, i) => {
    size += align(HEADER_BYTES + names[i].length);
    size += align(entry.data?.length ?? 0);
  });
  const archive = new Uint8Array(size);
  let at = 0;
  all.forEach((entry: CpioEntry, i) => {
    const [major, minor] = entry.device ?? [0, 0];
    const length = entry.data?.length ?? 0;
    const isDirectory = (entry.mode & 0o170000) === TYPE_DIRECTORY;
    // magic, then ino mode uid gid nlink mtime filesize devmajor devminor
    // rdevmajor rdevminor namesize check, each 8 hexadecimal digits
    const fields = [
      i + 1,
      entry.mode,
      0,
      0,
      isDirectory ? 2 : 1,
      0,
      length,
      0,
      0,
      major,
      minor,
      names[i].length,
      0,
    ];
    const header = "070701" +
      fields.map((field) => field.toString(16).padStart(8, "0")).join("");
    archive.set(encoder.encode(header), at);
    archive.set(names[i], at + HEADER_BYTES);
    at += align(HEADER_BYTES + names[i].length);
    if (entry.data !== undefined) archive.set(entry.data, at);
    at += align(length);
  });
  return archive;
}

/** The bytes compressed by gzip. */
export async function gzip(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
