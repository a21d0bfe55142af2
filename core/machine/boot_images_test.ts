import { assertEquals, assertRejects } from "@std/assert";
import { readBootImages } from "./boot_images.ts";
import type { MachineDefinition } from "./definition.ts";
import { type LoaderPlugin, LoadError } from "./plugin.ts";

/** A loader of files with this first byte. */
const loader = (name: string, first: string): LoaderPlugin => ({
  type: "loader",
  name,
  version: "1",
  description: `${name} kernels`,
  probe: (bytes) => bytes[0] === first.charCodeAt(0),
  load: () => {
    throw new Error("not here");
  },
});

async function withFiles(
  test: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["a", "b", "c"]) {
      await Deno.writeTextFile(`${folder}/${name}`, name);
    }
    await test((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const boot = (values: Partial<MachineDefinition["boot"]>) =>
  readBootImages({
    definition: { boot: values } as MachineDefinition,
    loaders: [
      loader("first", "x"),
      loader("second", "a"),
      loader("third", "a"),
    ],
  });

Deno.test("boot images: none without a kernel", async () => {
  assertEquals(await boot({}), undefined);
});

Deno.test("boot images: the first loader that knows the kernel; modules in order", () =>
  withFiles(async (path) => {
    const images = await boot({
      kernel: path("a"),
      initrd: path("b"),
      modules: [{ file: path("c"), append: "text" }],
    });
    assertEquals(images!.loader.name, "second");
    assertEquals(images!.kernel.bytes, new TextEncoder().encode("a"));
    assertEquals(images!.initrd!.path, path("b"));
    assertEquals(
      images!.modules.map(({ path, append }) => [path, append]),
      [[path("b"), undefined], [path("c"), "text"]],
    );
  }));

Deno.test("boot images: a kernel that nobody knows is refused", () =>
  withFiles(async (path) => {
    await assertRejects(
      () => boot({ kernel: path("b") }),
      LoadError,
      'Cannot load kernel "b": expected first kernels or second kernels or',
    );
  }));
