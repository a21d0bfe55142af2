/**
 * Drives: the short form in which a program or the command line says which
 * images a machine has, and what it means in the machine definition.
 *
 * A definition's `drives` says, for each interface, where its drives are: the
 * roles of devices, by index. A drive becomes a backend with an image plugin,
 * and the wire from a device's role to it:
 *
 * ```text
 * --drive file=a.img,if=ide,index=1,serial=S
 * { "backends": { "ide1": { "plugin": "image", "config": { "file": "a.img" } } },
 *   "devices": { "hdc0": { "backends": { "disk1": "ide1" },
 *                          "config": { "disk1": { "kind": "disk", "serial": "S" } } } } }
 * ```
 *
 * @module
 */

import { DRIVES_SCHEMA, type MachineDefinition } from "./definition.ts";
import {
  DefinitionError,
  locate,
  type Located,
  type Place,
  toJson,
} from "./document.ts";
import { suggest } from "./nearest.ts";
import {
  backendsOf,
  checkedPart,
  childOf,
  nested,
  optionError,
  pairsOf,
  switchOf,
} from "./option_text.ts";
import { resolve } from "./path.ts";
import type { DevicePlugin } from "./plugin.ts";
import { loadPlugin, PluginError, type PluginTable } from "./registry.ts";
import { isUrl } from "./schema.ts";
import type { ConfigSchema, JsonObject } from "./schema_types.ts";

/** The block plugin that finds out an image's format. */
const PROBING_PLUGIN = "image";

/** A disk, CD-ROM or floppy of a machine. */
export interface DriveOptions {
  /** The image: a path, or an `http:` or `https:` URL. */
  readonly file: string;
  /**
   * The interface, a key of the definition's `drives`: `ide`, `virtio`,
   * `floppy`. The first of them when absent.
   */
  readonly if?: string;
  /** Its number at the interface; the first free one when absent. */
  readonly index?: number;
  /**
   * The image's format, a block plugin: `raw`, `qcow2`. When absent its first
   * bytes tell; a raw image then takes no writes that would make it another's.
   */
  readonly format?: string;
  /** What it is to the guest: a `disk` (the default) or a `cdrom`. */
  readonly media?: "disk" | "cdrom";
  /** Refuse writes; a CD-ROM's always are. */
  readonly readOnly?: boolean;
  /** Writes go to a throw-away overlay. */
  readonly snapshot?: boolean;
  /** The serial number that the drive tells the guest. */
  readonly serial?: string;
  /** Where this was said, for messages: a command line option, say. */
  readonly option?: string;
}

/** An interface of the definition's `drives`. */
type Interface = MachineDefinition["drives"][string];

const KEYS = [
  "file",
  "if",
  "format",
  "media",
  "index",
  "readonly",
  "snapshot",
  "serial",
];
const MEDIA = ["disk", "cdrom"] as const;

/**
 * A drive as the command line writes it, as `file=a.img,if=ide,index=1`. What
 * comes first without a key is the file. Throws a `DefinitionError`.
 */
export function parseDrive(text: string): DriveOptions {
  const option = `--drive ${text}`;
  const fail = (message: string): never => {
    throw optionError(option, message);
  };
  const values = new Map<string, string>();
  for (const [i, [key, value]] of pairsOf(text).entries()) {
    const isFlag = key === "readonly" || key === "snapshot";
    // The first may go without its key: a path or URL, which may have a "=".
    const isFile = i === 0 && !isFlag &&
      (value === undefined || !/^[a-z]*$/.test(key));
    // QEMU's users number drives of an interface without buses so.
    const name = isFile ? "file" : key === "unit" ? "index" : key;
    if (!KEYS.includes(name)) {
      fail(`unknown key "${key}"${suggest(key, KEYS)}`);
    }
    if (values.has(name)) fail(`"${name}" is there twice`);
    const given = isFile
      ? value === undefined ? key : `${key}=${value}`
      : value ?? (isFlag ? "on" : "");
    if (given === "") fail(`"${name}" needs a value`);
    values.set(name, given);
  }
  const flag = (name: string): boolean | undefined => {
    const value = values.get(name);
    return value === undefined ? undefined : switchOf(name, value, fail);
  };
  const file = values.get("file");
  if (file === undefined) return fail('the key "file" is missing');
  const index = values.get("index");
  if (index !== undefined && !/^\d{1,4}$/.test(index)) {
    fail(`index: expected a number, not "${index}"`);
  }
  const media = values.get("media");
  return {
    option,
    file,
    if: values.get("if"),
    format: values.get("format"),
    media: media as DriveOptions["media"],
    index: index === undefined ? undefined : Number(index),
    readOnly: flag("readonly"),
    snapshot: flag("snapshot"),
    serial: values.get("serial"),
  };
}

