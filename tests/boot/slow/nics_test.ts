/**
 * The line `--nic`, in processes of their own and with each card that a PC has,
 * and that of the microvm: Linux gets an address in the network `user`, finds
 * the host by name, exchanges a gigabyte each way with it and is reached by many
 * at once, and tshark reads the capture; two that are joined by `socket` ping
 * each other and one sends the other a stream of TCP; `tcpdump` finds that in
 * the capture. And one that has a card of each kind, all at one `hub`, does the
 * same from card to card.
 *
 * There is no firmware: Linux gives the card its place and its interrupt.
 */

import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { directory, file } from "../../../core/cli/cpio.ts";
import type { GuestFiles } from "../../../core/cli/guest.ts";
import { run, withFolder } from "../../block/oracle.ts";
import { boot, withScript } from "../guest.ts";
import { mmioSlots } from "../mmio_slots.ts";
import { kernelModules, type Modules } from "../modules.ts";
import { BAD, has, tsharkFile, WRONG } from "../../net/judge.ts";
import { sha256 } from "../net_peer.ts";
import { StreamHost } from "../stream_host.ts";
import { freePort } from "../../vnc/free_port.ts";

const ROOT = fromFileUrl(new URL("../../..", import.meta.url));
const PC = join(ROOT, "machines/pc.json");
const MICROVM = join(ROOT, "machines/microvm.json");
const NUMBERS = 300_000;
/** Fetches at once from a server in the guest. */
const FETCHES = 50;
/** Blocks of 1 MiB each way that a capture has. */
const CAPTURED_BLOCKS = 16;

/** Models of cards, and the kernel modules that drive them. */
const MODELS = {
  e1000: ["e1000"],
  virtio: ["virtio_pci", "virtio_net"],
  ne2k_pci: ["ne2k_pci"],
} as const;

/**
 * A filter of acknowledgements of what the capture does not have. What is only
 * not there the guest's own queue has dropped.
 */
const LOST = "tcp.analysis.ack_lost_segment";
/** Blocks of 1 MiB each way that are a lot for a card. */
const LARGE_BLOCKS = 1000;

/** What both guests do first. */
const common = (address: string): string =>
  `mkdir -p /sys
mount -t sysfs none /sys
dmesg -n 1
ip addr add ${address}/24 dev eth0
ip link set eth0 up
`;

/** The guest that is there to be found. */
const SERVER = `${common("10.0.0.1")}
echo sum $(nc -l -p 9 | sha256sum)
# The other one may not have heard everything yet.
while ping -c 1 -W 2 10.0.0.2 > /dev/null; do sleep 1; done
echo the end
poweroff -f
sleep 1000`;

/** The guest that looks for it. */
const CLIENT = `${common("10.0.0.2")}
until ping -c 1 -W 1 10.0.0.1 > /dev/null; do :; done
ping -c 5 10.0.0.1 | grep received
ping -c 2 -s 4000 10.0.0.1 | grep received
until seq 1 ${NUMBERS} | nc 10.0.0.1 9; do sleep 1; done
echo the end
poweroff -f
sleep 1000`;

/** The guest with three cards, each in a network namespace of its own. */
const THREE = `mkdir -p /sys
mount -t sysfs none /sys
dmesg -n 1
at() {
  n=$1
  shift
  if [ $n = 1 ]; then "$@"; else nsenter -t $(cat /pid$n) -n "$@"; fi
}
for n in 1 2 3; do
  for card in /sys/class/net/*; do
    [ $(cat $card/address) = 52:54:00:12:34:0$n ] || continue
    name=$(basename $card)
    echo card $n $(basename $(readlink $card/device/driver))
    if [ $n != 1 ]; then
      unshare -n sleep 100000 &
      echo $! > /pid$n
      until [ $(readlink /proc/$!/ns/net) != $(readlink /proc/1/ns/net) ]; do :; done
      ip link set $name netns $!
    fi
    at $n ip addr add 10.0.0.$n/24 dev $name
    at $n ip link set $name up
  done
done
for pair in 1:2 2:3 3:1; do
  a=\${pair%:*} b=\${pair#*:}
  until at $a ping -c 1 -W 1 10.0.0.$b > /dev/null; do :; done
  at $a ping -c 3 10.0.0.$b | grep received
  at $a ping -c 3 -s 4000 10.0.0.$b | grep received
  at $b nc -l -p 9 < /dev/console | sha256sum > /sum &
  until seq 1 ${NUMBERS} | at $a nc 10.0.0.$b 9; do sleep 1; done
  wait $!
  echo sum $(cat /sum)
done
echo the end
poweroff -f
sleep 1000`;

