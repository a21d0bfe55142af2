/**
 * Regions that a guest places, as the base address registers of PCI do.
 *
 * @module
 */

import type { AddressSpace, Region } from "./address_space.ts";
import type { AccessWidth, IoHandler } from "./handler.ts";

/**
 * How a region of memory is mapped: `rom` whose writes go to its handler, if it
 * has one, and `io` for its handler alone.
 */
export type MemoryAccess = "ram" | "rom" | "shadow" | "io";

/** Where a device's movable region is, and what moves it. */
export interface RegionMover {
  /** Its base in its space; undefined while it is nowhere. */
  readonly base: number | undefined;
  /**
   * Put it at a base; nowhere, when it would not fit in the space. A region of
   * memory may change what it is: by default it is what it is declared as; and
   * it may have fewer bytes than it is declared with.
   */
  map(base: number, access?: MemoryAccess, size?: number): void;
  /** Put it nowhere. */
  unmap(): void;
}

/** A region to be moved. */
export interface MovableRegionOptions {
  /** Its name, for messages. */
  readonly name: string;
  /** Its size in bytes. */
  readonly size: number;
  /** What it is unless `map` says otherwise. */
  readonly kind: "io" | "ram" | "rom";
  /** No other region of its space may have the same. */
  readonly priority: number;
  /** See `RegionOptions.width`. */
  readonly width?: AccessWidth;
}

/** Movable regions lie below or above all that is fixed. */
const FAR = 2 ** 40;

/** Gives each movable region a priority of its own. */
export class MovablePriorities {
  #count = 0;

  /**
   * The next one: below all earlier movable regions of its kind, and below all
   * fixed ones, or above them when it shadows.
   */
  next(shadows: boolean): number {
    return (shadows ? FAR : -FAR) - this.#count++;
  }
}

/** A region of one space that is moved. */
export class MovableRegion implements RegionMover {
  readonly #space: AddressSpace;
  readonly #options: MovableRegionOptions;
  #handler: IoHandler | undefined;
  #hostOffset = 0;
  #region: Region | undefined;

  /** A region that is nowhere yet. */
  constructor(space: AddressSpace, options: MovableRegionOptions) {
    this.#space = space;
    this.#options = options;
  }

  /** Who answers it. */
  answer(handler: IoHandler): void {
    this.#handler = handler;
  }

  /** Where its memory starts in the backing memory. */
  back(hostOffset: number): void {
    this.#hostOffset = hostOffset;
  }

  /** See `RegionMover.base`. */
  get base(): number | undefined {
    return this.#region?.base;
  }

  /** See `RegionMover.map`. */
  map(
    base: number,
    access?: MemoryAccess,
    size: number = this.#options.size,
  ): void {
    if (!(base >= 0 && base + size <= this.#space.size)) return this.unmap();
    const { kind: own } = this.#options;
    const kind = own === "io" ? own : access ?? own;
    const region = this.#region;
    if (region === undefined) {
      this.#region = this.#space.add({
        ...this.#options,
        base,
        kind,
        size,
        handler: this.#handler,
        hostOffset: own === "io" ? undefined : this.#hostOffset,
      });
      return;
    }
    // Nothing changes for most writes to a base address register.
    const isSame = region.kind === kind && region.base === base &&
      region.size === size;
    if (!isSame) this.#region = this.#space.move(region, base, { kind, size });
  }

  /** See `RegionMover.unmap`. */
  unmap(): void {
    if (this.#region === undefined) return;
    this.#space.remove(this.#region);
    this.#region = undefined;
  }
}
