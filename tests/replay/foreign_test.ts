/** Recordings of strangers: which plugins they may name. */

import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, toFileUrl } from "@std/path";
import { DefinitionError, Machine } from "../../mod.ts";
import { multiboot } from "../faults/guest.ts";
import { within } from "../limit.ts";

const MICROVM = fromFileUrl(
  new URL("../../machines/microvm.json", import.meta.url),
);
/** A device that counts how often its module was run. */
const MODULE = `globalThis.rheaRuns = (globalThis.rheaRuns ?? 0) + 1;
export default { type: "device", name: "nothing", version: "1.0.0",
  create: () => ({ reset() {}, save: () => ({}), load() {} }) };`;
/** A guest that ends at once: mov dx, 0xf4; mov al, 0; out dx, al. */
const KERNEL = [0x66, 0xba, 0xf4, 0, 0xb0, 0, 0xee];

function runs(): number {
  return (globalThis as { rheaRuns?: number }).rheaRuns ?? 0;
}

/** Records a machine with a device of its own, and replays that. */
async function recorded(
  folder: string,
  plugin: string,
): Promise<() => Promise<string>> {
  const kernel = `${folder}/guest.elf`;
  await Deno.writeFile(kernel, multiboot(Uint8Array.from(KERNEL)));
  const log = `${folder}/log`;
  const machine = await Machine.load(
    { extends: MICROVM, devices: { own: { plugin } } },
    { kernel, record: log },
  );
  assertEquals(
    (await within("the end of the run", machine.run())).reason,
    "exit",
  );
  await machine.stop();
  return async () => {
    const again = await Machine.replay(log);
    const { reason } = await within("the end of the run", again.run());
    await again.stop();
    return reason;
  };
}

Deno.test("a recording's own plugins are files of this host, and nothing that comes with it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/own.ts`;
    await Deno.writeTextFile(path, MODULE);
    for (const name of [path, toFileUrl(path).href]) {
      assertEquals(await (await recorded(folder, name))(), "exit");
    }
    const url = `data:text/javascript,${encodeURIComponent(MODULE)}#`;
    const replay = await recorded(folder, url);
    const before = runs();
    await assertRejects(replay, DefinitionError, "the recording names");
    assertEquals(runs(), before);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
