import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../machine/plugin.ts";
import { macAddress } from "./mac_address.ts";

const text = (mac: string | undefined, name: string): string =>
  macAddress(mac, name).toHex();

Deno.test("mac address: as configured, or by the device's name", () => {
  assertEquals(text("02:00:00:AB:cd:0f", "net3"), "020000abcd0f");
  assertEquals(text("02-00-00-ab-cd-0f", "net3"), "020000abcd0f");
  assertEquals(text(undefined, "net0"), "525400123456");
  assertEquals(text(undefined, "card"), "525400123456");
  // This is no number of a card.
  assertEquals(text(undefined, "e1000"), "525400123456");
  assertEquals(text(undefined, "net12"), "525400123462");
  assertEquals(text(undefined, "net170"), "525400123500");
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
