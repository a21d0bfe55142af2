/** `--loadvm` in processes of their own, with the permissions of a plain run. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine } from "../../mod.ts";
import { withFolder } from "../block/oracle.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const ECHO = join(ROOT, "tests/fixtures/echo.elf");
const ISAPC = join(ROOT, "machines/isapc.json");

async function rhea(
  cwd: string,
  args: readonly string[],
  input = "",
  allowed: readonly string[] = ["--allow-read"],
): Promise<{ status: number; out: string; messages: string }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", ...allowed, "--no-prompt"],
      ...["--config", join(ROOT, "deno.json"), join(ROOT, "mod.ts"), ...args],
    ],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  const { code, stdout, stderr } = await process.output();
  await writer.close().catch(() => {
    // The process has ended first.
  });
  const text = new TextDecoder();
  return {
    status: code,
    out: text.decode(stdout),
    messages: text.decode(stderr),
  };
}

Deno.test("--loadvm: a machine from its file alone, by name, beside its machine file", () =>
  withFolder(async (folder) => {
    {
      await using machine = await Machine.load(ISAPC, {
        kernel: ECHO,
        memory: "8M",
        snapshots: folder,
      });
      await machine.serial(0).expect("# ");
      await machine.saveSnapshot("here");
    }
    const file = join(folder, "here.rhea");
    const own = ["--kernel", ECHO, "--memory", "8M"];
    for (
      const args of [
        ["--loadvm", file],
        ["--loadvm", "here"],
        ["--loadvm", "here", "--snapshots", "."],
        [ISAPC, ...own, "--loadvm", "here"],
      ]
    ) {
      // Its serial port was in memory: here it is the terminal.
      const { status, out, messages } = await rhea(folder, args, "hi\nq");
      assertEquals([status, out], [1, "hi\n# "], messages);
    }
    const wrong: [string[], RegExp][] = [
      [["--loadvm", "gone"], /There is no snapshot ".*gone\.rhea"/],
      [["--loadvm", ECHO + "/x"], /Cannot open/],
      [["--loadvm", join(ROOT, "deno.json")], /is no snapshot of Rhea's/],
      [
        [ISAPC, "--kernel", ECHO, "--loadvm", "here"],
        /is of another machine: .*memories\.ram\.size was 8388608/,
      ],
      [["--loadvm", "here", "--memory", "9M"], /is of another machine/],
      [
        ["--loadvm", "here", "--cpu", "486"],
        /is of another machine: cpu\.config\.model was ".*", here it is "486"/,
      ],
      [
        ["--loadvm", "here", "--set", "devices.com2=null"],
        /is of another machine: it has a device "com2" \(/,
      ],
    ];
    for (const [args, message] of wrong) {
      const { status, messages } = await rhea(folder, args);
      assertEquals(status, 2, messages);
      assertMatch(messages, message);
    }
    const { out } = await rhea(folder, ["resolve", "--loadvm", "here"]);
    assert(out.includes('"echo.elf"') || out.includes("echo.elf"), out);
  }));

Deno.test("--loadvm: what permissions prints is enough, to record as well", () =>
  withFolder(async (folder) => {
    const disk = join(folder, "disk.img");
    await Deno.writeFile(disk, new Uint8Array(1 << 20));
    {
      await using machine = await Machine.load(ISAPC, {
        kernel: ECHO,
        memory: "8M",
        drives: [{ file: disk }],
        snapshots: folder,
      });
      await machine.serial(0).expect("# ");
      await machine.saveSnapshot("here");
    }
    const args = ["--loadvm", "here", "--record", "run.log"];
    for (let n = 0; n < 2; n++) {
      // The second time over the first recording.
      const { out } = await rhea(folder, ["permissions", ...args]);
      const flags = out.split("\n").filter((line) =>
        line.startsWith("--allow-")
      );
      const { status, messages } = await rhea(folder, args, "q", flags);
      assertEquals(status, 1, messages);
    }
    const replay = ["--replay", "run.log"];
    assertEquals((await rhea(folder, replay)).status, 1);
  }));
