/** Media that a client opens as nodes and puts into drives, as libvirt does. */

import { assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../machines/machine.ts";
import { type Message, QmpClient } from "./client.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;

Deno.test("QMP: a disc is changed by nodes, as libvirt changes it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [one, two] = ["one.iso", "two.iso"].map((name) =>
      `${folder}/${name}`
    );
    await Deno.writeFile(one, new Uint8Array(4096));
    await Deno.writeFile(two, new Uint8Array(8192));
    await using machine = await Machine.load(PC, {
      firmware: "builtin",
      memory: "16M",
      cdrom: one,
    });
    const path = `${folder}/qmp`;
    await machine.serveQmp(`unix:${path}`);
    machine.start();
    using client = await QmpClient.connect(path);
    const drives = async (): Promise<Message[]> =>
      (await client.execute("query-block")).return;
    const id = (await drives()).find(({ inserted }) => inserted?.file === one)!
      .device;
    const inserted = async (): Promise<Message | undefined> =>
      (await drives()).find(({ device }) => device === id)!.inserted;
    const ok = async (name: string, args: object): Promise<void> =>
      assertEquals((await client.execute(name, args)).return, {}, name);
    const fails = async (
      name: string,
      args: object,
      words: string,
    ): Promise<void> =>
      assertEquals((await client.execute(name, args)).error?.desc, words);
    const storage = {
      driver: "file",
      filename: two,
      "node-name": "libvirt-3-storage",
      "auto-read-only": true,
      discard: "unmap",
    };
    const format = {
      "node-name": "libvirt-3-format",
      "read-only": true,
      driver: "raw",
      file: "libvirt-3-storage",
    };
    const [a, b] = [storage["node-name"], format["node-name"]];
    const insert = { id, "node-name": b };

    await fails(
      "blockdev-add",
      format,
      `Failed to find node with node-name='${a}'`,
    );
    await fails(
      "blockdev-add",
      { ...storage, filename: `${folder}/none` },
      `Could not open '${folder}/none': No such file or directory`,
    );
    const { error } = await client.execute(
      "blockdev-add",
      { ...storage, filename: `${two}/in-a-file` },
    );
    assertMatch(error!.desc, /^Could not open '.*in-a-file': /);
    await fails(
      "blockdev-add",
      { driver: "file", filename: two },
      "'node-name' must be specified for the root node",
    );
    await fails(
      "blockdev-add",
      { driver: "raw", "node-name": "x" },
      "Parameter 'file' is missing",
    );
    await fails(
      "blockdev-add",
      { driver: "vmdk", "node-name": "x", file: a },
      "Unknown driver 'vmdk'",
    );
    await ok("blockdev-add", storage);
    await ok("blockdev-add", format);
    await fails(
      "blockdev-add",
      storage,
      `Duplicate nodes with node-name='${a}'`,
    );
    await fails(
      "blockdev-insert-medium",
      insert,
      `Tray of device '${id}' is not open`,
    );
    await ok("blockdev-open-tray", { id, force: false });
    await fails(
      "blockdev-insert-medium",
      insert,
      `There already is a medium in device '${id}'`,
    );
    await ok("blockdev-remove-medium", { id });
    assertEquals(await inserted(), undefined);
    await ok("blockdev-insert-medium", insert);
    await ok("blockdev-close-tray", { id });
    const { file, ro, drv, image, "node-name": name } = (await inserted())!;
    assertEquals([file, ro, drv, image["virtual-size"], name], [
      two,
      true,
      "raw",
      8192,
      b,
    ]);
    await fails("blockdev-del", { "node-name": b }, `Node ${b} is in use`);
    await fails("blockdev-del", { "node-name": a }, `Node ${a} is in use`);
    await ok("blockdev-open-tray", { id, force: false });
    await ok("blockdev-remove-medium", { id });
    await ok("blockdev-del", { "node-name": b });
    await ok("blockdev-del", { "node-name": a });
    await fails(
      "blockdev-del",
      { "node-name": a },
      `Failed to find node with node-name='${a}'`,
    );
    // What is described within is a node without a name.
    await ok("blockdev-add", {
      ...format,
      file: { driver: "file", filename: one },
    });
    await ok("blockdev-insert-medium", insert);
    assertEquals((await inserted())?.file, one);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
