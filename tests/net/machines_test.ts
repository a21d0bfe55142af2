/**
 * Whole machines in a network: two processes joined by `socket`, machines of
 * one process at a `hub`, and what `tcpdump` reads in their captures.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine, parseNic } from "../../mod.ts";
import { run, withFolder } from "../block/oracle.ts";
import { readPcap } from "./pcap.ts";
import { freePort } from "../vnc/free_port.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const ISAPC = join(ROOT, "machines/isapc.json");
const CARD = join(ROOT, "tests/fixtures/net_card.ts");

const hasTcpdump = await run("tcpdump", "--version")
  .then(({ code }) => code === 0, () => false);

/** A definition of a machine whose cards call, or answer. */
function definition(calls: boolean) {
  return {
    extends: ISAPC,
    backends: { serial0: { plugin: "null" } },
    nics: {
      default: "echo",
      models: {
        echo: {
          device: { plugin: CARD, config: { calls } },
          places: [{}, {}],
        },
      },
    },
  };
}

/** A Rhea process with this command line, with what `permissions` says of it. */
async function spawn(
  processes: Deno.ChildProcess[],
  ...args: string[]
): Promise<Deno.ChildProcess> {
  const rhea = ["mod.ts", ...args];
  const options = { cwd: ROOT, env: { NO_COLOR: "1" } } as const;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-P", "mod.ts", "permissions", ...args],
    ...options,
  }).output();
  const flags = new TextDecoder().decode(stdout).trim().split("\n");
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, ...rhea],
    ...options,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  processes.push(process);
  return process;
}

/** Processes that a test has started, gone with it. */
async function withProcesses(
  test: (processes: Deno.ChildProcess[]) => Promise<void>,
): Promise<void> {
  const processes: Deno.ChildProcess[] = [];
  try {
    await test(processes);
  } finally {
    for (const process of processes) {
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await process.status;
    }
  }
}

