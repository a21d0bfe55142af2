/**
 * `info` of the machine as a whole: `version`, `status`, `name`, `uuid`,
 * `kvm`, `history`, `mtree`, `roms`, `jit`.
 *
 * @module
 */

import type { AddressSpace, Region } from "../../bus/address_space.ts";
import { VERSION } from "../../version.ts";
import type { Arguments } from "./arguments.ts";
import { type Command, lines } from "./command.ts";
import type { MonitorContext } from "./context.ts";

/** Digits of an address in `info mtree`. */
const DIGITS = 16;

function hex(value: number): string {
  return value.toString(16).padStart(DIGITS, "0");
}

function span(base: number, size: number): string {
  return `${hex(base)}-${hex(base + size - 1)}`;
}

/** A region that is somewhere alone. */
interface FlatRange {
  readonly start: number;
  readonly end: number;
  readonly region: Region;
}

/** What answers each address of a space: regions without what shadows them. */
export function flatView({ regions }: AddressSpace): FlatRange[] {
  const order = regions.toSorted((a, b) =>
    (a.priority ?? 0) - (b.priority ?? 0)
  );
  let ranges: FlatRange[] = [];
  for (const region of order) {
    const start = region.base;
    const end = start + region.size;
    const next = ranges.flatMap((range) => {
      const parts: FlatRange[] = [];
      if (range.start < start) {
        parts.push({ ...range, end: Math.min(range.end, start) });
      }
      if (range.end > end) {
        parts.push({ ...range, start: Math.max(range.start, end) });
      }
      return parts;
    });
    ranges = [...next, { start, end, region }];
  }
  return ranges.sort((a, b) => a.start - b.start);
}

/** The address spaces, with their regions. */
function* memoryTree(
  { parts }: MonitorContext,
  args: Arguments,
): Generator<string> {
  const isFlat = args.has("flat");
  for (const [name, space] of parts.spaces) {
    yield isFlat ? `FlatView of ${name}` : `address-space: ${name}`;
    if (isFlat) {
      for (const { start, end, region } of flatView(space)) {
        const offset = start - region.base + (region.offset ?? 0);
        const at = offset === 0 ? "" : ` @${hex(offset)}`;
        yield `  ${span(start, end - start)} ` +
          `(prio ${region.priority ?? 0}, ${region.kind}): ${region.name}${at}`;
      }
    } else {
      yield `  ${span(0, space.size)} (prio 0, container): ${name}`;
      for (const region of space.regions) {
        yield `    ${span(region.base, region.size)} ` +
          `(prio ${region.priority ?? 0}, ${region.kind}): ${region.name}`;
      }
    }
    yield "";
  }
}

/** ROMs: memories with a file in them, and those of devices. */
function* roms({ machine, parts }: MonitorContext): Generator<string> {
  const { memories, regions } = machine.plan;
  for (const { name, kind, size, file } of memories) {
    if (kind !== "rom") continue;
    const at = regions.find(({ memory }) => memory === name)?.base ?? 0;
    yield `addr=${hex(at)} size=0x${size.toString(16).padStart(6, "0")} ` +
      `mem=rom name="${file ?? name}"`;
  }
  for (const space of parts.spaces.values()) {
    for (const { name, base, size, kind } of space.regions) {
      const isMemory = memories.some((memory) => name.startsWith(memory.name));
      if (kind !== "rom" || isMemory) continue;
      yield `addr=${hex(base)} size=0x${size.toString(16).padStart(6, "0")} ` +
        `mem=rom name="${name}"`;
    }
  }
}

/** Counters, as `--stats` has them. */
function* counters({ machine }: MonitorContext): Generator<string> {
  const { translator } = machine.plan.definition;
  yield `accelerator: ${translator.accel}`;
  const stats = Object.entries(machine.stats());
  const width = Math.max(...stats.map(([name]) => name.length));
  for (const [name, value] of stats) {
    const text = Number.isInteger(value) ? `${value}` : value.toFixed(3);
    yield `${name.padEnd(width)} ${text.padStart(16)}`;
  }
}

/** The status in the words of QEMU. */
function status({ machine }: MonitorContext): string {
  const { runState } = machine;
  const why = runState === "running" || runState === "paused"
    ? ""
    : ` (${runState})`;
  return `VM status: ${runState === "running" ? "running" : "paused"}${why}\n`;
}

/** `info` of the machine. */
export const INFO_MACHINE: readonly Command[] = [
  {
    name: "version",
    help: "show the version of Rhea",
    run: () => `${VERSION}\n`,
  },
  {
    name: "status",
    help: "show the current VM status (running|paused)",
    run: status,
  },
  {
    name: "name",
    help: "show the current VM name",
    run: ({ machine }) => `${machine.plan.definition.name}\n`,
  },
  {
    name: "uuid",
    help: "show the current VM UUID",
    run: ({ machine }) => {
      const smbios = machine.plan.devices.find(({ plugin }) =>
        plugin.name === "smbios"
      );
      const { uuid } = (smbios?.config ?? {}) as { readonly uuid?: unknown };
      return typeof uuid === "string"
        ? `${uuid}\n`
        : "00000000-0000-0000-0000-000000000000\n";
    },
  },
  {
    name: "kvm",
    help: "show KVM information",
    run: () => "kvm support: disabled\n",
  },
  {
    name: "history",
    help: "show the command line history",
    run: ({ history }) => lines(history.map((line, i) => `${i}: '${line}'`)),
  },
  {
    name: "log",
    help: "show the last lines of the log",
    run: ({ parts }) => lines(parts.log.recent),
  },
  {
    name: "mtree",
    args: "flat:-f",
    params: "[-f]",
    help: "show memory tree (-f: what is left of each region beneath those " +
      "that shadow it)",
    run: (context, args) => lines(memoryTree(context, args)),
  },
  {
    name: "roms",
    help: "show roms",
    run: (context) => lines(roms(context)),
  },
  {
    name: "jit",
    help: "show dynamic compiler info",
    run: (context) => lines(counters(context)),
  },
];
