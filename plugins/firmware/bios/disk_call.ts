/**
 * What the functions of INT 13h have in common: they begin to move sectors,
 * wait, and return with a status.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { FIRST_DISK } from "./drives.ts";
import { type Frame, Status } from "./frame.ts";
import { Bda } from "./layout.ts";
import { DiskStatus } from "./transfer.ts";

/** Return with a status. */
export function finish(bios: Bios, frame: Frame, status: number): Status {
  const field = frame.dl < FIRST_DISK ? Bda.FLOPPY_STATUS : Bda.DISK_STATUS;
  bios.guest.set8(field, status);
  frame.ah = status;
  frame.carry = status !== DiskStatus.OK;
  return Status.DONE;
}

/** Begin to move sectors; the caller waits for `finished`. */
export function begin(
  bios: Bios,
  frame: Frame,
  kind: "read" | "write" | "format",
  sector: number,
  count: number,
  address: number,
): Status {
  bios.requests.start({
    frame: frame.address,
    kind,
    drive: frame.dl,
    sector,
    count,
    address,
  });
  bios.unmaskWake();
  return Status.WAIT;
}

/** The status of what the caller began; undefined while it is under way. */
export function finished(bios: Bios, frame: Frame): number | undefined {
  const request = bios.requests.find(frame.address);
  // Forgotten, when there were too many.
  if (request === undefined) return DiskStatus.TIMEOUT;
  if (!request.done) return undefined;
  bios.requests.end(frame.address);
  return request.status;
}
