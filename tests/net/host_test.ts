/**
 * The user network on the host's own sockets: UDP, forwards, and what Deno's
 * permissions do.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createSocket } from "node:dgram";
import { HOST_CLOCK } from "../../plugins/net/user/clock.ts";
import { readConfig, UserNetError } from "../../plugins/net/user/config.ts";
import { DENO_NETWORK } from "../../plugins/net/user/host.ts";
import { get16 } from "../../plugins/net/user/pdu/bytes.ts";
import { ForwardError, UserNet } from "../../plugins/net/user/user_net.ts";
import { echo, GATEWAY, GUEST, inShort, ipFrame, udpFrame } from "./frames.ts";
import { udpDatagram } from "../../plugins/net/user/pdu/udp.ts";

const BASE = {
  net: "10.0.2.0/24",
  restrict: false,
  hostfwd: [] as string[],
  guestfwd: [] as string[],
};

async function open(config: Partial<typeof BASE>) {
  const net = await UserNet.open(readConfig({ ...BASE, ...config }), {
    host: DENO_NETWORK,
    clock: HOST_CLOCK,
    refused: () => {},
  });
  const frames: Uint8Array[] = [];
  net.attach({
    offload: false,
    receive: (frame) => frames.push(frame.slice()) > 0,
  });
  return { net, frames };
}

/** A UDP port that answers everything with what it got, twice. */
async function udpEcho(): Promise<{ port: number; close(): Promise<void> }> {
  const socket = createSocket("udp4");
  socket.on("message", (bytes, from) => {
    socket.send(new Uint8Array([...bytes, ...bytes]), from.port, from.address);
  });
  await new Promise<void>((done) => socket.bind(0, "127.0.0.1", () => done()));
  return {
    port: socket.address().port,
    close: () => new Promise<void>((done) => socket.close(() => done())),
  };
}

async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("datagrams to the host and back, by the gateway and by a forward", async () => {
  const server = await udpEcho();
  const { net, frames } = await open({
    guestfwd: [`udp:10.0.2.100:53-127.0.0.1:${server.port}`],
  });
  net.send(udpFrame(GATEWAY, server.port, new Uint8Array([1, 2])));
  await until(() => frames.length === 1);
  assertEquals(inShort(frames[0]), `udp 10.0.2.2:${server.port}`);
  assertEquals([...frames[0].subarray(42)], [1, 2, 1, 2]);
  net.send(udpFrame(0x0a000264, 53, new Uint8Array([3]), 6000));
  await until(() => frames.length === 2);
  assertEquals(inShort(frames[1]), "udp 10.0.2.100:53");
  // More than Ethernet has room for comes in parts.
  const large = udpDatagram(
    GUEST,
    5000,
    GATEWAY,
    server.port,
    new Uint8Array(2500),
  );
  const part = (from: number, to: number, more: number) =>
    ipFrame(17, GATEWAY, large.slice(from, to), { fragment: more | from / 8 });
  net.send(part(0, 1480, 0x2000));
  net.send(part(1480, large.length, 0));
  await until(() => frames.length === 6);
  await net.close();
  await server.close();
});

Deno.test("a forwarded UDP port: each client is told apart", async () => {
  const { net, frames } = await open({
    restrict: true,
    hostfwd: ["udp:127.0.0.1:0-:53"],
  });
  // The guest is known by whatever it says.
  net.send(echo(GATEWAY));
  await until(() => frames.length === 1);
  const [port] = net.ports;
  const answers: string[] = [];
  const clients = ["a", "b"].map((name) => {
    const socket = createSocket("udp4");
    socket.on("message", (bytes) => answers.push(name + bytes.toString()));
    socket.send(name, port, "127.0.0.1");
    return socket;
  });
  await until(() => frames.length === 3);
  for (const frame of frames.slice(1)) {
    assertEquals(get16(frame, 36), 53);
    const answer = ipFrame(
      17,
      GATEWAY,
      udpDatagram(GUEST, 53, GATEWAY, get16(frame, 34), frame.slice(42)),
    );
    net.send(answer);
  }
  await until(() => answers.length === 2);
  assertEquals(answers.sort(), ["aa", "bb"]);
  for (const client of clients) client.close();
  await net.close();
});

