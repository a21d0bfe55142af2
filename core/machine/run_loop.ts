/**
 * The run loop: drives one CPU and the virtual clock, and serves the event
 * loop between slices.
 *
 * A slice ends at the next timer's deadline or after `SLICE_NS`, whichever is
 * first. With `icount` the budget is exact. With the host's clock the deadline
 * is turned into a budget by the speed at which the guest ran lately; where
 * that was too much, virtual time waits at the deadline (`HostTime.barrier`)
 * and the guest's looking at it ends the slice. So the guest sees every tick of
 * a periodic timer, at its time, even after the host was busy.
 *
 * Measured (Deno 2.9.6): `setImmediate` costs 3 us a turn and serves timers
 * and I/O; a message channel 10 us. `setTimeout` is late by 1-2 ms, so the end
 * of a sleep is waited for by `Atomics.wait`, which takes fractions of one.
 *
 * @module
 */

import type { TimedInputs } from "../replay/inputs.ts";
import type { HostTime, InstructionTime } from "../time/time_source.ts";
import type { VirtualClock } from "../time/virtual_clock.ts";
import type { BlockRequests } from "./block_requests.ts";
import type { CpuCore, CpuExit } from "./cpu.ts";
import type { NetTraffic } from "./net_traffic.ts";

/** Longest slice and longest time between two turns of the event loop. */
const SLICE_NS = 2_000_000;
/**
 * The same while frames pass on a network or a block backend has a request: a
 * guest that polls its disk, or goes on computing, hears of the answer so late.
 */
const REQUEST_SLICE_NS = 100_000;
/**
 * The most where the answer is not to be expected before (`nextLook`). A turn
 * costs 3 us, and the guest more, whose code the host's caches have lost: 160 MB
 * written to an IDE disk in pieces of 512 KB take 0.93 of the CPU time that they
 * take with a turn every 100 us.
 */
const LATE_REQUEST_SLICE_NS = 500_000;
/**
 * Deno looks at sockets only when it has nothing else to do, and at every 61st
 * turn of a busy event loop (so tokio's scheduler has it, `event_interval`): with
 * slices of 2 ms a key from a viewer came after 80 to 190 ms. A machine with
 * sockets takes so many turns one after the other, 3 us each, every now and
 * then: 8 ms in the median with `POLL_MS` of 10.
 */
const POLL_TURNS = 61;
const POLL_MS = 20;
/**
 * An idle guest that waits for an answer may see a timer that much later. A host
 * timer costs 15 us, a request from the host's page cache 30: one timer serves
 * many waits.
 */
const ALARM_SLACK_MS = 1;
/** The most that a host timer takes; the loop sleeps again. */
const SLEEP_MS = 2 ** 31 - 1;
/** Less than this measures the clock rather than the guest, in ms. */
const MEASURED_MS = 0.05;
/** Least budget, so that a wrong estimate of the speed cannot stall. */
const MIN_BUDGET = 500;
/** Instructions in a slice with `icount`: fixed, so that runs are alike. */
const ICOUNT_SLICE = 100_000;
/** Speed assumed at the start, in instructions per nanosecond. */
const FIRST_RATE = 0.05;
/** How long the guest must have been busy for a measure of what it gets. */
const SHARE_MS = 100;
/** `setTimeout` may be late by this much. */
const TIMEOUT_SLACK_MS = 2;
/** Longest single `Atomics.wait`: host events are not served meanwhile. */
const BLOCK_MS = 1;
/**
 * A guest that has only handled timer ticks for `QUIET_MS`, each with fewer
 * than `QUIET_INSTRUCTIONS`, sleeps for `NAP_MS` at a time, and then sees the
 * ticks of that time one after the other, each at its own virtual time.
 * Waking up costs more than a tick: with Linux's 250 ticks a second (a kernel
 * without NO_HZ) an idle guest takes 6 % of a core with a sleep a tick, and
 * QEMU 5 %. What the host has for the guest ends a nap at once. Ticks with
 * slack are fewer: with those of Linux 1.0 % in the first minute, 1.9 without,
 * and then more of it compiling than guest.
 */
