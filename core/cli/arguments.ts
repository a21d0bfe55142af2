/**
 * The command line's arguments.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { parseBoot, parseDrive } from "../machine/drives.ts";
import { nearest, suggest } from "../machine/nearest.ts";
import { parseNic } from "../machine/nics.ts";
import type { LoadOptions } from "../machine/options.ts";

/** The user called the command wrongly: one line that says how. */
export class UsageError extends Error {
  /** The name of the error's class. */
  override readonly name = "UsageError";
}

/** What the command line asks for. */
export interface Command {
  /** What to do. */
  readonly action:
    | "run"
    | "schema"
    | "resolve"
    | "permissions"
    | "help"
    | "version";
  /**
   * The machine file; only `schema`, `help`, `version` and what has a snapshot go
   * without.
   */
  readonly machine: string | undefined;
  /** Where programs may control the machine. */
  readonly qmp: readonly string[];
  /** Start from this snapshot: a name or a path. */
  readonly loadvm: string | undefined;
  /** What the flags say. */
  readonly options: Omit<LoadOptions, "plugins">;
  /** Print counters at the end. */
  readonly stats: boolean;
  /** Write the screen to this PNG file at the end, and on SIGUSR1. */
  readonly screendump: string | undefined;
  /** Where else there is a human monitor: `stdio`, `tcp:HOST:PORT`, `none`. */
  readonly monitors: readonly string[];
  /** Write a line for each block that is translated and each region. */
  readonly traceBlocks: boolean;
  /** Where gdb is served. */
  readonly gdb: string | undefined;
  /** Do not start before gdb or, without it, a monitor says so. */
  readonly wait: boolean;
  /** The recording to replay. */
  readonly replay: string | undefined;
  /** Dump the regions with code at these linear addresses. */
  readonly dumpRegions: readonly number[];
}

const SUBCOMMANDS = ["schema", "resolve", "permissions", "help"] as const;
const STRINGS = [
  "firmware",
  "kernel",
  "initrd",
  "append",
  "memory",
  "cpu",
  "smp",
  "serial",
  "display",
  "vnc",
  "screendump",
  "monitor",
  "drive",
  "cdrom",
  "floppy",
  "nic",
  "pcap",
  "boot",
  "loadvm",
  "qmp",
  "snapshots",
  "set",
  "accel",
  "dump-region",
  "gdb",
  "record",
  "replay",
];
/** Those that need no value. */
const OPTIONAL = ["append", "gdb"];
const SWITCHES = [
  "snapshot",
  "icount",
  "no-reboot",
  "stats",
  "trace-blocks",
  "wait",
  "help",
  "version",
];
const FLAGS = [...STRINGS, ...SWITCHES];

