/**
 * INT 19h and 18h: start a system from the first drive that has one, or from
 * the one that is chosen in the boot menu.
 *
 * Phoenix, "BIOS Boot Specification" 1.01; the conditions in which boot code
 * starts: its section 6.5.
 *
 * @module
 */

import { MILLISECOND } from "../../../core/time/clock.ts";
import type { Bios } from "./context.ts";
import { FIRST_CDROM, FIRST_DISK } from "./drives.ts";
import { type Frame, Status } from "./frame.ts";
import { freshBoot } from "./state.ts";
import { takeKey } from "./keyboard.ts";
import { Bda } from "./layout.ts";
import { print } from "./teletype.ts";

/** Keys that open the menu, without the prompt too: F12 and Esc. */
const ESC = 0x01;
const MENU_KEYS: readonly number[] = [0x86, ESC];
/** PnP installation check of boot code: there is none at ES:DI. */
const NO_PNP = 0;

/** What can be started, in the configured order. */
function candidates(bios: Bios): number[] {
  const { drives, config, state } = bios;
  const list: number[] = [];
  const add = (first: number, count: number): void => {
    for (let i = 0; i < count; i++) list.push(first + i);
  };
  for (const letter of state.order || config.order) {
    if (letter === "a") add(0, drives.floppies.length);
    else if (letter === "c") add(FIRST_DISK, drives.disks.length);
    else if (letter === "d") add(FIRST_CDROM, drives.cdroms.length);
  }
  return list;
}

/** What kind of drive a number is. */
function kindOf(number: number): string {
  if (number < FIRST_DISK) return "floppy";
  return number < FIRST_CDROM ? "hard disk" : "CD-ROM";
}

/** INT 19h, and INT 18h: the next one. */
export function boot(bios: Bios, frame: Frame): Status {
  const { state, config } = bios;
  if (frame.phase === 0) {
    frame.interrupts = true;
    if (frame.vector === 0x19) {
      bios.setEmulation(null);
      state.boot = freshBoot();
      state.boot.drives = candidates(bios);
      if (config.menu) {
        print(bios, "Press F12 or Esc for the boot menu.\r\n");
        state.boot.until = bios.clock.now() + config.menuWait * MILLISECOND;
      }
    } else if (state.boot.step !== "none") {
      state.boot.step = "try";
    }
  }
  for (;;) {
    const status = step(bios, frame);
    if (status !== undefined) return status;
  }
}

/** One step; undefined when there is another to be taken at once. */
function step(bios: Bios, frame: Frame): Status | undefined {
  const { boot } = bios.state;
  switch (boot.step) {
    case "prompt":
      return prompt(bios);
    case "menu":
      return menu(bios);
    case "try": {
      const drive = boot.drives.shift();
      if (drive === undefined) {
        print(bios, "No bootable device.\r\n");
        boot.step = "none";
        return undefined;
      }
      print(bios, `Booting from ${kindOf(drive)}...\r\n`);
      boot.step = "load";
      bios.requests.start({
        frame: frame.address,
        kind: "boot",
        drive,
        sector: 0,
        count: 0,
        address: 0,
      });
      bios.unmaskWake();
      return Status.WAIT;
    }
    case "load":
      return load(bios, frame);
    default:
      return Status.WAIT;
  }
}

function prompt(bios: Bios): Status | undefined {
  const { boot } = bios.state;
  const key = takeKey(bios);
  if (key !== undefined && MENU_KEYS.includes(key >> 8)) {
    print(bios, "\r\nBoot menu\r\n\r\n");
    boot.drives.forEach((drive, i) => {
      const { name } = bios.drives.get(drive)!;
      print(bios, `${i + 1}. ${kindOf(drive)}: ${name}\r\n`);
    });
    print(bios, "\r\nPress a number, or Esc to go on.\r\n");
    boot.step = "menu";
    return undefined;
  }
  if (bios.clock.now() < boot.until) return Status.WAIT;
  boot.step = "try";
  return undefined;
}

function menu(bios: Bios): Status | undefined {
  const { boot } = bios.state;
  const key = takeKey(bios);
  if (key === undefined) return Status.WAIT;
  const choice = (key & 0xff) - 0x31;
  const chosen = boot.drives[choice];
  if (chosen !== undefined) {
    boot.drives = [chosen, ...boot.drives.filter((_, i) => i !== choice)];
  } else if (key >> 8 !== ESC) {
    // Another key: that is all for now.
    return Status.WAIT;
  }
  boot.step = "try";
  return undefined;
}

/** The boot code is there, or the next drive comes. */
function load(bios: Bios, frame: Frame): Status | undefined {
  const { boot } = bios.state;
  const request = bios.requests.find(frame.address);
  if (request !== undefined && !request.done) return Status.WAIT;
  bios.requests.end(frame.address);
  if (request === undefined || request.status !== 0) {
    print(bios, "Not bootable.\r\n");
    boot.step = "try";
    return undefined;
  }
  bios.guest.set16(Bda.WARM_START, 0);
  frame.eax =
    frame.ebx =
    frame.ecx =
    frame.edx =
      0;
  frame.esi = frame.edi = 0;
  frame.ds = 0;
  frame.es = NO_PNP;
  frame.ax = 0xaa55;
  frame.dl = boot.drive;
  frame.returnTo(boot.segment, boot.offset);
  return Status.DONE;
}
