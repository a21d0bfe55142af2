/**
 * A process that writes an image is killed at any moment: what it had flushed
 * is there, and the image is consistent. `RHEA_KILLS` says how often.
 */

import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { openQcow2 } from "../../plugins/block/qcow2_chain.ts";
import { killed } from "./kill.ts";
import { BLOCK_BYTES, BLOCKS, firstWrongBlock } from "./load.ts";
import { newImage } from "./new_image.ts";
import { checkImage, hasTools, withFolder } from "./oracle.ts";

const KILLS = Number(Deno.env.get("RHEA_KILLS") ?? 20);
const CHILD = fromFileUrl(new URL("kill_child.ts", import.meta.url));
const SIZE = BLOCKS * BLOCK_BYTES;
/** The longest it may write, in milliseconds. */
const LONGEST = 200;

const KINDS = [
  { size: SIZE, clusterBits: 9 },
  { size: SIZE, clusterBits: 12 },
  { size: SIZE, clusterBits: 16 },
  { size: SIZE, clusterBits: 14, extendedL2: true },
];

for (const [k, kind] of KINDS.entries()) {
  const kills = Math.ceil((KILLS - k) / KINDS.length);
  const name = `clusters of ${2 ** kind.clusterBits}` +
    `${kind.extendedL2 ? ", extended" : ""}`;
  const check = hasTools ? "" : " (not by qemu-img: absent)";
  Deno.test(`qcow2: ${kills} kills, ${name}${check}`, () =>
    withFolder(async (folder) => {
      const image = `${folder}/a.qcow2`;
      for (let i = 0; i < kills; i++) {
        const seed = 1 + i * KINDS.length + k;
        await Deno.writeFile(image, newImage(kind));
        const delay = Math.random() * LONGEST;
        const flushed = await killed([CHILD, image, `${seed}`], delay);
        const say = `seed ${seed}, ${flushed} flushes`;
        if (hasTools) {
          const { errors, out } = await checkImage(image);
          assert(!errors, `${say}: ${out}`);
        }
        const backend = await openQcow2(image, false);
        const bytes = await backend.read(0, SIZE);
        const wrong = firstWrongBlock(bytes, seed, flushed);
        assert(wrong === undefined, `${say}: block ${wrong}`);
        // It goes on being written to.
        await backend.write(0, new Uint8Array(SIZE).fill(1));
        await backend.close();
        if (hasTools) {
          const { errors, out } = await checkImage(image);
          assert(!errors, `${say}, written again: ${out}`);
        }
      }
    }));
}