const QUIET_MS = 100;
const QUIET_INSTRUCTIONS = 50_000;
const NAP_MS = 40;
/**
 * Naps grow with the time for which it has been quiet, to this part of it: what
 * a guest does once a second is not late by more than a sixteenth of that. A
 * nap costs 250 us in the event loop and 400 us in the first tick after it
 * (host caches are cold), each tick that follows at once 15 us, 60 interpreted:
 * at 250 ticks a second naps of 40 ms take 2 % of a core, of 400 ms 0.5 %.
 */
const NAP_PART = 16;
const LONG_NAP_MS = 400;

/** Why the loop ended. */
export type LoopEnd = "stop" | "dead" | "shutdown";

/** What the loop drives. */
export interface RunLoopParts {
  /** The CPU. */
  readonly cpu: CpuCore;
  /** The clock. */
  readonly clock: VirtualClock;
  /** Its source. */
  readonly time: HostTime | InstructionTime;
  /**
   * Called between slices, before timers: carries out what was requested and
   * says whether the CPU was reset.
   */
  readonly between: () => boolean;
  /**
   * Called when the CPU has shut down: says whether that requests a reset, which
   * `between` then carries out. It ends the loop otherwise.
   */
  readonly resetsAtShutdown?: () => boolean;
  /** What block backends are doing. */
  readonly blocks: BlockRequests;
  /** What passes on networks. */
  readonly traffic?: NetTraffic;
  /** With `icount`, of a run that is recorded or replayed: what comes from outside. */
  readonly inputs?: TimedInputs;
}

/** The run loop of a machine. */
export class RunLoop {
  readonly #cpu: CpuCore;
  readonly #clock: VirtualClock;
  readonly #host: HostTime | undefined;
  readonly #icount: InstructionTime | undefined;
  readonly #between: () => boolean;
  readonly #resetsAtShutdown: () => boolean;
  readonly #blocks: BlockRequests;
  readonly #traffic: NetTraffic | undefined;
  readonly #inputs: TimedInputs | undefined;
  readonly #bench = new Int32Array(new SharedArrayBuffer(4));
  #rate = FIRST_RATE;
  /** Instructions and time of slices that the rate does not know yet. */
  #measuredCount = 0;
  #measuredMs = 0;
  #inSlice = false;
  /** What is to be done when the slice has ended. */
  readonly #later: (() => void)[] = [];
  #sliceEnd = 0;
  #stopping = false;
  /**
   * With `icount`: instructions of a slice that a debugger cut short. What is
   * recorded does not come then: an interrupt may have been taken at the same
   * count of instructions, before or after it.
   */
  #rest = 0;
  /** Called whenever the guest comes to stand still. */
  onStand: () => void = () => {};
  /** Called when the CPU has stopped for a debugger, which is to hold the loop. */
  onDebug: () => void = () => {};
  /** For how many reasons the guest stands still. */
  #stands = 0;
  /** Whether the host may have something for the guest on a socket. */
  hasSockets = false;
  #awake: (() => void) | undefined;
  /**
   * Somebody wants `between` since it began last. The CPU may halt in the slice
   * that was to end for it, and in a run that is recorded the host has its turn
   * before the loop sleeps: nothing else would end that sleep.
   */
  #isCalled = false;
  /** A host timer that wakes the guest, and when it will. */
  #alarm: ReturnType<typeof setTimeout> | undefined;
  #alarmEnd = 0;
  #slept = 0;
  #slices = 0;
  /** When the measure of the guest's share of the host began, in ms. */
  #shareStart = 0;
  /** Instructions executed by then. */
  #shareCount = 0;
  /** Host time at which the guest last did more than handle a tick. */
  #active = 0;
  /** Instructions executed when it was last idle. */
  #idleCount = 0;
  /** Who has it stand still: resolves when they have all done what they want. */
  #holds: Promise<void> | undefined;
  #running = false;
  /** Told when the loop has come to stand still. */
  #parked: (() => void)[] = [];

