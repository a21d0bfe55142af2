/**
 * Linux on a virtio network card, over PCI by the modern and by the legacy
 * interface and over MMIO, on a network in memory with another host on it: ping
 * over IPv4, IPv6 and a VLAN, TFTP in both directions, HTTP and uploads with
 * large segments, which are cut by the other side or by the card.
 *
 * There is no firmware: what it would do for interrupts the test does.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { MemoryNet } from "../../../core/backend/memory_net.ts";
import { PLUGINS } from "../../../machines/registry.ts";
import { Machine, type MachineOptions } from "../../../mod.ts";
import { boot, PATIENCE, routePin, withScript } from "../guest.ts";
import { mmioSlots } from "../mmio_slots.ts";
import { kernelModules } from "../modules.ts";
import { NetPeer, pattern, sha256 } from "../net_peer.ts";
import { QEMU, qemuOutput } from "../../qemu.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const MICROVM = fromFileUrl(
  new URL("../../../machines/microvm.json", import.meta.url),
);
const LIMIT_MS = 600_000;
const SLOT = 4;
const IRQ = 11;
const MAC = "52:54:00:aa:bb:cc";
const DOWNLOAD = 8_000_000;
const FILE = 20_000;
const NUMBERS = 400_000;

/** Feature bits that QEMU's card has on a network without offloads, too. */
const BITS = [3, 5, 15, 16, 17, 18, 19, 21, 23, 28, 29, 32, 63];

const END = `echo the end
poweroff -f
sleep 1000`;

/** What the driver finds. */
const FOUND = `mkdir -p /sys
mount -t sysfs none /sys
dmesg -n 1
card=/sys/class/net/eth0
echo had $(cat $card/address) $(cat $card/mtu)
echo features $(cat /sys/bus/virtio/devices/virtio0/features)
[ ! -e /proc/bus/pci/00/04.0 ] ||
  echo config $(hexdump -v -n 64 -e '1/1 "%02x"' /proc/bus/pci/00/04.0)
`;

/** What the guest does once the drivers are loaded. */
const SESSION = `${FOUND}mount -t tmpfs none /root
cd /root
ip link set eth0 address ${MAC}
echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip addr add fd00::15/64 dev eth0
echo link $(cat $card/carrier) $(cat $card/speed) $(cat $card/duplex)
ping -c 3 10.0.2.2 | grep received
ping -c 1 -s 1472 10.0.2.2 | grep received
ping6 -c 2 fd00::2 | grep received
ip link add link eth0 name eth0.5 type vlan id 5
ip addr add 10.0.5.15/24 dev eth0.5
ip link set eth0.5 up
ping -c 2 10.0.5.2 | grep received
ip link set eth0.5 down
tftp -g -r ${FILE} -l got 10.0.2.2 && echo tftp $(sha256sum < got)
tftp -p -l got -r put 10.0.2.2 && echo put
for host in 10.0.2.2 '[fd00::2]'; do
  wget -q -O - http://$host/${DOWNLOAD} > got && echo http $(sha256sum < got)
done
seq 1 ${NUMBERS} > numbers
for host in 10.0.2.2 '[fd00::2]'; do
  wget -q -O - --post-file numbers http://$host/ && echo sent
done
echo lost $(cat $card/statistics/rx_dropped $card/statistics/tx_dropped \\
  $card/statistics/rx_errors $card/statistics/tx_errors)
grep virtio /proc/interrupts
${END}`;

/** Options with which a machine's backends may be this network. */
function on(net: MemoryNet, options: MachineOptions): MachineOptions {
  const plugin = {
    type: "net",
    name: "test",
    version: "1.0.0",
    create: () => net,
  } as const;
  return {
    ...options,
    append: "console=ttyS0",
    memory: "128M",
    plugins: {
      ...PLUGINS,
      net: { test: () => Promise.resolve({ default: plugin }) },
    },
    set: ['backends.net={"plugin":"test"}', ...options.set ?? []],
  };
}

/** Run the session; gives back what the guest printed. */
async function run(
  definition: string,
  options: MachineOptions,
  prepare: (machine: Machine) => void = () => {},
): Promise<string> {
  await using machine = await Machine.load(definition, options);
  prepare(machine);
  await machine.serial(0).expect(/^the end\r\n/m, PATIENCE);
  await machine.wait();
  return machine.serial(0).output.replaceAll("\r\n", "\n");
}

/** What the guest finds in QEMU; undefined where there is none. */
async function inQemu(
  kernel: string,
  initrd: string,
  legacy: boolean,
): Promise<string | undefined> {
  const text = await qemuOutput(
    [
      ...["-accel", "tcg", "-M", "pc", "-cpu", "pentium3", "-m", "128"],
      ...["-nodefaults", "-display", "none", "-serial", "stdio"],
      ...["-netdev", "hubport,hubid=0,id=n", "-device"],
      `virtio-net-pci,netdev=n,addr=${SLOT},romfile=,host_mtu=1500,` +
      `speed=10000,duplex=full,disable-legacy=${legacy ? "off" : "on"}`,
      ...["-kernel", kernel, "-initrd", initrd],
      ...["-append", "console=ttyS0"],
    ],
    LIMIT_MS,
    "the end\r\n",
  );
  return text?.replaceAll("\r\n", "\n");
}

