/**
 * Network cards: what the command line's short forms mean in the definition,
 * and that a machine needs no more permissions than `permissions` prints.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { type PciPlace, pciPlaceSchema } from "../core/bus/pci.ts";
import { PciFunction } from "../core/bus/pci_function.ts";
import type { DevicePlugin, NetPlugin } from "../core/machine/plugin.ts";
import type { PluginTable } from "../core/machine/registry.ts";
import { PLUGINS } from "../machines/registry.ts";
import { Machine, parseNic } from "../mod.ts";
import { withFolder } from "./block/oracle.ts";
import { commandLine, withMachine } from "./command_line.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const PC = join(ROOT, "machines/pc.json");
const ISAPC = join(ROOT, "machines/isapc.json");
const MICROVM = join(ROOT, "machines/microvm.json");
const CARD = join(ROOT, "tests/fixtures/net_card.ts");

/** A card that is only in its place: on a bus, or in a space. */
function fakeCard(
  name: string,
  bus: "pci" | "memory" | "ports",
): DevicePlugin<PciPlace> {
  const isPci = bus === "pci";
  return {
    type: "device",
    name,
    version: "1",
    config: {
      type: "object",
      required: ["mac"],
      properties: {
        mac: { type: "string" },
        ...isPci ? pciPlaceSchema(2, 0) : {},
      },
    },
    ...isPci ? { uses: { bus: "pci-bus" } } : {
      regions: {
        registers: { space: bus, size: bus === "ports" ? 0x20 : 0x200 },
      },
      outputs: ["irq"],
    },
    backends: { net: { type: "net" } },
    create(config, context) {
      if (isPci) {
        const pci = new PciFunction(context, config, {
          vendor: 0x1d5c,
          device: 1,
          classCode: 0x020000,
          registers: [{ offset: 0x04, reset: [0], writable: [0x07] }],
        });
        pci.adopt(pci.fresh());
      } else {
        context.io("registers", { read: () => 0, write: () => {} });
      }
      return { reset: () => {}, save: () => ({}), load: () => {} };
    },
  };
}

/** A network with all that `user` takes. */
const fakeUser: NetPlugin = {
  type: "net",
  name: "user",
  version: "1",
  config: {
    type: "object",
    properties: {
      hostfwd: { type: "array", items: { type: "string" }, default: [] },
      guestfwd: { type: "array", items: { type: "string" }, default: [] },
      restrict: { type: "boolean", default: false },
    },
  },
  permissions: () => ({ net: ["user"] }),
  create: () => ({
    offload: false,
    attach: () => {},
    send: () => {},
    ready: () => {},
    close: () => Promise.resolve(),
  }),
};

const given = (value: unknown) => () => Promise.resolve({ default: value });

/** The shipped plugins, with cards and a network that do nothing. */
const TABLE: PluginTable = {
  ...PLUGINS,
  device: {
    ...PLUGINS.device,
    "e1000": given(fakeCard("e1000", "pci")),
    "ne2k-isa": given(fakeCard("ne2k-isa", "ports")),
    "ne2k-pci": given(fakeCard("ne2k-pci", "pci")),
    "virtio-net-pci": given(fakeCard("virtio-net-pci", "pci")),
    "virtio-net-mmio": given(fakeCard("virtio-net-mmio", "memory")),
  },
  net: { ...PLUGINS.net, user: given(fakeUser) },
};

const { rhea, resolved } = commandLine(TABLE);

Deno.test("nics: short forms are what the JSON says", async () => {
  const short = await resolved(
    PC,
    ...["--nic", "user,hostfwd=tcp::2222-:22,hostfwd=udp::53-:53,restrict"],
    ...["--nic", "socket,listen=:1234,model=virtio,pcap=/c/b"],
    ...["--nic", "hub,id=lan,model=ne2k_pci,mac=52-54-00-12-34-58"],
    ...["--nic", "socket,unix=/s,server=on,reconnect=5"],
    ...["--pcap", "/c/a"],
  );
  const pci = { use: { bus: "pci" } };
  const long = {
    "backends": {
      "net0": {
        "plugin": "user",
        "config": {
          "hostfwd": ["tcp::2222-:22", "udp::53-:53"],
          "restrict": true,
        },
        "pcap": "/c/a",
      },
      "net1": {
        "plugin": "socket",
        "config": { "listen": ":1234" },
        "pcap": "/c/b",
      },
      "net2": { "plugin": "hub", "config": { "id": "lan" } },
      "net3": {
        "plugin": "socket",
        "config": { "unix": "/s", "server": true, "reconnect": 5 },
      },
    },
    "devices": {
      "nic0": {
        "plugin": "e1000",
        ...pci,
        "config": { "slot": 3, "mac": "52:54:00:12:34:56" },
        "backends": { "net": "net0" },
      },
      "nic1": {
        "plugin": "virtio-net-pci",
        ...pci,
        "config": { "slot": 8, "mac": "52:54:00:12:34:57" },
        "backends": { "net": "net1" },
      },
      "nic2": {
        "plugin": "ne2k-pci",
        ...pci,
        "config": { "slot": 9, "mac": "52:54:00:12:34:58" },
        "backends": { "net": "net2" },
      },
      "nic3": {
        "plugin": "e1000",
        ...pci,
        // The next one has been given to another.
        "config": { "slot": 10, "mac": "52:54:00:12:34:59" },
        "backends": { "net": "net3" },
      },
    },
  };
  const body = JSON.stringify(long).slice(1, -1);
  await withMachine(PC, body, async (file) => {
    assertEquals(short, await resolved(file));
  });
});

