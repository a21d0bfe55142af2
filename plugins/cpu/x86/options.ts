/**
 * What an x86 CPU is made of and wired to.
 *
 * @module
 */

import type { LocalApic } from "../../../core/bus/apic.ts";
import type { TranslateContext } from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import type { Model } from "./models.ts";

/** The port space as the CPU sees it. */
export interface PortBus {
  /** Reads 1, 2 or 4 bytes. */
  read(port: number, width: 1 | 2 | 4): number;
  /** Writes 1, 2 or 4 bytes. */
  write(port: number, width: 1 | 2 | 4, value: number): void;
}

/** What a CPU is made of and wired to. */
export interface X86Options {
  /** The model. */
  readonly model: Model;
  /** The port space; all ones are read where there is none. */
  readonly ports?: PortBus;
  /** The interrupt acknowledge cycle: gives back the vector. */
  readonly acknowledge?: () => number;
  /** The local APIC, when the model and the machine have one. */
  readonly apic?: LocalApic;
  /** How many CPUs the machine has: 1 when absent. */
  readonly count?: number;
  /** The time stamp counter's source: any count that does not run backwards. */
  readonly timestamp?: () => number;
  /** Its last reading, which all CPUs of a machine have together: see `createStamps`. */
  readonly stamps?: Float64Array;
  /** Where RDRAND and RDSEED get 32 random bits; from the time stamp counter when absent. */
  readonly random?: () => number;
  /** The level of FERR#: an unmasked x87 exception while CR0.NE is clear (IRQ 13 of a PC). */
  readonly ferr?: (level: boolean) => void;
  /** Makes the translator. */
  readonly translator?: (cpu: X86) => BlockTranslator;
}

/** What turns guest code into IR. */
export interface BlockTranslator {
  /** See {@linkcode Frontend.translate}. */
  translate(context: TranslateContext): void;
  /** Somebody observes accesses to ports. */
  tellsPorts?: boolean;
}
