/** A disc is changed at the host side while the guest looks. */

import { assertEquals, assertRejects } from "@std/assert";
import type { AddressSpace } from "../../core/bus/address_space.ts";
import { FileStore } from "../../plugins/block/byte_store.ts";
import { Machine, MediaError } from "../../mod.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
/** The secondary channel. */
const DATA = 0x170;
const COUNT = 0x172;
const LOW = 0x174;
const DEVICE = 0x176;
const COMMAND = 0x177;

/** Send a packet that needs no backend; gives back the answer or the sense. */
function packet(ports: AddressSpace, ...bytes: number[]): number[] {
  ports.write(DEVICE, 1, 0xa0);
  ports.write(LOW, 2, 0xfffe);
  ports.write(COMMAND, 1, 0xa0);
  for (let i = 0; i < 12; i += 2) {
    ports.write(DATA, 2, (bytes[i] ?? 0) | (bytes[i + 1] ?? 0) << 8);
  }
  if ((ports.read(COMMAND, 1) & 1) !== 0) {
    const sense = packet(ports, 0x03, 0, 0, 0, 18);
    return [sense[2], sense[12]];
  }
  if (ports.read(COUNT, 1) === 3) return [];
  const length = ports.read(LOW, 2);
  const answer: number[] = [];
  for (let i = 0; i < length; i += 2) {
    const word = ports.read(DATA, 2);
    answer.push(word & 0xff, word >> 8);
  }
  return answer;
}

const [READY, PREVENT, CAPACITY] = [0x00, 0x1e, 0x25];
const NO_MEDIUM = [2, 0x3a];
const CHANGED = [6, 0x28];

Deno.test("media: discs are inserted and ejected, and the guest is told", async () => {
  const folder = await Deno.makeTempDir();
  const disc = async (name: string, blocks: number): Promise<string> => {
    const file = `${folder}/${name}`;
    await Deno.writeFile(file, new Uint8Array(blocks * 2048));
    return file;
  };
  const [first, second] = [await disc("first", 10), await disc("second", 20)];
  const raw = (file: string) => ({ plugin: "raw", config: { file } });
  /** Whether nobody has it open. */
  const isFree = async (file: string): Promise<boolean> => {
    try {
      await (await FileStore.open(file, false)).close();
      return true;
    } catch {
      return false;
    }
  };
  const machine = await Machine.load(PC, {
    set: [
      `backends.cd=${JSON.stringify(raw(first))}`,
      "devices.ide.backends.disk2=cd",
      "devices.ide.config.disk2.kind=cdrom",
      "devices.ide.config.disk3.kind=cdrom",
    ],
  });
  try {
    const { media } = machine;
    const ports = machine.space("ports");
    assertEquals([...media.drives.keys()], ["ide.disk2", "ide.disk3"]);
    assertEquals(packet(ports, CAPACITY), [0, 0, 0, 9, 0, 0, 8, 0]);

    await media.insert("ide.disk2", raw(second));
    assertEquals([await isFree(first), await isFree(second)], [true, false]);
    assertEquals(packet(ports, READY), CHANGED);
    assertEquals(packet(ports, CAPACITY), [0, 0, 0, 19, 0, 0, 8, 0]);

    assertEquals(packet(ports, PREVENT, 0, 0, 0, 1), []);
    const refused = "the guest has locked the drive";
    await assertRejects(() => media.eject("ide.disk2"), MediaError, refused);
    await assertRejects(
      () => media.insert("ide.disk2", raw(first)),
      MediaError,
      refused,
    );
    assertEquals([await isFree(first), await isFree(second)], [true, false]);
    assertEquals(packet(ports, READY), []);
    await media.eject("ide.disk2", { force: true });
    assertEquals(await isFree(second), true);
    assertEquals(packet(ports, READY), NO_MEDIUM);

    await media.insert("ide.disk2", raw(first));
    assertEquals(packet(ports, READY), CHANGED);
    await assertRejects(
      () => media.insert("ide.disk2", raw(`${folder}/none`)),
      MediaError,
      "there is no file",
    );
    assertEquals(packet(ports, CAPACITY), [0, 0, 0, 9, 0, 0, 8, 0]);
    // The other drive has had no backend from the start.
    await media.insert("ide.disk3", raw(second));
    assertEquals(media.drives.get("ide.disk3")!.medium!.size, 20 * 2048);
    await assertRejects(
      () => media.eject("ide.disk0"),
      MediaError,
      'there is no drive "ide.disk0" with removable media; there are: ' +
        "ide.disk2, ide.disk3",
    );
  } finally {
    await machine.stop();
  }
  await assertRejects(
    () => machine.media.insert("ide.disk2", raw(second)),
    MediaError,
    "the machine is stopped",
  );
  // Stopping closes what was inserted.
  assertEquals([await isFree(first), await isFree(second)], [true, true]);
  await Deno.remove(folder, { recursive: true });
});
