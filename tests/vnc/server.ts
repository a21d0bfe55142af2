/**
 * A VNC server with a screen that a test draws on.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { InputEvent } from "../../core/backend/input.ts";
import { type VncConfig, VncDisplay } from "../../plugins/display/vnc/vnc.ts";
import { within } from "../limit.ts";
import type { FakeScreen } from "./fake_screen.ts";

/** A server for one test. */
export class Server {
  readonly display: VncDisplay;
  readonly screen: FakeScreen;
  /** What the viewers typed, and their pointers. */
  readonly events: InputEvent[] = [];
  readonly #warnings: string[] = [];

  constructor(screen: FakeScreen, config: Partial<VncConfig> = {}) {
    this.screen = screen;
    this.display = new VncDisplay(
      { address: "127.0.0.1", port: 0, shared: true, ...config },
      { log: { guest() {}, warn: (text) => this.#warnings.push(text) } },
    );
    this.display.picture(screen);
    this.display.input.onEvent((event) => void this.events.push(event));
  }

  /** The port that it listens on. */
  get port(): number {
    return this.display.port;
  }

  /** Wait for so many events, and take what has come. */
  async arrived(count: number): Promise<readonly InputEvent[]> {
    for (let n = 0; n < 400 && this.events.length < count; n++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return this.events.splice(0);
  }

  /** End it; it has warned of nothing. */
  async close(): Promise<void> {
    await within("the display's end", this.display.close());
    assertEquals(this.#warnings, []);
  }
}
