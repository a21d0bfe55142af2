/**
 * Debian from its disk: firmware, GRUB, an ext4 root, systemd, a login on the
 * serial port and one on the screen, and a power-off that leaves it clean. The
 * built-in BIOS and SeaBIOS, IDE and virtio.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";
import { DebianError, ensureDebian, fsck, ROOT_OFFSET } from "../debian.ts";
import { PATIENCE } from "../guest.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const SEABIOS = "/usr/share/seabios/bios.bin";

let disk: string | undefined;
let reason = "";
try {
  disk = await ensureDebian();
} catch (error) {
  if (!(error instanceof DebianError)) throw error;
  reason = error.message;
}

async function isThere(file: string): Promise<boolean> {
  return await Deno.stat(file).then(() => true, () => false);
}

const CASES = [
  ["builtin", "ide", "sda"],
  ["builtin", "virtio", "vda"],
  [SEABIOS, "ide", "sda"],
  [SEABIOS, "virtio", "vda"],
] as const;

for (const [firmware, bus, device] of CASES) {
  const why = disk === undefined
    ? reason
    : firmware !== "builtin" && !await isThere(firmware)
    ? "seabios is not installed"
    : undefined;
  Deno.test({
    name: `Debian's disk on ${bus} boots to logins by ${
      firmware === "builtin" ? "the built-in BIOS" : "SeaBIOS"
    }${why === undefined ? "" : ` (skipped: ${why})`}`,
    ignore: why !== undefined,
    async fn() {
      const directory = await Deno.makeTempDir();
      try {
        const image = `${directory}/disk.img`;
        await Deno.copyFile(disk!, image);
        await using machine = await Machine.load(PC, {
          firmware,
          memory: "512M",
          drives: [{ file: image, format: "raw", if: bus }],
        });
        const serial = machine.serial(0);
        await serial.expect("rhea login: ", PATIENCE);
        const screen = machine.screen();
        await screen.expect(/^rhea login:/m, PATIENCE);
        await screen.type("root\n");
        await screen.expect("Password:", PATIENCE);
        await screen.type("rhea\n");
        await screen.expect(/root@rhea:~# *\n*$/, PATIENCE);
        await serial.write("root\n");
        await serial.expect("Password:", PATIENCE);
        await serial.write("rhea\n");
        await serial.expect(/# $/, PATIENCE);
        await serial.write("findmnt -no SOURCE,FSTYPE /; dmesg -l err,crit\n");
        const answer = await serial.expect(/root@rhea:~# $/, PATIENCE);
        assertMatch(answer, new RegExp(`/dev/${device}1 +ext4\r`));
        await serial.write("echo written > /root/file; poweroff\n");
        const { reason, status } = await machine.wait();
        assertEquals({ reason, status }, { reason: "poweroff", status: 0 });
        await machine.stop();
        const { code, text } = await fsck(image);
        assertEquals(code, 0, text);
        const { stdout } = await new Deno.Command("debugfs", {
          args: ["-R", "cat /root/file", `${image}?offset=${ROOT_OFFSET}`],
        }).output();
        assertEquals(new TextDecoder().decode(stdout), "written\n");
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}
