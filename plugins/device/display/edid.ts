/**
 * The monitor's description of itself.
 *
 * Source: VESA Enhanced Extended Display Identification Data Standard, release A
 * revision 2 (EDID 1.4), chapter 3; timings by VESA Coordinated Video Timings
 * 1.1, "reduced blanking".
 *
 * @module
 */

const BYTES = 128;
/** Reduced blanking: pixels of blanking, before the pulse, of the pulse. */
const H_BLANK = 160;
const H_FRONT = 48;
const H_SYNC = 32;
/** Lines before the pulse and of it, and the least of blanking. */
const V_FRONT = 3;
const V_SYNC = 6;
const MIN_V_BLANK_US = 460;
const REFRESH_HZ = 60;
/** Dots of an inch, for the size of the screen in millimetres. */
const DOTS_PER_INCH = 96;
/** Standard timings at 60 Hz: pixels, and the code of the aspect ratio. */
const STANDARD: readonly (readonly [number, number])[] = [
  [1920, 0], // 1920x1200, 16:10
  [1920, 3], // 1920x1080, 16:9
  [1680, 0], // 1680x1050
  [1600, 1], // 1600x1200, 4:3
  [1440, 0], // 1440x900
  [1280, 2], // 1280x1024, 5:4
  [1280, 0], // 1280x800
  [1280, 3], // 1280x720
];

/** A monitor that prefers this mode, up to 1920x1200. */
export function edid(width: number, height: number): Uint8Array {
  const block = new Uint8Array(BYTES);
  const millimetres = (dots: number): number =>
    Math.round(dots * 25.4 / DOTS_PER_INCH);
  const size = [millimetres(width), millimetres(height)];
  block.set([0, 255, 255, 255, 255, 255, 255, 0]);
  // "RHE", five bits a letter; product 1, no serial number; week 1 of 2024.
  const vendor = "RHE".split("").reduce(
    (sum, letter) => sum << 5 | letter.charCodeAt(0) - 64,
    0,
  );
  block.set([vendor >> 8, vendor & 255, 1, 0, 0, 0, 0, 0, 1, 34, 1, 4], 8);
  // Digital, 8 bits a colour, DisplayPort; centimetres; gamma 2.2; sRGB, and
  // the first detailed timing is the native mode.
  block.set([
    0xa5,
    Math.round(size[0] / 10),
    Math.round(size[1] / 10),
    120,
    0x06,
  ], 20);
  // sRGB's primaries and white point.
  block.set([0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54], 25);
  // 640x480, 800x600 and 1024x768, all at 60 Hz.
  block.set([0x21, 0x08, 0x00], 35);
  STANDARD.forEach(([pixels, aspect], i) => {
    block.set([pixels / 8 - 31, aspect << 6 | REFRESH_HZ - 60], 38 + 2 * i);
  });
  block.set(detailedTiming(width, height, size), 54);
  // Limits: 50 to 75 Hz, 30 to 90 kHz, 200 MHz; no formula.
  const limits = [50, 75, 30, 90, 20, 1, 10, 32, 32, 32, 32, 32, 32];
  block.set([0, 0, 0, 0xfd, 0, ...limits], 72);
  block.set([0, 0, 0, 0xfc, 0, ...text("Rhea Monitor")], 90);
  // Nothing.
  block.set([0, 0, 0, 0x10], 108);
  block[127] = -block.reduce((sum, byte) => sum + byte, 0);
  return block;
}

/** Thirteen characters, ended by a line feed. */
function text(value: string): number[] {
  const bytes = Array.from(`${value}\n`, (c) => c.charCodeAt(0));
  return [...bytes, ...new Array(13).fill(32)].slice(0, 13);
}

/** A detailed timing descriptor (3.10.2). */
function detailedTiming(
  width: number,
  height: number,
  [across, down]: readonly number[],
): number[] {
  const lineUs = (1e6 / REFRESH_HZ - MIN_V_BLANK_US) / height;
  const blank = Math.max(
    Math.floor(MIN_V_BLANK_US / lineUs) + 1,
    V_FRONT + V_SYNC + 6,
  );
  const total = (width + H_BLANK) * (height + blank);
  // In units of 10 kHz.
  const clock = Math.round(total * REFRESH_HZ / 10_000);
  return [
    ...[clock & 255, clock >> 8],
    ...[width & 255, H_BLANK, width >> 8 << 4 | H_BLANK >> 8],
    ...[height & 255, blank & 255, height >> 8 << 4 | blank >> 8],
    ...[H_FRONT, H_SYNC, V_FRONT << 4 | V_SYNC, 0],
    ...[across & 255, down & 255, across >> 8 << 4 | down >> 8],
    // No border; separate pulses, the horizontal one positive.
    ...[0, 0, 0x1a],
  ];
}
