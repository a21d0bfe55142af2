import { assert, assertEquals } from "@std/assert";
import { ConditionalTranslations } from "./conditional.ts";
import { STORES_DIRECT, STORES_NONE, Tlb } from "./tlb.ts";
import {
  OFF_FETCH_PHYSICAL,
  OFF_WIDE_FETCH_TLBS,
  TLB_ENTRIES,
  TLB_READ,
  TLB_WRITE,
} from "../exec/layout.ts";

const PAGE = 4096;
/** Pages this far apart share an entry. */
const APART = TLB_ENTRIES * PAGE;

/** Both kinds of TLB, with some address. */
const KINDS = [
  { isWide: false, at: 0x5000, bytes: OFF_FETCH_PHYSICAL + 0x10000 },
  {
    isWide: true,
    at: 0x7f12_0000_5000,
    bytes: OFF_WIDE_FETCH_TLBS + 0x40000,
  },
];

for (const { isWide, at, bytes } of KINDS) {
  const kind = isWide ? "wide" : "narrow";
  const make = () => {
    const tlb = new Tlb(new ArrayBuffer(bytes), 0, isWide);
    const conditional = new ConditionalTranslations();
    /** The page so many after `at`, in host memory at its number. */
    const fill = (n: number, stores = STORES_DIRECT): void => {
      conditional.note(at + n * PAGE);
      const host = (n + 1) * 0x10000;
      tlb.fill(at + n * PAGE, 0, n + 1, false, host, true, stores);
    };
    const find = (n: number, access = TLB_READ): number =>
      tlb.find(at + n * PAGE, 4, 0, access);
    return { tlb, conditional, fill, find };
  };

  Deno.test(`conditional translations, ${kind}: gone with the condition, and back with it`, () => {
    const { tlb, conditional, fill, find } = make();
    assert(!conditional.begin(tlb));
    fill(0);
    fill(1, STORES_NONE);
    tlb.fill(at + 2 * PAGE, 0, 3, false, 0x30000, true, STORES_DIRECT);
    for (let round = 0; round < 3; round++) {
      assertEquals([find(0), find(1), find(2)], [0x10000, 0x20000, 0x30000]);
      assert(conditional.end(tlb, undefined));
      assertEquals([find(0), find(1), find(2)], [0, 0, 0x30000]);
      assertEquals(find(0, TLB_WRITE), 0);
      assert(conditional.begin(tlb));
      assertEquals([find(0, TLB_WRITE), find(1, TLB_WRITE)], [0x10000, 0]);
      assertEquals(tlb.page(at + PAGE, 0), 2);
    }
    // A flush finds what was put back.
    tlb.flush(true);
    assertEquals([find(0), find(1), find(2)], [0, 0, 0]);
  });

  Deno.test(`conditional translations, ${kind}: what is forgotten does not come back`, () => {
    const { tlb, conditional, fill, find } = make();
    fill(0);
    conditional.end(tlb, undefined);
    conditional.forget();
    assert(!conditional.begin(tlb));
    assertEquals(find(0), 0);
    // Its place is in use.
    fill(0);
    conditional.end(tlb, undefined);
    tlb.fill(at + APART, 0, 9, false, 0x90000, true, STORES_NONE);
    assert(!conditional.begin(tlb));
    assertEquals(tlb.find(at + APART, 4, 0, TLB_READ), 0x90000);
    // The last of many.
    for (let n = 1; n < 16; n++) fill(n);
    assert(conditional.end(tlb, undefined));
    for (let n = 1; n < 16; n++) assertEquals(find(n), 0);
    assert(conditional.begin(tlb));
    assertEquals([find(11), find(12), find(15)], [0, 0xd0000, 0x100000]);
    // More than are known.
    for (let n = 1; n < 17; n++) fill(n);
    assert(!conditional.end(tlb, undefined), "all must be forgotten");
  });

  Deno.test(`conditional translations, ${kind}: victims and the other TLB`, () => {
    const { tlb, conditional, fill, find } = make();
    const other = new Tlb(new ArrayBuffer(OFF_FETCH_PHYSICAL + 0x10000), 0);
    fill(0);
    other.fill(at, 0, 1, false, 0x10000, true, STORES_DIRECT);
    // It is the victim of another page.
    tlb.fill(at + APART, 0, 9, false, 0x90000, true, STORES_NONE);
    conditional.end(tlb, other);
    assertEquals(tlb.swapVictim(at, 0, TLB_READ), 0);
    assertEquals(find(0), 0);
    if (!isWide) assertEquals(other.find(at, 4, 0, TLB_READ), 0);
    assert(!conditional.begin(tlb));
  });
}
