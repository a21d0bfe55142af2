/**
 * A client's session: what it asks for, and what it is told
 * ("Debugging with GDB", appendix E, and QEMU's gdb server for what is common
 * among machines).
 *
 * The guest stops at the client's first packet and stands still until the
 * client lets it go on. All is answered in order; while the guest runs, only
 * `interrupt` is heard.
 *
 * @module
 */

import type { DebugCpu, MachineDebugger, StopEvent } from "../contract.ts";
import type { RunResult } from "../../machine/run_result.ts";
import { basicMonitor, type GdbMonitor } from "./monitor.ts";
import { fromHex, PACKET_SIZE, textToHex, toHex } from "./packet.ts";
import {
  E_FAULT,
  E_INVAL,
  type PacketMemory,
  parseNumber,
  readMemory,
  readRegister,
  readRegisters,
  setPc,
  writeMemory,
  writeRegister,
  writeRegisters,
} from "./packet_state.ts";
import type { PointType } from "./points.ts";
import type { ReverseStop } from "./reverse.ts";
import type { Attached, Seat } from "./seat.ts";
import type { GdbTarget } from "./target.ts";
import {
  type Action,
  type Actions,
  parseActions,
  parseThread,
  PROCESS,
  threadId,
} from "./threads.ts";

/** What is not known is answered by an empty packet. */
const UNKNOWN = "";

const SIGNAL_INT = 2, SIGNAL_TRAP = 5, SIGNAL_ABORT = 6;

/**
 * `qqemu.sstep`: how it is stepped, as bits. Virtual time stands still between
 * steps anyway.
 */
const STEP_ENABLE = 1, STEP_NO_INTERRUPTS = 2, STEP_NO_TIMERS = 4;
const STEP_BITS = STEP_ENABLE | STEP_NO_INTERRUPTS | STEP_NO_TIMERS;

/** One client's session. */
export class Session {
  readonly #seat: Seat;
  readonly #target: GdbTarget;
  readonly #send: (packet: string) => Promise<void>;
  readonly #monitor: GdbMonitor;
  /** The seat is taken. */
  #isSeated = false;
  /** CPUs of `Hg` and `Hc`. */
  #general = 0;
  #control: number | "all" = "all";
  #multiprocess = false;
  #reports = { software: false, hardware: false };
  #physical = false;
  #stepBits = STEP_ENABLE;
  /** Why the guest stands still. */
  #stop: ReverseStop | undefined;
  /** The run has ended, and the client was shown where. */
  #isAtEnd = false;
  #isReversing = false;
  /** The packet that is being answered is to end. */
  #isInterrupted = false;
  /** Packets need no acknowledgement any more. */
  isQuiet = false;

