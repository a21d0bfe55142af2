/**
 * The state of the 82540EM, of all its parts.
 *
 * @module
 */

import type { PciState } from "../../../core/bus/pci_function.ts";
import { type EepromState, freshEeprom } from "./e1000_eeprom.ts";
import { freshInterrupts, type InterruptState } from "./e1000_interrupts.ts";
import { freshPhy, type PhyState, setPhyLink } from "./e1000_phy.ts";
import { freshRegisters, RAH0, RAH_AV, RAL0 } from "./e1000_registers.ts";
import { freshTransmit, type TransmitState } from "./e1000_transmit.ts";

/** The state of a card. */
export interface E1000State {
  /** The PCI function. */
  pci: PciState;
  /** The registers, little-endian. */
  registers: Uint8Array;
  /** The EEPROM's bus. */
  eeprom: EepromState;
  /** The PHY's registers. */
  phy: PhyState;
  /** What is due. */
  interrupts: InterruptState;
  /** A packet that was begun, contexts. */
  transmit: TransmitState;
  /** IOADDR. */
  ioaddr: number;
  /** There is a cable with a partner at its end. */
  cable: boolean;
  /** The link is up, as the MAC sees it. */
  link: boolean;
  /** When negotiation is over; 0: it is. */
  negotiation: number;
  /** When the transmitter's period is over; 0: it does nothing. */
  period: number;
}

/** The registers after reset, with the address that the EEPROM has. */
export function registersAfterReset(mac: Uint8Array): Uint8Array {
  const regs = freshRegisters();
  regs[RAL0 >> 2] = mac[0] | mac[1] << 8 | mac[2] << 16 | mac[3] << 24;
  regs[RAH0 >> 2] = mac[4] | mac[5] << 8 | RAH_AV;
  return new Uint8Array(regs.buffer);
}

/** The state after power-on, with a cable or without. */
export function freshE1000(
  pci: PciState,
  mac: Uint8Array,
  cable: boolean,
): E1000State {
  const phy = freshPhy();
  setPhyLink(phy, cable);
  return {
    pci,
    registers: registersAfterReset(mac),
    eeprom: freshEeprom(),
    phy,
    interrupts: freshInterrupts(),
    transmit: freshTransmit(),
    ioaddr: 0,
    cable,
    link: cable,
    negotiation: 0,
    period: 0,
  };
}