Deno.test("nics: a program says the same", async () => {
  const option = (text: string) => ["--nic", text];
  const byProgram = await Machine.load(PC, {
    plugins: TABLE,
    serial: ["null"],
    nics: [
      { network: "user", config: { hostfwd: ["tcp::1-:2"] }, model: "virtio" },
      parseNic("hub"),
    ],
  });
  await byProgram.stop();
  const { backends, devices } = await resolved(
    PC,
    ...option("user,hostfwd=tcp::1-:2,model=virtio"),
    ...option("hub"),
  );
  const { definition } = byProgram.plan;
  for (const name of ["net0", "net1"]) {
    assertEquals(
      JSON.parse(JSON.stringify(definition.backends[name])),
      backends[name],
    );
  }
  assertEquals(
    JSON.parse(JSON.stringify(definition.devices.nic1)),
    devices.nic1,
  );
});

Deno.test("nics: where each machine that ships has them, beside its disks", async () => {
  for (
    const [file, nics, drives] of [
      [PC, 4, ["virtio", "virtio", "virtio", "virtio", "ide"]],
      [ISAPC, 4, ["ide", "floppy"]],
      [MICROVM, 2, ["virtio", "virtio"]],
    ] as const
  ) {
    await withFolder(async (folder) => {
      const images = await Promise.all(drives.map(async (kind, i) => {
        const image = join(folder, `${i}`);
        await Deno.writeFile(image, new Uint8Array(512));
        return { file: image, if: kind, format: "raw" };
      }));
      for (const model of Object.keys((await resolved(file)).nics.models)) {
        await using machine = await Machine.load(file, {
          plugins: TABLE,
          drives: images,
          nics: Array(nics).fill({ network: "hub", model }),
        });
        assert(machine.device(`nic${nics - 1}`) !== undefined);
      }
    });
  }
});

Deno.test("nics: none, and those that the definition has", () =>
  withMachine(
    PC,
    `"backends": { "lan": { "plugin": "hub" }, "net1": { "plugin": "hub" } },
    "devices": {
      "nic0": { "plugin": ${JSON.stringify(CARD)},
        "config": { "mac": "52:54:00:12:34:56" },
        "backends": { "net": "lan" } }
    }`,
    async (file) => {
      const more = await resolved(file, "--nic", "hub", "--pcap", "/a");
      assertEquals(more.devices.nic2.config, {
        slot: 9,
        mac: "52:54:00:12:34:57",
      });
      assertEquals(more.backends.lan.pcap, "/a");
      const none = await resolved(file, "--nic", "none");
      const bare = await resolved(PC);
      assertEquals(none.devices, bare.devices);
      assertEquals(none.backends, bare.backends);
    },
  ));

