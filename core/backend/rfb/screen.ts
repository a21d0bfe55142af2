/**
 * A screen that several viewers look at, whatever carries their connections.
 *
 * Nobody looks at the guest's screen unless a viewer has asked for what is new,
 * and the device is asked once for all of them.
 *
 * @module
 */

import type { Picture, PictureSource } from "../display.ts";
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
}

/** A screen for viewers of the RFB protocol. */
export class RfbScreen {
  readonly #options: RfbScreenOptions;
  readonly #host: ViewerHost;
  readonly #viewers = new Map<Viewer, Promise<void>>();
  /** Those who are past the handshake. */
  readonly #admitted = new Set<Viewer>();
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

  /** Show this picture. */
  show(source: PictureSource): void {
    this.#source = source;
    this.#watched = false;
    for (const viewer of this.#viewers.keys()) viewer.restart();
  }

  /** Somebody has connected; it may be too late. */
  connect(connection: RfbConnection): void {
    if (this.#closed) return connection.close();
    const viewer = new Viewer(this.#host, connection);
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
  }

  /** The configuration says whether they share, whatever they ask for. */
  #admit(viewer: Viewer): void {
    if (!this.#options.shared) {
      for (const other of this.#admitted) other.close();
    }
    this.#admitted.add(viewer);
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
