/**
 * Devices of ISA PCs that come together, and all modules that they, the other
 * devices of `isapc.json` and its loaders load: why in a list, says
 * `core/exec/modules.ts`, and one import for all of them saves as much again.
 *
 * @module
 */

import "../core/backend/output_batch.ts";
import "../core/backend/vga_font.ts";
import "../core/bus/dispi.ts";
import "../core/machine/stateless_device.ts";
import "../plugins/device/display/cp437.ts";
import "../plugins/device/display/vbe.ts";
import "../plugins/device/display/vga_core.ts";
import "../plugins/device/display/vga_crtc.ts";
import "../plugins/device/display/vga_memory.ts";
import "../plugins/device/display/vga_on_bus.ts";
import "../plugins/device/display/vga_picture.ts";
import "../plugins/device/display/vga_state.ts";
import "../plugins/device/floppy/commands.ts";
import "../plugins/device/floppy/control.ts";
import "../plugins/device/floppy/controller.ts";
import "../plugins/device/floppy/drive.ts";
import "../plugins/device/floppy/host_side.ts";
import "../plugins/device/floppy/media.ts";
import "../plugins/device/floppy/registers.ts";
import "../plugins/device/floppy/state.ts";
import "../plugins/device/floppy/status.ts";
import "../plugins/device/floppy/timing.ts";
import "../plugins/device/floppy/transfer.ts";
import "../plugins/device/ide/ata.ts";
import "../plugins/device/ide/atapi.ts";
import "../plugins/device/ide/channel.ts";
import "../plugins/device/ide/drive.ts";
import "../plugins/device/ide/identify.ts";
import "../plugins/device/ide/mmc.ts";
import "../plugins/device/ide/packets.ts";
import "../plugins/device/ide/registers.ts";
import "../plugins/device/ide/smart.ts";
import "../plugins/device/ide/trim.ts";
import "../plugins/device/ide/units.ts";
import "../plugins/device/input/scan_codes.ts";
import "../plugins/device/intc/i8259.ts";
import "../plugins/device/rtc/mc146818.ts";
import "../plugins/device/serial/ns16550a.ts";
import "../plugins/device/timer/counter.ts";
import "../plugins/device/timer/i8254.ts";
import "../plugins/firmware/bios/config.ts";
import "../plugins/firmware/bios/layout.ts";
import "../plugins/firmware/bios/regions.ts";
import "../plugins/loader/linux.ts";
import "../plugins/loader/long_mode.ts";
import "../plugins/loader/multiboot.ts";
import "../plugins/loader/pc.ts";

export * as debugcon from "../plugins/device/misc/debugcon.ts";
export * as firmware from "../plugins/firmware/bios/firmware.ts";
export * as fpuError from "../plugins/device/misc/fpu_error.ts";
export * as i8042 from "../plugins/device/input/i8042.ts";
export * as i82077 from "../plugins/device/floppy/i82077.ts";
export * as i8237 from "../plugins/device/dma/i8237.ts";
export * as port92 from "../plugins/device/misc/port92.ts";
export * as ps2Keyboard from "../plugins/device/input/ps2_keyboard.ts";
export * as ps2Mouse from "../plugins/device/input/ps2_mouse.ts";
export * as vga from "../plugins/device/display/vga.ts";
