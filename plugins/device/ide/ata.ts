/**
 * An ATA disk: ATA/ATAPI-6 (T13/1410D), command descriptions and protocols,
 * with the commands and the CHS addresses of the standards before it, and TRIM
 * of one after it (`trim.ts`).
 *
 * After a data command the address registers hold the next sector and the
 * count what is left; the standard leaves them open. Security and the host
 * protected area are not there, and IDENTIFY DEVICE does not say so.
 *
 * @module
 */

import type { BlockBackend } from "../../../core/backend/block.ts";
import type { BootDrive, DrivePath } from "../../../core/machine/boot_drive.ts";
import { Drive, type DriveState, freshDrive } from "./drive.ts";
import {
  defaultGeometry,
  type DiskSettings,
  identifyDisk,
  type Identity,
  MAX_LBA28,
  MAX_MULTIPLE,
  MAX_TRIM,
  translated,
} from "./identify.ts";
import {
  ABRT,
  Command,
  DEVICE_LBA,
  DF,
  DRDY,
  DSC,
  ERR,
  IDNF,
  SECTOR,
  UNC,
} from "./registers.ts";
import { freshSmart, smart, type SmartState } from "./smart.ts";
import { TRIM, type TrimRange, trimRanges } from "./trim.ts";

/** Sectors that one request asks of the backend at most: 512 KiB. */
const CHUNK = 1024;
/** CHECK POWER MODE's values: standby, idle, active. */
const STANDBY = 0x00;
const IDLE = 0x80;
const ACTIVE = 0xff;
/** Not one of CHECK POWER MODE's: only a reset wakes the drive. */
const SLEEPING = -1;

/** The state of a disk. */
export interface AtaState extends DriveState {
  /** The command under way has a 48-bit address. */
  ext: boolean;
  /** Sectors of a DRQ block of this command; 1 for DMA. */
  block: number;
  /** The most sectors of a request: after a failure those of one block. */
  step: number;
  /** The command moves its data by DMA. */
  dma: boolean;
  /** Sectors of READ MULTIPLE's blocks; 0: not set. */
  multiple: number;
  /** Heads of the geometry in force. */
  heads: number;
  /** Sectors of a track in it. */
  sectors: number;
  /** The geometry is that of INITIALIZE DEVICE PARAMETERS. */
  initialized: boolean;
  /** The write cache is on. */
  writeCache: boolean;
  /** Read look-ahead is on. */
  lookAhead: boolean;
  /** The power mode. */
  power: number;
  /** SMART's settings and log. */
  smart: SmartState;
}

function freshAta(total: number): AtaState {
  const { heads, sectors } = defaultGeometry(total);
  return {
    ...freshDrive(),
    status: DRDY | DSC,
    ext: false,
    block: 1,
    step: CHUNK,
    dma: false,
    multiple: 0,
    heads,
    sectors,
    initialized: false,
    writeCache: true,
    lookAhead: true,
    power: ACTIVE,
    smart: freshSmart(),
  };
}

/** An ATA disk. */
export class AtaDisk extends Drive<AtaState> {
  readonly #backend: BlockBackend;
  readonly #identity: Identity;
  /** All sectors. */
  readonly #total: number;

  /** A disk on a backend, of which a trailing part of a sector is left out. */
  constructor(backend: BlockBackend, identity: Identity) {
    const total = Math.floor(backend.size / SECTOR);
    super(freshAta(total));
    this.#backend = backend;
    this.#identity = identity;
    this.#total = total;
  }

