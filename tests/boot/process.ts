/**
 * Rhea as a process of its own, as who types its command line has it.
 *
 * @module
 */

import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { GuestFiles } from "../../core/cli/guest.ts";

const path = (name: string): string =>
  fromFileUrl(new URL(`../../${name}`, import.meta.url));

/** An ISA PC with a shell on its first serial port, which is stdio. */
export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #text = "";

  /** Start it. */
  constructor({ kernel, initramfs }: GuestFiles) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--config", path("deno.json")],
        ...[path("mod.ts"), path("machines/isapc.json")],
        ...["--kernel", kernel, "--initrd", initramfs, "--memory", "256M"],
        ...["--append", "console=ttyS0", "--serial", "stdio"],
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#reader = this.#child.stdout
      .pipeThrough(new TextDecoderStream()).getReader();
    this.#writer = this.#child.stdin.getWriter();
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Wait for a pattern; gives back what came up to its end. */
  async expect(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) {
        const end = match.index + match[0].length;
        const text = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return text;
      }
      const { value } = await this.#reader.read();
      assert(value !== undefined, `it ended: ${this.#text}`);
      this.#text += value;
    }
  }

  /** Type a line. */
  async type(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
  }

  /** End it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
    try {
      this.#child.kill();
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    this.#writer.releaseLock();
  }
}
