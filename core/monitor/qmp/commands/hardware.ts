/**
 * Commands about what the machine is made of: QEMU's `qapi/machine.json`,
 * `machine-target.json`, `pci.json` and a part of `misc.json`.
 *
 * @module
 */

import type { AddressSpace } from "../../../bus/address_space.ts";
import type { ListedFunction, PciBar, PciHost } from "../../../bus/pci.ts";
import type { Device } from "../../../machine/plugin.ts";
import { MAX_CPUS } from "../../../machine/several_cpus.ts";
import { action, type Command, type Monitor, query } from "../command.ts";
import { GenericError } from "../error.ts";
import { createFile } from "../files.ts";
import { cpuPath, cpuType, targetOf, TARGETS } from "../machine_names.ts";
import {
  bool,
  int,
  list,
  oneOf,
  optional,
  str,
  struct,
  type ValueOf,
} from "../types.ts";
import { noBalloon } from "./refusals.ts";
import { invalid } from "./run_state.ts";

const Target = oneOf("SysEmuTarget", TARGETS);

const CpuProperties = struct("CpuInstanceProperties", {
  "socket-id": optional(int),
  "core-id": optional(int),
  "thread-id": optional(int),
});

const CpuInfoFast = struct("CpuInfoFast", {
  "cpu-index": int,
  "qom-path": str,
  "thread-id": int,
  props: optional(CpuProperties),
  target: Target,
});

const HotpluggableCpu = struct("HotpluggableCPU", {
  type: str,
  "vcpus-count": int,
  props: CpuProperties,
  "qom-path": optional(str),
});

const MachineInfo = struct("MachineInfo", {
  name: str,
  "is-default": optional(bool),
  "cpu-max": int,
  "hotpluggable-cpus": bool,
  "numa-mem-supported": bool,
  deprecated: bool,
  "default-cpu-type": optional(str),
  "default-ram-id": optional(str),
});

const CpuDefinitionInfo = struct("CpuDefinitionInfo", {
  name: str,
  static: bool,
  typename: str,
  deprecated: bool,
});

const PciRegion = struct("PciMemoryRegion", {
  bar: int,
  type: str,
  address: int,
  size: int,
  prefetch: optional(bool),
  mem_type_64: optional(bool),
});

const PciDevice = struct("PciDeviceInfo", {
  bus: int,
  slot: int,
  function: int,
  class_info: struct("PciDeviceClass", { desc: optional(str), class: int }),
  id: struct("PciDeviceId", {
    device: int,
    vendor: int,
    subsystem: optional(int),
    "subsystem-vendor": optional(int),
  }),
  irq: optional(int),
  irq_pin: int,
  qdev_id: str,
  regions: list(PciRegion),
});

const MouseInfo = struct("MouseInfo", {
  name: str,
  index: int,
  current: bool,
  absolute: bool,
});