/** Read what a process says until that has a pattern in it. */
async function says(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  pattern: RegExp,
): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  while (!pattern.test(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the process ended: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
}

Deno.test("two processes are joined by a socket, and each captures its end", () =>
  withFolder((folder) =>
    withProcesses(async (processes) => {
      const path = (name: string) => join(folder, name);
      for (const calls of [false, true]) {
        await Deno.writeTextFile(
          path(`${calls}.json`),
          JSON.stringify(definition(calls)),
        );
      }
      const port = freePort();
      // The one that calls is there first.
      const caller = await spawn(
        processes,
        ...[path("true.json"), "--nic", `socket,connect=:${port},reconnect=20`],
        ...["--pcap", path("caller.pcap")],
      );
      const said = caller.stderr.getReader();
      await says(
        said,
        /rhea: net0: cannot connect to 127.0.0.1:.*tried again/,
      );
      const answerer = await spawn(
        processes,
        ...[
          path("false.json"),
          "--nic",
          `socket,listen=:${port},mac=02:00:00:00:00:07`,
        ],
        ...["--pcap", path("answerer.pcap")],
      );
      await says(said, /rhea: nic0: 020000000007 answers/);
      said.releaseLock();
      for (const process of [answerer, caller]) await end(process);
      // What was sent when nobody was there is in the caller's capture alone.
      const captures = await Promise.all(
        ["caller", "answerer"].map((name) => readPcap(path(`${name}.pcap`))),
      );
      const [first, second] = captures.map(({ packets }) => packets);
      const isAnswer = ({ bytes }: { bytes: Uint8Array }) => bytes[11] === 7;
      const answer = first.find(isAnswer);
      assertEquals(answer?.bytes.length, 60);
      assertEquals(second.find(isAnswer)?.bytes, answer?.bytes);
      assertEquals(
        second.find((packet) => !isAnswer(packet))?.bytes,
        first[0].bytes,
      );
    })
  ));

/** The same with the link at a unix socket, which the one that answers makes. */
function atUnix(unix: string, calls: boolean) {
  const mac = `02:00:00:00:00:0${calls ? 8 : 7}`;
  const { backends, ...others } = definition(calls);
  const config = { unix, server: !calls, reconnect: 20 };
  return {
    ...others,
    devices: {
      nic: {
        plugin: CARD,
        config: { calls, mac },
        backends: { net: "net" },
      },
    },
    backends: { ...backends, net: { plugin: "socket", config } },
  };
}

/** End a process with SIGTERM, and hear all that it says. */
async function end(process: Deno.ChildProcess): Promise<void> {
  process.kill("SIGTERM");
  await process.stderr.pipeTo(new WritableStream());
  assertEquals((await process.status).code, 0);
}

for (const name of ["link", "with, comma"]) {
  Deno.test(`two processes are joined at a unix socket, "${name}"`, () =>
    withFolder((folder) =>
      withProcesses(async (processes) => {
        const path = (calls: boolean) => join(folder, `${calls}.json`);
        for (const calls of [false, true]) {
          await Deno.writeTextFile(
            path(calls),
            JSON.stringify(atUnix(name, calls)),
          );
        }
        // What one leaves that is killed the next one replaces.
        const first = await spawn(processes, path(false));
        let isGone = false;
        first.status.then(() => isGone = true);
        while (!await Deno.stat(join(folder, name)).catch(() => isGone)) {
          await new Promise((next) => setTimeout(next, 10));
        }
        first.kill("SIGKILL");
        await first.stderr.pipeTo(new WritableStream());
        await first.status;
        const caller = await spawn(processes, path(true));
        const said = caller.stderr.getReader();
        await says(said, /rhea: net: cannot connect to .*tried again/);
        const answerer = await spawn(processes, path(false));
        await says(said, /rhea: nic: 020000000007 answers/);
        said.releaseLock();
        for (const process of [answerer, caller]) await end(process);
      })
    ));
}

Deno.test("machines of one process meet at a hub, two links of one machine too", async () => {
  const logs: string[][] = [[], []];
  const id = crypto.randomUUID();
  const load = (n: number, calls: boolean, ...nics: string[]) =>
    Machine.load(definition(calls), {
      nics: nics.map(parseNic),
      log: (line) => logs[n].push(line),
    });
  await using answers = await load(
    0,
    false,
    ...[
      `hub,id=${id},mac=02:00:00:00:00:01`,
      `hub,id=${id}2,mac=02:00:00:00:00:02`,
    ],
  );
  await using calls = await load(
    1,
    true,
    ...[
      `hub,id=${id},mac=02:00:00:00:00:03`,
      `hub,id=${id}2,mac=02:00:00:00:00:04`,
    ],
  );
  // A card may call again before it hears the answer.
  const heard = (): Set<string> => new Set(logs[1]);
  while (heard().size < 2) await new Promise((next) => setTimeout(next, 1));
  assertEquals(logs[0], []);
  assertEquals([...heard()].toSorted(), [
    "nic0: 020000000001 answers",
    "nic1: 020000000002 answers",
  ]);
  assertEquals([answers.running, calls.running], [false, false]);
});

Deno.test({
  name: hasTcpdump
    ? "tcpdump reads a capture"
    : "tcpdump reads a capture (skipped: no tcpdump)",
  ignore: !hasTcpdump,
  fn: () =>
    withFolder(async (folder) => {
      const file = join(folder, "a.pcap");
      const id = crypto.randomUUID();
      const log: string[] = [];
      const machines = [
        await Machine.load(definition(false), {
          nics: [parseNic(`hub,id=${id},mac=02:00:00:00:00:01`)],
        }),
        await Machine.load(definition(true), {
          nics: [parseNic(`hub,id=${id},mac=02:00:00:00:00:02`)],
          pcap: [file],
          log: (line) => log.push(line),
        }),
      ];
      while (log.length === 0) await new Promise((next) => setTimeout(next, 1));
      for (const machine of machines) await machine.stop();
      const { code, out } = await run(
        "tcpdump",
        ...["-r", file, "-n", "-e", "-tttt"],
      );
      assertEquals(code, 0);
      const today = new Date().getFullYear();
      for (
        const frame of [
          "02:00:00:00:00:02 > ff:ff:ff:ff:ff:ff",
          "02:00:00:00:00:01 > 02:00:00:00:00:02",
        ]
      ) {
        const rest = "ethertype .*0x88b5.*length 60";
        const line = new RegExp(`^${today}-.* ${frame}, ${rest}`, "m");
        assertMatch(out, line);
      }
      assertMatch(out, /link-type EN10MB \(Ethernet\)/);
    }),
});
