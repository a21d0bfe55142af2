/**
 * QEMU with somebody in front of it, by its machine protocol (QMP): keys, the
 * screen, the guest's memory.
 *
 * Source: QEMU, "QEMU Machine Protocol Specification" and "QEMU QMP Reference
 * Manual".
 *
 * @module
 */

import { join } from "@std/path";
import { strokeEvents, strokeOf } from "../core/backend/us_keyboard.ts";
import { parsePpm, type Pixels } from "./pixels.ts";
import { QEMU } from "./qemu.ts";

/** How long a key is held, in milliseconds of the guest. */
const HOLD_MS = 20;
/** QEMU's names of keys (`QKeyCode`) that their code names do not tell. */
const QKEYS: Readonly<Record<string, string>> = {
  AltLeft: "alt",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ControlLeft: "ctrl",
  End: "end",
  Enter: "ret",
  Equal: "equal",
  Escape: "esc",
  F2: "f2",
  Home: "home",
  Minus: "minus",
  PageDown: "pgdn",
  PageUp: "pgup",
  Period: "dot",
  ShiftLeft: "shift",
  Slash: "slash",
  Space: "spc",
  Tab: "tab",
};

/** QEMU's name of a key by its W3C `KeyboardEvent.code` name. */
function qkey(code: string): string {
  const name = /^(?:Key|Digit)(.)$/.exec(code)?.[1].toLowerCase() ??
    QKEYS[code];
  if (name === undefined) throw new RangeError(`no name for the key ${code}`);
  return name;
}

/** What QEMU says: an answer to the last command, or an event. */
interface Message {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** A machine that QEMU runs. */
export class QemuMachine implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #text = "";

  private constructor(child: Deno.ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    this.#reader = child.stdout
      .pipeThrough(new TextDecoderStream()).getReader();
    this.#writer = child.stdin.getWriter();
  }

  /**
   * Start QEMU (the one of 32 bits unless another is named), with files of its
   * own in `folder`; undefined where it is not installed. Throws when it does
   * not take the arguments.
   */
  static async start(
    args: readonly string[],
    folder: string,
    program: string = QEMU,
  ): Promise<QemuMachine | undefined> {
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, {
        args: [...args, "-display", "none", "-qmp", "stdio"],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const machine = new QemuMachine(child, folder);
    try {
      await machine.execute("qmp_capabilities");
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Run a command of the protocol and give back its result. */
  async execute(command: string, args: object = {}): Promise<unknown> {
    const message = JSON.stringify({ execute: command, arguments: args });
    await this.#writer.write(new TextEncoder().encode(message));
    for (;;) {
      const answer = await this.#receive();
      if (answer.error !== undefined) {
        throw new Error(`${command}: ${answer.error.desc}`);
      }
      if ("return" in answer) return answer.return;
    }
  }

  /** The next message; each is a line. */
  async #receive(): Promise<Message> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return JSON.parse(line);
      }
      const { value } = await this.#reader.read();
      if (value === undefined) throw new Error("QEMU ended");
      this.#text += value;
    }
  }

  /** Run a line of the monitor for humans, and give back what it prints. */
  async monitor(line: string): Promise<string> {
    const args = { "command-line": line };
    return String(await this.execute("human-monitor-command", args));
  }

  /** What the screen shows. */
  async look(): Promise<Pixels> {
    const filename = join(this.#folder, "screen.ppm");
    await this.execute("screendump", { filename });
    return parsePpm(await Deno.readFile(filename));
  }

  /** Bytes of the guest's memory at a physical address. */
  async memory(address: number, size: number): Promise<Uint8Array> {
    const filename = join(this.#folder, "memory");
    await this.execute("pmemsave", { val: address, size, filename });
    return await Deno.readFile(filename);
  }

  /** Press keys by their code names, and release them. */
  async press(...codes: string[]): Promise<void> {
    const keys = codes.map((code) => ({ type: "qcode", data: qkey(code) }));
    await this.execute("send-key", { keys, "hold-time": HOLD_MS });
  }

  /** Type text on the US keyboard. */
  async type(text: string): Promise<void> {
    for (const character of text) {
      const stroke = strokeOf(character);
      if (stroke === undefined) {
        throw new RangeError(`no key types ${JSON.stringify(character)}`);
      }
      const events = strokeEvents(stroke);
      await this.press(
        ...events.flatMap((e) => e.type === "key" && e.down ? [e.code] : []),
      );
    }
  }

  /** End it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#reader.cancel();
    await this.#child.status;
    await this.#writer.abort().catch(() => {});
  }
}
