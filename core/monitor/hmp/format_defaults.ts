/**
 * The format that a command had last.
 *
 * @module
 */

import type { DumpFormat } from "./format.ts";

/** What the next format is when a command does not say it. */
export interface FormatDefaults {
  /** The format. */
  format: DumpFormat["format"];
  /** The size of a value in bytes. */
  size: DumpFormat["size"];
}
