/**
 * The user network with a real kernel's network stack as its guest, and tshark
 * as the judge of every frame that it sends.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { HOST_CLOCK } from "../../plugins/net/user/clock.ts";
import {
  readConfig,
  type UserNetConfig,
} from "../../plugins/net/user/config.ts";
import { DENO_NETWORK } from "../../plugins/net/user/host.ts";
import { UserNet } from "../../plugins/net/user/user_net.ts";
import { exchange, randomBytes, same } from "./exchange.ts";
import { buildTap, runGuest } from "./kernel_guest.ts";
import { within } from "../limit.ts";
import { BAD, type Capture, has, tshark } from "./judge.ts";

const tap = await buildTap();
const busybox = await has("busybox");
const judge = await has("tshark");
const PROGRAM = new URL("guest_program.ts", import.meta.url).pathname;
const deno = `${Deno.execPath()} run -A --no-config --no-lock ${PROGRAM}`;

function kernelTest(name: string, needs: boolean, body: () => Promise<void>) {
  const ignored = tap === undefined
    ? " (no tap devices or no gcc here)"
    : needs
    ? ""
    : " (busybox or tshark is missing)";
  Deno.test(name + ignored, { ignore: ignored !== "" }, body);
}

function open(config: Partial<UserNetConfig> = {}): Promise<UserNet> {
  const settings = readConfig({
    net: "10.0.2.0/24",
    restrict: false,
    hostfwd: [],
    guestfwd: [],
    ...config,
  });
  const refused = (target: string) => console.log("refused", target);
  return UserNet.open(settings, {
    host: DENO_NETWORK,
    clock: HOST_CLOCK,
    refused,
  });
}

/** A server that sends back what it gets, until it is closed. */
function echoServer(): { port: number; close(): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const socket of listener) {
      socket.readable.pipeTo(socket.writable).catch(() => {});
    }
  })().catch(() => {});
  return { port: listener.addr.port, close: () => listener.close() };
}

async function checked(capture: Capture): Promise<void> {
  if (judge) assertEquals(await tshark(capture, BAD), []);
}

kernelTest("DHCP, ping, names, a trace and a page", busybox, async () => {
  const page = new Uint8Array(300_000).fill(97);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(page),
  );
  const net = await open({ hostname: "emu", domainname: "rhea.test" });
  const script = await Deno.makeTempFile();
  await Deno.writeTextFile(
    script,
    `#!/bin/sh
echo "$1 $ip $subnet $router $dns $hostname $domain $lease"
[ "$1" = bound ] || exit 0
ip addr add $ip/24 dev $interface
ip route add default via $router
`,
  );
  await Deno.chmod(script, 0o755);
  const { output, capture } = await runGuest(
    tap!,
    net,
    `busybox udhcpc -i tap0 -n -q -t 5 -T 1 -s ${script} 2>/dev/null
busybox ping -c 2 -W 2 10.0.2.2
busybox ping -c 1 -s 4000 -W 2 10.0.2.3
busybox nslookup localhost 10.0.2.3
busybox traceroute -n -q 1 -w 1 -m 1 192.0.2.1
busybox wget -q -O - http://10.0.2.2:${server.addr.port}/ | wc -c
`,
    false,
  );
  assertMatch(
    output,
    /bound 10\.0\.2\.15 255\.255\.255\.0 10\.0\.2\.2 10\.0\.2\.3 emu rhea\.test 86400/,
  );
  assertMatch(output, /2 packets transmitted, 2 packets received/);
  assertMatch(output, /4008 bytes from 10\.0\.2\.3/);
  assertMatch(output, /Name:\s+localhost\nAddress: 127\.0\.0\.1/);
  assertMatch(output, /1 {2}10\.0\.2\.2/);
  assertMatch(output, /^300000$/m);
  await checked(capture);
  await net.close();
  await server.shutdown();
  await Deno.remove(script);
});

kernelTest("20 MB to a server on the host and back", true, async () => {
  const server = echoServer();
  const net = await open();
  const { output, capture } = await runGuest(
    tap!,
    net,
    `${deno} exchange ${server.port} 20000000`,
  );
  assertEquals(output, "same\n");
  await checked(capture);
  await net.close();
  server.close();
});

kernelTest("1,000 connections at once", true, async () => {
  const server = echoServer();
  const net = await open();
  const { output, capture } = await runGuest(
    tap!,
    net,
    `ulimit -n 5000; ${deno} many ${server.port} 1000`,
  );
  assertEquals(output, "same 1000\n");
  await checked(capture);
  await net.close();
  server.close();
});

kernelTest("the host connects to a guest's port", true, async () => {
  const net = await open({ hostfwd: ["tcp::0-:7"] });
  const [port] = net.ports;
  const guest = runGuest(tap!, net, `timeout 20 ${deno} serve 7 20`);
  const echo = async (length: number): Promise<boolean> => {
    const bytes = randomBytes(length);
    // The guest refuses connections before it listens.
    for (let tries = 0; tries < 200; tries++) {
      const back = await exchange("127.0.0.1", port, bytes)
        .catch(() => new Uint8Array(0));
      if (back.length > 0) return same(bytes, back);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return false;
  };
  const echoed = await within(
    "20 connections",
    Promise.all(Array.from({ length: 20 }, (_, i) => echo(1 + i * 10_000))),
  );
  assertEquals(echoed, new Array(20).fill(true));
  const { output, capture } = await guest;
  assertEquals(output, "serving\n");
  await checked(capture);
  await net.close();
});
