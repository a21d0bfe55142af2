/**
 * Changes the media of a machine's drives while it runs.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import type { RemovableDrive, RemovableMedia } from "../backend/removable.ts";
import { ReplayError } from "../replay/error.ts";
import type { Channel } from "../replay/inputs.ts";
import type { Parts } from "./parts.ts";
import { createLogger } from "./logger.ts";
import type { BlockPlugin, Device } from "./plugin.ts";
import { loadPlugin } from "./registry.ts";
import { resolve } from "./path.ts";
import { applySchema, isUrl } from "./schema.ts";
import type { ConfigSchema, JsonObject } from "./schema_types.ts";

/** A medium cannot be changed: one line that says why. */
export class MediaError extends Error {
  /** The name of the error's class. */
  override readonly name = "MediaError";
}

/** A block backend, as a definition's `backends` says it. */
export interface Medium {
  /** The plugin: `raw`, `qcow2`. */
  readonly plugin: string;
  /** Its configuration; paths are relative to the current directory. */
  readonly config?: JsonObject;
}

/** How a medium is changed. */
export interface ChangeOptions {
  /** Take the old one out though the guest has locked it in. */
  readonly force?: boolean;
  /** A snapshot says it: only plugins that have names, or that the machine has. */
  readonly isForeign?: boolean;
  /** Who says it has the drives alone: see `Media.alone`. */
  readonly isAlone?: boolean;
}

/** A change of a recorded run. */
interface Change {
  readonly drive: string;
  /** What comes in; absent where it is only taken out. */
  readonly medium?: Medium;
  /** The tray moves, and nothing else. */
  readonly tray?: "open" | "close";
  readonly force: boolean;
  /** What the medium is known by. */
  readonly identity?: string;
  /** It is open already. */
  readonly backend?: BlockBackend;
}

/** What is in a drive. */
export interface DriveContent {
  /** As the drive has it. */
  readonly inDrive: BlockBackend | undefined;
  /** Its backend. */
  readonly backend: BlockBackend | undefined;
  /** One to insert again, if it was put in since the machine was built. */
  readonly medium: Medium | undefined;
  /** Whether it is something else than when the machine was built. */
  readonly isChanged: boolean;
}

/** What is in all drives, for `Media.restore`. */
export interface MediaMark {
  /** See `Media.changes`. */
  readonly changes: number;
  /** By drive. */
  readonly contents: ReadonlyMap<string, DriveContent>;
}

/** The drives of a machine whose media can be changed. */
export class Media {
  readonly #parts: Parts;
  /** The way in while a run is recorded or replayed. */
  readonly #timed: Channel<Change> | undefined;
  #changes = 0;
  /** The drives by device and backend role, as `ide.disk2`. */
  readonly drives: ReadonlyMap<string, RemovableDrive>;
  /** What is in the drives. */
  #contents = new Map<string, DriveContent>();
  /** While a replay may go back: what each change has brought, by its number. */
  readonly #brought = new Map<number, DriveContent>();
  /** And all media that there have been; undefined: they are closed when they are out. */
  #kept: Set<BlockBackend> | undefined;
  #closed = false;
  /** A snapshot is saved or loaded: resolves when that is done. */
  #alone: Promise<void> | undefined;

