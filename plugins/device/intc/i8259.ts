/**
 * The two cascaded 8259A interrupt controllers of an AT.
 *
 * Datasheet: Intel 8259A (231468-003). The two chips are one plugin, for
 * nothing else ever sees the three cascade lines between them. The
 * edge/level control registers (ELCR) are those of the 82371 (PIIX) and are
 * there when the machine places them.
 *
 * A request is held by its line: as the datasheet says ("IR triggering timing
 * requirements"), an input must stay high until it is acknowledged, or the CPU
 * gets the default vector, IR7.
 *
 * The outputs `irq0` to `irq15` have the levels of the inputs of these names:
 * on a board with an I/O APIC the same lines go on to that.
 *
 * @module
 */

import type { IoHandler } from "../../../core/bus/handler.ts";
import { IrqLine } from "../../../core/bus/irq_line.ts";
import type { InterruptController } from "../../../core/machine/cpu.ts";
import type { EdgeLevelControl } from "../../../core/machine/firmware.ts";
import {
  definePlugin,
  type Device,
  type DeviceContext,
  type DevicePlugin,
  type Logger,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";

/** The master's input on which the slave hangs. */
const CASCADE = 2;
/** The level that the datasheet calls default: IR7. */
const DEFAULT_LEVEL = 7;

/** ICW1: this is an initialization command word. */
const ICW1_INIT = 0x10;
/** ICW1: level triggered. */
const ICW1_LTIM = 0x08;
/** ICW1: there is one chip and no ICW3. */
const ICW1_SNGL = 0x02;
/** ICW1: an ICW4 follows. */
const ICW1_IC4 = 0x01;
/** ICW4: special fully nested mode. */
const ICW4_SFNM = 0x10;
/** ICW4: automatic end of interrupt. */
const ICW4_AEOI = 0x02;
/** ICW4: 8086 mode; the other one, MCS-80, makes no sense here. */
const ICW4_8086 = 0x01;
/** OCW3 rather than OCW2. */
const OCW3_SELECT = 0x08;
/** OCW3: enable the special mask mode bit. */
const OCW3_ESMM = 0x40;
/** OCW3: special mask mode. */
const OCW3_SMM = 0x20;
/** OCW3: poll command. */
const OCW3_POLL = 0x04;
/** OCW3: the next bit selects a register. */
const OCW3_RR = 0x02;
/** OCW3: read ISR rather than IRR. */
const OCW3_RIS = 0x01;

/** ELCR: IRQ 0, 1 and 2 of the master are edge triggered for ever. */
const ELCR_MASTER_MASK = 0xf8;
/** ELCR: IRQ 8 and 13 are edge triggered for ever. */
const ELCR_SLAVE_MASK = 0xde;

/** The state of one 8259A. */
interface ChipState {
  /** Interrupt request register. */
  IRR: number;
  /** In-service register. */
  ISR: number;
  /** Interrupt mask register. */
  IMR: number;
  /** Levels of the eight inputs. */
  lines: number;
  /** Edge/level control: set bits are level triggered. */
  ELCR: number;
  /** The initialization words as they were written. */
  ICW1: number;
  /** Vector base (T7-T3). */
  ICW2: number;
  /** Cascade. */
  ICW3: number;
  /** Modes. */
  ICW4: number;
  /** The initialization word that the odd address expects; 0 for none. */
  expect: number;
  /** Whether the chip has been initialized. */
  ready: boolean;
  /** The input of lowest priority. */
  lowest: number;
  /** Rotate on automatic end of interrupt. */
  rotateOnAeoi: boolean;
  /** Special mask mode. */
  specialMask: boolean;
  /** The even address reads ISR. */
  readIsr: boolean;
  /** The next read is a poll. */
  poll: boolean;
}

function freshChip(): ChipState {
  return {
    IRR: 0,
    ISR: 0,
    IMR: 0,
    lines: 0,
    ELCR: 0,
    ICW1: 0,
    ICW2: 0,
    ICW3: 0,
    ICW4: 0,
    expect: 0,
    ready: false,
    lowest: DEFAULT_LEVEL,
    rotateOnAeoi: false,
    specialMask: false,
    readIsr: false,
    poll: false,
  };
}

/** One 8259A. */
class Chip {
  state: ChipState = freshChip();

  constructor(
    /** Bits that the ELCR implements. */
    readonly elcrMask: number,
    /** The input with a slave on it, or -1. */
    readonly cascade: number,
    readonly log: Logger,
  ) {}

  /** An input changes. */
  setLine(ir: number, level: boolean): void {
    const s = this.state;
    const bit = 1 << ir;
    if (level) {
      const rising = (s.lines & bit) === 0;
      s.lines |= bit;
      if (rising || this.#isLevel(bit)) s.IRR |= bit;
    } else {
      s.lines &= ~bit;
      s.IRR &= ~bit;
    }
  }

  #isLevel(bit: number): boolean {
    return (this.state.ICW1 & ICW1_LTIM) !== 0 ||
      (this.state.ELCR & bit) !== 0;
  }

  /** How far `ir` is from the highest priority: 0 is the highest. */
  #rank(ir: number): number {
    return (ir - this.state.lowest - 1) & 7;
  }

  /** The input of the highest priority in `bits`, or -1. */
  #highest(bits: number): number {
    if (bits === 0) return -1;
    for (let rank = 0, ir = this.state.lowest + 1; rank < 8; rank++, ir++) {
      if ((bits >> (ir & 7) & 1) !== 0) return ir & 7;
    }
    return -1;
  }

  /** The input whose request the chip puts to its INT output, or -1. */
  pending(): number {
    const s = this.state;
    if (!s.ready) return -1;
    const request = this.#highest(s.IRR & ~s.IMR);
    if (request < 0) return -1;
    // "Special mask mode": what is masked does not inhibit the others.
    let inService = s.specialMask ? s.ISR & ~s.IMR : s.ISR;
    // "Special fully nested mode": the slave in service may ask again.
    if ((s.ICW4 & ICW4_SFNM) !== 0 && this.cascade >= 0) {
      inService &= ~(1 << this.cascade);
    }
    const blocking = this.#highest(inService);
    if (blocking >= 0 && this.#rank(request) >= this.#rank(blocking)) return -1;
    return request;
  }

  /** The INTA cycle: the level that is now in service. */
  acknowledge(): number {
    const s = this.state;
    const ir = this.pending();
    if (ir < 0) return DEFAULT_LEVEL;
    const bit = 1 << ir;
    if (!this.#isLevel(bit)) s.IRR &= ~bit;
    if ((s.ICW4 & ICW4_AEOI) === 0) s.ISR |= bit;
    else if (s.rotateOnAeoi) s.lowest = ir;
    return ir;
  }

  /** The vector of an input. */
  vector(ir: number): number {
    return this.state.ICW2 & 0xf8 | ir;
  }

  read(offset: number): number {
    const s = this.state;
    if (s.poll) {
      s.poll = false;
      const ir = this.pending();
      return ir < 0 ? 0 : 0x80 | this.acknowledge();
    }
    if (offset === 1) return s.IMR;
    return s.readIsr ? s.ISR : s.IRR;
  }

  write(offset: number, value: number): void {
    const s = this.state;
    if (offset === 0) {
      if ((value & ICW1_INIT) !== 0) this.#icw1(value);
      else if ((value & OCW3_SELECT) !== 0) this.#ocw3(value);
      else this.#ocw2(value);
      return;
    }
    switch (s.expect) {
      case 2:
        s.ICW2 = value;
        s.expect = (s.ICW1 & ICW1_SNGL) === 0 ? 3 : this.#afterIcw3();
        break;
      case 3:
        s.ICW3 = value;
        s.expect = this.#afterIcw3();
        break;
      case 4:
        s.ICW4 = value;
        s.expect = 0;
        s.ready = true;
        if ((value & ICW4_8086) === 0) {
          this.log.guest("MCS-80 mode of the 8259A");
        }
        break;
      default:
        s.IMR = value;
    }
  }

  #afterIcw3(): number {
    if ((this.state.ICW1 & ICW1_IC4) !== 0) return 4;
    this.state.ready = true;
    return 0;
  }

  /** "Initialization command words 1 and 2": what ICW1 resets. */
  #icw1(value: number): void {
    const { lines, ELCR } = this.state;
    this.state = { ...freshChip(), lines, ELCR, ICW1: value, expect: 2 };
    // The edge sense is reset: an input needs a new low-to-high transition,
    // but a level is a level.
    for (let bit = 1; bit < 0x100; bit <<= 1) {
      if (this.#isLevel(bit)) this.state.IRR |= lines & bit;
    }
  }

  /** "Operation control word 2": end of interrupt and rotation. */
  #ocw2(value: number): void {
    const s = this.state;
    const level = value & 7;
    switch (value >> 5) {
      case 0b000:
        s.rotateOnAeoi = false;
        break;
      case 0b100:
        s.rotateOnAeoi = true;
        break;
      case 0b001:
      case 0b101: {
        // A non-specific EOI does not see what special mask mode masks.
        const ir = this.#highest(s.specialMask ? s.ISR & ~s.IMR : s.ISR);
        if (ir < 0) break;
        s.ISR &= ~(1 << ir);
        if ((value & 0x80) !== 0) s.lowest = ir;
        break;
      }
      case 0b011:
        s.ISR &= ~(1 << level);
        break;
      case 0b111:
        s.ISR &= ~(1 << level);
        s.lowest = level;
        break;
      case 0b110:
        s.lowest = level;
        break;
    }
  }

  /** "Operation control word 3": special mask, poll, register select. */
  #ocw3(value: number): void {
    const s = this.state;
    if ((value & OCW3_ESMM) !== 0) s.specialMask = (value & OCW3_SMM) !== 0;
    // "If P and RR are both set, the poll command overrides."
    if ((value & OCW3_POLL) !== 0) s.poll = true;
    else if ((value & OCW3_RR) !== 0) s.readIsr = (value & OCW3_RIS) !== 0;
  }

  writeElcr(value: number): void {
    const s = this.state;
    s.ELCR = value & this.elcrMask;
    s.IRR |= s.lines & s.ELCR;
  }
}

