/**
 * Network cards: the short form in which a program or the command line says
 * which a machine has, and what it means in the machine definition.
 *
 * A definition's `nics` says, for each model of card, which device it is and
 * where the first, the second, ... sit. A card becomes such a device, and its
 * network a backend; what the short form says beside that is the network's
 * configuration, as the schema of its plugin has it:
 *
 * ```text
 * --nic user,hostfwd=tcp::2222-:22,model=e1000
 * { "backends": { "net0": { "plugin": "user",
 *                           "config": { "hostfwd": ["tcp::2222-:22"] } } },
 *   "devices": { "nic0": { "plugin": "e1000", "use": { "bus": "pci" },
 *                          "config": { "slot": 3, "mac": "52:54:00:12:34:56" },
 *                          "backends": { "net": "net0" } } } }
 * ```
 *
 * @module
 */

import { formatMac, macOfCard, parseMac } from "../backend/mac_address.ts";
import { type MachineDefinition, NICS_SCHEMA } from "./definition.ts";
import { locate, type Located, type Place, toJson } from "./document.ts";
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
import type { NetPlugin } from "./plugin.ts";
import { loadPlugin, PluginError, type PluginTable } from "./registry.ts";
import type { ConfigSchema, JsonObject, JsonValue } from "./schema_types.ts";

/** A network card of a machine. */
export interface NicOptions {
  /**
   * The network it is in, a net plugin: `user`, `socket`, `hub`; or `none`, when
   * the machine is to have no card at all.
   */
  readonly network: string;
  /** The model, a key of the definition's `nics.models`. */
  readonly model?: string;
  /**
   * Its address; 52:54:00:12:34:56 and the following when absent. Machines that
   * are joined need different ones.
   */
  readonly mac?: string;
  /** The file to which its frames are captured. */
  readonly pcap?: string;
  /** The network's configuration. */
  readonly config?: JsonObject;
  /** More of it, as the command line writes it: keys and values. */
  readonly settings?: readonly (readonly [string, string | undefined])[];
  /** Where this was said, for messages: a command line option, say. */
  readonly option?: string;
}

/** The network that is none. */
const NONE = "none";
/** A card's backend role. */
const ROLE = "net";
/** Keys that are not the network's. */
const KEYS = ["model", "mac", "pcap"] as const;

/**
 * A card as the command line writes it: the network, then keys. Throws a
 * `DefinitionError`.
 */
export function parseNic(text: string): NicOptions {
  const option = `--nic ${text}`;
  const [[network, none], ...pairs] = pairsOf(text);
  if (none !== undefined || network === "") {
    throw optionError(
      option,
      'expected a network first, as in "user,model=e1000"',
    );
  }
  const own = new Map<string, string>();
  const settings: [string, string | undefined][] = [];
  for (const [key, value] of pairs) {
    if (!(KEYS as readonly string[]).includes(key)) {
      settings.push([key, value]);
      continue;
    }
    if (own.has(key)) throw optionError(option, `"${key}" is there twice`);
    if (value === undefined || value === "") {
      throw optionError(option, `"${key}" needs a value`);
    }
    own.set(key, value);
  }
  return {
    option,
    network,
    model: own.get("model"),
    mac: own.get("mac"),
    pcap: own.get("pcap"),
    settings,
  };
}

/**
 * What cards mean: documents to be laid over the definition. Throws a
 * `DefinitionError`.
 */
export async function nicMeaning(
  document: Located,
  nics: readonly NicOptions[],
  plugins: PluginTable,
): Promise<Located[]> {
  if (nics.length === 0) return [];
  const none = nics.find(({ network }) => network === NONE);
  if (none !== undefined) {
    const option = none.option ?? `network "${NONE}"`;
    const { model, mac, pcap, config, settings = [] } = none;
    const said = model ?? mac ?? pcap ?? config ?? settings[0];
    if (nics.length > 1 || said !== undefined) {
      throw optionError(option, `"${NONE}" stands alone`);
    }
    return [await withoutCards(document, plugins, option)];
  }
  const layer = new NicLayer(document, plugins, nics);
  const overlays: Located[] = [];
  for (const nic of nics) overlays.push(...await layer.meaning(nic));
  return overlays;
}

