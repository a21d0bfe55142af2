/**
 * `rhea image`: images made, looked at, checked, converted. Commands and flags
 * are those of `qemu-img`, and so is the exit status.
 *
 * @module
 */

import { BlockError } from "../backend/block.ts";
import {
  type ImageCheck,
  type ImageFormat,
  type ImageInfo,
  PREALLOCATIONS,
} from "../backend/image_format.ts";
import { suggest } from "../machine/nearest.ts";
import { basename, dirname, resolve } from "../machine/path.ts";
import type { PluginTable } from "../machine/registry.ts";
import { isUrl } from "../machine/schema.ts";
import { displayOf } from "../progress/progress.ts";
import { UsageError } from "./arguments.ts";
import {
  IMAGE_HELP,
  type ImageArguments as Arguments,
  parseImageArgs,
  wantsOptions,
} from "./image_arguments.ts";
import {
  commitImage,
  convertImage,
  type Progress,
  type Source,
  type Target,
  withOutput,
} from "./image_copy.ts";
import { Formats, optionLines, parseOptions, sizeOf } from "./image_formats.ts";
import {
  checkJson,
  checkLines,
  infoJson,
  infoLines,
  snapshotLines,
} from "./image_print.ts";
import type { Output } from "./output.ts";

/** The most images in a chain. */
const MAX_CHAIN = 64;
/** What `-S` takes, in bytes, as in QEMU. */
const SPARSE_UNIT = 512;
const MAX_SPARSE = 16 << 20;
/** What is left out as zeroes unless `-S` says otherwise, as in QEMU. */
const SPARSE_BYTES = 4096;
const MAX_PARALLEL = 16;

/** The location of what a new image in `file` calls `name`. */
function backingOf(file: string, name: string): string {
  return resolve(dirname(resolve(file)), name.replace(/^file:/, ""));
}

/** Do a work that tells how much is done: the user, unless it is to be quiet. */
async function withProgress(
  args: Arguments,
  output: Output,
  title: string,
  work: (progress: Progress | undefined) => Promise<void>,
): Promise<void> {
  const bar = args.has("q") ? undefined : displayOf(output.progress)?.(title);
  try {
    await work(bar?.update);
  } finally {
    bar?.end();
  }
}

/** What `-b` or `-B` and `-F`, or the options, say of a new image's backing. */
async function backingFor(
  args: Arguments,
  flag: "b" | "B",
  others: ReadonlyMap<string, string>,
  kind: { readonly name: string; readonly format: ImageFormat },
  formats: Formats,
): Promise<{ name: string; format: string; of: ImageFormat } | undefined> {
  const name = args.text(flag) ?? others.get("backing_file");
  const format = args.text("F") ?? others.get("backing_fmt");
  if (name === undefined) {
    if (format === undefined) return undefined;
    throw new UsageError(`-F is the format of what -${flag} names`);
  }
  if (!kind.format.backing) {
    throw new UsageError(`images of format ${kind.name} have no backing files`);
  }
  if (format === undefined) {
    throw new UsageError(`-${flag} "${name}" needs its format, with -F`);
  }
  // Nobody would open it: an image does not choose whom the host asks.
  if (isUrl(name) && !args.has("u")) {
    throw new UsageError(
      `-${flag} "${name}" is no file, which images in files stand on; ` +
        "--drive with snapshot writes on top of a URL",
    );
  }
  return { name, format, of: await formats.named(format) };
}

/** Print the options of a format, if that is what is asked for. */
function printOptions(
  args: Arguments,
  format: ImageFormat,
  name: string,
  output: Output,
): boolean {
  if (!wantsOptions(args.list("o"))) return false;
  output.out(`${optionLines(format, name).join("\n")}\n`);
  return true;
}

