/**
 * How a connection begins: the version, and who it is.
 *
 * RFC 6143, 7.1 to 7.3, and appendix A for the versions 3.3 and 3.7.
 *
 * @module
 */

import { CHALLENGE_BYTES, isRight } from "./authentication.ts";
import type { ByteReader } from "./byte_reader.ts";
import { ByteSink } from "./byte_sink.ts";

/** A viewer sends what the protocol does not allow. */
export class ProtocolError extends Error {
  /** The name of the error's class. */
  override readonly name = "ProtocolError";
}

const VERSION = "RFB 003.008\n";
const VERSION_BYTES = 12;
const SECURITY_NONE = 1;
const SECURITY_VNC = 2;
const RESULT_OK = 0;
const RESULT_FAILED = 1;

/** The minor version that is spoken: 3, 7 or 8; undefined for no RFB. */
function versionOf(text: string): number | undefined {
  const match = /^RFB (\d{3})\.(\d{3})\n$/.exec(text);
  if (match === null) return undefined;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  if (major < 3) return undefined;
  if (major > 3 || minor >= 8) return 8;
  return minor === 7 ? 7 : 3;
}

/** The two ends of a connection that begins. */
export interface Beginning {
  /** What comes from the viewer. */
  readonly reader: ByteReader;
  /** Send bytes to it. */
  send(bytes: Uint8Array): Promise<void>;
  /** The password that it must know; none when undefined. */
  readonly password: string | undefined;
  /** Wait before a wrong password is told, so that guessing takes its time. */
  punish(): Promise<void>;
}

/**
 * Begin. Throws a `ProtocolError` when the viewer is not let in. Whether it
 * wants to share the screen is not asked: the server's user has said that.
 */
export async function begin(connection: Beginning): Promise<void> {
  const { reader, password } = connection;
  await connection.send(new TextEncoder().encode(VERSION));
  const view = await reader.take(VERSION_BYTES);
  const text = new TextDecoder("latin1").decode(view);
  const version = versionOf(text);
  if (version === undefined) throw new ProtocolError("no RFB version");
  const type = password === undefined ? SECURITY_NONE : SECURITY_VNC;
  const sink = new ByteSink();
  if (version === 3) {
    sink.u32(type);
    await connection.send(sink.bytes);
  } else {
    sink.u8(1);
    sink.u8(type);
    await connection.send(sink.bytes);
    if (await reader.byte() !== type) {
      await fail(connection, version, "this security type is not offered");
    }
  }
  if (password !== undefined) {
    await authenticate(connection, password, version);
  }
  if (password !== undefined || version === 8) {
    sink.truncate(0);
    sink.u32(RESULT_OK);
    await connection.send(sink.bytes);
  }
  // ClientInit.
  await reader.byte();
}

async function authenticate(
  connection: Beginning,
  password: string,
  version: number,
): Promise<void> {
  const challenge = crypto.getRandomValues(new Uint8Array(CHALLENGE_BYTES));
  await connection.send(challenge);
  const view = await connection.reader.take(CHALLENGE_BYTES);
  const answer = new Uint8Array(view.buffer, view.byteOffset, CHALLENGE_BYTES);
  if (isRight(answer, challenge, password)) return;
  await connection.punish();
  await fail(connection, version, "the password is wrong");
}

async function fail(
  connection: Beginning,
  version: number,
  reason: string,
): Promise<never> {
  const sink = new ByteSink();
  sink.u32(RESULT_FAILED);
  if (version === 8) sink.text(reason);
  await connection.send(sink.bytes);
  throw new ProtocolError(reason);
}
