import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";

const FOLDER = new URL("../../../machines/", import.meta.url);
const PC = fromFileUrl(new URL("pc.json", FOLDER));
const ISAPC = fromFileUrl(new URL("isapc.json", FOLDER));
const KERNEL = fromFileUrl(
  new URL("../../../tests/fixtures/echo.elf", import.meta.url),
);
const KIB = 1024;

/** An image of this size whose every 4 KiB block is told by its first word. */
async function withImage(
  size: number,
  use: (file: string, word: (at: number) => number) => Promise<void>,
): Promise<void> {
  const image = new Uint8Array(size);
  const view = new DataView(image.buffer);
  for (let at = 0; at + 4 <= size; at += 4096) view.setUint32(at, ~at, true);
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, image);
    await use(file, (at) => view.getUint32(at, true));
  } finally {
    await Deno.remove(file);
  }
}

for (const kib of [64, 128, 256, 8192]) {
  Deno.test(`firmware: an image of ${kib} KiB ends at 4 GiB and at 1 MiB`, async () => {
    const size = kib * KIB;
    await withImage(size, async (firmware, word) => {
      await using machine = await Machine.load(PC, { firmware });
      const memory = machine.space("memory");
      for (let at = 0; at < size; at += 4096) {
        const address = 2 ** 32 - size + at;
        memory.write(address, 4, 0x12345678);
        assertEquals(memory.read(address, 4), word(at));
      }
      assertEquals(memory.read(2 ** 32 - size - 4, 4), 0xffffffff);
      const low = Math.min(size, 128 * KIB);
      for (let at = 0; at < low; at += 4096) {
        const address = 1024 * KIB - low + at;
        memory.write(address, 4, 0x12345678);
        assertEquals(memory.read(address, 4), word(size - low + at));
      }
      assertEquals(memory.read(1024 * KIB - low - 4, 4), 0xffffffff);
    });
  });
}

Deno.test("firmware: without PAM registers the copy is RAM, until a reset", async () => {
  await withImage(128 * KIB, async (firmware, word) => {
    await using machine = await Machine.load(ISAPC, { firmware });
    const memory = machine.space("memory");
    for (const address of [0xc0000, 0xdfffc, 0xe0000, 0xffffc]) {
      memory.write(address, 4, 0x12345678);
      assertEquals(memory.read(address, 4), 0x12345678);
    }
    memory.write(0xfffe0000, 4, 0x12345678);
    assertEquals(memory.read(0xfffe0000, 4), word(0));
    machine.device("firmware").reset();
    assertEquals(memory.read(0xe0000, 4), word(0));
  });
});

Deno.test("firmware: beside a kernel there is no ROM", async () => {
  await using machine = await Machine.load(PC, { kernel: KERNEL });
  const names = machine.space("memory").regions.map(({ name }) => name);
  assert(names.includes("low"));
  assert(names.every((name) => !name.startsWith("firmware")), `${names}`);
});

Deno.test("firmware: sizes that no ROM has are refused", async () => {
  for (const size of [0, 1, 64 * KIB + 1, 8256 * KIB]) {
    await withImage(size, async (firmware) => {
      await assertRejects(
        () => Machine.load(PC, { firmware }),
        Error,
        `has ${size} bytes, expected a multiple of 64K up to 8M`,
      );
    });
  }
});

/** Writes "x" to COM1, waits until it is sent, and shuts down by `lidt`, `int3`. */
const SHUTDOWN: readonly [at: number, bytes: readonly number[]][] = [
  [0xffd0, [0xba, 0xf8, 0x03, 0xb0, 0x78, 0xee]],
  [0xffd6, [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x40, 0x74, 0xfb]],
  [0xffde, [0x2e, 0x0f, 0x01, 0x1e, 0xf8, 0xff, 0xcc]],
  [0xfff0, [0xeb, 0xde]],
];

Deno.test("firmware: a CPU that shuts down is reset, or ends the run", async () => {
  const image = new Uint8Array(64 * KIB);
  for (const [at, bytes] of SHUTDOWN) image.set(bytes, at);
  const firmware = await Deno.makeTempFile();
  try {
    await Deno.writeFile(firmware, image);
    {
      await using machine = await Machine.load(PC, { firmware });
      await machine.serial(0).expect("xxxx");
    }
    await using machine = await Machine.load(PC, { firmware, noReboot: true });
    const { reason, status } = await machine.run();
    assertEquals({ reason, status }, { reason: "shutdown", status: 1 });
    assertEquals(machine.serial(0).output, "x");
  } finally {
    await Deno.remove(firmware);
  }
});
