import { assert, assertEquals } from "@std/assert";
import { OFF_FETCH_PHYSICAL, TLB_READ, TLB_WRITE } from "../exec/layout.ts";
import {
  FETCH_TLB_BYTES,
  OFF_WIDE_FETCH_TLBS,
  TLB_COUNT,
  TLB_ENTRIES,
  WIDE_FETCH_TLB_BYTES,
} from "../exec/layout.ts";
import {
  ALL_MMUS,
  STORES_CODE,
  STORES_DIRECT,
  STORES_NONE,
  Tlb,
} from "./tlb.ts";

const PAGE = 4096;
/** Pages this far apart share an entry. */
const APART = TLB_ENTRIES * PAGE;

/** TLBs of addresses of 32 bits, and of 64: these begin at `far`. */
const KINDS = [
  { kind: "TLB", isWide: false, far: 0 },
  { kind: "wide TLB", isWide: true, far: 0x7f12_0000_0000 },
];

function makeTlb(isWide: boolean): Tlb {
  const bytes = isWide
    ? OFF_WIDE_FETCH_TLBS + 2 * TLB_COUNT * WIDE_FETCH_TLB_BYTES
    : OFF_FETCH_PHYSICAL + TLB_COUNT * FETCH_TLB_BYTES;
  return new Tlb(new ArrayBuffer(bytes), 0, isWide);
}

for (const { kind, isWide, far } of KINDS) {
  Deno.test(`${kind}: a page that gave way to another comes back from the victims`, () => {
    const tlb = makeTlb(isWide);
    tlb.fill(far + 0x5000, 0, 1, false, 0x10000, true, STORES_DIRECT);
    tlb.fill(far + 0x5000 + APART, 0, 2, false, 0x20000, true, STORES_NONE);
    assertEquals(tlb.find(far + 0x5004, 4, 0, TLB_READ), 0);
    assertEquals(tlb.swapVictim(far + 0x5004, 1, TLB_READ), 0);
    assertEquals(tlb.swapVictim(far + 0x5004, 0, TLB_WRITE), 0x10000);
    assertEquals(tlb.find(far + 0x5ffc, 4, 0, TLB_WRITE), 0x10ffc);
    assertEquals(tlb.find(far + 0x5ffd, 4, 0, TLB_WRITE), 0);
    assertEquals(tlb.page(far + 0x5004, 0), 1);
    assertEquals(tlb.swapVictim(far + 0x5000 + APART, 0, TLB_WRITE), 0);
    assertEquals(tlb.swapVictim(far + 0x5000 + APART, 0, TLB_READ), 0x20000);
  });

  Deno.test(`${kind}: a flush tells which TLBs' fetches it forgot`, () => {
    const tlb = makeTlb(isWide);
    tlb.fillFetch(far + 0x5000, 0, 1, true, 0x10000, true);
    tlb.fillFetch(far + 0x6000, 1, 2, false, 0x20000, true);
    tlb.fillFetch(far + 0x7000, 1, 3, false, 0x30000, false);
    assert(!tlb.hasFetch(far + 0x7000, 1));
    assertEquals(tlb.flush(true), 2);
    assert(tlb.hasFetch(far + 0x5abc, 0) && !tlb.hasFetch(far + 0x6000, 1));
    assertEquals([
      tlb.fetchPage(far + 0x5abc, 0),
      tlb.fetchHost(far + 0x5abc, 0),
    ], [
      1,
      0x10000,
    ]);
    assertEquals(tlb.flush(true), 0);
    assertEquals(tlb.flush(false), ALL_MMUS);
    assert(!tlb.hasFetch(far + 0x5abc, 0));
  });

  Deno.test(`${kind}: what it finds is what was entered and not forgotten since`, () => {
    interface Entered {
      page: number;
      isGlobal: boolean;
      host: number;
      isReadable: boolean;
      stores: number;
    }
    let seed = 1;
    const below = (n: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return Math.floor(seed / 4294967296 * n);
    };
    const tlb = makeTlb(isWide);
    // By page address plus number of the TLB.
    const model = new Map<number, Entered>();
    // Of the wide ones, some differ in their high halves alone.
    const someAddress = () =>
      far + below(isWide ? 2 : 1) * 2 ** 32 +
      (0x5000 + below(3) * PAGE + below(4) * APART);
    const found = { loads: 0, stores: 0, code: 0, victims: 0 };
    for (let step = 0; step < 200_000; step++) {
      const address = someAddress(), mmu = below(TLB_COUNT);
      const page = 1 + below(5);
      switch (below(40)) {
        case 0: {
          const keepGlobal = below(2) === 1;
          tlb.flush(keepGlobal);
          for (const [key, { isGlobal }] of model) {
            if (!keepGlobal || !isGlobal) model.delete(key);
          }
          break;
        }
        case 1:
          tlb.flushPage(address);
          for (let m = 0; m < TLB_COUNT; m++) model.delete(address + m);
          break;
        case 2:
          tlb.protect(page);
          for (const entered of model.values()) {
            if (entered.page === page && entered.stores === STORES_DIRECT) {
              entered.stores = STORES_CODE;
            }
          }
          break;
        case 3:
          tlb.refuseStores(page, page + 2);
          for (const entered of model.values()) {
            if (entered.page === page || entered.page === page + 1) {
              entered.stores = STORES_NONE;
            }
          }
          break;
        case 4:
        case 5:
        case 6:
        case 7: {
          const e: Entered = {
            page,
            isGlobal: below(2) === 1,
            host: page * 0x10000,
            isReadable: below(8) > 0,
            stores: below(3),
          };
          tlb.fill(
            address,
            mmu,
            page,
            e.isGlobal,
            e.host,
            e.isReadable,
            e.stores,
          );
          model.set(address + mmu, e);
          assertEquals(
            tlb.find(address, 4, mmu, TLB_READ) !== 0,
            e.isReadable,
          );
          break;
        }
        default: {
          const entered = model.get(address + mmu);
          if (below(2) === 1) {
            const kind = below(2) === 1 ? TLB_READ : TLB_WRITE;
            if (tlb.swapVictim(address, mmu, kind) !== 0) found.victims++;
          }
          const load = tlb.find(address + 8, 4, mmu, TLB_READ);
          if (load !== 0) {
            found.loads++;
            assert(entered?.isReadable);
            assertEquals(load, entered!.host + 8);
          }
          const store = tlb.find(address + 8, 4, mmu, TLB_WRITE);
          if (store !== 0) {
            found.stores++;
            assertEquals(entered?.stores, STORES_DIRECT);
            assertEquals(store, entered!.host + 8);
          }
          const code = tlb.findCode(address + 8, mmu);
          if (code !== 0) {
            found.code++;
            assertEquals(entered?.stores, STORES_CODE);
            assertEquals(code, entered!.host + 8);
          }
          if (load + store + code !== 0) {
            assertEquals(tlb.page(address, mmu), entered!.page);
          }
        }
      }
    }
    assert(Object.values(found).every((n) => n > 500), JSON.stringify(found));
  });
}
