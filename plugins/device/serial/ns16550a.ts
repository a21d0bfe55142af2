/**
 * The 16550A UART.
 *
 * Datasheet: National Semiconductor PC16550D (TL/C/8652). As on a PC the
 * interrupt passes a gate that OUT2 opens.
 *
 * A character takes no time in either direction, whatever the divisor says:
 * what is written is sent at once, so the transmitter is always empty unless
 * the host is far behind. Received characters come as fast as the guest takes
 * them, a FIFO at a time; only the FIFO's timeout goes by the programmed speed.
 *
 * @module
 */

import { OutputBatch } from "../../../core/backend/output_batch.ts";
import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  Logger,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import {
  type Clock,
  MICROSECOND,
  SECOND,
  type Timer,
} from "../../../core/time/clock.ts";

/** IER: received data available, and the FIFO's timeout. */
const IER_ERBFI = 0x01;
/** IER: transmitter holding register empty. */
const IER_ETBEI = 0x02;
/** IER: receiver line status. */
const IER_ELSI = 0x04;
/** IER: modem status. */
const IER_EDSSI = 0x08;

/** IIR: nothing is pending; then the sources from the lowest priority up. */
const IIR_NONE = 0x01;
const IIR_MODEM = 0x00;
const IIR_THRE = 0x02;
const IIR_DATA = 0x04;
const IIR_LINE = 0x06;
const IIR_TIMEOUT = 0x0c;
/** IIR: the FIFOs are on. */
const IIR_FIFO = 0xc0;

/** FCR: FIFOs on; clear the receiver's; clear the transmitter's. */
const FCR_ENABLE = 0x01;
const FCR_CLEAR_RX = 0x02;
const FCR_CLEAR_TX = 0x04;

const LCR_DLAB = 0x80;
const LCR_STOP = 0x04;
const LCR_PARITY = 0x08;

const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;

const LSR_DR = 0x01;
const LSR_OE = 0x02;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;
/** LSR: the errors that raise the line status interrupt (OE, PE, FE, BI). */
const LSR_ERRORS = 0x1e;

const MSR_DCTS = 0x01;
const MSR_DDSR = 0x02;
const MSR_TERI = 0x04;
const MSR_DDCD = 0x08;
const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;
/** The other end is always there and ready. */
const CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD;

/** Depth of the FIFOs. */
const FIFO_SIZE = 16;
/** Trigger levels by FCR's bits 6 and 7. */
const TRIGGERS = [1, 4, 8, 14];
/** The crystal divided by 16, in Hz: divisor 1 is so many bits a second. */
const BASE_BAUD = 115200;
/** 9600 bits a second, as firmware leaves it. */
const DEFAULT_DIVISOR = 12;
/** An emptied receiver gets the next characters after so long. */
const REFILL = 10 * MICROSECOND;
/** The host may be ahead of the guest by so many characters. */
const INPUT_HIGH_WATER = 4096;

interface Ns16550aState {
  IER: number;
  LCR: number;
  MCR: number;
  /** The error bits; the others follow from the rest. */
  LSR: number;
  MSR: number;
  SCR: number;
  /** DLM and DLL. */
  divisor: number;
  /** FCR's trigger bits. */
  trigger: number;
  /** The FIFOs are on. */
  fifo: boolean;
  /** Received characters, the oldest first. */
  rx: Uint8Array;
  rxCount: number;
  /** "THRE interrupt": set until IIR is read or THR is written. */
  threPending: boolean;
  /** Characters have waited in the FIFO for four character times. */
  timeout: boolean;
  /** When they will have, or -1. */
  timeoutAt: number;
  /** When the receiver takes the host's next characters, or -1. */
  refillAt: number;
}

function freshState(): Ns16550aState {
  return {
    IER: 0,
    LCR: 0,
    MCR: 0,
    LSR: 0,
    MSR: CONNECTED,
    SCR: 0,
    divisor: DEFAULT_DIVISOR,
    trigger: TRIGGERS[0],
    fifo: false,
    rx: new Uint8Array(FIFO_SIZE),
    rxCount: 0,
    threPending: false,
    timeout: false,
    timeoutAt: -1,
    refillAt: -1,
  };
}

/** The UART. */
export class Ns16550a implements Device, IoHandler {
  /** A byte-wide chip. */
  readonly widths: readonly AccessWidth[] = [1];
  #state = freshState();
  readonly #name: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #irq: IrqLine;
  readonly #output: OutputBatch;
  readonly #timeoutTimer: Timer;
  readonly #refillTimer: Timer;
  /** What the host sent and the receiver has no room for yet. */
  #input: Uint8Array[] = [];
  #inputLength = 0;
  #resume: (() => void) | undefined;

