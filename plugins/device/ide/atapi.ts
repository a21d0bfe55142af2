/**
 * An ATAPI CD-ROM drive: the PACKET protocol of ATA/ATAPI-6 (T13/1410D)
 * and the commands of MMC-5 (T10/1675D) that drivers use.
 *
 * @module
 */

import { type BlockBackend, BlockError } from "../../../core/backend/block.ts";
import type { RemovableDrive } from "../../../core/backend/removable.ts";
import type { BootDrive, DrivePath } from "../../../core/machine/boot_drive.ts";
import { Drive, type DriveState, freshDrive } from "./drive.ts";
import { identifyCdrom, type Identity } from "./identify.ts";
import {
  be,
  CD_BLOCK,
  configuration,
  discInformation,
  eventStatus,
  inquiry,
  modeSense,
  RAW_BLOCK,
  rawBlock,
  senseData,
  toc,
} from "./mmc.ts";
import { Asc, MediaEvent, Operation, SenseKey } from "./packets.ts";
import {
  ABRT,
  Command,
  DRDY,
  DSC,
  ERR,
  REASON_CD,
  REASON_IO,
  SECTOR,
} from "./registers.ts";

/** Bytes of a packet. */
const PACKET_BYTES = 12;
/** Blocks that one request asks of the backend: 128 KiB. */
const CHUNK = 64;
/** READ CD: expected sector types. */
const ANY_TYPE = 0;
const MODE_1 = 2;
/** Features of PACKET: DMA, overlap. */
const FEATURE_DMA = 0x01;
const FEATURE_OVL = 0x02;
/** The greatest even byte count of a DRQ block. */
const MAX_BYTE_COUNT = 0xfffe;

/** The state of a CD-ROM drive. */
export interface AtapiState extends DriveState {
  /** The packet under way moves its data by DMA. */
  dma: boolean;
  /** The byte count limit of the packet under way. */
  limit: number;
  /** READ CD asks for whole blocks of 2352 bytes. */
  raw: boolean;
  /** The sense key of the last command. */
  key: number;
  /** Its additional sense code. */
  asc: number;
  /** The medium was changed and the host has not been told. */
  attention: boolean;
  /** The media event not yet told. */
  event: number;
  /** The tray is open. */
  open: boolean;
  /** The host prevents removal. */
  locked: boolean;
}

function freshAtapi(): AtapiState {
  return {
    ...freshDrive(),
    dma: false,
    limit: 0,
    raw: false,
    key: 0,
    asc: 0,
    attention: false,
    event: MediaEvent.NONE,
    open: false,
    locked: false,
  };
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at] << 8 | bytes[at + 1];
}

function dword(bytes: Uint8Array, at: number): number {
  return word(bytes, at) * 65536 + word(bytes, at + 2);
}

/** A CD-ROM drive. */
export class AtapiCdrom extends Drive<AtapiState> implements RemovableDrive {
  #medium: BlockBackend | undefined;
  readonly #identity: Identity;

  /** A drive with a disc in it, or without. */
  constructor(medium: BlockBackend | undefined, identity: Identity) {
    super(freshAtapi());
    this.#medium = medium;
    this.#identity = identity;
    this.signature();
  }

  /** See `Drive`. */
  bootDrive(path?: DrivePath): BootDrive {
    const blocks = (): number => this.#blocks;
    return {
      name: this.#identity.model,
      path,
      kind: "cdrom",
      sectorSize: CD_BLOCK,
      removable: true,
      get sectors() {
        return blocks();
      },
      readOnly: true,
      read: async (sector, count) => {
        if (this.#medium === undefined || sector + count > blocks()) {
          throw new BlockError("range", "Cannot read beyond the disc's end");
        }
        return await this.#medium.read(sector * CD_BLOCK, count * CD_BLOCK);
      },
      write: () =>
        Promise.reject(new BlockError("read-only", "Cannot write to a CD-ROM")),
    };
  }

  /** A state as after power-on. */
  protected override fresh(): AtapiState {
    return freshAtapi();
  }

  /** See `Drive`: the registers after a reset. */
  protected override signature(): void {
    const { state } = this;
    state.count = state.low = 1;
    state.mid = 0x14;
    state.high = 0xeb;
    state.status = 0;
  }

  /** DEVICE RESET is taken at any time. */
  protected override get resettable(): boolean {
    return true;
  }

  /** The disc in it. */
  get medium(): BlockBackend | undefined {
    return this.#medium;
  }

  /** See `RemovableDrive`. */
  readonly hasTray = true;
  /** See `RemovableDrive`. */
  onTray?: (open: boolean) => void;

  /** Whether the tray is open. */
  get open(): boolean {
    return this.state.open;
  }

