/**
 * A serial line that the page shows in a terminal, where Ctrl-A c leads to the
 * machine's monitor and back, if there is one for pages.
 *
 * The last of the guest's output is kept for pages that are opened later. While
 * a page is behind, the guest is told to wait, as at a terminal; one that reads
 * nothing at all is hung up by its socket.
 *
 * @module
 */

import type { ByteSink, CharBackend } from "../../../core/backend/char.ts";
import { MonitorSwitch } from "../../../core/backend/monitor_switch.ts";
import { EscapeFilter } from "../../../core/backend/terminal.ts";
import type { OpenMonitor } from "../../../core/monitor/console.ts";
import type { PageSocket } from "./socket.ts";

/** Bytes of output that are kept. */
export const KEPT_BYTES = 65536;
/** Bytes that may wait for a guest that does not read. */
const TYPE_AHEAD = 65536;
const LINE_FEED = 0x0a;
/** Columns of xterm.js' terminal. */
const COLUMNS = 80;
/** What Ctrl-A h shows. */
const HELP = "\r\n" +
  "Ctrl-A h       this help\r\n" +
  "Ctrl-A c       switch between the guest and the monitor\r\n" +
  "Ctrl-A Ctrl-A  send Ctrl-A\r\n";

/** The last bytes of a stream. */
export class KeptOutput {
  readonly #ring = new Uint8Array(KEPT_BYTES);
  #total = 0;

  /** Add bytes to the end. */
  add(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - KEPT_BYTES));
    const start = (this.#total + bytes.length - kept.length) % KEPT_BYTES;
    const head = Math.min(kept.length, KEPT_BYTES - start);
    this.#ring.set(kept.subarray(0, head), start);
    this.#ring.set(kept.subarray(head), 0);
    this.#total += bytes.length;
  }

  /** What is there, from the start of a line when some is gone. */
  bytes(): Uint8Array<ArrayBuffer> {
    if (this.#total <= KEPT_BYTES) return this.#ring.slice(0, this.#total);
    const at = this.#total % KEPT_BYTES;
    const all = new Uint8Array(KEPT_BYTES);
    all.set(this.#ring.subarray(at));
    all.set(this.#ring.subarray(0, at), KEPT_BYTES - at);
    // Half a character or half a control sequence would spoil what follows.
    const feed = all.indexOf(LINE_FEED);
    return all.subarray(feed + 1);
  }
}

/** A char backend that pages show. */
export class WebLine implements CharBackend {
  readonly #output = new KeptOutput();
  readonly #pages = new Set<PageSocket>();
  readonly #onFirst: () => void;
  #receiver: ByteSink | undefined;
  readonly #ready = Promise.withResolvers<void>();
  #typing: Promise<void> = this.#ready.promise;
  #ahead = 0;
  #written = false;
  #closed = false;
  readonly #monitor: MonitorSwitch;
  readonly #hasMonitor: () => boolean;
  readonly #filter: EscapeFilter;

  /**
   * A line; `onFirst` is called when the guest writes for the first time.
   * `open` begins a session of the monitor, where pages may have one.
   */
  constructor(
    onFirst: () => void = () => {},
    open?: OpenMonitor,
    hasMonitor: () => boolean = () => open !== undefined,
  ) {
    this.#onFirst = onFirst;
    this.#hasMonitor = hasMonitor;
    const encoder = new TextEncoder();
    const write = (text: string): void => void this.#show(encoder.encode(text));
    this.#monitor = new MonitorSwitch(open, {
      write,
      isTerminal: true,
      columns: () => COLUMNS,
    });
    this.#filter = new EscapeFilter((key) => {
      if (key === "c") this.#monitor.toggle();
      else if (key === "h" || key === "?") write(HELP);
    });
  }

  /** Show the guest's bytes. */
  readonly write: ByteSink = (bytes) => {
    if (!this.#written) {
      this.#written = true;
      this.#onFirst();
    }
    return this.#show(this.#monitor.output(bytes));
  };

  #show(bytes: Uint8Array): Promise<void> | void {
    this.#output.add(bytes);
    if (this.#pages.size === 0) return;
    const message = bytes.slice();
    for (const page of this.#pages) page.send(message);
    const behind = [...this.#pages].filter((page) => page.full);
    if (behind.length === 0) return;
    return Promise.all(behind.map((page) => page.room())).then(() => {});
  }

  /** Say where typed bytes go. */
  onInput(receiver: ByteSink): void {
    this.#receiver = receiver;
    this.#ready.resolve();
  }

  /** Show the line on a page, with what was kept. */
  attach(page: PageSocket): void {
    const kept = this.#output.bytes();
    if (kept.length > 0) page.send(kept);
    this.#pages.add(page);
  }

  /** A page has gone. */
  detach(page: PageSocket): void {
    this.#pages.delete(page);
  }

  /** Type, to the guest or the monitor. */
  type(bytes: Uint8Array): void {
    if (!this.#hasMonitor()) return this.#type(bytes);
    this.#filter.pass(bytes, (typed) => {
      if (this.#monitor.isOpen) this.#monitor.input(typed);
      else this.#type(typed);
    });
  }

  /** Type to the guest; what it will not take for long is lost. */
  #type(bytes: Uint8Array): void {
    // What is nothing takes no place: otherwise it would wait without bound.
    if (this.#closed || bytes.length === 0) return;
    if (this.#ahead + bytes.length > TYPE_AHEAD) return;
    this.#ahead += bytes.length;
    this.#typing = this.#typing.then(async () => {
      if (!this.#closed) await this.#receiver?.(bytes);
      this.#ahead -= bytes.length;
    });
  }

  /** Nothing to wait for: pages that are behind get it from their sockets. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  /** Let nothing more be typed; the display closes the sockets. */
  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}

/** What the display `web` and the char backends `web-terminal` of a machine share. */
export class WebLines {
  /** The lines by their backends' names. */
  readonly byName: Map<string, WebLine> = new Map();
  /** Whether there is a display that shows them. */
  shown = false;
  /** Whether its pages may have the monitor, which writes files of this host. */
  hasMonitor = false;

  /** The name under which a machine has it (`ConsoleContext.shared`). */
  static readonly NAME = "web-lines";
}
