/**
 * Opens an image to write to it, closes it again, and prints what came of that.
 *
 *     deno run --allow-read --allow-write open_child.ts IMAGE
 */

import { FileStore } from "../../plugins/block/byte_store.ts";

try {
  await (await FileStore.open(Deno.args[0], false)).close();
  console.log("opened");
} catch (error) {
  console.log(String(error));
}
