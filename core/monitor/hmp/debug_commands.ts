/**
 * Commands for those who debug the guest: `gdbserver`.
 *
 * @module
 */

import type { GdbServer } from "../../debug/gdb/server.ts";
import type { Arguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { MonitorContext } from "./context.ts";

/** Where gdb is awaited unless it is said. */
const DEFAULT_PLACE = "tcp::1234";

/** The servers that monitors have started. */
const servers = new WeakMap<MonitorContext, GdbServer>();

async function serve(
  context: MonitorContext,
  args: Arguments,
): Promise<string> {
  const place = args.text("device") ?? DEFAULT_PLACE;
  await servers.get(context)?.close();
  servers.delete(context);
  if (place === "none") return "Disabled gdbserver\n";
  servers.set(context, await context.machine.serveGdb(place));
  return `Waiting for gdb connection on device '${place}'\n`;
}

/** The commands. */
export const DEBUG_COMMANDS: readonly Command[] = [
  {
    name: "gdbserver",
    args: "device:s?",
    params: "[device]",
    help: "start gdbserver on given device (default 'tcp::1234'), stop with " +
      "'none'",
    run: serve,
    words: () => [DEFAULT_PLACE, "none"],
  },
];
