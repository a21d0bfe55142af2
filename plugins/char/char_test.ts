import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import file from "./file.ts";
import nullChar from "./null.ts";
import { EscapeFilter, type Terminal } from "../../core/backend/terminal.ts";
import { StdioChar } from "./stdio.ts";
import tcp, { TcpChar } from "./tcp.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A backend's context that keeps what it is told. */
function context() {
  const warnings: string[] = [];
  const quits: number[] = [];
  return {
    name: "test",
    warnings,
    quits,
    log: {
      guest() {},
      warn: (message: string) => void warnings.push(message),
    },
    quit: () => void quits.push(1),
    control: { reset() {}, pressPowerButton() {} },
    shared: <T>(_name: string, make: () => T): T => make(),
  };
}

/** A terminal that a test types on. */
class FakeTerminal implements Terminal {
  shown = "";
  raw = false;
  failing: Error | undefined;
  readonly #typed: (Uint8Array | null)[] = [];
  #waiting: ((typed: Uint8Array | null) => void) | undefined;
  constructor(readonly terminal: boolean) {}
  type(text: string | null): void {
    const typed = text === null ? null : encode(text);
    if (this.#waiting === undefined) this.#typed.push(typed);
    else {
      this.#waiting(typed);
      this.#waiting = undefined;
    }
  }
  async read(buffer: Uint8Array): Promise<number | null> {
    const typed = this.#typed.shift() ??
      await new Promise<Uint8Array | null>((resolve) => {
        this.#waiting = resolve;
      });
    if (typed === null) return null;
    buffer.set(typed);
    return typed.length;
  }
  write(bytes: Uint8Array): Promise<number> {
    if (this.failing !== undefined) return Promise.reject(this.failing);
    // Never more than three bytes at once.
    this.shown += decode(bytes.subarray(0, 3));
    return Promise.resolve(Math.min(3, bytes.length));
  }
  isTerminal(): boolean {
    return this.terminal;
  }
  setRaw(raw: boolean): void {
    this.raw = raw;
  }
  width(): number {
    return 80;
  }
}

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

Deno.test("char: Ctrl-A over any cut of the input", () => {
  for (const cuts of [[100], [1, 1, 1, 1, 1, 1, 1, 1, 1], [3, 1, 2]]) {
    const commands: string[] = [];
    const filter = new EscapeFilter((key) => commands.push(key));
    const typed = encode("a\x01hb\x01\x01c\x01X\x03");
    let out = "";
    for (let at = 0, i = 0; at < typed.length; i++) {
      const length = cuts[i % cuts.length];
      filter.pass(
        typed.subarray(at, at + length),
        (bytes) => out += decode(bytes),
      );
      at += length;
    }
    assertEquals([out, commands.join("")], ["ab\x01c\x03", "hx"]);
  }
});

Deno.test("stdio: raw on a terminal, restored by close", async () => {
  const terminal = new FakeTerminal(true);
  const ctx = context();
  const char = new StdioChar({ escape: true }, ctx, terminal);
  assert(terminal.raw);
  let got = "";
  char.onInput((bytes) => void (got += decode(bytes)));
  terminal.type("ls\r\x03");
  await settle();
  assertEquals(got, "ls\r\x03");
  void char.write(encode("guest output"));
  terminal.type("\x01h");
  await settle();
  assert(terminal.shown.startsWith("guest output"));
  assert(terminal.shown.includes("Ctrl-A x"));
  terminal.type("\x01x");
  await settle();
  assertEquals(ctx.quits.length, 1);
  await char.close();
  assertEquals(terminal.raw, false);
  terminal.type(null);
});

Deno.test("stdio: Ctrl-A x works while the guest does not read", async () => {
  const terminal = new FakeTerminal(true);
  const ctx = context();
  const char = new StdioChar({ escape: true }, ctx, terminal);
  char.onInput(() => new Promise(() => {}));
  for (let i = 0; i < 5; i++) terminal.type("x".repeat(4096));
  terminal.type("\x01x");
  await settle();
  await settle();
  assertEquals(ctx.quits.length, 1);
  await char.close();
  terminal.type(null);
});

Deno.test("stdio: a pipe is read as fast as the guest, to its end", async () => {
  const terminal = new FakeTerminal(false);
  const ctx = context();
  const char = new StdioChar({ escape: true }, ctx, terminal);
  assertEquals(terminal.raw, false);
  terminal.type("early ");
  await settle();
  let got = "";
  let release = () => {};
  char.onInput((bytes) => {
    got += decode(bytes);
    return new Promise<void>((resolve) => release = resolve);
  });
  terminal.type("late");
  await settle();
  assertEquals(got, "early ", "the next piece waits for the guest");
  release();
  await settle();
  assertEquals(got, "early late");
  release();
  terminal.type(null);
  await settle();
  assertEquals(ctx.quits.length, 0, "the guest runs on");
  await char.close();
});

Deno.test("stdio: a reader that has gone ends the run quietly", async () => {
  const terminal = new FakeTerminal(false);
  const ctx = context();
  const char = new StdioChar({ escape: true }, ctx, terminal);
  terminal.failing = new Deno.errors.BrokenPipe("pipe");
  await char.write(encode("x"));
  assertEquals([ctx.quits.length, ctx.warnings.length], [1, 0]);
  await char.close();
  terminal.type(null);
});

Deno.test("null: takes everything", async () => {
  const char = await nullChar.create({}, context());
  char.write(encode("x"));
  await char.flush();
});

Deno.test("file: truncates, appends, says why it cannot", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "old");
    for (const append of [false, true]) {
      const char = await file.create({ path, append }, context());
      void char.write(encode("one "));
      void char.write(encode("two "));
      await char.flush();
      await char.close();
    }
    assertEquals(await Deno.readTextFile(path), "one two one two ");
    assertEquals(file.parse?.("a:b"), { path: "a:b" });
    assertEquals(file.permissions?.({ path, append: false }), {
      write: [path],
    });
  } finally {
    await Deno.remove(path);
  }
  await assertRejects(
    async () =>
      await file.create({ path: "/no/such/file", append: false }, context()),
    Error,
    `Cannot open "/no/such/file" for writing`,
  );
});

