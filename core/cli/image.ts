/**
 * `rhea image`: images made, looked at, checked, converted. Commands and flags
 * are those of `qemu-img`, and so is the exit status.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { BlockError } from "../backend/block.ts";
import type {
  ImageCheck,
  ImageFormat,
  ImageInfo,
} from "../backend/image_format.ts";
import { suggest } from "../machine/nearest.ts";
import { parseSize } from "../machine/numbers.ts";
import { dirname, resolve } from "../machine/path.ts";
import type { BlockPlugin } from "../machine/plugin.ts";
import { loadPlugin, type PluginTable } from "../machine/registry.ts";
import { checkSchema, isUrl } from "../machine/schema.ts";
import type { JsonObject } from "../machine/schema_types.ts";
import { UsageError } from "./arguments.ts";
import { commitImage, convertImage, withOutput } from "./image_copy.ts";
import {
  checkJson,
  checkLines,
  infoJson,
  infoLines,
  snapshotLines,
} from "./image_print.ts";
import type { Output } from "./main.ts";

/** The text of `image help`. */
export const IMAGE_HELP = `Images of disks

  image create [-f FORMAT] [-o OPTIONS] [-b FILE -F FORMAT] [-u] [-q] FILE [SIZE]
  image info [-f FORMAT] [--output=json] [--backing-chain] FILE
  image check [-f FORMAT] [--output=json] [-r leaks|all] [-q] FILE
  image convert [-f FORMAT] [-O FORMAT] [-o OPTIONS] [-c] [-q] FILE OUTPUT
  image resize [-f FORMAT] [--shrink] [-q] FILE [+|-]SIZE
  image commit [-f FORMAT] [-d] [-q] FILE
  image snapshot -l FILE

  -f FORMAT      the image's format: raw, qcow2; its first bytes tell otherwise
  -O FORMAT      the output's format
  -o OPTIONS     as cluster_size=64K,compat=1.1,lazy_refcounts=on
  -b FILE        what lies behind the new image, and -F its format
  -u             do not look for what lies behind
  -c             compress
  -r WHAT        repair leaks, or all
  -d             leave what was committed in the image too
  -q             say nothing

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
    switches: ["backing-chain"],
    files: [1, 1],
  },
  check: { strings: ["f", "output", "r"], switches: ["q"], files: [1, 1] },
  convert: {
    strings: ["f", "O", "o"],
    switches: ["c", "q", "p"],
    files: [2, 2],
  },
  resize: { strings: ["f"], switches: ["shrink", "q"], files: [2, 2] },
  commit: { strings: ["f"], switches: ["d", "q", "p"], files: [1, 1] },
  snapshot: { strings: [], switches: ["l"], files: [1, 1] },
};

/** A command's arguments. */
interface Arguments {
  readonly command: string;
  readonly files: readonly string[];
  readonly text: (flag: string) => string | undefined;
  readonly list: (flag: string) => string[];
  readonly has: (flag: string) => boolean;
}

function parseImageArgs(args: readonly string[]): Arguments {
  const [command, ...rest] = args;
  if (!Object.hasOwn(COMMANDS, command)) {
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
      string: [...strings],
      boolean: [...switches],
      collect: ["o"],
      unknown(argument: string): boolean {
        if (!argument.startsWith("-") || argument === "-") return true;
        const dashed = (name: string) =>
          name.length > 1 ? `--${name}` : `-${name}`;
        const known = [...strings, ...switches].map(dashed);
        throw new UsageError(
          `image ${command}: unknown flag "${argument}"` +
            suggest(argument.replace(/=.*$/s, ""), known),
        );
      },
    },
  ) as Record<string, unknown> & { _: (string | number)[] };
  const files = [...parsed._.map(String), ...last];
  if (files.length < least || files.length > most) {
    const isFew = files.length < least;
    const bound = isFew ? least : most;
    const word = least === most ? "" : isFew ? "at least " : "at most ";
    throw new UsageError(
      `image ${command}: expected ${word}${bound} argument` +
        `${bound > 1 ? "s" : ""}, not ${files.length}: see "image help"`,
    );
  }
  return {
    command,
    files,
    text(flag) {
      const value = parsed[flag];
      if (value === undefined) return undefined;
      if (typeof value === "string" && value !== "") return value;
      throw new UsageError(
        `image ${command}: -${flag} ${
          value === "" ? "needs a value" : "is there twice"
        }`,
      );
    },
    list: (flag) => (parsed[flag] ?? []) as string[],
    has: (flag) => parsed[flag] === true,
  };
}

/** The formats that there are. */
class Formats {
  readonly #plugins: PluginTable;

  constructor(plugins: PluginTable) {
    this.#plugins = plugins;
  }

  /** All formats by name. */
  async all(): Promise<Map<string, ImageFormat>> {
    const formats = new Map<string, ImageFormat>();
    for (const name of Object.keys(this.#plugins.block ?? {})) {
      const plugin = await loadPlugin(["block"], name, "", this.#plugins);
      const format = await (plugin as BlockPlugin).format?.();
      if (format !== undefined) formats.set(name, format);
    }
    return formats;
  }

  /** A format by its name. */
  async named(name: string): Promise<ImageFormat> {
    const all = await this.all();
    const format = all.get(name);
    if (format !== undefined) return format;
    throw new UsageError(
      `there is no format "${name}"${suggest(name, [...all.keys()])}`,
    );
  }

  /** The format of an image: as given, or as its bytes tell. */
  async of(
    location: string,
    given: string | undefined,
  ): Promise<{ name: string; format: ImageFormat }> {
    if (given !== undefined) {
      return { name: given, format: await this.named(given) };
    }
    for (const [name, format] of await this.all()) {
      if (await format.probe(location)) return { name, format };
    }
    throw new BlockError(
      "unsupported",
      `Cannot tell the format of "${location}": give it with -f`,
    );
  }
}

/** `key=value,...` as a format's options, complete. */
function parseOptions(
  format: ImageFormat,
  name: string,
  texts: readonly string[],
): { options: Record<string, unknown>; others: Map<string, string> } {
  const given: JsonObject = {};
  const others = new Map<string, string>();
  for (const part of texts.join(",").replaceAll(",,", "\0").split(",")) {
    if (part === "") continue;
    const whole = part.replaceAll("\0", ",");
    const equals = whole.indexOf("=");
    const key = equals < 0 ? whole : whole.slice(0, equals);
    const value = equals < 0 ? "on" : whole.slice(equals + 1);
    if (["backing_file", "backing_fmt", "size"].includes(key)) {
      others.set(key, value);
      continue;
    }
    const schema = format.options[key];
    given[key] = schema?.type === "boolean" && /^(on|off)$/.test(value)
      ? value === "on"
      : schema?.type === "integer" && /^\d+$/.test(value)
      ? Number(value)
      : value;
  }
  const { value, issues: [issue] } = checkSchema(
    { type: "object", properties: format.options },
    given,
  );
  if (issue !== undefined) {
    throw new UsageError(
      `-o of ${name}: ${issue.path.join(".")}: ${issue.message}`,
    );
  }
  return { options: value as Record<string, unknown>, others };
}

function sizeOf(text: string): number {
  const size = parseSize(text);
  if (size === undefined) {
    throw new UsageError(`expected a size such as 512M or 4G, not "${text}"`);
  }
  return size;
}

/** The location of what a new image in `file` calls `name`. */
function backingOf(file: string, name: string): string {
  return isUrl(name) ? name : resolve(dirname(resolve(file)), name);
}

async function create(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [file, sizeText] = args.files;
  const name = args.text("f") ?? "raw";
  const format = await formats.named(name);
  const { options, others } = parseOptions(format, name, args.list("o"));
  const backing = args.text("b") ?? others.get("backing_file");
  const backingFormat = args.text("F") ?? others.get("backing_fmt");
  let size = sizeText ?? others.get("size");
  if (backing !== undefined) {
    if (!format.backing) {
      throw new UsageError(`images of format ${name} have no backing files`);
    }
    if (backingFormat === undefined) {
      throw new UsageError(`-b "${backing}" needs its format, with -F`);
    }
    const behind = await formats.named(backingFormat);
    if (!args.has("u")) {
      // It must be there, even where the size is given.
      const found = await behind.info(backingOf(file, backing));
      size ??= `${found.size}`;
    }
  } else if (backingFormat !== undefined) {
    throw new UsageError("-F is the format of what -b names");
  }
  if (size === undefined) throw new UsageError("image create needs a size");
  const bytes = sizeOf(size);
  await withOutput(file, formats, async (path) => {
    await format.create(path, {
      size: bytes,
      options,
      backing: backing === undefined
        ? undefined
        : { name: backing, format: backingFormat! },
    });
  });
  if (!args.has("q")) {
    output.out(`Made "${file}", ${name}, ${bytes} bytes\n`);
  }
  return 0;
}

async function info(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const all: { name: string; location: string; info: ImageInfo }[] = [];
  let location: string | undefined = args.files[0];
  let given = args.text("f");
  while (location !== undefined) {
    const { name, format } = await formats.of(location, given);
    const found: ImageInfo = await format.info(location);
    all.push({ name, location, info: found });
    if (all.length > 64) throw new BlockError("corrupt", "The chain is a loop");
    given = found.backing?.format;
    location = args.has("backing-chain") ? found.backing?.location : undefined;
  }
  if (wantsJson(args)) {
    const json = [];
    for (const { location, name, info } of all) {
      json.push(await infoJson(location, name, info));
    }
    const result = args.has("backing-chain") ? json : json[0];
    output.out(`${JSON.stringify(result, null, 4)}\n`);
    return 0;
  }
  const texts: string[] = [];
  for (const { location, name, info } of all) {
    texts.push(`${(await infoLines(location, name, info)).join("\n")}\n`);
  }
  output.out(texts.join("\n"));
  return 0;
}

function wantsJson(args: Arguments): boolean {
  const output = args.text("output") ?? "human";
  if (output === "json" || output === "human") return output === "json";
  throw new UsageError(
    `there is no output "${output}"${suggest(output, ["human", "json"])}`,
  );
}

async function check(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [file] = args.files;
  const repair = args.text("r") ?? "none";
  if (repair !== "none" && repair !== "leaks" && repair !== "all") {
    throw new UsageError(
      `there is no repair "${repair}"${suggest(repair, ["leaks", "all"])}`,
    );
  }
  const json = wantsJson(args);
  const { name, format } = await formats.of(file, args.text("f"));
  if (format.check === undefined) {
    output.message(`images of format ${name} cannot be checked`);
    return 63;
  }
  const result: ImageCheck = await format.check(file, repair);
  if (json) {
    const found = checkJson(file, name, result);
    output.out(`${JSON.stringify(found, null, 4)}\n`);
  } else if (!args.has("q")) {
    output.out(`${checkLines(result).join("\n")}\n`);
  }
  return result.corruptions > 0 ? 2 : result.leaks > 0 ? 3 : 0;
}

async function convert(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [source, target] = args.files;
  const { format: from } = await formats.of(source, args.text("f"));
  const name = args.text("O") ?? "raw";
  const to = await formats.named(name);
  const { options, others } = parseOptions(to, name, args.list("o"));
  for (const key of others.keys()) {
    throw new UsageError(`image convert: -o takes no ${key}`);
  }
  await convertImage(
    { location: source, format: from },
    { file: target, name, format: to, options, compress: args.has("c") },
    formats,
    args.has("q") ? undefined : output.progress,
  );
  return 0;
}

async function resizeImage(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [file, text] = args.files;
  const { format } = await formats.of(file, args.text("f"));
  const sign = /^[+-]/.exec(text)?.[0];
  const bytes = sizeOf(text.slice(sign === undefined ? 0 : 1));
  const { size: before } = await format.info(file);
  const size = sign === undefined
    ? bytes
    : before + (sign === "+" ? bytes : -bytes);
  if (size < 0) {
    throw new UsageError(`the image has ${before} bytes, not ${bytes} to lose`);
  }
  if (size === 0) throw new UsageError("the new size must be positive");
  if (size < before && !args.has("shrink")) {
    throw new UsageError(
      `the image has ${before} bytes: with --shrink it loses what is beyond ` +
        `${size}`,
    );
  }
  await format.resize(file, size);
  if (!args.has("q")) output.out("Image resized.\n");
  return 0;
}

async function commit(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [file] = args.files;
  const { format } = await formats.of(file, args.text("f"));
  const { backing } = await format.info(file);
  if (backing === undefined) {
    throw new BlockError("unsupported", `"${file}" has no backing file`);
  }
  const behind = await formats.of(backing.location, backing.format);
  await commitImage(
    { location: file, format },
    { location: backing.location, format: behind.format },
    args.has("d"),
    args.has("q") ? undefined : output.progress,
  );
  if (!args.has("q")) output.out("Image committed.\n");
  return 0;
}

async function snapshot(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  if (!args.has("l")) {
    throw new UsageError("image snapshot lists snapshots: it needs -l");
  }
  const [file] = args.files;
  const { format } = await formats.of(file, undefined);
  const { snapshots } = await format.info(file);
  if (snapshots.length > 0) output.out(`${snapshotLines(snapshots)}\n`);
  return 0;
}

/** Do what the arguments after `image` say; gives back the exit status. */
export async function imageMain(
  args: readonly string[],
  plugins: PluginTable,
  output: Output,
): Promise<number> {
  if (args.length === 0 || args[0] === "help" || args.includes("--help")) {
    output.out(IMAGE_HELP);
    return 0;
  }
  try {
    const parsed = parseImageArgs(args);
    const formats = new Formats(plugins);
    const run = {
      create,
      info,
      check,
      convert,
      resize: resizeImage,
      commit,
      snapshot,
    }[parsed.command]!;
    return await run(parsed, formats, output);
  } catch (error) {
    const isUser = error instanceof BlockError || error instanceof UsageError ||
      error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotCapable ||
      error instanceof Deno.errors.PermissionDenied;
    if (!isUser) throw error;
    output.message(error.message);
    return 1;
  }
}

export type { Formats };
