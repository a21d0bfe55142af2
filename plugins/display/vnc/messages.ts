/**
 * What viewers say.
 *
 * RFC 6143, 7.5; "QEMU Client Message" and "SetDesktopSize" of the RFB
 * protocol's community version. What has a length is not kept: encodings that
 * nobody knows and a clipboard's text are read and forgotten.
 *
 * @module
 */

import type { Rectangle } from "../../../core/backend/display.ts";
import type { ByteReader } from "./byte_reader.ts";
import { Encoding, type PixelEncoding } from "./encoder.ts";
import { ProtocolError } from "./handshake.ts";
import { FORMAT_BYTES, parseFormat, type PixelFormat } from "./pixel_format.ts";

/** Messages. */
const SET_PIXEL_FORMAT = 0;
const SET_ENCODINGS = 2;
const UPDATE_REQUEST = 3;
const KEY_EVENT = 4;
const POINTER_EVENT = 5;
const CUT_TEXT = 6;
const SET_DESKTOP_SIZE = 251;
const QEMU = 255;
/** The only one of QEMU's messages that is offered. */
const QEMU_KEY = 0;
/** Bytes of a screen in `SET_DESKTOP_SIZE`. */
const SCREEN_BYTES = 16;
/** The longest text of a clipboard, in bytes. */
const MAX_TEXT = 1 << 24;

const PIXEL_ENCODINGS: readonly number[] = Object.values(Encoding);
/** CopyRect, DesktopSize, extended keys, lights and ExtendedDesktopSize. */
const EXTENSIONS: readonly number[] = [1, -223, -258, -261, -308];

/** What a viewer can have its updates in. */
export interface Wishes {
  /** The encoding that it likes best, of those that there are. */
  readonly encoding: PixelEncoding;
  /** CopyRect and pseudo-encodings that it knows, of those that there are. */
  readonly extensions: ReadonlySet<number>;
}

/** One message. */
export type Message =
  | { readonly type: "format"; readonly format: PixelFormat }
  | { readonly type: "wishes"; readonly wishes: Wishes }
  | {
    readonly type: "request";
    readonly area: Rectangle;
    readonly incremental: boolean;
  }
  | { readonly type: "key"; readonly keysym: number; readonly down: boolean }
  | {
    readonly type: "scan code";
    readonly scanCode: number;
    readonly down: boolean;
  }
  | {
    readonly type: "pointer";
    readonly mask: number;
    readonly x: number;
    readonly y: number;
  }
  | { readonly type: "size" }
  | { readonly type: "nothing" };

/** Reads a viewer's messages. */
export class MessageReader {
  readonly #reader: ByteReader;

  /** Reads from here, after the handshake. */
  constructor(reader: ByteReader) {
    this.#reader = reader;
  }

  /** The next message; throws a `ProtocolError` for what is none. */
  async next(): Promise<Message> {
    const reader = this.#reader;
    const type = await reader.byte();
    switch (type) {
      case SET_PIXEL_FORMAT: {
        await reader.skip(3);
        const format = parseFormat(await reader.take(FORMAT_BYTES));
        if (format === undefined) throw new ProtocolError("no such format");
        return { type: "format", format };
      }
      case SET_ENCODINGS:
        return { type: "wishes", wishes: await this.#encodings() };
      case UPDATE_REQUEST: {
        const view = await reader.take(9);
        const area = {
          x: view.getUint16(1),
          y: view.getUint16(3),
          width: view.getUint16(5),
          height: view.getUint16(7),
        };
        return { type: "request", area, incremental: view.getUint8(0) !== 0 };
      }
      case KEY_EVENT: {
        const view = await reader.take(7);
        const down = view.getUint8(0) !== 0;
        return { type: "key", keysym: view.getUint32(3), down };
      }
      case POINTER_EVENT: {
        const view = await reader.take(5);
        const [x, y] = [view.getUint16(1), view.getUint16(3)];
        return { type: "pointer", mask: view.getUint8(0), x, y };
      }
      case CUT_TEXT: {
        const length = (await reader.take(7)).getUint32(3);
        if (length > MAX_TEXT) throw new ProtocolError("a text is too long");
        await reader.skip(length);
        return { type: "nothing" };
      }
      case SET_DESKTOP_SIZE: {
        const screens = (await reader.take(7)).getUint8(5);
        await reader.skip(screens * SCREEN_BYTES);
        return { type: "size" };
      }
      case QEMU: {
        const subtype = await reader.byte();
        if (subtype !== QEMU_KEY) throw new ProtocolError("not offered");
        const view = await reader.take(10);
        const down = view.getUint16(0) !== 0;
        const scanCode = view.getUint32(6);
        // A viewer that does not know the key says so.
        return scanCode === 0
          ? { type: "key", keysym: view.getUint32(2), down }
          : { type: "scan code", scanCode, down };
      }
      default:
        throw new ProtocolError(`no message has type ${type}`);
    }
  }

  async #encodings(): Promise<Wishes> {
    const reader = this.#reader;
    const count = (await reader.take(3)).getUint16(1);
    let encoding: PixelEncoding | undefined;
    const extensions = new Set<number>();
    for (let n = 0; n < count; n++) {
      const number = (await reader.take(4)).getInt32(0);
      if (PIXEL_ENCODINGS.includes(number)) {
        encoding ??= number as PixelEncoding;
      } else if (EXTENSIONS.includes(number)) extensions.add(number);
    }
    return { encoding: encoding ?? Encoding.raw, extensions };
  }
}
