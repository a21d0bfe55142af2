/**
 * `deno task start`: fetch a guest and boot it to a shell on this terminal.
 *
 * @module
 */

import type { PluginTable } from "../machine/registry.ts";
import {
  ensureGuest,
  type GuestArchitecture,
  GuestError,
  type GuestFiles,
} from "./guest.ts";
import { main, type Output, TERMINAL } from "./main.ts";

/** The command line of the guest's kernel. */
const APPEND = "console=ttyS0 quiet";

/** Where things are. */
export interface StartOptions {
  /** The machine's file. */
  readonly machine: string;
  /** What the guest is made for: the machine's CPU runs it. */
  readonly architecture: GuestArchitecture;
  /** The folder for what is fetched. */
  readonly cache: string;
  /** The shipped plugins. */
  readonly plugins: PluginTable;
  /** Further arguments, as the command line takes them. */
  readonly args: readonly string[];
}

/** Boot; gives back the exit status. */
export async function start(
  options: StartOptions,
  output: Output = TERMINAL,
): Promise<number> {
  const given = (flag: string): boolean =>
    options.args.some((arg) => arg === flag || arg.startsWith(`${flag}=`));
  const args = [options.machine, ...options.args];
  if (!given("--kernel")) {
    let guest: GuestFiles;
    try {
      guest = await ensureGuest(
        options.architecture,
        options.cache,
        progressLine(),
      );
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      output.message(error.message);
      return 2;
    }
    args.push("--kernel", guest.kernel);
    if (!given("--initrd")) args.push("--initrd", guest.initramfs);
    if (!given("--append")) args.push("--append", APPEND);
  }
  return await main(args, options.plugins, output);
}

/** Shows progress on one line of the terminal, or a line each elsewhere. */
function progressLine(): (text: string) => void {
  const encoder = new TextEncoder();
  const write = (text: string): void => {
    Deno.stderr.writeSync(encoder.encode(text));
  };
  if (Deno.stderr.isTerminal()) {
    return (text) => write(text === "" ? "\r\x1b[K" : `\r\x1b[Krhea: ${text}`);
  }
  let last = "";
  return (text) => {
    // Without the numbers, which change all the time.
    const kind = text.replaceAll(/\d+/g, "");
    if (text !== "" && kind !== last) write(`rhea: ${text}\n`);
    last = kind;
  };
}
