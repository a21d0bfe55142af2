/**
 * One client of QMP: greeting, negotiation, commands one after another, events
 * in between (`docs/interop/qmp-spec.txt`).
 *
 * A command is read when the answer to the one before it has been taken, so
 * that a client which does not read is not read from. Events cannot wait so:
 * who leaves too many of them lying is hung up on.
 *
 * @module
 */

import { checkCommand } from "../../replay/commands.ts";
import type { Command, Monitor } from "./command.ts";
import {
  CAPABILITIES,
  type Negotiated,
  NEGOTIATION,
} from "./commands/control.ts";
import { GenericError, QmpError } from "./error.ts";
import type { Told } from "./events.ts";
import { type JsonMessage, JsonReader } from "./json_reader.ts";
import {
  type JsonMap,
  type JsonOutput,
  jsonText,
  type JsonValue,
} from "./json_value.ts";
import { parseValue } from "./types.ts";
import { VERSION } from "./version.ts";

/** Bytes that are read at once. */
const READ_BYTES = 65536;
/** Bytes of events that may wait for a client that does not read. */
const MAX_UNREAD = 1 << 20;

/** What carries a client's bytes. */
export interface Connection {
  /** Read some bytes; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Write some of them; gives back how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Hang up. */
  close(): void;
}

/** What a session needs of its server. */
export interface SessionHost {
  /** What commands work on. */
  readonly monitor: Monitor;
  /** Do something when everything that was to be done before is done. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** A client has sent something, and waits. */
  onTraffic(): void;
  /** A client's {@linkcode Session.held} has grown: some may be hung up on. */
  onHeld(): void;
  /** Something is wrong with a client, or with this program. */
  warn(message: string): void;
}

/** A client. */
export class Session {
  readonly #host: SessionHost;
  readonly #connection: Connection;
  readonly #encoder = new TextEncoder();
  #isNegotiating = true;
  /** Commands may come out of band. */
  #hasOob = false;
  #isClosed = false;
  /** Lines that wait to be written. */
  readonly #lines: { readonly bytes: Uint8Array; readonly isEvent: boolean }[] =
    [];
  /** Bytes of events that do. */
  #unread = 0;
  #writing: Promise<void> | undefined;
  /** Bytes of what is read and not answered yet, and of an answer that was not taken. */
  #read = 0;
  #unsent = 0;

  /** A client that has just connected. */
  constructor(host: SessionHost, connection: Connection) {
    this.#host = host;
    this.#connection = connection;
  }

