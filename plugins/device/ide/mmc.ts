/**
 * What a CD-ROM drive answers: the tables of MMC-5 (T10/1675D) and SPC-3
 * (T10/1416D), as bytes. Big-endian, unlike everything of ATA.
 *
 * @module
 */

import type { Identity } from "./identify.ts";

/** Bytes of a block of user data. */
export const CD_BLOCK = 2048;
/** Bytes of a block with its sync, header and correction (ECMA-130). */
export const RAW_BLOCK = 2352;
/** Address of logical block 0: two seconds, 75 blocks each. */
const MSF_OFFSET = 150;
/** The blocks of the longest CD, 80 minutes; what has more is a DVD. */
const CD_MAX_BLOCKS = 80 * 60 * 75;
/** The track number of the lead-out. */
const LEAD_OUT = 0xaa;
/** ADR 1 (position), control 4 (data track). */
const DATA_TRACK = 0x14;

/** Big-endian bytes of a number. */
export function be(value: number, bytes: number): number[] {
  const out: number[] = [];
  for (let i = bytes - 1; i >= 0; i--) {
    out.push(Math.floor(value / 2 ** (8 * i)) & 0xff);
  }
  return out;
}

/** Minute, second and frame of a block. */
function msf(block: number): number[] {
  const frame = block + MSF_OFFSET;
  return [Math.floor(frame / 4500), Math.floor(frame / 75) % 60, frame % 75];
}

/** Put the length of what follows in the first two bytes. */
function withLength(...bytes: number[]): Uint8Array {
  return new Uint8Array([...be(bytes.length, 2), ...bytes]);
}

function ascii(text: string, length: number): number[] {
  return Array.from(text.padEnd(length).slice(0, length), (c) => {
    const code = c.charCodeAt(0);
    return code >= 0x20 && code < 0x7f ? code : 0x20;
  });
}

/** Standard INQUIRY data (SPC-3): a removable CD device, MMC-3. */
export function inquiry(identity: Identity): Uint8Array {
  return new Uint8Array([
    0x05,
    0x80,
    0x00,
    0x21,
    31,
    0,
    0,
    0,
    ...ascii("RHEA", 8),
    ...ascii(identity.model, 16),
    ...ascii(identity.firmware, 4),
  ]);
}

/** Fixed format sense data (SPC-3). */
export function senseData(key: number, asc: number): Uint8Array {
  const bytes = new Uint8Array(18);
  bytes[0] = 0x70;
  bytes[2] = key;
  bytes[7] = bytes.length - 8;
  bytes[12] = asc;
  return bytes;
}

/**
 * READ TOC/PMA/ATIP (MMC-5), formats 0, 1 and 2, of a disc with one data
 * track; undefined for another format or track.
 */
export function toc(
  format: number,
  inMsf: boolean,
  first: number,
  blocks: number,
): Uint8Array | undefined {
  const address = (block: number): number[] =>
    inMsf ? [0, ...msf(block)] : be(block, 4);
  switch (format) {
    case 0: {
      if (first > 1 && first !== LEAD_OUT) return undefined;
      const track = first <= 1 ? [0, DATA_TRACK, 1, 0, ...address(0)] : [];
      const leadOut = [0, DATA_TRACK, LEAD_OUT, 0, ...address(blocks)];
      return withLength(1, 1, ...track, ...leadOut);
    }
    case 1:
      return withLength(1, 1, 0, DATA_TRACK, 1, 0, ...address(0));
    case 2: {
      const entry = (
        point: number,
        place: number[],
      ): number[] => [1, DATA_TRACK, 0, point, 0, 0, 0, 0, ...place];
      return withLength(
        1,
        1,
        ...entry(0xa0, [1, 0, 0]),
        ...entry(0xa1, [1, 0, 0]),
        ...entry(0xa2, msf(blocks)),
        ...entry(1, msf(0)),
      );
    }
    default:
      return undefined;
  }
}

/** The mode pages (MMC-5; 0Dh is of MMC-1), current values. */
function pages(locked: boolean): number[][] {
  return [
    // Error recovery: five retries.
    [0x01, 6, 0, 5, 0, 0, 0, 0],
    // CD device parameters: 60 seconds a minute, 75 frames a second.
    [0x0d, 6, 0, 0x0b, 0, 60, 0, 75],
    // Audio control: both channels at full volume.
    [0x0e, 14, 4, 0, 0, 0, 0, 75, 1, 0xff, 2, 0xff, 0, 0, 0, 0],
    // Capabilities: reads CD-R, CD-RW, DVD-ROM; tray, eject, lock; 1x is
    // 176 KB/s: 50x, 2 volume levels, 512 KB of buffer.
    [
      0x2a,
      18,
      0x0b,
      0,
      0x70,
      0,
      locked ? 0x2b : 0x29,
      0,
      ...be(50 * 176, 2),
      ...be(2, 2),
      ...be(512, 2),
      ...be(50 * 176, 2),
      0,
      0,
      0,
      0,
    ],
  ];
}

