/**
 * What a program or the command line says beside the machine definition.
 *
 * @module
 */

import {
  at,
  DefinitionError,
  locate,
  type Located,
  merge,
  parseSet,
  type Place,
} from "./document.ts";
import { displayMeaning } from "./displays.ts";
import {
  type BootOptions,
  DriveLayer,
  type DriveOptions,
  snapshotMeaning,
} from "./drives.ts";
import type { LogSink } from "./logger.ts";
import { suggest } from "./nearest.ts";
import { captureMeaning, nicMeaning, type NicOptions } from "./nics.ts";
import { parseSize } from "./numbers.ts";
import { optionError } from "./option_text.ts";
import { planMachine } from "./plan.ts";
import type { MachinePlan } from "./plan_types.ts";
import { extendDefinition, readDefinition } from "./read_definition.ts";
import type { BackendPlugin } from "./plugin.ts";
import { loadPlugin, PluginError, type PluginTable } from "./registry.ts";
import type { Recording } from "../replay/session.ts";
import type { JsonObject } from "./schema_types.ts";

/**
 * What a program or the command line says beside the definition, over which it
 * is laid. Paths are relative to the current directory.
 */
export interface LoadOptions {
  /** The plugins that have names. */
  readonly plugins: PluginTable;
  /** The firmware's image, as SeaBIOS's `bios.bin`: a file, or `builtin`. */
  readonly firmware?: string;
  /**
   * The kernel's file, which is started without firmware: a Linux bzImage or a
   * multiboot ELF.
   */
  readonly kernel?: string;
  /** The initial RAM disk's file; a `DefinitionError` without a kernel. */
  readonly initrd?: string;
  /** The kernel's command line; a `DefinitionError` without a kernel. */
  readonly append?: string;
  /** Size of the memory `ram`: bytes, or with a unit of 1024, as `"256M"`. */
  readonly memory?: number | string;
  /** The CPU model: of x86, `pentium3` or `x86-64-v2`, say. */
  readonly cpu?: string;
  /** The number of CPUs, from 1 to 8. */
  readonly smp?: number;
  /**
   * What serial ports are connected to: `stdio`, `null`, `memory`,
   * `file:PATH`, `tcp:HOST:PORT`, `web-terminal`; what is not given stays as
   * the definition says. When the whole option is absent, all ports are in
   * memory, for `Machine.serial`.
   */
  readonly serial?: readonly (string | undefined)[];
  /**
   * What shows the screen, as `NAME` or `NAME=VALUE`: `none`, which a program
   * reads with `Machine.screen`, `text`, on this terminal, `vnc=:N`, a VNC
   * server, or `web=PORT`, a page for a browser. As the definition says when it
   * is absent.
   */
  readonly display?: string;
  /** Short for the display `vnc=VALUE`. */
  readonly vnc?: string;
  /** Disks, CD-ROMs and floppies. */
  readonly drives?: readonly DriveOptions[];
  /** An image in the first CD-ROM drive: a path or a URL. */
  readonly cdrom?: string;
  /** Images in the floppy drives, from the first on. */
  readonly floppy?: readonly string[];
  /** All writable disks are on throw-away overlays. */
  readonly snapshot?: boolean;
  /** Network cards, each with the network that it is in. */
  readonly nics?: readonly NicOptions[];
  /**
   * Files to which the frames of the first network, the second, ... go, in the
   * format of `tcpdump`.
   */
  readonly pcap?: readonly string[];
  /** What firmware starts: see `boot.order` and `boot.menu`. */
  readonly boot?: BootOptions;
  /**
   * Assignments `path=value` to what is in the definition, as `--set` takes
   * them: `devices.ide.config.disk0.serial=A1`.
   */
  readonly set?: readonly string[];
  /** Which executor: `jit`, the default, uses the interpreter for cold code. */
  readonly accel?: "jit" | "interp";
  /**
   * Let virtual time follow the instruction count instead of the host's clock:
   * a run is then the same each time, to the instruction.
   */
  readonly icount?: boolean;
  /**
   * Record what comes from outside in this file, for `Machine.replay`. Virtual
   * time then follows the instruction count, and disks are on throw-away
   * overlays.
   */
  readonly record?: string;
  /** What is replayed: `Machine.replay` sets it. */
  readonly replay?: Recording;
  /** End the run when the guest resets the machine. */
  readonly noReboot?: boolean;
  /**
   * False: there is no monitor behind Ctrl-A c where somebody sits at a
   * terminal.
   */
  readonly monitor?: boolean;
  /**
   * Takes the log's lines, what a guest does wrong, say; they are dropped when
   * it is absent.
   */
  readonly log?: LogSink;
  /** The folder of snapshots that have a name: the current one when absent. */
  readonly snapshots?: string;
  /** Do not look whether files exist: for printing a definition. */
  readonly skipFiles?: boolean;
}

