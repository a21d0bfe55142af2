/**
 * Draws a text screen with control sequences: what has changed since it was
 * drawn last.
 *
 * ECMA-48 (CUP, ED, SGR) and the sequences for bright colours, cursor and
 * alternate screen that terminals took from XTerm.
 *
 * @module
 */

import type { TextScreen } from "../../core/backend/display.ts";

/** The alternate screen, empty, and back. */
export const ENTER_SCREEN = "\x1b[?1049h\x1b[0m\x1b[2J\x1b[H";
/** See `ENTER_SCREEN`. */
export const LEAVE_SCREEN = "\x1b[0m\x1b[?25h\x1b[?1049l";

/** A terminal's size in cells. */
export interface TerminalSize {
  /** Cells of a row. */
  readonly columns: number;
  /** Rows. */
  readonly rows: number;
}

/** From blue, green, red to red, green, blue. */
const ORDER = [0, 4, 2, 6, 1, 5, 3, 7] as const;
const FOREGROUND = 30;
const BACKGROUND = 40;
/** What is added for the bright half. */
const BRIGHT = 60;

/** `SGR` for a cell's colours. */
function colour(colours: number): string {
  const of = (base: number, value: number): number =>
    base + ORDER[value & 7] + ((value & 8) !== 0 ? BRIGHT : 0);
  return `\x1b[${of(FOREGROUND, colours & 15)};${
    of(BACKGROUND, colours >> 4)
  }m`;
}

function moveTo(row: number, column: number): string {
  return `\x1b[${row + 1};${column + 1}H`;
}

/** A terminal on which a text screen is drawn. */
export class AnsiScreen {
  /** What the terminal shows: characters and colours, a number a cell. */
  #shown = new Uint32Array(0);
  #size: TerminalSize = { columns: 0, rows: 0 };
  #cursor = "";

  /** Draw everything anew the next time. */
  forget(): void {
    this.#shown = new Uint32Array(0);
    this.#size = { columns: 0, rows: 0 };
  }

  /**
   * What to write so that the terminal shows `screen`; empty when it does. A
   * terminal that is too small shows the left columns, and the rows down to the
   * cursor or the last one that fits.
   */
  draw(screen: TextScreen | undefined, terminal: TerminalSize): string {
    const columns = Math.min(screen?.columns ?? 0, terminal.columns);
    const rows = Math.min(screen?.rows ?? 0, terminal.rows);
    let out = "";
    if (columns !== this.#size.columns || rows !== this.#size.rows) {
      this.#size = { columns, rows };
      // No cell has this value: every cell is drawn.
      this.#shown = new Uint32Array(columns * rows).fill(0xffffffff);
      out += "\x1b[0m\x1b[2J";
      this.#cursor = "";
    }
    if (screen === undefined) return this.#placeCursor(out, "\x1b[?25l");
    const cursorRow = screen.cursor?.row ?? 0;
    const first = Math.max(0, cursorRow - rows + 1);
    out += this.#cells(screen, first);
    const { cursor } = screen;
    const visible = cursor !== undefined && cursor.column < columns;
    return this.#placeCursor(
      out,
      visible
        ? `${moveTo(cursor.row - first, cursor.column)}\x1b[?25h`
        : "\x1b[?25l",
    );
  }

  /** Drawing moves the terminal's cursor, so it is placed after it. */
  #placeCursor(drawn: string, cursor: string): string {
    if (drawn === "" && cursor === this.#cursor) return "";
    this.#cursor = cursor;
    return drawn === "" ? cursor : `\x1b[?25l${drawn}${cursor}`;
  }

  #cells(screen: TextScreen, first: number): string {
    const { columns, rows } = this.#size;
    let out = "";
    let at = -1;
    let colours = -1;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const from = (row + first) * screen.columns + column;
        const to = row * columns + column;
        const cell = screen.characters[from] | screen.colours[from] << 16;
        if (this.#shown[to] === cell) continue;
        this.#shown[to] = cell;
        if (at !== to || column === 0) out += moveTo(row, column);
        if (colours !== screen.colours[from]) {
          colours = screen.colours[from];
          out += colour(colours);
        }
        out += String.fromCharCode(screen.characters[from]);
        at = to + 1;
      }
    }
    return out;
  }
}