/** What udhcpc calls when it has an address. */
const LEASE = `#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip addr add $ip/24 dev $interface
ip route add default via $router
echo nameserver $dns > /etc/resolv.conf
echo lease $ip $router $dns
`;

/** A name that this host has for its loopback address; undefined without one. */
const name = await Deno.resolveDns(Deno.hostname(), "A").then(
  ([address]) => address?.startsWith("127.") ? Deno.hostname() : undefined,
  () => undefined,
);

/** The guest that the network gives an address. */
const user = (host: StreamHost): string =>
  `mkdir -p /sys /www
mount -t sysfs none /sys
dmesg -n 1
ip link set eth0 up
udhcpc -i eth0 -n -q -s /lease
ping -c 3 10.0.2.2 | grep received
nslookup ${name ?? "localhost"}. | tail -n +3
cd /www
wget -q -O block http://10.0.2.2:${host.port}/block
httpd -p 80 -h /www
wget -q -O - http://${name ?? "10.0.2.2"}:${host.port}/stream | sha256sum
{ ${host.script}
} | nc 10.0.2.2 ${host.uploadPort} > sum
echo uploaded $(cat sum)
for name in rx_errors rx_dropped tx_errors tx_dropped collisions; do
  echo count $name $(cat /sys/class/net/eth0/statistics/$name)
done
echo $(cat /sys/class/net/eth0/address) greets | nc -l -p 22
# Until all is fetched.
nc -l -p 23
echo the end
poweroff -f
sleep 1000`;

/** A Rhea process; gives back all that its guest has printed. */
async function rhea(machine: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-P=net", "mod.ts", machine, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  assertEquals(code, 0, text.decode(stderr));
  return text.decode(stdout).replaceAll("\r\n", "\n");
}

/** The first line that a server at a port of this host says. */
async function lineFrom(port: number, isOver: () => boolean): Promise<string> {
  while (!isOver()) {
    try {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const text = await new Response(connection.readable).text();
      if (text !== "") return text.trimEnd();
    } catch (error) {
      // Nobody is there yet, or the guest is not.
      if (!(error instanceof Deno.errors.ConnectionRefused)) {
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      }
    }
    await new Promise((next) => setTimeout(next, 500));
  }
  return "";
}

/** The lines that `seq` makes. */
function numbers(): Uint8Array<ArrayBuffer> {
  const text = Array.from({ length: NUMBERS }, (_, i) => `${i + 1}\n`);
  return new TextEncoder().encode(text.join(""));
}

/** A driver, or the reason why there is none. */
type Driver = Modules | string;

/** A card of a machine. */
interface Card {
  readonly machine: string;
  readonly model: string;
  /** What a kernel drives it with. */
  readonly driver: (kernel: string) => Promise<Driver>;
}

/** What a kernel needs to find virtio over MMIO, and its card there. */
async function mmioDriver(kernel: string): Promise<Driver> {
  const slots = await mmioSlots(kernel);
  const modules = await kernelModules(kernel, ["virtio_mmio", "virtio_net"]);
  if (typeof slots === "string") return slots;
  if (typeof modules === "string") return modules;
  return {
    script: `${slots.script}${modules.script}`,
    entries: [...modules.entries, slots.entry],
  };
}

