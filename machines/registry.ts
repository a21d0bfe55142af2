/**
 * The plugins that ship with Rhea, by type and name. Modules are imported when
 * a machine asks for them.
 *
 * @module
 */

import type { PluginTable } from "../core/machine/registry.ts";

/** The shipped plugins. */
export const PLUGINS: PluginTable = {
  cpu: {
    x86: () => import("../plugins/cpu/x86/mod.ts"),
  },
  device: {
    "acpi": () => import("../plugins/firmware/acpi/acpi.ts"),
    "apic-bus": () => import("../plugins/device/intc/apic_bus.ts"),
    "e1000": () => import("../plugins/device/net/e1000.ts"),
    "debugcon": () => import("../plugins/device/misc/debugcon.ts"),
    "firmware": () => import("../plugins/firmware/bios/firmware.ts"),
    "fpu-error": () => import("../plugins/device/misc/fpu_error.ts"),
    "fw-cfg": () => import("../plugins/device/firmware/fw_cfg.ts"),
    "i440fx": () => import("../plugins/device/pci/i440fx.ts"),
    "hpet": () => import("../plugins/device/timer/hpet.ts"),
    "i8042": () => import("../plugins/device/input/i8042.ts"),
    "i82077": () => import("../plugins/device/floppy/i82077.ts"),
    "i8237": () => import("../plugins/device/dma/i8237.ts"),
    "i8254": () => import("../plugins/device/timer/i8254.ts"),
    "i8259": () => import("../plugins/device/intc/i8259.ts"),
    "ide": () => import("../plugins/device/ide/ide.ts"),
    "ioapic": () => import("../plugins/device/intc/ioapic.ts"),
    "isa-debug-exit": () => import("../plugins/device/misc/isa_debug_exit.ts"),
    "lapic": () => import("../plugins/device/intc/lapic.ts"),
    "mc146818": () => import("../plugins/device/rtc/mc146818.ts"),
    "mp-tables": () => import("../plugins/firmware/acpi/mp.ts"),
    "ns16550a": () => import("../plugins/device/serial/ns16550a.ts"),
    "ne2k-isa": () => import("../plugins/device/net/ne2k_isa.ts"),
    "ne2k-pci": () => import("../plugins/device/net/ne2k_pci.ts"),
    "pflash-cfi01": () => import("../plugins/device/flash/pflash.ts"),
    "piix3": () => import("../plugins/device/pci/piix3.ts"),
    "piix3-ide": () => import("../plugins/device/ide/piix3_ide.ts"),
    "piix4-pm": () => import("../plugins/device/pci/piix4_pm.ts"),
    "port92": () => import("../plugins/device/misc/port92.ts"),
    "ps2-keyboard": () => import("../plugins/device/input/ps2_keyboard.ts"),
    "ps2-mouse": () => import("../plugins/device/input/ps2_mouse.ts"),
    "smbios": () => import("../plugins/firmware/smbios/smbios.ts"),
    "virtio-blk-mmio": () => import("../plugins/device/virtio/blk_mmio.ts"),
    "virtio-blk-pci": () => import("../plugins/device/virtio/blk_pci.ts"),
    "virtio-net-mmio": () => import("../plugins/device/virtio/net_mmio.ts"),
    "virtio-net-pci": () => import("../plugins/device/virtio/net_pci.ts"),
    "vga": () => import("../plugins/device/display/vga.ts"),
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
