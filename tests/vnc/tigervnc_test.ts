/**
 * TigerVNC's viewer, on an X server without a screen, shows what is on the
 * guest's in the formats of X's depths, and what is typed into it arrives.
 */

import { assertEquals } from "@std/assert";
import type { InputEvent } from "../../core/backend/input.ts";
import { answerOf } from "../../core/backend/rfb/authentication.ts";
import { within } from "../limit.ts";
import { FakeScreen, PATTERNS } from "./fake_screen.ts";
import { Server } from "./server.ts";

const TOOLS = ["Xvfb", "xtigervncviewer", "xwd", "xdotool"] as const;
const WAIT_MS = 20_000;

function missing(): string {
  const absent = TOOLS.filter((tool) => {
    try {
      return !Deno.statSync(`/usr/bin/${tool}`).isFile;
    } catch {
      return true;
    }
  });
  return absent.length === 0 ? "" : `${absent.join(", ")} missing`;
}
const reason = missing();

/** A screen of X, as `xwd` writes it, of two or four bytes a pixel. */
interface XScreen {
  readonly width: number;
  readonly height: number;
  /** A word of X's for each. */
  readonly pixels: Uint32Array;
}

/** X11's window dump: XWDFile.h of X.Org. */
function parseXwd(bytes: Uint8Array): XScreen {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const field = (n: number): number => view.getUint32(4 * n);
  const [head, width, height] = [field(0), field(4), field(5)];
  const [order, bits, pitch, colours] = [
    ...[field(7), field(11), field(12), field(19)],
  ];
  const start = head + 12 * colours;
  const pixels = new Uint32Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = start + y * pitch + x * bits / 8;
      pixels[to++] = bits === 32
        ? view.getUint32(at, order === 0) & 0xffffff
        : bits === 16
        ? view.getUint16(at, order === 0)
        : view.getUint8(at);
    }
  }
  return { width, height, pixels };
}

