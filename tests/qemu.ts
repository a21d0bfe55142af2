/**
 * QEMU as an oracle: the same guest there, and what it may have otherwise.
 *
 * @module
 */

import { assertEquals } from "@std/assert";

/** The program, for messages. */
export const QEMU = "qemu-system-i386";

/** Start QEMU; undefined where it is not installed. */
function start(args: readonly string[]): Deno.ChildProcess | undefined {
  try {
    return new Deno.Command(QEMU, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** End a program, which may just have ended by itself. */
function end(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/**
 * What QEMU writes to its standard output until it ends, until `last` was
 * written, or for so many milliseconds; undefined where it is not installed.
 */
export async function qemuOutput(
  args: readonly string[],
  limitMs: number,
  last?: string,
): Promise<string | undefined> {
  const child = start(args);
  if (child === undefined) return undefined;
  const timer = setTimeout(() => end(child), limitMs);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (last === undefined || !text.includes(last)) continue;
    end(child);
    break;
  }
  await child.status;
  clearTimeout(timer);
  return text;
}

/** A line's beginning, what QEMU has behind it and what Rhea has. */
export type Difference = readonly [line: string, qemu: string, rhea: string];

/** QEMU's output with the differences made; each must be there. */
export function asRhea(
  qemu: string,
  differences: readonly Difference[],
): string {
  let text = qemu;
  for (const [line, has, expected] of differences) {
    assertEquals(text.includes(line + has), true, line + has);
    text = text.replaceAll(line + has, line + expected);
  }
  return text;
}