/** What the guest says of the card, but for what depends on the machine. */
function told(output: string): string[] {
  const header = /^config ([0-9a-f]{128})$/m.exec(output)?.[1] ?? "";
  const bytes = (from: number, to: number): string =>
    header.slice(from * 2, to * 2);
  const features = /^features ([01]+)$/m.exec(output)?.[1] ?? "";
  return [
    /^had .*$/m.exec(output)?.[0] ?? "",
    BITS.map((bit) => features[bit]).join(""),
    // IDs, revision and class, header type, subsystem vendor, pin.
    bytes(0, 4),
    bytes(8, 12),
    bytes(14, 15),
    bytes(0x2c, 0x2e),
    bytes(0x3d, 0x3e),
  ];
}

async function check(output: string, peer: NetPeer): Promise<void> {
  assertEquals(peer.errors, []);
  assertMatch(output, /^had 52:54:00:12:34:56 1500$/m);
  const counts = output.match(/^\d+ packets.*$/gm) ?? [];
  assertEquals(counts.map((line) => /(\d+)%/.exec(line)?.[1]), [
    "0",
    "0",
    "0",
    "0",
  ]);
  const file = await sha256(pattern(FILE));
  assertMatch(output, new RegExp(`^tftp ${file} -\nput$`, "m"));
  assertEquals(peer.files, [pattern(FILE)]);
  const http = await sha256(pattern(DOWNLOAD));
  assertEquals(output.match(new RegExp(`^http ${http} -$`, "gm"))?.length, 2);
  const text = Array.from({ length: NUMBERS }, (_, i) => `${i + 1}\n`).join("");
  assertEquals(output.match(/^sent$/gm)?.length, 2);
  const numbers = await sha256(new TextEncoder().encode(text));
  const came = await Promise.all(peer.received.map(sha256));
  assertEquals(came, [numbers, numbers]);
  assertMatch(output, /^lost 0 0 0 0$/m);
}

for (
  const { way, offload } of [
    { way: "modern", offload: true },
    { way: "transitional", offload: false },
    { way: "legacy", offload: true },
  ] as const
) {
  const name = `${way}, ${offload ? "with" : "without"} offloads`;
  boot(`Linux on a virtio network, ${name}`, async ({ kernel }) => {
    const modules = await kernelModules(
      kernel,
      ["virtio_pci", "virtio_net", "8021q"],
    );
    if (typeof modules === "string") {
      console.log(`skipped: ${modules}`);
      return;
    }
    const driver = "insmod /modules/virtio_pci.ko";
    const script = way === "legacy"
      ? modules.script.replace(driver, `${driver} force_legacy=1`)
      : modules.script;
    const net = new MemoryNet({ offload });
    const peer = new NetPeer(net, offload);
    const device = {
      plugin: "virtio-net-pci",
      config: { slot: SLOT, msix: way === "modern", legacy: way !== "modern" },
      use: { bus: "pci" },
      backends: { net: "net" },
    };
    await withScript(`${script}${SESSION}`, async (initrd) => {
      const set = [`devices.nic=${JSON.stringify(device)}`];
      const options = on(net, { kernel, initrd, set });
      const output = await run(
        PC,
        options,
        (machine) => routePin(machine, SLOT, IRQ),
      );
      await check(output, peer);
      if (way === "modern") {
        assertMatch(output, /^ *\d+: +[1-9]\d+ +PCI-MSI +.*virtio0-input.0$/m);
      } else {
        assertMatch(output, /^ *11: +[1-9]\d+ +IO-APIC +.*virtio0$/m);
      }
      const { tcp4, tcp6, sent } = peer.large;
      assertEquals([tcp4 > 0, tcp6 > 0, sent > 0], [offload, offload, offload]);
      await withScript(`${script}${FOUND}${END}`, async (initrd) => {
        const theirs = await inQemu(kernel, initrd, way !== "modern");
        if (theirs === undefined) {
          console.log(`not compared: ${QEMU} is not installed`);
        } else {
          assertEquals(told(output), told(theirs));
        }
      }, modules.entries);
    }, modules.entries);
  });
}

boot("Linux on a virtio network, over MMIO", async ({ kernel }) => {
  const modules = await kernelModules(
    kernel,
    ["virtio_mmio", "virtio_net", "8021q"],
  );
  const slots = await mmioSlots(kernel);
  if (typeof modules === "string" || typeof slots === "string") {
    console.log(`skipped: ${typeof slots === "string" ? slots : modules}`);
    return;
  }
  const net = new MemoryNet({ offload: true });
  const peer = new NetPeer(net, true);
  const device = {
    plugin: "virtio-net-mmio",
    at: "0xfeb00400",
    wires: { irq: "pic.irq7" },
    backends: { net: "net" },
  };
  await withScript(
    `${slots.script}${modules.script}${SESSION}`,
    async (initrd) => {
      const set = [`devices.nic=${JSON.stringify(device)}`];
      const output = await run(MICROVM, on(net, { kernel, initrd, set }));
      await check(output, peer);
      assertMatch(output, /^ *7: +[1-9]\d+ +XT-PIC +virtio0$/m);
      assert(peer.large.tcp4 > 0 && peer.large.tcp6 > 0);
    },
    [...modules.entries, slots.entry],
  );
});
