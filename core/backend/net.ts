/**
 * Network backends: Ethernet frames in both directions, without preamble and
 * frame check sequence.
 *
 * Both sides are called between instructions or from the host's event loop, and
 * neither calls the other back within its call: what a frame leads to comes
 * later.
 *
 * @module
 */

/**
 * What a frame leaves to whoever takes it: sums that are not computed, and one
 * frame in place of several. It is what virtio-net's header says of a packet.
 */
export interface FrameOffload {
  /**
   * The Internet checksum from byte `start` to the end is to be stored at
   * `start + offset`, where that of the pseudo header stands.
   */
  readonly checksum?: { readonly start: number; readonly offset: number };
  /**
   * TCP to be cut into segments with so many bytes of payload each; the first
   * `headers` bytes of the frame are before its payload. The length in the IP
   * header may be wrong.
   */
  readonly segments?: {
    readonly kind: "tcp4" | "tcp6";
    readonly bytes: number;
    readonly headers: number;
  };
}

/** A network card, as a network sees it. */
export interface NetCard {
  /** Whether `receive` takes frames with an offload, of up to 64 KiB. */
  readonly offload: boolean;
  /**
   * A frame for the guest; the card may keep the bytes until it returns. False:
   * there is no room, the frame was not taken, and the card calls `ready` of its
   * backend when there is. What comes from a real network is lost then.
   */
  receive(frame: Uint8Array, offload?: FrameOffload): boolean;
}

/** A network, as a network card sees it. */
export interface NetBackend {
  /** Whether `send` takes frames with an offload, of up to 64 KiB. */
  readonly offload: boolean;
  /** The card that stands on it: called once, when its device is made. */
  attach(card: NetCard): void;
  /** A frame from the guest. The backend may keep the bytes until it returns. */
  send(frame: Uint8Array, offload?: FrameOffload): void;
  /** The card has room again. */
  ready(): void;
  /** What passes through it now, in lines, for people. */
  describe?(): Iterable<string>;
  /**
   * The guest has gone back to what it was at another time: a network that
   * remembers connections of the guest's forgets them.
   */
  guestReplaced?(): void;
  /**
   * Lead a port of the host's to the guest, said as the backend's configuration
   * says it; throws an `Error` when it is not understood, or cannot be had.
   */
  addForward?(forward: string): Promise<void>;
  /**
   * End that: the port as it was said, without where it leads. Connections go
   * on. False when there is none; throws an `Error` when it is not understood.
   */
  removeForward?(port: string): boolean;
  /** Let go of the network. */
  close(): Promise<void>;
}
