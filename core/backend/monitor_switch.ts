/**
 * A terminal that the guest and the machine's monitor share, one at a time:
 * Ctrl-A c, as in QEMU.
 *
 * What the guest writes while the monitor has the terminal is shown above the
 * line that is being typed, in whole lines.
 *
 * @module
 */

import type {
  MonitorConsole,
  MonitorSession,
  OpenMonitor,
} from "../monitor/console.ts";

/** The guest's line without an end that is kept at most, in bytes. */
const MAX_PARTIAL = 4096;
const LINE_FEED = 0x0a;

/** Switches between the guest and the monitor. */
export class MonitorSwitch {
  readonly #open: OpenMonitor | undefined;
  readonly #console: MonitorConsole;
  readonly #changed: (isOpen: boolean) => void;
  #opening: Promise<MonitorSession> | undefined;
  #session: MonitorSession | undefined;
  #isOpen = false;
  #order: Promise<void> = Promise.resolve();
  #partial = new Uint8Array();

  /**
   * A switch at the guest's side. `open` begins the monitor's session: absent,
   * where there is no monitor. `changed` is called when the terminal is given
   * to the monitor or back.
   */
  constructor(
    open: OpenMonitor | undefined,
    console: Omit<MonitorConsole, "leave">,
    changed: (isOpen: boolean) => void = () => {},
  ) {
    this.#open = open;
    this.#console = {
      write: (text) => console.write(text),
      isTerminal: console.isTerminal,
      columns: () => console.columns(),
      leave: () => this.toggle(),
    };
    this.#changed = changed;
  }

  /** Whether what is typed is the monitor's. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The other side's turn. Nothing happens where there is no monitor. */
  toggle(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#isOpen = !this.#isOpen;
    this.#changed(this.#isOpen);
    if (!this.#isOpen) {
      this.#order = this.#order.then(() => {
        const rest = this.#takePartial();
        if (this.#console.isTerminal) this.#console.write("\r\n");
        this.#console.write(new TextDecoder().decode(rest));
      });
      return;
    }
    this.#opening ??= open(this.#console);
    this.#order = this.#order.then(async () => {
      this.#session = await this.#opening!;
      this.#session.show();
    });
  }

  /** Something was typed to the monitor. */
  input(bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#order = this.#order.then(() => this.#session?.input(copy));
  }

  #takePartial(): Uint8Array {
    const rest = this.#partial;
    this.#partial = new Uint8Array();
    return rest;
  }

  /** What is to be written of the guest's output. */
  output(bytes: Uint8Array): Uint8Array {
    const session = this.#session;
    if (!this.#isOpen || session === undefined) return bytes;
    const all = join(this.#partial, bytes);
    const whole = all.length > MAX_PARTIAL
      ? all.length
      : all.lastIndexOf(LINE_FEED) + 1;
    this.#partial = all.slice(whole);
    if (whole === 0) return new Uint8Array();
    const encoder = new TextEncoder();
    return join(
      encoder.encode(session.erased),
      all.subarray(0, whole),
      encoder.encode(session.drawn),
    );
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
