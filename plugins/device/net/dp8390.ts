/**
 * The heart of an NE2000: a DP8390 with its packet memory and the address ROM,
 * which the driver reaches by 32 ports. What it is on, ISA or PCI, is another
 * module's.
 *
 * The receive ring is full when the next frame would fill the page of BNRY:
 * then the network is told to wait, and no frame is lost by an overflow.
 *
 * Sources: National Semiconductor, DP8390D/NS32490D (1995); Realtek,
 * RTL8029AS (1997) for what it has beside it.
 *
 * @module
 */

import type { NetBackend, NetCard } from "../../../core/backend/net.ts";
import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";
import {
  CR_ABORT,
  CR_RD,
  CR_READ,
  CR_STA,
  CR_STP,
  CR_TXP,
  CR_WRITE,
  DCR_LAS,
  DCR_WTS,
  type Dp8390State,
  freshDp8390,
  ISR_CNT,
  ISR_PRX,
  ISR_PTX,
  ISR_RDC,
  ISR_RST,
  RCR_AB,
  RCR_AM,
  RCR_AR,
  RCR_MON,
  RCR_PRO,
  RSR_DIS,
  RSR_PHY,
  RSR_PRX,
  TCR_LB,
  TSR_PTX,
} from "./dp8390_registers.ts";

export type { Dp8390State } from "./dp8390_registers.ts";

/** The ports: the chip's registers, the data port, the reset port. */
export const NE2000_PORTS = 32;
const DATA_PORT = 0x10;
const RESET_PORT = 0x18;
/** Where the packet memory begins. */
const MEMORY_BASE = 0x4000;
/** The address ROM: each byte twice. */
const ROM_BYTES = 32;
/** What an NE2000 has behind the address. */
const ROM_SIGNATURE = 0x57;
const PAGE = 256;

const BROADCAST = new Uint8Array(6).fill(0xff);
const MIN_FRAME = 60;
const MAX_FRAME = 1518;
const HEADER_BYTES = 4;
const CRC_BYTES = 4;
/** Pages of the longest frame in the ring. */
const MAX_PAGES = Math.ceil((MAX_FRAME + HEADER_BYTES + CRC_BYTES) / PAGE);
/** The polynomial of the check sequence, for the table of groups. */
const CRC_POLYNOMIAL = 0x04c11db7;

/**
 * Page 2 reads what page 0 writes: what there is at an offset, and the upper
 * bits that are not there and read as ones.
 */
const PAGE2: Partial<Record<number, readonly [Configured, number]>> = {
  0x01: ["pstart", 0],
  0x02: ["pstop", 0],
  0x04: ["tpsr", 0],
  0x0c: ["rcr", 0xc0],
  0x0d: ["tcr", 0xe0],
  0x0e: ["dcr", 0x80],
  0x0f: ["imr", 0x80],
};
type Configured = "pstart" | "pstop" | "tpsr" | "rcr" | "tcr" | "dcr" | "imr";

/** What a card gives its chip. */
export interface Dp8390Parts {
  /** The address in the ROM. */
  readonly mac: Uint8Array;
  /** Bytes of packet memory. */
  readonly memoryBytes: number;
  /** It is Realtek's: ID bytes, and a page of configuration. */
  readonly isRealtek: boolean;
  /** The network. */
  readonly backend: NetBackend | undefined;
  /** Drives the interrupt line. */
  readonly interrupt: (level: boolean) => void;
}

/** The chip. */
export class Dp8390 implements NetCard {
  /** Frames are complete when they come. */
  readonly offload = false;
  /** Answers the ports. */
  readonly io: IoHandler;
  readonly #parts: Dp8390Parts;
  readonly #rom = new Uint8Array(ROM_BYTES);
  #state: Dp8390State;
  /** The network waits for room. */
  #isAwaited = false;

