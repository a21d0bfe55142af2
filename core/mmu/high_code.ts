/**
 * RAM from 4 GiB on, as translated code knows it.
 *
 * Blocks of code are known by 32 bits of a physical address. All memory fits
 * in 4 GiB, so there is room for what lies higher: between the end of the RAM
 * below and the devices at the end of the 32-bit space. A *code address* is the
 * physical address but for RAM from 4 GiB on, which is in that room. What
 * really is there (a frame buffer) gets code addresses beyond 32 bits, as do
 * other addresses from 4 GiB on: code there runs without the block cache.
 *
 * @module
 */

import type { PhysicalSpace } from "./physical_access.ts";

const PAGE = 4096;
const FOUR_GIB = 2 ** 32;
/** The I/O APIC, and what is above it. */
const ROOM_END = 0xfec00000;
/** Added to addresses of what is in the room's place. */
const AWAY = 2 ** 40;

/** Code addresses of one physical address space. */
export class HighCode {
  /** The room: its first code address, and its size. */
  readonly #room: number;
  readonly #bytes: number;

  /** Those of a space with the RAM that it has now; none from 4 GiB on comes later. */
  constructor(space: Pick<PhysicalSpace, "ramRuns">) {
    let low = 0;
    let high = FOUR_GIB;
    for (const { page, pages } of space.ramRuns()) {
      const end = (page + pages) * PAGE;
      if (end > FOUR_GIB) high = Math.max(high, end);
      else low = Math.max(low, end);
    }
    this.#room = low;
    this.#bytes = Math.max(0, Math.min(high - FOUR_GIB, ROOM_END - low));
  }

  /** The code address of a physical address. */
  code(physical: number): number {
    const bytes = this.#bytes;
    if (bytes === 0) return physical;
    if (physical >= FOUR_GIB) {
      const offset = physical - FOUR_GIB;
      return offset < bytes ? this.#room + offset : physical;
    }
    const offset = physical - this.#room;
    return offset >= 0 && offset < bytes ? physical + AWAY : physical;
  }

  /** The physical address of a code address. */
  physical(code: number): number {
    const bytes = this.#bytes;
    if (bytes === 0) return code;
    if (code >= AWAY) return code - AWAY;
    const offset = code - this.#room;
    return offset >= 0 && offset < bytes ? FOUR_GIB + offset : code;
  }

  /** The same of pages' numbers. */
  codePage(page: number): number {
    return this.#bytes === 0 ? page : this.code(page * PAGE) / PAGE;
  }

  /** The same of pages' numbers. */
  physicalPage(code: number): number {
    return this.#bytes === 0 ? code : this.physical(code * PAGE) / PAGE;
  }
}
