/**
 * Commands about migration: QEMU's `qapi/migration.json`. A machine cannot be
 * migrated; but tools ask how it could be of any machine, and choose to hear of
 * it, before they do anything else.
 *
 * @module
 */

import type { Parts } from "../../../machine/parts.ts";
import { action, type Command, query } from "../command.ts";
import { GenericError } from "../error.ts";
import { bool, int, list, oneOf, optional, str, struct } from "../types.ts";

/** The one thing that may be chosen here: there are no events to tell. */
const EVENTS = "events";

const Capability = oneOf("MigrationCapability", [
  "xbzrle",
  "rdma-pin-all",
  "auto-converge",
  "zero-blocks",
  "compress",
  EVENTS,
  "postcopy-ram",
  "x-colo",
  "release-ram",
  "block",
  "return-path",
  "pause-before-switchover",
  "multifd",
  "dirty-bitmaps",
  "postcopy-blocktime",
  "late-block-activate",
  "x-ignore-shared",
  "validate-uuid",
  "background-snapshot",
  "zero-copy-send",
  "postcopy-preempt",
]);

const CapabilityStatus = struct("MigrationCapabilityStatus", {
  capability: Capability,
  state: bool,
});

/** Machines for whose migrations somebody has asked for events. */
const withEvents = new WeakSet<Parts>();

/** The commands. */
export const MIGRATION: readonly Command[] = [
  query("query-migrate", {}, struct("MigrationInfo", {}), () => ({})),
  query(
    "query-migrate-capabilities",
    {},
    list(CapabilityStatus),
    ({ parts }) => [
      { capability: EVENTS, state: withEvents.has(parts) },
    ],
  ),
  action(
    "migrate-set-capabilities",
    { capabilities: list(CapabilityStatus) },
    ({ parts }, { capabilities }) => {
      const other = capabilities.find(({ capability, state }) =>
        state && capability !== EVENTS
      );
      if (other !== undefined) {
        throw new GenericError(
          `Capability '${other.capability}' is not supported: this machine ` +
            "cannot be migrated",
        );
      }
      for (const { capability, state } of capabilities) {
        if (capability !== EVENTS) continue;
        if (state) withEvents.add(parts);
        else withEvents.delete(parts);
      }
    },
  ),
  query(
    "query-migrate-parameters",
    {},
    struct("MigrationParameters", {}),
    () => ({}),
  ),
  action(
    "migrate",
    {
      uri: str,
      blk: optional(bool),
      inc: optional(bool),
      detach: optional(bool),
      resume: optional(bool),
    },
    () => {
      throw new GenericError("this machine cannot be migrated");
    },
  ),
  // There is none under way.
  action("migrate_cancel", {}, () => {}),
  query(
    "query-dirty-rate",
    {},
    struct("DirtyRateInfo", {
      status: oneOf("DirtyRateStatus", ["unstarted"]),
      "start-time": int,
      "calc-time": int,
      "sample-pages": int,
      mode: oneOf("DirtyRateMeasureMode", ["page-sampling"]),
    }),
    () => ({
      status: "unstarted" as const,
      "start-time": 0,
      "calc-time": 0,
      "sample-pages": 0,
      mode: "page-sampling" as const,
    }),
  ),
];
