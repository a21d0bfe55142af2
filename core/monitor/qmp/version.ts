/**
 * Which QEMU a client may take this for.
 *
 * @module
 */

import { VERSION as RHEA } from "../../version.ts";

/** The release of QEMU whose schema the commands are those of, and whose this is. */
export const VERSION = {
  qemu: { major: 7, minor: 2, micro: 0 },
  package: `rhea ${RHEA}`,
} as const;