/** What firmware starts. */
export interface BootOptions {
  /** What it tries: see the definition's `boot.order`. */
  readonly order?: string;
  /** Whether it offers a menu. */
  readonly menu?: boolean;
  /** Where this was said, for messages: a command line option, say. */
  readonly option?: string;
}

/** What `--boot` says: `order=cdn,menu=on`, or the order alone. */
export function parseBoot(text: string): BootOptions {
  const option = `--boot ${text}`;
  const fail = (message: string): never => {
    throw optionError(option, message);
  };
  const boot: { order?: string; menu?: boolean } = {};
  for (const [i, [first, second]] of pairsOf(text).entries()) {
    const isOrder = i === 0 && second === undefined && first !== "menu";
    const [key, value] = isOrder ? ["order", first] : [first, second];
    if (key !== "order" && key !== "menu") {
      return fail(`unknown key "${key}"${suggest(key, ["order", "menu"])}`);
    }
    if (boot[key] !== undefined) fail(`"${key}" is there twice`);
    if (key === "order") boot.order = value ?? "";
    else boot.menu = switchOf(key, value, fail);
  }
  return { option, ...boot };
}

/** What is wrong with a boot order, or undefined. */
export function bootOrderProblem(order: string): string | undefined {
  if (/^[acdn]+$/.test(order) && new Set(order).size === order.length) {
    return undefined;
  }
  return `expected letters of "acdn" (floppy, disk, CD-ROM, network), each ` +
    `once, not "${order}"`;
}

/** Lays drives over a definition. */
export class DriveLayer {
  readonly #document: Located;
  readonly #plugins: PluginTable;
  readonly #interfaces: Readonly<Record<string, Interface>>;
  /** The files of drives, by backend. */
  readonly #taken = new Map<string, string>();

  /** For one definition. Throws a `DefinitionError` when its `drives` are wrong. */
  constructor(document: Located, plugins: PluginTable) {
    this.#document = document;
    this.#plugins = plugins;
    const part = checkedPart(document, "drives", DRIVES_SCHEMA);
    this.#interfaces = part as Record<string, Interface>;
  }

