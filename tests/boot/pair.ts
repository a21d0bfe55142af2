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
/** The VGA's text memory, and its CRT controller. */
const TEXT_MEMORY = 0xb8000;
const CRTC_INDEX = 0x3d4;
const CRTC_DATA = 0x3d5;
/** Its registers of the cursor's shape, and of the start and the cursor. */
const CURSOR_START = 0x0a;
const CURSOR_END = 0x0b;
const START_HIGH = 0x0c;
const START_LOW = 0x0d;
const CURSOR_HIGH = 0x0e;
const CURSOR_LOW = 0x0f;
const CURSOR_OFF = 0x20;
const CURSOR_LINE = 0x1f;
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

/**
 * A picture without the dots of text that QEMU draws as no VGA does, and without
 * the cursor, which blinks.
 */
function comparable(picture: Pixels, text: TextScreen | undefined): Pixels {
  const { width, height } = picture;
  if (text === undefined || width !== text.columns * CELL_DOTS) return picture;
  const { columns, cellHeight, characters, cursor } = text;
  const pixels = picture.pixels.slice();
  for (const [cell, character] of characters.entries()) {
    if (!JOINED_IN_QEMU.has(character)) continue;
    const last = (cell % columns + 1) * CELL_DOTS - 1;
    const top = Math.floor(cell / columns) * cellHeight;
    for (let y = top; y < Math.min(top + cellHeight, height); y++) {
      pixels[y * width + last] = 0;
    }
  }
  if (cursor !== undefined) {
    const left = cursor.column * CELL_DOTS;
    for (let line = cursor.top; line <= cursor.bottom; line++) {
      const at = (cursor.row * cellHeight + line) * width + left;
      pixels.fill(0, at, at + CELL_DOTS);
    }
  }
  return { width, height, pixels };
}

/** A text screen in numbers: its cells and its cursor. */
interface TextNumbers {
  /** A word for each cell: the character, and above it the colours. */
  readonly cells: Uint32Array;
  /** The cursor's cell and its first and last line; nothing when it is off. */
  readonly cursor: readonly number[];
}

function ourText(
  { characters, colours, columns, cursor }: TextScreen,
): TextNumbers {
  return {
    cells: Uint32Array.from(
      characters,
      (character, i) => (colours[i] & COLOURS) << 16 | character,
    ),
    cursor: cursor === undefined
      ? []
      : [cursor.row * columns + cursor.column, cursor.top, cursor.bottom],
  };
}

/** What QEMU has in a text screen of this size. */
async function qemuText(
  qemu: QemuMachine,
  { columns, rows }: TextScreen,
): Promise<TextNumbers> {
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
  const at = await register(CURSOR_HIGH) << 8 | await register(CURSOR_LOW);
  const [first, last] = [
    await register(CURSOR_START),
    await register(CURSOR_END) & CURSOR_LINE,
  ];
  const length = columns * rows;
  const bytes = await qemu.memory(TEXT_MEMORY + 2 * start, 2 * length);
  await qemu.monitor(`o /b ${CRTC_INDEX} ${index}`);
  await qemu.execute("cont");
  const cell = at - start;
  const top = first & CURSOR_LINE;
  const isOff = (first & CURSOR_OFF) !== 0 || top > last ||
    cell < 0 || cell >= length;
  return {
    cells: Uint32Array.from(
      { length },
      (_, i) => (bytes[2 * i + 1] & COLOURS) << 16 | CP437[bytes[2 * i]],
    ),
    cursor: isOff ? [] : [cell, top, last],
  };
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

  /** Wait until each shows what is expected, the same or not. */
  async show(
    name: string,
    expected: (shown: Pixels) => boolean,
  ): Promise<void> {
    const end = Date.now() + PATIENCE.timeout;
    for (;;) {
      const [ours, theirs] = await this.#look();
      if (expected(ours) && expected(theirs)) return;
      await pause(name, end, { rhea: ours, qemu: theirs });
    }
  }

  /**
   * Wait until both show the same, twice in a row, and `expected` says that it
   * is what is waited for; gives back the picture. On a text screen characters,
   * colours and the cursor are the same, too. Throws when that does not come.
   */
  async same(name: string, expected: Expected): Promise<Pixels> {
    const end = Date.now() + PATIENCE.timeout;
    let last: Pixels | undefined;
    for (;;) {
      const [ours, theirs] = await this.#look();
      const text = this.#screen.cells;
      const shown = comparable(ours, text);
      const differ = difference(shown, comparable(theirs, text)) ??
        await this.#textDiffers(text);
      const isIt = differ === undefined && expected(ours, this.#screen);
      if (isIt && last !== undefined && difference(shown, last) === undefined) {
        return ours;
      }
      last = isIt ? shown : undefined;
      const why = `${name}: ${differ ?? "it is not what is waited for"}`;
      await pause(why, end, { rhea: ours, qemu: theirs });
    }
  }

  async #look(): Promise<[ours: Pixels, theirs: Pixels]> {
    const theirs = await this.#qemu.look();
    return [pixelsOf(this.#machine.screenshot()), theirs];
  }

  /** Whether a text screen is another one than QEMU's. */
  async #textDiffers(
    screen: TextScreen | undefined,
  ): Promise<string | undefined> {
    if (screen === undefined) return undefined;
    const [ours, theirs] = [
      ourText(screen),
      await qemuText(this.#qemu, screen),
    ];
    const cell = ours.cells.findIndex((word, i) => word !== theirs.cells[i]);
    if (cell >= 0) return `cell ${cell} of the text differs`;
    return String(ours.cursor) === String(theirs.cursor)
      ? undefined
      : `the cursor is ${ours.cursor}, not ${theirs.cursor}`;
  }
}

/** Wait for the next look; throws after the end, with where the screens are. */
async function pause(
  why: string,
  end: number,
  screens: Record<string, Pixels>,
): Promise<void> {
  if (Date.now() > end) {
    throw new Error(`${why}; the screens are in ${await keep(screens)}`);
  }
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
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
