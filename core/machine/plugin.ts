/**
 * The plugin contract.
 *
 * A plugin is an ES module, named by any specifier that Deno can import, whose
 * default export is one of the types here. It declares what it is and needs;
 * the machine checks the declaration against the machine definition before it
 * calls `create`, and hands over exactly what was declared and wired: nothing
 * here leads to the machine itself.
 *
 * @module
 */

import type { AddressSpace } from "../bus/address_space.ts";
import type { AccessWidth, IoHandler } from "../bus/handler.ts";
import type { IrqLine, LineSink } from "../bus/irq_line.ts";
import type { RegionMover } from "../bus/movable_region.ts";
import type { BlockBackend } from "../backend/block.ts";
import type { CharBackend } from "../backend/char.ts";
import type {
  DisplayBackend,
  PeerAddress,
  TextScreen,
  ViewerState,
} from "../backend/display.ts";
import type { ImageFormat } from "../backend/image_format.ts";
import type { InputBackend } from "../backend/input.ts";
import type { NetBackend } from "../backend/net.ts";
import type { Disassembler } from "../cpu/disassembler.ts";
import type { OpenMonitor } from "../monitor/console.ts";
import type { StateRecord } from "../state/state.ts";
import type { Clock } from "../time/clock.ts";
import type { CpuCore, EntryState, InterruptController } from "./cpu.ts";
import type {
  DeviceEvent,
  DeviceEventSpec,
  EventData,
} from "./device_events.ts";
import type { FirmwareTables } from "./firmware.ts";
import type { GuestMemory } from "./memory.ts";
import type { ConfigSchema, JsonObject } from "./schema_types.ts";

export type { ConfigSchema, JsonObject, JsonValue } from "./schema_types.ts";

/** What every plugin says of itself. */
export interface PluginInfo {
  /** The plugin's name, for messages and the schema. */
  readonly name: string;
  /** The plugin's version, as in `1.2.0`. */
  readonly version: string;
  /** One line for the machine schema. */
  readonly description?: string;
  /** The schema of its `config` object; no configuration when absent. */
  readonly config?: ConfigSchema;
}

/** Writes lines of a device's log: once a site and message, unless it says. */
export interface Logger {
  /**
   * The guest did something that the device does not do. Written once for
   * each `site`, a short constant text.
   */
  guest(site: string, details?: string): void;
  /** Something the user should know. */
  warn(message: string): void;
}

/** A region of addresses that a device asks for. */
export interface RegionSpec {
  /** The space it is in unless the definition says otherwise. */
  readonly space: "memory" | "ports";
  /** Its size in bytes. */
  readonly size: number;
  /**
   * `io` (the default) is answered by a handler; `ram` and `rom` are memory
   * that the machine allocates: video memory, an option ROM.
   */
  readonly kind?: "io" | "ram" | "rom";
  /** Where it sits when the definition does not say. */
  readonly at?: number;
  /** The device works when the definition does not place the region. */
  readonly optional?: boolean;
  /**
   * The device places it, and moves it as the guest says, by
   * `DeviceContext.mover`. What is fixed shadows it, and so do movable regions
   * of devices that were created before.
   */
  readonly movable?: boolean;
  /** A movable region that shadows what is fixed instead: shadow RAM. */
  readonly shadows?: boolean;
  /**
   * It answers accesses of just this width, aligned: all others go to what lies
   * beneath.
   */
  readonly width?: AccessWidth;
}

/** A backend that a device asks for. */
export interface BackendSpec {
  /**
   * Its contract. For `input` it may be a display backend that has one, and
   * several devices may stand on one backend.
   */
  readonly type: "char" | "block" | "net" | "display" | "input";
  /** The device works without it. A char backend is always optional. */
  readonly optional?: boolean;
}

