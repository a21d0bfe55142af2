/**
 * Commands about media: `eject`, `change`.
 *
 * @module
 */

import { resolve } from "../../machine/path.ts";
import { isUrl } from "../../machine/schema.ts";
import type { JsonObject } from "../../machine/schema_types.ts";
import type { Arguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

const MODES = ["retain", "read-only", "read-write"];

async function change(
  { machine }: MonitorContext,
  args: Arguments,
): Promise<void> {
  const mode = args.text("mode") ?? "retain";
  if (!MODES.includes(mode)) {
    throw new MonitorError(
      `Error: Invalid parameter '${mode}': expected ${MODES.join(", ")}`,
    );
  }
  const name = args.text("device")!;
  const drive = machine.media.drives.get(name);
  const readOnly = mode === "retain"
    ? drive?.medium?.readOnly
    : mode === "read-only";
  const target = args.text("target")!;
  const config: JsonObject = {
    file: isUrl(target) ? target : resolve(target),
    readOnly: readOnly === true,
  };
  const plugin = args.text("format") ?? "image";
  await machine.media.insert(name, { plugin, config }, {
    force: args.has("force"),
  });
}

const drives = ({ machine }: MonitorContext): Iterable<string> =>
  machine.media.drives.keys();

/** The commands. */
export const MEDIA_COMMANDS: readonly Command[] = [
  {
    name: "eject",
    args: "force:-f,device:B",
    params: "[-f] device",
    help: "eject a removable medium (use -f to force it)",
    run: (context, args) =>
      context.machine.media.eject(args.text("device")!, {
        force: args.has("force"),
      }),
    words: drives,
  },
  {
    name: "change",
    args: "device:B,force:-f,target:F,format:s?,mode:s?",
    params: "device [-f] filename [format [read-only-mode]]",
    help: "change a removable medium, optional format, use -f to force the " +
      "operation",
    run: change,
    words: drives,
  },
];
