/**
 * Linux on each network card, with a peer in this process: it pings, with
 * fragments, too, gets a file by UDP and by TCP and sends one back, and its
 * statistics agree with what the peer saw.
 *
 * There is no firmware: Linux places the card, and routes its pin by ACPI.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { MemoryNet } from "../../../core/backend/memory_net.ts";
import type { NetPlugin } from "../../../core/machine/plugin.ts";
import { PLUGINS } from "../../../machines/registry.ts";
import { Machine } from "../../../mod.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";
import { NetPeer, pattern, PEER, sha256 } from "../net_peer.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const SLOT = 3;
const FILE_BYTES = 1_000_000;
const MAC = "52:54:00:12:34:56";

/** What the guest does once the driver is loaded. */
const SESSION = `mkdir -p /sys /tmp
mount -t sysfs none /sys
dmesg -n 1
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
i=0
while [ "$(cat /sys/class/net/eth0/carrier)" != 1 ] && [ $i -lt 100 ]; do
  sleep 0.1; i=$((i + 1))
done
ip addr show dev eth0
ping -c 3 ${PEER}
ping -c 3 -s 1400 ${PEER}
ping -c 3 -s 4000 ${PEER}
cd /tmp
tftp -g -r ${FILE_BYTES} -l udp ${PEER}
sha256sum udp
wget -q -O tcp http://${PEER}/${FILE_BYTES}
sha256sum tcp
# Long writes, and no byte that ends wget's text.
base64 tcp > text
wget -q -O - --post-file text http://${PEER}/
echo sent $(sha256sum text)
sleep 1
ip link set eth0 down
cd /sys/class/net/eth0/statistics
for name in *; do echo "count $name $(cat $name)"; done
grep eth0 /proc/interrupts
echo the end
poweroff -f
sleep 1000`;

/** The plugin of this one network. */
function pluginOf(net: MemoryNet): NetPlugin {
  return {
    type: "net",
    name: "memory",
    version: "1.0.0",
    create: () => net,
  };
}

for (
  const [card, module, offload] of [
    ["e1000", "e1000", false],
    ["e1000", "e1000", true],
    ["ne2k-pci", "ne2k_pci", false],
  ] as const
) {
  const how = offload ? ", sums and segments left to the network" : "";
  boot(`net: Linux on ${card} with a peer${how}`, async ({ kernel }) => {
    const modules = await kernelModules(kernel, [module]);
    if (typeof modules === "string") throw new Error(modules);
    const file = pattern(FILE_BYTES);
    const net = new MemoryNet({ offload });
    const peer = new NetPeer(net, false);
    const device = {
      plugin: card,
      config: { slot: SLOT },
      use: { bus: "pci" },
      backends: { net: "net0" },
    };
    const script = `${modules.script}${SESSION}`;
    const output = await withScript(script, async (initrd) => {
      await using machine = await Machine.load(PC, {
        kernel,
        initrd,
        append: "console=ttyS0 ipv6.disable=1",
        memory: "128M",
        plugins: {
          ...PLUGINS,
          net: {
            ...PLUGINS.net,
            "test-memory": () => Promise.resolve({ default: pluginOf(net) }),
          },
        },
        set: [
          `backends.net0=${JSON.stringify({ plugin: "test-memory" })}`,
          `devices.net0=${JSON.stringify(device)}`,
        ],
      });
      await machine.serial(0).expect(/^the end\r\n/m, PATIENCE);
      return machine.serial(0).output.replaceAll("\r\n", "\n");
    }, modules.entries);

    assert(output.includes(`link/ether ${MAC} `), output);
    assertMatch(output, /inet 10\.0\.2\.15\/24/);
    const pings = output.match(/3 packets transmitted, 3 packets received/g);
    assertEquals(pings?.length, 3, output);
    const hash = await sha256(file);
    assert(output.includes(`${hash}  udp\n`), output);
    assert(output.includes(`${hash}  tcp\n`), output);
    assertEquals(peer.errors, []);
    const [, text] = /^sent (\w+) /m.exec(output) ?? [];
    assertEquals(await Promise.all(peer.received.map(sha256)), [text]);
    const counts: Record<string, number> = {};
    for (const [, name, value] of output.matchAll(/^count (\w+) (\d+)$/gm)) {
      counts[name] = Number(value);
    }
    const { rx_packets, rx_bytes, tx_packets, tx_bytes, ...others } = counts;
    assertEquals(
      { packets: rx_packets, bytes: rx_bytes },
      peer.toGuest,
      "what the guest received is what the peer sent",
    );
    assertEquals({ packets: tx_packets, bytes: tx_bytes }, peer.fromGuest);
    const wrong = Object.entries(others).filter(([, value]) => value !== 0);
    assertEquals(wrong, [], "neither errors nor losses");
    assertEquals(offload, peer.large.tcp4 > 0, "segments");
  });
}
