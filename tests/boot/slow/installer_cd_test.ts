/**
 * Debian's installer from a disc, on the VGA's text screen: its boot loader's
 * menu and its first two screens, walked by keys. The built-in BIOS and
 * SeaBIOS, ISOLINUX with Debian's menu and GRUB.
 */

import { assertMatch } from "@std/assert";
import { Machine, type ScreenPort } from "../../../mod.ts";
import { FIRMWARES, linuxTest, PATIENCE, PC } from "../firmware.ts";
import {
  DEBIAN_MENU,
  fetchMenu,
  grubInstaller,
  isolinuxInstaller,
} from "../installer_disc.ts";
import { GRUB, ISOLINUX } from "../loaders.ts";

await fetchMenu();

/** Choose in Debian's menu; its entry wants a framebuffer, so change it. */
async function chooseByIsolinux(screen: ScreenPort): Promise<void> {
  await screen.expect(/Debian GNU\/Linux installer menu/, PATIENCE);
  await screen.expect(/ Install +│\n.* Advanced options +> │\n/, PATIENCE);
  await screen.expect(/Press ENTER to boot or TAB to edit/, PATIENCE);
  await screen.press("ArrowDown");
  await screen.type("\n");
  await screen.expect(/ Back\.\. +< │\n.* Expert install +│\n/, PATIENCE);
  await screen.press("Escape");
  await screen.expect(/Debian GNU\/Linux installer menu/, PATIENCE);
  await screen.press("ArrowUp");
  await screen.press("Tab");
  await screen.expect(/^> linux vga=788 .* quiet$/m, PATIENCE);
  // In pieces: the type-ahead buffer has room for 15 keys.
  await screen.type(" vga=normal");
  await screen.expect(/ quiet +vga=normal$/m, PATIENCE);
  await screen.type(" fb=false\n");
}

/** Choose the second entry of GRUB's menu. */
async function chooseByGrub(screen: ScreenPort): Promise<void> {
  await screen.expect(/│\*Rescue +│\n *│ Install +│\n/, PATIENCE);
  await screen.press("ArrowDown");
  await screen.expect(/│ Rescue +│\n *│\*Install +│\n/, PATIENCE);
  await screen.type("\n");
}

const LOADERS = [
  {
    loader: "ISOLINUX",
    tools: [...ISOLINUX, DEBIAN_MENU],
    disc: isolinuxInstaller,
    choose: chooseByIsolinux,
    commandLine: /^BOOT_IMAGE=linux .*--- quiet +vga=normal fb=false$/m,
  },
  {
    loader: "GRUB",
    tools: GRUB,
    disc: grubInstaller,
    choose: chooseByGrub,
    commandLine: /^BOOT_IMAGE=\/linux fb=false$/m,
  },
] as const;

for (const { loader, tools, disc, choose, commandLine } of LOADERS) {
  for (const { name, firmware, needs } of FIRMWARES) {
    linuxTest(
      `the installer on a disc with ${loader}, started by ${name}`,
      [...needs, ...tools],
      async (folder, guest) => {
        const cdrom = await disc(folder, guest);
        await using pc = await Machine.load(PC, {
          firmware,
          cdrom,
          memory: "512M",
        });
        const screen = pc.screen();
        await choose(screen);
        await screen.expect(/Select a language/, PATIENCE);
        await screen.expect(/^<Tab> moves;/m, PATIENCE);
        // From English, where it begins, by Finnish to French.
        await screen.press("ArrowDown");
        await screen.press("ArrowDown");
        await screen.type("\n");
        await screen.expect(/Choix de votre situation géographique/, PATIENCE);
        await screen.expect(/^<Tab> déplacement;/m, PATIENCE);
        // The installer's second console has a shell.
        await screen.press("AltLeft", "F2");
        await screen.expect(/press Enter to activate this console/, PATIENCE);
        await screen.type("\n");
        await screen.expect(/^~ #\n+$/m, PATIENCE);
        await screen.type("cat /proc/cmdline\n");
        const text = await screen.expect(/cmdline\n.+\n~ #\n+$/, PATIENCE);
        assertMatch(text, commandLine);
        await screen.press("AltLeft", "F1");
        await screen.expect(/^<Tab> déplacement;/m, PATIENCE);
      },
    );
  }
}
