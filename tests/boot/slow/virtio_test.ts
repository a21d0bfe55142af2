/**
 * Linux on a virtio disk, over PCI by the modern and by the legacy interface and
 * over MMIO: it mounts what the host has made, writes, syncs and powers off, and the host
 * finds the file system clean and the bytes there.
 *
 * There is no firmware: what it would do for interrupts the test does. Without
 * an APIC they come by the pin.
 */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine } from "../../../mod.ts";
import { boot, PATIENCE, routePin, withScript } from "../guest.ts";
import { mmioSlots } from "../mmio_slots.ts";
import { kernelModules, type Modules } from "../modules.ts";
import { QEMU, qemuOutput } from "../../qemu.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const MICROVM = fromFileUrl(
  new URL("../../../machines/microvm.json", import.meta.url),
);
const LIMIT_MS = 600_000;
const IMAGE_BYTES = 48 << 20;
const SLOT = 4;
const IRQ = 11;
const NUMBERS = Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`)
  .join("");
const COPIES = 8;
/** Feature bits. */
const SIZE_MAX = 1;
const GEOMETRY = 4;

async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(digest).toHex();
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

/** What the guest does once the drivers are loaded. */
const SESSION = `mkdir -p /sys /mnt
mount -t sysfs none /sys
mount -t devtmpfs none /dev
dmesg -n 1
echo serial $(cat /sys/block/vda/serial)
echo cache $(cat /sys/block/vda/queue/write_cache)
echo features $(cat /sys/bus/virtio/devices/virtio0/features)
[ ! -e /proc/bus/pci/00/04.0 ] ||
  echo config $(hexdump -v -n 64 -e '1/1 "%02x"' /proc/bus/pci/00/04.0)
mount -t ext4 /dev/vda /mnt
sha256sum < /mnt/numbers
mkdir /mnt/new
for i in $(seq 1 ${COPIES}); do cp /mnt/numbers /mnt/new/$i; done
sync
echo 3 > /proc/sys/vm/drop_caches
cat /mnt/new/* | sha256sum
rm /mnt/new/3
fstrim /mnt && echo trimmed
umount /mnt
dmesg
grep virtio /proc/interrupts
echo the end
poweroff -f
sleep 1000`;

/** An ext4 file system with `numbers` in it. */
async function makeImage(folder: string): Promise<string> {
  const files = join(folder, "files");
  await Deno.mkdir(files, { recursive: true });
  await Deno.writeTextFile(join(files, "numbers"), NUMBERS);
  const disk = join(folder, "disk.img");
  await Deno.writeFile(disk, new Uint8Array(0));
  await Deno.truncate(disk, IMAGE_BYTES);
  await must("mke2fs", "-q", "-F", "-t", "ext4", "-d", files, disk);
  return disk;
}

async function inRhea(
  kernel: string,
  initrd: string,
  disk: string,
  legacy: boolean,
): Promise<string> {
  const backend = { plugin: "raw", config: { file: disk } };
  const device = {
    plugin: "virtio-blk-pci",
    config: { slot: SLOT, serial: "VIRTIO-1", msix: false, legacy },
    use: { bus: "pci" },
    backends: { disk: "disk" },
  };
  const machine = await Machine.load(PC, {
    kernel,
    initrd,
    append: "console=ttyS0",
    memory: "128M",
    set: [
      `backends.disk=${JSON.stringify(backend)}`,
      `devices.disk=${JSON.stringify(device)}`,
    ],
  });
  try {
    routePin(machine, SLOT, IRQ);
    await machine.serial(0).expect(/^the end\r\n/m, PATIENCE);
    const { reason } = await machine.wait();
    // Without ACPI the kernel only halts.
    assert(reason === "halt" || reason === "poweroff", reason);
    return machine.serial(0).output.replaceAll("\r\n", "\n");
  } finally {
    await machine.stop();
  }
}

/** The guest's output in QEMU; undefined where there is none. */
async function inQemu(
  kernel: string,
  initrd: string,
  disk: string,
  legacy: boolean,
): Promise<string | undefined> {
  const text = await qemuOutput(
    [
      ...["-accel", "tcg", "-M", "pc", "-cpu", "pentium3", "-m", "128"],
      ...["-nodefaults", "-display", "none", "-serial", "stdio"],
      ...["-drive", `if=none,id=d,format=raw,file=${disk},discard=unmap`],
      "-device",
      `virtio-blk-pci,drive=d,addr=${SLOT},serial=VIRTIO-1,` +
      `disable-legacy=${legacy ? "off" : "on"}`,
      ...["-kernel", kernel, "-initrd", initrd],
      ...["-append", "console=ttyS0"],
    ],
    LIMIT_MS,
    "the end\r\n",
  );
  return text?.replaceAll("\r\n", "\n");
}

