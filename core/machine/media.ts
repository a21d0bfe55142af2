/**
 * Changes the media of a machine's drives while it runs.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import type { RemovableDrive, RemovableMedia } from "../backend/removable.ts";
import type { Parts } from "./parts.ts";
import { createLogger } from "./logger.ts";
import type { BlockPlugin, Device } from "./plugin.ts";
import { loadPlugin } from "./registry.ts";
import { applySchema } from "./schema.ts";
import type { JsonObject } from "./schema_types.ts";

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

/** The drives of a machine whose media can be changed. */
export class Media {
  readonly #parts: Parts;
  /** The drives by device and backend role, as `ide.disk2`. */
  readonly drives: ReadonlyMap<string, RemovableDrive>;
  /** What was put in the drives since the machine was built. */
  readonly #inserted = new Map<string, Medium>();
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
    const backend = await this.#open(name, medium);
    if (this.#closed) {
      await backend.close();
      throw new MediaError("the machine is stopped");
    }
    // A closed tray with nothing in it has nothing to wait for.
    if (drive.medium !== undefined && !drive.eject(force)) {
      await backend.close();
      throw this.#locked(name);
    }
    await this.#change(name, drive, backend);
    this.#inserted.set(name, medium);
  }

  /** What was put in a drive, if something was since the machine was built. */
  inserted(name: string): Medium | undefined {
    return this.#inserted.get(name);
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
    if (!drive.eject(force)) throw this.#locked(name);
    await this.#change(name, drive, undefined);
    this.#inserted.delete(name);
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

  async #open(name: string, medium: Medium): Promise<BlockBackend> {
    const { options: { plugins }, log } = this.#parts;
    const plugin = await loadPlugin(
      ["block"],
      medium.plugin,
      Deno.cwd(),
      plugins,
    ) as BlockPlugin;
    const config = applySchema(plugin.config, medium.config ?? {});
    const [problem] = await plugin.check?.(config) ?? [];
    if (problem !== undefined) throw new MediaError(problem);
    return await plugin.create(config, {
      name,
      log: createLogger(name, log.write),
      quit: () => {},
    });
  }

  /** The new backend takes the old one's place; the old one is closed. */
  async #change(
    name: string,
    drive: RemovableDrive,
    backend: BlockBackend | undefined,
  ): Promise<void> {
    const { backends, blocks, plan } = this.#parts;
    const [device, role] = name.split(".");
    const planned = plan.devices.find((d) => d.name === device)!;
    const key = planned.backends.get(role) ?? name;
    const old = backends.get(key);
    drive.insert(backend && blocks.behind(backend, key));
    if (backend === undefined) backends.delete(key);
    else backends.set(key, backend);
    await old?.close();
  }
}