Deno.test("forwards come and go while the network is there", async () => {
  const { net, frames } = await open({ hostfwd: ["tcp::0-:22"] });
  const [first] = net.ports;
  await net.addForward("udp::0-:53");
  const [, udp] = net.ports;
  await net.addForward("tcp:127.0.0.1:0-10.0.2.15:80");
  assertEquals(net.ports.length, 3);
  await assertRejects(() => net.addForward(`tcp::${first}-:1`), ForwardError);
  for (const text of ["tcp::1", "tcp::0-:0", "tcp::0-10.0.2.2:1", "x::0-:1"]) {
    await assertRejects(() => net.addForward(text), UserNetError);
  }
  net.send(echo(GATEWAY));
  await until(() => frames.length === 1);
  const client = createSocket("udp4");
  client.send("a", udp, "127.0.0.1");
  await until(() => frames.length === 2);
  assertThrows(() => net.removeForward("x:y:22"), UserNetError);
  assertEquals(net.removeForward(`udp::${udp}`), true);
  assertEquals(net.removeForward(`udp:127.0.0.1:${udp}`), false);
  client.close();
  assertEquals([net.removeForward(`:127.0.0.1:${first}`), net.ports.length], [
    true,
    1,
  ]);
  // (A connection that came at the same time is reset.)
  await assertRejects(() =>
    Deno.connect({ hostname: "127.0.0.1", port: first })
  );
  await net.close();
  await assertRejects(() => net.addForward("tcp::0-:1"), ForwardError);
});

Deno.test("a forward that Deno's permissions do not allow is refused", async () => {
  const net = new UserNet(readConfig(BASE), {
    host: { ...DENO_NETWORK, granted: () => false },
    clock: HOST_CLOCK,
    refused: () => {},
  });
  await assertRejects(
    () => net.addForward("tcp::0-:1"),
    ForwardError,
    "Deno's permissions do not allow 127.0.0.1:0",
  );
  await net.close();
});

Deno.test("a port that is taken is an error that names it", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await assertRejects(
    () => open({ hostfwd: [`tcp::${port}-:22`] }),
    ForwardError,
    `Cannot listen on tcp 127.0.0.1:${port}`,
  );
  listener.close();
});

Deno.test("Deno's permissions: what is not granted is refused, and none is asked for", async () => {
  const here = (name: string) => new URL(`../../${name}`, import.meta.url).href;
  const program = `
import { HOST_CLOCK } from "${here("plugins/net/user/clock.ts")}";
import { readConfig } from "${here("plugins/net/user/config.ts")}";
import { DENO_NETWORK } from "${here("plugins/net/user/host.ts")}";
import { UserNet } from "${here("plugins/net/user/user_net.ts")}";
import * as f from "${here("tests/net/frames.ts")}";
const settings = readConfig(${JSON.stringify(BASE)});
const refused = [];
const net = new UserNet(settings, {
  host: DENO_NETWORK, clock: HOST_CLOCK, refused: (what) => refused.push(what),
});
const said = [];
net.attach({ offload: false, receive: (frame) => said.push(f.inShort(frame)) > 0 });
net.send(f.tcpFrame(0xc0000207, 80, 1, 0, 2));
net.send(f.udpFrame(0xc0000207, 9, new Uint8Array(1)));
net.send(f.tcpFrame(f.GATEWAY, 1, 1, 0, 2));
net.send(f.udpFrame(f.DNS, 53, new Uint8Array([0,1,1,0,0,1,0,0,0,0,0,0,1,97,0,0,1,0,1])));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
while (said.length < 4 || refused.length < 3) await wait(10);
// And nothing else.
await wait(300);
await net.close();
console.log(JSON.stringify({ said: said.sort(), refused }));
`;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, program);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      `--config=${config}`,
      "--allow-read",
      "--allow-env",
      "--allow-net=127.0.0.1:1",
      path,
    ],
    stdin: "null",
  }).output();
  await Deno.remove(path);
  const text = new TextDecoder();
  assert(stdout.length > 0, text.decode(stderr));
  assertEquals(JSON.parse(text.decode(stdout)), {
    said: [
      "icmp 10.0.2.2 3 13",
      "tcp 10.0.2.2:1 RST ACK",
      "tcp 192.0.2.7:80 RST ACK",
      "udp 10.0.2.3:53",
    ],
    refused: ["tcp 192.0.2.7:80", "udp 192.0.2.7:9", "dns"],
  });
});
