/**
 * The contracts of the APIC bus: between local APICs, I/O APICs and the bus
 * that carries their messages, and between an x86 CPU and its local APIC.
 *
 * A local APIC declares `uses: { bus: "apic-bus" }` and attaches itself as a
 * receiver, an I/O APIC as an `EoiListener`; both send by `ApicBus.send`.
 * Nothing on the way allocates: messages are arguments, not objects.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual,
 * volume 3, chapter 10 (quoted as SDM).
 *
 * @module
 */

import type { InterruptController } from "../machine/cpu.ts";

/** Delivery mode (SDM 10.5.1): the vector, to all that are addressed. */
export const DELIVER_FIXED = 0;
/** Delivery mode: the vector, to the addressed CPU of the lowest priority. */
export const DELIVER_LOWEST = 1;
/** Delivery mode: a system management interrupt. */
export const DELIVER_SMI = 2;
/** Delivery mode: a non-maskable interrupt. */
export const DELIVER_NMI = 4;
/** Delivery mode: an INIT. */
export const DELIVER_INIT = 5;
/** Delivery mode: a start-up message; its vector is a page number. */
export const DELIVER_STARTUP = 6;
/** Delivery mode: the vector comes from an 8259A. */
export const DELIVER_EXTINT = 7;

/** The destination that means all, physical or logical. */
export const APIC_BROADCAST = 0xff;

/** A local APIC as the bus sees it. */
export interface ApicReceiver {
  /** The ID that the hardware gave it at reset: the number of its CPU. */
  readonly initialId: number;
  /**
   * Whether a message to this destination is for it: a physical one is an
   * APIC ID, a logical one is compared as LDR and DFR say (SDM 10.6.2).
   */
  isAddressed(destination: number, logical: boolean): boolean;
  /**
   * The processor priority that arbitration compares (SDM 10.6.2.4); infinite
   * while it would not accept what it wins.
   */
  readonly priority: number;
  /**
   * Take a message; `level` says that it is level triggered, so that its end
   * is to be told to the bus. Gives back whether it was accepted.
   */
  receive(mode: number, vector: number, level: boolean): boolean;
}

/** Who wants to know what becomes of the interrupts: an I/O APIC. */
export interface EoiListener {
  /** A CPU has ended a level-triggered interrupt of this vector. */
  ended(vector: number): void;
  /**
   * A CPU has begun to serve this vector; -1: an APIC has forgotten all that
   * it had accepted.
   */
  taken(vector: number): void;
}

/** The contract `apic-bus`. */
export interface ApicBus {
  /** Put a local APIC on the bus. */
  attach(receiver: ApicReceiver): void;
  /** The local APIC that had this ID at reset. */
  receiver(initialId: number): ApicReceiver | undefined;
  /** Put an I/O APIC on the bus. */
  listen(listener: EoiListener): void;
  /**
   * Send a message to all that the destination addresses but `except`, with
   * `DELIVER_LOWEST` to one of them. Gives back whether any has accepted it.
   */
  send(
    mode: number,
    vector: number,
    level: boolean,
    destination: number,
    logical: boolean,
    except?: ApicReceiver,
  ): boolean;
  /** Tell all I/O APICs: see `EoiListener.ended`. */
  end(vector: number): void;
  /** Tell all I/O APICs: see `EoiListener.taken`. */
  take(vector: number): void;
}

/** IA32_APIC_BASE: this is the bootstrap processor (SDM 10.4.4). */
export const APIC_BASE_BSP = 0x100;
/** IA32_APIC_BASE: the local APIC is in x2APIC mode (SDM 10.12.1). */
export const APIC_BASE_X2 = 0x400;
/** IA32_APIC_BASE: the local APIC is enabled. */
export const APIC_BASE_ENABLE = 0x800;

/** Bytes that a CPU keeps for the registers of its local APIC. */
export const LOCAL_APIC_BYTES = 256;

/** A local APIC as its CPU sees it, beside the registers in memory. */
export interface LocalApic extends InterruptController {
  /**
   * Has all its registers stand in this memory, with what they have now, in
   * the `LOCAL_APIC_BYTES` from this offset on, which is a multiple of 8: in
   * the area of its CPU, which asks for it.
   */
  storeIn(memory: ArrayBufferLike, offset: number): void;
  /**
   * IA32_APIC_BASE (SDM 10.4.4): the base address with `APIC_BASE_BSP` and
   * `APIC_BASE_ENABLE`. Setting it moves, enables and disables the registers;
   * whoever sets it has checked reserved bits and the change of mode.
   */
  apicBase: number;
  /** The ID that the hardware gave it at reset, which CPUID tells. */
  readonly initialId: number;
  /**
   * Called when a start-up message has come, with its vector: the page where a
   * CPU that waits for one is to start. Whoever listens has set it.
   */
  onStartup: (page: number) => void;
  /**
   * A register in x2APIC mode, by its offset from MSR 800h (SDM 10.12.1.2);
   * -1 where there is none to read. Of the interrupt command register the low
   * half: the other one is `destination`.
   */
  readMsr(register: number): number;
  /** Write a register in x2APIC mode; says whether that may be done. */
  writeMsr(register: number, low: number, high: number): boolean;
  /** The high half of the interrupt command register in x2APIC mode. */
  readonly destination: number;
  /**
   * Whether software may choose the timer's TSC-deadline mode (SDM 10.5.4.1):
   * the CPU says so.
   */
  hasDeadline: boolean;
  /**
   * The virtual time at which the timer interrupts in that mode; 0: it is not
   * armed. In other modes it stays 0.
   */
  deadline: number;
  /** The task priority register (SDM 10.8.3.1), bits 4-7 of which are CR8. */
  taskPriority: number;
}

/** Whether a CPU's interrupt controller is a local APIC. */
export function isLocalApic(
  controller: InterruptController,
): controller is LocalApic {
  return "apicBase" in controller;
}