  /** A chip in its reset state, on its network. */
  constructor(parts: Dp8390Parts) {
    this.#parts = parts;
    const bytes = [...parts.mac, ...Array(8).fill(0)];
    bytes.push(ROM_SIGNATURE, ROM_SIGNATURE);
    bytes.forEach((byte, i) => this.#rom.fill(byte, 2 * i, 2 * i + 2));
    this.#state = freshDp8390(parts.memoryBytes, true);
    this.io = {
      read: (offset, width) => {
        if (offset >= RESET_PORT) return this.#readResetPort();
        if (offset >= DATA_PORT) return this.#readData(width);
        let value = 0;
        for (let i = 0; i < width; i++) {
          value += this.#readRegister(offset + i) * 2 ** (8 * i);
        }
        return value;
      },
      write: (offset, width, value) => {
        // What is written to the reset port ends the pulse.
        if (offset >= RESET_PORT) return;
        if (offset >= DATA_PORT) return this.#writeData(width, value);
        for (let i = 0; i < width; i++) {
          this.#writeRegister(offset + i, value >>> 8 * i & 0xff);
        }
      },
    };
    parts.backend?.attach(this);
  }

  /** The state after power-on; the cable stays in, or out. */
  fresh(): Dp8390State {
    return freshDp8390(this.#parts.memoryBytes, this.#state.cable);
  }

  /** See `Device.cable`: without it frames go nowhere, and none come. */
  get cable(): boolean {
    return this.#state.cable;
  }
  set cable(isIn: boolean) {
    this.#state.cable = isIn;
    this.#offerRoom();
  }

  /** The state, to be saved. */
  get saved(): Dp8390State {
    return this.#state;
  }

  /** Go on from this state. */
  adopt(state: Dp8390State): void {
    this.#state = state;
    this.#updateLine();
    this.#offerRoom();
  }

  /** The network is to be asked for what it has. */
  expectFrames(): void {
    this.#isAwaited = true;
    this.#offerRoom();
  }

  #updateLine(): void {
    const { isr, imr } = this.#state;
    this.#parts.interrupt((isr & imr & ~ISR_RST) !== 0);
  }

  #raise(causes: number): void {
    this.#state.isr |= causes;
    this.#updateLine();
  }

