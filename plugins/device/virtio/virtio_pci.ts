/**
 * Virtio over PCI: VIRTIO 1.2, 4.1. A modern device, which a guest finds by
 * capabilities, with MSI-X, or a transitional one, which has the legacy
 * interface at BAR 0 too. The layout of the regions is free (4.1.4) and here as
 * in QEMU.
 *
 * @module
 */

import type {
  BootDrive,
  BootDrives,
} from "../../../core/machine/boot_drive.ts";
import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";
import type { PciHost, PciPlace } from "../../../core/bus/pci.ts";
import { PciFunction, type PciState } from "../../../core/bus/pci_function.ts";
import {
  COMMAND,
  COMMAND_MASTER,
  type PciFunctionSpec,
} from "../../../core/bus/pci_layout.ts";
import type { Device, DeviceContext } from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import {
  INTERRUPT_CONFIG,
  INTERRUPT_QUEUE,
  STATUS_DRIVER_OK,
  type VirtioDevice,
} from "./device.ts";
import {
  COMMON_FIELDS,
  CommonField as C,
  LEGACY_DEVICE,
  LEGACY_DEVICE_MSIX,
  LEGACY_FIELDS,
  LEGACY_VECTORS,
  LegacyField as L,
  MODERN,
  MODERN_BYTES,
  MSIX_BYTES,
  MSIX_PENDING,
  WINDOW,
} from "./pci_layout.ts";
import { fieldHandler } from "./fields.ts";
import { NO_VECTOR, type QueueArea, type Virtqueue } from "./virtqueue.ts";

/** Ports of the legacy interface. */
export const LEGACY_PORTS = 128;

/** Configuration of the transport. */
export interface PciTransportConfig extends PciPlace {
  /** Have the legacy interface too. */
  readonly legacy: boolean;
  /** Have MSI-X; without an APIC a guest can do nothing with it. */
  readonly msix: boolean;
}

interface PciTransportState {
  /** device_feature_select. */
  deviceFeatureSelect: number;
  /** driver_feature_select. */
  driverFeatureSelect: number;
  /** queue_select. */
  queueSelect: number;
  /** config_msix_vector. */
  configVector: number;
  /** The ISR status. */
  isr: number;
  /** The configuration space. */
  pci: PciState;
}

/** A device on a PCI bus. */
export class VirtioPci implements Device, BootDrives {
  #state: PciTransportState;
  readonly #name: string;
  readonly #device: VirtioDevice;
  readonly #vectors: number;
  readonly #pci: PciFunction;
  /** What the base address registers place, by their numbers. */
  readonly #bars: Record<number, { io: IoHandler; size: number }> = {};

  /** A function in its reset state. */
  constructor(
    context: DeviceContext,
    config: PciTransportConfig,
    spec: PciFunctionSpec,
    device: VirtioDevice,
  ) {
    this.#name = context.name;
    this.#device = device;
    this.#vectors = spec.msix?.vectors ?? 0;
    const bus = context.collaborator<PciHost>("bus");
    // The window of 4.1.4.9 is read through, not what was written there.
    const windowed: PciHost = {
      attach: (name, place, space) =>
        bus.attach(name, place, {
          readConfig: (offset, width) => {
            if (isInWindow(offset, width)) this.#readWindow();
            return space.readConfig(offset, width);
          },
          writeConfig: (offset, width, value) => {
            space.writeConfig(offset, width, value);
            if (isInWindow(offset, width)) this.#writeWindow();
          },
        }),
    };
    const pci = new PciFunction(context, config, spec, () => {}, windowed);
    this.#pci = pci;
    device.connect({
      memory: pci.dma,
      get reachable(): boolean {
        return pci.isMaster;
      },
      interrupt: (queue) => this.#interrupt(queue),
    });
    const modern = this.#idle(this.#modern());
    context.io("modern", modern);
    this.#bars[4] = { io: modern, size: MODERN_BYTES };
    if (config.msix) {
      const msix = msixHandler(pci);
      context.io("msix", msix);
      this.#bars[1] = { io: msix, size: MSIX_BYTES };
    }
    if (config.legacy) {
      const legacy = this.#idle(this.#legacy());
      context.io("legacy", legacy);
      this.#bars[0] = { io: legacy, size: LEGACY_PORTS };
    }
    this.#state = this.#fresh(pci.fresh());
  }

  /** A handler that does not answer while the device is busy. */
  #idle(handler: IoHandler): IoHandler {
    return {
      read: (offset, width) =>
        this.#device.isBusy ? 0 : handler.read(offset, width),
      write: (offset, width, value) => {
        if (!this.#device.isBusy) handler.write(offset, width, value);
      },
    };
  }

