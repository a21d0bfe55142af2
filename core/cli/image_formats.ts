/**
 * The formats of images as `rhea image` names them, and their options.
 *
 * @module
 */

import { BlockError } from "../backend/block.ts";
import type { ImageFormat } from "../backend/image_format.ts";
import { suggest } from "../machine/nearest.ts";
import { parseSize } from "../machine/numbers.ts";
import type { BlockPlugin } from "../machine/plugin.ts";
import { loadPlugin, type PluginTable } from "../machine/registry.ts";
import { checkSchema } from "../machine/schema.ts";
import type { JsonObject } from "../machine/schema_types.ts";
import { UsageError } from "./arguments.ts";

/** The formats that there are. */
export class Formats {
  readonly #plugins: PluginTable;

  /** Those of the plugins. */
  constructor(plugins: PluginTable) {
    this.#plugins = plugins;
  }

  /** All formats by name. */
  async all(): Promise<Map<string, ImageFormat>> {
    const formats = new Map<string, ImageFormat>();
    const place = { directory: "." };
    for (const name of Object.keys(this.#plugins.block ?? {})) {
      const plugin = await loadPlugin(["block"], name, place, this.#plugins);
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
export function parseOptions(
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
    if (Object.hasOwn(OTHERS, key)) {
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

/** The names of options that are not the format's own affair. */
const OTHERS: Readonly<Record<string, string>> = {
  backing_file: "what lies behind the image",
  backing_fmt: "its format",
  size: "bytes of the disk",
};

/** The options of a format, a line each. */
export function optionLines(format: ImageFormat, name: string): string[] {
  const lines = [`Options of ${name}:`];
  const say = (key: string, values: string, what: string) =>
    lines.push(`  ${`${key}=${values}`.padEnd(24)} ${what}`.trimEnd());
  for (const [key, schema] of Object.entries(format.options)) {
    const { type, format, description = "", default: preset } = schema;
    const text = (value: unknown): string =>
      typeof value === "boolean" ? (value ? "on" : "off") : `${value}`;
    const choices = schema.enum?.map(text) ??
      (type === "boolean" ? ["on", "off"] : []);
    const all = choices.length > 0 ? ` (${choices.join(", ")})` : "";
    const set = preset === undefined ? "" : `, else ${text(preset)}`;
    say(key, `<${format ?? type}>`, `${description}${all}${set}`);
  }
  for (const [key, what] of Object.entries(OTHERS)) {
    if (format.backing || key === "size") say(key, "<text>", what);
  }
  return lines;
}

/** Bytes as the user writes them: 512, 64k, 1.5G, up to E. */
export function sizeOf(text: string): number {
  // Beside what machines take, QEMU's "b", and units that no disk of ours has.
  const large = /^(\d+(?:\.\d+)?)([pe])(?:i?b)?$/i.exec(text);
  if (large !== null) {
    const unit = large[2].toLowerCase() === "p" ? 2 ** 50 : 2 ** 60;
    const size = Number(large[1]) * unit;
    if (Number.isSafeInteger(size)) return size;
    throw new UsageError(`${text} is too large: at most 8P less one byte`);
  }
  const size = parseSize(text);
  if (size === undefined) {
    throw new UsageError(`expected a size such as 512M or 4G, not "${text}"`);
  }
  return size;
}
