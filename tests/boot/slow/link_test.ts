/** A monitor pulls the cable of a card out and puts it in: Linux sees it. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { parseNic } from "../../../core/machine/nics.ts";
import { Machine } from "../../../mod.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));

/** Says when the carrier has come or gone, and the kernel has told all of it: up to a second later. */
const SESSION = `mkdir -p /sys
mount -t sysfs none /sys
dmesg -n 1
ip link set eth0 up
of_card() { cat /sys/class/net/eth0/$1; }
wait_for() {
  while [ "$(of_card carrier) $(of_card operstate)" != "$1 $2" ]; do
    sleep 0.1
  done
  echo "carrier $1 $2"
}
wait_for 1 up
wait_for 0 down
wait_for 1 up
poweroff -f
sleep 1000`;

for (
  const [model, module] of [
    ["e1000", "e1000"],
    ["virtio", "virtio_net"],
  ] as const
) {
  boot(`set_link: Linux sees the cable of ${model}`, async ({ kernel }) => {
    const modules = await kernelModules(
      kernel,
      model === "virtio" ? ["virtio_pci", module] : [module],
    );
    if (typeof modules === "string") throw new Error(modules);
    const script = `${modules.script}${SESSION}`;
    await withScript(script, async (initrd) => {
      await using machine = await Machine.load(PC, {
        kernel,
        initrd,
        append: "console=ttyS0 ipv6.disable=1",
        memory: "128M",
        nics: [parseNic(`user,model=${model}`)],
      });
      machine.start();
      const monitor = await machine.monitor();
      const serial = machine.serial(0);
      const { name } = machine.plan.devices.find(({ name }) =>
        machine.device(name).cable === true
      )!;
      await serial.expect("carrier 1 up\r\n", PATIENCE);
      assertEquals(await monitor.run(`set_link ${name} off`), "");
      await serial.expect("carrier 0 down\r\n", PATIENCE);
      assertEquals(await monitor.run(`set_link ${name} on`), "");
      await serial.expect("carrier 1 up\r\n", PATIENCE);
    }, modules.entries);
  });
}
