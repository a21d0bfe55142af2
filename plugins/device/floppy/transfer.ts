/**
 * The commands that read or write a track, once their bytes are there: READ
 * DATA, WRITE DATA, READ TRACK, READ ID, VERIFY, FORMAT TRACK and those for
 * deleted data. Intel 82077AA (290166), "Data transfer commands".
 *
 * A command goes on in runs: sectors that lie one after another on a track are
 * one request to the backend. Of a run that is read the request and the disk's
 * turning go on at the same time, then the host takes the data; one that is
 * written gets them first.
 *
 * Requests go one after another, for a backend promises no order among those
 * outstanding: a write of before a reset cannot overtake one of after it. A
 * reset forgets what is under way by counting up a generation.
 *
 * @module
 */

import type { Clock, Timer } from "../../../core/time/clock.ts";
import { EC, MFM, MT, SK } from "./commands.ts";
import type { FloppyDrive } from "./drive.ts";
import { type Format, SECTOR, SIZE_CODE } from "./media.ts";
import {
  ST0_ABNORMAL,
  ST1_DE,
  ST1_EN,
  ST1_MA,
  ST1_ND,
  ST1_NW,
  ST2_CM,
  ST2_DD,
  ST2_WC,
} from "./registers.ts";
import {
  freshTransfer,
  NEVER,
  type Task,
  type TransferState,
  type UnitState,
} from "./state.ts";
import { OVERHEAD, turnTime } from "./timing.ts";

/** Bytes that FORMAT TRACK gets for each sector: C, H, R and N. */
const ID_BYTES = 4;
/** Revolutions after which a sector is given up. */
const PATIENCE = 2;

/** What a transfer needs of its controller. */
export interface TransferHost {
  /** Virtual time. */
  readonly clock: Clock;
  /** The drive, if it is there and its motor runs. */
  spinning(unit: number): FloppyDrive | undefined;
  /** What the controller keeps of a drive. */
  unit(unit: number): UnitState;
  /** The data rate that is set. */
  readonly rate: number;
  /** Seek before a command if CONFIGURE says so: ST0 bits and the time. */
  seekFirst(unit: number, cylinder: number): { st0: number; time: number };
  /** The host shall move the buffer. */
  data(): void;
  /** The result. */
  result(bytes: readonly number[]): void;
  /** The guest asks for what an image cannot hold. */
  cannot(what: string): void;
}

/** Whether a task takes its data from the host. */
export function takesData(task: Task): boolean {
  return task === "write" || task === "format";
}

/** A command with data. */
export class Transfer {
  /** The whole state. */
  state: TransferState = freshTransfer();
  readonly #host: TransferHost;
  readonly #timer: Timer;
  #generation = 0;
  #previous: Promise<unknown> | undefined;