/** PCI Local Bus Specification 3.0, 6.1: registers of a configuration space. */
const PciRegister = {
  VENDOR: 0x00,
  DEVICE: 0x02,
  COMMAND: 0x04,
  CLASS: 0x0a,
  SUBSYSTEM_VENDOR: 0x2c,
  SUBSYSTEM: 0x2e,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** Bits of the command register: regions of ports, of memory answer. */
const COMMAND_IO = 1;
const COMMAND_MEMORY = 2;
/** QEMU's address of a region that answers nowhere. */
const UNMAPPED = -1;

/** Bytes that go to a file at once. */
const SAVE_BYTES = 1 << 20;
/** So much of nothing takes about as long. */
const HOLE_BYTES = 1 << 26;

/** Where a region answers. */
function addressOf(
  { kind, address }: PciBar,
  command: number,
): number {
  const enable = kind === "io" ? COMMAND_IO : COMMAND_MEMORY;
  const answers = (command & enable) !== 0 && address !== 0;
  return answers ? address ?? UNMAPPED : UNMAPPED;
}

function pciDevice(
  { name, place, space }: ListedFunction,
): ValueOf<typeof PciDevice> {
  const command = space.readConfig(PciRegister.COMMAND, 2);
  const pin = space.readConfig(PciRegister.INTERRUPT_PIN, 1);
  return {
    bus: 0,
    slot: place.slot,
    function: place.function,
    class_info: { class: space.readConfig(PciRegister.CLASS, 2) },
    id: {
      vendor: space.readConfig(PciRegister.VENDOR, 2),
      device: space.readConfig(PciRegister.DEVICE, 2),
      subsystem: space.readConfig(PciRegister.SUBSYSTEM, 2),
      "subsystem-vendor": space.readConfig(PciRegister.SUBSYSTEM_VENDOR, 2),
    },
    irq: pin === 0
      ? undefined
      : space.readConfig(PciRegister.INTERRUPT_LINE, 1),
    irq_pin: pin,
    qdev_id: name,
    regions: (space.bars?.() ?? []).map((bar) => ({
      bar: bar.index,
      type: bar.kind === "io" ? "io" : "memory",
      address: addressOf(bar, command),
      size: bar.size,
      prefetch: bar.kind === "io" ? undefined : bar.prefetchable,
      mem_type_64: bar.kind === "io" ? undefined : bar.kind === "memory64",
    })),
  };
}

/** Where an address is in physical memory; undefined: it is nowhere. */
type Translate = (address: number) => number | undefined;

/**
 * Copy memory to a file as far as it is RAM and ROM, in pieces, between which
 * the guest goes on.
 */
async function saveMemory(
  { machine }: Monitor,
  { val, size, filename }: {
    readonly val: number;
    readonly size: number;
    readonly filename: string;
  },
  translate: Translate,
): Promise<void> {
  const space = machine.space(machine.plan.definition.cpu.physical);
  using file = await createFile(filename);
  const room = new Uint8Array(Math.min(SAVE_BYTES, size));
  let end = 0;
  for (let from = 0; from < size; from += room.length) {
    const bytes = room.subarray(0, size - from);
    // Where there is no memory the file has a hole.
    if (!readPages(space, val + from, bytes, translate)) {
      if (from % HOLE_BYTES === 0) await turn();
      continue;
    }
    if (end < from) await file.seek(from, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      at += await file.write(bytes.subarray(at));
    }
    end = from + bytes.length;
  }
  // (A pipe has no size.)
  if (end < size) await file.truncate(size);
}

/** Let others have the host's thread. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Bytes in which addresses that are next to each other stay so. */
const PAGE = 4096;

/**
 * Read pages as far as they are RAM and ROM, and zeros for the rest. Says
 * whether there is any memory.
 */
function readPages(
  space: AddressSpace,
  from: number,
  into: Uint8Array,
  translate: Translate,
): boolean {
  let isMemory = false;
  for (let done = 0; done < into.length;) {
    const address = from + done;
    const part = into.subarray(done, done + PAGE - address % PAGE);
    const physical = translate(address);
    if (physical === undefined || physical >= space.size) {
      throw wrongRange(from, into.length);
    }
    const got = space.peek(physical, part);
    part.fill(0, got);
    isMemory ||= got > 0;
    done += part.length;
  }
  return isMemory;
}

function wrongRange(from: number, size: number): GenericError {
  const address = BigInt.asUintN(64, BigInt(from)).toString(16);
  return new GenericError(
    `Invalid addr 0x${address.padStart(16, "0")}/size ${size} specified`,
  );
}

/** How many bytes may be saved from an address on; what is beyond is none. */
function checkedRange({ machine }: Monitor, from: number, size: number): void {
  const { cpu, spaces } = machine.plan.definition;
  if (size < 0 || from < 0 || from + size > spaces[cpu.physical].size) {
    throw wrongRange(from, size);
  }
}

/** The commands. */
export const HARDWARE: readonly Command[] = [
  query(
    "query-target",
    {},
    struct("TargetInfo", { arch: Target }),
    (monitor) => ({
      arch: targetOf(monitor.machine.plan),
    }),
  ),
  query(
    "query-cpus-fast",
    {},
    list(CpuInfoFast),
    ({ machine, parts }) =>
      parts.cpus.map((_cpu, index) => ({
        "cpu-index": index,
        "qom-path": cpuPath(index),
        "thread-id": Deno.pid,
        props: { "socket-id": 0, "core-id": index, "thread-id": 0 },
        target: targetOf(machine.plan),
      })),
  ),
  query(
    "query-hotpluggable-cpus",
    {},
    list(HotpluggableCpu),
    ({ machine: { plan }, parts }) =>
      parts.cpus.map((_cpu, index) => ({
        type: cpuType(plan, plan.cpuConfig.model),
        "vcpus-count": 1,
        props: { "socket-id": 0, "core-id": index, "thread-id": 0 },
        "qom-path": cpuPath(index),
      })),
  ),
  query("query-machines", {}, list(MachineInfo), ({ machine: { plan } }) => [{
    name: plan.definition.name,
    "is-default": true,
    "cpu-max": MAX_CPUS,
    "hotpluggable-cpus": false,
    "numa-mem-supported": false,
    deprecated: false,
    "default-cpu-type": cpuType(plan, plan.cpuConfig.model),
    "default-ram-id": plan.memories.find(({ kind }) => kind === "ram")?.name,
  }]),
  query(
    "query-current-machine",
    {},
    struct("CurrentMachineParams", { "wakeup-suspend-support": bool }),
    () => ({ "wakeup-suspend-support": false }),
  ),
  query(
    "query-cpu-definitions",
    {},
    list(CpuDefinitionInfo),
    ({ machine: { plan } }) =>
      plan.cpu.models.map((name) => ({
        name,
        static: false,
        typename: cpuType(plan, name),
        deprecated: false,
      })),
  ),
  query(
    "query-memory-size-summary",
    {},
    struct("MemoryInfo", {
      "base-memory": int,
      "plugged-memory": optional(int),
    }),
    ({ machine }) => ({
      "base-memory": machine.plan.memories
        .filter(({ kind }) => kind === "ram")
        .reduce((sum, { size }) => sum + size, 0),
      "plugged-memory": 0,
    }),
  ),
  query(
    "query-balloon",
    {},
    struct("BalloonInfo", { actual: int }),
    noBalloon,
  ),
  query(
    "query-pci",
    {},
    list(struct("PciInfo", { bus: int, devices: list(PciDevice) })),
    ({ machine: { plan }, parts }) =>
      plan.devices
        .filter(({ plugin }) => plugin.provides?.includes("pci-bus"))
        .map(({ name }, bus) => {
          const host = parts.devices.get(name) as Device & PciHost;
          return {
            bus,
            devices: Array.from(host.functions?.() ?? [], pciDevice),
          };
        }),
  ),
  query(
    "query-mice",
    {},
    list(MouseInfo),
    ({ machine: { plan } }) =>
      plan.devices
        .filter(({ plugin }) => /mouse|tablet/.test(plugin.name))
        .map(({ plugin }, index) => ({
          name: plugin.description ?? plugin.name,
          index,
          current: index === 0,
          absolute: false,
        })),
  ),
  action(
    "memsave",
    { val: int, size: int, filename: str, "cpu-index": optional(int) },
    async (monitor, args) => {
      const { val, size, "cpu-index": index = 0 } = args;
      const cpu = monitor.parts.cpus[index];
      if (cpu === undefined) throw invalid("cpu-index", "a CPU number");
      if (size < 0 || val < 0 || val + size > 2 ** 48) {
        throw wrongRange(val, size);
      }
      const { machine } = monitor;
      const space = machine.space(machine.plan.definition.cpu.physical);
      const inspector = await cpu.inspect?.((at, into) => space.peek(at, into));
      if (inspector === undefined) {
        throw new GenericError("this CPU cannot be looked at");
      }
      await saveMemory(monitor, args, (address) => {
        const physical = inspector.translate(BigInt(address));
        return physical === undefined ? undefined : Number(physical);
      });
    },
  ),
  action(
    "pmemsave",
    { val: int, size: int, filename: str },
    async (monitor, args) => {
      checkedRange(monitor, args.val, args.size);
      await saveMemory(monitor, args, (address) => address);
    },
  ),
];
