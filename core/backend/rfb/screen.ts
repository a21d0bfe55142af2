/**
 * A screen that several viewers look at, whatever carries their connections.
 *
 * Nobody looks at the guest's screen unless a viewer has asked for what is new,
 * and the device is asked once for all of them.
 *
 * @module
 */

import type {
  PeerAddress,
  Picture,
  PictureSource,
  ViewerState,
} from "../display.ts";
import type { InputQueue } from "../input_queue.ts";
import type { RfbConnection } from "./byte_reader.ts";
import { Viewer, type ViewerHost } from "./viewer.ts";

/** What is shown where no device has a picture. */
const BLANK: Picture = {
  width: 640,
  height: 400,
  pixels: new Uint8Array(640 * 400 * 4),
  generation: 1,
  changed: [],
};
const NO_SOURCE: PictureSource = {
  look: () => BLANK,
  watchPicture() {},
};

/** What a screen stands on, and who may look at it. */
export interface RfbScreenOptions {
  /** Gets what the viewers type, and their pointers. */
  readonly input: InputQueue;
  /** The password that viewers must know; anybody may look when absent. */
  readonly password?: string;
  /** Several viewers at once; otherwise a new one replaces the last. */
  readonly shared: boolean;
  /** Something is wrong with this program. */
  warn(message: string): void;
  /** A viewer whose address is known has come, got in, or gone. */
  onViewer?(state: ViewerState, peer: PeerAddress): void;
}

/** A screen for viewers of the RFB protocol. */
export class RfbScreen {
  readonly #options: RfbScreenOptions;
  readonly #host: ViewerHost;
  readonly #viewers = new Map<Viewer, Promise<void>>();
  /** Those who are past the handshake. */
  readonly #admitted = new Set<Viewer>();
  /** Where they are, as far as that is known. */
  readonly #peers = new Map<Viewer, PeerAddress>();
  /** Those who want to know of the next change. */
  #watching = new Set<Viewer>();
  #watched = false;
  #source: PictureSource = NO_SOURCE;
  /** Wrong passwords are told one after another: many guess no faster than one. */
  #punished: Promise<void> = Promise.resolve();
  #closed = false;

  /** A screen without a picture. */
  constructor(options: RfbScreenOptions) {
    this.#options = options;
    this.#host = {
      password: options.password,
      look: (since) => this.#source.look(since),
      lights: () => options.input.lights,
      watch: (viewer) => this.#watch(viewer),
      send: (events) => options.input.send(events),
      punish: (wait) => this.#punished = this.#punished.then(wait),
      admit: (viewer) => this.#admit(viewer),
      warn: (message) => options.warn(message),
    };
    options.input.watchLights(() => {
      for (const viewer of this.#viewers.keys()) viewer.notify();
    });
  }

  /** How many see the screen. */
  get viewers(): number {
    return this.#admitted.size;
  }

  /** How many are connected, those who have not begun yet among them. */
  get connections(): number {
    return this.#viewers.size;
  }

  /** Where those are who see the screen. */
  clients(): PeerAddress[] {
    return [...this.#admitted].map((viewer) => this.#peers.get(viewer))
      .filter((peer) => peer !== undefined);
  }

  /** Show this picture. */
  show(source: PictureSource): void {
    this.#source = source;
    this.#watched = false;
    for (const viewer of this.#viewers.keys()) viewer.restart();
  }

  /** Somebody has connected; it may be too late. */
  connect(connection: RfbConnection, peer?: PeerAddress): void {
    if (this.#closed) return connection.close();
    const viewer = new Viewer(this.#host, connection);
    if (peer !== undefined) this.#peers.set(viewer, peer);
    this.#tell("connected", viewer);
    this.#viewers.set(viewer, this.#run(viewer));
  }

  async #run(viewer: Viewer): Promise<void> {
    try {
      await viewer.run();
    } catch (error) {
      this.#options.warn(`a viewer failed: ${error}`);
    }
    this.#viewers.delete(viewer);
    this.#admitted.delete(viewer);
    this.#watching.delete(viewer);
    this.#tell("disconnected", viewer);
    this.#peers.delete(viewer);
  }

  #tell(state: ViewerState, viewer: Viewer): void {
    const peer = this.#peers.get(viewer);
    if (peer !== undefined) this.#options.onViewer?.(state, peer);
  }

  /** The configuration says whether they share, whatever they ask for. */
  #admit(viewer: Viewer): void {
    if (!this.#options.shared) {
      for (const other of this.#admitted) other.close();
    }
    this.#admitted.add(viewer);
    this.#tell("initialized", viewer);
  }

  /** Tell a viewer of the next change; the device is asked once for all. */
  #watch(viewer: Viewer): void {
    this.#watching.add(viewer);
    if (this.#watched) return;
    this.#watched = true;
    const source = this.#source;
    source.watchPicture(() => {
      if (source !== this.#source) return;
      this.#watched = false;
      const viewers = this.#watching;
      this.#watching = new Set();
      for (const waiting of viewers) waiting.notify();
    });
  }

  /** Hang up on everybody. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const viewer of this.#viewers.keys()) viewer.close();
    await Promise.all(this.#viewers.values());
  }
}
