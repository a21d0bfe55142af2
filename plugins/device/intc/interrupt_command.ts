/**
 * Interprocessor interrupts: what a write to a local APIC's interrupt command
 * register sends, and whom a destination addresses.
 *
 * Source: Intel SDM volume 3, sections 10.6 and 10.12.
 *
 * @module
 */

import {
  APIC_BASE_X2,
  APIC_BROADCAST,
  type ApicBus,
  type ApicReceiver,
  DELIVER_FIXED,
  DELIVER_INIT,
  DELIVER_LOWEST,
} from "../../../core/bus/apic.ts";
import type { LocalApicState } from "./lapic_memory.ts";
import { FIRST_VECTOR } from "./lapic_state.ts";

// The interrupt command register.

/** The bits that software writes. */
export const ICR_BITS = 0xccfff;
const ICR_LOGICAL = 0x800;
/** The delivery status. */
export const ICR_PENDING = 0x1000;
const ICR_ASSERT = 0x4000;
const ICR_LEVEL = 0x8000;
const ICR_SHORTHAND_SHIFT = 18;
const TO_SELF = 1,
  TO_ALL = 2,
  TO_OTHERS = 3;

/** Whether the registers are MSRs. */
export function isX2Mode(state: LocalApicState): boolean {
  return (state.base & APIC_BASE_X2) !== 0;
}

/** The logical ID in x2APIC mode (SDM 10.12.10.2). */
export function logicalId(id: number): number {
  return id >>> 4 << 16 | 1 << (id & 15);
}

/** Whether a message to this destination is for an APIC that is enabled: see `ApicReceiver.isAddressed`. */
export function isAddressed(
  s: LocalApicState,
  destination: number,
  logical: boolean,
): boolean {
  if (destination === APIC_BROADCAST) return true;
  if (!logical) return destination === s.id;
  if (isX2Mode(s)) {
    const own = logicalId(s.id);
    return destination >>> 16 === own >>> 16 &&
      (destination & own & 0xffff) !== 0;
  }
  // The flat model: a bit for each; else clusters of four.
  if (s.DFR === 15) return (destination & s.LDR) !== 0;
  const cluster = destination >> 4;
  return (cluster === 15 || cluster === s.LDR >> 4) &&
    (destination & s.LDR & 15) !== 0;
}

/** Whether the interrupt command register asks for a vector that there is not. It is sent all the same. */
export function isIllegalCommand({ ICRL }: LocalApicState): boolean {
  const mode = ICRL >> 8 & 7;
  return (mode === DELIVER_FIXED || mode === DELIVER_LOWEST) &&
    (ICRL & 0xff) < FIRST_VECTOR;
}

/** Sends what the interrupt command register of `own`, whose state this is, says. */
export function sendCommand(
  state: LocalApicState,
  bus: ApicBus,
  own: ApicReceiver,
): void {
  const { ICRL, ICRH } = state;
  const mode = ICRL >> 8 & 7;
  const vector = ICRL & 0xff;
  const level = (ICRL & ICR_LEVEL) !== 0;
  // The de-assertion of an INIT only synchronizes arbitration IDs.
  if (mode === DELIVER_INIT && level && (ICRL & ICR_ASSERT) === 0) return;
  // Interprocessor interrupts are edge triggered (SDM 10.6.1).
  switch (ICRL >> ICR_SHORTHAND_SHIFT & 3) {
    case TO_SELF:
      own.receive(mode, vector, false);
      return;
    case TO_ALL:
      bus.send(mode, vector, false, APIC_BROADCAST, false);
      return;
    case TO_OTHERS:
      bus.send(mode, vector, false, APIC_BROADCAST, false, own);
      return;
    default: {
      const logical = (ICRL & ICR_LOGICAL) !== 0;
      if (!isX2Mode(state)) {
        bus.send(mode, vector, false, ICRH >>> 24, logical);
      } else if (ICRH === -1) {
        bus.send(mode, vector, false, APIC_BROADCAST, logical);
      } else if (ICRH !== APIC_BROADCAST || logical) {
        // The ID that means all in 8 bits is nobody's in 32.
        bus.send(mode, vector, false, ICRH >>> 0, logical);
      }
    }
  }
}
