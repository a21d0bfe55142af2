/**
 * Linux with its drivers of keyboard and mouse, and a VNC viewer before it.
 *
 * @module
 */

import { assertMatch } from "@std/assert";
import { Machine, type SerialPort } from "../../mod.ts";
import { freePort } from "../vnc/free_port.ts";
import { WireViewer } from "../vnc/wire_viewer.ts";
import { PC } from "./firmware.ts";
import { boot, PATIENCE, withScript } from "./guest.ts";
import { kernelModules } from "./modules.ts";

/** Leaves the shell in `/root` when `$list` has both devices. */
const FIND_DEVICES = `mkdir -p /sys
mount -t sysfs none /sys
mount -t devtmpfs none /dev
dmesg -n 1
cd /root
list=/proc/bus/input/devices
for i in $(seq 1 300); do grep -q ImEx $list && break; sleep 0.1; done
cat $list
`;

/** A shell's command for the name in `/dev/input` of the device with this. */
export function eventNode(name: string): string {
  return `$(grep -A 5 '${name}' $list | grep -o 'event[0-9]*')`;
}

/** A shell's loop that prints Linux's input events, a line each. */
export const PRINT_EVENTS = `while dd bs=16 count=1 2>/dev/null |
  hexdump -v -e '"event" 2/4 " %u" 2/2 " %u" 1/4 " %d" "\\n"'; do :; done`;

/** What a test of input has. */
export interface InputGuest {
  /** Linux's console. */
  readonly serial: SerialPort;
  /** What the script printed up to `ready`, behind the list of devices. */
  readonly found: string;
  /** Shows the machine's screen; closed at the end. */
  readonly viewer: WireViewer;
}

/**
 * A test in which Linux runs a script when it has found keyboard and mouse;
 * the script says `ready`, and does not end.
 */
export function inputTest(
  name: string,
  script: string,
  test: (guest: InputGuest) => Promise<void>,
): void {
  boot(name, async ({ kernel }) => {
    const modules = await kernelModules(kernel, ["psmouse", "evdev"]);
    if (typeof modules === "string") {
      console.log(`skipped: ${modules}`);
      return;
    }
    const port = freePort();
    const session = modules.script + FIND_DEVICES + script;
    await withScript(session, async (initrd) => {
      await using machine = await Machine.load(PC, {
        kernel,
        initrd,
        append: "console=ttyS0",
        memory: "128M",
        display: `vnc=127.0.0.1::${port}`,
      });
      const serial = machine.serial(0);
      const found = await serial.expect(/^ready\r\n/m, PATIENCE);
      assertMatch(found, /^N: Name="ImExPS\/2 Generic Explorer Mouse"\r$/m);
      assertMatch(found, /^N: Name="AT Translated Set 2 keyboard"\r$/m);
      const viewer = await WireViewer.begin(port);
      await test({ serial, found, viewer });
      viewer.close();
    }, modules.entries);
  });
}