  /** No command. */
  constructor(host: TransferHost) {
    this.#host = host;
    this.#timer = host.clock.timer(() => {
      this.state.due = NEVER;
      this.#settle();
    });
  }

  /** Forget the command under way. */
  reset(): void {
    this.#generation++;
    this.#timer.cancel();
    this.state = freshTransfer();
  }

  /**
   * The medium of a drive has gone: a command that uses it finds nothing, and
   * wants no more data. Gives back whether there is one.
   */
  removed(unit: number): boolean {
    const { state } = this;
    if (state.task === "" || state.unit !== unit || state.failing) return false;
    this.#generation++;
    state.request = "";
    this.#fail(ST1_MA);
    return true;
  }

  /** Go on from a loaded state; what was asked of a backend is asked again. */
  restore(state: TransferState): void {
    this.reset();
    this.state = state;
    if (state.due !== NEVER) this.#timer.arm(state.due);
    if (state.request !== "") this.#issue();
  }

  /** Begin a command whose parameters are C, H, R, N, EOT, GPL and DTL. */
  start(task: Task, bytes: Uint8Array): void {
    const state = this.#fresh(task, bytes);
    [, , state.c, state.h, state.r, state.n, state.eot] = bytes;
    if (task === "read-track") state.left = state.eot;
    if (task === "verify" && (bytes[1] & EC) !== 0) {
      state.left = bytes[8] === 0 ? 256 : bytes[8];
    }
    const { st0, time } = this.#host.seekFirst(state.unit, state.c);
    state.st0 = st0;
    if (this.#isProtected()) return;
    this.#run(time);
  }

  /** Begin READ ID. */
  startId(bytes: Uint8Array): void {
    const state = this.#fresh("read-id", bytes);
    const format = this.#track();
    if (format === undefined) return this.#fail(ST1_MA);
    const unit = this.#host.unit(state.unit);
    unit.sector = unit.sector % format.sectors + 1;
    state.c = this.#cylinder;
    state.h = state.side;
    state.r = unit.sector;
    state.n = SIZE_CODE;
    this.#wait(this.#turn(1 / format.sectors));
  }

  /** Begin FORMAT TRACK: N, SC, GPL and D. */
  startFormat(bytes: Uint8Array): void {
    const state = this.#fresh("format", bytes);
    state.n = bytes[2];
    state.fill = bytes[5];
    if (this.#isProtected()) return;
    if (this.#track(true) === undefined) return this.#fail(ST1_MA);
    if (bytes[3] === 0) return this.#wait(this.#turn(1));
    state.buffer = new Uint8Array(bytes[3] * ID_BYTES);
    this.#host.data();
  }

  #fresh(task: Task, bytes: Uint8Array): TransferState {
    this.reset();
    const { state } = this;
    state.task = task;
    state.unit = bytes[1] & 3;
    state.side = bytes[1] >> 2 & 1;
    state.multiTrack = (bytes[0] & MT) !== 0;
    state.mfm = (bytes[0] & MFM) !== 0;
    state.skip = (bytes[0] & SK) !== 0;
    return state;
  }

  get #drive(): FloppyDrive | undefined {
    return this.#host.spinning(this.state.unit);
  }

  /** The medium's cylinder under the head, or -1. */
  get #cylinder(): number {
    const { head } = this.#host.unit(this.state.unit);
    return this.#drive?.cylinderAt(head) ?? -1;
  }

  /** The time of so many revolutions. */
  #turn(revolutions: number): number {
    const drive = this.#drive;
    return drive === undefined ? OVERHEAD : turnTime(drive.kind, revolutions);
  }

  /**
   * The format of the track under the head; undefined where nothing can be
   * read: no disk, the motor off, another rate, beyond the last track.
   */
  #track(blank = false): Format | undefined {
    const drive = this.#drive;
    const format = drive?.format;
    const { state } = this;
    const readable = format !== undefined && this.#cylinder >= 0 &&
      state.side < format.heads && drive!.rate === this.#host.rate;
    return readable && (state.mfm || blank) ? format : undefined;
  }

  /** A write to a medium that takes none ends at once. */
  #isProtected(): boolean {
    const drive = this.#drive;
    if (!takesData(this.state.task) || drive?.format === undefined) {
      return false;
    }
    if (drive.writeProtected) this.#fail(ST1_NW);
    return drive.writeProtected;
  }

  /** Go on with the next sectors of a track, `time` after what went before. */
  #run(time = 0): void {
    const { state } = this;
    const format = this.#track();
    if (format === undefined) return this.#fail(ST1_MA, 0, time);
    const { sectors } = format;
    const cylinder = this.#cylinder;
    let first = state.r;
    if (state.task === "read-track") {
      // From the index hole on, whatever the addresses are.
      first = 1;
      state.count = Math.min(state.left, sectors);
      const same = state.c === cylinder && state.h === state.side &&
        state.n === SIZE_CODE && state.r === first;
      if (!same || state.count < state.left) state.st1 |= ST1_ND;
      if (state.count === 0) return this.#fail(ST1_EN, 0, time);
    } else {
      if (state.c !== cylinder) return this.#fail(ST1_ND, ST2_WC, time);
      const found = state.h === state.side && state.n === SIZE_CODE &&
        first >= 1 && first <= sectors;
      if (!found) return this.#fail(ST1_ND, 0, time);
      const end = first <= state.eot ? Math.min(state.eot, sectors) : sectors;
      state.count = end - first + 1;
      if (state.left > 0) state.count = Math.min(state.count, state.left);
      if (state.task === "read-deleted") {
        state.st2 |= ST2_CM;
        // No sector has the mark: read one all the same, or leave out all.
        if (state.skip) return this.#skipAll(time);
        state.count = 1;
      }
    }
    const track = cylinder * format.heads + state.side;
    state.offset = (track * sectors + first - 1) * SECTOR;
    if (state.task === "write") {
      state.buffer = new Uint8Array(state.count * SECTOR);
      state.position = 0;
      return this.#host.data();
    }
    this.#ask("read", time + this.#turn((state.count + 1) / sectors));
  }

  /** READ DELETED DATA with SK: every sector is passed over. */
  #skipAll(time: number): void {
    while (!this.#advance(1));
    this.#fail(ST1_EN, this.state.st2, time);
  }

  /** Look in vain: the result is abnormal. */
  #fail(st1: number, st2 = 0, time = 0): void {
    const { state } = this;
    state.failing = true;
    state.st1 |= st1;
    state.st2 |= st2;
    const vain = st1 === ST1_ND || st1 === ST1_MA;
    this.#wait(time + this.#turn(vain ? PATIENCE : 0));
  }

  #wait(time: number): void {
    this.state.due = this.#host.clock.now() + time;
    this.#timer.arm(this.state.due);
  }

  #ask(request: "read" | "write" | "format", time: number): void {
    this.state.request = request;
    this.#wait(time);
    this.#issue();
  }

  #issue(): void {
    const generation = ++this.#generation;
    const current = (): boolean => generation === this.#generation;
    // At once, so that when it is made does not depend on the host; but after
    // one that is under way, whatever becomes of that.
    const answer = this.#previous === undefined
      ? this.#perform()
      : this.#previous.then(() => current() ? this.#perform() : undefined);
    const done = (): void => {
      if (this.#previous === previous) this.#previous = undefined;
    };
    const previous = answer.then(done, done);
    this.#previous = previous;
    answer.then((data) => {
      if (!current()) return;
      if (data !== undefined) {
        this.state.buffer = data;
        this.state.position = 0;
      }
      this.state.request = "";
      this.#settle();
    }, () => {
      if (!current()) return;
      const { state } = this;
      state.request = "";
      state.failing = true;
      state.st1 |= ST1_DE;
      state.st2 |= ST2_DD;
      this.#settle();
    });
  }

  async #perform(): Promise<Uint8Array | undefined> {
    const { request, unit, offset, count, buffer } = this.state;
    const drive = this.#host.spinning(unit);
    if (drive === undefined) throw new Error("the drive stands still");
    switch (request) {
      case "read":
        return await drive.read(offset, count * SECTOR);
      case "write":
        await drive.write(offset, buffer);
        return undefined;
      default: {
        const { fill } = this.state;
        for (const [at, sectors] of this.#formatted(buffer)) {
          await drive.write(at, new Uint8Array(sectors * SECTOR).fill(fill));
        }
        return undefined;
      }
    }
  }

  /** Where sectors are that FORMAT TRACK makes, in bytes, and how many. */
  #formatted(ids: Uint8Array): [offset: number, count: number][] {
    const format = this.#track(true);
    if (format === undefined) return [];
    const cylinder = this.#cylinder;
    const { side, mfm, n } = this.state;
    const track = (cylinder * format.heads + side) * format.sectors;
    const runs: [number, number][] = [];
    const made = new Set<number>();
    for (let i = 0; i + ID_BYTES <= ids.length; i += ID_BYTES) {
      const [c, h, r, size] = ids.subarray(i, i + ID_BYTES);
      const kept = mfm && n === SIZE_CODE && size === SIZE_CODE &&
        c === cylinder && h === side && r >= 1 && r <= format.sectors;
      if (kept) made.add(r);
      else this.#host.cannot("formats a track as the image cannot hold it");
    }
    for (let r = 1; r <= format.sectors; r++) {
      if (!made.has(r)) continue;
      if (made.has(r - 1)) runs[runs.length - 1][1]++;
      else runs.push([(track + r - 1) * SECTOR, 1]);
    }
    return runs;
  }

  /** The host has moved the buffer, or as much as the terminal count lets. */
  moved(terminalCount: boolean): void {
    const { state } = this;
    state.last = terminalCount;
    const bytes = state.position;
    switch (state.task) {
      case "format":
        state.buffer = state.buffer.slice(0, bytes);
        return this.#ask("format", this.#turn(1));
      case "write": {
        // A sector that the terminal count cuts off is filled up with zero.
        state.count = Math.ceil(bytes / SECTOR);
        state.buffer = state.buffer.slice(0, state.count * SECTOR);
        const part = (state.count + 1) / (this.#track()?.sectors ?? 1);
        return this.#ask("write", this.#turn(part));
      }
      default:
        state.count = Math.ceil(bytes / SECTOR);
        this.#passed();
    }
  }

  /** The drive or the backend is done: both may be. */
  #settle(): void {
    const { state } = this;
    if (state.due !== NEVER || state.request !== "") return;
    if (state.failing) return this.#done(ST0_ABNORMAL);
    switch (state.task) {
      case "read":
      case "read-deleted":
      case "read-track":
        return this.#host.data();
      case "write":
      case "verify":
        return this.#passed();
      case "format":
        if (state.buffer.length >= ID_BYTES) {
          [state.c, state.h, state.r, state.n] = state.buffer.slice(-ID_BYTES);
        }
        return this.#done(0);
      default:
        return this.#done(0);
    }
  }

  /** `count` sectors are done. */
  #passed(): void {
    const { state } = this;
    // "Address not incremented. Next sector not searched for."
    if (state.task === "read-deleted") return this.#done(0);
    const ended = this.#advance(state.count);
    if (state.left > 0) {
      state.left -= state.count;
      if (state.task === "verify" && state.left === 0) return this.#done(0);
    }
    if (state.last) return this.#done(0);
    const whole = state.task === "read-track" ? state.left <= 0 : ended;
    if (!whole) return this.#run();
    if (state.task === "verify" && state.left < 0) return this.#done(0);
    state.st1 |= ST1_EN;
    this.#done(ST0_ABNORMAL);
  }

  /**
   * EOT. With MT the track's last sector ends it, too: SeaBIOS gives as EOT the
   * last sector it wants, counted on from side 0, and QEMU's controller goes on
   * with side 1 there, where a real one finds no such sector.
   */
  get #lastSector(): number {
    const { eot, multiTrack, task } = this.state;
    const sectors = this.#drive?.format?.sectors;
    if (!multiTrack || task === "verify" || sectors === undefined) return eot;
    return Math.min(eot, sectors);
  }

  /** Table 5-6: the address after sectors; whether it left the cylinder. */
  #advance(count: number): boolean {
    const { state } = this;
    this.#host.unit(state.unit).sector = state.r + count - 1;
    const end = this.#lastSector;
    for (let i = 0; i < count; i++) {
      if (state.r !== end) {
        state.r = state.r + 1 & 0xff;
        continue;
      }
      const last = !state.multiTrack || (state.h & 1) !== 0;
      state.r = 1;
      if (state.multiTrack) {
        state.h ^= 1;
        state.side ^= 1;
      }
      if (!last) continue;
      state.c = state.c + 1 & 0xff;
      return true;
    }
    return false;
  }

  #done(st0: number): void {
    const { state } = this;
    const { st1, st2, c, h, r, n } = state;
    const place = state.side << 2 | state.unit;
    const bytes = [state.st0 | st0 | place, st1, st2, c, h, r, n];
    this.state = freshTransfer();
    this.state.side = state.side;
    this.#host.result(bytes);
  }
}
