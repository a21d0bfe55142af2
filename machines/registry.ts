/**
 * The plugins that ship with Rhea, by type and name. Modules are imported when
 * a machine asks for them.
 *
 * @module
 */

import type { PluginTable } from "../core/machine/registry.ts";

// Also has the modules of what follows one by one and is in such a machine.
const isa = () => import("./isa_devices.ts");
const pci = () => import("./pci_devices.ts");

/** The shipped plugins. */
export const PLUGINS: PluginTable = {
  cpu: {
    x86: () => import("../plugins/cpu/x86/mod.ts"),
  },
  device: {
    "acpi": async () => (await pci()).acpi,
    "apic-bus": async () => (await pci()).apicBus,
    "e1000": () => import("../plugins/device/net/e1000.ts"),
    "debugcon": async () => (await isa()).debugcon,
    "firmware": async () => (await isa()).firmware,
    "fpu-error": async () => (await isa()).fpuError,
    "fw-cfg": async () => (await pci()).fwCfg,
    "i440fx": async () => (await pci()).i440fx,
    "hpet": async () => (await pci()).hpet,
    "i8042": async () => (await isa()).i8042,
    "i82077": async () => (await isa()).i82077,
    "i8237": async () => (await isa()).i8237,
    "i8254": () => import("../plugins/device/timer/i8254.ts"),
    "i8259": () => import("../plugins/device/intc/i8259.ts"),
    "ide": () => import("../plugins/device/ide/ide.ts"),
    "ioapic": async () => (await pci()).ioapic,
    "isa-debug-exit": () => import("../plugins/device/misc/isa_debug_exit.ts"),
    "lapic": async () => (await pci()).lapic,
    "mc146818": () => import("../plugins/device/rtc/mc146818.ts"),
    "mp-tables": async () => (await pci()).mpTables,
    "ns16550a": () => import("../plugins/device/serial/ns16550a.ts"),
    "ne2k-isa": () => import("../plugins/device/net/ne2k_isa.ts"),
    "ne2k-pci": () => import("../plugins/device/net/ne2k_pci.ts"),
    "pflash-cfi01": () => import("../plugins/device/flash/pflash.ts"),
    "piix3": async () => (await pci()).piix3,
    "piix3-ide": async () => (await pci()).piix3Ide,
    "piix4-pm": async () => (await pci()).piix4Pm,
    "port92": async () => (await isa()).port92,
    "ps2-keyboard": async () => (await isa()).ps2Keyboard,
    "ps2-mouse": async () => (await isa()).ps2Mouse,
    "smbios": async () => (await pci()).smbios,
    "virtio-blk-mmio": () => import("../plugins/device/virtio/blk_mmio.ts"),
    "virtio-blk-pci": () => import("../plugins/device/virtio/blk_pci.ts"),
    "virtio-net-mmio": () => import("../plugins/device/virtio/net_mmio.ts"),
    "virtio-net-pci": () => import("../plugins/device/virtio/net_pci.ts"),
    "vga": async () => (await isa()).vga,
    "vga-pci": () => import("../plugins/device/display/vga_pci.ts"),
  },
  block: {
    http: () => import("../plugins/block/http.ts"),
    image: () => import("../plugins/block/image.ts"),
    qcow2: () => import("../plugins/block/qcow2.ts"),
    raw: () => import("../plugins/block/raw.ts"),
  },
  char: {
    file: () => import("../plugins/char/file.ts"),
    memory: () => import("../plugins/char/memory.ts"),
    null: () => import("../plugins/char/null.ts"),
    stdio: () => import("../plugins/char/stdio.ts"),
    tcp: () => import("../plugins/char/tcp.ts"),
    "web-terminal": () => import("../plugins/display/web/terminal.ts"),
  },
  net: {
    hub: () => import("../plugins/net/hub.ts"),
    socket: () => import("../plugins/net/socket.ts"),
    user: () => import("../plugins/net/user/mod.ts"),
  },
  display: {
    none: () => import("../plugins/display/none.ts"),
    text: () => import("../plugins/display/text.ts"),
    vnc: () => import("../plugins/display/vnc/vnc.ts"),
    web: () => import("../plugins/display/web/web.ts"),
  },
  loader: {
    "linux": () => import("../plugins/loader/linux.ts"),
    "linux-unpacked": () => import("../plugins/loader/linux_unpacked.ts"),
    multiboot: () => import("../plugins/loader/multiboot.ts"),
  },
};
