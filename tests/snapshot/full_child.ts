/**
 * Tries to save a machine whose memory has no place on the host. Prints why it
 * cannot be saved, what is in the folder then, and what the disks have after a
 * further write.
 *
 *     deno run -A full_child.ts FOLDER
 */

import { SnapshotError } from "../../mod.ts";
import { contentsOf, disksOf, machineIn } from "./kill_machine.ts";

const [folder] = Deno.args;
await using machine = await machineIn(folder);
const disks = disksOf(machine);
const write = async (sector: number, value: number): Promise<void> => {
  const bytes = new Uint8Array(512).fill(value);
  for (const disk of disks) await disk.write!(sector, bytes);
};
await write(0, 1);
await machine.saveSnapshot("small");
const { u8, guestStart } = machine.memory;
for (let at = 0; at < 0x1e0000; at += 65536) {
  crypto.getRandomValues(u8.subarray(guestStart + at).subarray(0, 65536));
}
let message = "";
try {
  await machine.saveSnapshot("large");
} catch (error) {
  if (!(error instanceof SnapshotError)) throw error;
  message = error.message;
}
const left = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
await write(8, 2);
await machine.loadSnapshot("small");
await write(16, 3);
const values: number[][] = [];
for (const disk of disks) {
  const bytes = await contentsOf(disk);
  values.push([0, 8, 16].map((sector) => bytes[sector * 512]));
}
console.log(JSON.stringify({ message, left, values }));
