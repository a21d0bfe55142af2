/**
 * What a keyboard controller and the devices on its two ports are to each
 * other.
 *
 * @module
 */

/** A keyboard or mouse, as its controller sees it. */
export interface Ps2Device {
  /** The host sends a byte. */
  receive(byte: number): void;
  /**
   * The device's next byte, taken out of its queue, or -1. The controller
   * asks when it has room.
   */
  take(): number;
}

/** A controller, as the device on one of its ports sees it. */
export interface Ps2Host {
  /** The device has a byte for `take`. */
  notify(): void;
}

/** The contract `ps2-controller`: what a keyboard or mouse attaches to. */
export interface Ps2Controller {
  /** Attach a device to the keyboard's port or the auxiliary one. */
  attach(port: "keyboard" | "auxiliary", device: Ps2Device): Ps2Host;
}
