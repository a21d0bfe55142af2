/**
 * The `file` char backend: the guest's output goes to a file.
 *
 * @module
 */

import type { ByteSink, CharBackend } from "../../core/backend/char.ts";
import type { CharPlugin } from "../../core/machine/plugin.ts";
import { ByteWriter } from "./byte_writer.ts";

/** Configuration of the backend. */
export interface FileCharConfig {
  /** The file. */
  readonly path: string;
  /** Keep what is in it and write after that. */
  readonly append: boolean;
}

/** A file that cannot be opened. */
export class FileCharError extends Error {
  /** The name of the error's class. */
  override readonly name = "FileCharError";
}

/** A char backend on a file. */
export class FileChar implements CharBackend {
  readonly #file: Deno.FsFile;
  readonly #writer: ByteWriter;

  private constructor(file: Deno.FsFile, onError: (error: unknown) => void) {
    this.#file = file;
    this.#writer = new ByteWriter((bytes) => file.write(bytes), onError);
  }

  /** Open the file, for writing, and create it if need be. */
  static async open(
    config: FileCharConfig,
    onError: (error: unknown) => void,
  ): Promise<FileChar> {
    try {
      const file = await Deno.open(config.path, {
        create: true,
        write: true,
        append: config.append,
        truncate: !config.append,
      });
      return new FileChar(file, onError);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new FileCharError(
        `Cannot open "${config.path}" for writing: ${reason}`,
        { cause },
      );
    }
  }

  /** Write the guest's bytes. */
  readonly write: ByteSink = (bytes) => this.#writer.push(bytes);

  /** A file gives no input. */
  onInput(_receiver: ByteSink): void {}

  /** Resolves when the file has everything. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Close the file. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#file.close();
    }
  }
}

/** The `file` plugin. */
const plugin: CharPlugin<FileCharConfig> = {
  type: "char",
  name: "file",
  version: "1.0.0",
  description: "Writes the guest's output to a file",
  config: {
    type: "object",
    properties: {
      path: { type: "string", format: "path", description: "The file" },
      append: {
        type: "boolean",
        description: "Keep what is in the file",
        default: false,
      },
    },
    required: ["path"],
  },
  permissions: (config) => ({ write: [config.path] }),
  parse: (argument) => ({ path: argument }),
  create: (config, context) =>
    FileChar.open(config, (error) => {
      context.log.warn(`cannot write to "${config.path}": ${error}`);
    }),
};
export default plugin;
