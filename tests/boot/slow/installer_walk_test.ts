/**
 * Debian's installer, walked by keys up to the network's configuration, on Rhea
 * and on QEMU at the same time: in the VGA's text mode, and from its boot menu
 * on in its graphical form at 1280x800. Each screen is the same on both.
 */

import { Machine, parseNic } from "../../../mod.ts";
import { PCI_VGA } from "../../pci_vga.ts";
import type { Pixels } from "../../pixels.ts";
import { QEMU } from "../../qemu.ts";
import { QemuMachine } from "../../qemu_machine.ts";
import { linuxTest, PC } from "../firmware.ts";
import {
  DEBIAN_MENU,
  fetchMenu,
  GRAPHICAL_INSTALLER,
  graphicalInstaller,
} from "../installer_disc.ts";
import { ISOLINUX } from "../loaders.ts";
import { type Expected, Pair } from "../pair.ts";

await fetchMenu();

const QEMU_NEED = { what: QEMU, in: "qemu-system-x86" };
/**
 * QEMU's board and network card that are those of `pc.json`: without hot plug,
 * whose slots have numbers in ACPI, by which Linux would name the card.
 */
const BOARD = [
  ...["-M", "pc", "-accel", "tcg", "-cpu", "pentium3"],
  ...["-global", "PIIX4_PM.acpi-pci-hotplug-with-bridge-support=off"],
  ...["-global", "PIIX4_PM.acpi-root-pci-hotplug=off"],
];
const NETWORK = [
  ...["-netdev", "user,id=net", "-device", "e1000,netdev=net,addr=3"],
];
const NICS = [parseNic("user")];

/** Text on the screen. */
function text(pattern: RegExp): Expected {
  return (_, screen) => pattern.test(screen.text);
}

linuxTest(
  "the installer in VGA text up to the network, as on QEMU",
  [QEMU_NEED],
  async (folder, { kernel, installer }) => {
    // Its drivers would switch a PCI VGA to pixels.
    const append = "vga=normal fb=false --- quiet";
    await using qemu = (await QemuMachine.start([
      ...[...BOARD, ...NETWORK, "-m", "512M"],
      ...["-vga", "none", "-device", "isa-vga"],
      ...["-kernel", kernel, "-initrd", installer, "-append", append],
    ], folder))!;
    await using machine = await Machine.load(PC, {
      kernel,
      initrd: installer,
      append,
      memory: "512M",
      nics: NICS,
    });
    const pair = new Pair(machine, qemu);
    const same = (pattern: RegExp): Promise<Pixels> =>
      pair.same(String(pattern), text(pattern));
    await same(/Select a language(.*\n)+<Tab> moves;/);
    // By Finnish to French.
    await pair.press("ArrowDown");
    await pair.press("ArrowDown");
    await pair.press("Enter");
    await same(/Choix de votre situation géographique(.*\n)+<Tab> dépl/);
    await pair.press("Enter");
    await same(/Configurer le clavier(.*\n)+<Tab> dépl/);
    await pair.press("Enter");
    await same(
      /Configurer le réseau(.*\n)+.*Nom de machine(.*\n)+<Tab> dépl/,
    );
    // Keys of the keyboard that was chosen.
    await pair.type("rheq");
    await same(/rhea/);
    // What DHCP gave.
    await pair.press("AltLeft", "F2");
    await same(/activer cette console|activate this console/);
    await pair.press("Enter");
    await same(/^~ #\n+$/m);
    await pair.type("ip route\n");
    await same(/src 10\.0\.2\.15 *\n~ #\n+$/);
  },
);

/** The menu with its picture behind it. */
function isMenu({ width, height, pixels }: Pixels): boolean {
  return width === 640 && height === 480 && new Set(pixels).size > 256;
}

/** Where the button "Continue" of the graphical installer is. */
const BUTTON = { left: 1172, right: 1266, top: 764, bottom: 786 };
/** Where it writes which step this is. */
const TITLE = { left: 12, right: 600, top: 86, bottom: 106 };

type Area = typeof BUTTON;

/** The pixels of an area, line by line. */
function cut({ pixels, width }: Pixels, area: Area): Uint32Array {
  const line = area.right - area.left;
  const part = new Uint32Array(line * (area.bottom - area.top));
  for (let y = area.top, to = 0; y < area.bottom; y++, to += line) {
    const at = y * width + area.left;
    part.set(pixels.subarray(at, at + line), to);
  }
  return part;
}

function areSame(a: Uint32Array, b: Uint32Array): boolean {
  return a.every((pixel, i) => pixel === b[i]);
}

/** The first question: its button has letters, of many shades. */
function isQuestion(shown: Pixels): boolean {
  return shown.width === 1280 && shown.height === 800 &&
    new Set(cut(shown, BUTTON)).size > 16;
}

/** Another question: under another title, with the same button. */
function questionAfter(before: Pixels): Expected {
  const [title, button] = [cut(before, TITLE), cut(before, BUTTON)];
  return (shown) =>
    areSame(cut(shown, BUTTON), button) && !areSame(cut(shown, TITLE), title);
}

/** The same question after something was done to it. */
function changeOf(before: Pixels): Expected {
  const [title, button] = [cut(before, TITLE), cut(before, BUTTON)];
  return (shown) =>
    areSame(cut(shown, BUTTON), button) && areSame(cut(shown, TITLE), title) &&
    !areSame(shown.pixels, before.pixels);
}

linuxTest(
  "the graphical installer from a disc up to the network, as on QEMU",
  [QEMU_NEED, ...ISOLINUX, DEBIAN_MENU, GRAPHICAL_INSTALLER],
  async (folder, guest) => {
    const cdrom = await graphicalInstaller(folder, guest);
    await using qemu = (await QemuMachine.start([
      ...[...BOARD, ...NETWORK, "-m", "768M", "-vga", "std"],
      ...["-cdrom", cdrom, "-boot", "d"],
    ], folder))!;
    await using machine = await Machine.load(PC, {
      cdrom,
      memory: "768M",
      nics: NICS,
      set: PCI_VGA,
    });
    const pair = new Pair(machine, qemu);
    // A key ends the menu's count of seconds.
    await pair.show("menu", isMenu);
    await pair.press("ArrowDown");
    const second = await pair.same("menu's second entry", isMenu);
    await pair.press("ArrowUp");
    await pair.same(
      "menu's first entry",
      (shown) => isMenu(shown) && !areSame(shown.pixels, second.pixels),
    );
    await pair.press("Enter");
    const language = await pair.same("language", isQuestion);
    await pair.press("ArrowDown");
    await pair.same("next language", changeOf(language));
    await pair.press("ArrowUp");
    await pair.same(
      "language again",
      ({ pixels }) => areSame(pixels, language.pixels),
    );
    await pair.press("Enter");
    const location = await pair.same("location", questionAfter(language));
    await pair.press("Enter");
    const keyboard = await pair.same("keyboard", questionAfter(location));
    await pair.press("Enter");
    const network = await pair.same("network", questionAfter(keyboard));
    await pair.type("rhea");
    await pair.same("host name", changeOf(network));
  },
);
