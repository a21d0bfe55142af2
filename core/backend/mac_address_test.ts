import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../machine/plugin.ts";
import { formatMac, macAddress } from "./mac_address.ts";

const text = (mac: string | undefined, name: string): string =>
  formatMac(macAddress(mac, name));

Deno.test("mac address: as configured, or by the device's name", () => {
  assertEquals(text("02:00:00:AB:cd:0f", "net3"), "02:00:00:ab:cd:0f");
  assertEquals(text("02-00-00-ab-cd-0f", "net3"), "02:00:00:ab:cd:0f");
  assertEquals(text(undefined, "net0"), "52:54:00:12:34:56");
  assertEquals(text(undefined, "card"), "52:54:00:12:34:56");
  // This is no number of a card.
  assertEquals(text(undefined, "e1000"), "52:54:00:12:34:56");
  assertEquals(text(undefined, "net12"), "52:54:00:12:34:62");
  assertEquals(text(undefined, "net170"), "52:54:00:12:35:00");
});

Deno.test("mac address: what no card can have is refused", () => {
  for (
    const mac of [
      ...["", "52:54:00:12:34", "52:54:00:12:34:5g", "525400123456"],
      ...["01:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"],
      "52:54:00:12:34:56:78",
    ]
  ) assertThrows(() => macAddress(mac, "net0"), ConfigError);
});
