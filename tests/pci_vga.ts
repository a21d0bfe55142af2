/**
 * What makes the VGA of `machines/pc.json` a PCI function, as displays of pixels
 * have it.
 *
 * @module
 */

/** Settings for `Machine.load`. */
export const PCI_VGA: readonly string[] = [
  'devices.vga={"plugin":"vga-pci","config":{"slot":2},' +
  '"use":{"bus":"pci"}}',
  "devices.fwcfg.config.vga=pci",
];