async function create(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [file, sizeText] = args.files;
  const name = args.text("f") ?? "raw";
  const format = await formats.named(name);
  if (printOptions(args, format, name, output)) return 0;
  const { options, others } = parseOptions(format, name, args.list("o"));
  const backing = await backingFor(
    args,
    "b",
    others,
    { name, format },
    formats,
  );
  let size = sizeText ?? others.get("size");
  if (backing !== undefined && !args.has("u")) {
    // It must be there, even where the size is given.
    const found = await backing.of.info(backingOf(file, backing.name));
    size ??= `${found.size}`;
  }
  if (size === undefined) throw new UsageError("image create needs a size");
  const bytes = sizeOf(size);
  await withOutput(file, formats, async (path) => {
    await format.create(path, { size: bytes, options, backing });
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
    if (all.length > MAX_CHAIN) {
      throw new BlockError("corrupt", "The chain is a loop");
    }
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
  const lock = !args.has("U");
  if (!lock && repair !== "none") {
    throw new UsageError("-U and -r: what others have open is not repaired");
  }
  const json = wantsJson(args);
  const { name, format } = await formats.of(file, args.text("f"));
  const result: ImageCheck | undefined = await format.check?.(
    file,
    repair,
    lock,
  );
  if (result === undefined) {
    output.message(`images of format ${name} cannot be checked`);
    return 63;
  }
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
  const name = args.text("O") ?? "raw";
  const to = await formats.named(name);
  if (printOptions(args, to, name, output)) return 0;
  const sparse = sizeOf(args.text("S") ?? `${SPARSE_BYTES}`);
  if (sparse % SPARSE_UNIT !== 0 || sparse > MAX_SPARSE) {
    throw new UsageError(
      `-S is ${sparse}, expected a multiple of ${SPARSE_UNIT} up to ` +
        `${MAX_SPARSE}, or 0`,
    );
  }
  const parallel = Number(args.text("m") ?? 1);
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > MAX_PARALLEL) {
    throw new UsageError(
      `-m is ${args.text("m")}, expected 1 to ${MAX_PARALLEL}`,
    );
  }
  const isThere = args.has("n");
  const isZero = args.has("target-is-zero");
  if (isZero && !isThere) throw new UsageError("--target-is-zero needs -n");
  const texts = args.list("o");
  if (isThere && texts.length > 0) {
    throw new UsageError("-o is for an image that is made, and -n makes none");
  }
  const { options, others } = parseOptions(to, name, texts);
  if (others.has("size")) {
    throw new UsageError("image convert: -o takes no size");
  }
  const backing = await backingFor(
    args,
    "B",
    others,
    { name, format: to },
    formats,
  );
  const { format: from } = await formats.of(source, args.text("f"));
  const wanted = args.text("l");
  const image = {
    location: source,
    format: from,
    lock: !args.has("U"),
    snapshot: wanted === undefined
      ? undefined
      : await findSnapshot(from, source, wanted),
  };
  const into: Target = {
    file: target,
    name,
    format: to,
    options,
    backing,
    compress: args.has("c"),
    sparse,
    state: isThere ? (isZero ? "zero" : "used") : "new",
  };
  await withProgress(
    args,
    output,
    `converting ${basename(source)}`,
    (progress) => convertImage(image, into, formats, progress),
  );
  return 0;
}

/** The id of the snapshot that the user means: an id goes before a name. */
async function findSnapshot(
  format: ImageFormat,
  location: string,
  wanted: string,
): Promise<string> {
  const { snapshots } = await format.info(location);
  const parts = wanted.startsWith("snapshot.") ? wanted.split(",") : [];
  const given = new Map(parts.map((part) => {
    const [, key, value] = /^snapshot\.(id|name)=(.*)$/s.exec(part) ?? [];
    if (key === undefined) {
      throw new UsageError(
        `-l "${wanted}": expected snapshot.id=ID,snapshot.name=NAME`,
      );
    }
    return [key, value] as const;
  }));
  const found = parts.length > 0
    ? snapshots.find(({ id, name }) =>
      (given.get("id") ?? id) === id && (given.get("name") ?? name) === name
    )
    : snapshots.find(({ id }) => id === wanted) ??
      snapshots.find(({ name }) => name === wanted);
  if (found !== undefined) return found.id;
  throw new UsageError(
    `there is no snapshot "${wanted}" in "${location}"` +
      suggest(wanted, snapshots.map(({ name }) => name)),
  );
}

async function resizeImage(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [file, text] = args.files;
  const how = args.text("preallocation") ?? "off";
  const preallocation = PREALLOCATIONS.find((name) => name === how);
  if (preallocation === undefined) {
    throw new UsageError(
      `there is no preallocation "${how}"${suggest(how, PREALLOCATIONS)}`,
    );
  }
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
  if (size < before && preallocation !== "off") {
    throw new UsageError("--preallocation is for what an image gains");
  }
  await withProgress(
    args,
    output,
    `resizing ${basename(file)}`,
    (progress) => format.resize(file, size, preallocation, progress),
  );
  if (!args.has("q")) output.out("Image resized.\n");
  return 0;
}

async function commit(
  args: Arguments,
  formats: Formats,
  output: Output,
): Promise<number> {
  const [file] = args.files;
  const base = args.text("b");
  const { layers, behind } = await layersAbove(
    file,
    args.text("f"),
    base,
    formats,
  );
  // What lies between would be wrong without it.
  const keep = args.has("d") || base !== undefined;
  await withProgress(
    args,
    output,
    `committing ${basename(file)}`,
    (progress) => commitImage(layers, behind, keep, progress),
  );
  if (!args.has("q")) output.out("Image committed.\n");
  return 0;
}

/** The images of a chain before its `base`, the first first, and that. */
async function layersAbove(
  file: string,
  given: string | undefined,
  base: string | undefined,
  formats: Formats,
): Promise<{ layers: Source[]; behind: Source }> {
  const wanted = base === undefined || isUrl(base)
    ? base
    : await Deno.realPath(base).catch(() => resolve(base));
  const layers: Source[] = [];
  let here = { location: file, given };
  while (layers.length < MAX_CHAIN) {
    const { location } = here;
    const { format } = await formats.of(location, here.given);
    layers.push({ location, format });
    const { backing } = await format.info(location);
    if (backing === undefined) break;
    const { location: next } = backing;
    const real = isUrl(next)
      ? next
      : await Deno.realPath(next).catch(() => next);
    if (base === undefined || backing.name === base || real === wanted) {
      const { format } = await formats.of(next, backing.format);
      return { layers, behind: { location: next, format } };
    }
    here = { location: next, given: backing.format };
  }
  throw new BlockError(
    "unsupported",
    base === undefined
      ? `"${file}" has no backing file`
      : `"${base}" does not lie behind "${file}"`,
  );
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