/** IDs, revision, class, header type, subsystem and pin. */
function identity(output: string): string {
  const header = /^config ([0-9a-f]{128})$/m.exec(output)?.[1] ?? "";
  const bytes = (from: number, to: number): string =>
    header.slice(from * 2, to * 2);
  return [
    bytes(0, 4),
    bytes(8, 12),
    bytes(14, 15),
    bytes(0x2c, 0x2e),
    bytes(0x3d, 0x3e),
  ].join(" ");
}

/** What the guest says of the device, but for what depends on the machine. */
function told(output: string): string[] {
  const lines = output.match(/^(serial|cache) .*$/gm) ?? [];
  const features = /^features ([01]+)$/m.exec(output)?.[1] ?? "";
  // Rhea tells the size of segments, QEMU a geometry; beyond VERSION_1 are
  // features of later specifications.
  const alike = [...features.slice(0, 33)]
    .map((bit, i) => i === SIZE_MAX || i === GEOMETRY ? "-" : bit).join("");
  return [...lines, alike, identity(output)];
}

async function check(disk: string, output: string): Promise<void> {
  assertNotMatch(output, /(I\/O error|EXT4-fs (error|warning))/);
  assertMatch(output, /virtio_blk virtio0: \[vda\] 98304 512-byte/);
  const sum = await sha256(NUMBERS);
  const copies = await sha256(NUMBERS.repeat(COPIES));
  assertMatch(output, new RegExp(`^${sum}  -\n${copies}  -\ntrimmed$`, "m"));
  const state = await must("dumpe2fs", "-h", disk);
  assertMatch(state, /^Filesystem state: +clean$/m);
  assertNotMatch(state, /needs_recovery/);
  await must("e2fsck", "-fn", disk);
  for (const name of ["/numbers", `/new/${COPIES}`]) {
    assertEquals(await must("debugfs", "-R", `cat ${name}`, disk), NUMBERS);
  }
}

async function useDisk(
  kernel: string,
  modules: Modules,
  way: "modern" | "transitional" | "legacy",
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const driver = "insmod /modules/virtio_pci.ko";
  const script = way === "legacy"
    ? modules.script.replace(driver, `${driver} force_legacy=1`)
    : modules.script;
  const legacy = way !== "modern";
  try {
    await withScript(`${script}${SESSION}`, async (initrd) => {
      const ours = await makeImage(folder);
      const output = await inRhea(kernel, initrd, ours, legacy);
      await check(ours, output);
      assertMatch(output, /^ *11: +[1-9]\d{1,} +IO-APIC +.*virtio0$/m);
      const theirs = await inQemu(
        kernel,
        initrd,
        await makeImage(folder),
        legacy,
      );
      if (theirs === undefined) {
        console.log(`not compared: ${QEMU} is not installed`);
      } else {
        assertEquals(told(output), told(theirs));
      }
    }, modules.entries);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("skipped: mke2fs is not installed");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

boot("Linux writes ext4 to a virtio disk, over MMIO", async ({ kernel }) => {
  const modules = await kernelModules(
    kernel,
    ["virtio_mmio", "virtio_blk", "crc32c_generic", "ext4"],
  );
  const slots = await mmioSlots(kernel);
  if (typeof modules === "string" || typeof slots === "string") {
    console.log(`skipped: ${typeof slots === "string" ? slots : modules}`);
    return;
  }
  const folder = await Deno.makeTempDir();
  try {
    const disk = await makeImage(folder);
    const backend = { plugin: "raw", config: { file: disk } };
    await withScript(
      `${slots.script}${modules.script}${SESSION}`,
      async (initrd) => {
        await using machine = await Machine.load(MICROVM, {
          kernel,
          initrd,
          append: "console=ttyS0",
          memory: "128M",
          set: [
            `backends.disk=${JSON.stringify(backend)}`,
            'devices.disk1.backends={"disk":"disk"}',
          ],
        });
        await machine.serial(0).expect(/^the end\r\n/m, PATIENCE);
        assertEquals((await machine.wait()).reason, "halt");
        const output = machine.serial(0).output.replaceAll("\r\n", "\n");
        await check(disk, output);
        assertMatch(output, /^ *6: +[1-9]\d{1,} +XT-PIC +virtio0$/m);
      },
      [...modules.entries, slots.entry],
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("skipped: mke2fs is not installed");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const way of ["modern", "transitional", "legacy"] as const) {
  boot(`Linux writes ext4 to a virtio disk, ${way}`, async ({ kernel }) => {
    const modules = await kernelModules(
      kernel,
      ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"],
    );
    if (typeof modules === "string") {
      console.log(`skipped: ${modules}`);
      return;
    }
    await useDisk(kernel, modules, way);
  });
}
