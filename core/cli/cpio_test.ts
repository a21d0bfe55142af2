import { assertEquals } from "@std/assert";
import {
  characterDevice,
  directory,
  file,
  gzip,
  symlink,
  writeCpio,
} from "./cpio.ts";
import { buildInitramfs } from "./initramfs.ts";

interface Entry {
  readonly path: string;
  readonly mode: number;
  readonly data: string;
  readonly device: string;
}

/** Reads an archive as the kernel does. */
function readCpio(archive: Uint8Array): Entry[] {
  const text = (at: number, length: number): string =>
    new TextDecoder().decode(archive.subarray(at, at + length));
  const entries: Entry[] = [];
  for (let at = 0; at < archive.length;) {
    assertEquals(text(at, 6), "070701");
    const field = (i: number): number => parseInt(text(at + 6 + 8 * i, 8), 16);
    const path = text(at + 110, field(11) - 1);
    const data = (at + 110 + field(11) + 3) & ~3;
    entries.push({
      path,
      mode: field(1),
      data: text(data, field(6)),
      device: `${field(9)}:${field(10)}`,
    });
    at = (data + field(6) + 3) & ~3;
  }
  return entries;
}

Deno.test("an archive holds what was put in", () => {
  const archive = writeCpio([
    directory("bin"),
    file("bin/sh", "#!", 0o755),
    symlink("sh", "bin/sh"),
    characterDevice("dev/ttyS0", 4, 64),
    file("empty", ""),
  ]);
  assertEquals(readCpio(archive), [
    { path: "bin", mode: 0o40755, data: "", device: "0:0" },
    { path: "bin/sh", mode: 0o100755, data: "#!", device: "0:0" },
    { path: "sh", mode: 0o120777, data: "bin/sh", device: "0:0" },
    { path: "dev/ttyS0", mode: 0o20600, data: "", device: "4:64" },
    { path: "empty", mode: 0o100644, data: "", device: "0:0" },
    { path: "TRAILER!!!", mode: 0, data: "", device: "0:0" },
  ]);
});

Deno.test("the initramfs has an init that runs, and unpacks from gzip", async () => {
  const archive = buildInitramfs(new Uint8Array([1, 2, 3]));
  const init = readCpio(archive).find((entry) => entry.path === "init")!;
  assertEquals(init.mode, 0o100755);
  const stream = new Blob([new Uint8Array(await gzip(archive))]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  assertEquals(
    new Uint8Array(await new Response(stream).arrayBuffer()),
    archive,
  );
});
