/**
 * Registers of different widths side by side, as virtio's PCI structures have
 * them.
 *
 * @module
 */

import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";

/** A register: its offset and its width in bytes. */
export type Field = readonly [offset: number, width: AccessWidth];

/**
 * A handler for these registers: `get` and `set` are asked about whole ones, by
 * their offsets. Bytes between them read as zero; a write that covers only a
 * part of a register leaves it as it is.
 */
export function fieldHandler(
  fields: readonly Field[],
  get: (field: number) => number,
  set: (field: number, value: number) => void,
): IoHandler {
  const end = Math.max(...fields.map(([offset, width]) => offset + width));
  /** By byte: the offset of its register, or -1; and the register's width. */
  const starts = new Int16Array(end + 4).fill(-1);
  const widths = new Uint8Array(end + 4);
  for (const [offset, width] of fields) {
    starts.fill(offset, offset, offset + width);
    widths[offset] = width;
  }
  return {
    read(offset, width) {
      if (widths[offset] === width) return get(offset);
      let value = 0;
      for (let i = 0; i < width;) {
        const at = offset + i;
        const start = starts[at] ?? -1;
        if (start < 0) {
          i++;
          continue;
        }
        const whole = get(start);
        const last = Math.min(start + widths[start], offset + width);
        for (let byte = at; byte < last; byte++, i++) {
          value += (whole >>> 8 * (byte - start) & 0xff) * 2 ** (8 * i);
        }
      }
      return value;
    },
    write(offset, width, value) {
      for (let i = 0; i < width; i++) {
        const own = widths[offset + i] ?? 0;
        if (own === 0 || i + own > width) continue;
        const part = Math.floor(value / 2 ** (8 * i));
        set(offset + i, own === 4 ? part : part % 2 ** (8 * own));
      }
    },
  };
}
