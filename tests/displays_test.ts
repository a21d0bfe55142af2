/**
 * Displays: what `--display` changes in the machine beside the display.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { commandLine, withMachine } from "./command_line.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const PC = join(ROOT, "machines/pc.json");
const ISAPC = join(ROOT, "machines/isapc.json");

const { rhea, resolved } = commandLine();

Deno.test("displays: of pixels have a VGA on pc.json's PCI bus, others ISA's", async () => {
  for (
    const [flags, vga, fwcfg] of [
      [[], "vga", undefined],
      [["--display", "none"], "vga", undefined],
      [["--display", "text", "--serial", "null"], "vga", undefined],
      [["--vnc", ":1"], "vga-pci", "pci"],
      [["--display", "vnc"], "vga-pci", "pci"],
      [["--display", "web=0,token=a=b"], "vga-pci", "pci"],
    ] as const
  ) {
    const { devices } = await resolved(PC, ...flags);
    assertEquals([devices.vga.plugin, devices.fwcfg.config?.vga], [vga, fwcfg]);
  }
  const { devices } = await resolved(ISAPC, "--vnc", ":1");
  assertEquals(devices.vga.plugin, "vga");
});

Deno.test("displays: a file's own, under what --set says", () =>
  withMachine(
    ISAPC,
    `"displays": { "none": { "devices": {
       "vga": { "config": { "framebuffer": false } },
       "more": { "plugin": "debugcon", "at": "0xea" } } } }`,
    async (file) => {
      assertEquals((await resolved(file)).devices.more, undefined);
      const { devices } = await resolved(file, "--display", "none");
      assertEquals(devices.vga.config.framebuffer, false);
      assertEquals(devices.more.plugin, "debugcon");
      const set = await resolved(
        file,
        ...[
          "--display",
          "none",
          "--set",
          "devices.vga.config.framebuffer=true",
        ],
      );
      assertEquals(set.devices.vga.config.framebuffer, true);
    },
  ));

Deno.test("displays: null deletes a machine's device or key, once it is asked for", () =>
  withMachine(
    PC,
    `"displays": {
       "none": { "devices": {
         "com2": null, "vga": { "config": { "framebuffer": null } } } },
       "vnc": { "devices": {
         "com2": null, "vga": { "config": { "framebuffer": null } } } },
       "web": null },
     "devices": { "vga": { "config": { "framebuffer": false } } }`,
    (file) =>
      withMachine(
        file,
        `"displays": { "none": { "devices": { "exit": null } },
           "vnc": { "devices": null } }`,
        async (child) => {
          const before = (await resolved(child)).devices;
          assertEquals(before.vga.config.framebuffer, false);
          for (const name of ["com2", "exit"]) assert(name in before, name);
          const none = (await resolved(child, "--display", "none")).devices;
          for (const name of ["com2", "exit"]) assert(!(name in none), name);
          assertEquals(none.vga.config.framebuffer, undefined);
          const vnc = (await resolved(file, "--vnc", ":1")).devices;
          assertEquals(["com2" in vnc, vnc.vga.plugin], [false, "vga-pci"]);
          for (const flags of [["--vnc", ":1"], ["--display", "web=0"]]) {
            const { com2, vga } = (await resolved(child, ...flags)).devices;
            assertEquals([com2 !== undefined, vga.plugin], [true, "vga"]);
          }
        },
      ),
  ));

Deno.test("displays: mistakes are one line that says where", async () => {
  const cases: [body: string, flags: string[], message: RegExp][] = [
    [
      `"displays": {\n"vcn": {} }`,
      [],
      /m\.json:3: displays\.vcn: there is no display plugin "vcn"; did you mean "vnc"\?$/,
    ],
    ...[[], ["--vnc", ":1"]].flatMap((flags): typeof cases => [
      [
        `"displays": { "vnc":\n5 }`,
        flags,
        /m\.json:3: displays\.vnc: expected an object, not 5$/,
      ],
      [
        `"displays": { "vnc": {\n"device": {} } }`,
        flags,
        /m\.json:3: displays\.vnc\.device: unknown key "device"; did you mean "devices"\?$/,
      ],
    ]),
    [
      `"displays": { "vnc": { "devices": {\n"vga": { "plugin": "vgga" } } } }`,
      ["--vnc", ":1"],
      /m\.json:3: devices\.vga\.plugin: there is no device plugin "vgga"/,
    ],
    [
      `"displays": { "vnc": { "devices": {\n"new": {} } } }`,
      ["--vnc", ":1"],
      /m\.json:3: devices\.new: the key "plugin" is missing$/,
    ],
    [
      `"backends": {}`,
      ["--display", "text", "--vnc", ":1"],
      /^--vnc :1: --vnc and --display are both there$/,
    ],
    [
      `"backends": {}`,
      ["--display", "text", "--display", "none"],
      /^--display is there twice$/,
    ],
    [
      `"backends": {}`,
      ["--display", "vcn=:1"],
      /^--display vcn=:1: there is no display backend "vcn"; did you mean "vnc"\?$/,
    ],
  ];
  for (const [body, flags, message] of cases) {
    await withMachine(ISAPC, body, async (file) => {
      const { status, messages } = await rhea("resolve", file, ...flags);
      assertEquals([status, messages.length], [2, 1]);
      assertMatch(messages[0], message);
    });
  }
});