  /** See `Drive`. */
  bootDrive(path?: DrivePath): BootDrive {
    return {
      name: this.#identity.model,
      path,
      kind: "disk",
      sectorSize: SECTOR,
      removable: false,
      sectors: this.#total,
      geometry: defaultGeometry(this.#total),
      readOnly: this.#backend.readOnly,
      read: (sector, count) =>
        this.#backend.read(sector * SECTOR, count * SECTOR),
      write: (sector, bytes) => this.#backend.write(sector * SECTOR, bytes),
    };
  }

  /** A state as after power-on. */
  protected override fresh(): AtaState {
    return freshAta(this.#total);
  }

  /** See `Drive`: the registers after a reset. */
  protected override signature(): void {
    const { state } = this;
    state.count = state.low = 1;
    state.mid = state.high = 0;
    state.status = DRDY | DSC;
    state.power = ACTIVE;
  }

  /** Carry out a command. */
  protected override execute(command: number): void {
    const { state } = this;
    if (state.power === SLEEPING) {
      state.status = DRDY;
      return;
    }
    switch (command) {
      case Command.READ_SECTORS:
      case Command.READ_SECTORS_NORETRY:
        return this.#read(false, 1);
      case Command.READ_SECTORS_EXT:
        return this.#read(true, 1);
      case Command.READ_MULTIPLE:
        return this.#read(false, state.multiple);
      case Command.READ_MULTIPLE_EXT:
        return this.#read(true, state.multiple);
      case Command.READ_DMA:
      case Command.READ_DMA_NORETRY:
        return this.#read(false, 1, true);
      case Command.READ_DMA_EXT:
        return this.#read(true, 1, true);
      case Command.WRITE_SECTORS:
      case Command.WRITE_SECTORS_NORETRY:
      case Command.WRITE_VERIFY:
        return this.#write(false, 1);
      case Command.WRITE_SECTORS_EXT:
        return this.#write(true, 1);
      case Command.WRITE_MULTIPLE:
        return this.#write(false, state.multiple);
      case Command.WRITE_MULTIPLE_EXT:
        return this.#write(true, state.multiple);
      case Command.WRITE_DMA:
      case Command.WRITE_DMA_NORETRY:
        return this.#write(false, 1, true);
      case Command.WRITE_DMA_EXT:
        return this.#write(true, 1, true);
      case Command.READ_VERIFY:
      case Command.READ_VERIFY_NORETRY:
        return this.#verify(false);
      case Command.READ_VERIFY_EXT:
        return this.#verify(true);
      case Command.IDENTIFY_DEVICE:
        return this.#tell(identifyDisk(this.#identity, this.#settings()));
      case Command.SMART: {
        const answer = smart(state.smart, state);
        if (answer === undefined) return this.abort();
        return answer.length === 0 ? this.complete() : this.#tell(answer);
      }
      case Command.FLUSH_CACHE:
      case Command.FLUSH_CACHE_EXT:
        return this.ask("flush");
      case Command.DATA_SET_MANAGEMENT:
        return this.#takeRanges();
      default:
        return this.#immediate(command);
    }
  }

  /** Give the host a sector that is not of the disk. */
  #tell(bytes: Uint8Array): void {
    const { state } = this;
    state.buffer = bytes;
    state.position = state.remaining = 0;
    this.startPio("in", SECTOR);
    this.interrupt();
  }

  /** Commands without data that are done at once. */
  #immediate(command: number): void {
    const { state } = this;
    // SEEK and RECALIBRATE have sixteen codes each.
    if (command >> 4 === Command.RECALIBRATE >> 4) return this.complete();
    if (command >> 4 === Command.SEEK >> 4) {
      state.ext = false;
      const lba = this.#address();
      return lba < this.#total ? this.complete() : this.abort(IDNF);
    }
    switch (command) {
      case Command.INITIALIZE_DEVICE_PARAMETERS:
        if (state.count === 0) return this.abort();
        state.heads = (state.device & 15) + 1;
        state.sectors = state.count;
        state.initialized = true;
        return this.complete();
      case Command.SET_MULTIPLE_MODE: {
        const n = state.count;
        if (n > MAX_MULTIPLE || (n & n - 1) !== 0) return this.abort();
        state.multiple = n;
        return this.complete();
      }
      case Command.SET_FEATURES:
        return this.#setFeatures() ? this.complete() : this.abort();
      case Command.READ_NATIVE_MAX:
      case Command.READ_NATIVE_MAX_EXT:
        if (this.#total === 0) return this.abort();
        state.ext = command === Command.READ_NATIVE_MAX_EXT;
        this.#setAddress(
          Math.min(this.#total, state.ext ? Infinity : MAX_LBA28) - 1,
        );
        return this.complete();
      case Command.STANDBY:
      case Command.STANDBY_OLD:
      case Command.STANDBY_IMMEDIATE:
      case Command.STANDBY_IMMEDIATE_OLD:
        state.power = STANDBY;
        return this.complete();
      case Command.IDLE:
      case Command.IDLE_OLD:
      case Command.IDLE_IMMEDIATE:
      case Command.IDLE_IMMEDIATE_OLD:
        state.power = IDLE;
        return this.complete();
      case Command.CHECK_POWER_MODE:
      case Command.CHECK_POWER_MODE_OLD:
        state.count = state.power;
        return this.complete();
      case Command.SLEEP:
      case Command.SLEEP_OLD:
        state.power = SLEEPING;
        return this.complete();
      default:
        return this.abort();
    }
  }

  #setFeatures(): boolean {
    const { state } = this;
    switch (state.features) {
      case 0x02:
        state.writeCache = true;
        return true;
      case 0x82:
        state.writeCache = false;
        return true;
      case 0xaa:
        state.lookAhead = true;
        return true;
      case 0x55:
        state.lookAhead = false;
        return true;
      case 0x03:
        return this.setTransferMode();
      // Whether settings survive a software reset: they do.
      case 0x66:
      case 0xcc:
        return true;
      default:
        return false;
    }
  }

