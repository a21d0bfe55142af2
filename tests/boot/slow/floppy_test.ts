/**
 * Linux drives the floppy controller: it mounts a disk that mtools made, and
 * mtools read what it has written.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { file } from "../../../core/cli/cpio.ts";
import { boot, isapc, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const MODULES = ["floppy", "vfat", "nls_cp437", "nls_ascii"];
const FILE_BYTES = 300_000;

/** What FORMAT TRACK fills sectors with, as Linux wants it. */
const FILL = 0xf6;

/** Formats the disk in drive B track by track; static, of 32 bits. */
const FORMATTER = `
#include <fcntl.h>
#include <linux/fd.h>
#include <stdio.h>
#include <sys/ioctl.h>
int main(void) {
  int fd = open("/dev/fd1", O_WRONLY);
  struct floppy_struct disk;
  if (fd < 0 || ioctl(fd, FDGETPRM, &disk) || ioctl(fd, FDFMTBEG, 0)) return 1;
  for (unsigned i = 0; i < disk.track * disk.head; i++) {
    struct format_descr at = { 0, i % disk.head, i / disk.head };
    if (ioctl(fd, FDFMTTRK, &at)) return 2;
  }
  if (ioctl(fd, FDFMTEND, 0)) return 3;
  printf("formatted %u tracks of %u sectors\\n", disk.track, disk.sect);
  return 0;
}
`;

/** Reads a file and writes others; then formats. */
const SCRIPT = `dmesg -n 1
mknod /dev/fd0 b 2 0
mknod /dev/fd1 b 2 1
mkdir /mnt
mount -t vfat /dev/fd0 /mnt || echo "no mount"
sha256sum /mnt/random
mkdir /mnt/folder
seq 1 30000 > "/mnt/folder/a long name.txt"
cp /mnt/random /mnt/folder/copy
rm /mnt/random
umount /mnt
sha256sum /dev/fd0
mount -t vfat -o ro /dev/fd0 /mnt
sha256sum /mnt/folder/copy
umount /mnt
/formatter || echo "not formatted: $?"
dmesg | grep -i -e fd0 -e fdc -e floppy
echo the end
sleep 1000`;

async function run(command: string, ...args: string[]): Promise<Uint8Array> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args })
    .output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`${command}: ${text(stdout)}${text(stderr)}`);
  return stdout;
}

/** The tool that is missing, if one is. */
async function missingTool(): Promise<string | undefined> {
  for (const tool of ["mcopy", "fsck.fat", "gcc"]) {
    try {
      await new Deno.Command(tool, { args: ["--version"] }).output();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return tool;
    }
  }
  return undefined;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(
    new Uint8Array(digest),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}

boot(
  "slow: Linux reads and writes a floppy that mtools know",
  async (guest) => {
    const modules = await kernelModules(guest.kernel, MODULES);
    const missing = await missingTool();
    if (typeof modules === "string" || missing !== undefined) {
      const reason = missing === undefined ? modules : `there is no ${missing}`;
      console.log(`skipped: ${reason}`);
      return;
    }
    const folder = await Deno.makeTempDir();
    try {
      const image = join(folder, "floppy.img");
      const random = new Uint8Array(FILE_BYTES);
      for (let i = 0; i < FILE_BYTES; i += 60_000) {
        crypto.getRandomValues(random.subarray(i, i + 60_000));
      }
      await Deno.writeFile(join(folder, "random"), random);
      await run("mformat", "-C", "-f", "1440", "-i", image, "::");
      await run("mcopy", "-i", image, join(folder, "random"), "::random");
      const program = join(folder, "formatter");
      await Deno.writeTextFile(`${program}.c`, FORMATTER);
      await run("gcc", "-m32", "-static", "-o", program, `${program}.c`);
      // A disk of 720 KB, which the driver finds by trying the data rates.
      const other = join(folder, "other.img");
      await Deno.writeFile(other, new Uint8Array(720 * 1024).fill(0x11));
      const output = await withScript(
        modules.script + SCRIPT,
        async (initrd) => {
          await using machine = await isapc({
            kernel: guest.kernel,
            initrd,
            set: [
              `backends.floppy0={"plugin":"raw","config":{"file":"${image}"}}`,
              `backends.floppy1={"plugin":"raw","config":{"file":"${other}"}}`,
              'devices.floppy.backends={"drive0":"floppy0","drive1":"floppy1"}',
            ],
          });
          void machine.run();
          return await machine.serial(0).expect(/the end\r\n/, PATIENCE);
        },
        [
          ...modules.entries,
          file("formatter", await Deno.readFile(program), 0o755),
        ],
      );
      // What the kernel found, by the CMOS and by the controller's commands.
      assertMatch(output, /Floppy drive\(s\): fd0 is 1\.44M, fd1 is 1\.44M\r/);
      assertMatch(output, /FDC 0 is a post-1991 82077\r/);
      assertEquals(output.match(/I\/O error|timeout|no mount/g), null);
      const sum = await sha256(random);
      assertMatch(output, new RegExp(`${sum}  /mnt/random\r`));
      assertMatch(output, new RegExp(`${sum}  /mnt/folder/copy\r`));
      const disk = await Deno.readFile(image);
      assertMatch(output, new RegExp(`${await sha256(disk)}  /dev/fd0\r`));
      const copy = (name: string) => run("mcopy", "-i", image, name, "-");
      assertEquals(await copy("::folder/copy"), random);
      const lines = Array.from({ length: 30_000 }, (_, i) => `${i + 1}\n`);
      assertEquals(
        new TextDecoder().decode(await copy("::folder/a long name.txt")),
        lines.join(""),
      );
      await run("fsck.fat", "-n", image);
      assertMatch(output, /\nformatted 80 tracks of 9 sectors\r/);
      const formatted = new Uint8Array(720 * 1024).fill(FILL);
      assertEquals(await Deno.readFile(other), formatted);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
