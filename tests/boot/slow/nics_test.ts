/**
 * Two Rhea processes with a Linux each, joined by `--nic socket`: they ping each
 * other and one sends the other a stream of TCP; `tcpdump` finds both in the
 * capture. With each card that a PC has.
 *
 * There is no firmware: Linux gives the card its place and its interrupt.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { run, withFolder } from "../../block/oracle.ts";
import { boot, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const ROOT = fromFileUrl(new URL("../../..", import.meta.url));
const PC = join(ROOT, "machines/pc.json");
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

/** A Rhea process; gives back all that its guest has printed. */
async function rhea(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-P=net", "mod.ts", PC, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  assertEquals(code, 0, text.decode(stderr));
  return text.decode(stdout).replaceAll("\r\n", "\n");
}

for (const [model, names] of Object.entries(MODELS)) {
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
        const text = Array.from({ length: NUMBERS }, (_, i) => `${i + 1}\n`);
        const digest = await crypto.subtle.digest(
          "SHA-256",
          new TextEncoder().encode(text.join("")),
        );
        const sum = new Uint8Array(digest).toHex();
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
