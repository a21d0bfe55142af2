/**
 * Drives whose medium is changed while the machine runs: the contract
 * `removable-media` between a device and the machine.
 *
 * @module
 */

import type { BlockBackend } from "./block.ts";

/** A drive with removable media. */
export interface RemovableDrive {
  /** What is in it, or lies in its open tray. */
  readonly medium: BlockBackend | undefined;
  /** Whether it has a tray. */
  readonly hasTray: boolean;
  /** Whether the tray is open; never, where there is none. */
  readonly open: boolean;
  /** Whether the guest prevents removal. */
  readonly locked: boolean;
  /**
   * Called when the tray has opened or closed, if somebody wants to know.
   */
  onTray?: (open: boolean) => void;
  /**
   * Push the button: open the tray. While the guest prevents it, only tell it
   * that someone asks, unless `force` is set. Gives back whether the medium can
   * be taken out.
   */
  eject(force?: boolean): boolean;
  /**
   * Put in a medium, with which the tray is closed, or take out the one that is
   * in, which leaves it open. Whoever gave the old one closes that. A request
   * under way fails.
   */
  insert(medium: BlockBackend | undefined): void;
  /** Close the tray, if there is one and it is open. */
  close(): void;
}

/** A device with such drives: the contract `removable-media`. */
export interface RemovableMedia {
  /** The drives by the names of their backends. */
  readonly removable: ReadonlyMap<string, RemovableDrive>;
}
