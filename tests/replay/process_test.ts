/**
 * What a user has: the command line at a terminal, a process that is killed,
 * sockets and a viewer, recorded and replayed.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { LogFile } from "../../core/replay/log_file.ts";
import { Machine } from "../../machines/machine.ts";
import { until, within } from "../limit.ts";
import { hasProgram } from "../programs.ts";
import { freePort } from "../vnc/free_port.ts";
import { WireViewer } from "../vnc/wire_viewer.ts";
import { ISAPC, placeOf, withFolder, withKernel } from "./guests.ts";

const path = (name: string): string =>
  fromFileUrl(new URL(`../../${name}`, import.meta.url));

const RHEA = [
  ...[Deno.execPath(), "run", "-A", "--config", path("deno.json")],
  path("mod.ts"),
];

/** The listener's when it ends: the debug exit device makes it odd. */
const STATUS = 1;

/** A program whose output is awaited, and which is typed to. */
class Typed {
  readonly child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  text = "";

  constructor(program: string, args: readonly string[]) {
    this.child = new Deno.Command(program, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.child.stdin.getWriter();
    this.#reader = this.child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Resolves when a pattern is there, or at the end. */
  async expect(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      const { value } = await within(`${pattern}`, this.#reader.read());
      assert(value !== undefined, this.text);
      this.text += value;
    }
  }

  /** Everything up to its end; gives back its status. */
  async end(): Promise<number> {
    for (;;) {
      const { value } = await within("the program's end", this.#reader.read());
      if (value === undefined) break;
      this.text += value;
    }
    await this.#writer.close().catch(() => {});
    return (await within("the program's status", this.child.status)).code;
  }
}

async function replay(
  log: string,
): Promise<{ out: string; errors: string; code: number }> {
  const { code, stdout, stderr } = await within(
    "the end of the replay",
    new Deno.Command(RHEA[0], {
      args: [...RHEA.slice(1), "--replay", log],
      stdin: "null",
    }).output(),
  );
  const decoder = new TextDecoder();
  return {
    out: decoder.decode(stdout),
    errors: decoder.decode(stderr),
    code,
  };
}

const scripted = hasProgram("script");

Deno.test({
  name: `a session at a pseudo-terminal is recorded, from a snapshot too${
    scripted ? "" : " (skipped: no script)"
  }`,
  ignore: !scripted,
  fn: () =>
    withFolder((folder) =>
      withKernel(folder, async (kernel) => {
        const log = `${folder}/log`;
        const record = (...args: string[]): Typed =>
          new Typed("script", [
            "-qec",
            [...RHEA, ...args, "--record", log].join(" "),
            "/dev/null",
          ]);
        const session = record(
          ...[ISAPC, "--kernel", kernel, "--memory", "16M"],
        );
        await session.expect(/ready\r?\n/);
        for (const key of "xyz") {
          await session.type(key);
          await session.expect(new RegExp(`^s${hex(key)}`, "mi"));
        }
        // The monitor at the terminal has nothing to do with the guest.
        await session.type(`\x01csavevm ${folder}/snap.rhea\r`);
        await session.expect(/\.rhea[^\n]*\r\n[^]*\(rhea\) /);
        await session.type("\x01c");
        await session.type("q");
        assertEquals(await session.end(), STATUS);
        const again = await replay(log);
        assertEquals(again.code, STATUS, again.errors);
        const lines = (text: string): string[] =>
          text.replaceAll("\r", "").match(/^[stk][0-9a-f]{2} .*$/gm) ?? [];
        // While the monitor has the terminal the guest's output is not there.
        const shown = new Set(lines(session.text));
        assert(shown.size > 4);
        assertEquals(
          lines(again.out).filter((line) => shown.has(line)),
          [...shown],
        );
        const later = record("--loadvm", `${folder}/snap.rhea`);
        await later.expect(/^t/m);
        await later.type("w");
        await later.expect(new RegExp(`^s${hex("w")}`, "mi"));
        await later.type("q");
        assertEquals(await later.end(), STATUS);
        const second = await replay(log);
        assertEquals(second.code, STATUS, second.errors);
        assertEquals(lines(second.out), lines(later.text));
      })
    ),
});

Deno.test({
  name: `keys at a text screen are recorded and replayed${
    scripted ? "" : " (skipped: no script)"
  }`,
  ignore: !scripted,
  fn: () =>
    withFolder((folder) =>
      withKernel(folder, async (kernel) => {
        const [log, serial] = [`${folder}/log`, `${folder}/serial`];
        const args = [
          ...[ISAPC, "--kernel", kernel, "--memory", "16M"],
          ...["--display", "text", "--serial", `file:${serial}`],
        ];
        const session = new Typed("script", [
          "-qec",
          [...RHEA, ...args, "--record", log].join(" "),
          "/dev/null",
        ]);
        const shown = async (pattern: RegExp): Promise<void> => {
          await until(`${pattern} on the serial line`, async () =>
            pattern.test(await Deno.readTextFile(serial).catch(() => "")));
        };
        await shown(/ready/);
        // Scan codes, set 1: pressed and released.
        for (const [key, code] of [["a", "1e"], ["s", "1f"]]) {
          await session.type(key);
          await shown(new RegExp(`^k${code}`, "mi"));
        }
        await session.type("\x01x");
        await session.end();
        const recorded = new LogFile(await Deno.readFile(log));
        assert(!recorded.isTruncated);
        const inputs = [...recorded].filter((entry) =>
          "events" in entry
        );
        assert(inputs.length >= 2);
        // The replay compares all that the guest has sent, at its end.
        const again = await replay(log);
        assertEquals(again.code, 0, again.errors);
        assertMatch(again.errors, /the recording ends here, after \d+ /);
      })
    ),
});

function hex(key: string): string {
  return key.charCodeAt(0).toString(16);
}

Deno.test("a recording whose process was killed is replayed up to there", () =>
  withFolder((folder) =>
    withKernel(folder, async (kernel) => {
      const log = `${folder}/log`;
      const session = new Typed(RHEA[0], [
        ...RHEA.slice(1),
        ...[ISAPC, "--kernel", kernel, "--memory", "16M", "--record", log],
      ]);
      await session.expect(/ready\r?\n/);
      await session.type("x");
      await session.expect(new RegExp(`^s${hex("x")}`, "mi"));
      await session.expect(/^t00 00[4-9a-f]/m);
      // What is recorded is in the file a little later.
      await until(
        "an entry in the file",
        async () => new LogFile(await Deno.readFile(log)).length > 0,
      );
      session.child.kill("SIGKILL");
      await session.end();
      const { isTruncated, length } = new LogFile(await Deno.readFile(log));
      assert(isTruncated && length > 0);
      const again = await replay(log);
      assertEquals(again.code, 0, again.errors);
      assertMatch(again.errors, /the recording breaks off here, after \d+ /);
      assertStringIncludes(session.text, again.out.trimEnd());
      assertMatch(again.out, /ready/);
      // Of another version, and no recording at all.
      const bytes = await Deno.readFile(log);
      bytes[7]++;
      for (
        const [content, why] of [
          [bytes, /it has format 2, expected 1/],
          [new TextEncoder().encode("RHEAREC"), /it has format none/],
          [new Uint8Array(), /it is not a recording/],
        ] as const
      ) {
        await Deno.writeFile(log, content);
        const refused = await replay(log);
        assertEquals(refused.code === 0, false);
        assertMatch(refused.errors, why);
        assertEquals(refused.errors.trim().split("\n").length, 1);
      }
    })
  ));

Deno.test("a socket and a viewer's keys and pointer are replayed without them", () =>
  withFolder((folder) =>
    withKernel(folder, async (kernel) => {
      const log = `${folder}/log`;
      const [port, vnc] = [freePort(), freePort()];
      const machine = await Machine.load(ISAPC, {
        kernel,
        memory: "16M",
        serial: [`tcp:127.0.0.1:${port},listen`],
        vnc: `127.0.0.1:${vnc - 5900}`,
        record: log,
      });
      const socket = await Deno.connect({ hostname: "127.0.0.1", port });
      const reader = socket.readable.pipeThrough(new TextDecoderStream())
        .getReader();
      let text = "";
      const expect = async (pattern: RegExp): Promise<void> => {
        while (!pattern.test(text)) {
          const { value } = await within(`${pattern}`, reader.read());
          assert(value !== undefined, text);
          text += value;
        }
      };
      const run = machine.run();
      await expect(/^t/m);
      const viewer = await WireViewer.begin(vnc);
      for (const key of "abc") {
        const keysym = key.charCodeAt(0);
        await viewer.send(Uint8Array.of(3, 0, 0, 0, 0, 0, 1, 0, 1, 0));
        await viewer.send(Uint8Array.of(4, 1, 0, 0, 0, 0, 0, keysym));
        await viewer.send(Uint8Array.of(5, 1, 0, keysym, 0, 9));
        await viewer.send(Uint8Array.of(4, 0, 0, 0, 0, 0, 0, keysym));
        await socket.write(new TextEncoder().encode(key));
        await expect(new RegExp(`^s${hex(key)}`, "m"));
      }
      await expect(/^kae/m);
      const picture = await machine.screenshot().png();
      await socket.write(new TextEncoder().encode("q"));
      const { reason } = await within("the end of the recorded run", run);
      assertEquals(reason, "exit");
      const { time, state, memory } = placeOf(machine);
      const { instructions } = machine.cpu;
      viewer.close();
      await machine.stop();
      assert(picture.length > 0);
      const again = await Machine.replay(log);
      const replayed = await within("the end of the replay", again.run());
      assertEquals(replayed.reason, "exit");
      assertEquals(placeOf(again), { time, state, memory });
      assertEquals(again.cpu.instructions, instructions);
      await again.stop();
    })
  ));
