/**
 * Paths of the host. The functions are those of `@std/path`, but its main
 * module looks at `process` to find out the system, and that loads what Deno
 * has of Node: 15 ms of every start.
 *
 * @module
 */

import * as posixBasename from "@std/path/posix/basename.js";
import * as posixDirname from "@std/path/posix/dirname.js";
import * as posixIsAbsolute from "@std/path/posix/is_absolute.js";
import * as posixResolve from "@std/path/posix/resolve.js";
import * as posixToFileUrl from "@std/path/posix/to_file_url.js";
import * as windowsBasename from "@std/path/windows/basename.js";
import * as windowsDirname from "@std/path/windows/dirname.js";
import * as windowsIsAbsolute from "@std/path/windows/is_absolute.js";
import * as windowsResolve from "@std/path/windows/resolve.js";
import * as windowsToFileUrl from "@std/path/windows/to_file_url.js";

const POSIX = {
  ...posixBasename,
  ...posixDirname,
  ...posixIsAbsolute,
  ...posixResolve,
  ...posixToFileUrl,
};
const WINDOWS = {
  ...windowsBasename,
  ...windowsDirname,
  ...windowsIsAbsolute,
  ...windowsResolve,
  ...windowsToFileUrl,
};
const HOST = Deno.build.os === "windows" ? WINDOWS : POSIX;

/** The last part of a path. */
export function basename(path: string): string {
  return HOST.basename(path);
}

/** A path without its last part; `"."` when there is no other. */
export function dirname(path: string): string {
  return HOST.dirname(path);
}

/** Whether a path does not depend on the working directory. */
export function isAbsolute(path: string): boolean {
  return HOST.isAbsolute(path);
}

/**
 * The absolute path that `paths` lead to, each seen from the one before it and
 * the first one from the working directory.
 */
export function resolve(...paths: string[]): string {
  return paths.some(isAbsolute)
    ? HOST.resolve(...paths)
    : HOST.resolve(Deno.cwd(), ...paths);
}

/** The `file:` URL of an absolute path. */
export function toFileUrl(path: string): URL {
  return HOST.toFileUrl(path);
}
