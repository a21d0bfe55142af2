/**
 * The arguments of `rhea image`: its commands and their flags, which are those
 * of `qemu-img`.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { suggest } from "../machine/nearest.ts";
import { UsageError } from "./arguments.ts";

/** The text of `image help`. */
export const IMAGE_HELP = `Images of disks

  image create [-f FORMAT] [-o OPTIONS] [-b FILE -F FORMAT] [-u] [-q] FILE [SIZE]
  image info [-f FORMAT] [--output=json] [--backing-chain] [-U] FILE
  image check [-f FORMAT] [--output=json] [-r leaks|all] [-T MODE] [-qU] FILE
  image convert [-f FORMAT] [-O FORMAT] [-o OPTIONS] [-B FILE -F FORMAT]
                [-l SNAPSHOT] [-S SIZE] [-n [--target-is-zero]] [-m N]
                [-t MODE] [-T MODE] [-cpqUW] FILE OUTPUT
  image resize [-f FORMAT] [--preallocation=HOW] [--shrink] [-pq] FILE [+|-]SIZE
  image commit [-f FORMAT] [-b BASE] [-t MODE] [-dpq] FILE
  image snapshot -l [-qU] FILE

  -f FORMAT      the image's format: raw, qcow2; its first bytes tell otherwise
  -O FORMAT      the output's format
  -o OPTIONS     as cluster_size=64K,compat=1.1,lazy_refcounts=on; "help" lists
                 those that the format has
  -b FILE        what lies behind the new image (create; convert's is -B), and
                 -F its format; of commit, the image of the chain that takes
                 all that lies before it (then nothing is emptied)
  -u             do not look for what lies behind
  -c             compress
  -l SNAPSHOT    an image's snapshot, by its id or name, or as
                 snapshot.id=ID,snapshot.name=NAME; of snapshot, list them
  -S SIZE        zeroes of so many bytes are left out (4K); 0 writes them all
  -n             write into an output that is there, which reads as zero with
                 --target-is-zero
  --preallocation=HOW
                 room for what is gained: off, metadata, falloc, full
  -r WHAT        repair leaks, or all
  -d             leave what was committed in the image too
  -q             say nothing, not even how much is done
  -U             do not mind who else has the image open

  Taken for the sake of scripts, without effect: -p (how much is done is shown
  unless -q is there), -m N and -W (writes are in order, each while the next
  bytes are read), -t MODE and -T MODE (the cache modes of qemu-img: the host's
  cache is used, and written out at the end).

A status of 1 is a failure; of a check, 2 are corruptions and 3 leaks.
`;

/** What each command takes. */
const COMMANDS: Readonly<
  Record<string, {
    readonly strings: readonly string[];
    readonly switches: readonly string[];
    readonly files: readonly [least: number, most: number];
  }>
> = {
  create: {
    strings: ["f", "o", "b", "F"],
    switches: ["u", "q"],
    files: [1, 2],
  },
  info: {
    strings: ["f", "output"],
    switches: ["backing-chain", "U"],
    files: [1, 1],
  },
  check: {
    strings: ["f", "output", "r", "T"],
    switches: ["q", "U"],
    files: [1, 1],
  },
  convert: {
    strings: ["f", "O", "o", "B", "F", "l", "S", "m", "t", "T"],
    switches: ["c", "n", "p", "q", "U", "W", "target-is-zero"],
    files: [2, 2],
  },
  resize: {
    strings: ["f", "preallocation"],
    switches: ["shrink", "p", "q"],
    files: [2, 2],
  },
  commit: {
    strings: ["f", "b", "t"],
    switches: ["d", "q", "p"],
    files: [1, 1],
  },
  snapshot: { strings: [], switches: ["l", "q", "U"], files: [1, 1] },
};
/** Commands of `qemu-img` that there are not. */
const ABSENT = ["amend", "bench", "bitmap", "compare", "dd", "map", "measure"]
  .concat("rebase");
/** QEMU's modes of caches. */
const CACHES = ["none", "writeback", "writethrough", "directsync", "unsafe"];

/** A command's arguments. */
export interface ImageArguments {
  /** The command. */
  readonly command: string;
  /** What is no flag. */
  readonly files: readonly string[];
  /** A flag's value. Throws a `UsageError` when it is empty or there twice. */
  readonly text: (flag: string) => string | undefined;
  /** All values of a flag. */
  readonly list: (flag: string) => string[];
  /** Whether a switch is there. */
  readonly has: (flag: string) => boolean;
}

/** Whether options ask for the list of options. */
export function wantsOptions(texts: readonly string[]): boolean {
  return texts.some((text) =>
    text.split(",").some((part) => part === "help" || part === "?")
  );
}

/** A flag as it is typed. */
const dashed = (flag: string) => flag.length > 1 ? `--${flag}` : `-${flag}`;

/** Understand the arguments after `image`; throws a `UsageError`. */
export function parseImageArgs(args: readonly string[]): ImageArguments {
  const [command, ...rest] = args;
  if (!Object.hasOwn(COMMANDS, command)) {
    if (ABSENT.includes(command)) {
      throw new UsageError(`image ${command} is not there: use qemu-img`);
    }
    const near = suggest(command, Object.keys(COMMANDS));
    throw new UsageError(`there is no command "image ${command}"${near}`);
  }
  const { strings, switches, files: [least, most] } = COMMANDS[command];
  // A size that begins with a sign is no flag.
  const last = command === "resize" ? rest.splice(-1) : [];
  // A value may follow its letter at once; `parseArgs` would take more letters.
  const parsed = parseArgs(
    rest.flatMap((argument) => {
      const letter = /^-([^-])./s.exec(argument)?.[1] ?? "";
      return strings.includes(letter)
        ? [`-${letter}`, argument.slice(2)]
        : [argument];
    }),
    {
      // A file may be called 007.
      string: [...strings, "_"],
      boolean: [...switches],
      collect: ["o"],
      unknown(argument: string): boolean {
        if (!argument.startsWith("-") || argument === "-") return true;
        const known = [...strings, ...switches].map(dashed);
        throw new UsageError(
          `image ${command}: unknown flag "${argument}"` +
            suggest(argument.replace(/=.*$/s, ""), known),
        );
      },
    },
  ) as Record<string, unknown> & { _: string[] };
  const files = [...parsed._, ...last];
  // Without files, the options may still be asked for.
  if (wantsOptions((parsed.o ?? []) as string[])) {
    while (files.length < least) files.push("");
  }
  if (files.length < least || files.length > most) {
    const isFew = files.length < least;
    const bound = isFew ? least : most;
    const word = least === most ? "" : isFew ? "at least " : "at most ";
    throw new UsageError(
      `image ${command}: expected ${word}${bound} argument` +
        `${bound > 1 ? "s" : ""}, not ${files.length}: see "image help"`,
    );
  }
  const result: ImageArguments = {
    command,
    files,
    text(flag) {
      const value = parsed[flag];
      if (value === undefined) return undefined;
      if (typeof value === "string" && value !== "") return value;
      throw new UsageError(
        `image ${command}: ${dashed(flag)} ${
          value === "" ? "needs a value" : "is there twice"
        }`,
      );
    },
    list: (flag) => (parsed[flag] ?? []) as string[],
    has: (flag) => parsed[flag] === true,
  };
  for (const flag of ["t", "T"]) {
    const mode = result.text(flag);
    if (mode === undefined || CACHES.includes(mode)) continue;
    throw new UsageError(
      `-${flag}: there is no cache mode "${mode}"${suggest(mode, CACHES)}`,
    );
  }
  return result;
}