/** Lays cards over a definition. */
class NicLayer {
  readonly #document: Located;
  readonly #plugins: PluginTable;
  readonly #nics: MachineDefinition["nics"];
  /** Addresses that are taken. */
  readonly #macs = new Set<string>();
  /** The next card's number. */
  #number = 0;

  constructor(
    document: Located,
    plugins: PluginTable,
    nics: readonly NicOptions[],
  ) {
    this.#document = document;
    this.#plugins = plugins;
    const part = checkedPart(document, "nics", NICS_SCHEMA);
    this.#nics = part as MachineDefinition["nics"];
    this.#reserve(nics);
  }

  /** Addresses that are given stay for those to whom they are. */
  #reserve(nics: readonly NicOptions[]): void {
    const devices = childOf(this.#document, "devices");
    if (devices?.kind === "object") {
      for (const device of devices.entries.values()) {
        const mac = childOf(device, "config", "mac");
        if (mac?.kind === "value" && typeof mac.value === "string") {
          const address = parseMac(mac.value);
          if (address !== undefined) this.#macs.add(formatMac(address));
        }
      }
    }
    for (const { mac, option, network } of nics) {
      if (mac === undefined) continue;
      const where = option ?? `network "${network}"`;
      const bytes = parseMac(mac);
      if (bytes === undefined) {
        throw optionError(
          where,
          `mac: expected the address of one card, such as ` +
            `52:54:00:12:34:56, not "${mac}"`,
        );
      }
      const address = formatMac(bytes);
      if (this.#macs.has(address)) {
        throw optionError(where, `another card has the address ${address}`);
      }
      this.#macs.add(address);
    }
  }

