/**
 * The 82540EM, a gigabit Ethernet controller on PCI: what Linux's `e1000`
 * drives.
 *
 * Its parts are in modules of their own; here are its registers, what they do,
 * the link, and the two ways to the registers: memory, and the ports IOADDR and
 * IODATA. Transmitting takes no time; interrupts are delayed and throttled as
 * the driver says.
 *
 * Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual (317453).
 *
 * @module
 */

import type {
  FrameOffload,
  NetBackend,
  NetCard,
} from "../../../core/backend/net.ts";
import { MAC_SCHEMA, macAddress } from "../../../core/backend/mac_address.ts";
import { segmentsOf } from "../../../core/backend/net_offload.ts";
import type { IoHandler } from "../../../core/bus/handler.ts";
import { type PciPlace, pciPlaceSchema } from "../../../core/bus/pci.ts";
import { PciFunction } from "../../../core/bus/pci_function.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  DmaPort,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import {
  type Clock,
  MILLISECOND,
  type Timer,
} from "../../../core/time/clock.ts";
import {
  eepromWords,
  eerd,
  freshEeprom,
  readEecd,
  writeEecd,
} from "./e1000_eeprom.ts";
import { destination } from "./e1000_filter.ts";
import { freshInterrupts, Interrupts } from "./e1000_interrupts.ts";
import {
  freshPhy,
  isLoopback,
  isPhyOn,
  mdic,
  MDIC_I,
  negotiates,
  type PhyListener,
  setPhyLink,
} from "./e1000_phy.ts";
import { Receiver } from "./e1000_receive.ts";
import {
  count,
  countBytes,
  countSize,
  CTRL,
  CTRL_PHY_RST,
  CTRL_RST,
  CTRL_SLU,
  EECD,
  EERD,
  ICR,
  ICR_LSC,
  ICR_MDAC,
  ICR_TXD_LOW,
  ICR_TXQE,
  ICS,
  IMC,
  IMS,
  isStatistic,
  ITR,
  MDIC,
  RCTL,
  RDT,
  RDTR,
  RDTR_FPD,
  readStatistic,
  REGISTER_BYTES,
  Stat,
  STATUS,
  STATUS_1000,
  STATUS_FD,
  STATUS_LU,
  TCTL,
  TDT,
  WRITABLE,
} from "./e1000_registers.ts";
import {
  type E1000State,
  freshE1000,
  registersAfterReset,
} from "./e1000_state.ts";
import { freshTransmit, Transmitter } from "./e1000_transmit.ts";

/** Registers in memory, and among the ports. */
const MEMORY_BYTES = 128 * 1024;
const PORTS = 64;
const IOADDR = 0;
const IODATA = 4;
/** How long two ends of a cable negotiate. */
const NEGOTIATION = 500 * MILLISECOND;
/** The period of the transmitter's work. */
const PERIOD = MILLISECOND;
const CRC_BYTES = 4;
/** RCTL.LBM: frames come back from the MAC. */
const RCTL_LBM = 3 << 6;
const RCTL_LBM_MAC = 1 << 6;

/** Configuration: where it is, and its address. */
export interface E1000Config extends PciPlace {
  /** The Ethernet address. */
  readonly mac?: string;
}

