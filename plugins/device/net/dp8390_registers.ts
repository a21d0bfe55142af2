/**
 * The DP8390's bits by the datasheet's names, and its state.
 *
 * Source: National Semiconductor, DP8390D/NS32490D (1995), 10.
 *
 * @module
 */

/** CR: stop. */
export const CR_STP = 0x01;
/** CR: start. */
export const CR_STA = 0x02;
/** CR: transmit a packet. */
export const CR_TXP = 0x04;
/** CR: what remote DMA does. */
export const CR_RD = 0x38;
/** CR.RD: it reads. */
export const CR_READ = 0x08;
/** CR.RD: it writes. */
export const CR_WRITE = 0x10;
/** CR.RD: it stops, or is complete. */
export const CR_ABORT = 0x20;
/** ISR: a packet was received. */
export const ISR_PRX = 0x01;
/** ISR: a packet was transmitted. */
export const ISR_PTX = 0x02;
/** ISR: the upper bit of a counter is set. */
export const ISR_CNT = 0x20;
/** ISR: remote DMA is complete. */
export const ISR_RDC = 0x40;
/** ISR: the chip is stopped. It causes no interrupt. */
export const ISR_RST = 0x80;
/** DCR: remote DMA moves words. */
export const DCR_WTS = 0x01;
/** DCR: remote DMA by long addresses, which has no effect here. */
export const DCR_LAS = 0x04;
/** TCR: the loopback modes; 0 is the network. */
export const TCR_LB = 0x06;
/** RCR: accept runts. */
export const RCR_AR = 0x02;
/** RCR: accept broadcasts. */
export const RCR_AB = 0x04;
/** RCR: accept groups, by MAR. */
export const RCR_AM = 0x08;
/** RCR: accept all addresses. */
export const RCR_PRO = 0x10;
/** RCR: look at packets, and store none. */
export const RCR_MON = 0x20;
/** RSR: the packet is whole. */
export const RSR_PRX = 0x01;
/** RSR: it is to a group or to all. */
export const RSR_PHY = 0x20;
/** RSR: the receiver only looks. */
export const RSR_DIS = 0x40;
/** TSR: transmitted. */
export const TSR_PTX = 0x01;

/** State of the chip and its memory. */
export interface Dp8390State {
  /** Command. */
  cr: number;
  /** Interrupt status. */
  isr: number;
  /** Interrupt mask. */
  imr: number;
  /** Data configuration. */
  dcr: number;
  /** Transmit configuration. */
  tcr: number;
  /** Receive configuration. */
  rcr: number;
  /** Transmit status. */
  tsr: number;
  /** Receive status. */
  rsr: number;
  /** The ring's first page. */
  pstart: number;
  /** The page after its last. */
  pstop: number;
  /** The first page that the driver has not read. */
  bnry: number;
  /** The page of the next frame. */
  curr: number;
  /** Page of the frame to be transmitted. */
  tpsr: number;
  /** Its bytes. */
  tbcr: number;
  /** Remote DMA's next address, RSAR and CRDA. */
  crda: number;
  /** Its bytes left. */
  rbcr: number;
  /** Frames missed: CNTR2. */
  missed: number;
  /** The physical address, PAR0 to PAR5. */
  par: Uint8Array;
  /** The table of groups, MAR0 to MAR7. */
  mar: Uint8Array;
  /** The packet memory. */
  memory: Uint8Array;
  /** There is a cable: no register says so. */
  cable: boolean;
}

/**
 * The state after power-on, with so many bytes of packet memory, with a cable
 * or without.
 */
export function freshDp8390(memoryBytes: number, cable: boolean): Dp8390State {
  return {
    cable,
    cr: CR_ABORT | CR_STP,
    isr: ISR_RST,
    imr: 0,
    dcr: DCR_LAS,
    tcr: 0,
    rcr: 0,
    tsr: 0,
    rsr: 0,
    pstart: 0,
    pstop: 0,
    bnry: 0,
    curr: 0,
    tpsr: 0,
    tbcr: 0,
    crda: 0,
    rbcr: 0,
    missed: 0,
    par: new Uint8Array(6),
    mar: new Uint8Array(8),
    memory: new Uint8Array(memoryBytes),
  };
}
