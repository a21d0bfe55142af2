/** The conformance kit, run on every device that ships and on a third party's. */

import { deviceConformance } from "../../core/machine/conformance.ts";
import type { ApicBus } from "../../core/bus/apic.ts";
import { withConfigRegion } from "../../core/bus/pci_testing.ts";
import type { IsaDma } from "../../core/bus/isa_dma.ts";
import type { InterruptController } from "../../core/machine/cpu.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import vga from "../../plugins/device/display/vga.ts";
import vgaPci from "../../plugins/device/display/vga_pci.ts";
import i8237, { type I8237 } from "../../plugins/device/dma/i8237.ts";
import i82077 from "../../plugins/device/floppy/i82077.ts";
import fwCfg from "../../plugins/device/firmware/fw_cfg.ts";
import pflash from "../../plugins/device/flash/pflash.ts";
import ide from "../../plugins/device/ide/ide.ts";
import piix3Ide from "../../plugins/device/ide/piix3_ide.ts";
import i8042 from "../../plugins/device/input/i8042.ts";
import ps2Keyboard, {
  type Ps2Keyboard,
} from "../../plugins/device/input/ps2_keyboard.ts";
import ps2Mouse, {
  type Ps2Mouse,
} from "../../plugins/device/input/ps2_mouse.ts";
import { SCAN_CODES } from "../../plugins/device/input/scan_codes.ts";
import apicBus from "../../plugins/device/intc/apic_bus.ts";
import i8259 from "../../plugins/device/intc/i8259.ts";
import ioapic from "../../plugins/device/intc/ioapic.ts";
import lapic, {
  type LocalApicDevice,
} from "../../plugins/device/intc/lapic.ts";
import debugcon from "../../plugins/device/misc/debugcon.ts";
import fpuError from "../../plugins/device/misc/fpu_error.ts";
import isaDebugExit from "../../plugins/device/misc/isa_debug_exit.ts";
import e1000 from "../../plugins/device/net/e1000.ts";
import ne2kIsa from "../../plugins/device/net/ne2k_isa.ts";
import ne2kPci from "../../plugins/device/net/ne2k_pci.ts";
import port92 from "../../plugins/device/misc/port92.ts";
import i440fx from "../../plugins/device/pci/i440fx.ts";
import piix3 from "../../plugins/device/pci/piix3.ts";
import piix4Pm from "../../plugins/device/pci/piix4_pm.ts";
import mc146818 from "../../plugins/device/rtc/mc146818.ts";
import ns16550a from "../../plugins/device/serial/ns16550a.ts";
import hpet from "../../plugins/device/timer/hpet.ts";
import i8254 from "../../plugins/device/timer/i8254.ts";
import acpi from "../../plugins/firmware/acpi/acpi.ts";
import mpTables from "../../plugins/firmware/acpi/mp.ts";
import { biosWithRandomMemory } from "../../plugins/firmware/bios/testing.ts";
import smbios from "../../plugins/firmware/smbios/smbios.ts";
import firmware from "../../plugins/firmware/bios/firmware.ts";
import { FakeSetup, floppyWithDisks } from "../devices/floppy_bench.ts";
import {
  FakeBlock,
  ideWithDrives,
  piix3IdeWithDrives,
} from "../devices/ide_bench.ts";
import { withFrames } from "../devices/nic_bench.ts";
import virtioBlkMmio from "../../plugins/device/virtio/blk_mmio.ts";
import virtioBlkPci from "../../plugins/device/virtio/blk_pci.ts";
import virtioNetMmio from "../../plugins/device/virtio/net_mmio.ts";
import virtioNetPci from "../../plugins/device/virtio/net_pci.ts";
import { MemoryNet } from "../../core/backend/memory_net.ts";
import { on } from "../devices/virtio_bench.ts";
import { onNet } from "../devices/virtio_net_bench.ts";
import intervalTimer from "../fixtures/interval_timer.ts";

const DEVICES: readonly DevicePlugin[] = [
  biosWithRandomMemory,
  debugcon,
  fpuError,
  fwCfg,
  apicBus,
  hpet,
  i440fx,
  i8042,
  i8259,
  ide,
  intervalTimer,
  isaDebugExit,
  ns16550a,
  withConfigRegion(piix3),
  withConfigRegion(piix3Ide),
  withConfigRegion(piix4Pm),
  port92,
  vga,
  withConfigRegion(vgaPci),
  virtioBlkMmio,
];