Deno.test("tcp: listens, survives a client that goes, takes the next", async () => {
  const server = await TcpChar.open(
    { host: "127.0.0.1", port: 0, listen: true },
    context(),
  );
  let got = "";
  server.onInput((bytes) => void (got += decode(bytes)));
  server.write(encode("nobody hears this"));
  for (const word of ["first", "second"]) {
    const client = await TcpChar.open(
      { host: "127.0.0.1", port: server.port!, listen: false },
      context(),
    );
    let heard = "";
    client.onInput((bytes) => void (heard += decode(bytes)));
    await client.write(encode(word));
    for (let i = 0; i < 200 && !got.endsWith(word); i++) await settle();
    await server.write(encode(`hello ${word}`));
    for (let i = 0; i < 200 && heard === ""; i++) await settle();
    assertEquals(heard, `hello ${word}`);
    await client.close();
    await settle();
  }
  assertEquals(got, "firstsecond");
  await server.close();
});

Deno.test("tcp: a client that was gone before it was accepted is not the last", async () => {
  const { listen } = Deno;
  let aborted = 0;
  // The host tells of such a client by an error, which no test can bring about.
  Deno.listen = ((options: Deno.TcpListenOptions) => {
    const listener = listen(options);
    const accept = listener.accept.bind(listener);
    listener.accept = () =>
      aborted++ === 0
        ? Promise.reject(new Deno.errors.ConnectionAborted())
        : accept();
    return listener;
  }) as typeof Deno.listen;
  try {
    const config = { host: "127.0.0.1", port: 0, listen: true };
    const backend = await TcpChar.open(config, context());
    const got = Promise.withResolvers<string>();
    backend.onInput((bytes) => got.resolve(decode(bytes)));
    const client = await Deno.connect({ port: backend.port! });
    await client.write(encode("x"));
    assertEquals(await got.promise, "x");
    client.close();
    await backend.close();
  } finally {
    Deno.listen = listen;
  }
});

Deno.test("tcp: it closes though the guest takes nothing", async () => {
  const config = { host: "127.0.0.1", port: 0, listen: true };
  const backend = await TcpChar.open(config, context());
  const got = Promise.withResolvers<void>();
  backend.onInput(() => {
    got.resolve();
    return new Promise(() => {});
  });
  using client = await Deno.connect({ port: backend.port! });
  await client.write(encode("x"));
  await got.promise;
  await backend.close();
  assertEquals(await client.read(new Uint8Array(1)), null);
});

Deno.test("tcp: it closes though the client reads nothing, not before one that does", async () => {
  const warnings: string[] = [];
  const { log } = context();
  const config = { host: "127.0.0.1", port: 0, listen: true };
  const output = new Uint8Array(64 << 20);
  for (const isRead of [false, true]) {
    const backend = await TcpChar.open(config, {
      log: { ...log, warn: (line: string) => warnings.push(line) },
    });
    const greeted = Promise.withResolvers<void>();
    backend.onInput(() => greeted.resolve());
    using client = await Deno.connect({ port: backend.port! });
    await client.write(encode("x"));
    await greeted.promise;
    void backend.write(output);
    const closed = backend.close();
    if (!isRead) await closed;
    let read = 0;
    const buffer = new Uint8Array(1 << 20);
    try {
      for (;;) {
        const count = await client.read(buffer);
        if (count === null) break;
        read += count;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    await closed;
    if (isRead) assertEquals(read, output.length);
    else assert(read < output.length);
  }
  assertEquals(warnings, ["output is lost: the client reads none of it"]);
});

Deno.test("tcp: short forms and errors", async () => {
  assertEquals(tcp.parse?.("localhost:4000"), {
    host: "localhost",
    port: 4000,
    listen: false,
  });
  assertEquals(tcp.parse?.("[::1]:4000,listen"), {
    host: "::1",
    port: 4000,
    listen: true,
  });
  assertEquals(tcp.parse?.(":1"), { port: 1, listen: false });
  assertThrows(() => tcp.parse?.("localhost"), TypeError, "HOST:PORT");
  await assertRejects(
    async () =>
      await tcp.create(
        { host: "127.0.0.1", port: 1, listen: false },
        context(),
      ),
    Error,
    "Cannot connect to 127.0.0.1:1",
  );
});
