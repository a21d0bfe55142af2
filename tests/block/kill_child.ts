/**
 * Writes to an image until it is killed. Prints how many batches have been
 * flushed, each time when the flush has come back.
 *
 *     deno run -A kill_child.ts IMAGE SEED
 */

import { openQcow2 } from "../../plugins/block/qcow2_chain.ts";
import { batches, perform } from "./load.ts";

const [image, seed] = Deno.args;
const backend = await openQcow2(image, false);
let flushed = 0;
for (const batch of batches(Number(seed))) {
  await perform(backend, batch);
  await backend.flush();
  // Synchronous: it is out before anything else happens.
  Deno.stdout.writeSync(new TextEncoder().encode(`${++flushed}\n`));
}