/** Fetch what a server at a port of this host has; gives back its SHA-256. */
async function fetched(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/block`);
  return await sha256(await response.bytes());
}

/** Boot a guest in the network user, and talk with it. */
async function inUserNet(
  { kernel }: GuestFiles,
  { machine, model, driver }: Card,
  blocks: number,
  ...more: string[]
): Promise<void> {
  const modules = await driver(kernel);
  if (typeof modules === "string") {
    console.log(`skipped: ${modules}`);
    return;
  }
  using host = new StreamHost(blocks);
  const [greeter, end, http] = [freePort(), freePort(), freePort()];
  const forwards = [[greeter, 22], [end, 23], [http, 80]]
    .map(([port, to]) => `hostfwd=tcp:127.0.0.1:${port}-:${to}`);
  await withScript(
    `${modules.script}${user(host)}`,
    async (initrd) => {
      let over = false;
      const running = rhea(
        machine,
        ...["--kernel", kernel, "--initrd", initrd],
        ...["--append", "console=ttyS0"],
        ...["--nic", `user,${forwards.join(",")},model=${model}`, ...more],
      ).finally(() => over = true);
      const greeting = await lineFrom(greeter, () => over);
      if (over) throw new Error(`the guest ended: ${await running}`);
      const start = performance.now();
      const sums = await Promise.all(
        Array.from({ length: FETCHES }, () => fetched(http)),
      );
      const seconds = (performance.now() - start) / 1000;
      (await Deno.connect({ hostname: "127.0.0.1", port: end })).close();
      const output = await running;
      assertEquals(greeting, "52:54:00:12:34:56 greets");
      assertMatch(output, /^lease 10\.0\.2\.15 10\.0\.2\.2 10\.0\.2\.3$/m);
      assertMatch(output, /^3 packets transmitted, 3 packets received/m);
      if (name === undefined) console.log("no names: the host has none");
      else assertMatch(output, /^Name:.*\n+Address: 10\.0\.2\.2$/m);
      assertMatch(output, new RegExp(`^${host.sum} +-$`, "m"));
      assertMatch(output, new RegExp(`^uploaded ${host.sum}$`, "m"));
      assertEquals(sums, Array(FETCHES).fill(host.blockSum));
      const counts = [...output.matchAll(/^count (\w+) (\d+)$/gm)];
      assertEquals(counts.map(([, , count]) => count), Array(5).fill("0"));
      assertEquals(host.errors, []);
      for (const { what, bytes, seconds } of host.passages) {
        const speed = bytes / seconds / 1e6;
        console.log(
          `${model}: ${what} of ${bytes} bytes in ${seconds.toFixed(1)} s, ` +
            `${speed.toFixed(1)} MB/s`,
        );
      }
      console.log(
        `${model}: ${FETCHES} fetches of 1 MiB at once in ` +
          `${seconds.toFixed(1)} s`,
      );
    },
    [...modules.entries, file("lease", LEASE, 0o755), directory("etc")],
  );
}

boot(
  "Linux in the network user, by virtio over MMIO",
  (guest) =>
    inUserNet(
      guest,
      { machine: MICROVM, model: "virtio", driver: mmioDriver },
      CAPTURED_BLOCKS,
    ),
);

for (const [model, names] of Object.entries(MODELS)) {
  const card: Card = {
    machine: PC,
    model,
    driver: (kernel) => kernelModules(kernel, names),
  };
  boot(
    `Linux in the network user, by ${model}`,
    (guest) =>
      withFolder(async (folder) => {
        const pcap = join(folder, "a.pcap");
        await inUserNet(guest, card, CAPTURED_BLOCKS, "--pcap", pcap);
        if (!await has("tshark")) {
          return console.log("no tshark: the capture is not read");
        }
        // Cards with offloads leave sums to the network.
        const summed = model === "ne2k_pci";
        for (const filter of [summed ? BAD : WRONG, LOST]) {
          const frames = await tsharkFile(pcap, filter, [], summed);
          assertEquals(frames, [], filter);
        }
        for (const filter of ["dhcp", "icmp", "dns", "http"]) {
          const frames = await tsharkFile(pcap, filter, ["frame.number"]);
          assertNotEquals(frames, [], filter);
        }
      }),
  );

  boot(
    `a gigabyte from the host and one to it, by ${model}`,
    (guest) => inUserNet(guest, card, LARGE_BLOCKS),
  );

  boot(
    `two Linux guests in processes of their own, by ${model}`,
    ({ kernel }) =>
      withFolder(async (folder) => {
        const modules = await kernelModules(kernel, names);
        if (typeof modules === "string") {
          console.log(`skipped: ${modules}`);
          return;
        }
        const unix = join(folder, "link");
        const pcap = join(folder, "a.pcap");
        const start = (script: string, ...args: string[]): Promise<string> =>
          withScript(
            `${modules.script}${script}`,
            (initrd) =>
              rhea(
                PC,
                ...["--kernel", kernel, "--initrd", initrd],
                ...["--append", "console=ttyS0", ...args],
              ),
            modules.entries,
          );
        const nic = `socket,unix=${unix},model=${model}`;
        const [server, client] = await Promise.all([
          start(SERVER, "--nic", `${nic},server`, "--pcap", pcap),
          start(CLIENT, "--nic", `${nic},mac=52:54:00:12:34:57`),
        ]);
        const loss = client.match(/^\d+ packets.*$/gm) ?? [];
        assertEquals(loss.map((line) => /(\d+)%/.exec(line)?.[1]), ["0", "0"]);
        const sum = await sha256(numbers());
        assertMatch(server, new RegExp(`^sum ${sum} -$`, "m"));
        const { code, out } = await run(
          "tcpdump",
          "-r",
          pcap,
          "-n",
          "icmp or tcp",
        )
          .catch(() => ({ code: -1, out: "" }));
        if (code === -1) {
          return console.log("no tcpdump: the capture is not read");
        }
        assertEquals(code, 0);
        assertMatch(out, /IP 10\.0\.0\.2 > 10\.0\.0\.1: ICMP echo request/);
        assertMatch(out, /IP 10\.0\.0\.1 > 10\.0\.0\.2: ICMP echo reply/);
        assertMatch(out, /IP 10\.0\.0\.2\.\d+ > 10\.0\.0\.1\.9: Flags \[S\]/);
      }),
  );
}

boot("Linux with a card of each kind at one hub", async ({ kernel }) => {
  const models = Object.keys(MODELS);
  const modules = await kernelModules(kernel, Object.values(MODELS).flat());
  if (typeof modules === "string") {
    console.log(`skipped: ${modules}`);
    return;
  }
  const cards = models.map((model, i) =>
    `hub,model=${model},mac=52:54:00:12:34:0${i + 1}`
  );
  const output = await withScript(
    `${modules.script}${THREE}`,
    (initrd) =>
      rhea(
        PC,
        ...["--kernel", kernel, "--initrd", initrd],
        ...["--append", "console=ttyS0"],
        ...cards.flatMap((card) => ["--nic", card]),
      ),
    modules.entries,
  );
  assertEquals(output.match(/^card .*$/gm), [
    ...["card 1 e1000", "card 2 virtio_net", "card 3 ne2k-pci"],
  ]);
  const loss = output.match(/^\d+ packets.*$/gm) ?? [];
  assertEquals(
    loss.map((line) => /(\d+)%/.exec(line)?.[1]),
    Array(6).fill("0"),
  );
  const sum = await sha256(numbers());
  assertEquals(
    output.match(/^sum .*$/gm),
    Array(3).fill(`sum ${sum} -`),
  );
});
