import { assertEquals, assertRejects } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";
import { formatOf, GuardedBlock, probe } from "./probe.ts";
import { RawBlock } from "./raw_image.ts";

/** A store of these bytes. */
function store(bytes: Uint8Array): ByteStore {
  return {
    size: bytes.length,
    read(offset, into) {
      into.fill(0);
      into.set(bytes.subarray(offset, offset + into.length));
      return Promise.resolve();
    },
    write(offset, from) {
      bytes.set(from, offset);
      return Promise.resolve();
    },
    truncate: () => Promise.resolve(),
    sync: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

const text = (words: string) =>
  Uint8Array.from(words, (letter) => letter.charCodeAt(0));

Deno.test("probe: formats by their first bytes", async () => {
  const cases: [string, string][] = [
    ["QFI\xfb\0\0\0\x03", "qcow2"],
    ["QFI\xfb\0\0\0\x02", "qcow2"],
    ["QFI\xfb\0\0\0\x01", "qcow"],
    ["KDMV", "vmdk"],
    ["conectix", "vpc"],
    ["\0".repeat(64) + "\x7f\x10\xda\xbe", "vdi"],
    ["QFI", "raw"],
    ["", "raw"],
    ["\0QFI\xfb\0\0\0\x03", "raw"],
  ];
  for (const [head, format] of cases) {
    assertEquals(formatOf(text(head)), format);
    assertEquals(await probe(store(text(head))), format);
  }
});

Deno.test("guard: no write makes a raw image another", async () => {
  const bytes = new Uint8Array(4096).fill(1);
  const image = new GuardedBlock(new RawBlock(store(bytes), false));
  const refused = async (offset: number, words: string) => {
    const before = bytes.slice();
    const error = await assertRejects(
      () => image.write(offset, text(words)),
      BlockError,
      "format as raw",
    );
    assertEquals(error.kind, "unsupported");
    assertEquals(bytes, before);
  };
  await refused(0, "QFI\xfb\0\0\0\x03" + "x".repeat(1000));
  await refused(64, "\x7f\x10\xda\xbe");
  // In pieces, the last of which would complete it; and two at once.
  await image.write(1, text("FI\xfb\0\0\0\x03"));
  await refused(0, "Q");
  const both = await Promise.allSettled([
    image.write(0, text("CO")),
    image.write(2, text("WD")),
  ]);
  assertEquals(both.map(({ status }) => status), ["fulfilled", "rejected"]);
  // Elsewhere anything may stand.
  await image.write(512, text("QFI\xfb\0\0\0\x03"));
  await image.write(0, text("\xeb\x3c\x90MSDOS5.0"));
  await assertRejects(() => image.write(-1, text("Q")), BlockError, "reach");
});
