/** QEMU's own clients of QMP: `qmp-shell`, the QOM tools, the Python class. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { qemuPython } from "../../qmp/python.ts";
import { COUNTS, Guest } from "../../qmp/rhea.ts";

/** Run Python with QEMU's package and some input; gives back what it prints. */
async function python(
  path: string,
  args: readonly string[],
  input = "",
): Promise<string> {
  const child = new Deno.Command("python3", {
    args: [...args],
    env: { PYTHONPATH: path },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout } = await child.output();
  assertEquals(code, 0, args.join(" "));
  return new TextDecoder().decode(stdout);
}

/** A program that uses the class, as QEMU's own tests do. */
const PROGRAM = `
import asyncio, json, sys
from qemu.qmp import QMPClient, ExecuteError
async def main():
    client = QMPClient('test')
    await client.connect(sys.argv[1])
    told = [client.greeting.QMP.version['qemu']['major']]
    with client.listener(['STOP', 'RESUME']) as events:
        await client.execute('stop')
        told.append((await client.execute('query-status'))['status'])
        await client.execute('cont')
        told += [(await events.get())['event'], (await events.get())['event']]
    try:
        await client.execute('screendump', {'filename': 5})
    except ExecuteError as error:
        told += [error.error_class, str(error)]
    answers = await asyncio.gather(*[client.execute('query-name') for _ in range(20)])
    told.append(len(answers))
    await client.disconnect()
    print(json.dumps(told))
asyncio.run(main())
`;

Deno.test("QMP: QEMU's own clients", async () => {
  const found = await qemuPython();
  if ("missing" in found) {
    console.log(`skipped: QEMU's Python package: ${found.missing}`);
    return;
  }
  await using guest = await Guest.of(COUNTS);
  (await guest.serve())[Symbol.dispose]();
  guest.machine.start();
  const { path } = guest;
  const png = `${guest.folder}/screen.png`;
  const shell = await python(
    found.path,
    ["-m", "qemu.qmp.qmp_shell", path],
    [
      "query-status",
      `screendump filename=${png} format=png`,
      'send-key keys=[{"type":"qcode","data":"a"}]',
      "human-monitor-command command-line=help",
      "no-such-command",
      "qom-list path=/machine/peripheral",
      "",
    ].join("\n"),
  );
  assertMatch(shell, /Connected to QEMU 7\.2\.0/);
  assertMatch(shell, /"status": "running"/);
  assertMatch(shell, /The command no-such-command has not been found/);
  assertMatch(shell, /"child<ps2-keyboard>"/);
  assertEquals((await Deno.readFile(png))[1], "P".charCodeAt(0));
  const told = JSON.parse(await python(found.path, ["-c", PROGRAM, path]));
  assertEquals(told, [
    7,
    "paused",
    "STOP",
    "RESUME",
    "GenericError",
    "Invalid parameter type for 'filename', expected: string",
    20,
  ]);
  const qom = (command: string, ...args: string[]): Promise<string> =>
    python(found.path, [
      "-c",
      "import sys; from qemu.utils.qom import main; sys.exit(main())",
      ...[command, "-s", path, ...args],
    ]);
  assertMatch(await qom("list", "/machine"), /^peripheral\/$/m);
  assertEquals(await qom("get", "/machine.type"), "pc-machine\n");
  const tree = await qom("tree", "/machine");
  assert(tree.split("\n").length > 50, tree);
  assertMatch(tree, /^ {2}rtc|mc146818/m);
});