/** Read, merge and check a definition with what the options lay over it. */
export async function planDefinition(
  definition: string | JsonObject,
  options: LoadOptions,
): Promise<MachinePlan> {
  const document = typeof definition === "string"
    ? await readDefinition(definition)
    : await extendDefinition(
      locate(definition, {
        file: "(the machine definition)",
        directory: Deno.cwd(),
        origin: options.replay === undefined ? undefined : "recording",
      }),
    );
  return await planLocated(document, options);
}

/** The same for a document that has been read. */
export async function planLocated(
  document: Located,
  options: LoadOptions,
  bootsLater = false,
): Promise<MachinePlan> {
  const plan = await planMachine(document, {
    plugins: options.plugins,
    overlays: await optionOverlays(document, options),
    skipFiles: options.skipFiles,
    bootsLater,
  });
  const { initrd, append } = options;
  const isAlone = plan.definition.boot.kernel === undefined;
  if (isAlone && (initrd !== undefined || append !== undefined)) {
    throw optionError(
      initrd !== undefined ? "--initrd" : "--append",
      "there is no kernel that it is for: expected --kernel, too",
    );
  }
  return plan;
}

/** The documents that the options lay over a definition, in order. */
async function optionOverlays(
  document: Located,
  options: LoadOptions,
): Promise<Located[]> {
  const directory = Deno.cwd();
  const overlays: Located[] = [];
  const place = (option: string): Place => ({ file: option, directory });
  const lay = (value: JsonObject, option: string): void => {
    overlays.push(locate(value, place(option)));
  };
  const names = new Set(entriesOf(document, "backends"));
  const layBackend = async (
    type: "char" | "display",
    option: string,
    name: string,
    spec: string,
  ): Promise<void> => {
    if (!names.has(name)) {
      throw new DefinitionError(
        place(option),
        ["backends"],
        `the machine has no backend "${name}"`,
      );
    }
    // Deleted first, so that another plugin's configuration does not remain.
    lay({ backends: { [name]: null } }, option);
    const { plugins } = options;
    const backend = await parseBackend(type, spec, place(option), plugins);
    lay({ backends: { [name]: backend } }, option);
  };
  for (const [n, spec] of serialSpecs(names, options.serial).entries()) {
    if (spec !== undefined) {
      await layBackend("char", `--serial ${spec}`, `serial${n}`, spec);
    }
  }
  const display = displayOption(options);
  if (display !== undefined) {
    const { option, spec } = display;
    await layBackend("display", option, "display", spec);
    const [plugin] = spec.split(SEPARATORS.display);
    overlays.push(...displayMeaning(document, plugin));
  }
  overlays.push(...await driveOverlays(document, options));
  if (options.snapshot) {
    const merged = overlays.reduce(merge, document);
    lay(await snapshotMeaning(merged, options.plugins), "--snapshot");
  }
  const { nics = [], pcap = [], plugins } = options;
  overlays.push(...await nicMeaning(document, nics, plugins));
  if (pcap.length > 0) {
    const merged = overlays.reduce(merge, document);
    overlays.push(...await captureMeaning(merged, pcap, plugins));
  }
  if (options.boot !== undefined) {
    const { option = "--boot", ...boot } = options.boot;
    lay({ boot }, option);
  }
  const { firmware, kernel, initrd, append, memory, cpu, smp } = options;
  if (firmware !== undefined) lay({ boot: { firmware } }, "--firmware");
  // A kernel starts without the firmware that the definition names.
  else if (kernel !== undefined) lay({ boot: { firmware: null } }, "--kernel");
  if (kernel !== undefined) lay({ boot: { kernel } }, "--kernel");
  if (initrd !== undefined) lay({ boot: { initrd } }, "--initrd");
  if (append !== undefined) lay({ boot: { append } }, "--append");
  if (cpu !== undefined) lay({ cpu: { model: cpu } }, "--cpu");
  if (smp !== undefined) lay({ cpu: { count: smp } }, `--smp ${smp}`);
  if (memory !== undefined) {
    if (parseSize(memory) === undefined) {
      throw new DefinitionError(
        place("--memory"),
        [],
        `expected a size such as 256M, not "${memory}"`,
      );
    }
    if (!entriesOf(document, "memories").includes("ram")) {
      throw new DefinitionError(
        place("--memory"),
        ["memories"],
        'the machine has no memory "ram"',
      );
    }
    lay({ memories: { ram: { size: memory } } }, "--memory");
  }
  if (options.accel !== undefined) {
    lay({ translator: { accel: options.accel } }, "--accel");
  }
  if (options.icount) lay({ time: { mode: "icount" } }, "--icount");
  for (const assignment of options.set ?? []) {
    overlays.push(parseSet(assignment, directory));
  }
  if (options.record !== undefined) {
    const merged = overlays.reduce(merge, document);
    const time: JsonObject = { mode: "icount", precise: true };
    if (at(merged, ["time", "epoch"]).kind !== "value") {
      time.epoch = Date.now();
    }
    const boot: JsonObject = {};
    if (at(merged, ["boot", "seed"]).kind !== "value") {
      boot.seed = crypto.getRandomValues(new Uint8Array(32)).toHex();
    }
    lay({ time, boot }, "--record");
    lay(await snapshotMeaning(merged, options.plugins), "--record");
  }
  return overlays;
}

