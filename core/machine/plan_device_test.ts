import { assertEquals, assertRejects } from "@std/assert";
import { DefinitionError } from "./document.ts";
import { planDefinition } from "./options.ts";
import type { PlannedDevice } from "./plan.ts";
import { machinePermissions } from "./permissions.ts";
import { ConfigError, type DevicePlugin } from "./plugin.ts";
import type { JsonObject } from "./schema_types.ts";

/** Takes two files: one that the definition names at its top. */
const chip: DevicePlugin = {
  type: "device",
  name: "chip",
  version: "1",
  config: {
    type: "object",
    properties: {
      image: {
        type: "string",
        format: "path",
        words: ["builtin"],
        from: "boot.firmware",
      },
      more: { type: "object", additionalProperties: { format: "path" } },
    },
  },
  files: ({ image, more }) => ({
    ...(image === undefined || image === "builtin")
      ? {}
      : { image: { path: image } },
    ...(more === undefined)
      ? {}
      : { extra: { path: more.extra, optional: true } },
  }),
  declare(_config, sizes) {
    if (sizes.image === 3) throw new ConfigError("image", "three is too few");
    return {
      regions: {
        rom: { space: "memory", kind: "rom", size: sizes.image ?? 1, at: 0 },
      },
    };
  },
  create: () => ({ reset() {}, save: () => ({}), load() {} }),
};

const plugins = {
  cpu: {
    none: () =>
      Promise.resolve({
        default: {
          type: "cpu",
          name: "none",
          version: "1",
          models: ["none"],
          create: () => ({}),
        },
      }),
  },
  device: { chip: () => Promise.resolve({ default: chip }) },
};

function definition(config: JsonObject, boot: JsonObject = {}): JsonObject {
  return {
    cpu: { plugin: "none", physical: "memory" },
    spaces: { memory: { size: "1M" } },
    devices: { chip: { plugin: "chip", config } },
    boot,
  };
}

/** Plan on the command line's side: `--firmware`. */
async function plan(
  document: JsonObject,
  options: { firmware?: string; skipFiles?: boolean } = {},
): Promise<{ device: PlannedDevice; reads: readonly string[] }> {
  const made = await planDefinition(document, { plugins, ...options });
  const { read } = await machinePermissions(made);
  return { device: made.devices[0], reads: read };
}

async function withFiles(
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/five`, new Uint8Array(5));
    await Deno.writeFile(`${folder}/three`, new Uint8Array(3));
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a device is given what boot.firmware says, unless it says itself", async () => {
  await withFiles(async (folder) => {
    const five = `${folder}/five`;
    const config = (device: PlannedDevice): unknown => device.config;
    const { device, reads } = await plan(definition({}, { firmware: five }));
    assertEquals(config(device), { image: five });
    assertEquals([...device.files], [["image", { path: five, size: 5 }]]);
    assertEquals(device.regions.get("rom")?.size, 5);
    assertEquals(reads, [five]);
    const own = await plan(definition({ image: "builtin" }), {
      firmware: five,
    });
    assertEquals(config(own.device), { image: "builtin" });
    assertEquals(own.device.files.size, 0);
    const none = await plan(definition({}));
    assertEquals([config(none.device), none.reads], [{}, []]);
  });
});

Deno.test("an optional file may be missing, and needs the permission all the same", async () => {
  await withFiles(async (folder) => {
    const extra = `${folder}/nowhere`;
    const document = definition({ more: { extra } });
    const { device, reads } = await plan(document);
    assertEquals(device.files.get("extra"), { path: extra, size: undefined });
    assertEquals(reads, [extra]);
    assertEquals((await plan(document, { skipFiles: true })).reads, [extra]);
    await Deno.writeFile(extra, new Uint8Array(7));
    assertEquals((await plan(document)).device.files.get("extra")?.size, 7);
  });
});

Deno.test("an error in a device's file is told where the path was written", async () => {
  await withFiles(async (folder) => {
    const message = async (
      document: JsonObject,
      firmware?: string,
    ): Promise<string> => {
      const { message } = await assertRejects(
        () => plan(document, { firmware }),
        DefinitionError,
      );
      return message.replaceAll(folder, "");
    };
    assertEquals(
      await message(definition({}), `${folder}/no`),
      '--firmware: boot.firmware: cannot read "/no": there is no such file',
    );
    assertEquals(
      await message(definition({}), `${folder}/three`),
      "--firmware: boot.firmware: three is too few",
    );
    assertEquals(
      await message(definition({ image: `${folder}/no` })),
      '(the machine definition): devices.chip.config.image: cannot read "/no": there is no such file',
    );
    assertEquals(
      await message(definition({ more: { extra: folder } })),
      '(the machine definition): devices.chip.config.more.extra: "" is a directory, expected a file',
    );
  });
});
