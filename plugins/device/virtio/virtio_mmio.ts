/**
 * Virtio over MMIO, version 2: VIRTIO 1.2, 4.2. Makes a plugin of a kind of
 * device; without its backend the slot is empty, as device ID 0 says.
 *
 * A driver does not find it by itself: Linux is told on its command line
 * (`virtio_mmio.device=`, Documentation/admin-guide/kernel-parameters).
 *
 * @module
 */

import type {
  BootDrive,
  BootDrives,
} from "../../../core/machine/boot_drive.ts";
import type { AccessWidth } from "../../../core/bus/handler.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  SurveyedDevice,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import {
  INTERRUPT_CONFIG,
  INTERRUPT_QUEUE,
  type VirtioDevice,
  type VirtioType,
} from "./device.ts";
import type { QueueArea, Virtqueue } from "./virtqueue.ts";

/** Bytes of the registers with the configuration space behind them. */
const REGION_BYTES = 0x200;
/** "virt" and the version. */
const MAGIC = 0x74726976;
const VERSION = 2;
/** "RHEA". */
const VENDOR = 0x41454852;

/** Registers (4.2.2). */
const MagicValue = 0x000;
const Version = 0x004;
const DeviceID = 0x008;
const VendorID = 0x00c;
const DeviceFeatures = 0x010;
const DeviceFeaturesSel = 0x014;
const DriverFeatures = 0x020;
const DriverFeaturesSel = 0x024;
const QueueSel = 0x030;
const QueueNumMax = 0x034;
const QueueNum = 0x038;
const QueueReady = 0x044;
const QueueNotify = 0x050;
const InterruptStatus = 0x060;
const InterruptACK = 0x064;
const Status = 0x070;
const QueueDescLow = 0x080;
const QueueDescHigh = 0x084;
const QueueDriverLow = 0x090;
const QueueDriverHigh = 0x094;
const QueueDeviceLow = 0x0a0;
const QueueDeviceHigh = 0x0a4;
const SHMLenLow = 0x0b0;
const SHMBaseHigh = 0x0bc;
const ConfigGeneration = 0x0fc;
const Config = 0x100;

interface MmioState {
  /** DeviceFeaturesSel. */
  deviceFeaturesSel: number;
  /** DriverFeaturesSel. */
  driverFeaturesSel: number;
  /** QueueSel. */
  queueSel: number;
  /** InterruptStatus. */
  interruptStatus: number;
}

function fresh(): MmioState {
  return {
    deviceFeaturesSel: 0,
    driverFeaturesSel: 0,
    queueSel: 0,
    interruptStatus: 0,
  };
}

/** A slot with a device, or an empty one. */
export class VirtioMmio implements Device, BootDrives {
  #state: MmioState = fresh();
  readonly #name: string;
  readonly #id: number;
  readonly #device: VirtioDevice | undefined;
  readonly #irq: IrqLine;

