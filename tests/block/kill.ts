/**
 * Processes that are killed while they work.
 *
 * @module
 */

import { assert } from "@std/assert";

/**
 * Run a script that prints how far it is, each time on a line, and kill it so
 * many milliseconds after its first line; gives back its last whole one.
 */
export async function killed(
  args: readonly string[],
  delay: number,
): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    timer ??= setTimeout(() => child.kill("SIGKILL"), delay);
  }
  clearTimeout(timer);
  const { signal } = await child.status;
  assert(signal === "SIGKILL", `the child ended by itself: ${signal}`);
  // The last line may be there in part.
  return Number(text.split("\n").at(-2));
}