  /** A session; `send` sends a packet that is no answer. */
  constructor(seat: Seat, send: (packet: string) => Promise<void>) {
    const { target } = seat;
    this.#seat = seat;
    this.#target = target;
    this.#send = send;
    this.#monitor = target.monitor ?? basicMonitor({
      cpu: async () => this.#cpu(await this.#attach()),
      reset: () => target.reset(),
    });
  }

  /** Whether the guest goes on for this client. */
  get isRunning(): boolean {
    return this.#isReversing ||
      this.#seat.attached?.execution.isActive === true;
  }

  /** The client wants the guest to stop, which it has just let go on. */
  interrupt(): void {
    this.#isInterrupted = true;
    if (this.#isReversing) this.#target.reverse?.pause();
    else this.#seat.attached?.execution.interrupt();
  }

  /** Take all points away, and let the guest go on. */
  #detach(): void {
    this.#isSeated = false;
    this.#stop = undefined;
    this.#isAtEnd = false;
    this.#seat.detach();
  }

  /**
   * Answer a packet; undefined where none is due. Resolves only when the guest
   * has stopped for one that lets it go on.
   */
  async handle(packet: string): Promise<string | undefined> {
    try {
      // Of its own nothing goes on now.
      await this.#seat.settle();
      const attached = await this.#attach();
      // A monitor has let it go.
      if (attached.machine.isRunning) await this.#halt(attached.machine);
      return await this.#handle(packet, attached);
    } catch (error) {
      // What cannot be is told; whatever else happens, the session goes on.
      return `E.${error instanceof Error ? error.message : error}`;
    } finally {
      this.#isInterrupted = false;
    }
  }

  async #attach(): Promise<Attached> {
    if (this.#isSeated) return this.#seat.attached!;
    const attached = await this.#seat.attach();
    const { machine, execution } = attached;
    this.#stop = { kind: "step", cpu: busyCpu(machine, 0) };
    if (machine.isRunning) {
      // A monitor has started it, if it was to wait.
      this.#target.goes?.();
      await this.#halt(machine);
    }
    execution.holdsInterrupts = false;
    this.#general = this.#stop.cpu;
    this.#control = "all";
    this.#isSeated = true;
    return attached;
  }

  /** Have a guest stand still that runs though the client has not let it go. */
  async #halt(machine: MachineDebugger): Promise<void> {
    const stopped = machine.resume();
    machine.pause();
    const stop = await stopped;
    // To gdb this is where the guest is found.
    this.#stop = stop.kind === "pause"
      ? { kind: "step", cpu: busyCpu(machine, stop.cpu) }
      : stop;
  }

  #cpu({ machine }: Attached): DebugCpu {
    return machine.cpus[this.#general];
  }

  /** The memory that addresses of packets mean. */
  #memory(a: Attached): PacketMemory {
    const { machine, addresses } = a;
    if (this.#physical) {
      return {
        parse: parseNumber,
        read: (address, into) => machine.readPhysical(address, into),
        write: (address, bytes) => machine.writePhysical(address, bytes),
      };
    }
    const cpu = this.#cpu(a);
    return {
      parse: (text) => addresses.parse(text),
      read: (address, into) => cpu.read(address, into),
      write: (address, bytes) => cpu.write(address, bytes),
    };
  }

  async #handle(packet: string, a: Attached): Promise<string | undefined> {
    const rest = packet.slice(1);
    switch (packet[0]) {
      case "?":
        // A client that begins knows of no points.
        a.points.clear();
        return this.#stopReply(a, this.#stop!);
      case "g":
        return readRegisters(this.#cpu(a), a.map);
      case "G":
        return writeRegisters(this.#cpu(a), a.map, rest);
      case "p":
        return readRegister(this.#cpu(a), a.map, rest);
      case "P":
        return writeRegister(this.#cpu(a), a.map, rest);
      case "m":
      case "x":
        return readMemory(this.#memory(a), rest, packet[0] === "x");
      case "M":
      case "X":
        return writeMemory(this.#memory(a), rest, packet[0] === "X");
      case "H":
        return this.#selectThread(a, rest);
      case "T":
        return typeof parseThread(rest, a.machine.cpus.length) === "number"
          ? "OK"
          : E_INVAL;
      case "Z":
      case "z":
        return this.#point(a, packet[0] === "Z", rest);
      case "c":
      case "s":
        return await this.#goOn(a, packet[0] === "s", rest);
      case "C":
      case "S": {
        // A signal means nothing to a machine.
        const [signal, address] = rest.split(";");
        if (!/^[0-9a-f]{2}$/i.test(signal)) return E_INVAL;
        return await this.#goOn(a, packet[0] === "S", address ?? "");
      }
      case "b":
        return await this.#goBack(a, rest);
      case "D":
        this.#detach();
        return "OK";
      case "k":
        this.#kill();
        return undefined;
      case "R":
        // gdb's `run`, after a kill. It waits for no answer: one would be taken
        // for that of its next packet.
        return undefined;
      case "!":
        // `target extended-remote`: the connection outlives a `detach`.
        return "OK";
      case "v":
        return await this.#verbose(a, packet);
      case "q":
      case "Q":
        return await this.#query(a, packet);
      default:
        return UNKNOWN;
    }
  }

  #kill(): void {
    this.#target.kill();
    this.#detach();
  }

  // Threads and points.

  #selectThread(a: Attached, text: string): string {
    const choice = parseThread(text.slice(1), a.machine.cpus.length);
    if (choice === undefined) return E_INVAL;
    if (text[0] === "g") {
      if (typeof choice === "number") this.#general = choice;
    } else if (text[0] === "c") {
      this.#control = choice === "any" ? this.#general : choice;
    } else return E_INVAL;
    return "OK";
  }

  #point(a: Attached, isSet: boolean, text: string): string {
    // Conditions and commands (after a semicolon) were not offered.
    const match = /^([0-4]),([0-9a-f]+),([0-9a-f]{1,8})$/i.exec(text);
    if (match === null) return /^[0-4]/.test(text) ? E_INVAL : UNKNOWN;
    const type = Number(match[1]) as PointType;
    const address = a.addresses.parse(match[2]);
    const size = parseInt(match[3], 16);
    if (address === undefined) return E_FAULT;
    if (isSet) a.points.set(type, address, size);
    else a.points.remove(type, address, size);
    return "OK";
  }

  // Going on.

  async #goOn(a: Attached, isStep: boolean, address: string): Promise<string> {
    if (address !== "") setPc(this.#cpu(a), a.map, address);
    const action: Action = { kind: isStep ? "step" : "continue" };
    // A step is of one CPU; the others go on as well, unless `Hc` says which.
    const cpu = this.#control === "all" ? this.#general : this.#control;
    const actions: Actions = a.machine.cpus.map(({ index }) => {
      if (index === cpu) return action;
      return this.#control === "all" ? { kind: "continue" } : undefined;
    });
    return await this.#run(a, actions);
  }

  async #run(a: Attached, actions: Actions): Promise<string> {
    const wasAtEnd = this.#isAtEnd;
    this.#target.goes?.();
    let event: StopEvent = this.#isInterrupted
      ? { kind: "pause", cpu: this.#general }
      : await this.#seat.goOn(a.execution.run(actions, this.#general));
    // Of those that were stopped, rather one that does something.
    if (event.kind === "pause") {
      event = { ...event, cpu: busyCpu(a.machine, event.cpu) };
    }
    this.#stop = event;
    this.#isAtEnd = event.kind === "end" && isLookedAt(event.result);
    // Where the run has ended there may be something to see, once.
    if (event.kind === "end" && wasAtEnd) return exitReply(event.result);
    return this.#stopReply(a, event);
  }

  async #goBack(a: Attached, text: string): Promise<string> {
    const { reverse } = this.#target;
    if (reverse === undefined || (text !== "c" && text !== "s")) return UNKNOWN;
    this.#isReversing = true;
    try {
      this.#stop = await this.#seat.goOn(
        text === "s" ? reverse.step(this.#general) : reverse.resume(),
      );
    } finally {
      this.#isReversing = false;
    }
    this.#isAtEnd = false;
    return this.#stopReply(a, this.#stop);
  }

  #stopReply(a: Attached, event: ReverseStop): string {
    this.#general = event.cpu;
    const thread = `thread:${threadId(event.cpu, this.#multiprocess)};`;
    switch (event.kind) {
      case "end":
        // The program has stopped the run, and may start it again.
        if (event.result.reason === "stop") {
          return `T${signal(SIGNAL_INT)}${thread}`;
        }
        return isLookedAt(event.result)
          ? `T${signal(SIGNAL_ABORT)}${thread}`
          : exitReply(event.result);
      case "pause":
        return `T${signal(SIGNAL_INT)}${thread}`;
      case "beginning":
        return `T${signal(SIGNAL_TRAP)}${thread}replaylog:begin;`;
      case "watchpoint": {
        const { name, address } = a.points.watchAt(event);
        const at = a.addresses.format(address);
        return `T${signal(SIGNAL_TRAP)}${thread}${name}:${at};`;
      }
      case "breakpoint":
        return `T${signal(SIGNAL_TRAP)}${thread}${
          this.#breakpoint(a, event.cpu)
        }`;
      case "step":
        return `T${signal(SIGNAL_TRAP)}${thread}`;
    }
  }

  /** What a stop reply says of the breakpoint that a CPU is at. */
  #breakpoint(
    { machine, points, map, addresses }: Attached,
    cpu: number,
  ): string {
    const { pc, registers } = machine.cpus[cpu];
    const bytes = registers.read(map.pc.register.name);
    // Where code has a base (real mode), gdb knows of no breakpoint there, and
    // would take it for one that it has removed.
    const shown = addresses.parse(toHex(bytes.reverse()));
    if (shown !== pc) return "";
    const type = points.breakpointAt(pc);
    if (type === 0 && this.#reports.software) return "swbreak:;";
    return type === 1 && this.#reports.hardware ? "hwbreak:;" : "";
  }

  async #verbose(a: Attached, packet: string): Promise<string | undefined> {
    if (packet === "vCont?") return "vCont;c;C;s;S;r";
    if (packet.startsWith("vCont;")) {
      const { cpus } = a.machine;
      const actions = parseActions(
        packet.slice(6),
        cpus.length,
        (text) => a.addresses.parse(text),
      );
      return actions === undefined ? E_INVAL : await this.#run(a, actions);
    }
    if (packet.startsWith("vKill;")) {
      await this.#send("OK");
      this.#kill();
      return undefined;
    }
    if (packet.startsWith("vAttach;")) {
      const isHere = parseInt(packet.slice(8), 16) === PROCESS;
      return isHere ? this.#stopReply(a, this.#stop!) : E_INVAL;
    }
    // vRun: there is one machine, and it is here. vMustReplyEmpty.
    return UNKNOWN;
  }

  // Queries.

  async #query(a: Attached, packet: string): Promise<string | undefined> {
    const colon = packet.indexOf(":");
    const name = colon < 0 ? packet : packet.slice(0, colon);
    const rest = colon < 0 ? "" : packet.slice(colon + 1);
    switch (name) {
      case "qSupported":
        return this.#supported(rest.split(";"));
      case "QStartNoAckMode":
        this.isQuiet = true;
        return "OK";
      case "qXfer":
        return transfer(a.map.xml, rest);
      case "qAttached":
        return "1";
      case "qC":
        return `QC${threadId(this.#general, this.#multiprocess)}`;
      case "qfThreadInfo": {
        const all = a.machine.cpus.map(({ index }) =>
          threadId(index, this.#multiprocess)
        );
        return `m${all.join(",")}`;
      }
      case "qsThreadInfo":
        return "l";
      case "qqemu.sstepbits":
        return `ENABLE=${STEP_ENABLE},NOIRQ=${STEP_NO_INTERRUPTS},` +
          `NOTIMER=${STEP_NO_TIMERS}`;
      case "qqemu.sstep":
        return `0x${this.#stepBits.toString(16)}`;
      case "qqemu.PhyMemMode":
        return this.#physical ? "1" : "0";
      case "Qqemu.PhyMemMode":
        if (!/^[0-9a-f]{1,8}$/i.test(rest)) return E_INVAL;
        this.#physical = parseInt(rest, 16) !== 0;
        return "OK";
    }
    if (packet.startsWith("Qqemu.sstep=")) return this.#setStep(a, packet);
    const argument = packet.slice(packet.indexOf(",") + 1);
    if (packet.startsWith("qThreadExtraInfo,")) {
      const cpu = parseThread(argument, a.machine.cpus.length);
      if (typeof cpu !== "number") return E_INVAL;
      const state = a.machine.cpus[cpu].isWaiting ? "halted " : "running";
      return textToHex(`CPU#${cpu} [${state}]`);
    }
    if (packet.startsWith("qRcmd,")) return await this.#command(argument);
    return UNKNOWN;
  }

  #setStep(a: Attached, packet: string): string {
    const [, digits] = /=(?:0x)?([0-9a-f]{1,8})$/i.exec(packet) ?? [];
    const bits = digits === undefined ? NaN : parseInt(digits, 16);
    if (Number.isNaN(bits) || (bits & ~STEP_BITS) !== 0) return E_INVAL;
    this.#stepBits = bits;
    a.execution.holdsInterrupts = (bits & STEP_NO_INTERRUPTS) !== 0;
    return "OK";
  }

  #supported(features: readonly string[]): string {
    const has = (name: string): boolean => features.includes(`${name}+`);
    this.#multiprocess = has("multiprocess");
    this.#reports = { software: has("swbreak"), hardware: has("hwbreak") };
    const own = [
      `PacketSize=${PACKET_SIZE.toString(16)}`,
      "QStartNoAckMode+",
      "qXfer:features:read+",
      "vContSupported+",
      "binary-upload+",
    ];
    for (const name of ["multiprocess", "swbreak", "hwbreak"]) {
      if (has(name)) own.push(`${name}+`);
    }
    if (this.#target.reverse !== undefined) {
      own.push("ReverseStep+", "ReverseContinue+");
    }
    return own.join(";");
  }

  async #command(hex: string): Promise<string> {
    const bytes = fromHex(hex);
    if (bytes === undefined) return E_INVAL;
    let text: string;
    try {
      text = await this.#monitor(new TextDecoder().decode(bytes));
    } catch (error) {
      text = `${error instanceof Error ? error.message : error}\n`;
    }
    const out = new TextEncoder().encode(text);
    const most = PACKET_SIZE / 2 - 16;
    for (let at = 0; at < out.length; at += most) {
      await this.#send(`O${toHex(out.subarray(at, at + most))}`);
    }
    return "OK";
  }
}