/** Bytes of a device's own `ram` or `rom` region. */
export interface RegionMemory {
  /** Offset of the region in the machine's shared memory. */
  readonly offset: number;
  /** The region's bytes. */
  readonly bytes: Uint8Array;
  /**
   * Write to them where the guest may have run what was there: keeps translated
   * code coherent.
   */
  write(offset: number, bytes: Uint8Array): void;
  /**
   * Call `changed` once at the next store of the guest or of a bus master to
   * this region, or when regions move. It is called in the midst of a guest's
   * instruction, before the bytes are there: it should only note it. There is
   * one watcher; the last one counts. False when the machine cannot tell.
   */
  watch(changed: () => void): boolean;
}

/** A device as a machine definition has it. */
export interface SurveyedDevice {
  /** Its name in the definition. */
  readonly name: string;
  /** Its plugin's name. */
  readonly plugin: string;
  /** Its complete configuration, as its plugin declares it. */
  readonly config: unknown;
  /** Where its fixed regions sit, by name. */
  readonly regions: ReadonlyMap<string, {
    /** The space's name. */
    readonly space: string;
    /** The first address. */
    readonly base: number;
    /** The size in bytes. */
    readonly size: number;
  }>;
  /** What its outputs drive: `device.input`, by output. */
  readonly wires: ReadonlyMap<string, readonly string[]>;
  /** Its backends' names, by role. */
  readonly backends: ReadonlyMap<string, string>;
}

/** What a machine definition places. */
export interface MachineSurvey {
  /** The guest's RAM in ascending order, adjacent ranges joined. */
  readonly ram: readonly RamRange[];
  /** All devices, each after those it uses. */
  readonly devices: readonly SurveyedDevice[];
}

/** A device's access to guest memory; keeps translated code coherent. */
export interface DmaPort {
  /** Fill `into` from guest-physical memory at `address`. */
  read(address: number, into: Uint8Array): void;
  /** Write bytes to guest-physical memory at `address`. */
  write(address: number, bytes: Uint8Array): void;
}

/** The ports, as the CPU reaches them. */
export interface PortAccess {
  /** Read `width` bytes at a port, little-endian; all ones where nothing is. */
  read(port: number, width: AccessWidth): number;
  /** Write the low `width` bytes of `value` at a port. */
  write(port: number, width: AccessWidth, value: number): void;
}

/** Everything a device gets. */
export interface DeviceContext {
  /** The device's name in the machine definition. */
  readonly name: string;
  /** Virtual time and timers. */
  readonly clock: Clock;
  /** The log. */
  readonly log: Logger;
  /**
   * An event that the plugin declares in `events`, or one of `COMMON_EVENTS`
   * that whoever works for the device tells for it. To be asked for in
   * `create`.
   *
   * ```ts ignore
   * const command = context.event<{ opcode: number }>("command");
   * // ... where a command begins:
   * if (command.isHeard) command.tell({ opcode });
   * ```
   */
  event<T extends EventData>(name: string): DeviceEvent<T>;
  /** Guest memory, as a bus master. */
  readonly dma: DmaPort;
  /**
   * The ports, for firmware whose services do what code on the CPU would do.
   * Only for a device that declares `usesPorts`; others throw.
   */
  readonly ports: PortAccess;
  /**
   * Answer a declared `io` region. Does nothing for an optional region that
   * the definition does not place.
   */
  io(region: string, handler: IoHandler): void;
  /** The memory of a declared `ram` or `rom` region. */
  memory(region: string): RegionMemory;
  /** Moves a declared movable region, which is nowhere at first. */
  mover(region: string): RegionMover;
  /**
   * The driving end of a declared output line. When the definition connects
   * it to nothing it drives nothing.
   */
  output(name: string): IrqLine;
  /** Receive a declared input line. */
  input(name: string, sink: LineSink): void;
  /**
   * Another device that the definition gives under `use`; it has been created
   * before this one. The name must be declared in `uses`.
   */
  collaborator<T>(name: string): T;
  /**
   * The number of the CPU whose instruction is being executed; 0 between
   * instructions. For what answers each CPU differently at the same address.
   */
  runningCpu(): number;
  /**
   * The guest has set the date: it is so many seconds ahead of where it would
   * be. For the machine's monitors.
   */
  dateSet?(offset: number): void;
  /** A file of `files`; undefined for an optional one that is not there. */
  file(name: string): Uint8Array | undefined;
  /**
   * Every device of the machine that provides a contract, in the definition's
   * order; the contract must be declared in `collects`. All devices are there
   * when the first reset comes, not yet in `create`.
   */
  providers<T>(contract: string): readonly T[];
  /** A char backend by its declared name; a null backend when not wired. */
  char(name: string): CharBackend;
  /**
   * A block backend by its declared name. With `icount` its answers come at
   * virtual times that follow from when the requests are made.
   */
  block(name: string): BlockBackend | undefined;
  /** A network backend by its declared name. */
  net(name: string): NetBackend | undefined;
  /** A display backend by its declared name. */
  display(name: string): DisplayBackend | undefined;
  /** An input backend by its declared name. */
  inputs(name: string): InputBackend | undefined;
  /**
   * End the whole run with this exit status. Only for a device that declares
   * `exits`; others throw.
   */
  exit(status: number): void;
  /**
   * What the machine has, to be told to the guest. Only for a device that
   * declares `surveys`; for others it throws.
   */
  survey(): MachineSurvey;
}