  /** A UART in its reset state. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    this.#clock = context.clock;
    this.#log = context.log;
    this.#irq = context.output("irq");
    const char = context.char("char");
    this.#output = new OutputBatch(char.write, () => {
      this.#state.threPending = true;
      this.#update();
    });
    this.#timeoutTimer = context.clock.timer(() => {
      this.#state.timeoutAt = -1;
      this.#state.timeout = this.#state.rxCount > 0;
      this.#update();
    });
    this.#refillTimer = context.clock.timer(() => {
      this.#state.refillAt = -1;
      this.#pump();
    });
    context.io("registers", this);
    char.onInput((bytes) => this.#receive(bytes));
  }

  /** Read a register. */
  read(offset: number, _width: AccessWidth): number {
    const s = this.#state;
    switch (offset) {
      case 0:
        return (s.LCR & LCR_DLAB) !== 0 ? s.divisor & 0xff : this.#readRbr();
      case 1:
        return (s.LCR & LCR_DLAB) !== 0 ? s.divisor >> 8 : s.IER;
      case 2: {
        const source = this.#source();
        if (source === IIR_THRE) {
          s.threPending = false;
          this.#update();
        }
        return source | (s.fifo ? IIR_FIFO : 0);
      }
      case 3:
        return s.LCR;
      case 4:
        return s.MCR;
      case 5: {
        const value = s.LSR | (s.rxCount > 0 ? LSR_DR : 0) |
          (this.#output.full ? 0 : LSR_THRE | LSR_TEMT);
        if (s.LSR !== 0) {
          s.LSR = 0;
          this.#update();
        }
        return value;
      }
      case 6: {
        const value = s.MSR;
        if ((value & 0x0f) !== 0) {
          s.MSR &= 0xf0;
          this.#update();
        }
        return value;
      }
      default:
        return s.SCR;
    }
  }

  /** Write a register. */
  write(offset: number, _width: AccessWidth, value: number): void {
    const s = this.#state;
    switch (offset) {
      case 0:
        if ((s.LCR & LCR_DLAB) === 0) return this.#writeThr(value);
        s.divisor = s.divisor & 0xff00 | value;
        return;
      case 1:
        if ((s.LCR & LCR_DLAB) !== 0) {
          s.divisor = s.divisor & 0x00ff | value << 8;
          return;
        }
        // Enabling the interrupt while the register is empty raises it.
        if ((value & ~s.IER & IER_ETBEI) !== 0 && !this.#output.full) {
          s.threPending = true;
        }
        s.IER = value & 0x0f;
        break;
      case 2:
        this.#writeFcr(value);
        break;
      case 3:
        s.LCR = value;
        return;
      case 4:
        s.MCR = value & 0x1f;
        this.#updateModem();
        this.#pump();
        break;
      case 7:
        s.SCR = value;
        return;
      default:
        // LSR and MSR are read-only outside of factory tests.
        return;
    }
    this.#update();
  }

  #readRbr(): number {
    const s = this.#state;
    // The register keeps the last character when there is no new one.
    const value = s.rx[0];
    if (s.rxCount === 0) return value;
    if (--s.rxCount > 0) s.rx.copyWithin(0, 1, s.rxCount + 1);
    s.timeout = false;
    this.#armTimeout();
    if (s.rxCount === 0 && this.#inputLength > 0 && s.refillAt < 0) {
      s.refillAt = this.#clock.now() + REFILL;
      this.#refillTimer.arm(s.refillAt);
    }
    this.#update();
    return value;
  }

