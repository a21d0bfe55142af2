/**
 * A client of QMP for tests, of Rhea's and of QEMU's server.
 *
 * Source: QEMU, "QEMU Machine Protocol Specification".
 *
 * @module
 */

import { QEMU } from "../qemu.ts";

/** A message: a greeting, an answer or an event. */
// deno-lint-ignore no-explicit-any
export type Message = Record<string, any>;

/** How long an answer may take. */
const PATIENCE_MS = 30_000;

/** A client. */
export class QmpClient {
  /** Events that have come, and that nobody has waited for. */
  readonly events: Message[] = [];
  /** What the server said first. */
  readonly greeting: Message;
  readonly #connection: Deno.Conn;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    connection: Deno.Conn,
    lines: AsyncIterator<string>,
    greeting: Message,
  ) {
    this.#connection = connection;
    this.#lines = lines;
    this.greeting = greeting;
  }

  /** Connect to a unix socket, and negotiate unless told not to. */
  static async connect(path: string, negotiate = true): Promise<QmpClient> {
    const connection = await Deno.connect({ transport: "unix", path });
    const lines = linesOf(connection);
    const { value } = await lines.next();
    const client = new QmpClient(connection, lines, JSON.parse(value!));
    if (negotiate) await client.execute("qmp_capabilities");
    return client;
  }

  /** Do a command; gives back the answer. */
  async execute(execute: string, args?: object): Promise<Message> {
    return await this.raw(JSON.stringify({ execute, arguments: args }));
  }

  /** Send anything; gives back the next answer. */
  async raw(text: string | Uint8Array): Promise<Message> {
    await this.send(text);
    return await this.answer();
  }

  /** Send anything. */
  async send(text: string | Uint8Array): Promise<void> {
    const bytes = typeof text === "string"
      ? new TextEncoder().encode(text)
      : text;
    for (let done = 0; done < bytes.length;) {
      done += await this.#connection.write(bytes.subarray(done));
    }
  }

  /** The next answer. */
  async answer(): Promise<Message> {
    for (;;) {
      const message = await this.next();
      if (message === undefined) throw new Error("the server hung up");
      if (!("event" in message)) return message;
      this.events.push(message);
    }
  }

  /** Wait for an event; gives it back. Those before it stay in the list. */
  async event(name: string): Promise<Message> {
    for (;;) {
      const at = this.events.findIndex(({ event }) => event === name);
      if (at >= 0) return this.events.splice(at, 1)[0];
      const message = await this.next();
      if (message === undefined) throw new Error(`no event ${name}`);
      if (!("event" in message)) throw new Error("an answer nobody asked for");
      this.events.push(message);
    }
  }

  /** The next message; undefined when the server has hung up. */
  async next(): Promise<Message | undefined> {
    let timer;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error("the server says nothing")),
        PATIENCE_MS,
      );
    });
    try {
      const { value, done } = await Promise.race([this.#lines.next(), late]);
      return done === true ? undefined : JSON.parse(value);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Hang up. */
  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // The server was faster.
    }
  }
}

async function* linesOf(connection: Deno.Conn): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const room = new Uint8Array(65536);
  let text = "";
  for (;;) {
    for (let end; (end = text.indexOf("\n")) >= 0;) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
    let count;
    try {
      count = await connection.read(room);
    } catch {
      return;
    }
    if (count === null) return;
    text += decoder.decode(room.subarray(0, count), { stream: true });
  }
}

/** QEMU with a server of its own. */
export class QemuServer implements AsyncDisposable {
  /** A client of it. */
  readonly client: QmpClient;
  /** Where it listens. */
  readonly path: string;
  readonly #child: Deno.ChildProcess;

  private constructor(
    child: Deno.ChildProcess,
    client: QmpClient,
    path: string,
  ) {
    this.#child = child;
    this.client = client;
    this.path = path;
  }

  /** Start QEMU with a socket in `folder`; undefined where it is not installed. */
  static async start(
    folder: string,
    args: readonly string[] = [],
  ): Promise<QemuServer | undefined> {
    const path = `${folder}/qemu.sock`;
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(QEMU, {
        args: [
          ...["-display", "none", "-serial", "null"],
          ...["-qmp", `unix:${path},server=on,wait=off`],
          ...args,
        ],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    for (let tries = 0;; tries++) {
      try {
        return new QemuServer(child, await QmpClient.connect(path), path);
      } catch (error) {
        if (tries === 200) {
          child.kill("SIGKILL");
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** End it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
  }
}