/** A device in a machine. */
export interface Device {
  /** Assign a fresh state, as after power-on, and lower every output. */
  reset(): void;
  /** The whole state as a record. */
  save(): StateRecord;
  /**
   * Restore a saved state, outputs and timers included; throws a `StateError`
   * when it does not fit.
   */
  load(record: StateRecord): void;
  /**
   * What an edge of an input does to its state is not undone by the reverse
   * edge: it keeps when that was, or latches it. While a machine is loaded lines
   * take their levels one by one, and no edge is one that has happened: so it is
   * loaded once more when all others are.
   */
  readonly latchesEdges?: boolean;
  /**
   * The state in lines, for people; without the side effects of reading
   * registers.
   */
  describe?(): Iterable<string>;
  /** How often each of its interrupt inputs has risen, by number. */
  interruptCounts?(): readonly number[];
  /**
   * The guest may be in a network that does not know it: a network card asks it
   * to announce itself, if it can. Called when a snapshot was loaded, but not
   * where runs are to be alike.
   */
  announce?(): void;
  /**
   * Of a network card: whether its cable is in. A person pulls it out and puts
   * it in, not the guest, and a reset does neither.
   */
  cable?: boolean;
}

/** A device's configuration says what cannot be, whatever its schema allows. */
export class ConfigError extends Error {
  /** The name of the error's class. */
  override readonly name = "ConfigError";
  /** The key of the configuration. */
  readonly key: string;

  /** What is wrong with the value of a key. */
  constructor(key: string, message: string) {
    super(message);
    this.key = key;
  }
}

/** A file of the host that a device is given. */
export interface FileSpec {
  /** Its absolute path: a configuration's value of the format `path`. */
  readonly path: string;
  /** The device works without it. */
  readonly optional?: boolean;
}

