/**
 * What the benchmark of the network measures against gives all targets the same
 * bytes: its results are compared.
 */

import { assertEquals } from "@std/assert";
import { NetPeer } from "../bench/net_peer.ts";

const BYTES = 8 * 1048576;

async function connect(port: number): Promise<Deno.TcpConn> {
  return await Deno.connect({ hostname: "127.0.0.1", port });
}

/** All that comes, from a reader that is slow enough to make a sender wait. */
async function download(peer: NetPeer): Promise<Uint8Array> {
  using connection = await connect(peer.port("download"));
  await connection.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  const all = new Uint8Array(BYTES + 4096);
  let length = 0;
  for (;;) {
    const count = await connection.read(all.subarray(length, length + 100_000));
    if (count === null) break;
    length += count;
  }
  const head = new TextDecoder().decode(all.subarray(0, 100));
  return all.subarray(head.indexOf("\r\n\r\n") + 4, length);
}

async function upload(peer: NetPeer, bytes: Uint8Array): Promise<string> {
  using connection = await connect(peer.port("upload"));
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
  await connection.closeWrite();
  return await new Response(connection.readable).text();
}

Deno.test("the peer of the network's benchmark: uploads leave downloads as they are", async () => {
  using peer = new NetPeer(BYTES);
  const first = await download(peer);
  assertEquals(first.length, BYTES);
  assertEquals(await upload(peer, new Uint8Array(BYTES)), `${BYTES}\n`);
  const second = await download(peer);
  assertEquals(first.every((byte, i) => byte === second[i]), true);
});
