/**
 * One viewer: what it says, and the updates that it gets.
 *
 * RFC 6143, 7.4 to 7.8. Two loops: one reads messages, the other sends, and is
 * the only one that does. An update is sent when the viewer has asked for one,
 * something has changed, and the last one is on its way and some time ago: who
 * is slow gets fewer of them, and nothing piles up.
 *
 * @module
 */

import type { Picture, Rectangle } from "../display.ts";
import type { InputEvent } from "../input.ts";
import {
  ByteReader,
  ConnectionEnd,
  type RfbConnection,
} from "./byte_reader.ts";
import { ByteSink } from "./byte_sink.ts";
import { bands, Encoder } from "./encoder.ts";
import { begin, ProtocolError } from "./handshake.ts";
import { ViewerKeys } from "./keys.ts";
import { MessageReader, type Wishes } from "./messages.ts";
import { addRectangle, addUpdate, Extension, Notices } from "./notices.ts";
import {
  COLOUR_MAP,
  formatBytes,
  NATIVE_FORMAT,
  PixelConverter,
  type PixelFormat,
} from "./pixel_format.ts";
import { type PointerEvent, ViewerPointer } from "./pointer.ts";
import { Shadow } from "./scroll.ts";
import { common, Region, type Surface, surfaceOf } from "./surface.ts";

/** Milliseconds of the host from one look at the screen to the next. */
const UPDATE_MS = 33;
/** A viewer that has not begun after so many milliseconds does not. */
const BEGIN_MS = 10_000;
/** How long a wrong password takes. */
const PUNISHMENT_MS = 1000;
/** What is sent at once, about: more waits until the connection takes it. */
const CHUNK = 1 << 16;
const NAME = "Rhea";

/** A message to the viewer. */
const SET_COLOUR_MAP_ENTRIES = 1;

/** What a viewer needs of its server. */
export interface ViewerHost {
  /** The password that a viewer must know, if any. */
  readonly password: string | undefined;
  /** The screen now, and what of it has changed since a generation. */
  look(since: number): Picture;
  /** The lights of the guest's keyboard, as `InputBackend.leds` has them. */
  lights(): number;
  /** `notify` the viewer when the screen changes, once. */
  watch(viewer: Viewer): void;
  /** Send what the viewer types; resolves when the guest has taken it. */
  send(events: readonly InputEvent[]): Promise<void>;
  /** Let somebody who does not know the password wait until it is his turn. */
  punish(wait: () => Promise<void>): Promise<void>;
  /** The viewer is let in. */
  admit(viewer: Viewer): void;
  /** Something is wrong with this program. */
  warn(message: string): void;
}

/** A viewer on a connection. */
export class Viewer {
  readonly #host: ViewerHost;
  readonly #connection: RfbConnection;
  readonly #reader: ByteReader;
  readonly #encoder = new Encoder();
  readonly #keys = new ViewerKeys();
  readonly #pointer = new ViewerPointer();
  #closed = false;
  #wake: () => void = () => {};
  #woken = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  // The screen as the viewer has it.
  #width = 0;
  #height = 0;
  #generation = 0;
  /** The size of the picture when it was last seen. */
  #pictureSize = "";
  readonly #dirty = new Region();
  #shadow: Shadow | undefined;

  // What it wants.
  #format: PixelFormat = NATIVE_FORMAT;
  #converter = new PixelConverter(NATIVE_FORMAT);
  #wishes: Wishes = { encoding: 0, extensions: new Set() };
  #request: Rectangle | undefined;
  readonly #notices: Notices;
  #lastLook = 0;

  // What waits until the guest has taken the motion before it.
  #moving = false;
  #moved: PointerEvent | undefined;