/** A plugin that makes devices. */
// deno-lint-ignore no-explicit-any
export interface DevicePlugin<C = any> extends PluginInfo {
  /** What kind of plugin this is. */
  readonly type: "device";
  /** The regions it answers, by name. */
  readonly regions?: Readonly<Record<string, RegionSpec>>;
  /** The names of the lines it drives. */
  readonly outputs?: readonly string[];
  /** The names of the lines it receives. */
  readonly inputs?: readonly string[];
  /** The backends it stands on, by name. */
  readonly backends?: Readonly<Record<string, BackendSpec>>;
  /** What it tells of by `DeviceContext.event`, by the event's name. */
  readonly events?: Readonly<Record<string, DeviceEventSpec>>;
  /** Collaborators by name, with the contract each must provide. */
  readonly uses?: Readonly<Record<string, string>>;
  /**
   * The contracts that its devices fulfil beside `Device`, by name. Known to
   * the machine: `interrupt-controller` (`InterruptController`); `text-source`
   * (`TextSource`) and `firmware-tables` (`FirmwareTables`), of which loaders
   * tell the kernel; `picture-source` (`PictureSource`); `power-button` (`PowerButton`); and `removable-media`
   * (`RemovableMedia`).
   */
  readonly provides?: readonly string[];
  /** Contracts of which it wants all who provide them (`providers`). */
  readonly collects?: readonly string[];
  /** It may end the run with a status. */
  readonly exits?: boolean;
  /** It describes the machine to the guest. */
  readonly surveys?: boolean;
  /**
   * The host's files that a device with this configuration is given, by name.
   * The machine checks that they are there and reads them: a device never does.
   */
  files?(config: C): Readonly<Record<string, FileSpec>>;
  /** It reads and writes ports: firmware with services outside the CPU. */
  readonly usesPorts?: boolean;
  /**
   * Names of configuration-dependent declarations: when present, the result
   * replaces the static ones (more UARTs on one chip, say). `sizes` are those
   * of the files that are there, in bytes: of none, when a definition is only
   * printed. Throws a `ConfigError` for what is wrong in the configuration.
   */
  declare?(
    config: C,
    sizes: Readonly<Record<string, number>>,
  ): DeviceDeclaration;
  /**
   * What a kernel must be told on its command line to find a device that is
   * here, as a parameter of Linux's; none when absent or undefined.
   */
  kernelParameter?(device: SurveyedDevice): string | undefined;
  /** Make a device in its reset state. */
  create(config: C, context: DeviceContext): Device | Promise<Device>;
}

/** The declarations that may depend on the configuration. */
export interface DeviceDeclaration {
  /** See `DevicePlugin.regions`. */
  readonly regions?: Readonly<Record<string, RegionSpec>>;
  /** See `DevicePlugin.outputs`. */
  readonly outputs?: readonly string[];
  /** See `DevicePlugin.inputs`. */
  readonly inputs?: readonly string[];
}

/** Everything a CPU gets. */
export interface CpuContext {
  /** The CPU's name in the machine definition. */
  readonly name: string;
  /** The machine's one memory. */
  readonly memory: GuestMemory;
  /** The CPU's number; that of the one which starts first is 0. */
  readonly index: number;
  /** How many CPUs the machine has. They take turns in one thread. */
  readonly count: number;
  /** What the CPUs of the machine have together: made by the first to ask. */
  shared<T>(key: string, make: () => T): T;
  /** Offset in it of this CPU's own area of `CPU_AREA_BYTES` bytes. */
  readonly area: number;
  /** The physical address space. */
  readonly physical: AddressSpace;
  /** The port space, where the definition has one. */
  readonly ports: AddressSpace | undefined;
  /** Who gives interrupt vectors, when the definition says so. */
  readonly interrupts: InterruptController | undefined;
  /**
   * The driving end of a declared output line. When the definition connects
   * it to nothing it drives nothing.
   */
  output(name: string): IrqLine;
  /** Virtual time, for a time stamp counter. */
  readonly clock: Clock;
  /** The log. */
  readonly log: Logger;
  /** Which executor to use. */
  readonly accel: "jit" | "interp";
  /**
   * Whether virtual time follows the instruction count: `run` must then stop
   * exactly at its budget and reading the clock within a run must be exact.
   */
  readonly icount: boolean;
  /**
   * Whether the guest must not be able to tell how its run was divided into
   * calls of `run`: each instruction then sees devices and the clock as if it
   * were run alone. For a run that is recorded or replayed.
   */
  readonly precise: boolean;
}