  /** The drives of a machine made of these parts. */
  constructor(parts: Parts) {
    this.#parts = parts;
    const drives = new Map<string, RemovableDrive>();
    for (const { name, plugin } of parts.plan.devices) {
      if (!plugin.provides?.includes("removable-media")) continue;
      const { removable } = parts.devices.get(name) as Device & RemovableMedia;
      for (const [role, drive] of removable) {
        const key = `${name}.${role}`;
        drives.set(key, drive);
        this.#contents.set(key, {
          inDrive: drive.medium,
          backend: parts.backends.get(this.#keyOf(key)) as
            | BlockBackend
            | undefined,
          medium: undefined,
          isChanged: false,
        });
        drive.onTray = (open) =>
          parts.events.emit({ type: "tray", drive: key, open });
      }
    }
    this.drives = drives;
    this.#timed = parts.inputs?.channel<Change>({
      name: "media",
      encode: ({ backend: _, ...change }) =>
        new TextEncoder().encode(JSON.stringify(change)),
      decode: decodeChange,
      deliver: (change) => this.#carryOut(change),
      waits: true,
    });
  }

  /** How often a medium was put in or taken out. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Put a medium in a drive, in place of what is there. Throws a `MediaError`
   * when there is no such drive or the guest has locked it, and what opening
   * the medium throws; the old one stays in then.
   */
  async insert(
    name: string,
    medium: Medium,
    { force = false, isForeign = false, isAlone = false }: ChangeOptions = {},
  ): Promise<void> {
    this.#mustListen();
    const drive = this.#drive(name);
    const { backend, config } = await this.#open(name, medium, isForeign);
    await this.#untilFree(isAlone);
    // Whoever reads it later may be in another folder.
    const opened = { ...medium, config };
    if (this.#isTimed) {
      const { identifyDisk } = await import("../replay/identity.ts");
      return await this.#timed!.submit({
        drive: name,
        medium: opened,
        force,
        identity: await identifyDisk(backend),
        backend,
      });
    }
    await this.#insert(name, drive, opened, backend, force);
  }

  async #insert(
    name: string,
    drive: RemovableDrive,
    medium: Medium,
    backend: BlockBackend,
    force: boolean,
  ): Promise<void> {
    if (this.#closed) {
      await backend.close();
      throw new MediaError("the machine is stopped");
    }
    // A locked tray with nothing in it has nothing to wait for.
    const isIdle = drive.locked && drive.medium === undefined;
    if (!isIdle && !drive.eject(force)) {
      await backend.close();
      throw this.#locked(name);
    }
    await this.#change(name, drive, backend, medium);
  }

  /** What was put in a drive, if something was since the machine was built. */
  inserted(name: string): Medium | undefined {
    return this.#contents.get(name)?.medium;
  }

  /**
   * Take out what is in a drive. Throws a `MediaError` when there is no such
   * drive or the guest has locked it; the guest is told that someone asks.
   */
  async eject(
    name: string,
    { force = false, isAlone = false }: ChangeOptions = {},
  ): Promise<void> {
    this.#mustListen();
    const drive = this.#drive(name);
    await this.#untilFree(isAlone);
    if (this.#isTimed) return await this.#timed!.submit({ drive: name, force });
    await this.#eject(name, drive, force);
  }

  /**
   * Push a drive's button: its tray opens, unless the guest has locked it and is
   * only told that someone asks. Throws a `MediaError` when there is no such
   * drive.
   */
  async openTray(
    name: string,
    { force = false }: ChangeOptions = {},
  ): Promise<void> {
    await this.#moveTray({ drive: name, force, tray: "open" });
  }

  /** Close the tray, whatever lies in it. Throws a `MediaError` when there is no such drive. */
  async closeTray(name: string): Promise<void> {
    await this.#moveTray({ drive: name, force: false, tray: "close" });
  }

  async #moveTray(change: Change): Promise<void> {
    this.#mustListen();
    this.#drive(change.drive);
    await this.#untilFree();
    if (this.#isTimed) return await this.#timed!.submit(change);
    await this.#carryOut(change);
  }

  /**
   * Do something for which all drives must stay as they are, as saving or
   * loading a snapshot, which alone may change them meanwhile.
   */
  async alone<T>(action: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#alone = promise;
    try {
      return await action();
    } finally {
      this.#alone = undefined;
      resolve();
    }
  }

  /** Wait until nobody needs the drives as they are, unless it is who does. */
  async #untilFree(isAlone = false): Promise<void> {
    while (this.#alone !== undefined && !isAlone) await this.#alone;
  }

  async #eject(
    name: string,
    drive: RemovableDrive,
    force: boolean,
  ): Promise<void> {
    if (!drive.eject(force)) throw this.#locked(name);
    await this.#change(name, drive, undefined, undefined);
  }

  /** What is in each drive: one to insert again, or undefined. */
  get contents(): ReadonlyMap<string, Medium | undefined> {
    return new Map([...this.drives.keys()].map((name) => {
      const { isChanged, medium } = this.#contents.get(name)!;
      return [name, isChanged ? medium : this.planned(name)];
    }));
  }

  /** Whether a drive has something else than at the machine's start. */
  isChanged(name: string): boolean {
    return this.#contents.get(name)?.isChanged ?? false;
  }

  /** What a drive has at the machine's start; undefined for nothing. */
  planned(name: string): Medium | undefined {
    const { plan } = this.#parts;
    const [device, role] = name.split(".");
    const planned = plan.devices.find((d) => d.name === device);
    const backend = planned?.backends.get(role);
    const found = plan.backends.find((b) => b.name === backend);
    if (found === undefined) return undefined;
    const { plugin } = plan.definition.backends[found.name];
    return { plugin, config: found.config as JsonObject };
  }

  /** A change of a run that is recorded or replayed, whose time has come. */
  async #carryOut(change: Change): Promise<void> {
    const { drive: name, medium, force, identity, tray } = change;
    const drive = this.#drive(name);
    if (tray === "open") return void drive.eject(force);
    if (tray === "close") return drive.close();
    if (medium === undefined) return await this.#eject(name, drive, force);
    // Where a replay has gone back it is open already.
    const known = change.backend ??
      this.#brought.get(this.#changes + 1)?.backend;
    const backend = known ?? (await this.#open(name, medium)).backend;
    if (known === undefined) {
      const { identifyDisk } = await import("../replay/identity.ts");
      if (await identifyDisk(backend) !== identity) {
        await backend.close();
        throw new ReplayError(
          "mismatch",
          `Cannot replay: the medium of "${name}" is not what it was when ` +
            `the run was recorded`,
        );
      }
    }
    await this.#insert(name, drive, medium, backend, force);
  }

  /** The machine is stopped: nothing is put in any more. */
  close(): void {
    this.#closed = true;
  }

  /** Let go of media that are in no drive; those that are belong to the machine. */
  async closeKept(): Promise<void> {
    const inDrives = new Set<unknown>(this.#parts.backends.values());
    for (const backend of this.#kept ?? []) {
      if (!inDrives.has(backend)) await backend.close();
    }
  }

  // Of a run that is recorded or replayed.

  /** Whether changes go through the channel now: the machine has its first state. */
  get #isTimed(): boolean {
    return this.#timed !== undefined && this.#parts.requests.isReady;
  }

  /** Throws a `MediaError` in a replay. */
  #mustListen(): void {
    const { inputs, requests } = this.#parts;
    if (inputs?.isLive === false && requests.isReady) {
      throw new MediaError("a replay has the media that were recorded");
    }
  }

  /** Keep what is taken out: it may be put in again by `restore`. */
  keep(): void {
    this.#kept ??= new Set();
  }

  /** What is in the drives now. */
  get mark(): MediaMark {
    return { changes: this.#changes, contents: new Map(this.#contents) };
  }

  /** Make it what it was, after `keep`; the drives' own state is loaded then. */
  restore({ changes, contents }: MediaMark): void {
    const { backends } = this.#parts;
    this.#changes = changes;
    for (const [name, content] of contents) {
      const key = this.#keyOf(name);
      if (content.backend === undefined) backends.delete(key);
      else backends.set(key, content.backend);
      const drive = this.#drive(name);
      if (drive.medium !== content.inDrive) drive.insert(content.inDrive);
    }
    this.#contents = new Map(contents);
  }

  #drive(name: string): RemovableDrive {
    const drive = this.drives.get(name);
    if (drive !== undefined) return drive;
    const known = [...this.drives.keys()].join(", ") || "none";
    throw new MediaError(
      `there is no drive "${name}" with removable media; there are: ${known}`,
    );
  }

  #locked(name: string): MediaError {
    return new MediaError(`the guest has locked the drive "${name}"`);
  }

  async #open(
    name: string,
    medium: Medium,
    isForeign = false,
  ): Promise<{ backend: BlockBackend; config: JsonObject }> {
    const { options: { plugins, replay }, log, plan } = this.#parts;
    const isKnown = Object.values(plan.definition.backends)
      .some(({ plugin }) => plugin === medium.plugin);
    const recorded = replay === undefined ? undefined : "recording";
    const origin = isForeign ? "snapshot" : recorded;
    const plugin = await loadPlugin(
      ["block"],
      medium.plugin,
      { directory: Deno.cwd(), origin: isKnown ? undefined : origin },
      plugins,
    ) as BlockPlugin;
    const given = absolute(medium.config ?? {}, plugin.config);
    // As all disks of a recorded run.
    const { properties = {} } = plugin.config ?? {};
    const snapshot = this.#timed && "snapshot" in properties;
    const config = applySchema(
      plugin.config,
      snapshot ? { ...given, snapshot } : given,
    ) as JsonObject;
    const [problem] = await plugin.check?.(config) ?? [];
    if (problem !== undefined) throw new MediaError(problem);
    const backend = await plugin.create(config, {
      name,
      log: createLogger(name, log.write),
      quit: () => {},
    });
    return { backend, config };
  }

  /** The name of a drive's backend. */
  #keyOf(name: string): string {
    const [device, role] = name.split(".");
    const planned = this.#parts.plan.devices.find((d) => d.name === device)!;
    return planned.backends.get(role) ?? name;
  }

  /** The new backend takes the old one's place; the old one is closed. */
  async #change(
    name: string,
    drive: RemovableDrive,
    backend: BlockBackend | undefined,
    medium: Medium | undefined,
  ): Promise<void> {
    const { backends, blocks, undo } = this.#parts;
    const key = this.#keyOf(name);
    const old = this.#contents.get(name)!;
    const noted = backend && (undo?.noting(backend) ?? backend);
    const inDrive = noted && blocks.behind(noted, key);
    const isChanged =
      JSON.stringify(medium) !== JSON.stringify(this.planned(name));
    const content = this.#brought.get(++this.#changes) ??
      { inDrive, backend, medium, isChanged };
    drive.insert(content.inDrive);
    if (backend === undefined) backends.delete(key);
    else backends.set(key, backend);
    this.#contents.set(name, content);
    if (this.#kept === undefined) return await old.backend?.close();
    this.#brought.set(this.#changes, content);
    if (old.backend !== undefined) this.#kept.add(old.backend);
    if (backend !== undefined) this.#kept.add(backend);
  }
}

function decodeChange(bytes: Uint8Array): Change {
  let change: Change | null = null;
  try {
    change = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // What is no JSON is no change.
  }
  const medium = change?.medium;
  if (
    typeof change?.drive === "string" && typeof change.force === "boolean" &&
    (medium === undefined || typeof medium?.plugin === "string")
  ) return { ...change, backend: undefined };
  throw new ReplayError("damaged", "a change of a medium is none");
}

/** A configuration that means the same in another working directory. */
function absolute(
  config: JsonObject,
  schema: ConfigSchema | undefined,
): JsonObject {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      const { format } = schema?.properties?.[key] ?? {};
      const isPath = format === "path" || format === "location";
      return typeof value === "string" && isPath && !isUrl(value)
        ? [key, resolve(value)]
        : [key, value];
    }),
  );
}
