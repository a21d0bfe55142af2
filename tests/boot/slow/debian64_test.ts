/**
 * 64-bit Debian from its disk: systemd to a login on the serial port without a
 * unit that failed, and a power-off.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";
import { DebianError, ensureDebian } from "../debian.ts";
import { PATIENCE } from "../guest.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));

let disk: string | undefined;
let why = "";
try {
  disk = await ensureDebian("amd64");
} catch (error) {
  if (!(error instanceof DebianError)) throw error;
  why = ` (skipped: ${error.message})`;
}

Deno.test({
  name: `64-bit Debian's disk boots to a login${why}`,
  ignore: disk === undefined,
  async fn() {
    const image = await Deno.makeTempFile({ suffix: ".img" });
    try {
      await Deno.copyFile(disk!, image);
      await using machine = await Machine.load(PC, {
        memory: "512M",
        cpu: "x86-64",
        drives: [{ file: image, format: "raw", if: "virtio" }],
      });
      const serial = machine.serial(0);
      await serial.expect(/rhea login: $/, PATIENCE);
      await serial.write("root\n");
      await serial.expect("Password:", PATIENCE);
      await serial.write("rhea\n");
      await serial.expect(/# $/, PATIENCE);
      await serial.write("uname -m; systemctl --failed --plain --no-legend\n");
      const answer = await serial.expect(/root@rhea:~# $/, PATIENCE);
      // deno-lint-ignore no-control-regex
      assertMatch(answer, /no-legend\r\n(?:\x1b\[\?2004l\r)?x86_64\r\n/);
      assertEquals(/\.(?:service|mount|socket|timer)/.exec(answer), null);
      await serial.write("poweroff\n");
      const { reason, status } = await machine.wait();
      assertEquals({ reason, status }, { reason: "poweroff", status: 0 });
    } finally {
      await Deno.remove(image);
    }
  },
});