  /** The reset port: a pulse on the chip's reset pin, which keeps memory. */
  #readResetPort(): number {
    const state = this.#state;
    state.cr = CR_ABORT | CR_STP;
    state.isr = ISR_RST;
    state.imr = 0;
    state.rbcr = 0;
    state.tcr &= ~TCR_LB;
    state.dcr |= DCR_LAS;
    this.#updateLine();
    this.#offerRoom();
    return 0;
  }

  #readRegister(register: number): number {
    if (register === 0) return this.#state.cr;
    switch (this.#state.cr >> 6) {
      case 0:
        return this.#readPage0(register);
      case 1:
        return this.#readPage1(register);
      case 2:
        return this.#readPage2(register);
      default:
        return this.#readPage3(register);
    }
  }

  #readPage0(register: number): number {
    const state = this.#state;
    switch (register) {
      case 0x02: // CLDA1: local DMA stands where the next frame goes.
        return state.curr;
      case 0x03:
        return state.bnry;
      case 0x04:
        return state.tsr;
      case 0x07:
        return state.isr;
      case 0x08:
        return state.crda & 0xff;
      case 0x09:
        return state.crda >> 8;
      case 0x0a: // 8029ID0, 8029ID1
        return this.#parts.isRealtek ? 0x50 : 0;
      case 0x0b:
        return this.#parts.isRealtek ? 0x43 : 0;
      case 0x0c:
        return state.rsr;
      case 0x0f: {
        const { missed } = state;
        state.missed = 0;
        return missed;
      }
      default:
        // CLDA0, NCR, FIFO, and counters of errors that there are not.
        return 0;
    }
  }

  #readPage1(register: number): number {
    const state = this.#state;
    if (register <= 6) return state.par[register - 1];
    return register === 7 ? state.curr : state.mar[register - 8];
  }

  #readPage2(register: number): number {
    const [field, ones] = PAGE2[register] ?? [];
    return field === undefined ? 0 : this.#state[field] | ones!;
  }

  /** CONFIG2: 10BASE-T with link test; CONFIG3: full duplex. */
  #readPage3(register: number): number {
    if (!this.#parts.isRealtek) return 0;
    return register === 0x05 || register === 0x06 ? 0x40 : 0;
  }

  #writeRegister(register: number, value: number): void {
    if (register === 0) return this.#command(value);
    switch (this.#state.cr >> 6) {
      case 0:
        return this.#writePage0(register, value);
      case 1: {
        const state = this.#state;
        if (register <= 6) state.par[register - 1] = value;
        else if (register > 7) state.mar[register - 8] = value;
        else {
          state.curr = value;
          this.#offerRoom();
        }
      }
    }
  }

  #writePage0(register: number, value: number): void {
    const state = this.#state;
    switch (register) {
      case 0x01:
        state.pstart = value;
        return this.#offerRoom();
      case 0x02:
        state.pstop = value;
        return this.#offerRoom();
      case 0x03:
        state.bnry = value;
        return this.#offerRoom();
      case 0x04:
        state.tpsr = value;
        return;
      case 0x05:
        state.tbcr = state.tbcr & 0xff00 | value;
        return;
      case 0x06:
        state.tbcr = state.tbcr & 0xff | value << 8;
        return;
      case 0x07:
        return this.#acknowledge(value);
      case 0x08:
        state.crda = state.crda & 0xff00 | value;
        return;
      case 0x09:
        state.crda = state.crda & 0xff | value << 8;
        return;
      case 0x0a:
        state.rbcr = state.rbcr & 0xff00 | value;
        return;
      case 0x0b:
        state.rbcr = state.rbcr & 0xff | value << 8;
        return;
      case 0x0c:
        state.rcr = value & 0x3f;
        return this.#offerRoom();
      case 0x0d:
        state.tcr = value & 0x1f;
        return this.#offerRoom();
      case 0x0e:
        state.dcr = value & 0x7f;
        return;
      case 0x0f:
        state.imr = value & 0x7f;
        return this.#updateLine();
    }
  }

  /**
   * Causes are acknowledged. A driver may do so to PRX when a frame has come
   * that it does not know of; on a wire the next one would tell it. None comes
   * behind the last of a stream, or while the network waits for the driver: so
   * PRX comes again, as for another frame, with an edge of the line that an ISA
   * bus needs.
   */
  #acknowledge(causes: number): void {
    const state = this.#state;
    const wasReceived = (state.isr & causes & ISR_PRX) !== 0;
    // RST is no cause that could be acknowledged.
    state.isr &= ~(causes & ~ISR_RST);
    this.#updateLine();
    if (wasReceived && (this.#isAwaited || this.#hasUnread)) {
      this.#raise(ISR_PRX);
    }
  }

  #command(value: number): void {
    const state = this.#state;
    // TXP is cleared by the end of the transmission alone, which is at once.
    state.cr = value & ~CR_TXP;
    if ((value & CR_STP) !== 0) {
      state.isr |= ISR_RST;
      return this.#offerRoom();
    }
    // Realtek's starts without STA, too.
    if ((value & CR_STA) !== 0 || this.#parts.isRealtek) {
      state.isr &= ~ISR_RST;
    }
    const direction = value & CR_RD;
    const isDma = direction === CR_READ || direction === CR_WRITE;
    if (isDma && state.rbcr === 0) this.#raise(ISR_RDC);
    if ((value & CR_TXP) !== 0) this.#transmit();
  }

  #transmit(): void {
    const state = this.#state;
    const from = state.tpsr * PAGE - MEMORY_BASE;
    const { memory, tbcr } = state;
    // With a loopback the frame stays in the chip.
    const isOut = (state.tcr & TCR_LB) === 0 && state.cable;
    if (isOut && tbcr >= 14 && from >= 0 && from + tbcr <= memory.length) {
      const length = Math.min(tbcr, MAX_FRAME);
      this.#parts.backend?.send(memory.subarray(from, from + length));
    }
    state.tsr = TSR_PTX;
    this.#raise(ISR_PTX);
  }

  /** A byte of ROM or packet memory. */
  #load(address: number): number {
    if (address < ROM_BYTES) return this.#rom[address];
    return this.#state.memory[address - MEMORY_BASE] ?? 0xff;
  }

  #store(address: number, value: number): void {
    const at = address - MEMORY_BASE;
    const { memory } = this.#state;
    if (at >= 0 && at < memory.length) memory[at] = value;
  }

  /** Remote DMA has moved so many bytes, at the end of the ring to its start. */
  #advance(bytes: number): void {
    const state = this.#state;
    state.crda = (state.crda + bytes) & 0xffff;
    if (state.crda === state.pstop * PAGE) state.crda = state.pstart * PAGE;
    state.rbcr = Math.max(0, state.rbcr - bytes);
    if (state.rbcr === 0) this.#raise(ISR_RDC);
  }

  /**
   * How many bytes an access to the data port moves: with words, one of a byte
   * moves a word, too, of which it sees the lower half.
   */
  #unit(width: AccessWidth): number {
    return width === 1 && (this.#state.dcr & DCR_WTS) !== 0 ? 2 : width;
  }

  /** Where: a word begins at an even address. */
  #from(unit: number): number {
    const { crda } = this.#state;
    return unit === 1 ? crda : crda & ~1;
  }

  #readData(width: AccessWidth): number {
    if (this.#state.rbcr === 0) return 0xffffffff;
    const unit = this.#unit(width);
    const from = this.#from(unit);
    let value = 0;
    for (let i = 0; i < width; i++) {
      value += this.#load(from + i) * 2 ** (8 * i);
    }
    this.#advance(unit);
    return value;
  }

  #writeData(width: AccessWidth, value: number): void {
    if (this.#state.rbcr === 0) return;
    const unit = this.#unit(width);
    const from = this.#from(unit);
    for (let i = 0; i < unit; i++) {
      this.#store(from + i, value >>> 8 * i & 0xff);
    }
    this.#advance(unit);
  }

  /** Whether the ring is one, and in packet memory. */
  get #hasRing(): boolean {
    const { pstart, pstop, curr, memory } = this.#state;
    const end = (MEMORY_BASE + memory.length) / PAGE;
    return pstart * PAGE >= MEMORY_BASE && pstart < pstop && pstop <= end &&
      curr >= pstart && curr < pstop;
  }

  /**
   * Whether there are frames that the driver has not read. It keeps BNRY at the
   * next one or, as the datasheet has it, one page behind: by that, one page
   * may be none.
   */
  get #hasUnread(): boolean {
    const { pstart, pstop, curr, bnry } = this.#state;
    // Linux has BNRY before the ring where its first page is the next.
    if (!this.#isOn || bnry < pstart - 1 || bnry >= pstop) return false;
    const next = bnry + 1 === pstop ? pstart : bnry + 1;
    return curr !== bnry && curr !== next;
  }

  /** Pages for frames before that of BNRY. */
  get #room(): number {
    const { pstart, pstop, curr, bnry } = this.#state;
    const ring = pstop - pstart;
    // A ring whose pointers meet is empty: it is never filled so far.
    const room = bnry > curr ? bnry - curr : ring - (curr - bnry);
    return Math.max(0, Math.min(room, ring) - 1);
  }

  /** Whether the chip takes frames from the network. */
  get #isOn(): boolean {
    const { cr, tcr, cable } = this.#state;
    return cable && (cr & CR_STP) === 0 && (tcr & TCR_LB) === 0 &&
      this.#hasRing;
  }

  /** The most pages of a frame that has room in an empty ring for sure. */
  get #longest(): number {
    // The driver may keep BNRY one page behind the next frame's.
    return this.#state.pstop - this.#state.pstart - 2;
  }

  #offerRoom(): void {
    if (!this.#isAwaited) return;
    const wanted = Math.min(MAX_PAGES, this.#longest);
    if (this.#isOn && this.#room < wanted) return;
    this.#isAwaited = false;
    this.#parts.backend?.ready();
  }

  #accepts(frame: Uint8Array): boolean {
    const { rcr, par, mar } = this.#state;
    if ((rcr & RCR_PRO) !== 0) return true;
    if ((frame[0] & 1) === 0) return isAddress(frame, par);
    if (isAddress(frame, BROADCAST)) return (rcr & RCR_AB) !== 0;
    if ((rcr & RCR_AM) === 0) return false;
    const index = groupIndex(frame);
    return (mar[index >> 3] >> (index & 7) & 1) !== 0;
  }

  /** See `NetCard.receive`. */
  receive(frame: Uint8Array): boolean {
    const state = this.#state;
    if (!this.#isOn || frame.length > MAX_FRAME || !this.#accepts(frame)) {
      return true;
    }
    if (frame.length < 14 && (state.rcr & RCR_AR) === 0) return true;
    if ((state.rcr & RCR_MON) !== 0) {
      state.rsr = RSR_DIS;
      state.missed = Math.min(state.missed + 1, 0xff);
      if (state.missed >= 0x80) this.#raise(ISR_CNT);
      return true;
    }
    const size = Math.max(frame.length, MIN_FRAME);
    const pages = Math.ceil((size + HEADER_BYTES + CRC_BYTES) / PAGE);
    if (pages > this.#room) {
      // In a ring that is too small for it there will never be room.
      if (pages > this.#longest) return true;
      this.#isAwaited = true;
      this.#raise(ISR_PRX);
      return false;
    }
    let next = state.curr + pages;
    if (next >= state.pstop) next -= state.pstop - state.pstart;
    state.rsr = RSR_PRX | ((frame[0] & 1) !== 0 ? RSR_PHY : 0);
    const length = size + CRC_BYTES;
    const { memory, pstart, pstop, curr } = state;
    const at = curr * PAGE - MEMORY_BASE;
    memory[at] = state.rsr;
    memory[at + 1] = next;
    memory[at + 2] = length;
    memory[at + 3] = length >> 8;
    const from = at + HEADER_BYTES;
    // Bytes to the end of the ring, which a frame to be padded never reaches.
    const first = (pstop - curr) * PAGE - HEADER_BYTES;
    if (frame.length <= first) {
      memory.set(frame, from);
      memory.fill(0, from + frame.length, from + size);
    } else {
      memory.set(frame.subarray(0, first), from);
      memory.set(frame.subarray(first), pstart * PAGE - MEMORY_BASE);
    }
    state.curr = next;
    this.#raise(ISR_PRX);
    return true;
  }
}

/** Whether a frame is to an address. */
function isAddress(frame: Uint8Array, address: Uint8Array): boolean {
  for (let i = 0; i < 6; i++) if (frame[i] !== address[i]) return false;
  return true;
}

/** The bit of MAR for a group: the upper six of the address' check sequence. */
function groupIndex(address: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < 6; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc >>> 31) ^ (address[i] >> bit & 1);
      crc <<= 1;
      if (carry !== 0) crc ^= CRC_POLYNOMIAL;
    }
  }
  return crc >>> 26;
}
