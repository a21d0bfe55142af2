/** `--qmp` on the command line, and what Deno allows. */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { commandLine } from "../command_line.ts";
import { QmpClient } from "./client.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

Deno.test("QMP: places on the command line, and the permissions they need", async () => {
  const { rhea } = commandLine();
  const folder = await Deno.makeTempDir();
  const place = `unix:${folder}/a.sock,server=on,wait=off`;
  const { out } = await rhea(
    ...["permissions", "machines/pc.json", "--firmware", "builtin"],
    ...["--qmp", place, "--qmp", "tcp::4444"],
  );
  assertMatch(out, new RegExp(`^--allow-write=${folder}/a.sock$`, "m"));
  assertMatch(out, /^--allow-net=127\.0\.0\.1:4444,unix:.*a\.sock$/m);
  for (
    const [wrong, message] of [
      ["udp:x", /^--qmp udp:x: "udp:x" is not a place for QMP, expected unix:/],
      [
        "unix:/x,wait=on",
        /^--qmp .*: QMP listens, and waits for nobody: "wait=on" cannot be/,
      ],
      [`unix:${folder}/no/x`, /^--qmp .*: Cannot listen at unix:.* for QMP: /],
    ] as const
  ) {
    const { status, messages } = await rhea(
      ...["machines/pc.json", "--firmware", "builtin", "--qmp", wrong],
      ...["--serial", "null"],
    );
    assertEquals(status, 2);
    assertMatch(messages.at(-1)!, message);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("QMP: a process listens if it may, says so if it may not, and ends with quit", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/q.sock`;
  const start = (set: string): Deno.ChildProcess =>
    new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", set, "--no-prompt", "mod.ts", "machines/pc.json"],
        ...["--firmware", "builtin", "--serial", "null"],
        ...["--wait", "--qmp", `unix:${path}`],
      ],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  const refused = await start("-P").output();
  assertEquals(refused.code, 2);
  assertMatch(
    new TextDecoder().decode(refused.stderr),
    /--qmp unix:.*: Cannot listen at .*: Requires (read|write|net) access/,
  );
  const process = start("-P=serial");
  let client: QmpClient | undefined;
  for (let tries = 0; client === undefined; tries++) {
    client = await QmpClient.connect(path).catch((error) => {
      if (tries === 300) throw error;
      return undefined;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const state = async (): Promise<unknown> =>
    (await client.execute("query-status")).return;
  const singlestep = false;
  assertEquals(await state(), {
    running: false,
    singlestep,
    status: "prelaunch",
  });
  await client.execute("cont");
  assertEquals(await state(), { running: true, singlestep, status: "running" });
  // The file cannot be written, and Deno says which flag would help.
  const { error } = await client.execute("screendump", {
    filename: `${folder}/no/x`,
  });
  assertMatch(error.desc, /No such file or directory$/);
  await client.execute("quit");
  await client.event("SHUTDOWN");
  const { code, stderr } = await process.output();
  assertEquals([code, new TextDecoder().decode(stderr).includes("rhea:")], [
    0,
    false,
  ]);
  client[Symbol.dispose]();
  await Deno.remove(folder, { recursive: true });
});
