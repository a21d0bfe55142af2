/**
 * Commands about the monitor itself: QEMU's `qapi/control.json` and
 * `qapi/introspect.json`.
 *
 * @module
 */

import { action, type Command, query } from "../command.ts";
import { GenericError, QmpError } from "../error.ts";
import { type SchemaEntry, SchemaInfo, schemaOf } from "../schema.ts";
import { int, list, oneOf, optional, str, struct } from "../types.ts";
import { VERSION } from "../version.ts";

const VersionInfo = struct("VersionInfo", {
  qemu: struct("VersionTriple", { major: int, minor: int, micro: int }),
  package: str,
});

/**
 * Ends the negotiation. The session does it when it is in that; here it comes
 * too late. There is nothing to enable.
 */
export const NEGOTIATION: Command = action(
  "qmp_capabilities",
  { enable: optional(list(oneOf("QMPCapability", ["oob"]))) },
  (_monitor, { enable = [] }) => {
    if (enable.length > 0) {
      throw new GenericError(`Capability ${enable.join(", ")} not available`);
    }
  },
);

/** The commands. */
export const CONTROL: readonly Command[] = [
  {
    ...NEGOTIATION,
    run: () => {
      throw new QmpError(
        "CommandNotFound",
        "Capabilities negotiation is already complete, command ignored",
      );
    },
  },
  query("query-version", {}, VersionInfo, () => VERSION),
  query(
    "query-commands",
    {},
    list(struct("CommandInfo", { name: str })),
    ({ commands }) => Array.from(commands.keys(), (name) => ({ name })),
  ),
  query<Record<never, never>, SchemaEntry[]>(
    "query-qmp-schema",
    {},
    list(SchemaInfo),
    ({ commands, events }) => schemaOf(commands.values(), events.values()),
  ),
  action("quit", {}, ({ machine }) => {
    // The answer goes first.
    setTimeout(() => machine.quit("host-qmp-quit"), 0);
  }),
];
