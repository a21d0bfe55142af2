/**
 * UEFI: Debian's OVMF from flash chips, its shell, its variables over a
 * restart, and GRUB that it starts from a disc.
 */

import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { join } from "@std/path";
import { Machine } from "../../../mod.ts";
import { firmwareTest, type Need, PATIENCE, PC } from "../firmware.ts";
import { GRUB_EFI, grubDisc } from "../loaders.ts";

/** The code, and what the variables are when a machine is new. */
const CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/** All of it in one image. */
const WHOLE = "/usr/share/ovmf/OVMF.fd";
const OVMF: Need = { what: CODE, in: "ovmf" };

const PROMPT = /Shell> /;
const VARIABLE = "RheaTest -guid 6a1b2c3d-0000-4000-8000-00526865610a";

/** A machine with its own variables. */
async function uefiPc(
  variables: string,
  more: { cdrom?: string; display?: string } = {},
): Promise<Machine> {
  return await Machine.load(PC, {
    cpu: "max",
    memory: "256M",
    drives: [
      { file: CODE, if: "pflash", format: "raw", readOnly: true },
      { file: variables, if: "pflash", format: "raw" },
    ],
    set: ['backends.serial0={"plugin":"memory"}'],
    ...more,
  });
}

/** Type a line at the shell's prompt; gives back what it says. */
async function shellSays(pc: Machine, line: string): Promise<string> {
  const serial = pc.serial(0);
  serial.write(`${line}\r`);
  // The shell shows what is typed.
  return await serial.expect(PROMPT, PATIENCE);
}

firmwareTest(
  "OVMF comes to its shell and keeps variables over a restart",
  [OVMF],
  async (folder) => {
    const variables = join(folder, "vars.fd");
    await Deno.copyFile(VARIABLES, variables);
    {
      await using pc = await uefiPc(variables);
      await pc.serial(0).expect(PROMPT, PATIENCE);
      await shellSays(pc, `setvar ${VARIABLE} -nv -bs -rt =L"kept by flash"`);
      assertMatch(await shellSays(pc, "memmap"), /Total Memory: +2[45]\d MB/);
      pc.serial(0).write("reset -s\r");
      assertEquals(await pc.wait(), { reason: "poweroff", status: 0 });
    }
    assertNotEquals(
      await Deno.readFile(variables),
      await Deno.readFile(VARIABLES),
    );
    await using pc = await uefiPc(variables);
    await pc.serial(0).expect(PROMPT, PATIENCE);
    const bytes = [..."kept by flash"].map((c) =>
      `${c.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()} 00`
    );
    const said = await shellSays(pc, `setvar ${VARIABLE}`);
    assertMatch(said.replaceAll(/\s+/g, " "), new RegExp(bytes.join(" ")));
  },
);

firmwareTest(
  "OVMF in ROM, one image with code and variables, comes to its shell",
  [{ what: WHOLE, in: "ovmf" }],
  async () => {
    await using pc = await Machine.load(PC, {
      cpu: "max",
      memory: "256M",
      firmware: WHOLE,
      set: ['backends.serial0={"plugin":"memory"}'],
    });
    await pc.serial(0).expect(PROMPT, PATIENCE);
  },
);

firmwareTest(
  "OVMF starts GRUB from a disc",
  [OVMF, ...GRUB_EFI],
  async (folder) => {
    const variables = join(folder, "vars.fd");
    await Deno.copyFile(VARIABLES, variables);
    const cdrom = await grubDisc(folder, {}, "", "x86_64-efi");
    await using pc = await uefiPc(variables, { cdrom });
    const serial = pc.serial(0);
    await serial.expect(/grub> /, PATIENCE);
    serial.write("echo is $grub_platform on $grub_cpu\r");
    await serial.expect(/is efi on x86_64/, PATIENCE);
    serial.write("halt\r");
    assertEquals(await pc.wait(), { reason: "poweroff", status: 0 });
  },
);
