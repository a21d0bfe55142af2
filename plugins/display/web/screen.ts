/**
 * The screen on pages' sockets: noVNC is a viewer like those that reach a VNC
 * server by TCP, and is served by the same code.
 *
 * @module
 */

import type { Picture, PictureSource } from "../../../core/backend/display.ts";
import type { InputQueue } from "../../../core/backend/input_queue.ts";
import type { Logger } from "../../../core/machine/plugin.ts";
import { Viewer, type ViewerHost } from "../vnc/viewer.ts";
import { SocketStream } from "./socket_stream.ts";
import type { PageSocket, SocketEvents } from "./socket.ts";

/** What is shown where no device has a picture. */
const BLANK: Picture = {
  width: 640,
  height: 400,
  pixels: new Uint8Array(640 * 400 * 4),
  generation: 1,
  changed: [],
};

/** A screen that several pages may look at. */
export class WebScreen {
  readonly #viewers = new Map<Viewer, Promise<void>>();
  readonly #host: ViewerHost;
  #source: PictureSource | undefined;
  /** Viewers that want to know of the next change. */
  #watching = new Set<Viewer>();
  #watched = false;

  /** A screen whose viewers type into `input`. */
  constructor(input: InputQueue, log: Logger) {
    this.#host = {
      // Who has come so far has shown the token, if there is one.
      password: undefined,
      look: (since) => this.#source?.look(since) ?? BLANK,
      lights: () => input.lights,
      watch: (viewer) => this.#watch(viewer),
      send: (events) => input.send(events),
      admit() {},
      warn: (message) => log.warn(message),
    };
    input.watchLights(() => {
      for (const viewer of this.#viewers.keys()) viewer.notify();
    });
  }

  /** How many look at it. */
  get viewers(): number {
    return this.#viewers.size;
  }

  /** Show this picture. */
  show(source: PictureSource): void {
    this.#source = source;
    this.#watched = false;
    for (const viewer of this.#viewers.keys()) viewer.restart();
  }

  /** A page wants to see it. */
  connect(page: PageSocket): SocketEvents {
    const stream = new SocketStream(page);
    const viewer = new Viewer(this.#host, stream);
    this.#viewers.set(
      viewer,
      viewer.run().catch((error) => {
        this.#host.warn(`a page's screen failed: ${error}`);
      }).finally(() => {
        this.#viewers.delete(viewer);
        this.#watching.delete(viewer);
      }),
    );
    return {
      message: (bytes) => stream.take(bytes),
      closed: () => stream.end(),
    };
  }

  /** The device is asked once for all viewers. */
  #watch(viewer: Viewer): void {
    this.#watching.add(viewer);
    const source = this.#source;
    if (this.#watched || source === undefined) return;
    this.#watched = true;
    source.watchPicture(() => {
      if (source !== this.#source) return;
      this.#watched = false;
      const viewers = this.#watching;
      this.#watching = new Set();
      for (const waiting of viewers) waiting.notify();
    });
  }

  /** Resolves when all viewers have gone, whose sockets are closed. */
  async ended(): Promise<void> {
    await Promise.all(this.#viewers.values());
  }
}
