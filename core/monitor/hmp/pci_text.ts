/**
 * PCI functions in the layout of QEMU's `info pci`.
 *
 * Source: PCI Local Bus Specification 3.0, 6.2 and appendix D (class codes).
 *
 * @module
 */

import type { ListedFunction } from "../../bus/pci.ts";

/** Names of classes, by class and subclass, as QEMU has them. */
const CLASSES: Readonly<Record<number, string>> = {
  0x0001: "VGA controller",
  0x0100: "SCSI controller",
  0x0101: "IDE controller",
  0x0102: "Floppy controller",
  0x0103: "IPI controller",
  0x0104: "RAID controller",
  0x0106: "SATA controller",
  0x0107: "SAS controller",
  0x0180: "Storage controller",
  0x0200: "Ethernet controller",
  0x0201: "Token Ring controller",
  0x0280: "Network controller",
  0x0300: "VGA controller",
  0x0301: "XGA controller",
  0x0302: "3D controller",
  0x0380: "Display controller",
  0x0400: "Video controller",
  0x0401: "Audio controller",
  0x0480: "Multimedia controller",
  0x0500: "RAM controller",
  0x0501: "Flash controller",
  0x0600: "Host bridge",
  0x0601: "ISA bridge",
  0x0604: "PCI bridge",
  0x0680: "Bridge",
  0x0700: "Serial port",
  0x0c03: "USB controller",
  0x0c05: "SMBus",
};
const COMMAND_IO = 1, COMMAND_MEMORY = 2;
/** What stands for an address that the function does not answer. */
const NOWHERE = "0xffffffffffffffff";

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

/** The lines of a function. */
export function* pciLines(
  { place, name, space }: ListedFunction,
): Generator<string> {
  const word = (offset: number): number => space.readConfig(offset, 2);
  yield `  Bus  0, device ${`${place.slot}`.padStart(3)}, ` +
    `function ${place.function}:`;
  const kind = word(0x0a);
  const said = CLASSES[kind] ?? `Class ${hex(kind, 4).padStart(4, "0")}`;
  yield `    ${said}: PCI device ${hex(word(0), 4)}:${hex(word(2), 4)}`;
  const subsystem = word(0x2c);
  if (subsystem !== 0) {
    yield `      PCI subsystem ${hex(subsystem, 4)}:${hex(word(0x2e), 4)}`;
  }
  const pin = space.readConfig(0x3d, 1);
  if (pin !== 0) {
    yield `      IRQ ${space.readConfig(0x3c, 1)}, pin ${
      String.fromCharCode(0x40 + pin)
    }`;
  }
  const command = word(4);
  for (
    const { index, kind, size, prefetchable, address } of space.bars?.() ?? []
  ) {
    const isIo = kind === "io";
    const isOn = (command & (isIo ? COMMAND_IO : COMMAND_MEMORY)) !== 0;
    const isPlaced = isOn && address !== undefined && address !== 0;
    const digits = isIo ? 4 : 8;
    const at = isPlaced ? `0x${hex(address, digits)}` : NOWHERE;
    const end = isPlaced
      ? `0x${hex(address + size - 1, digits)}`
      // QEMU's arithmetic from where it is not.
      : `0x${hex(size - 2, digits)}`;
    const what = isIo
      ? "I/O"
      : `${kind === "memory64" ? 64 : 32} bit${
        prefetchable ? " prefetchable" : ""
      } memory`;
    yield `      BAR${index}: ${what} at ${at} [${end}].`;
  }
  yield `      id "${name}"`;
}