  /** A slot in its reset state. */
  constructor(
    context: DeviceContext,
    id: number,
    device: VirtioDevice | undefined,
  ) {
    this.#name = context.name;
    this.#id = id;
    this.#device = device;
    this.#irq = context.output("irq");
    device?.connect({
      memory: context.dma,
      reachable: true,
      interrupt: (queue) =>
        this.#interrupt(
          queue === undefined ? INTERRUPT_CONFIG : INTERRUPT_QUEUE,
        ),
    });
    context.io("registers", {
      read: (offset, width) => this.#read(offset, width),
      write: (offset, width, value) => this.#write(offset, width, value),
    });
  }

  /**
   * The line is high while the status is not 0. An interrupt controller may
   * look at edges only: what comes while it is high gives another.
   */
  #interrupt(cause: number): void {
    this.#state.interruptStatus |= cause;
    this.#irq.lower();
    this.#irq.raise();
  }

  #queue(): Virtqueue | undefined {
    return this.#device?.queues[this.#state.queueSel];
  }

  #read(offset: number, width: AccessWidth): number {
    const device = this.#device;
    if (offset >= Config) {
      return device === undefined || device.isBusy
        ? 0
        : device.readConfig(offset - Config, width);
    }
    // All registers have 32 bits (4.2.2.2).
    if (width !== 4) return 0;
    const state = this.#state;
    switch (offset) {
      case MagicValue:
        return MAGIC;
      case Version:
        return VERSION;
      case DeviceID:
        return device === undefined ? 0 : this.#id;
      case VendorID:
        return VENDOR;
      case DeviceFeatures:
        return device?.offeredWord(state.deviceFeaturesSel) ?? 0;
      case QueueNumMax:
        return this.#queue()?.maxSize ?? 0;
      case QueueReady:
        return this.#queue()?.state.ready ? 1 : 0;
      case InterruptStatus:
        return state.interruptStatus;
      case Status:
        return device?.status ?? 0;
      case ConfigGeneration:
        return device?.generation ?? 0;
      default:
        // There is no shared memory: length and base are all ones.
        return offset >= SHMLenLow && offset <= SHMBaseHigh ? 0xffffffff : 0;
    }
  }

  #write(offset: number, width: AccessWidth, value: number): void {
    const device = this.#device;
    if (device === undefined || device.isBusy) return;
    if (offset >= Config) {
      return device.writeConfig(offset - Config, width, value);
    }
    if (width !== 4) return;
    const state = this.#state;
    switch (offset) {
      case DeviceFeaturesSel:
        state.deviceFeaturesSel = value;
        return;
      case DriverFeatures:
        return device.accept(state.driverFeaturesSel, value);
      case DriverFeaturesSel:
        state.driverFeaturesSel = value;
        return;
      case QueueSel:
        state.queueSel = value;
        return;
      case QueueNum:
        return this.#queue()?.resize(value);
      case QueueReady: {
        const queue = this.#queue();
        if (queue !== undefined) queue.state.ready = (value & 1) !== 0;
        return;
      }
      case QueueNotify:
        return device.notify(value);
      case InterruptACK:
        return this.#acknowledge(value);
      case Status:
        device.setStatus(value & 0xff);
        // Writing 0 resets the slot as a whole.
        if (value === 0) this.#adopt(fresh());
        return;
      case QueueDescLow:
      case QueueDescHigh:
        return this.#setAddress("desc", offset, value);
      case QueueDriverLow:
      case QueueDriverHigh:
        return this.#setAddress("driver", offset, value);
      case QueueDeviceLow:
      case QueueDeviceHigh:
        return this.#setAddress("device", offset, value);
    }
  }

  #setAddress(area: QueueArea, offset: number, value: number): void {
    this.#queue()?.setAddress(area, (offset & 4) === 0 ? 0 : 1, value);
  }

  #acknowledge(causes: number): void {
    const state = this.#state;
    state.interruptStatus &= ~causes;
    this.#irq.lower();
    this.#irq.set(state.interruptStatus !== 0);
  }

  #adopt(state: MmioState): void {
    this.#state = state;
    this.#irq.set(state.interruptStatus !== 0);
  }

  /** See `BootDrives`. */
  bootDrives(): readonly BootDrive[] {
    return this.#device?.bootDrives() ?? [];
  }

  /** See `Device.cable`. */
  get cable(): boolean | undefined {
    return this.#device?.cable;
  }
  set cable(isIn: boolean) {
    if (this.#device !== undefined) this.#device.cable = isIn;
  }

  /** See `Device.announce`. */
  announce(): void {
    this.#device?.announce();
  }

  /** The device forgets what it was doing. */
  reset(): void {
    this.#device?.reset();
    this.#adopt(fresh());
  }

  #record(device: object | undefined): object {
    return { ...this.#state, ...device === undefined ? {} : { device } };
  }

  /** The registers and the device. */
  save(): StateRecord {
    return saveState(this.#record(this.#device?.saved));
  }

  /** Go on; requests under way are begun anew. */
  load(record: StateRecord): void {
    const template = this.#record(this.#device?.template());
    const { device, ...state } = loadState(template, record, this.#name) as
      & MmioState
      & { device?: object };
    if (device !== undefined) this.#device?.restore(device);
    this.#adopt(state);
  }
}

/**
 * What tells Linux of a slot: its size, base address and interrupt, whose
 * number is at the end of the name of the input that the line drives.
 */
function kernelParameter(place: SurveyedDevice): string | undefined {
  const base = place.regions.get("registers")?.base;
  const [target] = place.wires.get("irq") ?? [];
  const irq = /\d+$/.exec(target ?? "")?.[0];
  if (base === undefined || irq === undefined) return undefined;
  return `virtio_mmio.device=${REGION_BYTES}@0x${base.toString(16)}:${irq}`;
}

/** The plugin of a kind of device over MMIO. */
export function mmioPlugin<C>(type: VirtioType<C>): DevicePlugin<C> {
  const backends = Object.entries(type.backends ?? {});
  return {
    type: "device",
    name: `virtio-${type.name}-mmio`,
    version: type.version,
    description: `Virtio over MMIO: ${type.description}`,
    config: { type: "object", properties: type.config ?? {} },
    regions: { registers: { space: "memory", size: REGION_BYTES } },
    outputs: ["irq"],
    backends: Object.fromEntries(
      backends.map(([name, spec]) => [name, { ...spec, optional: true }]),
    ),
    events: type.events,
    provides: type.provides,
    declare(config) {
      type.check?.(config);
      return {};
    },
    // An empty slot is not worth looking at.
    kernelParameter: (place) =>
      backends.every(([name, { optional }]) =>
          optional || place.backends.has(name)
        )
        ? kernelParameter(place)
        : undefined,
    create: (config, context) =>
      new VirtioMmio(context, type.id, type.create(config, context)),
  };
}
