/**
 * What `--screendump` asks for: the screen as a PNG file, at the end of a run
 * and whenever the process gets SIGUSR1.
 *
 * @module
 */

import type { Machine } from "../machine/machine.ts";
import { optionError } from "../machine/option_text.ts";
import { dirname } from "../machine/path.ts";

/** Where Windows has no such signal, there is only the end. */
const HAS_SIGNAL = Deno.build.os !== "windows";

/** Writes a machine's screen to one file. */
export class Screendumps {
  readonly #file: string;
  readonly #message: (line: string) => void;
  #machine: Machine | undefined;
  /** Signals that are to be answered: one picture is the answer to many. */
  #asked = 0;
  /** Resolves when the file is not being written; pictures take turns. */
  #written: Promise<void> = Promise.resolve();
  readonly #listener = (): void => {
    if (this.#asked++ === 0) void this.write();
  };

  private constructor(file: string, message: (line: string) => void) {
    this.#file = file;
    this.#message = message;
  }

  /**
   * Listen for the signal from now on; before there is a machine, one waits.
   * Throws a `DefinitionError` for a file that certainly cannot be written.
   * What goes wrong later is told to `message`: a run is not lost because its
   * picture is.
   */
  static async start(
    file: string,
    message: (line: string) => void,
  ): Promise<Screendumps> {
    const option = `--screendump ${file}`;
    const { state } = await Deno.permissions.request({
      name: "write",
      path: file,
    });
    if (state !== "granted") {
      throw optionError(
        option,
        `Requires write access to "${file}", run again with the ` +
          `--allow-write flag`,
      );
    }
    const directory = dirname(file);
    const folder = await Deno.stat(directory).catch((error) => {
      // What may not be looked at may be there.
      if (!(error instanceof Deno.errors.NotFound)) return undefined;
      throw optionError(option, `there is no directory "${directory}"`);
    });
    if (folder?.isDirectory === false) {
      throw optionError(option, `"${directory}" is no directory`);
    }
    const dumps = new Screendumps(file, message);
    if (HAS_SIGNAL) Deno.addSignalListener("SIGUSR1", dumps.#listener);
    return dumps;
  }

  /** The machine whose screen it is. */
  of(machine: Machine): void {
    this.#machine = machine;
    if (this.#asked > 0) void this.write();
  }

  /** Write the screen, after what is being written; never rejects. */
  write(): Promise<void> {
    return this.#written = this.#written.then(async () => {
      if (this.#machine === undefined) return;
      this.#asked = 0;
      try {
        const png = await this.#machine.screenshot().png();
        await Deno.writeFile(this.#file, png);
      } catch (error) {
        const reason = (error as Error).message;
        this.#message(`Cannot write the screen to "${this.#file}": ${reason}`);
      }
    });
  }

  /** Hear no more signals. */
  stop(): void {
    if (HAS_SIGNAL) Deno.removeSignalListener("SIGUSR1", this.#listener);
  }
}