/** What is said of the display, and by which option. */
function displayOption(
  { display, vnc }: LoadOptions,
): { option: string; spec: string } | undefined {
  if (vnc !== undefined) {
    const option = `--vnc ${vnc}`;
    if (display === undefined) return { option, spec: `vnc=${vnc}` };
    throw optionError(option, "--vnc and --display are both there");
  }
  return display === undefined
    ? undefined
    : { option: `--display ${display}`, spec: display };
}

/** What the drives mean, those with an index first: others take what is left. */
async function driveOverlays(
  document: Located,
  { drives = [], cdrom, floppy = [], plugins }: LoadOptions,
): Promise<Located[]> {
  const layer = new DriveLayer(document, plugins);
  const all: DriveOptions[] = [...drives];
  if (cdrom !== undefined) {
    const option = `--cdrom ${cdrom}`;
    const place = layer.cdrom(option);
    all.push({ file: cdrom, media: "cdrom", option, ...place });
  }
  for (const file of floppy) {
    all.push({ file, if: "floppy", option: `--floppy ${file}` });
  }
  const fixed = (drive: DriveOptions): number =>
    drive.index === undefined ? 1 : 0;
  const overlays: Located[] = [];
  for (const drive of all.sort((a, b) => fixed(a) - fixed(b))) {
    overlays.push(...await layer.meaning(drive));
  }
  return overlays;
}

/** The keys of one of the definition's top-level objects. */
function entriesOf(document: Located, key: string): string[] {
  if (document.kind !== "object") return [];
  const inner = document.entries.get(key);
  return inner?.kind === "object" ? [...inner.entries.keys()] : [];
}

/** What each serial port is to be connected to. */
function serialSpecs(
  backends: ReadonlySet<string>,
  serial: LoadOptions["serial"],
): readonly (string | undefined)[] {
  if (serial !== undefined) return serial;
  const specs: string[] = [];
  for (let n = 0; backends.has(`serial${n}`); n++) specs.push("memory");
  return specs;
}

/** What stands between a backend's name and its value. */
const SEPARATORS = { char: ":", display: "=" } as const;

/** `file:out.log` or `vnc=:1` as a backend's definition. */
async function parseBackend(
  type: "char" | "display",
  spec: string,
  place: Place,
  plugins: PluginTable,
): Promise<JsonObject> {
  const separator = spec.indexOf(SEPARATORS[type]);
  const name = separator < 0 ? spec : spec.slice(0, separator);
  const known = Object.keys(plugins[type] ?? {});
  if (!known.includes(name)) {
    throw new DefinitionError(
      place,
      [],
      `there is no ${type} backend "${name}"${suggest(name, known)}`,
    );
  }
  if (separator < 0) return { plugin: name };
  try {
    const plugin = await loadPlugin([type], name, place, plugins);
    const { parse } = plugin as BackendPlugin;
    if (parse === undefined) {
      throw new PluginError(`the ${type} backend "${name}" takes no argument`);
    }
    return { plugin: name, config: parse(spec.slice(separator + 1)) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DefinitionError(place, [], error.message);
  }
}