  /** Whether the host prevents removal. */
  get locked(): boolean {
    return this.state.locked;
  }

  /** Blocks of 2048 bytes of the disc that can be read; 0 without one. */
  get #blocks(): number {
    if (this.#medium === undefined || this.state.open) return 0;
    return Math.floor(this.#medium.size / CD_BLOCK);
  }

  /** See `RemovableDrive.insert`. */
  insert(medium: BlockBackend | undefined): void {
    const reading = this.state.request !== "";
    this.forget();
    this.#medium = medium;
    if (medium === undefined && this.state.open) this.#openTray();
    else this.#changed();
    if (reading) this.#check(SenseKey.NOT_READY, Asc.NO_MEDIUM);
  }

  /** See `RemovableDrive.eject`. */
  eject(force = false): boolean {
    const { state } = this;
    if (state.locked && !force) {
      state.event = MediaEvent.EJECT_REQUEST;
      return state.open;
    }
    const reading = state.request !== "";
    this.forget();
    this.#openTray();
    state.locked = false;
    if (reading) this.#check(SenseKey.NOT_READY, Asc.NO_MEDIUM);
    return true;
  }

  /** See `RemovableDrive.close`. */
  close(): void {
    if (this.state.open) this.#changed();
  }

  #openTray(): void {
    if (!this.state.open) this.onTray?.(true);
    this.state.open = true;
    this.state.event = MediaEvent.REMOVAL;
    this.state.attention = false;
  }

