import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { hostileInput } from "../../../tests/gdb/hostile.ts";
import { forSeeds } from "../../../tests/random.ts";
import { GdbConnection, type GdbStream } from "./connection.ts";
import { FakeMachine } from "../../../tests/gdb/fake_machine.ts";
import { GdbError, parseGdbAddress } from "./listen.ts";
import {
  type ClientEvent,
  encodePacket,
  PACKET_SIZE,
  PacketReader,
} from "./packet.ts";
import { Seat } from "./seat.ts";
import { GdbServer } from "./server.ts";
import type { GdbTarget } from "./target.ts";

function targetOf(machine: FakeMachine): GdbTarget {
  return { debug: () => machine, reset: () => {}, kill: () => {} };
}

/** A client of a server. */
class Client {
  readonly #stream: Deno.Conn;
  readonly #reader = new PacketReader();
  readonly #events: ClientEvent[] = [];
  raw = "";

  constructor(stream: Deno.Conn) {
    this.#stream = stream;
  }

  static async connect(server: GdbServer): Promise<Client> {
    const port = Number(server.address.split(":").at(-1));
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(bytes: Uint8Array | string): Promise<void> {
    const all = typeof bytes === "string"
      ? Uint8Array.from(bytes, (c) => c.charCodeAt(0))
      : bytes;
    for (let done = 0; done < all.length;) {
      done += await this.#stream.write(all.subarray(done));
    }
  }

  /** The next packet; undefined at the end. */
  async packet(): Promise<string | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event?.kind === "packet") return event.data;
      if (event !== undefined) continue;
      const buffer = new Uint8Array(PACKET_SIZE);
      const count = await this.#stream.read(buffer).catch(() => null);
      if (count === null) return undefined;
      const bytes = buffer.subarray(0, count);
      this.raw += String.fromCharCode(...bytes);
      this.#events.push(...this.#reader.push(bytes));
    }
  }

  async ask(packet: string): Promise<string | undefined> {
    await this.send(encodePacket(packet));
    return await this.packet();
  }

  close(): void {
    this.#stream.close();
  }
}

Deno.test("addresses: of TCP and of sockets with names", () => {
  const tcp = (host: string, port: number) => ({ host, port });
  assertEquals(parseGdbAddress(""), tcp("127.0.0.1", 1234));
  assertEquals(parseGdbAddress("tcp::99"), tcp("127.0.0.1", 99));
  assertEquals(parseGdbAddress("tcp:0.0.0.0:99"), tcp("0.0.0.0", 99));
  assertEquals(parseGdbAddress("tcp:[::1]:99"), tcp("::1", 99));
  const unix = parseGdbAddress("unix:/tmp/a:b");
  assertEquals(unix, { path: "/tmp/a:b" });
  for (const bad of ["1234", "tcp:1234", "tcp::65536", "unix:", "tcp::x"]) {
    assertThrows(() => parseGdbAddress(bad), GdbError, "expected tcp::PORT");
  }
});

Deno.test("server: packets are acknowledged until the client needs it no more", async () => {
  const machine = new FakeMachine();
  const server = await GdbServer.listen("tcp::0", targetOf(machine));
  const client = await Client.connect(server);
  assertEquals(await client.ask("?"), "T05thread:01;");
  assertEquals(client.raw, "+$T05thread:01;#07");
  client.raw = "";
  // A wrong checksum is told, and what was said last is said again.
  await client.send("$?#00-");
  assertEquals(await client.packet(), "T05thread:01;");
  assertEquals(client.raw, "-$T05thread:01;#07");
  assertEquals(await client.ask("QStartNoAckMode"), "OK");
  client.raw = "";
  await client.send("$?#00");
  assertEquals(await client.ask("qsThreadInfo"), "l");
  assertEquals(client.raw, "$l#6c");
  client.close();
  await server.close();
});

Deno.test("server: Ctrl-C while the guest runs; a second client; another after the first", async () => {
  const machine = new FakeMachine();
  const lines: string[] = [];
  const server = await GdbServer.listen("tcp::0", targetOf(machine), {
    log: (line) => lines.push(line),
  });
  const client = await Client.connect(server);
  await client.send(encodePacket("c"));
  const second = await Client.connect(server);
  assertEquals(await second.ask("?"), undefined);
  second.close();
  assertMatch(lines[0], /another gdb was refused/);
  await client.send("\x03");
  assertEquals(await client.packet(), "T02thread:01;");
  assertEquals(await client.ask("D"), "OK");
  assertEquals(machine.detached, 1);
  client.close();
  const third = await Client.connect(server);
  assertEquals(await third.ask("?"), "T05thread:01;");
  third.close();
  await server.close();
});

