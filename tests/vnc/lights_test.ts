/** Viewers that want them get the lights of the guest's keyboard. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../mod.ts";
import { VncDisplay } from "../../plugins/display/vnc/vnc.ts";
import { FakeScreen } from "./fake_screen.ts";
import { freePort } from "./free_port.ts";
import { WireViewer } from "./wire_viewer.ts";

const ISAPC = fromFileUrl(
  new URL("../../machines/isapc.json", import.meta.url),
);
const ECHO = fromFileUrl(new URL("../fixtures/echo.elf", import.meta.url));

const RAW = 0;
/** QEMU's pseudo-encoding: the RFB protocol's community version, 7.8.19. */
const LIGHTS = -261 >>> 0;
const AREA = { x: 0, y: 0, width: 8, height: 4 };

/** The next update: lights, or how many bytes of pixels. */
async function update(viewer: WireViewer): Promise<string[]> {
  await viewer.request(true, AREA);
  const head = await viewer.reader.take(4);
  assertEquals(head.getUint8(0), 0);
  const told: string[] = [];
  for (let n = head.getUint16(2); n > 0; n--) {
    const rectangle = await viewer.reader.take(12);
    if (rectangle.getUint32(8) === LIGHTS) {
      told.push(`lights ${(await viewer.reader.take(1)).getUint8(0)}`);
    } else {
      assertEquals(rectangle.getUint32(8), RAW);
      const size = rectangle.getUint16(4) * rectangle.getUint16(6) * 4;
      await viewer.reader.take(size);
      told.push(`pixels ${size}`);
    }
  }
  return told;
}

/** Say which encodings are understood. */
async function encodings(viewer: WireViewer, ...list: number[]): Promise<void> {
  await viewer.message(
    ...[["u8", 2], ["u8", 0], ["u16", list.length]] as ["u8", number][],
    ...list.map((one): ["u32", number] => ["u32", one]),
  );
}

Deno.test("vnc: the keyboard's lights", async () => {
  const display = new VncDisplay(
    { address: "127.0.0.1", port: 0, shared: true },
    { log: { guest() {}, warn() {} } },
  );
  display.picture(new FakeScreen(8, 4));
  display.input.leds(2);
  const knows = await WireViewer.begin(display.port);
  const other = await WireViewer.begin(display.port);
  try {
    await encodings(knows, RAW, LIGHTS);
    await encodings(other, RAW);
    assertEquals(await update(other), ["pixels 128"]);
    assertEquals(await update(knows), ["lights 2", "pixels 128"]);
    // Told as soon as they change, and only what is new.
    const next = update(knows);
    display.input.leds(2);
    display.input.leds(4);
    assertEquals(await next, ["lights 4"]);
    // Who asks anew for them is told anew.
    await encodings(knows, RAW);
    await encodings(knows, RAW, LIGHTS);
    assertEquals(await update(knows), ["lights 4"]);
  } finally {
    knows.close();
    other.close();
    await display.close();
  }
});

Deno.test("vnc: a machine's keyboard has lights", async () => {
  const port = freePort();
  await using machine = await Machine.load(ISAPC, {
    kernel: ECHO,
    serial: ["memory"],
    display: `vnc=127.0.0.1::${port}`,
  });
  const ports = machine.space("ports");
  for (const byte of [0xed, 0x05]) ports.write(0x60, 1, byte);
  const viewer = await WireViewer.begin(port);
  try {
    await encodings(viewer, RAW, LIGHTS);
    assertEquals((await update(viewer))[0], "lights 5");
  } finally {
    viewer.close();
  }
});
