/**
 * Devices as bus masters, and firmware whose services use the ports: who
 * accesses memory or a device when it is no CPU.
 *
 * @module
 */

import type { AddressSpace } from "../bus/address_space.ts";
import { onesOf } from "../bus/range.ts";
import type { CpuCore } from "./cpu.ts";
import type { CommonData, DeviceEvent } from "./device_events.ts";
import type { DmaPort, PortAccess } from "./plugin.ts";

/** Guest memory for a bus master, coherent with translated code. */
export function dmaPort(
  space: AddressSpace,
  cpu: () => CpuCore | undefined,
): DmaPort {
  return {
    read: (address, into) => space.readBytes(address, into),
    write: (address, bytes) => {
      space.writeBytes(address, bytes);
      cpu()?.invalidate(address, bytes.length);
    },
  };
}

/** The devices of a machine as they access memory and ports. */
export class BusMasters {
  #current: string | undefined;

  /** The device that accesses memory or a port just now; undefined when none does. */
  get current(): string | undefined {
    return this.#current;
  }

  /** A device's DMA, which its event `dma` tells of when it is done. */
  dma(
    device: string,
    port: DmaPort,
    event: DeviceEvent<CommonData<"dma">>,
  ): DmaPort {
    return {
      read: (address, into) => {
        const before = this.#current;
        this.#current = device;
        port.read(address, into);
        this.#current = before;
        if (event.isHeard) {
          event.tell({ address, size: into.length, write: false });
        }
      },
      write: (address, bytes) => {
        const before = this.#current;
        this.#current = device;
        port.write(address, bytes);
        this.#current = before;
        if (event.isHeard) {
          event.tell({ address, size: bytes.length, write: true });
        }
      },
    };
  }

  /** The ports, for a device whose services use them; undefined: the machine has none. */
  ports(device: string, space: AddressSpace | undefined): PortAccess {
    return {
      read: (port, width) => {
        if (space === undefined) return onesOf(width);
        const before = this.#current;
        this.#current = device;
        const value = space.read(port, width);
        this.#current = before;
        return value;
      },
      write: (port, width, value) => {
        const before = this.#current;
        this.#current = device;
        space?.write(port, width, value);
        this.#current = before;
      },
    };
  }
}
