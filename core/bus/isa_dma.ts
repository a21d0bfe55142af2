/**
 * The contract between ISA devices and the DMA controllers of their bus.
 *
 * A device declares `uses: { dma: "isa-dma" }`, attaches itself to a channel of
 * that collaborator, an `IsaDma`, and moves its bytes by `transfer`: where they
 * go, how many and in which direction is what the guest has programmed.
 *
 * @module
 */

/** The contract `isa-dma`. */
export interface IsaDma {
  /**
   * Connect a device to channel 0 to 7 (4 is the cascade and nobody's).
   * `ready` is called when a channel whose DREQ is high may have become able
   * to transfer. Throws an `Error` that names both devices when the channel is
   * taken; `name` is the device's name in the machine definition.
   */
  attach(name: string, channel: number, ready: () => void): IsaDmaChannel;
}

/** A device's end of a channel. */
export interface IsaDmaChannel {
  /** Whether the last `transfer` ended with the terminal count (EOP#). */
  readonly terminalCount: boolean;
  /** Drive DREQ: what the guest sees in the status register. */
  request(level: boolean): void;
  /**
   * Move bytes to guest memory, or from it into `bytes`. Gives back how many
   * were moved: fewer than all when the terminal count came, none while the
   * channel is masked, disabled or not a channel that addresses memory. A
   * 16-bit channel moves whole words. In a verify transfer, and where the
   * channel is programmed for the other direction, bytes are counted but do
   * not reach memory; what would be read from it is all ones.
   */
  transfer(bytes: Uint8Array, toMemory: boolean): number;
}