/** The outputs of the pair. */
export interface I8259Lines {
  /** To the CPU's INTR pin. */
  readonly int: IrqLine;
  /**
   * High while input 0 is requested and not yet acknowledged, masked or not:
   * lets a timer that is late keep its ticks until the guest took the last.
   */
  readonly pending0: IrqLine;
  /** High while input 0 is masked. */
  readonly masked0: IrqLine;
  /** The levels of the 16 inputs, for what else is on these lines. */
  readonly irqs: readonly IrqLine[];
  /** Where to log. */
  readonly log: Logger;
}

/** The pair of interrupt controllers. */
export class I8259Pair
  implements Device, InterruptController, EdgeLevelControl {
  readonly #master: Chip;
  readonly #slave: Chip;
  readonly #lines: I8259Lines;

  readonly #counts: number[] = new Array(16).fill(0);

  /** A pair in its reset state that drives these lines. */
  constructor(lines: I8259Lines) {
    this.#lines = lines;
    this.#master = new Chip(ELCR_MASTER_MASK, CASCADE, lines.log);
    this.#slave = new Chip(ELCR_SLAVE_MASK, -1, lines.log);
  }

  /** The registers of the master (0x20 and 0x21). */
  get masterPorts(): IoHandler {
    return this.#ports(this.#master);
  }

  /** The registers of the slave (0xa0 and 0xa1). */
  get slavePorts(): IoHandler {
    return this.#ports(this.#slave);
  }

  /** The edge/level control registers (0x4d0 and 0x4d1). */
  get elcrPorts(): IoHandler {
    const chips = [this.#master, this.#slave];
    return {
      widths: [1],
      read: (offset) => chips[offset & 1].state.ELCR,
      write: (offset, _width, value) => {
        chips[offset & 1].writeElcr(value);
        this.#update();
      },
    };
  }

  /** See `EdgeLevelControl.setLevelTriggered`. */
  setLevelTriggered(irq: number): void {
    const chip = irq < 8 ? this.#master : this.#slave;
    chip.writeElcr(chip.state.ELCR | 1 << (irq & 7));
    this.#update();
  }

  #ports(chip: Chip): IoHandler {
    return {
      widths: [1],
      read: (offset) => {
        const polled = chip.state.poll;
        const value = chip.read(offset & 1);
        if (polled) this.#update();
        return value;
      },
      write: (offset, _width, value) => {
        chip.write(offset & 1, value);
        this.#update();
      },
    };
  }

  /** Input `ir` (0 to 15; 2 is the cascade and ignored) changes its level. */
  setInput(ir: number, level: boolean): void {
    if (ir === CASCADE) return;
    const { state } = ir < 8 ? this.#master : this.#slave;
    if (level && (state.lines >> (ir & 7) & 1) === 0) this.#counts[ir]++;
    if (ir < 8) this.#master.setLine(ir, level);
    else this.#slave.setLine(ir - 8, level);
    this.#update();
    this.#lines.irqs[ir].set(level);
  }

  /** The CPU's two INTA cycles: the vector. */
  acknowledge(): number {
    let vector: number;
    const ir = this.#master.acknowledge();
    if (ir === CASCADE) {
      // A slave that has nothing any more answers with its own IR7: the
      // spurious IRQ 15, for which the master's IR2 still needs its EOI.
      vector = this.#slave.vector(this.#slave.acknowledge());
    } else {
      vector = this.#master.vector(ir);
    }
    this.#update();
    return vector;
  }

  /** Drive the cascade and the outputs by the state. */
  #update(): void {
    const master = this.#master;
    master.setLine(CASCADE, this.#slave.pending() >= 0);
    this.#lines.int.set(master.pending() >= 0);
    const { IRR, IMR, ready } = master.state;
    // Last, because the timer may raise input 0 again from within.
    this.#lines.masked0.set((IMR & 1) !== 0);
    this.#lines.pending0.set(ready && (IRR & 1) !== 0);
  }

  /** Power-on: uninitialized, so that nothing is requested of the CPU. */
  reset(): void {
    // The inputs keep the levels that their drivers give them.
    for (const chip of [this.#master, this.#slave]) {
      const lines = chip.state.lines & (chip === this.#master ? ~4 : ~0);
      chip.state = { ...freshChip(), lines };
    }
    this.#update();
  }

  /** In the layout of QEMU's `info pic`, the slave first. */
  *describe(): Generator<string> {
    const hex = (value: number): string => value.toString(16).padStart(2, "0");
    for (
      const [name, chip] of [["pic1", this.#slave], [
        "pic0",
        this.#master,
      ]] as const
    ) {
      const s = chip.state;
      const highest = (s.lowest + 1) & 7;
      yield `${name}: irr=${hex(s.IRR)} imr=${hex(s.IMR)} ` +
        `isr=${hex(s.ISR)} hprio=${highest} irq_base=${hex(s.ICW2)} ` +
        `rr_sel=${s.readIsr ? 1 : 0} elcr=${hex(s.ELCR)} ` +
        `fnm=${(s.ICW4 & ICW4_SFNM) === 0 ? 0 : 1}`;
    }
  }

  /** How often each input has risen since the machine was made. */
  interruptCounts(): readonly number[] {
    return this.#counts;
  }

  /** Both chips. */
  save(): StateRecord {
    return saveState({
      master: this.#master.state,
      slave: this.#slave.state,
    });
  }

  /** Both chips. */
  load(record: StateRecord): void {
    const state = loadState(
      { master: freshChip(), slave: freshChip() },
      record,
      "i8259",
    );
    this.#master.state = state.master;
    this.#slave.state = state.slave;
    this.#update();
    const inputs = state.master.lines | state.slave.lines << 8;
    for (const ir of INPUTS) this.#lines.irqs[ir].set((inputs >> ir & 1) !== 0);
  }
}

const INPUTS = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/** The `i8259` plugin: the pair of interrupt controllers of an AT. */
const plugin: DevicePlugin<Record<string, never>> = definePlugin({
  type: "device",
  name: "i8259",
  version: "1.0.0",
  description: "The two cascaded 8259A interrupt controllers of an AT",
  regions: {
    master: { space: "ports", size: 2, at: 0x20 },
    slave: { space: "ports", size: 2, at: 0xa0 },
    elcr: { space: "ports", size: 2, optional: true },
  },
  outputs: ["int", "pending0", "masked0", ...INPUTS.map((ir) => `irq${ir}`)],
  inputs: INPUTS.map((ir) => `irq${ir}`),
  provides: ["interrupt-controller", "edge-level-control"],
  create(_config: Record<string, never>, context: DeviceContext): I8259Pair {
    const pair = new I8259Pair({
      int: context.output("int"),
      pending0: context.output("pending0"),
      masked0: context.output("masked0"),
      irqs: Array.from(
        { length: 16 },
        (_, ir) => ir === CASCADE ? new IrqLine() : context.output(`irq${ir}`),
      ),
      log: context.log,
    });
    context.io("master", pair.masterPorts);
    context.io("slave", pair.slavePorts);
    context.io("elcr", pair.elcrPorts);
    for (const ir of INPUTS) {
      context.input(`irq${ir}`, (level) => pair.setInput(ir, level));
    }
    return pair;
  },
});
export default plugin;
