import { assertEquals, assertMatch } from "@std/assert";
import { differences } from "./identity.ts";

Deno.test("differences of machines are named, devices first, and not all", () => {
  const device = (plugin: string, version: string, config = {}) => ({
    plugin,
    version,
    config,
  });
  const saved = {
    cpu: { count: 1 },
    devices: {
      nic: device("e1000", "1.0.0"),
      disk: device("ide", "1.0.0", { serial: "A" }),
      pic: device("i8259", "1.0.0"),
    },
    order: ["nic", "disk", "pic"],
  };
  assertEquals(differences(saved, structuredClone(saved)), undefined);
  const { nic: _, ...rest } = saved.devices;
  const here = {
    ...saved,
    devices: {
      ...rest,
      disk: device("ide", "1.0.0", { serial: "B" }),
      pic: device("i8259", "1.1.0"),
    },
  };
  assertEquals(
    differences(saved, here),
    'it has a device "nic" (e1000), this one has none; its device "pic" is ' +
      'of i8259 1.0.0, here of 1.1.0; device "disk": config.serial was "A", ' +
      'here it is "B"',
  );
  assertMatch(
    differences(saved, { ...saved, order: ["disk", "nic", "pic"] }) ?? "",
    /^order was/,
  );
  const many = Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [`d${i}`, device("x", "1.0.0")]),
  );
  assertMatch(
    differences({ devices: many }, { devices: {} }) ?? "",
    /and 5 more$/,
  );
});