/** A CPU that does something: this one, if it does. */
function busyCpu({ cpus }: MachineDebugger, cpu: number): number {
  if (!cpus[cpu].isWaiting) return cpu;
  return Math.max(cpus.findIndex(({ isWaiting }) => !isWaiting), 0);
}

/** A part of the target description: `features:read:target.xml:offset,length`. */
function transfer(xml: string, text: string): string {
  const match = /^features:read:([^:]*):([0-9a-f]{1,8}),([0-9a-f]{1,8})$/i
    .exec(text);
  if (match === null) {
    return text.startsWith("features:read:") ? E_INVAL : UNKNOWN;
  }
  // There is no other document.
  if (match[1] !== "target.xml") return "E00";
  const offset = parseInt(match[2], 16);
  if (offset > xml.length) return E_INVAL;
  const length = Math.min(parseInt(match[3], 16), PACKET_SIZE / 2);
  const part = xml.slice(offset, offset + length);
  return (offset + part.length < xml.length ? "m" : "l") + part;
}

function signal(number: number): string {
  return number.toString(16).padStart(2, "0");
}

/** Whether the guest was ended by what somebody will want to look at. */
export function isLookedAt({ reason }: RunResult): boolean {
  return reason === "halt" || reason === "shutdown";
}

/** The guest is gone: with a status, or by a signal where it died. */
function exitReply(result: RunResult): string {
  return isLookedAt(result)
    ? `X${signal(SIGNAL_ABORT)}`
    : `W${signal(result.status & 0xff)}`;
}
