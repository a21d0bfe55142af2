import { assertEquals } from "@std/assert";
import { AcceptLoop, type ClientSource, keepLively } from "./accept_loop.ts";

/** A client that knows whether it was hung up on. */
class Client {
  isClosed = false;

  close(): void {
    this.isClosed = true;
  }
}

/** A source whose clients come, and do not, as a test says. */
class Source implements ClientSource<Client> {
  #asked = Promise.withResolvers<PromiseWithResolvers<Client>>();
  #waiting: PromiseWithResolvers<Client> | undefined;

  accept(): Promise<Client> {
    this.#waiting = Promise.withResolvers<Client>();
    this.#asked.resolve(this.#waiting);
    return this.#waiting.promise;
  }

  close(): void {
    this.#waiting?.reject(new Deno.errors.BadResource("closed"));
  }

  /** The `accept` that is under way, or the next one. */
  async asked(): Promise<PromiseWithResolvers<Client>> {
    const asked = await this.#asked.promise;
    this.#asked = Promise.withResolvers();
    return asked;
  }
}

Deno.test("accept loop: one client after another, each when the one before was served", async () => {
  const source = new Source();
  const served: Client[] = [];
  let done = Promise.withResolvers<void>();
  const loop = new AcceptLoop(source, {
    serve: (client) => {
      served.push(client);
      return done.promise;
    },
  });
  const clients = [new Client(), new Client()];
  (await source.asked()).resolve(clients[0]);
  const next = source.asked();
  let isAsked = false;
  void next.then(() => isAsked = true);
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assertEquals([served, isAsked], [[clients[0]], false]);
  done.resolve();
  const second = await next;
  done = Promise.withResolvers();
  done.resolve();
  second.resolve(clients[1]);
  await source.asked();
  assertEquals(served, clients);
  await loop.close();
  assertEquals(clients.map(({ isClosed }) => isClosed), [false, false]);
});

Deno.test("accept loop: who cannot be accepted ends nothing, and is told of once", async () => {
  const source = new Source();
  const served: Client[] = [];
  const refused: unknown[] = [];
  const loop = new AcceptLoop(source, {
    serve: (client) => void served.push(client),
    refused: (error) => refused.push(error),
  });
  // A client that was gone before it was accepted is nothing to be told of.
  (await source.asked()).reject(new Deno.errors.ConnectionAborted());
  const full = new Error("Too many open files");
  for (let i = 0; i < 2; i++) (await source.asked()).reject(full);
  const client = new Client();
  (await source.asked()).resolve(client);
  (await source.asked()).reject(full);
  await source.asked();
  assertEquals([served, refused], [[client], [full, full]]);
  await loop.close();
});

Deno.test("accept loop: closed while it waits to try again, it leaves no timer", async () => {
  const source = new Source();
  const refused = Promise.withResolvers<void>();
  const loop = new AcceptLoop(source, {
    serve: () => {},
    refused: () => refused.resolve(),
  });
  (await source.asked()).reject(new Error("Too many open files"));
  await refused.promise;
  await Promise.all([loop.close(), loop.close()]);
});

Deno.test("accept loop: who comes as it is closed is hung up on", async () => {
  const source = new Source();
  const served: Client[] = [];
  const loop = new AcceptLoop(source, {
    serve: (client) => void served.push(client),
  });
  const client = new Client();
  (await source.asked()).resolve(client);
  await loop.close();
  assertEquals([served, client.isClosed], [[], true]);
});

Deno.test("accept loop: closing waits for who is served", async () => {
  const source = new Source();
  const done = Promise.withResolvers<void>();
  const loop = new AcceptLoop(source, { serve: () => done.promise });
  (await source.asked()).resolve(new Client());
  for (let i = 0; i < 20; i++) await Promise.resolve();
  let isClosed = false;
  const closed = loop.close().then(() => isClosed = true);
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assertEquals(isClosed, false);
  done.resolve();
  await closed;
});

Deno.test("accept loop: over TCP and unix sockets, whose file goes with it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/socket`;
    const tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const places = [
      {
        listener: tcp,
        connect: () => Deno.connect({ port: tcp.addr.port }),
      },
      {
        listener: Deno.listen({ transport: "unix", path }),
        connect: () => Deno.connect({ transport: "unix", path }),
      },
    ];
    for (const { listener, connect } of places) {
      const loop = new AcceptLoop<Deno.Conn>(listener, {
        async serve(client) {
          keepLively(client);
          await client.write(Uint8Array.of(42));
          client.close();
        },
      });
      for (let i = 0; i < 2; i++) {
        using client = await connect();
        const bytes = new Uint8Array(8);
        assertEquals(await client.read(bytes), 1);
        assertEquals(bytes[0], 42);
      }
      await loop.close();
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
