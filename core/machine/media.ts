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
}

/** A change of a recorded run. */
interface Change {
  readonly drive: string;
  /** What comes in; absent where it is only taken out. */
  readonly medium?: Medium;
  readonly force: boolean;
  /** What the medium is known by. */
  readonly identity?: string;
  /** It is open already. */
  readonly backend?: BlockBackend;
}

/** The drives of a machine whose media can be changed. */
export class Media {
  readonly #parts: Parts;
  /** The way in while a run is recorded or replayed. */
  readonly #timed: Channel<Change> | undefined;
  #changes = 0;
  /** The drives by device and backend role, as `ide.disk2`. */
  readonly drives: ReadonlyMap<string, RemovableDrive>;
  /** What is in drives that have been changed; undefined: nothing. */
  readonly #changed = new Map<string, Medium | undefined>();
  #closed = false;

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
    { force = false }: ChangeOptions = {},
  ): Promise<void> {
    const drive = this.#drive(name);
    const { backend, config } = await this.#open(name, medium);
    // Whoever reads it later may be in another folder.
    const opened = { ...medium, config };
    if (this.#timed !== undefined) {
      const { identifyDisk } = await import("../replay/identity.ts");
      return await this.#timed.submit({
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
    await this.#change(name, drive, backend);
    this.#changed.set(name, medium);
  }

  /** What was put in a drive, if something was since the machine was built. */
  inserted(name: string): Medium | undefined {
    return this.#changed.get(name);
  }

  /**
   * Take out what is in a drive. Throws a `MediaError` when there is no such
   * drive or the guest has locked it; the guest is told that someone asks.
   */
  async eject(
    name: string,
    { force = false }: ChangeOptions = {},
  ): Promise<void> {
    const drive = this.#drive(name);
    if (this.#timed !== undefined) {
      return await this.#timed.submit({ drive: name, force });
    }
    await this.#eject(name, drive, force);
  }

  async #eject(
    name: string,
    drive: RemovableDrive,
    force: boolean,
  ): Promise<void> {
    if (!drive.eject(force)) throw this.#locked(name);
    await this.#change(name, drive, undefined);
    this.#changed.set(name, undefined);
  }

  /** What is in each drive: one to insert again, or undefined. */
  get contents(): ReadonlyMap<string, Medium | undefined> {
    const { plan } = this.#parts;
    return new Map([...this.drives.keys()].map((name) => {
      if (this.#changed.has(name)) return [name, this.#changed.get(name)];
      const [device, role] = name.split(".");
      const planned = plan.devices.find((d) => d.name === device)!;
      const backend = planned.backends.get(role);
      const found = plan.backends.find((b) => b.name === backend);
      if (found === undefined) return [name, undefined];
      const { plugin } = plan.definition.backends[found.name];
      return [name, { plugin, config: found.config as JsonObject }];
    }));
  }

  /** A change of a run that is recorded or replayed, whose time has come. */
  async #carryOut(change: Change): Promise<void> {
    const { drive: name, medium, force, identity } = change;
    const drive = this.#drive(name);
    if (medium === undefined) return await this.#eject(name, drive, force);
    const backend = change.backend ?? (await this.#open(name, medium)).backend;
    if (change.backend === undefined) {
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
  ): Promise<{ backend: BlockBackend; config: JsonObject }> {
    const { options: { plugins }, log } = this.#parts;
    const plugin = await loadPlugin(
      ["block"],
      medium.plugin,
      Deno.cwd(),
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

  /** The new backend takes the old one's place; the old one is closed. */
  async #change(
    name: string,
    drive: RemovableDrive,
    backend: BlockBackend | undefined,
  ): Promise<void> {
    const { backends, blocks, plan, undo } = this.#parts;
    this.#changes++;
    const [device, role] = name.split(".");
    const planned = plan.devices.find((d) => d.name === device)!;
    const key = planned.backends.get(role) ?? name;
    const old = backends.get(key);
    const noted = backend && (undo?.noting(backend) ?? backend);
    drive.insert(noted && blocks.behind(noted, key));
    if (backend === undefined) backends.delete(key);
    else backends.set(key, backend);
    await old?.close();
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