  #writeThr(value: number): void {
    const s = this.#state;
    if ((s.MCR & MCR_LOOP) !== 0) this.#accept(value);
    else if (!this.#output.push(value)) {
      this.#log.guest("output was dropped: the host does not take it");
    }
    // The register is full for no time at all: the interrupt goes and comes.
    if (s.threPending) {
      s.threPending = false;
      this.#update();
    }
    s.threPending = !this.#output.full;
    this.#update();
  }

  /** "FIFO control register". */
  #writeFcr(value: number): void {
    const s = this.#state;
    const enable = (value & FCR_ENABLE) !== 0;
    const changed = enable !== s.fifo;
    s.fifo = enable;
    // "Changing bit 0 clears both FIFOs."
    if (changed || (value & FCR_CLEAR_RX) !== 0) {
      s.rxCount = 0;
      s.timeout = false;
      this.#armTimeout();
    }
    if (changed || (value & FCR_CLEAR_TX) !== 0) {
      if (!this.#output.full) s.threPending = true;
    }
    s.trigger = enable ? TRIGGERS[value >> 6] : TRIGGERS[0];
    this.#pump();
  }

  /** A character arrives at the receiver. */
  #accept(byte: number): void {
    const s = this.#state;
    const size = s.fifo ? FIFO_SIZE : 1;
    if (s.rxCount >= size) {
      s.LSR |= LSR_OE;
      // Without a FIFO the new character replaces the old one.
      if (!s.fifo) s.rx[0] = byte;
    } else {
      s.rx[s.rxCount++] = byte;
    }
    s.timeout = false;
    this.#armTimeout();
  }

  /** Characters from the host; a promise when the guest is behind. */
  #receive(bytes: Uint8Array): void | Promise<void> {
    if (bytes.length === 0) return;
    this.#input.push(bytes);
    this.#inputLength += bytes.length;
    this.#pump();
    if (this.#inputLength <= INPUT_HIGH_WATER) return;
    const previous = this.#resume;
    return new Promise((resolve) => {
      this.#resume = () => {
        previous?.();
        resolve();
      };
    });
  }

  /** Move the host's characters to an empty receiver. */
  #pump(): void {
    const s = this.#state;
    // In loopback mode the serial input is disconnected.
    if (
      this.#inputLength === 0 || s.rxCount > 0 || s.refillAt >= 0 ||
      (s.MCR & MCR_LOOP) !== 0
    ) return;
    const size = s.fifo ? FIFO_SIZE : 1;
    while (s.rxCount < size && this.#inputLength > 0) {
      const first = this.#input[0];
      const count = Math.min(first.length, size - s.rxCount);
      for (let i = 0; i < count; i++) this.#accept(first[i]);
      if (count === first.length) this.#input.shift();
      else this.#input[0] = first.subarray(count);
      this.#inputLength -= count;
    }
    if (this.#inputLength <= INPUT_HIGH_WATER) {
      this.#resume?.();
      this.#resume = undefined;
    }
    this.#update();
  }

  /** "FIFO timeout": four character times after the last activity. */
  #armTimeout(): void {
    const s = this.#state;
    if (!s.fifo || s.rxCount === 0) {
      s.timeoutAt = -1;
      this.#timeoutTimer.cancel();
      return;
    }
    const bits = 1 + 5 + (s.LCR & 3) + ((s.LCR & LCR_PARITY) !== 0 ? 1 : 0) +
      ((s.LCR & LCR_STOP) !== 0 ? 2 : 1);
    const divisor = s.divisor === 0 ? 1 : s.divisor;
    const characters = Math.ceil(4 * bits * divisor * SECOND / BASE_BAUD);
    s.timeoutAt = this.#clock.now() + characters;
    this.#timeoutTimer.arm(s.timeoutAt);
  }

  /** The modem inputs, from the other end or looped back from MCR. */
  #updateModem(): void {
    const s = this.#state;
    let inputs = CONNECTED;
    if ((s.MCR & MCR_LOOP) !== 0) {
      inputs = ((s.MCR & MCR_RTS) !== 0 ? MSR_CTS : 0) |
        ((s.MCR & MCR_DTR) !== 0 ? MSR_DSR : 0) |
        ((s.MCR & MCR_OUT1) !== 0 ? MSR_RI : 0) |
        ((s.MCR & MCR_OUT2) !== 0 ? MSR_DCD : 0);
    }
    const changed = s.MSR ^ inputs;
    if ((changed & MSR_CTS) !== 0) s.MSR |= MSR_DCTS;
    if ((changed & MSR_DSR) !== 0) s.MSR |= MSR_DDSR;
    // Only the trailing edge of the ring indicator counts.
    if ((changed & s.MSR & MSR_RI) !== 0) s.MSR |= MSR_TERI;
    if ((changed & MSR_DCD) !== 0) s.MSR |= MSR_DDCD;
    s.MSR = s.MSR & 0x0f | inputs;
  }

  /** The pending interrupt of the highest priority ("Table IV"). */
  #source(): number {
    const s = this.#state;
    if ((s.IER & IER_ELSI) !== 0 && (s.LSR & LSR_ERRORS) !== 0) {
      return IIR_LINE;
    }
    if ((s.IER & IER_ERBFI) !== 0) {
      if (s.rxCount >= s.trigger) return IIR_DATA;
      if (s.timeout) return IIR_TIMEOUT;
    }
    if ((s.IER & IER_ETBEI) !== 0 && s.threPending) return IIR_THRE;
    if ((s.IER & IER_EDSSI) !== 0 && (s.MSR & 0x0f) !== 0) return IIR_MODEM;
    return IIR_NONE;
  }

  #update(): void {
    // In loopback mode the OUT2 pin is inactive, and with it the gate.
    const open = (this.#state.MCR & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
    this.#irq.set(open && this.#source() !== IIR_NONE);
  }

  /** "Reset": MR clears everything but the receiver's last character. */
  reset(): void {
    this.#state = freshState();
    this.#timeoutTimer.cancel();
    this.#refillTimer.cancel();
    this.#irq.lower();
    this.#pump();
  }

  /** The registers and the receiver's FIFO. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The registers and the receiver's FIFO. */
  load(record: StateRecord): void {
    const s = loadState(freshState(), record, this.#name);
    s.rxCount = Math.min(s.rxCount, FIFO_SIZE);
    this.#state = s;
    this.#timeoutTimer.arm(s.timeoutAt < 0 ? Infinity : s.timeoutAt);
    this.#refillTimer.arm(s.refillAt < 0 ? Infinity : s.refillAt);
    this.#update();
  }
}

/** The `ns16550a` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "ns16550a",
  version: "1.0.0",
  description: "The 16550A UART: a serial port",
  regions: { registers: { space: "ports", size: 8 } },
  outputs: ["irq"],
  backends: { char: { type: "char", optional: true } },
  create: (_config, context) => new Ns16550a(context),
};
export default plugin;