/** The text of `help`. */
export const HELP = `Rhea, a machine emulator

  deno run -P mod.ts MACHINE.json [flags]     run a machine
  deno run -P mod.ts resolve MACHINE.json     print the final definition
  deno run -P mod.ts permissions MACHINE.json print the permissions it needs
  deno run -P mod.ts schema [MACHINE.json]    print the definition's JSON Schema
  deno run -P=disks mod.ts image help         make, check and convert images
  deno run -P mod.ts help                     print this
  deno run -P mod.ts --version                print the version

  --firmware FILE    start this firmware (SeaBIOS's bios.bin), or builtin
  --kernel FILE      start this Linux bzImage or multiboot ELF kernel
  --initrd FILE      its initial RAM disk
  --append TEXT      its command line
  --memory SIZE      the size of RAM, as 256M
  --cpu MODEL        the CPU's model, as pentium3 or x86-64-v3
  --smp N            how many CPUs there are: 1 to 8
  --serial BACKEND   what the serial port is connected to: stdio, null,
                     file:PATH, tcp:HOST:PORT, web-terminal; again for the
                     next port
  --display DISPLAY  what shows the screen: text (this terminal, which the
                     serial port must leave: --serial null), vnc=[HOST]:N
                     (a VNC server on port 5900 + N, of 127.0.0.1 if no HOST
                     is given), web=[ADDRESS:]PORT[,token=TEXT] (a page for a
                     browser, with --serial web-terminal in it too) or none
  --vnc :N           short for --display vnc=:N
  --screendump FILE  write the screen to this PNG file at the end, and whenever
                     the process gets the signal SIGUSR1
  --monitor PLACE    a human monitor, as Ctrl-A c has one, at: stdio,
                     tcp:HOST:PORT or unix:PATH (it listens there), or none,
                     not even behind Ctrl-A c; again for another
  --drive file=FILE[,if=ide|virtio|floppy|pflash][,index=N][,media=disk|cdrom]
          [,format=raw|qcow2][,readonly][,snapshot][,serial=TEXT]
                     a disk from an image: a file or an http(s) URL; again for
                     the next; ",," is a comma in a name. pflash: UEFI's code
                     (with readonly), then its variables, in flash chips
  --cdrom FILE       a disc in the CD-ROM drive
  --floppy FILE      a floppy in the first drive; again for the second
  --snapshot         what is written to disks is gone at the end
  --nic NETWORK[,model=MODEL][,mac=ADDRESS][,pcap=FILE]...
                     a network card; again for the next. Networks:
                     user[,hostfwd=tcp::2222-:22]...[,restrict]
                     socket,listen=HOST:PORT | connect=HOST:PORT |
                       unix=PATH[,server] | udp=HOST:PORT,localaddr=HOST:PORT
                     hub[,id=NAME]
                     none: no card, even if the definition has one
  --pcap FILE        capture the frames of the first network; again for the next
  --boot order=LETTERS[,menu=on]
                     what firmware starts: a floppy, c disk, d CD-ROM, n network
  --loadvm SNAPSHOT  go on from a snapshot: a file, or the name of one; without
                     MACHINE.json as the machine in it
  --snapshots DIR    where snapshots are that have a name: NAME.rhea in the
                     current folder otherwise
  --qmp unix:PATH|tcp:HOST:PORT
                     let programs control the machine there by QEMU's machine
                     protocol: whoever gets there can do everything; again for
                     another place
  --set PATH=VALUE   change the definition; as often as needed
  --accel jit|interp how guest code is executed; jit is the default
  --icount           virtual time follows the instruction count: runs repeat
  --record FILE      write down what comes from outside (keys, bytes, frames),
                     each with its instruction: implies --icount and --snapshot
  --replay FILE      run that again, with no machine file and nothing from
                     outside; with --gdb also backwards
  --no-reboot        end when the guest resets the machine
  --gdb [ADDRESS]    let gdb debug the guest at tcp::PORT, tcp:HOST:PORT or
                     unix:PATH; tcp::1234 if nothing is said
  --wait             do not start the guest before gdb lets it go or a monitor
                     does: cont, behind Ctrl-A c or by QMP
  --stats            print counters at the end
  --trace-blocks     write a line to standard error for each block that is
                     translated and each region that is compiled or dies
  --dump-region ADDR write the region with the code at this hexadecimal linear
                     address there when it is compiled: guest assembly, IR and
                     WebAssembly side by side; again for another

At the terminal: Ctrl-A c switches to the monitor and back, Ctrl-A x quits,
Ctrl-A h helps.
`;

/** A linear address: hexadecimal, with or without `0x`. */
function parseCount(text: string): number {
  if (!/^[1-9][0-9]{0,2}$/.test(text)) {
    throw new UsageError(`--smp takes a number of CPUs, not "${text}"`);
  }
  return Number(text);
}

/** A linear address, as traces write it; one of the upper half is a negative number. */
function parseAddress(text: string): number {
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(text)?.[1];
  const address = Number(BigInt.asIntN(64, BigInt(`0x${digits ?? 0}`)));
  if (digits === undefined || !Number.isSafeInteger(address)) {
    throw new UsageError(
      `--dump-region takes a hexadecimal address such as c0101234, ` +
        `not "${text}"`,
    );
  }
  return address;
}

/**
 * The arguments with each flag's value joined to it by a "=", as the parser
 * understands whatever the value is: empty, or as `--append -v`.
 */
function joined(args: readonly string[]): string[] {
  const isFlag = (argument: string): boolean =>
    FLAGS.includes(/^--([^=]+)/.exec(argument)?.[1] ?? "");
  const end = args.indexOf("--");
  const count = end < 0 ? args.length : end;
  const out: string[] = [];
  for (let i = 0; i < count; i++) {
    const takesValue = STRINGS.some((flag) => args[i] === `--${flag}`);
    const value = args[i + 1];
    if (args[i] === "--gdb" && !/^(tcp|unix):/.test(value ?? "")) {
      out.push("--gdb=");
    } else if (takesValue && i + 1 < count && !isFlag(value)) {
      out.push(`${args[i++]}=${value}`);
    } else out.push(args[i]);
    const named = SWITCHES.find((flag) => args[i].startsWith(`--${flag}=`));
    if (named !== undefined) throw new UsageError(`--${named} takes no value`);
  }
  return [...out, ...args.slice(count)];
}

