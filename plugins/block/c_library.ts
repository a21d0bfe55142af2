/**
 * What image files need of the C library and Deno does not have itself, where
 * it may be loaded: with `--allow-ffi=PATH` of one of `LIBRARIES`, or with
 * `--allow-ffi`.
 *
 * @module
 */

/** C libraries whose functions are known, by `Deno.build.arch`. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  x86_64: [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/ld-musl-x86_64.so.1",
  ],
  aarch64: [
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/ld-musl-aarch64.so.1",
  ],
};

/** The functions. */
export interface CLibrary {
  /** `fcntl` with a `struct flock`. */
  fcntl(fd: number, command: number, lock: BufferSource): number;
  /** `lseek`; -1 for every error. */
  lseek(fd: number, offset: number, whence: number): number;
}

let loaded: { readonly library: CLibrary | undefined } | undefined;

/** The C library, where it is known and may be called. */
export function cLibrary(): CLibrary | undefined {
  loaded ??= { library: load() };
  return loaded.library;
}

function load(): CLibrary | undefined {
  if (Deno.build.os !== "linux") return undefined;
  for (const path of LIBRARIES[Deno.build.arch] ?? []) {
    try {
      // Asking for what is not granted would prompt.
      const { state } = Deno.permissions.querySync({ name: "ffi", path });
      if (state !== "granted") continue;
      const { symbols } = Deno.dlopen(path, {
        fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
        lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
      });
      return {
        fcntl: (fd, command, lock) => symbols.fcntl(fd, command, lock),
        lseek: (fd, offset, whence) =>
          Number(symbols.lseek(fd, BigInt(offset), whence)),
      };
    } catch {
      // Not this one.
    }
  }
  return undefined;
}
