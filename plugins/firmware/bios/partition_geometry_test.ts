import { assertEquals } from "@std/assert";
import { partitionGeometry } from "./partition_geometry.ts";

type Place = readonly [cylinder: number, head: number, sector: number];

/** A first sector with one partition. */
function table(
  start: Place,
  end: Place,
  begin: number,
  count: number,
  entry = 0,
): Uint8Array {
  const sector = new Uint8Array(512);
  const view = new DataView(sector.buffer);
  const at = 0x1be + 16 * entry;
  const put = (offset: number, [cylinder, head, low]: Place): void => {
    sector[offset] = head;
    sector[offset + 1] = cylinder >> 2 & 0xc0 | low;
    sector[offset + 2] = cylinder & 0xff;
  };
  put(at + 1, start);
  put(at + 5, end);
  view.setUint32(at + 8, begin, true);
  view.setUint32(at + 12, count, true);
  view.setUint16(510, 0xaa55, true);
  return sector;
}

Deno.test("partition geometry: of partitions that end at a cylinder's end", () => {
  const total = 306 * 4 * 17;
  const count = total - 17;
  const sector = table([0, 1, 1], [305, 3, 17], 17, count);
  const expected = { cylinders: 306, heads: 4, sectors: 17 };
  assertEquals(partitionGeometry(sector, total), expected);
  // In another entry; the disk has some sectors more than its cylinders.
  const third = table([0, 1, 1], [305, 3, 17], 17, count, 2);
  assertEquals(partitionGeometry(third, total + 60), expected);
  // 255 heads, as disks beyond 504 MiB have.
  const large = table([0, 1, 1], [99, 254, 63], 63, 100 * 255 * 63 - 63);
  assertEquals(partitionGeometry(large, 200 * 255 * 63), {
    cylinders: 200,
    heads: 255,
    sectors: 63,
  });
});

Deno.test("partition geometry: none in tables whose ends tell nothing", () => {
  const total = 40 * 16 * 63;
  const none = (sector: Uint8Array): void =>
    assertEquals(partitionGeometry(sector, total), undefined);
  none(new Uint8Array(512));
  // From 1 MiB to anywhere, as programs of today make them.
  none(table([0, 32, 33], [2, 130, 10], 2048, 38_000));
  // The end is not where the geometry has it, or beyond the disk.
  none(table([0, 1, 1], [38, 15, 63], 63, total - 63));
  none(table([0, 1, 1], [305, 3, 17], 17, 305 * 68 + 51 + total));
  // Sector 0; a protective table; 256 heads; no signature.
  none(table([0, 1, 0], [39, 15, 63], 62, total - 62));
  none(table([0, 0, 2], [1023, 255, 63], 1, 0xffffffff));
  none(table([0, 0, 1], [0, 255, 63], 0, 256 * 63));
  const unsigned = table([0, 1, 1], [39, 15, 63], 63, total - 63);
  assertEquals(partitionGeometry(unsigned, total)?.heads, 16);
  unsigned[510] = 0;
  none(unsigned);
});
