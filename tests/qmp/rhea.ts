/**
 * A machine with QMP and a guest of a few instructions.
 *
 * @module
 */

import {
  Machine,
  type MachineInstance,
  type MachineOptions,
} from "../../mod.ts";
import { QmpClient } from "./client.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;

/** Counts in memory for ever: `inc dword [500h]; jmp`. */
export const COUNTS: readonly number[] = [
  ...[0x66, 0xff, 0x06, 0x00, 0x05],
  ...[0xeb, 0xf9],
];

/**
 * Sends the characters of keys to the serial port: `mov ah, 0; int 16h;
 * mov dx, 3f8h; out dx, al; jmp`.
 */
export const TYPES: readonly number[] = [
  ...[0xb4, 0x00, 0xcd, 0x16],
  ...[0xba, 0xf8, 0x03, 0xee],
  ...[0xeb, 0xf6],
];

/** A machine that starts some code from a floppy. */
export class Guest implements AsyncDisposable {
  /** The machine. */
  readonly machine: MachineInstance;
  /** A folder of its own. */
  readonly folder: string;

  private constructor(machine: MachineInstance, folder: string) {
    this.machine = machine;
    this.folder = folder;
  }

  /** Make it; it does not run yet. */
  static async of(
    code: readonly number[],
    options: MachineOptions = {},
  ): Promise<Guest> {
    const folder = await Deno.makeTempDir();
    const floppy = `${folder}/floppy`;
    const image = new Uint8Array(1474560);
    image.set(code);
    image.set([0x55, 0xaa], 510);
    await Deno.writeFile(floppy, image);
    const machine = await Machine.load(PC, {
      firmware: "builtin",
      memory: "16M",
      snapshots: folder,
      drives: [{ file: floppy, if: "floppy", readOnly: true }],
      ...options,
    });
    return new Guest(machine, folder);
  }

  /** Where QMP listens. */
  get path(): string {
    return `${this.folder}/qmp.sock`;
  }

  /** Let QMP listen, and give back a client. */
  async serve(): Promise<QmpClient> {
    await this.machine.serveQmp(`unix:${this.path}`);
    return await QmpClient.connect(this.path);
  }

  /** End it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine.stop();
    await Deno.remove(this.folder, { recursive: true });
  }
}