/** An X server and a viewer on it. */
class Desk implements AsyncDisposable {
  readonly #folder: string;
  readonly #processes: Deno.ChildProcess[] = [];
  #env: Record<string, string> = {};

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(
    port: number,
    password: string,
    options: readonly string[],
  ): Promise<Desk> {
    const desk = new Desk(await Deno.makeTempDir());
    // Without "-noreset" it starts anew when `xwd`, its only client so far, has
    // gone, and refuses the viewer meanwhile.
    const x = desk.#start("Xvfb", [
      ...["-displayfd", "1", "-nolisten", "tcp", "-noreset"],
      ...["-screen", "0", "800x700x24"],
    ]);
    const reader = x.stdout.getReader();
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await within("Xvfb's number", reader.read());
      if (done) throw new Error("Xvfb has ended");
      text += new TextDecoder().decode(value);
    }
    await reader.cancel();
    desk.#env = { DISPLAY: `:${text.trim()}`, HOME: desk.#folder };
    const passwords = `${desk.#folder}/passwords`;
    await Deno.writeFile(passwords, obfuscated(password));
    const viewer = desk.#start("xtigervncviewer", [
      ...options,
      ...["-passwd", passwords, `127.0.0.1::${port}`],
    ]);
    await viewer.stdout.cancel();
    return desk;
  }

  #start(tool: string, args: readonly string[]): Deno.ChildProcess {
    const child = new Deno.Command(tool, {
      args: [...args],
      env: this.#env,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#processes.push(child);
    return child;
  }

  async #run(tool: string, args: readonly string[]): Promise<Uint8Array> {
    const { stdout } = await within(
      `${tool} ${args.join(" ")}`,
      new Deno.Command(tool, {
        args: [...args],
        env: this.#env,
        stderr: "null",
      }).output(),
    );
    return stdout;
  }

  /** The whole screen of X. */
  async shot(): Promise<XScreen> {
    return parseXwd(await this.#run("xwd", ["-root", "-silent"]));
  }

  /** Let `xdotool` do something. */
  async act(...args: string[]): Promise<void> {
    await this.#run("xdotool", args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes.reverse()) {
      try {
        child.kill();
      } catch {
        // It has ended by itself.
      }
      await within("the end of a program", child.status);
    }
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** A file of vncpasswd's: the password under a key that everybody knows. */
function obfuscated(password: string): Uint8Array {
  const key = String.fromCharCode(23, 82, 107, 6, 35, 78, 88, 7);
  const padded = new TextEncoder().encode(password.padEnd(8, "\0"));
  return answerOf(padded, key);
}

/** A screen in the viewer's colours, of so many bits each, as 24 bits. */
function expected({ words }: FakeScreen, [r, g, b]: Levels): Uint32Array {
  const part = (word: number, from: number, max: number): number =>
    Math.floor(Math.round((word >> from & 0xff) * max / 255) * 255 / max);
  return words.map((word) =>
    part(word, 16, r) << 16 | part(word, 8, g) << 8 | part(word, 0, b)
  );
}

/** Where in X's screen the guest's lies; undefined when it is not there. */
function find(
  x: XScreen,
  words: Uint32Array,
  { width, height }: FakeScreen,
): { left: number; top: number } | undefined {
  for (let top = 0; top + height <= x.height; top++) {
    next: for (let left = 0; left + width <= x.width; left++) {
      for (let row = 0; row < height; row++) {
        const at = (top + row) * x.width + left;
        for (let column = 0; column < width; column++) {
          if (x.pixels[at + column] !== words[row * width + column]) {
            continue next;
          }
        }
      }
      return { left, top };
    }
  }
  return undefined;
}

async function assertShows(
  desk: Desk,
  screen: FakeScreen,
  levels: Levels,
): Promise<{ left: number; top: number }> {
  const words = expected(screen, levels);
  for (const end = Date.now() + WAIT_MS; Date.now() < end;) {
    const found = find(await desk.shot(), words, screen);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the viewer does not show the screen");
}

/** What is clicked and typed, and what the guest gets of it, in short. */
const TYPED: readonly [act: string, events: string][] = [
  ["click 1", "+0 -0"],
  ["click 2", "+1 -1"],
  ["click 3", "+2 -2"],
  ["click 4", "up"],
  ["click 5", "down"],
  ["key a", "+KeyA -KeyA"],
  ["key shift+2", "+ShiftLeft +Digit2 -ShiftLeft -Digit2"],
  ["key F5", "+F5 -F5"],
  [
    "key ctrl+alt+Delete",
    "+ControlLeft +AltLeft +Delete -ControlLeft -AltLeft -Delete",
  ],
];

/** So many events, but for positions, once they have come. */
async function typed({ events }: Server, count: number): Promise<string[]> {
  const inShort = (event: InputEvent): string[] => {
    switch (event.type) {
      case "key":
        return [`${event.down ? "+" : "-"}${event.code}`];
      case "button":
        return [`${event.down ? "+" : "-"}${event.button}`];
      case "motion":
        return [event.wheel < 0 ? "up" : "down"];
      default:
        return [];
    }
  };
  for (const end = Date.now() + WAIT_MS;;) {
    const seen = events.flatMap(inShort);
    if (seen.length >= count || Date.now() > end) return seen;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The greatest values of red, green and blue. */
type Levels = readonly [number, number, number];
const ALL: Levels = [255, 255, 255];

const CASES: readonly [options: string[], levels: Levels][] = [
  [["-FullColor=1", "-PreferredEncoding=ZRLE"], ALL],
  [["-FullColor=1", "-PreferredEncoding=Raw"], ALL],
  [["-FullColor=0", "-LowColorLevel=2"], [7, 7, 3]],
  [["-FullColor=0", "-LowColorLevel=1"], [3, 3, 3]],
];

for (const [options, levels] of CASES) {
  const name = `vnc: TigerVNC ${options.join(" ")}`;
  Deno.test({
    name: reason === "" ? name : `${name} (${reason})`,
    ignore: reason !== "",
    async fn() {
      const screen = new FakeScreen(333, 201);
      const whole = () => ({
        ...{ x: 0, y: 0, width: screen.width, height: screen.height },
      });
      screen.draw(whole(), PATTERNS.noise);
      const server = new Server(screen, { password: "pass" });
      {
        await using desk = await Desk.open(server.port, "pass", [
          ...["-AutoSelect=0", ...options],
        ]);
        let { left, top } = await assertShows(desk, screen, levels);
        for (const [name, pattern] of Object.entries(PATTERNS)) {
          // A picture of one colour is everywhere.
          if (name === "solid") continue;
          screen.draw({ x: 17, y: 40, width: 150, height: 71 }, pattern);
          await assertShows(desk, screen, levels);
        }
        screen.scroll(16, (x, y) => PATTERNS.noise(y, x));
        await assertShows(desk, screen, levels);
        screen.resize(640, 400);
        screen.draw(whole(), PATTERNS.noise);
        ({ left, top } = await assertShows(desk, screen, levels));
        // There is no window manager that gives keys to a window.
        await desk.act("search", "--name", "Rhea", "windowfocus");
        await desk.act("mousemove", `${left + 320}`, `${top + 200}`);
        const wanted: string[] = [];
        for (const [act, events] of TYPED) {
          // One at a time: on a busy host keys may overtake the pointer on
          // their way through xdotool, X and the viewer.
          await desk.act(...act.split(" "));
          wanted.push(...events.split(" "));
          assertEquals(await typed(server, wanted.length), wanted);
        }
      }
      await server.close();
    },
  });
}