  async meaning(nic: NicOptions): Promise<Located[]> {
    const option = nic.option ?? `network "${nic.network}"`;
    const fail = (message: string): never => {
      throw optionError(option, message);
    };
    const { models } = this.#nics;
    const names = Object.keys(models);
    const model = nic.model ?? this.#nics.default ?? names[0] ??
      fail("the machine has no place for a network card");
    if (!Object.hasOwn(models, model)) {
      fail(`there is no model "${model}"${suggest(model, names)}`);
    }
    const config = await this.#config(nic, option, fail);
    const number = this.#free();
    const { places } = models[model];
    if (number >= places.length) {
      fail(
        `the machine has no place for card ${number} of the model "${model}"` +
          `; the last is ${places.length - 1}`,
      );
    }
    const [device, backend] = [`nic${number}`, `net${number}`];
    const node = childOf(this.#document, "nics", "models", model)!;
    const placed = childOf(node, "places");
    const patch = placed?.kind === "array" ? placed.items[number] : undefined;
    const place: Place = { file: option, directory: Deno.cwd() };
    const net: JsonObject = { plugin: nic.network, config };
    if (nic.pcap !== undefined) net.pcap = resolve(nic.pcap);
    const mac = nic.mac === undefined
      ? this.#nextMac()
      : formatMac(parseMac(nic.mac)!);
    return [
      nested(childOf(node, "device")!, "devices", device),
      ...patch === undefined ? [] : [nested(patch, "devices", device)],
      locate({
        backends: { [backend]: net },
        devices: {
          [device]: { config: { mac }, backends: { [ROLE]: backend } },
        },
      }, place),
    ];
  }

  /** The first number under which the definition has nothing. */
  #free(): number {
    const isTaken = (n: number): boolean =>
      childOf(this.#document, "devices", `nic${n}`) !== undefined ||
      childOf(this.#document, "backends", `net${n}`) !== undefined;
    while (isTaken(this.#number)) this.#number++;
    return this.#number++;
  }

  #nextMac(): string {
    for (let number = 0;; number++) {
      const mac = formatMac(macOfCard(number));
      if (this.#macs.has(mac)) continue;
      this.#macs.add(mac);
      return mac;
    }
  }

  /** The network's configuration: what was given, and what was written. */
  async #config(
    nic: NicOptions,
    option: string,
    fail: (message: string) => never,
  ): Promise<JsonObject> {
    const { network, config = {}, settings = [] } = nic;
    const known = Object.keys(this.#plugins.net ?? {});
    const isPath = /[./:]/.test(network);
    if (!isPath && !known.includes(network)) {
      fail(
        `there is no network "${network}"${suggest(network, [...known, NONE])}`,
      );
    }
    let schema: ConfigSchema | undefined;
    try {
      const loaded = await loadPlugin(
        ["net"],
        network,
        { directory: Deno.cwd() },
        this.#plugins,
      ) as NetPlugin;
      schema = loaded.config;
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      throw optionError(option, error.message);
    }
    const properties = schema?.properties ?? {};
    const out: JsonObject = { ...config };
    for (const [key, value] of settings) {
      if (!Object.hasOwn(properties, key)) {
        fail(
          `unknown key "${key}"${
            suggest(key, [...Object.keys(properties), ...KEYS])
          }`,
        );
      }
      const { type } = properties[key];
      const before = out[key];
      if (before !== undefined && type !== "array") {
        fail(`"${key}" is there twice`);
      }
      out[key] = type === "array"
        ? [...before as JsonValue[] ?? [], written(key, "string", value, fail)]
        : written(key, type, value, fail);
    }
    return out;
  }
}

/** A value as the command line writes it. */
function written(
  key: string,
  type: ConfigSchema["type"],
  value: string | undefined,
  fail: (message: string) => never,
): JsonValue {
  if (type === "boolean") return switchOf(key, value, fail);
  if (value === undefined || value === "") {
    return fail(`"${key}" needs a value`);
  }
  if (type === "integer" || type === "number") {
    return /^-?\d{1,15}$/.test(value)
      ? Number(value)
      : fail(`${key}: expected a number, not "${value}"`);
  }
  return value;
}

/** What takes away the cards that a definition has, with their networks. */
async function withoutCards(
  document: Located,
  plugins: PluginTable,
  option: string,
): Promise<Located> {
  const networks = await backendsOf("net", document, plugins);
  const gone: Record<"backends" | "devices", JsonObject> = {
    backends: Object.fromEntries(networks.map((name) => [name, null])),
    devices: {},
  };
  const devices = childOf(document, "devices");
  if (devices?.kind === "object") {
    for (const [name, node] of devices.entries) {
      const roles = childOf(node, "backends");
      const wired = roles === undefined ? {} : toJson(roles) as JsonObject;
      if (Object.values(wired).some((to) => networks.includes(`${to}`))) {
        gone.devices[name] = null;
      }
    }
  }
  return locate(gone, { file: option, directory: Deno.cwd() });
}

/**
 * What `--pcap` means, the first file for the first network of the definition,
 * and so on. Throws a `DefinitionError`.
 */
export async function captureMeaning(
  document: Located,
  files: readonly string[],
  plugins: PluginTable,
): Promise<Located[]> {
  const networks = await backendsOf("net", document, plugins);
  return files.map((file, i) => {
    const option = `--pcap ${file}`;
    if (i >= networks.length) {
      const has = networks.length === 0
        ? "the machine has no network: expected --nic, too"
        : `the machine has no network ${i}; the last is ${networks.length - 1}`;
      throw optionError(option, has);
    }
    const pcap = { backends: { [networks[i]]: { pcap: resolve(file) } } };
    return locate(pcap, { file: option, directory: Deno.cwd() });
  });
}

/** What is wrong in a definition's `nics`: the first mistake, if any. */
export function nicProblem(
  definition: MachineDefinition,
): { path: string[]; message: string } | undefined {
  const { default: model, models } = definition.nics;
  if (model === undefined || Object.hasOwn(models, model)) return undefined;
  return {
    path: ["nics", "default"],
    message: `there is no model "${model}"` +
      suggest(model, Object.keys(models)),
  };
}
