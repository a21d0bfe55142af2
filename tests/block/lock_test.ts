/** Locks that QEMU and Rhea both see, where the C library may be loaded. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import { FileStore } from "../../plugins/block/byte_store.ts";
import { lockAsQemu } from "../../plugins/block/file_lock.ts";
import { hasTools, qemuImg, run, withFolder } from "./oracle.ts";

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
      /** Run while QEMU has the image open. */
      const during = async (flags: string[], test: () => Promise<void>) => {
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
      };
      const refused = (readOnly: boolean) =>
        assertRejects(
          () => FileStore.open(path, readOnly),
          BlockError,
          "in use elsewhere (QEMU's lock",
        );
      await during([], async () => {
        await refused(true);
        await refused(false);
      });
      await during(["-r"], async () => {
        await refused(false);
        await (await FileStore.open(path, true)).close();
      });
      await (await FileStore.open(path, false)).close();
    }),
});

Deno.test({
  name: "lock: without the permission it is left out",
  permissions: { read: true, write: true, ffi: false },
  async fn() {
    const path = await Deno.makeTempFile();
    const store = await FileStore.open(path, false);
    assertEquals(lockAsQemu(0, false), undefined);
    await store.close();
    await Deno.remove(path);
  },
});
