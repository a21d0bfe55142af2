/**
 * Linux writes to an ext4 disk, and the power goes: what the disk had not
 * promised to keep is lost in part and in any order, sector by sector. After
 * each cut the file system is clean once its journal is replayed, and holds
 * everything that the guest had synced.
 *
 * `RHEA_CUTS` says how often; each time is a boot.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import {
  type BlockBackend,
  checkRange,
  SECTOR_BYTES,
} from "../../../core/backend/block.ts";
import type { BlockPlugin } from "../../../core/machine/plugin.ts";
import type { GuestFiles } from "../../../core/cli/guest.ts";
import { Machine } from "../../../core/machine/machine.ts";
import { PLUGINS } from "../../../machines/registry.ts";
import { BlockModel } from "../../../core/backend/block_contract.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const CUTS = Number(Deno.env.get("RHEA_CUTS") ?? 3);
const DISK_BYTES = 48 << 20;

/**
 * Files are made, changed, renamed and deleted; every third round is synced and
 * then told with what stands in `last` and in a file of that round.
 */
const LOAD = `
until [ -b /dev/$DISK ]; do sleep 0.1; done
mount -t ext4 /dev/$DISK /mnt || exit
n=$(cat /mnt/last 2>/dev/null || echo 0)
[ -f /mnt/kept$n ] && md5sum < /mnt/kept$n
echo mounted at $n
while :; do
  n=$((n + 1))
  d=/mnt/d$((n % 7))
  mkdir -p $d
  for i in 1 2 3 4; do
    dd if=/dev/urandom of=$d/new$i bs=1k count=$((n * i % 61 + 1)) 2>/dev/null
  done
  mv $d/new1 $d/old$((n % 5))
  rm -f $d/new2 /mnt/kept$((n - 12))
  [ $((n % 3)) = 0 ] || continue
  dd if=/dev/urandom of=/mnt/kept$n bs=1k count=37 2>/dev/null
  echo $n > /mnt/last.new
  mv /mnt/last.new /mnt/last
  sync
  echo synced $n $(md5sum < /mnt/kept$n)
done`;

/** A disk whose writes are safe when a flush has covered them. */
class CutDisk implements BlockBackend {
  readonly size: number;
  readonly readOnly = false;
  readonly #random: BlockModel;
  /** What is on the medium for certain. */
  readonly #durable: Uint8Array;
  /** What reads give. */
  readonly #current: Uint8Array;
  #pending: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  #isOff = false;

