/**
 * Bytes to who sends them back.
 *
 * @module
 */

/** Send bytes and their end, and give back what comes until the end. */
export async function exchange(
  hostname: string,
  port: number,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const socket = await Deno.connect({ hostname, port });
  const sending = (async () => {
    for (let at = 0; at < bytes.length;) {
      at += await socket.write(bytes.subarray(at));
    }
    await socket.closeWrite();
  })();
  const [received] = await Promise.all([
    new Response(socket.readable).arrayBuffer(),
    sending,
  ]);
  return new Uint8Array(received);
}

/** Bytes that nobody knows before. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  return bytes;
}

/** Whether they are the same. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