Deno.test("nics: mistakes are one line that says where", async () => {
  const cases: [string, string[], RegExp][] = [
    [
      "",
      ["--nic", "usr"],
      /^--nic usr: there is no network "usr"; did you mean "user"\?$/,
    ],
    [
      "",
      ["--nic", "model=e1000"],
      /^--nic model=e1000: expected a network first, as in "user,model=e1000"$/,
    ],
    ["", ["--nic", ",model=e1000"], /expected a network first/],
    ["", ["--nic="], /^--nic needs a value$/],
    [
      "",
      ["--nic", "user,model=e100"],
      /there is no model "e100"; did you mean "e1000"\?$/,
    ],
    [
      "",
      ["--nic", "user,hostfw=tcp::1-:1"],
      /unknown key "hostfw"; did you mean "hostfwd"\?$/,
    ],
    ["", ["--nic", "user,mdoel=e1000"], /"mdoel"; did you mean "model"\?$/],
    ["", ["--nic", "user,hostfwd"], /: "hostfwd" needs a value$/],
    ["", ["--nic", "user,model="], /: "model" needs a value$/],
    ["", ["--nic", "user,restrict=no"], /restrict: expected "on" or "off"/],
    ["", ["--nic", "user,restrict,restrict"], /"restrict" is there twice$/],
    ["", ["--nic", "user,mac=a,mac=b"], /"mac" is there twice$/],
    [
      "",
      ["--nic", "socket,connect=:1,reconnect=soon"],
      /reconnect: expected a number, not "soon"$/,
    ],
    [
      "",
      ["--nic", "socket,connect=:1,reconnect=-1"],
      /net0\.config\.reconnect: -1 is less than the least, 0$/,
    ],
    [
      "",
      ["--nic", "socket,listen=nowhere"],
      /net0\.config: listen: expected HOST:PORT, not "nowhere"$/,
    ],
    [
      "",
      ["--nic", "user,mac=53:54:00:12:34:56"],
      /mac: expected the address of one card, such as 52:54:00:12:34:56, not/,
    ],
    [
      "",
      ["--nic", "hub,mac=2:0:0:0:0:1"],
      /mac: expected the address of one card/,
    ],
    [
      "",
      [
        ...["--nic", "hub,mac=02:00:00:00:00:0a"],
        ...["--nic", "hub,mac=02:00:00:00:00:0A"],
      ],
      /0A: another card has the address 02:00:00:00:00:0a$/,
    ],
    [
      "",
      Array(5).fill(["--nic", "hub"]).flat(),
      /no place for card 4 of the model "e1000"; the last is 3$/,
    ],
    [
      "",
      ["--nic", "none", "--nic", "hub"],
      /^--nic none: "none" stands alone$/,
    ],
    ["", ["--nic", "none,model=e1000"], /: "none" stands alone$/],
    [
      "",
      ["--pcap", "a"],
      /^--pcap a: the machine has no network: expected --nic, too$/,
    ],
    [
      "",
      ["--nic", "hub", "--pcap", "a", "--pcap", "b"],
      /^--pcap b: the machine has no network 1; the last is 0$/,
    ],
    [
      "",
      ["--nic", "hub,pcap=/a", "--nic", "hub,pcap=/a"],
      /net1\.pcap: the frames of "net0" are already captured to "\/a"$/,
    ],
    [
      '"backends": { "debug": { "pcap": "a" } }',
      [],
      /m\.json:2: backends\.debug\.pcap: backend "debug" is a char backend: only/,
    ],
    [
      '"nics": { "default": "e100" }',
      [],
      /m\.json:2: nics\.default: there is no model "e100"; did you mean "e1000"/,
    ],
    [
      '"nics": { "modls": {} }',
      ["--nic", "hub"],
      /m\.json:2: nics\.modls: unknown key "modls"; did you mean "models"\?$/,
    ],
    [
      '"nics": null',
      ["--nic", "hub"],
      /^--nic hub: the machine has no place for a network card$/,
    ],
    [
      '"nics": { "models": { "e1000": { "device": { "plugin": "e2000" } } } }',
      ["--nic", "hub"],
      /m\.json:2: devices\.nic0\.plugin: there is no device plugin "e2000"/,
    ],
  ];
  for (const [body, flags, message] of cases) {
    await withMachine(PC, body || '"name": "m"', async (file) => {
      const { status, messages } = await rhea(file, ...flags);
      assertEquals([status, messages.length], [2, 1], flags.join(" "));
      assertMatch(messages[0], message);
    });
  }
});

Deno.test("nics: permissions name the network, the socket and the capture", async () => {
  const { out } = await rhea(
    ...["permissions", PC, "--nic", "user", "--nic", "socket,listen=:1234"],
    ...["--nic", "socket,unix=/s", "--pcap", "/c/a"],
  );
  const [, write, net] = out.trim().split("\n");
  assertEquals(write, "--allow-write=/c/a,/s");
  assertEquals(net, "--allow-net=127.0.0.1:1234,unix:/s,user");
});

Deno.test("nics: a card by path, in a network by path", () =>
  withMachine(
    MICROVM,
    `"nics": { "default": "echo", "models": { "echo": {
      "device": { "plugin": ${JSON.stringify(CARD)} }, "places": [{}] } } }`,
    async (file) => {
      const hub = join(ROOT, "plugins/net/hub.ts");
      await using machine = await Machine.load(file, {
        nics: [parseNic(`${hub},id=path`)],
      });
      assertEquals(machine.plan.backends.at(-1)?.plugin.name, "hub");
    },
  ));
