/**
 * Commands about memory, ports and values: `x`, `xp`, `print`, `sum`, `i`,
 * `o`, `memsave`, `pmemsave`.
 *
 * Memory is read as far as it is RAM and ROM: to look at a device's registers
 * could change the device.
 *
 * @module
 */

import type { AddressSpace } from "../../bus/address_space.ts";
import type { AccessWidth } from "../../bus/handler.ts";
import type { CpuInspector } from "../../cpu/inspector.ts";
import { dumpMemory } from "../qmp/commands/dump.ts";
import { createFile } from "../qmp/files.ts";
import type { Arguments } from "./arguments.ts";
import { type Command, lines } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";
import {
  type ByteSource,
  type DumpFormat,
  dumpLines,
  formatValue,
  hexAddress,
  type ValueFormat,
} from "./format.ts";

/** Physical addresses are printed with so many digits. */
const PHYSICAL_DIGITS = 16;
/** Bytes read at once. */
const PIECE_BYTES = 1 << 20;
/** Bytes of an instruction in one line of a listing. */
const LISTED_BYTES = 8;

/** What the dump of a memory needs to know. */
interface Memory {
  readonly digits: number;
  readonly read: ByteSource;
  readonly missing: (address: bigint) => string;
}

/** Physical memory. */
function physicalMemory(context: MonitorContext): Memory {
  return {
    digits: PHYSICAL_DIGITS,
    read: (address, into) => context.peek(Number(address), into),
    missing: (address) => notMemory(context, address),
  };
}

/** Linear memory of a CPU. */
function linearMemory(
  context: MonitorContext,
  inspector: CpuInspector,
): Memory {
  const bits = inspector.addressBits;
  const linear = (address: bigint): bigint => BigInt.asUintN(bits, address);
  return {
    digits: bits / 4,
    read: (address, into) =>
      context.peekLinear(inspector, linear(address), into),
    missing: (address) => {
      const physical = inspector.translate(linear(address));
      return physical === undefined
        ? "Cannot access memory"
        : notMemory(context, physical);
    },
  };
}

/** Why a physical address is not read. */
function notMemory({ machine }: MonitorContext, address: bigint): string {
  const space = machine.space(machine.plan.definition.cpu.physical);
  const at = Number(address);
  const region = space.regions.findLast(({ base, size, kind }) =>
    kind === "io" && at >= base && at < base + size
  );
  if (region === undefined) return "Cannot access memory";
  return `Cannot access memory: registers of "${region.name}", ` +
    "which reading could change";
}

async function dump(
  context: MonitorContext,
  args: Arguments,
  memory: Memory,
  isLinear: boolean,
): Promise<string> {
  const format = args.format("fmt");
  const address = BigInt.asUintN(64, args.integer("addr")!);
  if (format.format === "i") {
    return lines(await listing(context, format, address, memory, isLinear));
  }
  const asValues = format as DumpFormat & { readonly format: ValueFormat };
  return lines(dumpLines(address, asValues, memory));
}

/** Code in words, as `x/i` has it. */
async function listing(
  context: MonitorContext,
  { count }: DumpFormat,
  address: bigint,
  { read, missing }: Memory,
  isLinear: boolean,
): Promise<string[]> {
  const inspector = await context.inspect();
  const lister = await inspector.lister();
  const out: string[] = [];
  for (let i = 0; i < count; i++) {
    if (isLinear) address = BigInt.asUintN(inspector.addressBits, address);
    const head = `${listed(address)}: `;
    const bytes = new Uint8Array(inspector.longestInstruction);
    const got = read(address, bytes);
    if (got === 0) {
      const why = missing(address);
      out.push(
        why === "Cannot access memory"
          ? `${head.trimEnd()} unable to read memory`
          : `${head}${why}`,
      );
      break;
    }
    const { length, text } = lister(bytes.subarray(0, got), address);
    const hex = [...bytes.subarray(0, length)].map((byte) =>
      byte.toString(16).padStart(2, "0")
    );
    const first = hex.slice(0, LISTED_BYTES).join(" ");
    out.push(`${head} ${first.padEnd(3 * LISTED_BYTES)} ${text}`);
    for (let at = LISTED_BYTES; at < hex.length; at += LISTED_BYTES) {
      const more = hex.slice(at, at + LISTED_BYTES).join(" ");
      out.push(`${listed(address + BigInt(at))}:  ${more}`);
    }
    address += BigInt(length);
  }
  return out;
}

/** An address in a listing. */
function listed(address: bigint): string {
  return `0x${address.toString(16).padStart(8, "0")}`;
}

/** The algorithm of BSD's `sum`, over physical memory. */
function sum(context: MonitorContext, args: Arguments): string {
  let at = Number(BigInt.asUintN(64, args.integer("start")!));
  let left = Number(BigInt.asUintN(64, args.integer("size")!));
  if (left > context.machine.memory.bytes) {
    throw new MonitorError("the range is larger than all memory");
  }
  let total = 0;
  while (left > 0) {
    const bytes = new Uint8Array(Math.min(left, PIECE_BYTES));
    const got = context.peek(at, bytes);
    if (got < bytes.length) {
      throw new MonitorError(notMemory(context, BigInt(at + got)));
    }
    for (const byte of bytes) {
      total = (total >> 1 | total << 15) & 0xffff;
      total = total + byte & 0xffff;
    }
    at += bytes.length;
    left -= bytes.length;
  }
  return `${String(total).padStart(5, "0")}\n`;
}

