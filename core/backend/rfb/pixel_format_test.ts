import { assertEquals } from "@std/assert";
import {
  formatBytes,
  NATIVE_FORMAT,
  parseFormat,
  PixelConverter,
  type PixelFormat,
} from "./pixel_format.ts";

/** The bytes of a pixel as they are sent, and those of a compressed one. */
function sent(format: PixelFormat, pixel: number): [string, string] {
  const converter = new PixelConverter(format);
  const word = new Uint8Array(4);
  new DataView(word.buffer).setUint32(0, converter.convert(pixel), true);
  const bytes = word.subarray(0, format.bytes);
  const { bytes: count, first } = converter.compressed;
  return [bytes.toHex(), bytes.subarray(first, first + count).toHex()];
}

Deno.test("pixels: in both byte orders, whole and compressed (RFC 6143, 7.7.5)", () => {
  const shifts = { low: [16, 8, 0], high: [24, 16, 8] } as const;
  const cases: [keyof typeof shifts, boolean, string, string][] = [
    ["low", false, "33221100", "332211"],
    ["low", true, "00112233", "112233"],
    ["high", false, "00332211", "332211"],
    ["high", true, "11223300", "112233"],
  ];
  for (const [where, bigEndian, whole, compressed] of cases) {
    const format = { ...NATIVE_FORMAT, bigEndian, shift: shifts[where] };
    assertEquals(sent(format, 0x112233), [whole, compressed]);
  }
  // Colours all over the pixel, or deeper than 24 bits: nothing is left out.
  const apart = { ...NATIVE_FORMAT, shift: [24, 8, 0] as const };
  assertEquals(sent(apart, 0x112233), ["33220011", "33220011"]);
  const deep = { ...NATIVE_FORMAT, depth: 32 };
  assertEquals(sent(deep, 0x112233), ["33221100", "33221100"]);
});

Deno.test("pixels: of 16 and 8 bits, and numbers of colours", () => {
  const rgb565 = {
    ...NATIVE_FORMAT,
    bytes: 2,
    depth: 16,
    max: [31, 63, 31],
    shift: [11, 5, 0],
  } as const;
  assertEquals(sent(rgb565, 0xff0000)[0], "00f8");
  assertEquals(sent({ ...rgb565, bigEndian: true }, 0xff0000)[0], "f800");
  assertEquals(sent(rgb565, 0x00ff00)[0], "e007");
  const map = { ...NATIVE_FORMAT, bytes: 1, depth: 8, trueColour: false };
  assertEquals(sent(map as PixelFormat, 0xffffff)[0], "ff");
  assertEquals(sent(map as PixelFormat, 0x0000ff)[0], "03");
});

Deno.test("pixels: formats are read as they are written, and refused", () => {
  const bytes = formatBytes(NATIVE_FORMAT);
  const view = new DataView(bytes.buffer);
  assertEquals(parseFormat(view), NATIVE_FORMAT);
  bytes[10] = 32;
  assertEquals(parseFormat(view), undefined, "a shift beyond the pixel");
  bytes[10] = 16;
  for (const bits of [0, 7, 24, 64]) {
    bytes[0] = bits;
    assertEquals(parseFormat(view), undefined, `${bits} bits`);
  }
});