for (const plugin of DEVICES) {
  for (const { name, run } of deviceConformance(plugin)) Deno.test(name, run);
}

const timerKeeps = { wired: "what is wired stays wired" };
for (const { name, run } of deviceConformance(i8254, { keeps: timerKeeps })) {
  Deno.test(name, run);
}

/** The DMA controllers with a device on channel 2 and 5, as registers. */
const dma: DevicePlugin = {
  ...i8237,
  regions: { ...i8237.regions, device: { space: "ports", size: 2 } },
  create(config, context) {
    const device = i8237.create(config, context) as I8237;
    const bytes = new Uint8Array(16);
    const channels = [2, 5].map((channel) =>
      device.attach("device", channel, () => {})
    );
    context.io("device", {
      widths: [1],
      read(offset) {
        const moved = channels[offset].transfer(bytes, false);
        return moved | (channels[offset].terminalCount ? 0x80 : 0);
      },
      write(offset, _width, value) {
        channels[offset].request((value & 1) !== 0);
        channels[offset].transfer(bytes, true);
      },
    });
    return device;
  },
};

/** An APIC bus on which every message is accepted, and an 8259A behind it. */
const APICS = {
  bus: {
    attach() {},
    listen() {},
    receiver: () => undefined,
    send: () => true,
    end() {},
    take() {},
  } satisfies ApicBus,
  pic: { acknowledge: () => 0x20 } satisfies InterruptController,
};
/** The local APIC with its CPU and its bus as registers. */
const lapicOfCpu: DevicePlugin = {
  ...lapic,
  regions: { ...lapic.regions, cpu: { space: "ports", size: 4 } },
  create(config, context) {
    const device = lapic.create(config, context) as LocalApicDevice;
    context.io("cpu", {
      widths: [1],
      read: () => device.acknowledge() & 0xff,
      write(offset, _width, value) {
        if (offset === 0) device.apicBase = 0xfee00000 + (value << 8);
        else device.receive(offset, value, (value & 1) !== 0);
      },
    });
    return device;
  },
};
for (const { name, run } of deviceConformance(dma)) Deno.test(name, run);
for (const plugin of [ioapic, lapicOfCpu]) {
  const bench = () => ({ use: APICS });
  for (const { name, run } of deviceConformance(plugin, { bench })) {
    Deno.test(name, run);
  }
}

/**
 * Flash chips with their commands as registers. Their bytes are the images',
 * not state: a write of a test must not be seen by the next.
 */
for (const readOnly of [false, true]) {
  const flash: DevicePlugin = {
    ...pflash,
    regions: {
      ...pflash.regions,
      commands: { space: "memory", size: 65536 },
    },
    create: (config, context) =>
      pflash.create(config, {
        ...context,
        block: (role) =>
          new FakeBlock(role === "flash0" ? 131072 : 65536, readOnly),
        io(region, handler) {
          context.io(region, handler);
          if (region === "flash1") context.io("commands", handler);
        },
      }),
  };
  for (const { name, run } of deviceConformance(flash)) {
    Deno.test(`${name}${readOnly ? ", read-only" : ""}`, run);
  }
}

const KEYS = [...SCAN_CODES.keys(), "Pause", "PrintScreen"];
/** The keyboard with its wire, and its keys, as registers. */
const keyboard: DevicePlugin = {
  ...ps2Keyboard,
  uses: {},
  regions: { wire: { space: "ports", size: 4 } },
  async create(config, context) {
    const controller = { attach: () => ({ notify() {} }) };
    const device = await ps2Keyboard.create(config, {
      ...context,
      collaborator: <T>() => controller as T,
    }) as Ps2Keyboard;
    context.io("wire", {
      widths: [1],
      read: () => device.take() & 0xff,
      write(offset, _width, value) {
        if (offset === 0) device.receive(value);
        else device.key(KEYS[value % KEYS.length], offset !== 1);
      },
    });
    return device;
  },
};
for (const { name, run } of deviceConformance(keyboard)) Deno.test(name, run);