  /** The tray is closed with what is in it. */
  #changed(): void {
    const { state } = this;
    if (state.open) this.onTray?.(false);
    state.open = false;
    state.attention = this.#medium !== undefined;
    state.event = state.attention ? MediaEvent.NEW_MEDIA : MediaEvent.REMOVAL;
  }

  /** Carry out a command. */
  protected override execute(command: number): void {
    const { state } = this;
    switch (command) {
      case Command.PACKET:
        if ((state.features & FEATURE_OVL) !== 0) return this.abort();
        state.dma = (state.features & FEATURE_DMA) !== 0;
        if (state.dma && !this.hasDma) return this.abort();
        state.limit = state.high << 8 | state.mid;
        state.count = REASON_CD;
        state.buffer = new Uint8Array(PACKET_BYTES);
        state.position = 0;
        return this.startPio("packet", PACKET_BYTES);
      case Command.IDENTIFY_PACKET_DEVICE:
        state.buffer = identifyCdrom(this.#identity, state.mode);
        state.position = 0;
        state.dma = false;
        state.limit = MAX_BYTE_COUNT;
        state.remaining = 0;
        this.startPio("in", SECTOR);
        return this.interrupt();
      case Command.DEVICE_RESET:
        // Bit DEV stays, and no interrupt comes.
        return this.#deviceReset();
      // A packet device answers these by its signature.
      case Command.IDENTIFY_DEVICE:
      case Command.READ_SECTORS:
        this.signature();
        return this.abort();
      case Command.SET_FEATURES:
        if (state.features !== 3) return this.abort();
        return this.setTransferMode() ? this.complete() : this.abort();
      case Command.CHECK_POWER_MODE:
        state.count = 0xff;
        return this.complete();
      case Command.IDLE_IMMEDIATE:
      case Command.STANDBY_IMMEDIATE:
        return this.complete();
      default:
        return this.abort();
    }
  }

  #deviceReset(): void {
    const { device } = this.state;
    this.softReset();
    this.state.device = device;
  }

  // Data phases.

  /** Answer a packet with data, no more than the host has asked for. */
  #reply(bytes: Uint8Array, allocation: number): void {
    const { state } = this;
    state.buffer = bytes.slice(0, allocation);
    state.position = state.remaining = 0;
    this.#send();
  }

  /** Send what is in the buffer from `position` on. */
  #send(): void {
    const { state } = this;
    const left = state.buffer.length - state.position;
    if (left <= 0) return this.#good();
    state.count = REASON_IO;
    if (state.dma) return this.startDma("dma-in");
    // A limit of zero bytes cannot be kept: the command is aborted.
    if (state.limit === 0) return this.abort();
    const limit = state.limit > 1 ? state.limit & MAX_BYTE_COUNT : 2;
    const count = Math.min(limit, left);
    state.mid = count & 0xff;
    state.high = count >> 8;
    this.startPio("in", state.position + count);
    this.interrupt();
  }

  /** A block has been moved: what comes next. */
  protected override transferred(): void {
    const { state } = this;
    switch (state.phase) {
      case "packet":
        state.phase = "";
        this.tellPacket(state.buffer);
        return this.#packet(state.buffer);
      case "in":
        if (state.command === Command.IDENTIFY_PACKET_DEVICE) {
          state.phase = "";
          state.status = DRDY | DSC;
          return;
        }
        if (state.position < state.buffer.length) return this.#send();
        break;
      default:
    }
    this.#more();
  }

  /** The next blocks, or the end. */
  #more(): void {
    if (this.state.remaining > 0) this.ask("read");
    else this.#good();
  }

  #good(): void {
    this.state.count = REASON_IO | REASON_CD;
    this.complete();
  }

  /** CHECK CONDITION: the sense key also stands in the error register. */
  #check(key: number, asc: number): void {
    const { state } = this;
    state.key = key;
    state.asc = asc;
    state.count = REASON_IO | REASON_CD;
    state.remaining = 0;
    // ABRT is for a code or a field that is not valid (error register).
    const aborted = key === SenseKey.ILLEGAL_REQUEST;
    this.abort(key << 4 | (aborted ? ABRT : 0), DRDY | ERR);
  }

  // Requests to the backend.

  /** Blocks of the next request. */
  get #next(): number {
    return Math.min(CHUNK, this.state.remaining);
  }

  /** Ask the backend what `request` says. */
  protected override async perform(): Promise<Uint8Array | undefined> {
    const { lba } = this.state;
    const length = this.#next * CD_BLOCK;
    // A state can be loaded into a drive without the disc.
    if (lba + this.#next > this.#blocks) throw new RangeError("no such block");
    const data = await this.#medium!.read(lba * CD_BLOCK, length);
    if (data.length !== length) throw new RangeError("a short read");
    return data;
  }

  /** The backend has answered. */
  protected override finished(_request: string, data?: Uint8Array): void {
    const { state } = this;
    const n = this.#next;
    state.buffer = state.raw ? this.#rawBlocks(data!) : data!;
    state.position = 0;
    state.lba += n;
    state.remaining -= n;
    this.#send();
  }

  #rawBlocks(data: Uint8Array): Uint8Array {
    const count = data.length / CD_BLOCK;
    const out = new Uint8Array(count * RAW_BLOCK);
    for (let i = 0; i < count; i++) {
      const block = data.subarray(i * CD_BLOCK, (i + 1) * CD_BLOCK);
      out.set(rawBlock(this.state.lba + i, block), i * RAW_BLOCK);
    }
    return out;
  }

  /** The backend has refused. */
  protected override failed(): void {
    this.#check(SenseKey.MEDIUM_ERROR, Asc.READ_ERROR);
  }

  // Packets.

  #packet(cdb: Uint8Array): void {
    const { state } = this;
    const [operation] = cdb;
    const quiet = operation === Operation.INQUIRY ||
      operation === Operation.REQUEST_SENSE ||
      operation === Operation.GET_CONFIGURATION ||
      operation === Operation.GET_EVENT_STATUS;
    if (state.attention && !quiet) {
      state.attention = false;
      return this.#check(SenseKey.UNIT_ATTENTION, Asc.MEDIUM_CHANGED);
    }
    if (operation === Operation.REQUEST_SENSE) {
      return this.#requestSense(cdb[4]);
    }
    state.key = state.asc = 0;
    switch (operation) {
      case Operation.INQUIRY:
        // Vital product data pages are not there.
        if ((cdb[1] & 1) !== 0) return this.#invalid();
        return this.#reply(inquiry(this.#identity), word(cdb, 3));
      case Operation.GET_CONFIGURATION: {
        const answer = configuration(cdb[1] & 3, word(cdb, 2), this.#blocks);
        return this.#reply(answer, word(cdb, 7));
      }
      case Operation.GET_EVENT_STATUS:
        // Polled operation only.
        if ((cdb[1] & 1) === 0) return this.#invalid();
        return this.#reply(this.#event(cdb[4]), word(cdb, 7));
      case Operation.START_STOP_UNIT:
        return this.#startStop(cdb[4]);
      case Operation.PREVENT_ALLOW:
        state.locked = (cdb[4] & 1) !== 0;
        return this.#good();
      case Operation.MODE_SENSE_10: {
        if (cdb[2] >> 6 === 3) {
          return this.#check(
            SenseKey.ILLEGAL_REQUEST,
            Asc.SAVING_NOT_SUPPORTED,
          );
        }
        const answer = modeSense(cdb[2] & 0x3f, cdb[2] >> 6, {
          locked: state.locked,
          medium: this.#blocks > 0,
        });
        if (answer === undefined) return this.#invalid();
        return this.#reply(answer, word(cdb, 7));
      }
      case Operation.MECHANISM_STATUS: {
        const door = state.open ? 0x10 : 0;
        // One slot.
        const answer = new Uint8Array([0, door, 0, 0, 0, 1, 0, 0]);
        return this.#reply(answer, word(cdb, 8));
      }
      case Operation.SET_CD_SPEED:
        return this.#good();
      default:
        return this.#mediumPacket(cdb);
    }
  }

  /** Commands that need a disc. */
  #mediumPacket(cdb: Uint8Array): void {
    const blocks = this.#blocks;
    const known: number[] = [
      Operation.TEST_UNIT_READY,
      Operation.READ_CAPACITY,
      Operation.READ_10,
      Operation.SEEK_10,
      Operation.READ_TOC,
      Operation.READ_DISC_INFORMATION,
      Operation.READ_12,
      Operation.READ_CD,
    ];
    if (!known.includes(cdb[0])) {
      return this.#check(SenseKey.ILLEGAL_REQUEST, Asc.INVALID_OPCODE);
    }
    if (blocks === 0) return this.#check(SenseKey.NOT_READY, Asc.NO_MEDIUM);
    switch (cdb[0]) {
      case Operation.READ_CAPACITY: {
        const bytes = [...be(blocks - 1, 4), ...be(CD_BLOCK, 4)];
        return this.#reply(new Uint8Array(bytes), bytes.length);
      }
      case Operation.READ_10:
        return this.#read(dword(cdb, 2), word(cdb, 7), false);
      case Operation.READ_12:
        return this.#read(dword(cdb, 2), dword(cdb, 6), false);
      case Operation.READ_CD:
        return this.#readCd(cdb);
      case Operation.SEEK_10:
        if (dword(cdb, 2) < blocks) return this.#good();
        return this.#check(SenseKey.ILLEGAL_REQUEST, Asc.OUT_OF_RANGE);
      case Operation.READ_TOC: {
        // The format was in the last byte once (SFF-8020i).
        const format = (cdb[2] & 15) || cdb[9] >> 6;
        const answer = toc(format, (cdb[1] & 2) !== 0, cdb[6], blocks);
        if (answer === undefined) return this.#invalid();
        return this.#reply(answer, word(cdb, 7));
      }
      case Operation.READ_DISC_INFORMATION:
        return this.#reply(discInformation(), word(cdb, 7));
      default:
        return this.#good();
    }
  }

  #invalid(): void {
    this.#check(SenseKey.ILLEGAL_REQUEST, Asc.INVALID_FIELD);
  }

  #requestSense(allocation: number): void {
    const { state } = this;
    if (state.attention) {
      state.attention = false;
      state.key = SenseKey.UNIT_ATTENTION;
      state.asc = Asc.MEDIUM_CHANGED;
    }
    const answer = senseData(state.key, state.asc);
    state.key = state.asc = 0;
    this.#reply(answer, allocation);
  }

  /** The media event that has not been told, for the classes asked for. */
  #event(classes: number): Uint8Array {
    const { state } = this;
    const status = (state.open ? 1 : 0) | (this.#blocks > 0 ? 2 : 0);
    const answer = eventStatus(classes, state.event, status);
    if (answer.length > 4) state.event = MediaEvent.NONE;
    return answer;
  }

  #startStop(bits: number): void {
    const { state } = this;
    const [loadEject, start] = [(bits & 2) !== 0, (bits & 1) !== 0];
    if (loadEject && !start) {
      if (state.locked) {
        return this.#check(SenseKey.ILLEGAL_REQUEST, Asc.REMOVAL_PREVENTED);
      }
      this.#openTray();
    } else if (loadEject && state.open) {
      this.#changed();
    }
    this.#good();
  }

  #readCd(cdb: Uint8Array): void {
    const count = cdb[6] << 16 | cdb[7] << 8 | cdb[8];
    // All sectors are of mode 1: another type was expected.
    const type = cdb[1] >> 2 & 7;
    if (type !== ANY_TYPE && type !== MODE_1) {
      return this.#check(SenseKey.ILLEGAL_REQUEST, Asc.ILLEGAL_MODE);
    }
    // Neither error flags nor sub-channels come with the data, as the drive's
    // capabilities say: who expected them would take data for them.
    if ((cdb[9] & 0x06) !== 0 || (cdb[10] & 0x07) !== 0) return this.#invalid();
    switch (cdb[9] & 0xf8) {
      case 0x00:
        return this.#good();
      case 0x10:
        return this.#read(dword(cdb, 2), count, false);
      case 0xf8:
        return this.#read(dword(cdb, 2), count, true);
      default:
        return this.#invalid();
    }
  }

  #read(lba: number, count: number, raw: boolean): void {
    const { state } = this;
    if (lba + count > this.#blocks) {
      return this.#check(SenseKey.ILLEGAL_REQUEST, Asc.OUT_OF_RANGE);
    }
    if (count > 0 && !state.dma && state.limit === 0) return this.abort();
    state.lba = lba;
    state.remaining = count;
    state.raw = raw;
    this.#more();
  }
}
