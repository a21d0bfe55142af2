/**
 * Network backends: Ethernet frames in both directions, without the checksum.
 *
 * @module
 */

/** A network, as a network card sees it. */
export interface NetBackend {
  /** A frame from the guest. The backend may keep the bytes. */
  send(frame: Uint8Array): void;
  /** Where frames to the guest go; one receiver, called between slices. */
  onFrame(receiver: (frame: Uint8Array) => void): void;
  /** Let go of the network. */
  close(): Promise<void>;
}
