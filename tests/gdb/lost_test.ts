/**
 * A gdb that is gone without a word leaves the guest as it is: the same on Rhea
 * and on QEMU, as their QMP says.
 */

import { assertEquals } from "@std/assert";
import { encodePacket, PacketReader } from "../../core/debug/gdb/packet.ts";
import { QmpClient } from "../qmp/client.ts";
import {
  type Guest,
  missing,
  startQemu,
  startRhea,
  withGuest,
} from "./harness.ts";

/** A client that says what it wants, and nothing when it goes. */
class Client {
  readonly #socket: Deno.Conn;
  readonly #reader = new PacketReader();

  constructor(socket: Deno.Conn) {
    this.#socket = socket;
  }

  static async connect(path: string): Promise<Client> {
    for (;;) {
      const socket = await Deno.connect({ transport: "unix", path });
      const client = new Client(socket);
      try {
        await client.ask("qSupported:swbreak+");
        await client.ask("QStartNoAckMode");
        // QEMU sends all registers to those who have read which there are.
        await client.ask("qXfer:features:read:target.xml:0,ffb");
        return client;
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
        // The one before it is not gone yet.
        socket.close();
      }
    }
  }

  async send(packet: string): Promise<void> {
    await this.#socket.write(encodePacket(packet));
  }

  async ask(packet: string): Promise<string> {
    await this.send(packet);
    const buffer = new Uint8Array(0x10000);
    for (;;) {
      const count = await this.#socket.read(buffer);
      if (count === null) throw new Deno.errors.ConnectionReset();
      for (const event of this.#reader.push(buffer.subarray(0, count))) {
        if (event.kind !== "packet") continue;
        // What QEMU says by itself of the stop that a client brings.
        if (event.data.startsWith("T02") && packet !== "\x03") continue;
        return event.data;
      }
    }
  }

  lose(): void {
    this.#socket.close();
  }
}

/** The guest's states, as clients come and get lost. */
async function story(
  { at }: Guest,
  remote: string,
  qmp: QmpClient,
): Promise<unknown[]> {
  const told: unknown[] = [];
  const status = async (): Promise<unknown> => {
    const answer = await qmp.execute("query-status");
    return (answer.return as { status: string }).status;
  };
  const becomes = async (expected: string): Promise<void> => {
    while (await status() !== expected) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    told.push(expected);
  };
  const stays = async (): Promise<void> => {
    const before = await status();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assertEquals(await status(), before);
    told.push(before);
  };
  const spins = `m${at("spins").toString(16)},4`;
  const spin = at("spin").toString(16);
  const count = at("count").toString(16);

  let client = await Client.connect(remote);
  told.push(await client.ask("?"), await client.ask(`Z0,${count},1`));
  client.lose();
  await stays();

  // The point is there for a monitor's `cont`, too.
  await qmp.execute("cont");
  await becomes("debug");
  client = await Client.connect(remote);
  told.push(await client.ask("?"), await client.ask(`Z0,${spin},1`));
  await client.send("c");
  client.lose();
  await becomes("debug");

  client = await Client.connect(remote);
  told.push(await client.ask("?"), await client.ask(spins));
  await client.send("c");
  await becomes("running");
  client.lose();
  await stays();

  client = await Client.connect(remote);
  told.push(await client.ask("?"));
  const first = await client.ask(spins);
  await stays();
  assertEquals(await client.ask(spins), first);
  told.push(await client.ask("D"));
  await becomes("running");
  client.lose();
  await stays();
  return told;
}

const absent = missing("gcc", "objcopy", "qemu-system-i386");

Deno.test({
  name: `gdb: one that is gone without a word leaves the guest${absent}`,
  ignore: absent !== "",
  fn: () =>
    withGuest(32, async (guest) => {
      const { machine, remote } = await startRhea(guest);
      await using _machine = machine;
      await machine.serveQmp(`unix:${remote}.qmp`);
      let rhea: unknown[];
      {
        using qmp = await QmpClient.connect(`${remote}.qmp`);
        rhea = await story(guest, remote, qmp);
      }
      const { child, remote: other } = await startQemu(guest);
      try {
        using qmp = await QmpClient.connect(`${other}.qmp`);
        assertEquals(rhea, await story(guest, other, qmp));
      } finally {
        child.kill("SIGKILL");
        await child.status;
      }
    }),
});