/**
 * MODE SENSE(10) (SPC-3) of one page or all (3Fh); undefined for a page
 * that is not there. `control`: 0 current, 1 changeable, 2 default values.
 */
export function modeSense(
  page: number,
  control: number,
  state: { readonly locked: boolean; readonly medium: boolean },
): Uint8Array | undefined {
  const found = pages(state.locked && control === 0)
    .filter(([code]) => page === 0x3f || page === code);
  if (found.length === 0) return undefined;
  const values = found.flatMap(([code, length, ...rest]) => [
    code,
    length,
    ...rest.map((value) => control === 1 ? 0 : value),
  ]);
  // Medium type: 120 mm data disc, or none.
  return withLength(state.medium ? 0x01 : 0x70, 0, 0, 0, 0, 0, ...values);
}

/** Which features GET CONFIGURATION is to tell: its RT field. */
const RT_CURRENT = 1;
const RT_ONE = 2;

/** GET CONFIGURATION (MMC-5). `blocks` is 0 without a medium. */
export function configuration(
  rt: number,
  start: number,
  blocks: number,
): Uint8Array {
  const [CD_ROM, DVD_ROM] = [0x0008, 0x0010];
  const [hasCd, hasDvd] = [
    blocks > 0 && blocks <= CD_MAX_BLOCKS,
    blocks > CD_MAX_BLOCKS,
  ];
  const profile = hasDvd ? DVD_ROM : hasCd ? CD_ROM : 0;
  const features: [
    code: number,
    version: number,
    current: boolean,
    number[],
  ][] = [
    // Profile list.
    [0x0000, 0, true, [
      ...be(DVD_ROM, 2),
      Number(hasDvd),
      0,
      ...be(CD_ROM, 2),
      Number(hasCd),
      0,
    ]],
    // Core: ATAPI is physical interface 2.
    [0x0001, 2, true, [...be(2, 4), 1, 0, 0, 0]],
    // Morphing: no asynchronous events.
    [0x0002, 1, true, [0, 0, 0, 0]],
    // Removable medium: tray, eject, lock.
    [0x0003, 0, true, [0x29, 0, 0, 0]],
    // Random readable, one block a transfer.
    [0x0010, 0, blocks > 0, [...be(CD_BLOCK, 4), ...be(1, 2), 1, 0]],
    // CD read.
    [0x001e, 2, hasCd, [0, 0, 0, 0]],
    // DVD read.
    [0x001f, 0, hasDvd, []],
  ];
  const PERSISTENT_UNTIL = 0x0003;
  const told = features.filter(([code, _version, current]) =>
    rt === RT_ONE
      ? code === start
      : code >= start && (rt !== RT_CURRENT || current)
  ).flatMap(([code, version, current, data]) => [
    ...be(code, 2),
    version << 2 | (code <= PERSISTENT_UNTIL ? 2 : 0) | Number(current),
    data.length,
    ...data,
  ]);
  return new Uint8Array([
    ...be(4 + told.length, 4),
    0,
    0,
    ...be(profile, 2),
    ...told,
  ]);
}

/** GET EVENT STATUS NOTIFICATION: the number of the media class. */
const MEDIA_CLASS = 4;

/**
 * GET EVENT STATUS NOTIFICATION (MMC-5): an event of the media class and the
 * medium's status, or only a header when `classes` does not ask for it.
 */
export function eventStatus(
  classes: number,
  event: number,
  status: number,
): Uint8Array {
  const supported = 1 << MEDIA_CLASS;
  // No event available.
  if ((classes & supported) === 0) return withLength(0x80, supported);
  return withLength(MEDIA_CLASS, supported, event, status, 0, 0);
}

/** READ DISC INFORMATION (MMC-5): one finished session. */
export function discInformation(): Uint8Array {
  const bytes = new Uint8Array(34);
  // Length; complete disc and session; track and session numbers.
  bytes.set([0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
  return bytes;
}

/** A block with sync pattern, header and no correction (mode 1). */
export function rawBlock(lba: number, data: Uint8Array): Uint8Array {
  const raw = new Uint8Array(RAW_BLOCK);
  raw.fill(0xff, 1, 11);
  const bcd = (value: number): number =>
    Math.floor(value / 10) % 10 << 4 | value % 10;
  raw.set([...msf(lba).map(bcd), 1], 12);
  raw.set(data, 16);
  return raw;
}
