/**
 * The namespace of a PC with a 440FX, a PIIX3 and a PIIX4: what the DSDT says.
 *
 * ACPI Specification 6.4, chapters 5.6 and 6; the names with an underscore are
 * its predefined ones.
 *
 * @module
 */

import {
  type Aml,
  and,
  arg,
  byteField,
  createDwordField,
  device,
  eisaId,
  iff,
  integer,
  join,
  lLess,
  local,
  method,
  name,
  operationRegion,
  or,
  path,
  pkg,
  REGION_SPACE,
  returns,
  scope,
  store,
} from "./aml.ts";
import {
  busNumbers,
  dma,
  interrupt,
  INTERRUPT_NUMBER,
  io,
  ioWindow,
  irqNoFlags,
  memory32Fixed,
  memoryWindow,
  resources,
} from "./aml_resources.ts";
import type { Board, LegacyDevice } from "./board.ts";

/** The PIIX3's PIRQRC: bit 7 turns a route off. */
const PIRQRC = 0x60;
const PIRQ_OFF = 0x80;
const LINKS = ["A", "B", "C", "D"];
/** The link of the SCI, which is no line of the PIIX3. */
const SCI_LINK = "LNKS";
/** _STA: present, enabled, shown, works. */
const PRESENT = 0x0b;
const PRESENT_DISABLED = 0x09;
/** Slots of a PCI bus, and pins of a slot. */
const SLOTS = 32;
const PINS = 4;
/** PMCNTRL of the PIIX4: the sleep type of soft off. */
const SOFT_OFF = 0;
/** CONFADD and CONFDATA: the host bridge's own ports. */
const CONFIG_PORTS = { base: 0xcf8, size: 8 };
/** Video memory. */
const VIDEO = { min: 0xa0000, max: 0xbffff };
/**
 * Where PCI functions' memory ends: the I/O APIC is there. It begins where RAM
 * ends, as QEMU says it: SeaBIOS places them from E0000000h on, OVMF from
 * 80000000h.
 */
const PCI_MEMORY_MAX = 0xfebfffff;
/** The HPET's registers. */
const HPET_BYTES = 0x400;
/** The PIIX4's registers at its base, and at APMC. */
const PM_BYTES = 0x40;
const APMC = { base: 0xb2, size: 2 };

/** The DSDT's term list. */
export function dsdt(board: Board): Aml {
  return join([
    name("\\_S5", pkg(SOFT_OFF, SOFT_OFF, 0, 0)),
    scope(
      "\\_SB",
      ...Array.from(
        { length: board.cpus },
        (_, i) => device(`C${hex(i, 3)}`, hid("ACPI0007"), name("_UID", i)),
      ),
      ...LINKS.map((link, i) => pciLink(link, i, board.pirqs)),
      sciLink(board.fixed.sci),
      hostBridge(board),
      ...(board.hpet === undefined ? [] : [hpet(board.hpet)]),
    ),
  ]);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** `_HID`: an EISA ID as an integer, what is none as text. */
function hid(id: string): Aml {
  return name("_HID", /^PNP/.test(id) ? eisaId(id) : id);
}

/** A PCI interrupt line, as a device that chooses where it goes. */
function pciLink(link: string, i: number, irqs: readonly number[]): Aml {
  const route = path(`\\_SB.PCI0.ISA.PRQ${link}`);
  return device(
    `LNK${link}`,
    hid("PNP0C0F"),
    name("_UID", i),
    name("_PRS", resources(interrupt(...irqs))),
    method(
      "_STA",
      0,
      iff(and(route, PIRQ_OFF), returns(PRESENT_DISABLED)),
      returns(PRESENT),
    ),
    method("_DIS", 0, or(route, PIRQ_OFF, route)),
    method(
      "_CRS",
      0,
      store(resources(interrupt(0)), local(0)),
      createDwordField(local(0), INTERRUPT_NUMBER, "IRQN"),
      iff(lLess(route, PIRQ_OFF), store(route, path("IRQN"))),
      returns(local(0)),
    ),
    method(
      "_SRS",
      1,
      createDwordField(arg(0), INTERRUPT_NUMBER, "IRQN"),
      store(path("IRQN"), route),
    ),
  );
}

/** The SCI, as a link that cannot be set to anything else. */
function sciLink(sci: number): Aml {
  return device(
    SCI_LINK,
    hid("PNP0C0F"),
    name("_UID", LINKS.length),
    name("_PRS", resources(interrupt(sci))),
    name("_CRS", resources(interrupt(sci))),
    name("_STA", PRESENT),
    method("_DIS", 0),
    method("_SRS", 1),
  );
}

function hostBridge(board: Board): Aml {
  const { bridge, legacy, fixed } = board;
  return device(
    "PCI0",
    hid("PNP0A03"),
    name("_UID", 0),
    name("_BBN", 0),
    name(
      "_CRS",
      resources(
        // A bridge behind this bus would number another one.
        busNumbers(0, 0xff),
        io(CONFIG_PORTS.base, CONFIG_PORTS.size),
        ioWindow(0, CONFIG_PORTS.base - 1),
        ioWindow(CONFIG_PORTS.base + CONFIG_PORTS.size, 0xffff),
        memoryWindow(VIDEO.min, VIDEO.max, true),
        memoryWindow(board.ramEnd, PCI_MEMORY_MAX, false),
      ),
    ),
    name("_PRT", routes(board.pmSlot)),
    device(
      "ISA",
      name("_ADR", bridge.slot << 16 | bridge.function),
      operationRegion("PIRQ", REGION_SPACE.pciConfig, PIRQRC, LINKS.length),
      byteField("PIRQ", ...LINKS.map((link) => `PRQ${link}`)),
      ...legacy.map(legacyDevice),
      device(
        "MBRD",
        hid("PNP0C02"),
        name(
          "_CRS",
          resources(
            io(fixed.pmBase, PM_BYTES),
            io(APMC.base, APMC.size),
          ),
        ),
      ),
    ),
  );
}

/**
 * Which pin of a slot is at which link: as the 440FX's board is wired, PIRQA
 * is INTA# of slot 1, and each slot begins one further.
 */
function routes(pmSlot: number): Aml {
  const all: Aml[] = [];
  for (let slot = 1; slot < SLOTS; slot++) {
    for (let pin = 0; pin < PINS; pin++) {
      const line = (slot - 1 + pin) % LINKS.length;
      const link = slot === pmSlot && pin === 0
        ? SCI_LINK
        : `LNK${LINKS[line]}`;
      // 0xffff stands for all functions of a slot.
      const address = integer((slot << 16 | 0xffff) >>> 0);
      all.push(pkg(address, pin, path(link), 0));
    }
  }
  return pkg(...all);
}

function legacyDevice(
  { name: called, id, uid, ports, irqs, dmas }: LegacyDevice,
): Aml {
  return device(
    called,
    hid(id),
    name("_UID", uid),
    name(
      "_CRS",
      resources(
        ...ports.map(({ base, size }) => io(base, size)),
        ...irqs.map(irqNoFlags),
        ...dmas.map(dma),
      ),
    ),
  );
}

function hpet(address: number): Aml {
  return device(
    "HPET",
    hid("PNP0103"),
    name("_UID", 0),
    name("_CRS", resources(memory32Fixed(address, HPET_BYTES))),
  );
}
