/** The monitor behind sockets, and its flags. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { UsageError } from "../../core/cli/arguments.ts";
import { parseMonitor, startMonitors } from "../../core/cli/monitor.ts";
import type { Machine } from "../../core/machine/machine.ts";
import { withFolder } from "../block/oracle.ts";
import { commandLine } from "../command_line.ts";
import { ISAPC, withMonitor } from "./machine.ts";

/** Somebody at the other end. */
class Client {
  readonly #connection: Deno.Conn;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) {
      at += await this.#connection.write(bytes.subarray(at));
    }
  }

  /** What comes up to a pattern. */
  async expect(pattern: RegExp): Promise<string> {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found !== null) {
        const end = found.index + found[0].length;
        const text = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return text;
      }
      const length = await this.#connection.read(buffer);
      if (length === null) throw new Error(`only ${this.#text}`);
      const part = buffer.subarray(0, length);
      this.#text += this.#decoder.decode(part, { stream: true });
    }
  }

  close(): void {
    this.#connection.close();
  }
}

async function connected(
  machine: Machine,
  test: (
    open: () => Promise<Client>,
  ) => Promise<void>,
): Promise<void> {
  const monitors = await startMonitors(machine, [
    { host: "127.0.0.1", port: 0 },
  ]);
  const [{ hostname, port }] = monitors.addresses;
  try {
    await test(async () => new Client(await Deno.connect({ hostname, port })));
  } finally {
    await monitors.stop();
  }
}

Deno.test("monitor behind TCP: lines in, text out", () =>
  withMonitor(
    ISAPC,
    {},
    (_monitor, machine) =>
      connected(machine, async (open) => {
        const client = await open();
        await client.expect(/^Rhea .* monitor - .*\n\(rhea\) $/);
        await client.send("info status\r\ninfo na");
        assertEquals(
          await client.expect(/\(rhea\) /),
          "VM status: running\n(rhea) ",
        );
        await client.send("me\n");
        assertEquals(await client.expect(/\(rhea\) /), "isapc\n(rhea) ");
        client.close();
      }),
  ));

Deno.test("monitor behind TCP: long work says what it does on a line", () =>
  withFolder((folder) =>
    withMonitor(
      ISAPC,
      { snapshots: folder },
      (_monitor, machine) =>
        connected(machine, async (open) => {
          const client = await open();
          await client.expect(/\(rhea\) $/);
          for (const verb of ["savevm", "loadvm", "delvm"]) {
            await client.send(`${verb} here\n`);
            assertEquals(
              await client.expect(/\(rhea\) /),
              `rhea: ${verb}\n(rhea) `,
            );
          }
          client.close();
        }),
    )
  ));

Deno.test("monitor behind TCP: several at once, and some that hang up", () =>
  withMonitor(
    ISAPC,
    {},
    (_monitor, machine) =>
      connected(machine, async (open) => {
        const clients = await Promise.all(Array.from({ length: 8 }, open));
        for (const [i, client] of clients.entries()) {
          await client.send("info status\n".repeat(50));
          if (i % 2 === 0) client.close();
        }
        for (const [i, client] of clients.entries()) {
          if (i % 2 === 0) continue;
          for (let n = 0; n < 50; n++) {
            await client.expect(/VM status: running/);
          }
          client.close();
        }
      }),
  ));

Deno.test("monitor behind TCP: a flood without a line's end takes no memory", () =>
  withMonitor(
    ISAPC,
    {},
    (_monitor, machine) =>
      connected(machine, async (open) => {
        const client = await open();
        await client.expect(/\(rhea\) /);
        await client.send("y".repeat(1 << 20));
        await client.send("\ninfo name\n");
        assertMatch(
          await client.expect(/isapc\n/),
          /unknown command: 'y{100,}/,
        );
        client.close();
      }),
  ));

Deno.test("monitor behind a socket of the host", () =>
  withFolder((folder) =>
    withMonitor(ISAPC, {}, async (_monitor, machine) => {
      const path = join(folder, "monitor");
      const monitors = await startMonitors(machine, [{ path }]);
      const client = new Client(
        await Deno.connect({ transport: "unix", path }),
      );
      await client.send("info name\n");
      await client.expect(/isapc\n/);
      const end = machine.wait();
      await client.send("quit\n");
      assertEquals((await end).reason, "quit");
      client.close();
      await monitors.stop();
      assertEquals([...Deno.readDirSync(folder)], []);
    })
  ));

Deno.test("monitor flags", () => {
  assertEquals(parseMonitor("none"), undefined);
  assertEquals(parseMonitor("stdio"), "stdio");
  assertEquals(parseMonitor("tcp::4444,server=on,wait=off"), {
    host: "127.0.0.1",
    port: 4444,
  });
  assertEquals(parseMonitor("tcp:[::1]:1"), {
    host: "::1",
    port: 1,
  });
  assertEquals(parseMonitor("unix:/a/b,server,nowait"), {
    path: "/a/b",
  });
  for (const wrong of ["", "tcp:", "tcp:a:99999", "vc", "unix:"]) {
    assertThrows(() => parseMonitor(wrong), UsageError, "--monitor takes");
  }
  // It would not be what was asked for.
  for (const wrong of ["server=off", "wait=on", "wait", "frob=on"]) {
    assertThrows(() => parseMonitor(`tcp::1,${wrong}`), UsageError, wrong);
  }
});

Deno.test("monitor flags: the terminal has one owner", async () => {
  const { rhea } = commandLine();
  const { status, messages } = await rhea(
    ...[ISAPC, "--firmware", "builtin", "--monitor", "stdio"],
    ...["--serial", "stdio"],
  );
  assertEquals(status, 2);
  assert(messages[0].startsWith("--monitor stdio: the terminal is that of"));
});

Deno.test("monitor flags: the permissions that sockets need", async () => {
  const { rhea } = commandLine();
  const { out } = await rhea(
    ...["permissions", ISAPC, "--monitor", "tcp::4444"],
    ...["--monitor", "unix:/run/m"],
  );
  assertMatch(out, /^--allow-net=127.0.0.1:4444,unix:\/run\/m$/m);
  assertMatch(out, /^--allow-write=\/run\/m$/m);
});

Deno.test("monitor flags: where it cannot listen is said in one line", async () => {
  const { rhea } = commandLine();
  const places = [
    // A host with colons is none without brackets.
    ["tcp:1:2:3", "--monitor takes"],
    // TEST-NET-1, RFC 5737: no host's own address.
    ["tcp:192.0.2.1:4444", "--monitor: Cannot listen at 192.0.2.1:4444: "],
    ["unix:/dev/null/monitor", "--monitor: Cannot listen at /dev/null/monitor"],
  ];
  for (const [place, message] of places) {
    const { status, messages } = await rhea(
      ...[ISAPC, "--firmware", "builtin", "--serial", "null"],
      ...["--monitor", place],
    );
    assertEquals([status, messages.length], [2, 1]);
    assert(messages[0].startsWith(message), messages[0]);
  }
});