  /** A loop over these parts. */
  constructor(parts: RunLoopParts) {
    this.#cpu = parts.cpu;
    this.#clock = parts.clock;
    if ("skipTo" in parts.time) this.#icount = parts.time;
    else this.#host = parts.time;
    this.#between = parts.between;
    this.#resetsAtShutdown = parts.resetsAtShutdown ?? (() => false);
    this.#blocks = parts.blocks;
    this.#traffic = parts.traffic;
    this.#inputs = parts.inputs;
    // The slice in progress may be too long now.
    const shorten = (): void => {
      if (this.#host !== undefined) this.#rouse();
    };
    this.#blocks.onRequest = shorten;
    if (this.#traffic !== undefined) this.#traffic.onBegin = shorten;
    this.#clock.onEarlier = (deadline) => {
      // The guest armed a timer that is due within its own slice.
      if (this.#inSlice && deadline < this.#sliceEnd) this.#cpu.requestStop();
      this.wake();
    };
    if (this.#host !== undefined) {
      this.#host.barrier = () => this.#clock.nextDeadline();
      this.#host.onBarrier = () => {
        if (this.#inSlice) this.#cpu.requestStop();
      };
    }
  }

  /** Milliseconds that the loop has slept for an idle guest. */
  get sleptMs(): number {
    return this.#slept;
  }

  /** Slices that the CPU has run. */
  get slices(): number {
    return this.#slices;
  }

  /** Something happened that an idle CPU may wait for. */
  wake(): void {
    const awake = this.#awake;
    this.#awake = undefined;
    awake?.();
  }

  /** Come back to `between` soon, wherever the loop is. */
  interrupt(): void {
    this.#isCalled = true;
    this.#inputs?.lookAgain();
    this.#rouse();
  }

  /** End the slice in progress, or a sleep. */
  #rouse(): void {
    if (this.#inSlice) this.#cpu.requestStop();
    this.wake();
  }

  /** End the loop at the next opportunity. */
  stop(): void {
    this.#stopping = true;
    this.interrupt();
  }

  /**
   * Let the guest and virtual time stand still within the run: what is
   * requested is carried out, but no instruction is executed and no timer
   * fires. Several may hold it; what this gives back lets go, once.
   */
  standStill(): () => void {
    this.#stands++;
    this.interrupt();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#stands--;
      this.interrupt();
    };
  }

  /**
   * Run until `stop` though the guest is held: for a replay that goes to
   * another place while it stands still for a debugger. A `stop` for which
   * `isDone` does not hold is one of the run that is held, too.
   */
  async runHeld(isDone: () => boolean): Promise<LoopEnd> {
    const [awake, stands, running, stopping] = [
      this.#awake,
      this.#stands,
      this.#running,
      this.#stopping,
    ];
    this.#awake = undefined;
    this.#stands = 0;
    this.#stopping = false;
    try {
      return await this.#drive();
    } finally {
      this.#stands += stands;
      this.#awake = awake;
      this.#running = running;
      if (isDone()) this.#stopping = stopping;
      // What was wanted meanwhile may be for the run that is held.
      this.wake();
    }
  }

  /**
   * Have the guest stand still between two slices, whether it runs or not, while
   * `action` is done, one after another. The run does not end by it; one that
   * starts meanwhile waits.
   */
  async hold<T>(action: () => Promise<T>): Promise<T> {
    const before = this.#holds;
    const { promise, resolve } = Promise.withResolvers<void>();
    const mine = this.#holds = Promise.all([before, promise]).then(() => {
      if (this.#holds === mine) this.#holds = undefined;
    });
    try {
      if (before !== undefined) await before;
      else if (this.#running) {
        await new Promise<void>((parked) => {
          this.#parked.push(parked);
          this.interrupt();
        });
      }
      return await action();
    } finally {
      resolve();
    }
  }

