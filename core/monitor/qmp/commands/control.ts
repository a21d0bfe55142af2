/**
 * Commands about the monitor itself: QEMU's `qapi/control.json` and
 * `qapi/introspect.json`.
 *
 * @module
 */

import { action, type Command, query } from "../command.ts";
import { QmpError } from "../error.ts";
import { type SchemaEntry, SchemaInfo, schemaOf } from "../schema.ts";
import { int, list, oneOf, optional, str, struct } from "../types.ts";
import { VERSION } from "../version.ts";

const VersionInfo = struct("VersionInfo", {
  qemu: struct("VersionTriple", { major: int, minor: int, micro: int }),
  package: str,
});

/** What a client may enable: commands out of band, of which there are none. */
export const CAPABILITIES = ["oob"] as const;

/** What is enabled, beside what `NEGOTIATION` does. */
export interface Negotiated {
  /** Capabilities, as the client named them. */
  readonly enable?: readonly string[];
}

/**
 * Ends the negotiation. The session does it when it is in that; here it comes
 * too late.
 */
export const NEGOTIATION: Command = action(
  "qmp_capabilities",
  { enable: optional(list(oneOf("QMPCapability", CAPABILITIES))) },
  () => {},
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