  #settings(): DiskSettings {
    const { state } = this;
    return {
      total: this.#total,
      current: state.initialized
        ? translated(this.#total, state.heads, state.sectors)
        : defaultGeometry(this.#total),
      multiple: state.multiple,
      mode: state.mode,
      writeCache: state.writeCache,
      lookAhead: state.lookAhead,
      smart: state.smart.enabled,
      trim: this.#canTrim,
    };
  }

  /** The sector that the registers say; `Infinity` when there is none. */
  #address(): number {
    const { ext, device, low, mid, high, hob } = this.state;
    if (ext) {
      const upper = hob[2] + hob[3] * 2 ** 8 + hob[4] * 2 ** 16;
      return upper * 2 ** 24 + (high << 16 | mid << 8 | low);
    }
    if ((device & DEVICE_LBA) !== 0) {
      return (device & 15) << 24 | high << 16 | mid << 8 | low;
    }
    const { cylinders, heads, sectors } = this.#settings().current;
    const [cylinder, head] = [high << 8 | mid, device & 15];
    if (cylinder >= cylinders || head >= heads) return Infinity;
    if (low === 0 || low > sectors) return Infinity;
    return (cylinder * heads + head) * sectors + low - 1;
  }

  #setAddress(lba: number): void {
    const { state } = this;
    const bytes = (value: number): void => {
      state.low = value & 0xff;
      state.mid = value >> 8 & 0xff;
      state.high = value >> 16 & 0xff;
    };
    if (state.ext) {
      bytes(lba % 2 ** 24);
      const upper = Math.floor(lba / 2 ** 24);
      state.hob[2] = upper & 0xff;
      state.hob[3] = upper >> 8 & 0xff;
      state.hob[4] = upper >> 16 & 0xff;
    } else if ((state.device & DEVICE_LBA) !== 0) {
      bytes(lba);
      state.device = state.device & 0xf0 | lba >> 24 & 15;
    } else {
      const { heads, sectors } = state;
      const track = Math.floor(lba / sectors);
      const cylinder = Math.floor(track / heads);
      bytes(cylinder << 8 | lba % sectors + 1);
      state.device = state.device & 0xf0 | track % heads;
    }
  }

  /** Take address and count of a data command. */
  #begin(ext: boolean, block: number, dma: boolean): boolean {
    const { state } = this;
    if (block === 0 || dma && !this.hasDma) {
      this.abort();
      return false;
    }
    state.power = ACTIVE;
    state.ext = ext;
    state.block = block;
    state.step = CHUNK;
    state.dma = dma;
    const count = ext ? state.hob[1] << 8 | state.count : state.count;
    state.remaining = count === 0 ? ext ? 65536 : 256 : count;
    state.lba = this.#address();
    if (state.lba !== Infinity) return true;
    state.lba = 0;
    this.abort(IDNF);
    return false;
  }

  /**
   * Sectors of the next request: as many whole blocks as are on the disk, and
   * the rest of the command; 0 when the next block is not on it.
   */
  get #next(): number {
    const { block, step, lba, remaining, request, buffer, position } =
      this.state;
    if (request === "write") {
      return Math.min(step, (buffer.length - position) / SECTOR);
    }
    const wanted = Math.min(remaining, Math.max(step - step % block, block));
    const there = this.#total - lba;
    return wanted <= there ? wanted : Math.max(there - there % block, 0);
  }

  /** Whether the next block is on the disk; ends the command when not. */
  #inRange(): boolean {
    if (this.#next > 0) return true;
    this.abort(IDNF);
    return false;
  }

  /** So many sectors have been dealt with. */
  #advance(sectors: number): void {
    const { state } = this;
    state.lba += sectors;
    state.remaining -= sectors;
    this.#setAddress(state.lba);
    state.count = state.remaining & 0xff;
    if (state.ext) state.hob[1] = state.remaining >> 8 & 0xff;
  }

  #read(ext: boolean, block: number, dma = false): void {
    if (this.#begin(ext, block, dma) && this.#inRange()) this.ask("read");
  }

  #verify(ext: boolean): void {
    if (this.#begin(ext, 1, false) && this.#inRange()) this.ask("verify");
  }

  #write(ext: boolean, block: number, dma = false): void {
    if (this.#backend.readOnly) return this.abort();
    if (this.#begin(ext, block, dma)) this.#take();
  }

  /** The command's data come by DMA alone. */
  get #canTrim(): boolean {
    return this.hasDma && !this.#backend.readOnly;
  }

  /** Ask the host for the ranges that it needs no more. */
  #takeRanges(): void {
    const { state } = this;
    const count = state.hob[1] << 8 | state.count;
    if (!this.#canTrim || state.features !== TRIM) return this.abort();
    if (count === 0 || count > MAX_TRIM) return this.abort();
    state.power = ACTIVE;
    state.buffer = this.room(count * SECTOR);
    this.startDma("dma-out");
  }

  /** Give the host the next block of what has been read. */
  #offer(): void {
    const { state } = this;
    const sectors = Math.min(state.block, state.remaining);
    this.#advance(sectors);
    this.startPio("in", state.position + sectors * SECTOR);
    this.interrupt();
  }

  /** Ask the host for what the next request writes. */
  #take(): boolean {
    const { state } = this;
    if (!this.#inRange()) return false;
    state.buffer = this.room(this.#next * SECTOR);
    state.position = 0;
    if (state.dma) this.startDma("dma-out");
    else this.#takeBlock();
    return true;
  }

  /** Ask the host for the next block of it. */
  #takeBlock(): void {
    const { position, block, buffer } = this.state;
    this.startPio("out", Math.min(position + block * SECTOR, buffer.length));
  }

  /** A block has been moved: what comes next. */
  protected override transferred(): void {
    const { state } = this;
    if (state.command === Command.DATA_SET_MANAGEMENT) {
      const isThere = trimRanges(state.buffer)
        .every(({ lba, sectors }) => lba + sectors <= this.#total);
      return isThere ? this.ask("trim") : this.abort(IDNF);
    }
    const isAll = state.position === state.buffer.length;
    if (state.phase === "out" && !isAll) {
      this.#takeBlock();
      return this.interrupt();
    }
    if (state.phase === "out" || state.phase === "dma-out") {
      state.position = 0;
      return this.ask("write");
    }
    if (state.phase === "in" && !isAll) return this.#offer();
    if (state.remaining > 0) {
      if (this.#inRange()) this.ask("read");
    } else if (state.phase === "dma-in") {
      this.complete();
    } else {
      // The last block of PIO was announced by its interrupt (PIO data-in protocol).
      state.phase = "";
      state.status = DRDY | DSC;
    }
  }

  /** Ask the backend what `request` says. */
  protected override async perform(): Promise<Uint8Array | undefined> {
    const { request, lba, buffer, position, writeCache } = this.state;
    const backend = this.#backend;
    const length = this.#next * SECTOR;
    switch (request) {
      case "write": {
        const bytes = buffer.subarray(position, position + length);
        await backend.write(lba * SECTOR, bytes);
        if (!writeCache) await backend.flush();
        return undefined;
      }
      case "flush":
        await backend.flush();
        return undefined;
      case "trim":
        await this.#discard(trimRanges(buffer));
        return undefined;
      default: {
        const room = this.room(length);
        const data = await backend.read(lba * SECTOR, length, room);
        if (data.length !== length) throw new RangeError("a short read");
        return data;
      }
    }
  }

  /** Nothing is under way behind it: the guest may write there next. */
  async #discard(ranges: readonly TrimRange[]): Promise<void> {
    const answers = await Promise.allSettled(
      ranges.map(({ lba, sectors }) =>
        this.#backend.discard(lba * SECTOR, sectors * SECTOR)
      ),
    );
    for (const answer of answers) {
      if (answer.status === "rejected") throw answer.reason;
    }
  }

  /** The backend has answered. */
  protected override finished(request: string, data?: Uint8Array): void {
    const { state } = this;
    switch (request) {
      case "flush":
      case "trim":
        return this.complete();
      case "read":
        state.buffer = data!;
        state.position = 0;
        if (!state.dma) return this.#offer();
        this.#advance(data!.length / SECTOR);
        return this.startDma("dma-in");
      case "verify":
        this.#advance(this.#next);
        if (state.remaining === 0) return this.complete();
        if (this.#inRange()) this.ask("verify");
        return;
      default: {
        const left = state.buffer.length - state.position;
        const written = Math.min(state.step * SECTOR, left);
        this.#advance(written / SECTOR);
        state.position += written;
        if (written < left) return this.ask("write");
        if (state.remaining === 0) return this.complete();
        if (this.#take() && !state.dma) this.interrupt();
      }
    }
  }

  /**
   * The backend has refused. A request of several blocks is made again block
   * by block: what is before the bad one is transferred.
   */
  protected override failed(request: string): void {
    const { state } = this;
    if (request !== "flush" && request !== "trim") {
      if (state.step > state.block) {
        state.step = state.block;
        return this.ask(request as "read" | "verify" | "write");
      }
      this.#setAddress(state.lba);
      if (request !== "write") return this.abort(UNC);
    }
    // What was taken could not be kept: a fault of the device.
    this.abort(ABRT, DRDY | DF | ERR);
  }
}
