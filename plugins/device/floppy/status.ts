/**
 * The status registers. Intel 82077AA (290166), "Status, data and control
 * registers".
 *
 * @module
 */

import type { FloppyDrive } from "./drive.ts";
import {
  DOR_SELECT,
  MSR_CMD_BUSY,
  MSR_DIO,
  MSR_NON_DMA,
  MSR_RQM,
  SRA_DIR,
  SRA_HDSEL,
  SRA_INT_PENDING,
  SRA_NOT_DRV2,
  SRA_NOT_INDX,
  SRA_NOT_TRK0,
  SRA_NOT_WP,
  SRB_DRIVE_SEL_0,
  SRB_MOTORS,
  SRB_ONES,
} from "./registers.ts";
import { type FdcState, NEVER } from "./state.ts";

/** SPECIFY's ND: data go through the FIFO rather than by DMA. */
export function isNonDma({ specify }: FdcState): boolean {
  return (specify[1] & 1) !== 0;
}

/** MSR; `toDisk` says where data go if there are any. */
export function mainStatus(state: FdcState, toDisk: boolean): number {
  let busy = 0;
  for (let unit = 0; unit < state.units.length; unit++) {
    if (state.units[unit].seeking !== NEVER) busy |= 1 << unit;
  }
  switch (state.phase) {
    case "reset":
      return 0;
    case "command":
      return MSR_RQM | busy | (state.position > 0 ? MSR_CMD_BUSY : 0);
    case "result":
      return MSR_RQM | MSR_DIO | MSR_CMD_BUSY | busy;
    case "busy":
      return MSR_CMD_BUSY | busy;
    default:
      if (!isNonDma(state)) return MSR_CMD_BUSY | busy;
      return MSR_RQM | (toDisk ? 0 : MSR_DIO) | MSR_NON_DMA | MSR_CMD_BUSY |
        busy;
  }
}

/** SRA, of the selected drive. */
export function statusA(state: FdcState, parts: {
  readonly drives: readonly (FloppyDrive | undefined)[];
  readonly interrupt: boolean;
  readonly side: number;
}): number {
  const unit = state.dor & DOR_SELECT;
  const drive = parts.drives[unit];
  const atTrack0 = drive !== undefined && state.units[unit].head === 0;
  return (parts.interrupt ? SRA_INT_PENDING : 0) |
    (parts.drives[1] === undefined ? SRA_NOT_DRV2 : 0) |
    (atTrack0 ? 0 : SRA_NOT_TRK0) |
    (parts.side !== 0 ? SRA_HDSEL : 0) | SRA_NOT_INDX |
    (drive?.writeProtected === true ? 0 : SRA_NOT_WP) |
    (state.inwards ? SRA_DIR : 0);
}

/** SRB: motors and the selection. */
export function statusB({ dor }: FdcState): number {
  return SRB_ONES | dor >> 4 & SRB_MOTORS |
    ((dor & 1) !== 0 ? SRB_DRIVE_SEL_0 : 0);
}
