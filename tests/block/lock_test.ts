/** Locks that QEMU and Rhea both see, where the C library may be loaded. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import { FileStore } from "../../plugins/block/byte_store.ts";
import image from "../../plugins/block/image.ts";
import { BLOCK_BYTES, BLOCKS } from "./load.ts";
import { newImage } from "./new_image.ts";
import { hasTools, qemuImg, run, withFolder } from "./oracle.ts";
import { rhea } from "./rhea_image.ts";

/** Whether locks can be taken at all, found out by taking one. */
const canLock: boolean = await (async () => {
  const path = await Deno.makeTempFile();
  try {
    const store = await FileStore.open(path, false);
    const locks = Deno.build.os === "linux"
      ? await Deno.readTextFile("/proc/locks")
      : "";
    await store.close();
    return locks.includes("OFDLCK");
  } finally {
    await Deno.remove(path);
  }
})();
const reason = !hasTools
  ? " (skipped: no qemu-img and qemu-io)"
  : canLock
  ? ""
  : " (skipped: no open file description locks)";

/** Run while QEMU has an image open. */
async function during(
  path: string,
  flags: readonly string[],
  test: () => Promise<void>,
): Promise<void> {
  const child = new Deno.Command("qemu-io", {
    args: [...flags, "-f", "qcow2", path],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  // Its prompt comes when the image is open.
  await reader.read();
  try {
    await test();
  } finally {
    await child.stdin.close();
    while (!(await reader.read()).done);
    await child.status;
  }
}

Deno.test({
  name: `lock: QEMU stays out of what Rhea has open${reason}`,
  ignore: reason !== "",
  fn: () =>
    withFolder(async (folder) => {
      const path = `${folder}/a`;
      await qemuImg("create", "-f", "qcow2", path, "1M");
      const io = (...flags: string[]) =>
        run("qemu-io", ...flags, "-f", "qcow2", "-c", "read 0 512", path);
      const writer = await FileStore.open(path, false);
      for (const flags of [[], ["-r"]]) {
        const { code, out } = await io(...flags);
        assert(code !== 0 && /Failed to get .* lock/.test(out), out);
      }
      await writer.close();
      const reader = await FileStore.open(path, true);
      assertEquals((await io("-r")).code, 0);
      const { code, out } = await io();
      assert(code !== 0 && out.includes("lock"), out);
      await reader.close();
      assertEquals((await io()).code, 0);
    }),
});

Deno.test({
  name: `lock: Rhea stays out of what QEMU has open${reason}`,
  ignore: reason !== "",
  fn: () =>
    withFolder(async (folder) => {
      const path = `${folder}/a`;
      await qemuImg("create", "-f", "qcow2", path, "1M");
      const refused = (readOnly: boolean) =>
        assertRejects(
          () => FileStore.open(path, readOnly),
          BlockError,
          "in use elsewhere (QEMU's lock",
        );
      await during(path, [], async () => {
        await refused(true);
        await refused(false);
      });
      await during(path, ["-r"], async () => {
        await refused(false);
        await (await FileStore.open(path, true)).close();
      });
      await (await FileStore.open(path, false)).close();
    }),
});

Deno.test("lock: a writer's is gone when it has been killed", () =>
  withFolder(async (folder) => {
    const [path, top] = [`${folder}/a`, `${folder}/top`];
    const size = BLOCKS * BLOCK_BYTES;
    await Deno.writeFile(path, newImage({ size, clusterBits: 12 }));
    const script = new URL("kill_child.ts", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, path, "1"],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const lines = child.stdout.getReader();
    await lines.read();
    const open = async (snapshot: boolean, readOnly: boolean, file = path) => {
      const config = { file, snapshot, readOnly };
      const log = { guest() {}, warn() {} };
      const context = { name: "test", log, quit() {} };
      return await image.create(config, context);
    };
    const refused = (...args: Parameters<typeof open>) =>
      assertRejects(() => open(...args), BlockError, "elsewhere");
    await refused(false, false);
    await refused(false, true);
    await refused(true, false);
    await rhea(..."create -f qcow2 -u -b a -F qcow2".split(" "), top, "1M");
    await refused(false, false, top);
    child.kill("SIGKILL");
    await child.status;
    await lines.cancel();
    await (await open(false, false)).close();
    // Overlays and readers share it; a writer is refused then.
    const readers = [await open(true, false), await open(false, true)];
    readers.push(await open(false, false, top));
    await readers[0].write(0, new Uint8Array(512));
    await refused(false, false);
    for (const reader of readers) await reader.close();
    await (await open(false, false)).close();
  }));

Deno.test({
  name: `lock: without the permission it is left out${reason}`,
  ignore: reason !== "",
  fn: () =>
    withFolder(async (folder) => {
      const path = `${folder}/a`;
      await qemuImg("create", "-f", "qcow2", path, "1M");
      // In a process of its own: this one has loaded the C library.
      const script = new URL("open_child.ts", import.meta.url).pathname;
      const opened = async (...permissions: string[]): Promise<string> => {
        const files = ["--allow-read", "--allow-write", "--no-prompt"];
        const { out } = await run(
          Deno.execPath(),
          ...["run", "--no-check", ...files, ...permissions, script, path],
        );
        return out;
      };
      await during(path, [], async () => {
        assertMatch(await opened("--allow-ffi"), /QEMU's lock/);
        assertEquals(await opened(), "opened\n");
      });
    }),
});