  constructor(bytes: Uint8Array, random: BlockModel) {
    this.size = bytes.length;
    this.#random = random;
    this.#durable = bytes;
    this.#current = bytes.slice();
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(offset, length, this.size);
    return Promise.resolve(this.#current.slice(offset, offset + length));
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    checkRange(offset, bytes.length, this.size);
    if (this.#isOff) return Promise.resolve();
    this.#current.set(bytes, offset);
    this.#pending.push({ offset, bytes: bytes.slice() });
    return Promise.resolve();
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.write(offset, new Uint8Array(length));
  }

  flush(): Promise<void> {
    if (this.#isOff) return Promise.resolve();
    for (const { offset, bytes } of this.#pending) {
      this.#durable.set(bytes, offset);
    }
    this.#pending = [];
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The power goes: what is on the medium. Writes in flight were lost in part. */
  cut(): { readonly bytes: Uint8Array; readonly lost: number } {
    this.#isOff = true;
    let lost = 0;
    for (const { offset, bytes } of this.#pending) {
      for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
        if (this.#random.below(2) === 0) {
          lost++;
          continue;
        }
        const sector = bytes.subarray(at, at + SECTOR_BYTES);
        this.#durable.set(sector, offset + at);
      }
    }
    return { bytes: this.#durable, lost };
  }
}

async function tool(
  program: string,
  ...args: string[]
): Promise<{ readonly code: number; readonly text: string }> {
  const command = new Deno.Command(program, { args, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, text: text.decode(stdout) + text.decode(stderr) };
}

/** Replays the journal, then looks at everything; gives back `last`. */
async function check(bytes: Uint8Array, path: string): Promise<number> {
  await Deno.writeFile(path, bytes);
  const replayed = await tool("e2fsck", "-E", "journal_only", "-y", path);
  assert(replayed.code <= 1, replayed.text);
  const checked = await tool("e2fsck", "-f", "-n", path);
  assertEquals(checked.code, 0, checked.text);
  const { text } = await tool("debugfs", "-R", "cat /last", path);
  return Number(/^\d+$/m.exec(text)?.[0] ?? 0);
}

/** How a disk is connected, and how Linux drives it there. */
const BUSES = [
  {
    name: "an IDE",
    modules: ["ata_piix", "sd_mod"],
    device: "sda",
    set: ['devices.ide.backends={"disk0":"disk0"}'],
  },
  {
    name: "a virtio",
    modules: ["virtio_pci", "virtio_blk"],
    device: "vda",
    set: [
      'devices.blk={"plugin":"virtio-blk-pci","config":{"slot":4},' +
      '"use":{"bus":"pci"},"backends":{"disk":"disk0"}}',
    ],
  },
] as const;

/** Cut the power again and again; throws when anything was lost. */
async function survive(
  guest: GuestFiles,
  bus: typeof BUSES[number],
): Promise<void> {
  const modules = await kernelModules(guest.kernel, [
    ...bus.modules,
    "crc32c_generic",
    "ext4",
  ]);
  if (typeof modules === "string") {
    console.log(`skipped: ${modules}`);
    return;
  }
  const directory = await Deno.makeTempDir();
  const image = `${directory}/disk.img`;
  const random = new BlockModel(new Uint8Array(1), 4711);
  const script = `dmesg -n 1
DISK=${bus.device}
mkdir -p /mnt
mount -t devtmpfs dev /dev
${modules.script}${LOAD}`;
  try {
    await Deno.writeFile(image, new Uint8Array(DISK_BYTES));
    const made = await tool("mke2fs", "-q", "-F", "-t", "ext4", image);
    assertEquals(made.code, 0, made.text);
    let bytes: Uint8Array = await Deno.readFile(image);
    let [last, sum, lost] = [0, "", 0];
    for (let n = 0; n < CUTS; n++) {
      const disk = new CutDisk(bytes, random);
      const block: BlockPlugin = {
        type: "block",
        name: "cut",
        version: "1",
        create: () => disk,
      };
      await withScript(script, async (initrd) => {
        await using machine = await Machine.load(PC, {
          kernel: guest.kernel,
          initrd,
          append: "console=ttyS0 panic=-1",
          noReboot: true,
          memory: "128M",
          serial: ["memory"],
          plugins: {
            ...PLUGINS,
            block: { cut: () => Promise.resolve({ default: block }) },
          },
          set: [
            'backends.disk0={"plugin":"cut"}',
            ...bus.set,
          ],
        });
        const serial = machine.serial(0);
        const text = await serial.expect(/mounted at \d+/, PATIENCE);
        const mounted = Number(/\d+$/.exec(text)![0]);
        assert(mounted >= last, `${mounted} after ${last}:\n${text}`);
        if (mounted === last && sum !== "") {
          assert(text.includes(sum), text);
        }
        for (let rounds = 2 + random.below(3); rounds > 0; rounds--) {
          await serial.expect(/synced \d+ [0-9a-f]{32}/, PATIENCE);
        }
        // Somewhere in the next rounds.
        await new Promise((r) => setTimeout(r, random.below(1000)));
        const told = serial.output.matchAll(/synced (\d+) ([0-9a-f]{32})/g);
        const off = disk.cut();
        bytes = off.bytes;
        lost += off.lost;
        for (const [, n, md5] of told) [last, sum] = [Number(n), md5];
        await machine.stop();
      }, modules.entries);
      assert(await check(bytes, image) >= last);
    }
    assert(lost > 0, "the power never went while something was written");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (const bus of BUSES) {
  boot(
    `ext4 on ${bus.name} disk survives power cuts under load`,
    (guest) => survive(guest, bus),
  );
}
