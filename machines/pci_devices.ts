/**
 * Devices of PCI PCs that come together, and all modules that they load beside
 * those of the ISA PC: why, says `isa_devices.ts`.
 *
 * @module
 */

import "../plugins/device/firmware/fw_cfg_items.ts";
import "../plugins/device/firmware/place_tables.ts";
import "../plugins/device/ide/bus_master.ts";
import "../plugins/device/intc/apic_text.ts";
import "../plugins/device/intc/apic_timer.ts";
import "../plugins/device/intc/interrupt_command.ts";
import "../plugins/device/intc/lapic_memory.ts";
import "../plugins/device/intc/lapic_registers.ts";
import "../plugins/device/intc/lapic_state.ts";
import "../plugins/device/intc/local_interrupts.ts";
import "../plugins/device/intc/vector_set.ts";
import "../plugins/device/timer/hpet_timer.ts";
import "../plugins/firmware/acpi/aml.ts";
import "../plugins/firmware/acpi/aml_resources.ts";
import "../plugins/firmware/acpi/board.ts";
import "../plugins/firmware/acpi/dsdt.ts";
import "../plugins/firmware/acpi/tables.ts";
import "../plugins/firmware/smbios/structures.ts";

export * as acpi from "../plugins/firmware/acpi/acpi.ts";
export * as apicBus from "../plugins/device/intc/apic_bus.ts";
export * as fwCfg from "../plugins/device/firmware/fw_cfg.ts";
export * as hpet from "../plugins/device/timer/hpet.ts";
export * as i440fx from "../plugins/device/pci/i440fx.ts";
export * as ioapic from "../plugins/device/intc/ioapic.ts";
export * as lapic from "../plugins/device/intc/lapic.ts";
export * as mpTables from "../plugins/firmware/acpi/mp.ts";
export * as piix3 from "../plugins/device/pci/piix3.ts";
export * as piix3Ide from "../plugins/device/ide/piix3_ide.ts";
export * as piix4Pm from "../plugins/device/pci/piix4_pm.ts";
export * as smbios from "../plugins/firmware/smbios/smbios.ts";
