/**
 * What libvirt 9.0's driver of QEMU sends to a machine, in its order, as it was
 * recorded between it and QEMU 7.2 (a domain with a disk, a disc and an e1000):
 * when the machine is started, for `virsh domstats`, `domiflist`, `suspend`,
 * `resume`, `send-key`, `change-media`, `domif-setlink`, `reset`, `shutdown`.
 * It gives a machine up that does not know one of these.
 */

import { assertEquals } from "@std/assert";
import { parseNic } from "../../core/machine/nics.ts";
import { Machine } from "../../machines/machine.ts";
import { QmpClient } from "./client.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
const CPU = "/machine/unattached/device[0]";

type Sent = readonly [name: string, args?: object];

const START: readonly Sent[] = [
  ["query-migrate-capabilities"],
  ["migrate-set-capabilities", {
    capabilities: [{ capability: "events", state: true }],
  }],
  ["query-chardev"],
  ["query-hotpluggable-cpus"],
  ["query-cpus-fast"],
  ["qom-list", { path: CPU }],
  ["qom-get", { path: CPU, property: "realized" }],
  ["qom-get", { path: CPU, property: "hotplugged" }],
  ["qom-get", { path: CPU, property: "hotpluggable" }],
  ["qom-get", { path: CPU, property: "unavailable-features" }],
  ["query-iothreads"],
  ["query-named-block-nodes", { flat: true }],
  ["qom-list", { path: "/machine/peripheral" }],
  ["query-block"],
  ["cont"],
];

const LATER = (drive: string, card: string, disc: string): Sent[] => [
  ["query-stats", {
    target: "vcpu",
    providers: [{
      provider: "kvm",
      names: ["halt_poll_success_ns", "halt_poll_fail_ns"],
    }],
  }],
  ["query-stats-schemas"],
  ["query-stats", { target: "vcpu" }],
  ["query-blockstats"],
  ["query-blockstats", { "query-nodes": true }],
  ["query-dirty-rate"],
  ["query-stats", { target: "vm" }],
  ["set_link", { name: card, up: false }],
  ["set_link", { name: card, up: true }],
  ["stop"],
  ["cont"],
  ["send-key", { keys: [{ type: "number", data: 30 }] }],
  ["blockdev-open-tray", { id: drive, force: false }],
  ["blockdev-remove-medium", { id: drive }],
  ["blockdev-add", {
    driver: "file",
    filename: disc,
    "node-name": "libvirt-3-storage",
    "auto-read-only": true,
    discard: "unmap",
  }],
  ["blockdev-add", {
    "node-name": "libvirt-3-format",
    "read-only": true,
    driver: "raw",
    file: "libvirt-3-storage",
  }],
  ["blockdev-insert-medium", { id: drive, "node-name": "libvirt-3-format" }],
  ["blockdev-close-tray", { id: drive }],
  ["blockdev-open-tray", { id: drive, force: false }],
  ["blockdev-remove-medium", { id: drive }],
  ["blockdev-del", { "node-name": "libvirt-3-format" }],
  ["blockdev-del", { "node-name": "libvirt-3-storage" }],
  ["blockdev-close-tray", { id: drive }],
  ["system_reset"],
  ["human-monitor-command", { "command-line": "info status" }],
  ["human-monitor-command", { "command-line": "info block" }],
  ["system_powerdown"],
];

Deno.test("QMP: what libvirt sends to a machine is answered", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const disc = `${folder}/disc`;
    await Deno.writeFile(disc, new Uint8Array(4096));
    await using machine = await Machine.load(PC, {
      firmware: "builtin",
      memory: "16M",
      cdrom: disc,
      nics: [parseNic("user,model=e1000")],
    });
    const path = `${folder}/qmp`;
    await machine.serveQmp(`unix:${path}`);
    machine.start();
    using client = await QmpClient.connect(path);
    const [drive] = [...machine.media.drives].find(([, { medium }]) =>
      medium !== undefined
    )!;
    const card = machine.plan.devices.find(({ name }) =>
      machine.device(name).cable === true
    )!.name;
    for (const [name, args] of [...START, ...LATER(drive, card, disc)]) {
      const { error } = await client.execute(name, args);
      assertEquals(error, undefined, `${name} ${JSON.stringify(args)}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
