/**
 * Commands about dumps of the guest's memory: QEMU's `qapi/dump.json`. There
 * are ELF files by physical address.
 *
 * @module
 */

import { DUMP_STATES, dumpOf, type DumpRequest } from "../../dump.ts";
import { action, type Command, type Monitor, query } from "../command.ts";
import { GenericError } from "../error.ts";
import { bool, int, list, oneOf, optional, str, struct } from "../types.ts";

/** How far a dump is. */
export const DumpResult = struct("DumpQueryResult", {
  status: oneOf("DumpStatus", DUMP_STATES),
  completed: int,
  total: int,
});

const Format = oneOf("DumpGuestMemoryFormat", [
  "elf",
  "kdump-zlib",
  "kdump-lzo",
  "kdump-snappy",
  "win-dmp",
]);

function missing(name: string): GenericError {
  return new GenericError(`Parameter '${name}' is missing`);
}

function invalid(name: string): GenericError {
  return new GenericError(`Invalid parameter '${name}'`);
}

/** QEMU takes these as unsigned numbers of 64 bits. */
function unsigned(value: number): number {
  return value < 0 ? value + 2 ** 64 : value;
}

interface DumpArguments {
  readonly protocol: string;
  readonly begin?: number;
  readonly length?: number;
}

/** What is asked for; throws a `GenericError`. */
function requestOf({ protocol, begin, length }: DumpArguments): DumpRequest {
  if (begin !== undefined && length === undefined) throw missing("length");
  if (begin === undefined && length !== undefined) throw missing("begin");
  const [, kind, path] = /^(file|fd):(.*)$/s.exec(protocol) ?? [];
  if (kind === undefined) throw invalid("protocol");
  if (kind === "fd") {
    throw new GenericError(
      `File descriptor named '${path}' has not been found`,
    );
  }
  if (begin === undefined || length === undefined) return { path };
  if (length === 0) throw invalid("length");
  return { path, begin: unsigned(begin), length: unsigned(length) };
}

/** Dump; resolves at the end, or with `detach` when it has begun. */
export async function dumpMemory(
  { machine, parts }: Pick<Monitor, "machine" | "parts">,
  args: DumpArguments & { readonly detach?: boolean },
): Promise<void> {
  const { done } = await dumpOf(machine, parts).start(requestOf(args));
  if (args.detach !== true) return await done;
  // How it ends is in the event, and in `query-dump`.
  done.catch(() => {});
}

/** The commands. */
export const DUMP: readonly Command[] = [
  action(
    "dump-guest-memory",
    {
      paging: bool,
      protocol: str,
      detach: optional(bool),
      begin: optional(int),
      length: optional(int),
      format: optional(Format),
    },
    async (monitor, { paging, format = "elf", ...args }) => {
      if (format !== "elf") {
        throw new GenericError(`${format} is not available now`);
      }
      if (paging) {
        throw new GenericError(
          "dump: the guest's page tables are not followed: paging must be off",
        );
      }
      await dumpMemory(monitor, args);
    },
  ),
  query(
    "query-dump",
    {},
    DumpResult,
    ({ machine, parts }) => dumpOf(machine, parts).state,
  ),
  query(
    "query-dump-guest-memory-capability",
    {},
    struct("DumpGuestMemoryCapability", { formats: list(Format) }),
    () => ({ formats: ["elf" as const] }),
  ),
];