/** Save a stretch of memory in a file. */
async function save(
  context: MonitorContext,
  args: Arguments,
  read: ByteSource,
): Promise<void> {
  const start = BigInt.asUintN(64, args.integer("val")!);
  const size = Number(BigInt.asIntN(64, args.integer("size")!));
  if (size < 0 || size > context.machine.memory.bytes) {
    throw new MonitorError(
      "Error: Parameter 'size' expects a size within the machine's memory",
    );
  }
  using file = await createFile(args.text("filename")!);
  for (let done = 0; done < size;) {
    const bytes = new Uint8Array(Math.min(size - done, PIECE_BYTES));
    const address = start + BigInt(done);
    if (read(address, bytes) < bytes.length) {
      throw new MonitorError(
        `Error: Invalid addr 0x${hexAddress(start, 16)}/size ${size} specified`,
      );
    }
    for (let at = 0; at < bytes.length;) {
      at += await file.write(bytes.subarray(at));
    }
    done += bytes.length;
  }
}

/** Dump all memory, or a range of it. */
async function dumpGuest(
  context: MonitorContext,
  args: Arguments,
): Promise<void> {
  if (["paging", "windows", "zlib", "lzo", "snappy"].some((f) => args.has(f))) {
    throw new MonitorError("Error: there are ELF files without paging only");
  }
  const number = (name: string): number | undefined => {
    const value = args.integer(name);
    return value === undefined ? undefined : Number(BigInt.asUintN(64, value));
  };
  await dumpMemory(context, {
    protocol: `file:${args.text("filename")!}`,
    begin: number("begin"),
    length: number("length"),
    detach: args.has("detach"),
  });
}

/** The ports of the machine. */
function portsOf({ machine }: MonitorContext): AddressSpace {
  const { ports } = machine.plan.definition.cpu;
  if (ports === undefined) throw new MonitorError("the machine has no ports");
  return machine.space(ports);
}

function portWidth({ size }: DumpFormat): AccessWidth {
  if (size === 8) throw new MonitorError("ports have up to 32 bits");
  return size;
}

const SUFFIXES = { 1: "b", 2: "w", 4: "l" } as const;

/** The commands. */
export const MEMORY_COMMANDS: readonly Command[] = [
  {
    name: "x",
    args: "fmt:/,addr:l",
    params: "/fmt addr",
    help: "virtual memory dump starting at 'addr'",
    run: async (context, args) =>
      await dump(
        context,
        args,
        linearMemory(context, await context.inspect()),
        true,
      ),
  },
  {
    name: "xp",
    args: "fmt:/,addr:l",
    params: "/fmt addr",
    help: "physical memory dump starting at 'addr'",
    run: (context, args) => dump(context, args, physicalMemory(context), false),
  },
  {
    name: "print|p",
    args: "fmt:/,val:l",
    params: "/fmt expr",
    help: "print expression value (use $reg for CPU register access)",
    run(_context, args) {
      const { format } = args.format("fmt");
      const value = args.integer("val")!;
      return `${formatValue(value, format === "i" ? "d" : format)}\n`;
    },
  },
  {
    name: "sum",
    args: "start:l,size:l",
    params: "addr size",
    help: "compute the checksum of a memory region",
    run: sum,
  },
  {
    name: "i",
    args: "fmt:/,addr:l",
    params: "/fmt addr",
    help: "I/O port read (which may change the device that answers)",
    run(context, args) {
      const width = portWidth(args.format("fmt"));
      const port = Number(BigInt.asUintN(16, args.integer("addr")!));
      const value = portsOf(context).read(port, width);
      return `port${SUFFIXES[width]}[0x${hexAddress(BigInt(port), 4)}] = ` +
        `0x${hexAddress(BigInt(value), 2 * width)}\n`;
    },
  },
  {
    name: "o",
    args: "fmt:/,addr:l,val:l",
    params: "/fmt addr value",
    help: "I/O port write (which may confuse the guest's driver)",
    run(context, args) {
      const width = portWidth(args.format("fmt"));
      const port = Number(BigInt.asUintN(16, args.integer("addr")!));
      const value = Number(BigInt.asUintN(8 * width, args.integer("val")!));
      portsOf(context).write(port, width, value);
    },
  },
  {
    name: "memsave",
    args: "val:l,size:l,filename:s",
    params: "addr size file",
    help: "save to disk virtual memory dump starting at 'addr' of size 'size'",
    async run(context, args) {
      const inspector = await context.inspect();
      await save(context, args, linearMemory(context, inspector).read);
    },
  },
  {
    name: "pmemsave",
    args: "val:l,size:l,filename:s",
    params: "addr size file",
    help: "save to disk physical memory dump starting at 'addr' of size 'size'",
    run: (context, args) => save(context, args, physicalMemory(context).read),
  },
  {
    name: "dump-guest-memory",
    args: "paging:-p,detach:-d,windows:-w,zlib:-z,lzo:-l,snappy:-s," +
      "filename:F,begin:l?,length:l?",
    params: "[-p] [-d] [-z|-l|-s|-w] filename [begin length]",
    help: "dump guest memory into ELF file 'filename', of 'length' bytes " +
      "from 'begin' on if given (-d: do not wait for completion)",
    run: dumpGuest,
  },
];