  /** Serve it until it goes; never rejects. */
  async run(): Promise<void> {
    const messages: JsonMessage[] = [];
    const reader = new JsonReader((message) => messages.push(message));
    const room = new Uint8Array(READ_BYTES);
    this.#send({ QMP: { version: VERSION, capabilities: [...CAPABILITIES] } });
    try {
      while (!this.#isClosed) {
        const count = await this.#connection.read(room);
        if (count === null) break;
        this.#host.onTraffic();
        this.#read = reader.held + count;
        reader.feed(room.subarray(0, count));
        this.#read = Math.max(this.#read, reader.held);
        this.#host.onHeld();
        for (const message of messages.splice(0)) {
          if (this.#isClosed) break;
          const answer = await this.#host.inTurn(() => this.#answer(message));
          this.#send(answer);
          this.#host.onHeld();
          await this.#writing;
        }
        this.#read = reader.held;
      }
    } catch {
      // The client has gone, or was hung up on.
    }
    this.close();
  }

  /** Bytes of memory that the client's messages and their answers take, about. */
  get held(): number {
    return this.#isClosed ? 0 : this.#read + this.#unsent;
  }

  /** An event, for who has negotiated. */
  tell({ event, data }: Told, time: number): void {
    if (this.#isNegotiating || this.#isClosed) return;
    const timestamp = {
      seconds: Math.floor(time / 1000),
      microseconds: Math.floor(time % 1000 * 1000),
    };
    this.#unread += this.#send({ timestamp, event, data }, true);
    if (this.#unread <= MAX_UNREAD) return;
    this.#host.warn("a client does not read its events: hung up");
    this.close();
  }

  /** Resolves when what was sent has been taken. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  /** Hang up. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#lines.length = 0;
    try {
      this.#connection.close();
    } catch {
      // It was closed already.
    }
  }

  /** Send a line; gives back how many bytes it has. */
  #send(message: JsonOutput, isEvent = false): number {
    if (this.#isClosed) return 0;
    const bytes = this.#encoder.encode(`${jsonText(message)}\r\n`);
    this.#lines.push({ bytes, isEvent });
    if (!isEvent) this.#unsent += bytes.length;
    this.#writing ??= this.#write();
    return bytes.length;
  }

  async #write(): Promise<void> {
    try {
      for (let line; (line = this.#lines.shift()) !== undefined;) {
        const { bytes, isEvent } = line;
        for (let done = 0; done < bytes.length;) {
          done += await this.#connection.write(bytes.subarray(done));
        }
        if (isEvent) this.#unread -= bytes.length;
        else this.#unsent -= bytes.length;
      }
    } catch {
      // The client has gone: reading will tell as well.
      this.close();
    }
    this.#writing = undefined;
  }

  /** What is answered to a message. */
  async #answer(message: JsonMessage): Promise<JsonOutput> {
    let id: JsonValue | undefined;
    try {
      if ("error" in message) throw new GenericError(message.error);
      const { value } = message;
      if (!(value instanceof Map)) {
        throw new GenericError("QMP input must be a JSON object");
      }
      id = value.get("id");
      return { return: await this.#execute(value) as JsonOutput, id };
    } catch (error) {
      return { error: this.#described(error), id };
    }
  }

  /** An error for the client. One that nobody foresaw is told to the user, too. */
  #described(error: unknown): { class: string; desc: string } {
    if (error instanceof QmpError) {
      return { class: error.errorClass, desc: error.message };
    }
    const [desc] = (error instanceof Error ? error.message : String(error))
      .split("\n");
    const isBug = !(error instanceof Error) || error instanceof TypeError ||
      error instanceof ReferenceError;
    if (isBug) this.#host.warn(`a command has failed: ${desc}`);
    return { class: "GenericError", desc };
  }

  async #execute(message: JsonMap): Promise<unknown> {
    const { name, given, isOob } = checkMessage(message, this.#hasOob);
    const command = this.#command(name);
    if (isOob) {
      throw new GenericError(`The command ${name} does not support OOB`);
    }
    const args = parseValue(command.arguments, given);
    const { monitor } = this.#host;
    checkCommand(monitor.parts.inputs, name);
    const result = await command.run(monitor, args as never);
    if (command === NEGOTIATION) {
      this.#isNegotiating = false;
      this.#hasOob = (args as Negotiated).enable?.includes("oob") === true;
    }
    return result ?? {};
  }

  #command(name: string): Command {
    if (this.#isNegotiating) {
      if (name === NEGOTIATION.name) return NEGOTIATION;
      throw new QmpError(
        "CommandNotFound",
        "Expecting capabilities negotiation with 'qmp_capabilities'",
      );
    }
    const command = this.#host.monitor.commands.get(name);
    if (command !== undefined) return command;
    throw new QmpError(
      "CommandNotFound",
      `The command ${name} has not been found`,
    );
  }
}

/** The command and the arguments in a message, which may be out of band or not. */
function checkMessage(
  message: JsonMap,
  hasOob: boolean,
): { name: string; given: JsonMap; isOob: boolean } {
  let name: string | undefined;
  let isOob = false;
  let given: JsonMap = new Map();
  for (const [key, value] of message) {
    switch (hasOob && key === "exec-oob" ? "execute" : key) {
      case "execute":
        if (typeof value !== "string") {
          throw new GenericError(`QMP input member '${key}' must be a string`);
        }
        if (name !== undefined) {
          const other = isOob ? "exec-oob" : "execute";
          throw new GenericError(
            `QMP input member '${key}' clashes with '${other}'`,
          );
        }
        name = value;
        isOob = key === "exec-oob";
        break;
      case "arguments":
        if (!(value instanceof Map)) {
          throw new GenericError(
            "QMP input member 'arguments' must be an object",
          );
        }
        given = value;
        break;
      case "id":
        break;
      default:
        throw new GenericError(`QMP input member '${key}' is unexpected`);
    }
  }
  if (name === undefined) {
    throw new GenericError("QMP input lacks member 'execute'");
  }
  return { name, given, isOob };
}