/** The mouse with its wire, and what a hand does, as registers. */
const mouse: DevicePlugin = {
  ...ps2Mouse,
  uses: {},
  regions: { wire: { space: "ports", size: 4 } },
  async create(config, context) {
    const controller = { attach: () => ({ notify() {} }), preset() {} };
    const device = await ps2Mouse.create(config, {
      ...context,
      // The controller and the setup memory.
      collaborator: <T>() => controller as T,
    }) as Ps2Mouse;
    context.io("wire", {
      widths: [1],
      read: () => device.take() & 0xff,
      write(offset, _width, value) {
        const down = (value & 8) !== 0;
        const d = value - 128;
        if (offset === 0) device.receive(value);
        else if (offset === 1) {
          device.event({ type: "button", button: value & 7, down });
        } else if (offset === 2) {
          device.event({ type: "motion", dx: d, dy: -d, wheel: d });
        } else device.event({ type: "position", x: value << 8, y: value });
      },
    });
    return device;
  },
};
for (const { name, run } of deviceConformance(mouse)) Deno.test(name, run);

const rtc = deviceConformance(mc146818, {
  bench: () => ({ config: { memory: "64M" }, epoch: 951_782_400_123 }),
  keeps: {
    ram: "the battery keeps the memory",
    base: "the battery keeps the calendar",
    phase: "the battery keeps the calendar",
    weekday: "the battery keeps the calendar",
  },
});
for (const { name, run } of rtc) Deno.test(name, run);

for (const writable of [false, true]) {
  const tests = deviceConformance(firmware, {
    bench: () => ({
      config: { image: "bios.bin", writable, order: "cad" },
      use: { setup: new FakeSetup() },
      files: { image: new Uint8Array(65536).fill(0x90) },
    }),
  });
  for (const { name, run } of tests) Deno.test(name, run);
}

/** A channel that ends after so many bytes, and then again. */
function countingDma(): IsaDma {
  let left = 1300;
  let terminalCount = false;
  return {
    attach: () => ({
      get terminalCount() {
        return terminalCount;
      },
      request() {},
      transfer(bytes) {
        const moved = Math.min(bytes.length, left);
        left -= moved;
        terminalCount = left === 0;
        if (terminalCount) left = 1300;
        return moved;
      },
    }),
  };
}
for (const plugin of [i82077, floppyWithDisks()]) {
  const tests = deviceConformance(plugin, {
    bench: () => ({ use: { dma: countingDma(), setup: new FakeSetup() } }),
  });
  for (const { name, run } of tests) Deno.test(name, run);
}

// The channels above are empty: the same with disks and CD-ROM drives.
for (
  const plugin of [ideWithDrives(), withConfigRegion(piix3IdeWithDrives())]
) {
  for (const { name, run } of deviceConformance(plugin)) Deno.test(name, run);
}

// These give fw_cfg their tables, and have nothing a guest could reach.
const config = { addTables() {}, addItem() {} };
const at = (
  name: string,
  plugin: string,
  place: unknown,
  wires: [string, string[]][] = [],
) => ({
  name,
  plugin,
  config: place,
  regions: new Map(),
  wires: new Map(wires),
  backends: new Map(),
});
const tables = [
  deviceConformance(acpi, {
    bench: () => ({
      use: { config, pm: {}, pic: {} },
      survey: {
        ram: [{ base: 0, size: 640 * 1024 }],
        devices: [
          at("pic", "i8259", {}),
          at("isa", "piix3", { slot: 1, function: 0 }),
          at("pm", "piix4-pm", { slot: 1, function: 3 }, [
            ["sci", ["pic.irq9"]],
          ]),
        ],
      },
    }),
  }),
  deviceConformance(mpTables, { bench: () => ({ use: { config } }) }),
  deviceConformance(smbios, { bench: () => ({ use: { config } }) }),
];
for (const { name, run } of tables.flat()) Deno.test(name, run);

// The slot above is empty. The bench gives RAM of zeroes to the queues.
const disk = (): FakeBlock => new FakeBlock(1 << 20);
for (
  const plugin of [
    { ...on(virtioBlkMmio, disk), name: "virtio-blk-mmio with a disk" },
    withConfigRegion(on(virtioBlkPci, disk)),
    virtioNetMmio,
    {
      ...onNet(virtioNetMmio, () => new MemoryNet()),
      name: "virtio-net-mmio on a network",
    },
    withConfigRegion(onNet(virtioNetPci, () => new MemoryNet())),
  ]
) {
  for (const { name, run } of deviceConformance(plugin)) Deno.test(name, run);
}

// On a network that has a frame now and then.
for (
  const plugin of [
    withConfigRegion(e1000),
    withConfigRegion(withFrames(e1000)),
    withConfigRegion(withFrames(ne2kPci)),
    withFrames(ne2kIsa),
  ]
) {
  for (const { name, run } of deviceConformance(plugin)) Deno.test(name, run);
}