  /** The interface that has CD-ROM drives, and where `--cdrom` puts one. */
  cdrom(option: string): { if: string; index: number } {
    for (const [name, { cdrom }] of Object.entries(this.#interfaces)) {
      if (cdrom !== undefined) return { if: name, index: cdrom };
    }
    throw optionError(option, "the machine has no place for a CD-ROM drive");
  }

  /** What a drive means: documents to be laid over the definition. */
  async meaning(drive: DriveOptions): Promise<Located[]> {
    const option = drive.option ?? `drive "${drive.file}"`;
    const fail = (message: string): never => {
      throw optionError(option, message);
    };
    const name = drive.if ?? Object.keys(this.#interfaces)[0] ??
      fail("the machine has no drives");
    if (!Object.hasOwn(this.#interfaces, name)) {
      fail(
        `there is no interface "${name}"` +
          suggest(name, Object.keys(this.#interfaces)),
      );
    }
    const media = drive.media ?? "disk";
    if (!MEDIA.includes(media)) {
      fail(`there is no medium "${media}"${suggest(media, [...MEDIA])}`);
    }
    const { slots } = this.#interfaces[name];
    const index = drive.index ?? this.#free(name);
    if (index === undefined) {
      fail(`all drives of the interface "${name}" are taken`);
    }
    if (!(index! < slots.length)) {
      fail(
        `the interface "${name}" has no drive ${index}; the last is ` +
          `${slots.length - 1}`,
      );
    }
    const backend = `${name}${index}`;
    const other = this.#taken.get(backend);
    if (other !== undefined) {
      fail(`drive ${index} of the interface "${name}" is already "${other}"`);
    }
    const plugin = this.#formatOf(drive.format, fail);
    this.#taken.set(backend, drive.file);
    const [device, role] = slots[index!].split(".");
    const place: Place = { file: option, directory: Deno.cwd() };
    const before = childOf(
      this.#document,
      ...["devices", device, "backends", role],
    );
    // What was there is not opened, and nothing of its configuration remains.
    const gone = before?.kind === "value" ? `${before.value}` : backend;
    const overlays = [
      locate({ backends: { [backend]: null, [gone]: null } }, place),
    ];
    const there = childOf(this.#document, "devices", device);
    const added = childOf(this.#document, "drives", name, "add", device);
    if (there === undefined && added !== undefined) {
      overlays.push(nested(added, "devices", device));
    }
    const settings = await this.#settings(
      device,
      role,
      there ?? added,
      drive,
      fail,
    );
    const config = imageConfig(drive, plugin);
    const meaning: JsonObject = {
      backends: { [backend]: { plugin, config } },
      devices: {
        [device]: { backends: { [role]: backend }, ...settings },
      },
    };
    return [...overlays, locate(meaning, place)];
  }

  /** The first drive that neither the definition nor another option has. */
  #free(name: string): number | undefined {
    const { slots, add } = this.#interfaces[name];
    const index = slots.findIndex((slot, i) => {
      const [device, role] = slot.split(".");
      const there = childOf(this.#document, "devices", device);
      const isThere = there !== undefined || Object.hasOwn(add, device);
      return isThere && !this.#taken.has(`${name}${i}`) &&
        (there === undefined ||
          childOf(there, "backends", role) === undefined);
    });
    return index < 0 ? undefined : index;
  }

  #formatOf(
    format: string | undefined,
    fail: (message: string) => never,
  ): string {
    const known = Object.keys(this.#plugins.block ?? {});
    const name = format ?? PROBING_PLUGIN;
    if (!known.includes(name)) {
      const formats = known.filter((name) => name !== PROBING_PLUGIN);
      fail(`there is no format "${name}"${suggest(name, formats)}`);
    }
    return name;
  }

  /**
   * What the device is told of the drive: `kind` and `serial`, in the object
   * of its configuration that is named like the role, or at the top. Empty when
   * that is nothing.
   */
  async #settings(
    device: string,
    role: string,
    node: Located | undefined,
    drive: DriveOptions,
    fail: (message: string) => never,
  ): Promise<JsonObject> {
    const named = node === undefined ? undefined : childOf(node, "plugin");
    const plugin = named === undefined ? undefined : toJson(named);
    if (named === undefined || typeof plugin !== "string") {
      return fail(`the machine has no device "${device}" for this drive`);
    }
    const { place } = named;
    let schema: ConfigSchema | undefined;
    try {
      const loaded = await loadPlugin(
        ["device"],
        plugin,
        place,
        this.#plugins,
      ) as DevicePlugin;
      schema = loaded.config;
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      throw new DefinitionError(
        place,
        ["devices", device, "plugin"],
        error.message,
      );
    }
    const own = schema?.properties?.[role];
    const { properties = {} } = own?.type === "object" ? own : schema ?? {};
    const settings: JsonObject = {};
    if (properties.kind?.enum?.includes("cdrom")) {
      settings.kind = drive.media ?? "disk";
    } else if (drive.media === "cdrom") {
      fail(`"${device}" (${plugin}) has no CD-ROM drives`);
    }
    if (drive.serial !== undefined) {
      if (properties.serial === undefined) {
        fail(`drives of "${device}" (${plugin}) have no serial number`);
      }
      settings.serial = drive.serial;
    }
    if (Object.keys(settings).length === 0) return {};
    return own?.type === "object"
      ? { config: { [role]: settings } }
      : { config: settings };
  }
}

/** What the image's plugin is told. */
function imageConfig(drive: DriveOptions, plugin: string): JsonObject {
  const { file, media, readOnly, snapshot } = drive;
  if (plugin === "http") return { url: file, snapshot: snapshot ?? false };
  const config: JsonObject = { file: isUrl(file) ? file : resolve(file) };
  if (snapshot !== undefined) config.snapshot = snapshot;
  if (media === "cdrom") config.readOnly = true;
  else if (readOnly !== undefined) config.readOnly = readOnly;
  return config;
}

/**
 * What makes all images of a definition and of drives throw-away ones: the
 * block backends' `snapshot`.
 */
export async function snapshotMeaning(
  document: Located,
  plugins: PluginTable,
): Promise<JsonObject> {
  const names = await backendsOf("block", document, plugins);
  const snapshot: JsonObject = { config: { snapshot: true } };
  return {
    backends: Object.fromEntries(names.map((name) => [name, snapshot])),
  };
}

/**
 * What is wrong in a definition's `drives`: the first mistake, if any. A slot
 * whose device the machine does not have is none: a definition that deletes a
 * device need not say so again here.
 */
export function driveProblem(
  definition: MachineDefinition,
  roles: ReadonlyMap<string, readonly string[]>,
): { path: (string | number)[]; message: string } | undefined {
  for (
    const [name, { slots, cdrom }] of Object.entries(definition.drives)
  ) {
    for (const [i, slot] of slots.entries()) {
      const path = ["drives", name, "slots", i];
      const [device, role, more] = slot.split(".");
      if (role === undefined || more !== undefined) {
        return { path, message: `expected "device.role", not "${slot}"` };
      }
      const its = roles.get(device);
      if (its !== undefined && !its.includes(role)) {
        return {
          path,
          message: `device "${device}" has no block backend "${role}"` +
            suggest(role, its),
        };
      }
    }
    if (cdrom !== undefined && !(cdrom < slots.length)) {
      return {
        path: ["drives", name, "cdrom"],
        message: `there is no drive ${cdrom}`,
      };
    }
  }
  return undefined;
}