/** A plugin that makes CPUs. */
// deno-lint-ignore no-explicit-any
export interface CpuPlugin<C = any> extends PluginInfo {
  /** What kind of plugin this is. */
  readonly type: "cpu";
  /** The models that `--cpu` and `"model"` choose from. */
  readonly models: readonly string[];
  /** Those of them that have a 64-bit mode; not known when absent. */
  readonly models64?: readonly string[];
  /** The input lines beside `intr` and `nmi` and `reset`, as `a20`. */
  readonly inputs?: readonly string[];
  /** The names of the lines it drives. */
  readonly outputs?: readonly string[];
  /** What puts its code in words for traces, loaded when one is asked for. */
  disassembler?(): Promise<Disassembler>;
  /** Make a CPU in its reset state. `config.model` is the model's name. */
  create(
    config: C & { model: string },
    context: CpuContext,
  ): CpuCore | Promise<CpuCore>;
}

/** Host permissions that a backend needs, for `rhea permissions`. */
export interface PermissionNeeds {
  /** Files and folders to read. */
  readonly read?: readonly string[];
  /** Files and folders to write. */
  readonly write?: readonly string[];
  /** Hosts to talk to or listen on, as `host:port`. */
  readonly net?: readonly string[];
  /** Environment variables to read. */
  readonly env?: readonly string[];
  /** Programs to run. */
  readonly run?: readonly string[];
  /** Libraries to load. */
  readonly ffi?: readonly string[];
  /** System information to read. */
  readonly sys?: readonly string[];
}

/** Everything a backend gets. */
export interface BackendContext {
  /** The backend's name in the machine definition. */
  readonly name: string;
  /** The log. */
  readonly log: Logger;
  /** The user at the host side wants the run to end (Ctrl-A x). */
  quit(): void;
}

/** The buttons on the machine's front, pressed between slices of its run. */
export interface MachineControl {
  /** Press the reset button. */
  reset(): void;
  /**
   * Press the power button: the guest is asked to switch itself off. The run
   * of a machine that has none ends, as by `BackendContext.quit`.
   */
  pressPowerButton(): void;
}

/** Everything a backend gets at which a human may sit. */
export interface ConsoleContext extends BackendContext {
  /** The machine's buttons. */
  readonly control: MachineControl;
  /** Begins a session of the machine's monitor; absent where it has none. */
  readonly monitor?: OpenMonitor;
  /**
   * What backends of one machine have in common, by a name that they have
   * agreed on: made by the first that asks, in whatever order they are opened.
   */
  shared<T>(name: string, make: () => T): T;
  /** A viewer of the screen has come, got in, or gone: for the machine's monitors. */
  viewer?(state: ViewerState, server: PeerAddress, client: PeerAddress): void;
}

/** What all plugins that make backends have in common. */
export interface BackendPluginBase<C, B, X = BackendContext>
  extends PluginInfo {
  /**
   * It takes this terminal: to read and write a `stream`, or to draw a whole
   * `screen`, beside which nothing else can have it.
   */
  readonly terminal?: "stream" | "screen";
  /** Checks that need the host (files that must exist): messages, or none. */
  check?(config: C): Promise<readonly string[]> | readonly string[];
  /** The host permissions that a backend with this configuration needs. */
  permissions?(config: C): PermissionNeeds | Promise<PermissionNeeds>;
  /**
   * The configuration that the short form on the command line means: for
   * `--serial file:out.log` this gets `out.log`, for `--display vnc=:1` it gets
   * `:1`. Short forms with an argument are errors where this is absent.
   */
  parse?(argument: string): JsonObject;
  /** Open the backend. */
  create(config: C, context: X): B | Promise<B>;
}

/** A plugin that makes char backends. */
// deno-lint-ignore no-explicit-any
export interface CharPlugin<C = any>
  extends BackendPluginBase<C, CharBackend, ConsoleContext> {
  /** What kind of plugin this is. */
  readonly type: "char";
}

