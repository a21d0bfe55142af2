/**
 * Linux, saved while it starts, goes on in a machine that is restored exactly as
 * in the one that was saved. `boot/slow/snapshot_test.ts` has more machines.
 */

import { assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { boot } from "../boot/guest.ts";
import { Machine } from "../../mod.ts";
import { comparesAtAllPoints } from "./exact.ts";

const MICROVM = fromFileUrl(
  new URL("../../machines/microvm.json", import.meta.url),
);
const MS = 1_000_000;

boot("Linux that is saved and restored goes on alike", async (guest) => {
  const output = await comparesAtAllPoints(
    () =>
      Machine.load(MICROVM, {
        kernel: guest.kernel,
        initrd: guest.initramfs,
        append: "console=ttyS0",
        icount: true,
      }),
    { points: [33.3 * MS, 271.8 * MS, 777 * MS], length: 40 * MS },
  );
  assertMatch(output, /Linux version/);
});
