/**
 * Display backends: what shows a guest's screen.
 *
 * A device hands over a `TextSource`, a `PictureSource` or both, once, and the
 * backend looks at what it can show in its own time: a screen that nobody looks
 * at costs nothing.
 *
 * @module
 */

import type { InputBackend } from "./input.ts";

/** A rectangle of a screen, in pixels. */
export interface Rectangle {
  /** Left edge. */
  readonly x: number;
  /** Top edge. */
  readonly y: number;
  /** Width. */
  readonly width: number;
  /** Height. */
  readonly height: number;
}

/** The cursor of a text screen. */
export interface TextCursor {
  /** Its row, from 0. */
  readonly row: number;
  /** Its column, from 0. */
  readonly column: number;
  /** Its first scan line in the cell, from 0. */
  readonly top: number;
  /** Its last scan line in the cell. */
  readonly bottom: number;
}

/** What a text screen shows. */
export interface TextScreen {
  /** Cells of a row. */
  readonly columns: number;
  /** Rows. */
  readonly rows: number;
  /** Scan lines of a cell. */
  readonly cellHeight: number;
  /** Characters, row by row, in UTF-16; a space for what has no character. */
  readonly characters: Uint16Array;
  /**
   * Colours, row by row: the foreground in the low four bits, the background in
   * the high four; in each, bit 0 is blue, 1 green, 2 red, 3 bright.
   */
  readonly colours: Uint8Array;
  /** The cursor; absent when it is off or elsewhere in the memory. */
  readonly cursor: TextCursor | undefined;
  /** Where in the text memory the screen begins, in cells. */
  readonly start: number;
}

/** A device's text screen. The contract `text-source` between devices too. */
export interface TextSource {
  /** What is on the screen; undefined when it shows no text. */
  text(): TextScreen | undefined;
  /**
   * Call `changed` at the next change of what `text` gives, once. It is called
   * in the midst of a guest's instruction: it should only note it. There is one
   * watcher; the last one counts.
   */
  watch(changed: () => void): void;
}

/** A picture of a screen. */
export interface Picture {
  /** Pixels of a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /**
   * Row by row, four bytes a pixel: blue, green, red and one that is 0. They
   * stay as they are until the next look at the screen.
   */
  readonly pixels: Uint8Array;
  /** Counts the changes: what `PictureSource.look` wants to know next time. */
  readonly generation: number;
  /**
   * The rectangles that have changed since the generation that was asked for;
   * the whole screen if its size has, or if that is too long ago.
   */
  readonly changed: readonly Rectangle[];
}

/**
 * A device's screen as pixels, in whatever mode it is. Nothing is drawn unless
 * somebody looks.
 */
export interface PictureSource {
  /** The screen now; `since` is the generation that was seen last, or 0. */
  look(since: number): Picture;
  /**
   * Call `changed` at the next change of what `look` gives, once; as
   * `TextSource.watch`, but each watcher is told.
   */
  watchPicture(changed: () => void): void;
}

/** An address in a network. */
export interface PeerAddress {
  /** The host's. */
  readonly host: string;
  /** The port. */
  readonly port: number;
  /** Whether a WebSocket carries what is said there. */
  readonly isWebSocket?: boolean;
}

/** What a viewer has done: connected, been let in, gone. */
export type ViewerState = "connected" | "initialized" | "disconnected";

/** A screen for viewers in a network. */
export interface RemoteScreen {
  /** Where it listens. */
  readonly server: PeerAddress;
  /** Whether viewers must know a password. */
  readonly hasPassword: boolean;
  /** The viewers that see it. */
  clients(): PeerAddress[];
}

/** A screen at the host side. */
export interface DisplayBackend {
  /** What viewers in a network see, if they do. */
  readonly remote?: RemoteScreen;
  /** Show this text screen; called once, when its device is made. */
  text?(source: TextSource): void;
  /** Show these pixels; called once, when their device is made. */
  picture?(source: PictureSource): void;
  /**
   * The keyboard and the pointer in front of the screen: a device's backend of
   * type `input` may be this display.
   */
  readonly input?: InputBackend;
  /** Let go of the screen. */
  close(): Promise<void>;
}
