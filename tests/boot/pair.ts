/**
 * Rhea and QEMU with the same guest, side by side: somebody presses the same
 * keys on both, and waits until both screens show the same.
 *
 * @module
 */

import { join } from "@std/path";
import { encodePng } from "../../core/backend/png.ts";
import type { Machine, ScreenPort, TextScreen } from "../../mod.ts";
import { CP437 } from "../../plugins/device/display/cp437.ts";
import { difference, type Pixels, pixelsOf } from "../pixels.ts";
import type { QemuMachine } from "../qemu_machine.ts";
import { PATIENCE } from "./guest.ts";

/** Milliseconds between two looks at the screens. */
const LOOK_MS = 300;
/** The VGA's text memory, and its CRT controller with the start's registers. */
const TEXT_MEMORY = 0xb8000;
const CRTC_INDEX = 0x3d4;
const CRTC_DATA = 0x3d5;
const START_HIGH = 0x0c;
const START_LOW = 0x0d;
/** Without the bit that may be the background's brightness, or blinking. */
const COLOURS = 0x7f;
/**
 * Dots of a cell in text modes of 720 dots. The last one repeats the one before
 * it for characters C0h to DFh (IBM PS/2 Hardware Technical Reference, "Video
 * Subsystem", attribute mode control register); QEMU does it from B0h on.
 */
const CELL_DOTS = 9;
const JOINED_IN_QEMU = new Set(CP437.subarray(0xb0, 0xc0));

/** What a step waits for, beside that the screens are the same. */
export type Expected = (shown: Pixels, screen: ScreenPort) => boolean;

/** A picture without the dots that QEMU draws as no VGA does. */
function comparable(picture: Pixels, text: TextScreen | undefined): Pixels {
  const { width, height } = picture;
  if (text === undefined || width !== text.columns * CELL_DOTS) return picture;
  const pixels = picture.pixels.slice();
  for (const [cell, character] of text.characters.entries()) {
    if (!JOINED_IN_QEMU.has(character)) continue;
    const column = cell % text.columns;
    const top = Math.floor(cell / text.columns) * text.cellHeight;
    for (let y = top; y < Math.min(top + text.cellHeight, height); y++) {
      pixels[y * width + column * CELL_DOTS + CELL_DOTS - 1] = 0;
    }
  }
  return { width, height, pixels };
}

/** A word for each cell of a screen: the character, and above it the colours. */
function ourCells({ characters, colours }: TextScreen): Uint32Array {
  return Uint32Array.from(
    characters,
    (character, i) => (colours[i] & COLOURS) << 16 | character,
  );
}

/** The same in QEMU's text memory. */
async function theirCells(
  qemu: QemuMachine,
  { columns, rows }: TextScreen,
): Promise<Uint32Array> {
  const read = async (port: number): Promise<number> => {
    const text = await qemu.monitor(`i /b ${port}`);
    return Number(/= (0x[0-9a-f]+)/.exec(text)![1]);
  };
  const register = async (index: number): Promise<number> => {
    await qemu.monitor(`o /b ${CRTC_INDEX} ${index}`);
    return await read(CRTC_DATA);
  };
  // The guest may be between the index and the data.
  await qemu.execute("stop");
  const index = await read(CRTC_INDEX);
  const start = await register(START_HIGH) << 8 | await register(START_LOW);
  const cells = columns * rows;
  const bytes = await qemu.memory(TEXT_MEMORY + 2 * start, 2 * cells);
  await qemu.monitor(`o /b ${CRTC_INDEX} ${index}`);
  await qemu.execute("cont");
  return Uint32Array.from(
    { length: cells },
    (_, i) => (bytes[2 * i + 1] & COLOURS) << 16 | CP437[bytes[2 * i]],
  );
}

/** The two machines. */
export class Pair {
  readonly #machine: Machine;
  readonly #screen: ScreenPort;
  readonly #qemu: QemuMachine;

  /** Start Rhea's machine; QEMU runs already. */
  constructor(machine: Machine, qemu: QemuMachine) {
    this.#machine = machine;
    this.#screen = machine.screen();
    this.#qemu = qemu;
    machine.start();
  }

  /** Press keys by their code names on both, and release them. */
  async press(...codes: string[]): Promise<void> {
    await Promise.all([
      this.#screen.press(...codes),
      this.#qemu.press(...codes),
    ]);
  }

  /** Type text on both. */
  async type(text: string): Promise<void> {
    await Promise.all([this.#screen.type(text), this.#qemu.type(text)]);
  }

  /**
   * Wait until both show the same, twice in a row, and `expected` says that it
   * is what is waited for; gives back the picture. On a text screen characters
   * and colours are the same, too. Throws when that does not come.
   */
  async same(name: string, expected: Expected): Promise<Pixels> {
    const end = Date.now() + PATIENCE.timeout;
    let last: Pixels | undefined;
    for (;;) {
      const [ours, theirs, text] = await this.#look();
      const differ = difference(
        comparable(ours, text),
        comparable(theirs, text),
      ) ?? await this.#textDiffers(text);
      if (differ === undefined && expected(ours, this.#screen)) {
        if (last !== undefined && difference(ours, last) === undefined) {
          return ours;
        }
        last = ours;
      } else last = undefined;
      if (Date.now() > end) {
        const folder = await keep({ rhea: ours, qemu: theirs });
        throw new Error(
          `${name}: ${differ ?? "it is not what is waited for"}; ` +
            `the screens are in ${folder}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async #look(): Promise<[Pixels, Pixels, TextScreen | undefined]> {
    const theirs = await this.#qemu.look();
    return [
      pixelsOf(this.#machine.screenshot()),
      theirs,
      this.#screen.cells,
    ];
  }

  /** Whether a text screen has other characters or colours than QEMU's. */
  async #textDiffers(
    text: TextScreen | undefined,
  ): Promise<string | undefined> {
    if (text === undefined) return undefined;
    const theirs = await theirCells(this.#qemu, text);
    const cell = ourCells(text).findIndex((word, i) => word !== theirs[i]);
    return cell < 0 ? undefined : `cell ${cell} of the text differs`;
  }
}

/** Write pictures to files for whoever wants to know why a test failed. */
async function keep(pictures: Record<string, Pixels>): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const [name, { width, height, pixels }] of Object.entries(pictures)) {
    const bytes = new Uint8Array(pixels.buffer);
    const png = await encodePng({ width, height, pixels: bytes });
    await Deno.writeFile(join(folder, `${name}.png`), png);
  }
  return folder;
}
