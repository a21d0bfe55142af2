/**
 * The contract `setup-memory`: battery-backed memory in which a machine's
 * hardware is written down for its firmware, as the CMOS of a PC.
 *
 * A setup program would have written it when the machine was put together.
 * Here each device that firmware must know of tells it when it is created.
 *
 * @module
 */

/** The contract `setup-memory`. */
export interface SetupMemory {
  /**
   * Set the bits of `mask` in the byte at `index` to those of `value`, in the
   * memory as it is at power-on and now, and what protects it (a checksum).
   */
  preset(index: number, mask: number, value: number): void;
}
