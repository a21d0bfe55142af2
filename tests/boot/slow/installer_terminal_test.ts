/**
 * Debian's installer in somebody else's terminal (tmux): the command line with
 * `--display text`, walked by what the terminal sends for keys, up to the
 * network's configuration.
 */

import { fromFileUrl, join } from "@std/path";
import { PATIENCE } from "../guest.ts";
import { linuxTest, PC } from "../firmware.ts";

const RHEA = fromFileUrl(new URL("../../../mod.ts", import.meta.url));
const TMUX = { what: "tmux", in: "tmux" };
/** Milliseconds between two looks at the terminal. */
const LOOK_MS = 500;

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}

/** A terminal of 80x25 in which a command runs. */
class Tmux implements AsyncDisposable {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** Start it, with its socket in `folder`. */
  static async start(folder: string, command: string[]): Promise<Tmux> {
    const terminal = new Tmux(join(folder, "tmux"));
    const size = ["-x", "80", "-y", "25"];
    // The status line would take one of the rows.
    const bare = ["-f", "/dev/null", "start-server", ";"];
    const noStatus = ["set-option", "-g", "status", "off", ";"];
    await terminal.#tmux(
      ...[...bare, ...noStatus, "new-session", "-d", ...size, ...command],
    );
    return terminal;
  }

  async #tmux(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-u", "-S", this.#socket, ...args],
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    if (!success) throw new Error(`tmux: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  }

  /** Press keys by tmux's names. */
  async press(...keys: string[]): Promise<void> {
    await this.#tmux("send-keys", ...keys);
  }

  /**
   * Wait for a pattern in what it shows, with the sequences that give the
   * colours.
   */
  async expect(pattern: RegExp): Promise<void> {
    const end = Date.now() + PATIENCE.timeout;
    for (;;) {
      const text = await this.#tmux("capture-pane", "-p", "-e");
      if (pattern.test(text)) return;
      if (Date.now() > end) throw new Error(`no ${pattern} in:\n${text}`);
      await pause();
    }
  }

  /** Wait until the command has ended, and with it the terminal. */
  async ended(): Promise<void> {
    const end = Date.now() + PATIENCE.timeout;
    for (;;) {
      try {
        await this.#tmux("has-session");
      } catch {
        return;
      }
      if (Date.now() > end) throw new Error("it still runs");
      await pause();
    }
  }

  /** End it and what runs in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server").catch(() => {});
  }
}

linuxTest(
  "the installer in a terminal up to the network",
  [TMUX],
  async (folder, { kernel, installer }) => {
    await using terminal = await Tmux.start(folder, [
      ...[Deno.execPath(), "run", "-A", RHEA, PC, "--display", "text"],
      ...["--serial", "null", "--kernel", kernel, "--initrd", installer],
      ...["--append", "vga=normal fb=false --- quiet"],
      ...["--memory", "512M", "--nic", "user"],
    ]);
    // The chosen row is grey on red.
    await terminal.expect(
      /Select a language(.*\n)+.*\[37m.\[41mEnglish(.*\n)+.*<Tab> moves;/,
    );
    await terminal.press("Down", "Down");
    await terminal.expect(/\[37m.\[41mFrench +- +Français/);
    await terminal.press("Enter");
    await terminal.expect(
      /Choix de votre situation géographique(.*\n)+.*<Tab>/,
    );
    await terminal.press("Enter");
    await terminal.expect(/Configurer le clavier(.*\n)+.*<Tab>/);
    await terminal.press("Enter");
    await terminal.expect(/Configurer le réseau(.*\n)+.*Nom de machine(.*\n)+/);
    // Keys of the keyboard that was chosen.
    await terminal.press("rheq");
    await terminal.expect(/rhea/);
    await terminal.press("C-a", "x");
    await terminal.ended();
  },
);