/** The card. */
export class E1000 implements Device, NetCard {
  /** Frames come complete: the card receives none longer than 16 KiB. */
  readonly offload = false;
  /** The Ethernet address in the EEPROM. */
  readonly mac: Uint8Array;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #backend: NetBackend | undefined;
  readonly #pci: PciFunction;
  readonly #words: Uint16Array;
  readonly #interrupts: Interrupts;
  readonly #transmitter: Transmitter;
  readonly #receiver: Receiver;
  readonly #phyListener: PhyListener = {
    negotiate: () => this.#negotiate(),
    changed: () => this.#updateLink(),
  };
  readonly #negotiation: Timer;
  readonly #period: Timer;
  #state: E1000State;
  #regs: Uint32Array;
  /** The card is in guest memory: its registers do not answer. */
  #isBusy = false;
  /** The backend waits for room. */
  #isAwaited = false;

  /** The card in its reset state. */
  constructor(config: E1000Config, context: DeviceContext) {
    this.#name = context.name;
    this.#clock = context.clock;
    this.mac = macAddress(config.mac, context.name);
    this.#words = eepromWords(this.mac);
    this.#backend = context.net("net");
    this.#pci = new PciFunction(context, config, {
      vendor: 0x8086,
      device: 0x100e,
      revision: 3,
      classCode: 0x020000,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
      interruptPin: 1,
      bars: [
        { index: 0, kind: "memory", region: "registers", size: MEMORY_BYTES },
        { index: 1, kind: "io", region: "io", size: PORTS },
      ],
    }, () => this.#transmit());
    this.#state = freshE1000(
      this.#pci.fresh(),
      this.mac,
      this.#backend !== undefined,
    );
    this.#regs = new Uint32Array(this.#state.registers.buffer);
    const memory: DmaPort = {
      read: (address, into) => {
        this.#isBusy = true;
        this.#pci.dma.read(address, into);
        this.#isBusy = false;
      },
      write: (address, bytes) => {
        this.#isBusy = true;
        this.#pci.dma.write(address, bytes);
        this.#isBusy = false;
      },
    };
    this.#interrupts = new Interrupts(
      context.clock,
      this.#regs,
      (level) => this.#pci.setIntx(level),
    );
    this.#receiver = new Receiver(this.#regs, memory);
    this.#transmitter = new Transmitter(this.#regs, {
      memory,
      offload: () => this.#backend?.offload === true && !this.#isLoop,
      send: (frame, offload) => this.#send(frame, offload),
      done: (isDelayed) => this.#interrupts.transmitted(isDelayed),
    });
    this.#negotiation = context.clock.timer(() => {
      this.#state.negotiation = 0;
      this.#updateLink();
    });
    this.#period = context.clock.timer(() => {
      this.#state.period = 0;
      this.#transmitter.rest();
      this.#transmit();
    });
    const registers: IoHandler = {
      widths: [4],
      read: (offset) => this.#isBusy ? 0xffffffff : this.#read(offset),
      write: (offset, _width, value) => {
        if (!this.#isBusy) this.#write(offset, value);
      },
    };
    context.io("registers", registers);
    context.io("io", {
      widths: [4],
      read: (offset) => {
        if (offset === IOADDR) return this.#state.ioaddr;
        return offset === IODATA ? registers.read(this.#state.ioaddr, 4) : 0;
      },
      write: (offset, width, value) => {
        if (offset === IOADDR) {
          // Beyond the registers there is nothing: no flash.
          this.#state.ioaddr = value < MEMORY_BYTES ? value & ~3 : MEMORY_BYTES;
        } else if (offset === IODATA) {
          registers.write(this.#state.ioaddr, width, value);
        }
      },
    });
    this.#backend?.attach(this);
  }

  #adopt(state: E1000State): void {
    this.#state = state;
    const { registers } = state;
    this.#regs = new Uint32Array(registers.buffer, registers.byteOffset);
    this.#pci.adopt(state.pci);
    this.#receiver.adopt(this.#regs);
    this.#transmitter.adopt(this.#regs, state.transmit);
    this.#interrupts.adopt(this.#regs, state.interrupts);
    if (state.negotiation === 0) this.#negotiation.cancel();
    else this.#negotiation.arm(state.negotiation);
    if (state.period === 0) this.#period.cancel();
    else this.#period.arm(state.period, PERIOD);
  }

  /** Whether the driver has frames come back. */
  get #isLoop(): boolean {
    return isLoopback(this.#state.phy) ||
      (this.#regs[RCTL >> 2] & RCTL_LBM) === RCTL_LBM_MAC;
  }

  /** See `Device.cable`. */
  get cable(): boolean {
    return this.#state.cable;
  }
  set cable(isIn: boolean) {
    if (this.#state.cable === isIn) return;
    this.#state.cable = isIn;
    if (isIn && negotiates(this.#state.phy)) this.#negotiate();
    else this.#updateLink();
  }

  #negotiate(): void {
    this.#state.negotiation = this.#clock.now() + NEGOTIATION;
    this.#negotiation.arm(this.#state.negotiation);
    this.#updateLink();
  }

  /** Bring the PHY and the MAC in line with the cable; tell of a change. */
  #updateLink(): void {
    const state = this.#state;
    if (!isPhyOn(state.phy) || !negotiates(state.phy)) {
      state.negotiation = 0;
      this.#negotiation.cancel();
    }
    const isUp = state.cable && isPhyOn(state.phy) && state.negotiation === 0;
    setPhyLink(state.phy, isUp);
    const link = isUp && (this.#regs[CTRL >> 2] & CTRL_SLU) !== 0;
    if (link === state.link) return;
    state.link = link;
    this.#interrupts.raise(ICR_LSC);
    this.#offerRoom();
  }

  #read(offset: number): number {
    const state = this.#state;
    switch (offset) {
      case STATUS:
        return STATUS_1000 | STATUS_FD | (state.link ? STATUS_LU : 0);
      case EECD:
        return readEecd(state.eeprom);
      case ICR:
        return this.#interrupts.acknowledge();
      case ICS:
        // Only to be written, but it reads as ICR and clears nothing.
        return this.#regs[ICR >> 2];
    }
    if (offset >= REGISTER_BYTES) return 0;
    if (isStatistic(offset)) return readStatistic(this.#regs, offset);
    return this.#regs[offset >> 2];
  }

  #write(offset: number, value: number): void {
    const state = this.#state;
    const regs = this.#regs;
    switch (offset) {
      case CTRL:
        return this.#writeControl(value);
      case EECD:
        return writeEecd(state.eeprom, this.#words, value);
      case EERD:
        regs[EERD >> 2] = eerd(this.#words, value);
        return;
      case MDIC:
        regs[MDIC >> 2] = mdic(state.phy, value, this.#phyListener);
        if ((value & MDIC_I) !== 0) this.#interrupts.raise(ICR_MDAC);
        return;
      case ICR:
        return this.#interrupts.clear(value);
      case ICS:
        return this.#interrupts.raise(value);
      case IMS:
        return this.#interrupts.mask(value, 0);
      case IMC:
        return this.#interrupts.mask(0, value);
    }
    if (offset >= REGISTER_BYTES) return;
    const mask = WRITABLE[offset >> 2];
    regs[offset >> 2] = regs[offset >> 2] & ~mask | value & mask;
    switch (offset) {
      case ITR:
        return this.#interrupts.throttle();
      case RDTR:
        if ((value & RDTR_FPD) !== 0) this.#interrupts.flushReceive();
        return;
      case RCTL:
      case RDT:
        return this.#offerRoom();
      case TCTL:
      case TDT:
        return this.#transmit();
    }
  }

  #writeControl(value: number): void {
    if ((value & CTRL_RST) !== 0) {
      // All but the PHY, what is in the PCI configuration and the pins' state;
      // nor does a reset give the transmitter more time.
      const { work } = this.#state.transmit;
      this.#adopt({
        ...this.#state,
        registers: registersAfterReset(this.mac),
        eeprom: freshEeprom(),
        interrupts: freshInterrupts(),
        transmit: { ...freshTransmit(), work },
      });
      this.#offerRoom();
    } else this.#regs[CTRL >> 2] = value & ~CTRL_PHY_RST;
    if ((value & CTRL_PHY_RST) !== 0) {
      this.#state.phy = freshPhy();
      this.#negotiate();
    } else this.#updateLink();
  }

  /** Transmit what there is, as much as may be now. */
  #transmit(): void {
    if (!this.#pci.isMaster || !this.#transmitter.hasWork) return;
    const done = this.#transmitter.run();
    if (this.#state.period === 0 && this.#transmitter.wasBusy) {
      this.#state.period = this.#clock.now() + PERIOD;
      this.#period.arm(this.#state.period, PERIOD);
    }
    if (done === 0) return;
    const causes = (this.#transmitter.hasWork ? 0 : ICR_TXQE) |
      (this.#transmitter.isLow ? ICR_TXD_LOW : 0);
    if (causes !== 0) this.#interrupts.raise(causes);
  }

  /** A frame goes out: to the network, or back. */
  #send(frame: Uint8Array, offload?: FrameOffload): void {
    if (this.#isLoop) {
      this.#countSent(frame, 1, frame.length);
      if (!this.#take(frame)) {
        const { causes } = this.#receiver.lose();
        this.#interrupts.raise(causes);
      }
      return;
    }
    if (!this.#state.link) return;
    const segments = offload?.segments;
    if (segments === undefined) this.#countSent(frame, 1, frame.length);
    else {
      const { headers, bytes } = segments;
      const others = segmentsOf(frame, offload) - 1;
      this.#countSent(frame, others, headers + bytes);
      this.#countSent(frame, 1, frame.length - others * bytes);
    }
    this.#backend?.send(frame, offload);
  }

  /** Count frames that begin like this one, of so many bytes each. */
  #countSent(frame: Uint8Array, frames: number, bytes: number): void {
    const regs = this.#regs;
    const to = destination(frame);
    const each = bytes + CRC_BYTES;
    count(regs, Stat.TPT, frames);
    count(regs, Stat.GPTC, frames);
    countSize(regs, Stat.PTC64, each, frames);
    if (to === "all") count(regs, Stat.BPTC, frames);
    if (to === "group") count(regs, Stat.MPTC, frames);
    countBytes(regs, Stat.GOTCL, frames * each);
    countBytes(regs, Stat.TOTL, frames * each);
  }

  /** See `NetCard.receive`. */
  receive(frame: Uint8Array): boolean {
    if (this.#isBusy) return this.#refuse();
    if (!this.#state.link || this.#isLoop) return true;
    return this.#take(frame) || this.#refuse();
  }

  #refuse(): false {
    this.#isAwaited = true;
    return false;
  }

  /** A frame for the driver; false when there is no room. */
  #take(frame: Uint8Array): boolean {
    if (!this.#pci.isMaster) return true;
    const { isTaken, causes, isStored } = this.#receiver.receive(frame);
    if (causes !== 0) this.#interrupts.raise(causes);
    if (isStored) this.#interrupts.received();
    return isTaken;
  }

  /** The backend may go on when frames have room, or are dropped anyway. */
  #offerRoom(): void {
    if (!this.#isAwaited) return;
    const hasRoom = this.#receiver.available > 0;
    if (!hasRoom && this.#receiver.isOn && this.#state.link) return;
    this.#isAwaited = false;
    this.#backend?.ready();
  }

  /** As after power-on; the cable stays in. */
  reset(): void {
    const { cable } = this.#state;
    this.#adopt(freshE1000(this.#pci.fresh(), this.mac, cable));
    this.#offerRoom();
  }

  /** The registers of all parts. */
  save(): StateRecord {
    return saveState({
      ...this.#state,
      transmit: this.#transmitter.saved,
    });
  }

  /** Go on; the network is asked for what it has. */
  load(record: StateRecord): void {
    const template = freshE1000(this.#pci.fresh(), this.mac, false);
    this.#adopt(loadState(template, record, this.#name));
    this.#isAwaited = true;
    this.#offerRoom();
  }
}

/** The `e1000` plugin. */
const plugin: DevicePlugin<E1000Config> = {
  type: "device",
  name: "e1000",
  version: "1.0.0",
  description: "A gigabit Ethernet card on PCI: Intel 82540EM",
  config: {
    type: "object",
    properties: { ...pciPlaceSchema(3, 0), mac: MAC_SCHEMA },
  },
  regions: {
    registers: { space: "memory", size: MEMORY_BYTES, movable: true },
    io: { space: "ports", size: PORTS, movable: true },
  },
  declare(config) {
    // An address that cannot be is found before anything is made.
    macAddress(config.mac, "");
    return {};
  },
  backends: { net: { type: "net", optional: true } },
  uses: { bus: "pci-bus" },
  create: (config, context) => new E1000(config, context),
};
export default plugin;
