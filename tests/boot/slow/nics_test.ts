/**
 * The line `--nic`, in processes of their own and with each card that a PC has,
 * and that of the microvm:
 * Linux gets an address in the network `user`, reaches the host and is reached;
 * two that are joined by `socket` ping each other and one sends the other a
 * stream of TCP; `tcpdump` finds that in the capture. And one that has a card of
 * each kind, all at one `hub`, does the same from card to card.
 *
 * There is no firmware: Linux gives the card its place and its interrupt.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { file } from "../../../core/cli/cpio.ts";
import { run, withFolder } from "../../block/oracle.ts";
import { boot, withScript } from "../guest.ts";
import { mmioSlots } from "../mmio_slots.ts";
import { kernelModules, type Modules } from "../modules.ts";

const ROOT = fromFileUrl(new URL("../../..", import.meta.url));
const PC = join(ROOT, "machines/pc.json");
const MICROVM = join(ROOT, "machines/microvm.json");
const NUMBERS = 300_000;

/** Models of cards, and the kernel modules that drive them. */
const MODELS = {
  e1000: ["e1000"],
  virtio: ["virtio_pci", "virtio_net"],
  ne2k_pci: ["ne2k_pci"],
} as const;

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
echo lease $ip $router $dns
`;

/** The guest that the network gives an address. */
const user = (port: number): string =>
  `mkdir -p /sys
mount -t sysfs none /sys
dmesg -n 1
ip link set eth0 up
udhcpc -i eth0 -n -q -s /lease
ping -c 3 10.0.2.2 | grep received
wget -q -O - http://10.0.2.2:${port}/ | sha256sum
echo $(cat /sys/class/net/eth0/address) greets | nc -l -p 22
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

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** A driver, or the reason why there is none. */
type Driver = Modules | string;

/** Linux in the network `user`, on a machine's card. */
function inNetworkUser(
  name: string,
  machine: string,
  model: string,
  driverOf: (kernel: string) => Promise<Driver>,
): void {
  boot(name, async ({ kernel }) => {
    const modules = await driverOf(kernel);
    if (typeof modules === "string") {
      console.log(`skipped: ${modules}`);
      return;
    }
    const bytes = crypto.getRandomValues(new Uint8Array(65536));
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response(bytes),
    );
    // A port that nobody has.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const forward = `hostfwd=tcp:127.0.0.1:${port}-:22`;
    await withScript(
      `${modules.script}${user(server.addr.port)}`,
      async (initrd) => {
        let over = false;
        const running = rhea(
          machine,
          ...["--kernel", kernel, "--initrd", initrd],
          ...["--append", "console=ttyS0"],
          ...["--nic", `user,${forward},model=${model}`],
        ).finally(() => over = true);
        const greeting = await lineFrom(port, () => over);
        const output = await running;
        assertEquals(greeting, "52:54:00:12:34:56 greets");
        assertMatch(output, /^lease 10\.0\.2\.15 10\.0\.2\.2 10\.0\.2\.3$/m);
        assertMatch(output, /^3 packets transmitted, 3 packets received/m);
        assertMatch(output, new RegExp(`^${await sha256(bytes)} +-$`, "m"));
      },
      [...modules.entries, file("lease", LEASE, 0o755)],
    );
  });
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

inNetworkUser(
  "Linux in the network user, by virtio over MMIO",
  MICROVM,
  "virtio",
  mmioDriver,
);

for (const [model, names] of Object.entries(MODELS)) {
  inNetworkUser(
    `Linux in the network user, by ${model}`,
    PC,
    model,
    (kernel) => kernelModules(kernel, names),
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
