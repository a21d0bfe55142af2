/** `machines/microvm.json`: its virtio slots, and what a kernel is told. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { parseDocument, toJson } from "../../core/machine/document.ts";
import type { BlockPlugin, LoaderPlugin } from "../../core/machine/plugin.ts";
import { Machine } from "../../core/machine/machine.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { FakeBlock } from "./ide_bench.ts";

const MICROVM = fromFileUrl(
  new URL("../../machines/microvm.json", import.meta.url),
);
const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));

/** The parameters that a loader gets with these settings. */
async function parameters(...set: string[]): Promise<readonly string[]> {
  let seen: readonly string[] = [];
  const loader: LoaderPlugin = {
    type: "loader",
    name: "seeing",
    version: "1",
    probe: () => true,
    load(context) {
      seen = context.parameters ?? [];
      return {};
    },
  };
  const block: BlockPlugin = {
    type: "block",
    name: "fake",
    version: "1",
    create: () => new FakeBlock(1 << 20),
  };
  await using machine = await Machine.load(MICROVM, {
    kernel: ECHO,
    serial: ["memory"],
    plugins: {
      ...PLUGINS,
      block: { fake: () => Promise.resolve({ default: block }) },
      loader: Object.fromEntries(
        Object.keys(PLUGINS.loader ?? {}).map((name) => [
          name,
          () => Promise.resolve({ default: loader }),
        ]),
      ),
    },
    set,
  });
  const memory = machine.space("memory");
  assertEquals(memory.read(0xfeb00000, 4), 0x74726976);
  // The machine's own come first.
  const document = parseDocument(await Deno.readTextFile(MICROVM), MICROVM);
  const { boot } = toJson(document) as { boot: { parameters: string[] } };
  const own = boot.parameters;
  assert(own.length > 0);
  assertEquals(seen.slice(0, own.length), own);
  return seen.slice(own.length);
}

Deno.test("microvm: Linux is told of slots with a disk, and of no others", async () => {
  const image = 'backends.image={"plugin":"fake"}';
  assertEquals(await parameters(), []);
  assertEquals(
    await parameters(image, 'devices.disk0.backends={"disk":"image"}'),
    ["virtio_mmio.device=512@0xfeb00000:5"],
  );
  assertEquals(
    await parameters(
      image,
      'devices.disk1={"backends":{"disk":"image"},"at":"0xd0000000"}',
      'devices.disk1.wires={"irq":"pic.irq11"}',
    ),
    ["virtio_mmio.device=512@0xd0000000:11"],
  );
});