  #fresh(pci: PciState): PciTransportState {
    return {
      deviceFeatureSelect: 0,
      driverFeatureSelect: 0,
      queueSelect: 0,
      configVector: NO_VECTOR,
      isr: 0,
      pci,
    };
  }

  /** By MSI-X where that is on, else by the pin (4.1.5.3, 4.1.4.5). */
  #interrupt(queue: Virtqueue | undefined): void {
    const state = this.#state;
    if (this.#pci.interrupts === "msix") {
      const vector = queue?.state.vector ?? state.configVector;
      if (vector !== NO_VECTOR) this.#pci.notify(vector);
      return;
    }
    state.isr |= queue === undefined ? INTERRUPT_CONFIG : INTERRUPT_QUEUE;
    this.#pci.setIntx(true);
  }

  /** Reading the ISR status clears it. */
  #takeIsr(): number {
    const { isr } = this.#state;
    this.#state.isr = 0;
    this.#pci.setIntx(false);
    return isr;
  }

  #queue(): Virtqueue | undefined {
    return this.#device.queues[this.#state.queueSelect];
  }

  #vector(value: number): number {
    return value < this.#vectors ? value : NO_VECTOR;
  }

  #setStatus(value: number): void {
    this.#device.setStatus(value);
    if (value !== 0) return;
    this.#state = this.#fresh(this.#state.pci);
    this.#pci.setIntx(false);
  }

  /** BAR 4: four structures (4.1.4). */
  #modern(): IoHandler {
    const common = fieldHandler(
      COMMON_FIELDS,
      (field) => this.#readCommon(field),
      (field, value) => this.#writeCommon(field, value),
    );
    const device = this.#device;
    return {
      read: (offset, width) => {
        switch (offset & ~0xfff) {
          case MODERN.common:
            return common.read(offset, width);
          case MODERN.isr:
            return offset === MODERN.isr ? this.#takeIsr() : 0;
          case MODERN.device:
            return device.readConfig(offset - MODERN.device, width);
          default:
            return 0;
        }
      },
      write: (offset, width, value) => {
        switch (offset & ~0xfff) {
          case MODERN.common:
            return common.write(offset, width, value);
          case MODERN.device:
            return device.writeConfig(offset - MODERN.device, width, value);
          case MODERN.notify:
            return device.notify((offset - MODERN.notify) / MODERN.multiplier);
        }
      },
    };
  }

  #readCommon(field: number): number {
    const device = this.#device;
    const state = this.#state;
    const queue = this.#queue()?.state;
    switch (field) {
      case C.device_feature_select:
        return state.deviceFeatureSelect;
      case C.device_feature:
        return device.offeredWord(state.deviceFeatureSelect);
      case C.driver_feature_select:
        return state.driverFeatureSelect;
      case C.driver_feature:
        return device.acceptedWord(state.driverFeatureSelect);
      case C.config_msix_vector:
        return state.configVector;
      case C.num_queues:
        return device.queues.length;
      case C.device_status:
        return device.status;
      case C.config_generation:
        return device.generation;
      case C.queue_select:
        return state.queueSelect;
      case C.queue_size:
        return queue?.size ?? 0;
      case C.queue_msix_vector:
        return queue?.vector ?? NO_VECTOR;
      case C.queue_enable:
        return queue?.ready ? 1 : 0;
      case C.queue_notify_off:
        return queue === undefined ? 0 : state.queueSelect;
      case C.queue_desc:
        return queue?.desc[0] ?? 0;
      case C.queue_desc + 4:
        return queue?.desc[1] ?? 0;
      case C.queue_driver:
        return queue?.driver[0] ?? 0;
      case C.queue_driver + 4:
        return queue?.driver[1] ?? 0;
      case C.queue_device:
        return queue?.device[0] ?? 0;
      case C.queue_device + 4:
        return queue?.device[1] ?? 0;
      default:
        return 0;
    }
  }

  #writeCommon(field: number, value: number): void {
    const device = this.#device;
    const state = this.#state;
    const queue = this.#queue();
    const setAddress = (area: QueueArea, word: 0 | 1): void =>
      queue?.setAddress(area, word, value);
    switch (field) {
      case C.device_feature_select:
        state.deviceFeatureSelect = value;
        return;
      case C.driver_feature_select:
        state.driverFeatureSelect = value;
        return;
      case C.driver_feature:
        return device.accept(state.driverFeatureSelect, value);
      case C.config_msix_vector:
        state.configVector = this.#vector(value);
        return;
      case C.device_status:
        return this.#setStatus(value);
      case C.queue_select:
        state.queueSelect = value;
        return;
      case C.queue_size:
        return queue?.resize(value);
      case C.queue_msix_vector:
        if (queue !== undefined) queue.state.vector = this.#vector(value);
        return;
      case C.queue_enable:
        // Only a reset disables a queue (4.1.4.3.2).
        if (queue !== undefined && value === 1) queue.state.ready = true;
        return;
      case C.queue_desc:
        return setAddress("desc", 0);
      case C.queue_desc + 4:
        return setAddress("desc", 1);
      case C.queue_driver:
        return setAddress("driver", 0);
      case C.queue_driver + 4:
        return setAddress("driver", 1);
      case C.queue_device:
        return setAddress("device", 0);
      case C.queue_device + 4:
        return setAddress("device", 1);
    }
  }

  /** BAR 0: the legacy interface (4.1.4.8). */
  #legacy(): IoHandler {
    const header = fieldHandler(
      LEGACY_FIELDS,
      (field) => this.#readLegacy(field),
      (field, value) => this.#writeLegacy(field, value),
    );
    const device = this.#device;
    // The vectors are there, before the device's own, while MSI-X is on.
    const own = (): number =>
      this.#pci.interrupts === "msix" ? LEGACY_DEVICE_MSIX : LEGACY_DEVICE;
    return {
      read: (offset, width) =>
        offset < own()
          ? header.read(offset, width)
          : device.readConfig(offset - own(), width),
      write: (offset, width, value) =>
        offset < own()
          ? header.write(offset, width, value)
          : device.writeConfig(offset - own(), width, value),
    };
  }

  #readLegacy(field: number): number {
    const device = this.#device;
    const queue = this.#queue();
    switch (field) {
      case L.device_features:
        return device.legacyFeatures;
      case L.guest_features:
        return device.acceptedWord(0);
      case L.queue_address:
        return queue?.page ?? 0;
      case L.queue_size:
        return queue?.maxSize ?? 0;
      case L.queue_select:
        return this.#state.queueSelect;
      case L.device_status:
        return device.status;
      case L.isr_status:
        return this.#takeIsr();
      case LEGACY_VECTORS.config:
        return this.#state.configVector;
      case LEGACY_VECTORS.queue:
        return queue?.state.vector ?? NO_VECTOR;
      default:
        return 0;
    }
  }

  #writeLegacy(field: number, value: number): void {
    const device = this.#device;
    const queue = this.#queue();
    switch (field) {
      case L.guest_features:
        return device.acceptLegacy(value);
      case L.queue_address:
        return queue?.setPage(value);
      case L.queue_select:
        this.#state.queueSelect = value;
        return;
      case L.queue_notify:
        return device.notify(value);
      case L.device_status:
        // Old drivers left bus mastering off.
        if ((value & STATUS_DRIVER_OK) !== 0) {
          const command = this.#pci.byte(COMMAND) | COMMAND_MASTER;
          this.#pci.setByte(COMMAND, command);
        }
        return this.#setStatus(value);
      case LEGACY_VECTORS.config:
        this.#state.configVector = this.#vector(value);
        return;
      case LEGACY_VECTORS.queue:
        if (queue !== undefined) queue.state.vector = this.#vector(value);
        return;
    }
  }

  /** What VIRTIO_PCI_CAP_PCI_CFG selects (4.1.4.9); undefined for no such. */
  #window(): { io: IoHandler; offset: number; width: AccessWidth } | undefined {
    const bar = this.#bars[this.#pci.byte(WINDOW.bar)];
    const offset = this.#pci.dword(WINDOW.offset);
    const width = this.#pci.dword(WINDOW.length);
    if (width !== 1 && width !== 2 && width !== 4) return undefined;
    if (bar === undefined || offset + width > bar.size) return undefined;
    return offset % width === 0 ? { io: bar.io, offset, width } : undefined;
  }

  #readWindow(): void {
    const window = this.#window();
    if (window === undefined) return;
    const { io, offset, width } = window;
    const value = io.read(offset, width);
    for (let i = 0; i < 4; i++) {
      this.#pci.setByte(WINDOW.data + i, i < width ? value >>> 8 * i & 255 : 0);
    }
  }

  #writeWindow(): void {
    const window = this.#window();
    if (window === undefined) return;
    const { io, offset, width } = window;
    const value = this.#pci.dword(WINDOW.data);
    io.write(offset, width, width === 4 ? value : value % 2 ** (8 * width));
  }

  /** See `BootDrives`. */
  bootDrives(): readonly BootDrive[] {
    return this.#device.bootDrives();
  }

  /** See `Device.cable`. */
  get cable(): boolean | undefined {
    return this.#device.cable;
  }
  set cable(isIn: boolean) {
    this.#device.cable = isIn;
  }

  /** See `Device.announce`. */
  announce(): void {
    this.#device.announce();
  }

  /** The device forgets what it was doing. */
  reset(): void {
    this.#device.reset();
    this.#adopt(this.#fresh(this.#pci.fresh()));
  }

  /** The registers, the configuration space and the device. */
  save(): StateRecord {
    return saveState({ ...this.#state, device: this.#device.saved });
  }

  /** Go on; requests under way are begun anew. */
  load(record: StateRecord): void {
    const template = {
      ...this.#fresh(this.#pci.fresh()),
      device: this.#device.template(),
    };
    const { device, ...state } = loadState(template, record, this.#name);
    this.#adopt(state);
    this.#device.restore(device);
  }

  #adopt(state: PciTransportState): void {
    this.#state = state;
    this.#pci.adopt(state.pci);
  }
}

/** BAR 1: the table, then the pending bits. */
function msixHandler({ msixTable, msixPending }: PciFunction): IoHandler {
  return {
    read: (offset, width) =>
      offset < MSIX_PENDING
        ? msixTable.read(offset, width)
        : msixPending.read(offset - MSIX_PENDING, width),
    write: (offset, width, value) => {
      if (offset < MSIX_PENDING) msixTable.write(offset, width, value);
    },
  };
}

function isInWindow(offset: number, width: number): boolean {
  return offset < WINDOW.data + 4 && offset + width > WINDOW.data;
}