/** What is said of a first word that is no command, when a file follows it. */
function noCommand(word: string): string | undefined {
  // A file has a dot or a folder.
  if (/[./\\]/.test(word)) return undefined;
  return `there is no command "${word}"` + suggest(word, [...SUBCOMMANDS]);
}

/** Understand the arguments; throws a `UsageError`. */
export function parseCommand(args: readonly string[]): Command {
  const parsed = parseArgs(joined(args), {
    // A file may be called 007.
    string: [...STRINGS, "_"],
    boolean: SWITCHES,
    collect: STRINGS,
    unknown: (argument: string): boolean => {
      if (!argument.startsWith("-") || argument === "-") return true;
      const flag = argument.replace(/^-+/, "").replace(/=.*$/s, "");
      const near = nearest(flag, FLAGS);
      throw new UsageError(
        `unknown flag "${argument}"; ` +
          (near === undefined
            ? '"--help" lists them'
            : `did you mean "--${near}"?`),
      );
    },
  }) as Record<string, unknown> & { _: string[] };
  const words = parsed._;
  const list = (flag: string): string[] => {
    const values = (parsed[flag] ?? []) as string[];
    if (values.includes("") && !OPTIONAL.includes(flag)) {
      throw new UsageError(`--${flag} needs a value`);
    }
    return values;
  };
  const text = (flag: string): string | undefined => {
    const values = list(flag);
    if (values.length > 1) throw new UsageError(`--${flag} is there twice`);
    return values[0];
  };
  const accel = text("accel");
  if (accel !== undefined && accel !== "jit" && accel !== "interp") {
    throw new UsageError(
      `there is no accelerator "${accel}"${suggest(accel, ["jit", "interp"])}`,
    );
  }
  const gdb = text("gdb");
  const boot = text("boot");
  const smp = text("smp");
  let action: Command["action"] = "run";
  const first = words[0];
  if (parsed.help === true || args.length === 0) {
    action = "help";
  } else if (parsed.version === true) {
    action = "version";
  } else if ((SUBCOMMANDS as readonly string[]).includes(first)) {
    action = first as Command["action"];
    words.shift();
  }
  const isShown = action === "help" || action === "version";
  if (words.length > 1 && !isShown) {
    throw new UsageError(
      (action === "run" ? noCommand(first) : undefined) ??
        `expected one machine file, not also "${words[1]}"`,
    );
  }
  const [record, replay] = [text("record"), text("replay")];
  if (replay !== undefined) {
    if (action !== "run") throw new UsageError("--replay runs a machine");
    if (record !== undefined) {
      throw new UsageError("--replay and --record exclude each other");
    }
    if (text("loadvm") !== undefined) {
      throw new UsageError(
        "the recording has its beginning, --loadvm is not for --replay",
      );
    }
    if (words.length > 0) {
      throw new UsageError(
        `the recording has its machine, "${words[0]}" is not for --replay`,
      );
    }
  }
  const loadvm = text("loadvm");
  const needsMachine = !isShown && action !== "schema" &&
    loadvm === undefined && replay === undefined;
  if (words.length === 0 && needsMachine) {
    throw new UsageError("expected a machine file, as in machines/isapc.json");
  }
  return {
    action,
    machine: words[0],
    qmp: list("qmp"),
    loadvm,
    stats: parsed.stats === true,
    screendump: text("screendump"),
    monitors: list("monitor"),
    traceBlocks: parsed["trace-blocks"] === true,
    gdb,
    wait: parsed.wait === true,
    replay,
    dumpRegions: list("dump-region").map(parseAddress),
    options: {
      firmware: text("firmware"),
      kernel: text("kernel"),
      initrd: text("initrd"),
      append: text("append"),
      memory: text("memory"),
      cpu: text("cpu"),
      smp: smp === undefined ? undefined : parseCount(smp),
      // The monitor is behind Ctrl-A c anyway.
      serial: list("serial").map((spec) => spec.replace(/^mon:/, "")),
      display: text("display"),
      vnc: text("vnc"),
      drives: list("drive").map(parseDrive),
      cdrom: text("cdrom"),
      floppy: list("floppy"),
      snapshot: parsed.snapshot === true,
      nics: list("nic").map(parseNic),
      pcap: list("pcap"),
      boot: boot === undefined ? undefined : parseBoot(boot),
      set: list("set"),
      accel,
      icount: parsed.icount === true,
      record,
      noReboot: parsed["no-reboot"] === true,
      snapshots: text("snapshots"),
      monitor: !list("monitor").includes("none"),
    },
  };
}