Deno.test("server: what only connects does not stop the guest", async () => {
  const machine = new FakeMachine();
  let attached = 0;
  const server = await GdbServer.listen("tcp::0", {
    ...targetOf(machine),
    debug: () => {
      attached++;
      return machine;
    },
  });
  const client = await Client.connect(server);
  await client.send("GET / HTTP/1.1\r\n\r\n");
  client.close();
  await server.close();
  assertEquals(attached, 0);
});

Deno.test("server: a guest that waits does so until a client lets it start", async () => {
  const machine = new FakeMachine();
  const server = await GdbServer.listen("tcp::0", targetOf(machine), {
    wait: true,
  });
  const first = await Client.connect(server);
  await first.ask("Z0,20,1");
  first.close();
  // It is gone, and the guest still waits.
  let second = await Client.connect(server);
  while (await second.ask("?") === undefined) {
    second = await Client.connect(server);
  }
  assertEquals([machine.detached, machine.breakpoints.size], [0, 0]);
  await second.ask("s");
  second.close();
  await server.close();
  assertEquals(machine.detached, 1);
});

Deno.test("server: a client that waits is told of the end", async () => {
  const machine = new FakeMachine();
  const server = await GdbServer.listen("tcp::0", targetOf(machine));
  const client = await Client.connect(server);
  await client.ask("?");
  await client.send(encodePacket("c"));
  while (!machine.isRunning) await new Promise((r) => setTimeout(r));
  await server.close(7);
  assertEquals(await client.packet(), "W07");
  assertEquals(await client.packet(), undefined);
  client.close();
  machine.pause();
});

Deno.test("server: a socket with a name, also where one was left behind", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/gdb`;
  const old = Deno.listen({ transport: "unix", path });
  await assertRejects(
    () => GdbServer.listen(`unix:${path}`, targetOf(new FakeMachine())),
    GdbError,
    "Cannot listen on",
  );
  old.close();
  const server = await GdbServer.listen(
    `unix:${path}`,
    targetOf(new FakeMachine()),
  );
  assertEquals(server.address, path);
  const client = new Client(await Deno.connect({ transport: "unix", path }));
  assertEquals(await client.ask("?"), "T05thread:01;");
  client.close();
  await server.close();
  assertEquals([...Deno.readDirSync(folder)], []);
  await Deno.remove(folder);
});

Deno.test({
  name: "server: without the permission to listen there is a clear error",
  permissions: { net: false },
  fn: async () => {
    await assertRejects(
      () => GdbServer.listen("tcp::0", targetOf(new FakeMachine())),
      GdbError,
      "Cannot listen on 127.0.0.1:0 for gdb: Requires net access",
    );
  },
});

Deno.test("server: a client that says too much while the guest runs is hung up on", async () => {
  const machine = new FakeMachine();
  const server = await GdbServer.listen("tcp::0", targetOf(machine));
  const client = await Client.connect(server);
  await client.ask("QStartNoAckMode");
  await client.send(encodePacket("c"));
  await client.send("$?#3f".repeat(200));
  assertEquals(await client.packet(), undefined);
  client.close();
  machine.pause();
  await server.close();
});

/** A client's bytes from a queue, and what it is sent. */
class MemoryStream implements GdbStream {
  readonly #input: Uint8Array[];
  readonly reader: PacketReader = new PacketReader();
  readonly packets: string[] = [];
  closed = 0;

  constructor(input: Uint8Array[]) {
    this.#input = input;
  }

  async read(into: Uint8Array): Promise<number | null> {
    // Let the last one's answer go first.
    await new Promise((resolve) => setTimeout(resolve));
    const next = this.#input.shift();
    if (next === undefined) return null;
    into.set(next);
    return next.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    for (const event of this.reader.push(bytes)) {
      if (event.kind === "packet") this.packets.push(event.data);
    }
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.closed++;
  }
}

Deno.test("server: a client that does not listen does not keep it from closing", async () => {
  const stream = new MemoryStream([encodePacket("?")]);
  stream.write = () => new Promise(() => {});
  const read = stream.read.bind(stream);
  const gone = Promise.withResolvers<null>();
  stream.read = async (into) => await read(into) ?? await gone.promise;
  stream.close = () => gone.resolve(null);
  const seat = new Seat(targetOf(new FakeMachine()));
  const connection = new GdbConnection(stream, seat);
  const served = connection.serve();
  await connection.close(0);
  await served;
});

Deno.test("server: random and mutated packets do not disturb it", async () => {
  await forSeeds(8, async (seed) => {
    const machine = new FakeMachine();
    machine.end = 0x8000;
    const stream = new MemoryStream(hostileInput(seed));
    const seat = new Seat(targetOf(machine));
    await new GdbConnection(stream, seat).serve();
    assertEquals(stream.packets.at(-1), "l");
    assertEquals(stream.closed, 1);
    // Nothing of it is left behind when there is nobody to come.
    seat.close();
    assertEquals([machine.breakpoints.size, machine.watchpoints.size], [0, 0]);
  });
});