/** A plugin that makes block backends. */
// deno-lint-ignore no-explicit-any
export interface BlockPlugin<C = any>
  extends BackendPluginBase<C, BlockBackend> {
  /** What kind of plugin this is. */
  readonly type: "block";
  /** The format that it is, for the tools; loaded when one is called. */
  format?(): Promise<ImageFormat>;
}

/** A plugin that makes network backends. */
// deno-lint-ignore no-explicit-any
export interface NetPlugin<C = any> extends BackendPluginBase<C, NetBackend> {
  /** What kind of plugin this is. */
  readonly type: "net";
}

/** A plugin that makes display backends. */
// deno-lint-ignore no-explicit-any
export interface DisplayPlugin<C = any>
  extends BackendPluginBase<C, DisplayBackend, ConsoleContext> {
  /** What kind of plugin this is. */
  readonly type: "display";
}

/** A plugin that makes input backends. */
// deno-lint-ignore no-explicit-any
export interface InputPlugin<C = any>
  extends BackendPluginBase<C, InputBackend> {
  /** What kind of plugin this is. */
  readonly type: "input";
}

/** A stretch of guest-physical RAM. */
export interface RamRange {
  /** Its first address. */
  readonly base: number;
  /** Its size in bytes. */
  readonly size: number;
}

/** How much of the RAM lies from 4 GiB on, in bytes. */
export function ramAbove4G(ram: readonly RamRange[]): number {
  return ram.filter(({ base }) => base >= 2 ** 32)
    .reduce((sum, { size }) => sum + size, 0);
}

/** A file that a loader gets, already read. */
export interface BootFile {
  /** Its path, for messages and for multiboot modules' command lines. */
  readonly path: string;
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** What the definition wants the guest to be told with it. */
  readonly append?: string;
}

/** Everything a loader gets. */
export interface LoaderContext {
  /** The kernel. */
  readonly kernel: BootFile;
  /** The initial RAM disk, for a protocol that has one. */
  readonly initrd: BootFile | undefined;
  /** Modules, for a protocol that has them; the initrd is the first. */
  readonly modules: readonly BootFile[];
  /** The kernel's command line; empty when none was given. */
  readonly append: string;
  /** Whether the CPU has a 64-bit mode; undefined when that is not known. */
  readonly has64Bit?: boolean;
  /** What the machine adds to Linux's command line. */
  readonly parameters?: readonly string[];
  /** The guest's RAM in ascending order, adjacent ranges joined. */
  readonly ram: readonly RamRange[];
  /** The text screen, when the machine has one that shows text. */
  readonly screen?: TextScreen;
  /** Who places the tables that firmware would, when the machine has any. */
  readonly tables?: FirmwareTables;
  /**
   * 32 random bytes for a kernel that takes a seed, without which it waits for
   * events that it cannot foretell; with `icount` they are always the same.
   */
  readonly seed?: Uint8Array;
  /** Guest-physical memory, to be written. */
  readonly dma: DmaPort;
  /** The log. */
  readonly log: Logger;
}

/** A kernel or its companion cannot be loaded. */
export class LoadError extends Error {
  /** The name of the error's class. */
  override readonly name = "LoadError";
}

/** A plugin that puts a kernel in memory without firmware. */
export interface LoaderPlugin extends PluginInfo {
  /** What kind of plugin this is. */
  readonly type: "loader";
  /** Whether the file is of the kind that this loader loads. */
  probe(image: Uint8Array): boolean;
  /**
   * Load it; gives back how the CPU starts. Throws a `LoadError` that says
   * what was expected. Called again at every reset.
   */
  load(context: LoaderContext): EntryState;
}

/** Any backend plugin. */
export type BackendPlugin =
  | CharPlugin
  | BlockPlugin
  | NetPlugin
  | DisplayPlugin
  | InputPlugin;

/** Any plugin. */
export type Plugin = DevicePlugin | CpuPlugin | BackendPlugin | LoaderPlugin;

/** Gives the plugin back: lets an editor complete and check its fields. */
export function definePlugin<P extends Plugin>(plugin: P): P {
  return plugin;
}
