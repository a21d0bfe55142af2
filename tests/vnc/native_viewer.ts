/**
 * A viewer that is not ours: `client.c`, on libvncclient.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { within } from "../limit.ts";

/** Whether a US keyboard needs Shift for a character. */
export function isShifted(character: string): boolean {
  return /[A-Z~!@#$%^&*()_+{}|:"<>?]/.test(character);
}

/** The keysym of the left Shift. */
const SHIFT = 0xffe1;
const SOURCE = fromFileUrl(new URL("client.c", import.meta.url));

/**
 * Compile the viewer into a folder; gives back the program, or the reason why
 * there is none.
 */
export async function compileViewer(
  folder: string,
): Promise<{ program: string } | string> {
  const program = `${folder}/viewer`;
  try {
    const { success, stderr } = await new Deno.Command("gcc", {
      args: ["-Wall", "-o", program, SOURCE, "-lvncclient"],
    }).output();
    if (success) return { program };
    const text = new TextDecoder().decode(stderr);
    if (/rfb\/rfbclient\.h/.test(text)) return "libvncserver-dev is missing";
    throw new Error(text);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "gcc is missing";
    throw error;
  }
}

/** What a viewer has on its screen. */
export interface Shot {
  readonly width: number;
  readonly height: number;
  /** Updates so far. */
  readonly updates: number;
  /** Its frame buffer, in its own format. */
  readonly bytes: Uint8Array;
}

/** How a viewer connects. */
export interface ViewerOptions {
  readonly port: number;
  readonly encodings?: string;
  readonly format?: "rgba" | "bgra" | "565" | "332";
  readonly password?: string;
}

/** The program, running. */
export class NativeViewer {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #folder: string;
  #text = "";

  private constructor(process: Deno.ChildProcess, folder: string) {
    this.#process = process;
    this.#writer = process.stdin.getWriter();
    this.#reader = process.stdout.getReader();
    this.#folder = folder;
  }

  /** Start it; it has connected, or the server has refused it. */
  static async start(
    program: string,
    options: ViewerOptions,
  ): Promise<NativeViewer | undefined> {
    const { port, encodings = "raw", format = "bgra", password } = options;
    const process = new Deno.Command(program, {
      args: [
        ...[`${port}`, encodings, format],
        ...(password === undefined ? [] : [password]),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const folder = await Deno.makeTempDir();
    const viewer = new NativeViewer(process, folder);
    if (await viewer.#line("to connect") === "connected") return viewer;
    await viewer.stop();
    return undefined;
  }

  async #line(command: string): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await within(
        `the viewer's answer to "${command}"`,
        this.#reader.read(),
      );
      if (done) throw new Error("the viewer has ended");
      this.#text += new TextDecoder().decode(value);
    }
    const [line, ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line;
  }

  async #ask(command: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${command}\n`));
    return await this.#line(command);
  }

  /** What it shows now. */
  async shot(): Promise<Shot> {
    const file = `${this.#folder}/shot`;
    const answer = await this.#ask(`shot ${file}`);
    const [, width, height, updates] = answer.split(" ").map(Number);
    return { width, height, updates, bytes: await Deno.readFile(file) };
  }

  /** What it shows once that is right; after 20 seconds, whatever it shows. */
  async shotWhen(right: (shot: Shot) => boolean): Promise<Shot> {
    for (let n = 0;; n++) {
      const shot = await this.shot();
      if (right(shot) || n === 400) return shot;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** A key goes down or up; with its scan code where one is given. */
  async key(keysym: number, down: boolean, scanCode?: number): Promise<void> {
    const key = scanCode === undefined
      ? `key ${keysym}`
      : `scan ${scanCode} ${keysym}`;
    await this.#ask(`${key} ${down ? 1 : 0}`);
  }

  /** A key goes down and up. */
  async stroke(keysym: number): Promise<void> {
    await this.key(keysym, true);
    await this.key(keysym, false);
  }

  /** Type ASCII as on a US keyboard, with Shift where that needs it. */
  async type(text: string): Promise<void> {
    for (const character of text) {
      const shift = isShifted(character);
      if (shift) await this.key(SHIFT, true);
      await this.stroke(character.charCodeAt(0));
      if (shift) await this.key(SHIFT, false);
    }
  }

  /** The pointer is somewhere, and these buttons are down. */
  async pointer(x: number, y: number, mask: number): Promise<void> {
    await this.#ask(`pointer ${x} ${y} ${mask}`);
  }

  /** End it. */
  async stop(): Promise<void> {
    await this.#writer.close().catch(() => {
      // It has ended by itself.
    });
    await this.#reader.cancel();
    await within("the viewer's end", this.#process.status);
    await Deno.remove(this.#folder, { recursive: true });
  }
}
