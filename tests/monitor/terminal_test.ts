/** The monitor on a terminal (util-linux' `script`), as its user finds it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { withFolder } from "../block/oracle.ts";

const path = (relative: string): string =>
  fromFileUrl(new URL(relative, import.meta.url));
const MOD = path("../../mod.ts");
const ISAPC = path("../../machines/isapc.json");
const ECHO = path("../fixtures/echo.elf");
const SCRIPT = has("script");
const PATIENCE_MS = 30_000;

function has(program: string): boolean {
  try {
    return new Deno.Command(program, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Rhea on a terminal: what it shows, what is typed. */
class Desk {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #limit: ReturnType<typeof setTimeout>;
  readonly #folder: string;
  #shown = "";
  /** How much of it was expected already. */
  #at = 0;
  #changed: () => void = () => {};

  constructor(folder: string, flags: string) {
    this.#folder = folder;
    const rhea = `${Deno.execPath()} run -A --no-check ${MOD} ${ISAPC} ` +
      `--kernel ${ECHO} ${flags}`;
    Deno.writeTextFileSync(
      join(folder, "run.sh"),
      `stty -g > before; ${rhea}; echo status $?; stty -g > after\n`,
    );
    this.#child = new Deno.Command("script", {
      args: ["-qec", "bash run.sh", "/dev/null"],
      cwd: folder,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#limit = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    void this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stdout) {
      const text = decoder.decode(bytes, { stream: true });
      this.#shown += text.replaceAll("\r", "");
      this.#changed();
    }
    this.#shown += "\n<the end>";
    this.#changed();
  }

  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Wait for something to be shown after what was expected before. */
  async expect(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#shown.slice(this.#at));
      if (found !== null) {
        this.#at += found.index + found[0].length;
        return found[0];
      }
      const rest = JSON.stringify(this.#shown.slice(this.#at));
      assert(!this.#shown.endsWith("<the end>"), `no ${pattern} in ${rest}`);
      await new Promise<void>((resolve) => this.#changed = resolve);
    }
  }

  /** Wait for the end; says whether the terminal's settings are as before. */
  async end(): Promise<boolean> {
    await this.expect(/status \d+[^]*<the end>/);
    clearTimeout(this.#limit);
    await this.#writer.close().catch(() => {});
    await this.#child.status;
    const read = (name: string): string =>
      Deno.readTextFileSync(join(this.#folder, name));
    return read("before") === read("after");
  }
}

function terminalTest(
  name: string,
  flags: string,
  test: (desk: Desk) => Promise<void>,
): void {
  Deno.test({
    name: `monitor on a terminal: ${name}${
      SCRIPT ? "" : " (skipped: there is no script)"
    }`,
    ignore: !SCRIPT,
    fn: () => withFolder((folder) => test(new Desk(folder, flags))),
  });
}

terminalTest("Ctrl-A c there and back", "", async (desk) => {
  await desk.expect(/# /);
  await desk.type("\x01c");
  await desk.expect(/Rhea [\d.]+ monitor - type 'help'[^]*\(rhea\) /);
  await desk.type("info status\r");
  await desk.expect(/info status[^]*VM status: running\n[^]*\(rhea\) /);
  // What is typed in one piece goes where it belongs.
  await desk.type("stop\rinfo status\rcont\r\x01cto the guest\n");
  await desk.expect(/VM status: paused\n/);
  await desk.expect(/to the guest/);
  await desk.type("\x01c");
  await desk.expect(/\(rhea\) /);
  await desk.type("inf\tsta\t\r");
  await desk.expect(/VM status: running\n/);
  await desk.type("\x1b[A\x7f\x7f\x7f\x7f\x7f\x7f\x7fversion\r");
  await desk.expect(/\n\d+\.\d+\.\d+\n/);
  // Ctrl-D leaves the monitor, and the guest is there again.
  await desk.expect(/\(rhea\) /);
  await desk.type("\x04");
  await desk.expect(/\n/);
  await desk.type("again\n");
  await desk.expect(/again/);
  await desk.type("\x01cquit\r");
  assertEquals(await desk.end(), true);
});

terminalTest("snapshots, and how far they are", "", async (desk) => {
  await desk.expect(/# /);
  await desk.type("\x01csavevm here\r");
  // deno-lint-ignore no-control-regex
  await desk.expect(/\x1b\[Ksavevm.*\x1b\[K\(rhea\) /);
  await desk.type("loadvm here\r");
  // deno-lint-ignore no-control-regex
  await desk.expect(/\x1b\[Kloadvm.*\x1b\[K\(rhea\) /);
  await desk.type("delvm here\r");
  // deno-lint-ignore no-control-regex
  await desk.expect(/\x1b\[Kdelvm.*\x1b\[K\(rhea\) /);
  await desk.type("loadvm here\r");
  await desk.expect(/There is no snapshot/);
  await desk.type("\x01x");
  assertEquals(await desk.end(), true);
});

terminalTest("lists, and what is unknown", "", async (desk) => {
  await desk.expect(/# /);
  await desk.type("\x01cinfo m\t\t");
  assertMatch(
    await desk.expect(
      /mem +memdev +memory-devices\s+memory_size_summary +mice/,
    ),
    /mem/,
  );
  await desk.type("\x15frob\r");
  await desk.expect(/unknown command: 'frob'\n/);
  // The keys that are pressed with it stay.
  await desk.type("sendkey ctrl-al\t-delet\t");
  await desk.expect(/\(rhea\) sendkey ctrl-alt-delete /);
  await desk.type("\x15x/2i $eip\r");
  await desk.expect(/0x[0-9a-f]{8}: .*\n0x[0-9a-f]{8}: /);
  await desk.type("\x01x");
  assertEquals(await desk.end(), true);
});

terminalTest(
  "beside a text screen",
  "--display text --serial null",
  async (desk) => {
    // deno-lint-ignore no-control-regex
    await desk.expect(/\x1b\[\?1049h/);
    // deno-lint-ignore no-control-regex
    await desk.expect(/\x1b\[1;1H/);
    await desk.type("\x01c");
    // deno-lint-ignore no-control-regex
    await desk.expect(/\x1b\[\?1049l[^]*monitor[^]*\(rhea\) /);
    await desk.type("info name\r");
    await desk.expect(/\nisapc\n/);
    await desk.type("\x01c");
    // deno-lint-ignore no-control-regex
    await desk.expect(/\x1b\[\?1049h/);
    await desk.type("\x01x");
    assertEquals(await desk.end(), true);
  },
);

terminalTest(
  "in place of the serial port",
  "--serial null --monitor stdio",
  async (desk) => {
    await desk.expect(/monitor - type[^]*\(rhea\) /);
    await desk.type("info status\r");
    await desk.expect(/VM status: running\n/);
    await desk.type("q\r");
    assertEquals(await desk.end(), true);
  },
);

terminalTest("none", "--monitor none", async (desk) => {
  await desk.expect(/# /);
  await desk.type("\x01chello\n");
  await desk.expect(/hello/);
  await desk.type("\x01x");
  assertEquals(await desk.end(), true);
});
