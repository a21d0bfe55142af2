/** The terminal, as a user of the command line finds it afterwards. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

const path = (relative: string): string =>
  fromFileUrl(new URL(relative, import.meta.url));
const MOD = path("../../mod.ts");
const ISAPC = path("../../machines/isapc.json");
const ECHO = path("../fixtures/echo.elf");

/**
 * Run Rhea with the echo kernel on a terminal of its own (util-linux'
 * `script`), type at the prompt, and compare the terminal's settings before
 * and after. Undefined where there is no `script`.
 */
async function onTerminal(
  type: string,
  kill?: string,
  { flags, prompt }: { flags: string; prompt: string } = {
    flags: "",
    prompt: "# ",
  },
): Promise<{ output: string; restored: boolean } | undefined> {
  const directory = await Deno.makeTempDir();
  const rhea = [
    Deno.execPath(),
    "run -P --no-check",
    MOD,
    ISAPC,
    `--kernel ${ECHO} ${flags}`,
  ].join(" ");
  const inner = `stty -g > before; ${rhea} & echo $! > pid; fg > /dev/null;` +
    `echo status $?; stty -g > after`;
  try {
    await Deno.writeTextFile(`${directory}/run.sh`, `set -m\n${inner}\n`);
    const child = new Deno.Command("script", {
      args: ["-qec", "bash run.sh", "/dev/null"],
      cwd: directory,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const limit = setTimeout(() => child.kill("SIGKILL"), 30_000);
    const writer = child.stdin.getWriter();
    let output = "";
    let typed = false;
    for await (const bytes of child.stdout) {
      output += new TextDecoder().decode(bytes);
      if (typed || !output.includes(prompt)) continue;
      typed = true;
      await writer.write(new TextEncoder().encode(type));
      if (kill !== undefined) {
        const pid = Number(await Deno.readTextFile(`${directory}/pid`));
        Deno.kill(pid, kill as Deno.Signal);
      }
    }
    await writer.close().catch(() => {});
    await child.status;
    clearTimeout(limit);
    const read = (name: string): Promise<string> =>
      Deno.readTextFile(`${directory}/${name}`);
    return { output, restored: await read("before") === await read("after") };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("skipped: util-linux' script is not installed");
    return undefined;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("terminal: Ctrl-A h, Ctrl-C to the guest, Ctrl-A x", async () => {
  const ran = await onTerminal("hi\x03\x01h\x01x");
  if (ran === undefined) return;
  assert(ran.output.includes("Hello from the guest"));
  assert(ran.output.includes("hi"), ran.output);
  assert(ran.output.includes("Ctrl-A x"), ran.output);
  assertEquals(ran.restored, true);
});

Deno.test("terminal: restored when the guest ends the machine", async () => {
  const ran = await onTerminal("q");
  if (ran === undefined) return;
  assert(ran.output.includes("status 1"), ran.output);
  assertEquals(ran.restored, true);
});

Deno.test("terminal: restored when the process is told to end", async () => {
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"]) {
    const ran = await onTerminal("x", signal);
    if (ran === undefined) return;
    assertEquals(ran.restored, true, signal);
  }
});

Deno.test("terminal: the text screen is restored, whatever ends it", async () => {
  const text = {
    flags: "--display text --serial null",
    prompt: "\x1b[1;1H",
  };
  for (const signal of [undefined, "SIGTERM"]) {
    const ran = await onTerminal("abc\x01x", signal, text);
    if (ran === undefined) return;
    assert(ran.output.includes("\x1b[?1049h"), ran.output);
    // deno-lint-ignore no-control-regex
    assert(/\x1b\[\?1049l[^\x1b]*$/.test(ran.output), ran.output);
    assertEquals(ran.restored, true);
  }
});