  /** Resolves when nobody holds it any more. */
  async released(): Promise<void> {
    while (this.#holds !== undefined) await this.#holds;
  }

  /** Stand still as long as someone wants it. */
  async #park(holds: Promise<void>): Promise<void> {
    this.#host?.pause();
    for (const parked of this.#parked.splice(0)) parked();
    await holds;
    this.#host?.resume();
    this.#startShare(performance.now());
    this.#idleCount = this.#cpu.instructions;
  }

  /** Whether the CPU executes instructions just now. */
  get inSlice(): boolean {
    return this.#inSlice;
  }

  /**
   * Do what must not be done in the midst of an instruction: now, or as soon as
   * the CPU has ended its slice, which it does at the next block.
   */
  outsideSlice(action: () => void): void {
    if (!this.#inSlice) return action();
    this.#later.push(action);
    this.#cpu.requestStop();
  }

  /** A run is to follow: a `stop` from now on is for that one. */
  begin(): void {
    this.#stopping = false;
  }

  /** Run until `stop`, or until the CPU can do nothing more. */
  async run(): Promise<LoopEnd> {
    try {
      return await this.#drive();
    } finally {
      this.#stopping = false;
    }
  }

  async #drive(): Promise<LoopEnd> {
    this.#running = true;
    this.#host?.resume();
    try {
      let served = performance.now();
      let polled = served;
      this.#startShare(served);
      for (;;) {
        this.#isCalled = false;
        this.#between();
        if (this.#stopping) {
          if (this.#inputs !== undefined) await this.#finish();
          return "stop";
        }
        if (this.#holds !== undefined) {
          await this.#park(this.#holds);
          served = performance.now();
          continue;
        }
        const stands = this.#stands > 0;
        if (stands && !this.#hasInput) {
          await this.#stand();
          served = performance.now();
          this.#startShare(served);
          continue;
        }
        this.#clock.runDue();
        if (this.#blocks.due !== undefined) {
          await this.#answers();
          continue;
        }
        const taken = this.isCut ? undefined : this.#inputs?.take(stands);
        if (taken !== undefined) {
          // Since `between`, by a timer.
          if (this.#isCalled) this.#inputs?.lookAgain();
          await taken;
          await turn();
          continue;
        }
        if (this.#stopping) return "stop";
        if (stands) continue;
        const exit = this.#slice();
        if (this.#later.length > 0) {
          for (const action of this.#later.splice(0)) action();
        }
        if (exit === "debug") {
          this.onDebug();
          continue;
        }
        if (exit === "shutdown" || exit === "dead") {
          // What the guest requested in its last instruction comes first.
          if (this.#between()) continue;
          if (this.#stopping) return "stop";
          if (exit === "dead" || !this.#resetsAtShutdown()) return exit;
          // A guest that shuts down at once leaves the host its turn.
          await turn();
          served = performance.now();
          continue;
        }
        if (this.#inputs !== undefined) {
          // What the guest's accesses have led to comes before the next slice.
          await turn();
          if (exit === "halted") await this.#wait(this.#inputs);
          continue;
        }
        if (exit === "halted" && !this.#isCalled && !this.#skip()) {
          await this.#idle();
          served = performance.now();
          this.#startShare(served);
          this.#host?.jump();
          continue;
        }
        const now = performance.now();
        if (now - served >= this.#sliceNs / 1e6) {
          await turn();
          if (this.hasSockets && now - polled >= POLL_MS) {
            for (let i = 1; i < POLL_TURNS; i++) await turn();
            polled = now;
          }
          served = performance.now();
          this.#noticeWork();
          this.#measureShare(served);
          this.#host?.jump();
        }
      }
    } finally {
      this.#running = false;
      this.#host?.pause();
      this.#cancelAlarm();
      for (const parked of this.#parked.splice(0)) parked();
    }
  }

  /** Whether the guest stands where nothing comes of a run that is recorded. */
  get isCut(): boolean {
    return this.#rest > 0 && this.#inputs?.isLive === true;
  }

  /** Whether there is something for a guest that stands still: who sends it may wait for that. */
  get #hasInput(): boolean {
    return !this.isCut && this.#inputs?.isAwaited === true;
  }

  /** Longest slice now. */
  get #sliceNs(): number {
    if (!this.#expectsHost) return SLICE_NS;
    if (this.#traffic?.isRecent) return REQUEST_SLICE_NS;
    return Math.min(
      Math.max(REQUEST_SLICE_NS, this.#blocks.nextLook),
      LATE_REQUEST_SLICE_NS,
    );
  }

  /** Whether the host's event loop will soon have something for the guest. */
  get #expectsHost(): boolean {
    return this.#blocks.outstanding || (this.#traffic?.isRecent ?? false);
  }

  /** All CPUs wait, in a run that is recorded or replayed. */
  async #wait(inputs: TimedInputs): Promise<void> {
    const start = performance.now();
    const deadline = this.#clock.nextDeadline();
    if (this.#stands > 0) inputs.stand(deadline);
    else if (!this.#isCalled) {
      await inputs.idle(deadline, (time) => this.#sleep(time));
    }
    this.#slept += performance.now() - start;
  }

  /** Stand still until `wake`. */
  async #stand(): Promise<void> {
    this.#host?.pause();
    this.onStand();
    // Who hears of it may have let it go on.
    if (!this.#isCalled && !this.#hasInput) {
      await new Promise<void>((resolve) => this.#awake = resolve);
    }
    this.#host?.resume();
  }

  /** With `icount`: wait for the answers that are due, and let devices hear them. */
  async #answers(): Promise<void> {
    await Promise.race([
      this.#blocks.due,
      new Promise<void>((resolve) => this.#awake = resolve),
    ]);
    this.#awake = undefined;
    await turn();
  }

  /** What is due belongs to the end of a run that is recorded: a replay comes there with it done. */
  async #finish(): Promise<void> {
    for (;;) {
      this.#clock.runDue();
      if (this.#blocks.due === undefined) return;
      await this.#answers();
    }
  }

  /** Let the CPU run to the next deadline or the slice's end. */
  #slice(): CpuExit {
    const cpu = this.#cpu;
    const deadline = this.#clock.nextDeadline();
    this.#slices++;
    if (this.#host !== undefined) return this.#hostSlice(this.#host, deadline);
    const icount = this.#icount!;
    // What a debugger cut short is the slice that it would have been.
    let budget = this.#rest > 0 ? this.#rest : ICOUNT_SLICE;
    if (deadline !== Infinity) {
      budget = Math.min(budget, icount.instructionsUntil(deadline));
    }
    if (this.#inputs !== undefined) {
      budget = Math.min(budget, this.#inputs.budget);
    }
    this.#sliceEnd = icount.now() + budget * icount.nsPerInstruction;
    const before = cpu.instructions;
    this.#inSlice = true;
    const exit = cpu.run(budget);
    this.#inSlice = false;
    this.#rest = exit === "debug" ? budget - (cpu.instructions - before) : 0;
    return exit;
  }

  /** A slice when virtual time follows the host's. */
  #hostSlice(host: HostTime, deadline: number): CpuExit {
    const cpu = this.#cpu;
    const rate = this.#rate;
    const sliceNs = this.#sliceNs;
    const end = Math.min(deadline, host.now() + sliceNs);
    const budget = Math.max(
      MIN_BUDGET,
      // While time catches up it may take more than a slice to come to the end.
      Math.floor(
        Math.min(host.instructionsUntil(end, rate), sliceNs * rate),
      ),
    );
    this.#sliceEnd = end;
    const before = cpu.instructions;
    const start = performance.now();
    this.#inSlice = true;
    const exit = cpu.run(budget);
    this.#inSlice = false;
    // Short slices together: a guest with many ticks and a low estimate would
    // have nothing but slices that are too short to correct it.
    this.#measuredCount += cpu.instructions - before;
    this.#measuredMs += performance.now() - start;
    if (this.#measuredCount > 0 && this.#measuredMs > MEASURED_MS) {
      const measured = this.#measuredCount / (this.#measuredMs * 1e6);
      this.#measuredCount = 0;
      this.#measuredMs = 0;
      // Quick to slow down, so that a guest that turns slow (all MMIO) does
      // not run far past a deadline; slower to speed up.
      const weight = measured < rate ? 0.5 : 0.2;
      this.#rate += (measured - rate) * weight;
    }
    return exit;
  }

  /** Start to measure what the guest gets of the host. */
  #startShare(now: number): void {
    this.#shareStart = now;
    this.#shareCount = this.#cpu.instructions;
  }

  /** If it was busy for long enough, tell virtual time how fast it is. */
  #measureShare(now: number): void {
    const busy = now - this.#shareStart;
    if (this.#host === undefined || busy < SHARE_MS) return;
    const done = this.#cpu.instructions - this.#shareCount;
    if (done > 0) this.#host.rate = done / (busy * 1e6);
    this.#startShare(now);
  }

  /** The CPU waits: says whether it need not, for time could skip to a timer. */
  #skip(): boolean {
    const deadline = this.#clock.nextDeadline();
    if (this.#icount !== undefined) {
      if (deadline === Infinity) return false;
      this.#icount.skipTo(deadline);
      return true;
    }
    this.#noticeWork();
    this.#idleCount = this.#cpu.instructions;
    this.#settle();
    return this.#clock.now() >= deadline;
  }

  /** If the guest has done more than handle a tick since it was last idle, it is not quiet. */
  #noticeWork(): void {
    if (this.#cpu.instructions - this.#idleCount <= QUIET_INSTRUCTIONS) return;
    this.#active = performance.now();
    this.#cpu.quiet = false;
  }

  /** Catches up with the host: to the next timer, or for a quiet guest as far as its timers have slack. */
  #settle(): void {
    const quiet = performance.now() - this.#active > QUIET_MS;
    this.#cpu.quiet = quiet;
    this.#host?.settle(quiet ? this.#clock.latestDeadline() : undefined);
  }

  /** Sleep until a deadline or `wake`. */
  async #idle(): Promise<void> {
    const start = performance.now();
    const wait = (this.#clock.nextDeadline() - this.#clock.now()) / 1e6;
    const quiet = start - this.#active;
    if (this.#expectsHost) {
      await this.#waitForAnswer(wait);
      this.#active = performance.now();
    } else if (quiet > QUIET_MS) {
      const nap = Math.min(Math.max(quiet / NAP_PART, NAP_MS), LONG_NAP_MS);
      if (await this.#sleep(Math.max(wait, nap))) {
        this.#active = performance.now();
      }
    } else if (wait > TIMEOUT_SLACK_MS + BLOCK_MS) {
      await this.#sleep(wait - TIMEOUT_SLACK_MS);
    } else {
      // Serve the host first: its events may wake the CPU.
      this.#awake = () => {};
      await turn();
      const woken = this.#awake === undefined;
      this.#awake = undefined;
      this.#host?.settle();
      const left = (this.#clock.nextDeadline() - this.#clock.now()) / 1e6;
      if (!woken && left > 0) {
        Atomics.wait(this.#bench, 0, 0, Math.min(left, BLOCK_MS));
      }
    }
    this.#slept += performance.now() - start;
    this.#settle();
  }

  /** Sleep until `wake`, which the answer leads to, and about so long at most. */
  async #waitForAnswer(milliseconds: number): Promise<void> {
    if (milliseconds <= 0) return await turn();
    const delay = Math.min(milliseconds, SLEEP_MS);
    const end = performance.now() + delay;
    if (this.#alarm === undefined || this.#alarmEnd > end + ALARM_SLACK_MS) {
      this.#cancelAlarm();
      this.#alarmEnd = end;
      this.#alarm = setTimeout(() => {
        this.#alarm = undefined;
        this.wake();
      }, delay);
    }
    await new Promise<void>((resolve) => this.#awake = resolve);
  }

  #cancelAlarm(): void {
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
  }

  /** Sleep for a time or until `wake`: says whether it was that. */
  #sleep(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#awake = undefined;
        resolve(false);
      }, Math.min(milliseconds, SLEEP_MS));
      this.#awake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}

/**
 * One turn of the event loop. The global `setImmediate`, not an import: Deno
 * loads its Node timers, 5 ms, when it is first used, which is after the
 * guest's first slice.
 */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
