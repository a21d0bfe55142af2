/**
 * What a device is that keeps nothing.
 *
 * @module
 */

import { loadState, type StateRecord } from "../state/state.ts";
import type { Device } from "./plugin.ts";

/** A device without state: its record is empty. */
export class StatelessDevice implements Device {
  readonly #name: string;

  /** One with a name, for messages. */
  constructor(name: string) {
    this.#name = name;
  }

  /** There is nothing to reset. */
  reset(): void {}

  /** An empty record. */
  save(): StateRecord {
    return {};
  }

  /** Takes an empty record; throws a `StateError` for any other. */
  load(record: StateRecord): void {
    loadState({}, record, this.#name);
  }
}
