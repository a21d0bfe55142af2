/**
 * Linux on the IDE of `machines/pc.json`: it finds both channels with DMA,
 * reads a CD-ROM that is changed under way, and writes to a disk whose file
 * system the host finds clean and whole afterwards.
 */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine } from "../../../mod.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const IMAGE_BYTES = 48 << 20;
const NUMBERS = Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`)
  .join("");
const COPIES = 8;

async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(
    new Uint8Array(digest),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** What a program of the host prints; throws when it fails. */
async function must(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(success ? stdout : stderr);
  if (!success) throw new Error(`${program}: ${text}`);
  return text;
}

/** An empty disk but for `numbers`, and two discs with it and a name. */
async function makeImages(
  folder: string,
  type: string,
): Promise<{ disk: string; discs: readonly string[] }> {
  const files = join(folder, "files");
  await Deno.mkdir(files);
  await Deno.writeTextFile(join(files, "numbers"), NUMBERS);
  const disk = join(folder, "disk.img");
  await Deno.writeFile(disk, new Uint8Array(0));
  await Deno.truncate(disk, IMAGE_BYTES);
  await must("mke2fs", "-q", "-t", type, "-d", files, disk);
  const discs: string[] = [];
  for (const name of ["one", "two"]) {
    const disc = join(folder, `${name}.iso`);
    await Deno.writeTextFile(join(files, "name"), `disc ${name}\n`);
    await must("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", disc, files);
    discs.push(disc);
  }
  return { disk, discs };
}

const READ_DISC = `mount -t iso9660 -o ro /dev/sr0 /cd
cat /cd/name
sha256sum < /cd/numbers
umount /cd
`;

/** What the guest does once the drivers are loaded. */
function session(type: string): string {
  return `mkdir -p /sys /mnt /cd
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while [ ! -e /dev/sr0 ] || [ ! -e /dev/sda ]; do sleep 0.1; done
dmesg -n 1
${READ_DISC}
echo change
read line
${READ_DISC}
mount -t ${type} /dev/sda /mnt
sha256sum < /mnt/numbers
mkdir /mnt/new
for i in $(seq 1 ${COPIES}); do cp /mnt/numbers /mnt/new/$i; done
sync
echo 3 > /proc/sys/vm/drop_caches
cat /mnt/new/* | sha256sum
rm /mnt/new/3
sync
fstrim -v /mnt
umount /mnt
dmesg
poweroff -f`;
}

async function useDisks(
  kernel: string,
  type: string,
  modules: Exclude<Awaited<ReturnType<typeof kernelModules>>, string>,
  folder: string,
): Promise<void> {
  const { disk, discs } = await makeImages(folder, type);
  const raw = (file: string, readOnly: boolean) => ({
    plugin: "raw",
    config: { file, readOnly },
  });
  const output = await withScript(
    `${modules.script}${session(type)}`,
    async (initrd) => {
      const machine = await Machine.load(PC, {
        kernel,
        initrd,
        append: "console=ttyS0",
        memory: "128M",
        set: [
          `backends.disk=${JSON.stringify(raw(disk, false))}`,
          `backends.cd=${JSON.stringify(raw(discs[0], true))}`,
          'devices.ide.backends={"disk0":"disk","disk2":"cd"}',
          "devices.ide.config.disk2.kind=cdrom",
        ],
      });
      try {
        const serial = machine.serial(0);
        await serial.expect(/^change\r\n/m, PATIENCE);
        await machine.media.insert("ide.disk2", raw(discs[1], true));
        await serial.write("\n");
        const { reason } = await machine.wait();
        // Without ACPI the kernel only halts.
        assert(reason === "halt" || reason === "poweroff", reason);
        return serial.output.replaceAll("\r\n", "\n");
      } finally {
        await machine.stop();
      }
    },
    modules.entries,
  );
  // The driver chose DMA for all, and nothing went wrong.
  assertMatch(output, /ata1: PATA max MWDMA2 cmd 0x1f0 ctl 0x3f6 bmdma/);
  assertMatch(output, /ata2: PATA max MWDMA2 cmd 0x170 ctl 0x376 bmdma/);
  assertMatch(output, /ata1\.00: ATA-7: RHEA HARDDISK/);
  assertMatch(output, /ata2\.00: ATAPI: RHEA DVD-ROM/);
  // What is on the disk besides was not trimmed: see below.
  assertMatch(output, /^\/mnt: [1-9]\d* bytes trimmed$/m);
  assertNotMatch(output, /ata\d.*(exception|failed|error|timeout|lost)/i);
  assertNotMatch(output, /(I\/O error|EXT\d-fs (error|warning))/);
  const sum = await sha256(NUMBERS);
  assertMatch(output, new RegExp(`^disc one\\n${sum}  -$`, "m"));
  assertMatch(
    output,
    new RegExp(`^disc two\\n${sum}  -\\n${sum}  -$`, "m"),
  );
  assertMatch(
    output,
    new RegExp(`^${await sha256(NUMBERS.repeat(COPIES))}  -$`, "m"),
  );
  const state = await must("dumpe2fs", "-h", disk);
  assertMatch(state, /^Filesystem state: +clean$/m);
  assertNotMatch(state, /needs_recovery/);
  await must("e2fsck", "-fn", disk);
  for (const name of ["/numbers", `/new/${COPIES}`]) {
    assertEquals(await must("debugfs", "-R", `cat ${name}`, disk), NUMBERS);
  }
  // A line is /inode/mode/user/group/name/size/.
  const listed = await must("debugfs", "-R", "ls -p /new", disk);
  const names = listed.split("\n").map((line) => line.split("/")[5])
    .filter((name) => name !== undefined && !name.startsWith("."));
  assertEquals(names.sort(), ["1", "2", "4", "5", "6", "7", "8"]);
}

for (const type of ["ext2", "ext4"]) {
  boot(
    `Linux writes ${type} to an IDE disk, and reads two CD-ROMs`,
    async (guest) => {
      const drivers = ["ata_piix", "sd_mod", "sr_mod", "isofs"];
      // ext4 asks for checksums by their name.
      const modules = await kernelModules(
        guest.kernel,
        [...drivers, "crc32c_generic", "ext4"],
      );
      if (typeof modules === "string") {
        console.log(`skipped: ${modules}`);
        return;
      }
      const folder = await Deno.makeTempDir();
      try {
        await useDisks(guest.kernel, type, modules, folder);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        console.log("skipped: mke2fs or xorriso is not installed");
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}
