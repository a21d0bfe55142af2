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
  type Progress,
} from "./guest.ts";
import {
  displayOf,
  type ProgressBar,
  type ProgressDisplay,
} from "../progress/progress.ts";
import { main, TERMINAL } from "./main.ts";
import type { Output } from "./output.ts";

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
        steps(displayOf(output.progress)),
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

/** Shows the steps of a work, each as a bar or a line. */
function steps(display: ProgressDisplay | undefined): Progress {
  let current = "";
  let bar: ProgressBar | undefined;
  return (step, done, total) => {
    if (step !== current) {
      bar?.end();
      current = step;
      bar = step === "" ? undefined : display?.(step);
    }
    if (done !== undefined && total !== undefined) bar?.update(done, total);
  };
}