  /** A viewer that has connected. */
  constructor(host: ViewerHost, connection: RfbConnection) {
    this.#host = host;
    this.#notices = new Notices(() => host.lights());
    this.#connection = {
      read: (into) => guarded(connection.read(into)),
      write: (bytes) => guarded(connection.write(bytes)),
      close: () => connection.close(),
    };
    this.#reader = new ByteReader(this.#connection);
  }

  /** Serve it; resolves when it has gone. */
  async run(): Promise<void> {
    let updates = Promise.resolve();
    try {
      await this.#begin();
      this.#host.admit(this);
      await this.#welcome();
      updates = this.#guard(this.#sendUpdates());
      await this.#guard(this.#readMessages());
    } catch (error) {
      this.#report(error);
    }
    this.close();
    await updates;
    this.#encoder.close();
    void this.#host.send([
      ...this.#keys.releaseAll(),
      ...this.#pointer.releaseAll(),
    ]);
  }

  /** A loop that ends the viewer when it ends. */
  async #guard(loop: Promise<void>): Promise<void> {
    try {
      await loop;
    } catch (error) {
      this.#report(error);
    }
    this.close();
  }

  #report(error: unknown): void {
    if (error instanceof ConnectionEnd || error instanceof ProtocolError) {
      return;
    }
    const text = error instanceof Error ? error.stack : String(error);
    this.#host.warn(`a viewer is lost: ${text}`);
  }

  /** Hang up. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
    this.notify();
  }

  /** Something has changed: the screen, or what the viewer wants. */
  notify(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Another screen is shown from now on. */
  restart(): void {
    this.#generation = 0;
    this.#pictureSize = "";
    this.notify();
  }

  /** Resolves after `notify`, which may have been before. */
  async #awake(): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#woken = false;
  }

  /** Let time pass, unless the viewer goes. */
  async #sleep(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    this.#timer = setTimeout(() => this.notify(), milliseconds);
    while (!this.#closed && performance.now() < end - 1) await this.#awake();
    clearTimeout(this.#timer);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#connection.write(bytes.subarray(at));
    }
  }

  async #begin(): Promise<void> {
    const timeout = setTimeout(() => this.close(), BEGIN_MS);
    try {
      await begin({
        reader: this.#reader,
        send: (bytes) => this.#write(bytes),
        password: this.#host.password,
        punish: () => this.#host.punish(() => this.#sleep(PUNISHMENT_MS)),
      });
    } finally {
      clearTimeout(timeout);
    }
  }

  /** ServerInit. */
  async #welcome(): Promise<void> {
    const { width, height } = this.#host.look(0);
    this.#width = width;
    this.#height = height;
    const sink = new ByteSink();
    sink.u16(width);
    sink.u16(height);
    sink.add(formatBytes(this.#format));
    sink.text(NAME);
    await this.#write(sink.bytes);
  }

  async #readMessages(): Promise<void> {
    const messages = new MessageReader(this.#reader);
    while (!this.#closed) {
      const message = await messages.next();
      switch (message.type) {
        case "format":
          this.#format = message.format;
          break;
        case "wishes":
          this.#setWishes(message.wishes);
          break;
        case "request":
          this.#ask(message.area, message.incremental);
          break;
        case "key":
          void this.#host.send(this.#keys.key(message.keysym, message.down));
          break;
        case "scan code":
          void this.#host.send(
            this.#keys.scanCode(message.scanCode, message.down),
          );
          break;
        case "pointer":
          this.#point(message);
          break;
        case "size":
          this.#notices.refuseSize();
          this.notify();
          break;
        case "nothing":
          break;
      }
    }
  }

  #setWishes(wishes: Wishes): void {
    this.#notices.adopt(wishes.extensions);
    this.#setPointer();
    this.#wishes = wishes;
    this.notify();
  }

  #ask(area: Rectangle, incremental: boolean): void {
    const whole = this.#whole();
    const wanted = common(area, whole);
    if (wanted === undefined) return;
    if (!incremental) {
      this.#dirty.add(wanted);
      this.#notices.askSize();
    }
    // Two that wait become one.
    const before = this.#request ?? wanted;
    const x = Math.min(before.x, wanted.x);
    const y = Math.min(before.y, wanted.y);
    this.#request = {
      x,
      y,
      width: Math.max(before.x + before.width, wanted.x + wanted.width) - x,
      height: Math.max(before.y + before.height, wanted.y + wanted.height) - y,
    };
    this.notify();
  }

  #whole(): Rectangle {
    return { x: 0, y: 0, width: this.#width, height: this.#height };
  }

  /** Positions are another thing from now on, or the same. */
  #setPointer(): void {
    const { isPointerRelative } = this.#notices;
    if (this.#pointer.isRelative === isPointerRelative) return;
    this.#pointer.isRelative = isPointerRelative;
    this.#moved = undefined;
  }

  /** The pointer moves: motions that the guest is too slow for merge. */
  #point(event: PointerEvent): void {
    const now = this.#pointer.understand(event);
    const before = this.#moved;
    if (this.#pointer.changesButtons(now.mask)) {
      this.#moved = undefined;
      if (before !== undefined) this.#sendPointer(before);
      this.#sendPointer(now);
    } else if (this.#moving) {
      this.#moved = this.#pointer.merge(before, now);
    } else this.#sendPointer(now);
  }

  #sendPointer(event: PointerEvent): void {
    const events = this.#pointer.event(event, this.#whole());
    if (events.length === 0) return;
    this.#moving = true;
    void this.#host.send(events).then(() => {
      this.#moving = false;
      const moved = this.#moved;
      this.#moved = undefined;
      if (moved !== undefined && !this.#closed) this.#sendPointer(moved);
    });
  }

  async #sendUpdates(): Promise<void> {
    while (!this.#closed) {
      if (this.#request === undefined) {
        await this.#awake();
        continue;
      }
      const wait = this.#lastLook + UPDATE_MS - performance.now();
      if (wait > 0) await this.#sleep(wait);
      if (this.#closed) return;
      // What has been said until now is looked at here.
      this.#woken = false;
      const area = this.#request;
      const picture = this.#look();
      this.#lastLook = performance.now();
      const size = `${picture.width}x${picture.height}`;
      const resized = this.#notices.canResize &&
        size !== `${this.#width}x${this.#height}`;
      if (!resized && !this.#hasNews(area)) {
        this.#host.watch(this);
        await this.#awake();
        continue;
      }
      this.#request = undefined;
      await this.#adoptFormat();
      if (resized) await this.#resize(picture);
      else await this.#update(area, picture);
    }
  }

  /** Look at the screen, and note what of it has changed. */
  #look(): Picture {
    const picture = this.#host.look(this.#generation);
    const size = `${picture.width}x${picture.height}`;
    const whole = this.#whole();
    if (size !== this.#pictureSize) this.#dirty.add(whole);
    else {
      for (const area of picture.changed) {
        const seen = common(area, whole);
        if (seen !== undefined) this.#dirty.add(seen);
      }
    }
    this.#pictureSize = size;
    this.#generation = picture.generation;
    return picture;
  }

  #hasNews(area: Rectangle): boolean {
    return this.#notices.count > 0 || this.#dirty.within(area).length > 0;
  }

  /** The format may be another from this update on. */
  async #adoptFormat(): Promise<void> {
    if (this.#converter.format === this.#format) return;
    this.#converter = new PixelConverter(this.#format);
    // What the viewer has is in the old format.
    this.#shadow = undefined;
    if (this.#format.trueColour) return;
    const sink = new ByteSink();
    sink.u8(SET_COLOUR_MAP_ENTRIES);
    sink.u8(0);
    sink.u16(0);
    sink.u16(COLOUR_MAP.length);
    for (const colour of COLOUR_MAP) for (const part of colour) sink.u16(part);
    await this.#write(sink.bytes);
  }

  /** The screen has another size: the viewer asks again for what is there. */
  async #resize({ width, height }: Picture): Promise<void> {
    this.#width = width;
    this.#height = height;
    this.#shadow = undefined;
    this.#dirty.clear();
    this.#dirty.add(this.#whole());
    const sink = new ByteSink();
    this.#notices.addResize(sink, width, height);
    await this.#write(sink.bytes);
  }

  /** A FramebufferUpdate of what has changed in an area. */
  async #update(area: Rectangle, picture: Picture): Promise<void> {
    const surface = surfaceOf(picture, this.#width, this.#height);
    const { encoding } = this.#wishes;
    const news = this.#dirty.take(area);
    const scrolled = this.#scrolled(surface, news);
    const rest = scrolled?.rest ?? news;
    if (scrolled === undefined) this.#keepShadow(news);
    const parts = rest.flatMap(bands);
    const sink = new ByteSink(CHUNK);
    addUpdate(
      sink,
      parts.length + (scrolled === undefined ? 0 : 1) + this.#notices.count,
    );
    this.#notices.add(sink, this.#width, this.#height);
    this.#setPointer();
    if (scrolled !== undefined) {
      addRectangle(sink, scrolled.area, Extension.copyRect);
      sink.u16(scrolled.area.x);
      sink.u16(scrolled.fromY);
    }
    const shadow = this.#shadow;
    const converter = this.#converter;
    for (const part of parts) {
      addRectangle(sink, part, encoding);
      shadow?.update(surface, part);
      await this.#encoder.encode(sink, surface, part, encoding, converter);
      if (sink.length < CHUNK) continue;
      await this.#write(sink.bytes);
      sink.truncate(0);
    }
    await this.#write(sink.bytes);
  }

  /** Who knows CopyRect and gets the whole screen has known pixels. */
  #keepShadow(news: readonly Rectangle[]): void {
    const [first] = news;
    if (
      this.#shadow === undefined && news.length === 1 &&
      this.#wishes.extensions.has(Extension.copyRect) &&
      first.width === this.#width && first.height === this.#height
    ) this.#shadow = new Shadow(this.#width, this.#height);
  }

  /** What the viewer can move by itself, and what remains to be sent. */
  #scrolled(surface: Surface, news: readonly Rectangle[]) {
    const shadow = this.#shadow;
    if (
      shadow === undefined || !this.#wishes.extensions.has(Extension.copyRect)
    ) {
      return undefined;
    }
    for (const area of news) {
      const scroll = shadow.find(surface, area);
      if (scroll === undefined) continue;
      shadow.move(scroll);
      const rest = new Region();
      for (const other of news) rest.add(other);
      rest.remove(scroll.area);
      return { ...scroll, rest: rest.within(this.#whole()) };
    }
    return undefined;
  }
}

/** An operation on the connection, which may be closed meanwhile. */
async function guarded<T>(operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (cause) {
    throw new ConnectionEnd("the connection is lost", { cause });
  }
}
