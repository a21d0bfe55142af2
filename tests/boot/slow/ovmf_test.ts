/**
 * UEFI: Debian's OVMF in flash chips of each size, on CPU models and several
 * CPUs; its screen beside QEMU's, its variables over restarts, variables that
 * cannot be kept, and GRUB that it starts from a disc.
 */

import {
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { join } from "@std/path";
import { DefinitionError, Machine } from "../../../mod.ts";
import { firmwareTest, PATIENCE, PC, run } from "../firmware.ts";
import { GRUB_EFI, grubDisc } from "../loaders.ts";
import { QemuMachine } from "../../qemu_machine.ts";
import { PCI_VGA } from "../../pci_vga.ts";
import { difference, pixelsOf } from "../../pixels.ts";
import {
  newVariables,
  OVMF,
  OVMF_2M,
  OVMF_4M,
  OVMF_SECURE,
  PROMPT,
  uefi,
  uefiPc,
} from "../uefi.ts";

/** All of it in one image. */
const WHOLE = "/usr/share/ovmf/OVMF.fd";
const VARIABLE = "RheaTest -guid 6a1b2c3d-0000-4000-8000-00526865610a";

/** Type a line at the shell's prompt; gives back what it says. */
async function shellSays(pc: Machine, line: string): Promise<string> {
  const serial = pc.serial(0);
  serial.write(`${line}\r`);
  // The shell shows what is typed.
  return await serial.expect(PROMPT, PATIENCE);
}

/** A text as the shell dumps it: UTF-16 in hexadecimal. */
function dumped(text: string): RegExp {
  return new RegExp(
    [...text].map((c) =>
      `${c.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()} 00`
    ).join(" "),
  );
}

/** What the shell says of the variable, spaces made alike. */
async function variable(pc: Machine): Promise<string> {
  const said = await shellSays(pc, `setvar ${VARIABLE}`);
  return said.replaceAll(/\s+/g, " ");
}

firmwareTest(
  "OVMF comes to its shell and keeps variables over a restart",
  [OVMF],
  async (folder) => {
    const variables = await newVariables(folder);
    {
      await using pc = await uefiPc(variables, { cpu: "max" });
      await pc.serial(0).expect(PROMPT, PATIENCE);
      await shellSays(pc, `setvar ${VARIABLE} -nv -bs -rt =L"kept by flash"`);
      assertMatch(await shellSays(pc, "memmap"), /Total Memory: +2[45]\d MB/);
      pc.serial(0).write("reset -s\r");
      assertEquals(await pc.wait(), { reason: "poweroff", status: 0 });
    }
    assertNotEquals(
      await Deno.readFile(variables),
      await Deno.readFile(OVMF_4M.variables),
    );
    await using pc = await uefiPc(variables, { cpu: "max" });
    await pc.serial(0).expect(PROMPT, PATIENCE);
    assertMatch(await variable(pc), dumped("kept by flash"));
    // And over one without a new machine.
    await shellSays(pc, `setvar ${VARIABLE} -nv -bs -rt =L"again"`);
    await shellSays(pc, "reset");
    assertMatch(await variable(pc), dumped("again"));
  },
);

for (const smp of [1, 4]) {
  for (
    const [name, ovmf, cpu] of [
      ["4 MiB", OVMF_4M, "x86-64-v2"],
      ["2 MiB", OVMF_2M, "x86-64-v3"],
    ] as const
  ) {
    firmwareTest(
      `OVMF of ${name} comes to its shell on ${smp} of ${cpu}`,
      [OVMF],
      async (folder) => {
        const variables = await newVariables(folder, ovmf);
        await using pc = await uefiPc(variables, { cpu, smp }, ovmf);
        await pc.serial(0).expect(PROMPT, PATIENCE);
        assertMatch(await shellSays(pc, "ver"), /EDK II/);
      },
    );
  }
}

firmwareTest(
  "OVMF in ROM, one image with code and variables, comes to its shell",
  [{ what: WHOLE, in: "ovmf" }],
  async () => {
    await using pc = await Machine.load(PC, {
      cpu: "max",
      memory: "256M",
      firmware: WHOLE,
    });
    await pc.serial(0).expect(PROMPT, PATIENCE);
  },
);

firmwareTest(
  "OVMF that wants SMM says nothing on a PC that has none",
  [OVMF],
  async (folder) => {
    // QEMU's PC with smm=off is as silent: the build's first check stops it.
    const variables = await newVariables(folder, OVMF_SECURE);
    const before = await Deno.readFile(variables);
    await using pc = await uefiPc(variables, { cpu: "max" }, OVMF_SECURE);
    const serial = pc.serial(0);
    await assertRejects(() => serial.expect(/./, { timeout: 30_000 }));
    assertEquals(await Deno.readFile(variables), before);
  },
);

firmwareTest(
  "OVMF with variables that cannot be kept",
  [OVMF],
  async (folder) => {
    const variables = await newVariables(folder);
    const [code, store] = uefi(variables).drives!;
    // Read-only, and none: as with QEMU, it has variables in RAM.
    for (const drives of [[code, { ...store, readOnly: true }], [code]]) {
      await using pc = await Machine.load(PC, {
        ...uefi(variables),
        cpu: "max",
        drives,
      });
      await pc.serial(0).expect(PROMPT, PATIENCE);
      await shellSays(pc, `setvar ${VARIABLE} -nv -bs -rt =L"lost"`);
      assertMatch(await variable(pc), dumped("lost"));
    }
    assertEquals(
      await Deno.readFile(variables),
      await Deno.readFile(OVMF_4M.variables),
    );
    await assertRejects(
      () => uefiPc(join(folder, "none.fd")),
      DefinitionError,
      "none.fd",
    );
    await Deno.truncate(variables, 100_000);
    await assertRejects(
      () => uefiPc(variables),
      Error,
      "expected a multiple of 4K",
    );
  },
);

/** Read what QEMU's serial port says up to the next prompt. */
async function prompt(serial: Deno.FsFile): Promise<void> {
  const bytes = new Uint8Array(4096);
  let text = "";
  const read = async (): Promise<void> => {
    while (!PROMPT.test(text)) {
      const length = await serial.read(bytes);
      if (length === null) throw new Error(`QEMU ended: ${text}`);
      text += new TextDecoder("latin1").decode(bytes.subarray(0, length));
    }
  };
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no prompt of QEMU's after: ${text}`)),
    PATIENCE.timeout,
  );
  try {
    await Promise.race([read(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

firmwareTest(
  "OVMF's screen is the one that it has on QEMU",
  [OVMF],
  async (folder) => {
    const variables = await newVariables(folder);
    const copy = join(folder, "qemu.fd");
    await Deno.copyFile(variables, copy);
    const flash = "if=pflash,format=raw,file=";
    const path = join(folder, "serial");
    // Not a socket: it is full after 278 writes of a byte, each of which is a
    // buffer of the host's kernel. Rhea in this thread reads it too late, then
    // OVMF's terminal times out, and its shell does not start. A pipe's 64 KiB
    // are more than OVMF says here.
    await run("mkfifo", [`${path}.in`, `${path}.out`]);
    await using qemu = await QemuMachine.start(
      [
        ...["-machine", "pc", "-cpu", "max", "-m", "256", "-net", "none"],
        ...["-drive", `${flash}${OVMF_4M.code},readonly=on`],
        ...["-drive", `${flash}${copy}`],
        ...["-serial", `pipe:${path}`],
      ],
      folder,
      "qemu-system-x86_64",
    );
    if (qemu === undefined) return console.log("skipped: no QEMU");
    using theirs = await Deno.open(`${path}.out`);
    using keys = await Deno.open(`${path}.in`, { write: true });
    await using pc = await uefiPc(variables, { cpu: "max", set: PCI_VGA });
    const [ours, screen] = [pc.serial(0), pc.screen()];
    await Promise.all([ours.expect(PROMPT, PATIENCE), prompt(theirs)]);
    for (const line of ["cls", "ver", "ls", "echo Xyz"]) {
      await ours.write(`${line}\r`);
      await keys.write(new TextEncoder().encode(`${line}\r`));
      await Promise.all([ours.expect(PROMPT, PATIENCE), prompt(theirs)]);
    }
    // Each draws on after it has written its prompt to the serial port.
    let differs: string | undefined;
    for (let tries = 0; tries < 100; tries++) {
      differs = difference(pixelsOf(screen.look()!), await qemu.look());
      if (differs === undefined) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assertEquals(differs, undefined);
  },
);

firmwareTest(
  "OVMF starts GRUB from a disc",
  [OVMF, ...GRUB_EFI],
  async (folder) => {
    const variables = await newVariables(folder);
    const cdrom = await grubDisc(folder, {}, "", "x86_64-efi");
    await using pc = await uefiPc(variables, { cpu: "max", cdrom });
    const serial = pc.serial(0);
    await serial.expect(/grub> /, PATIENCE);
    serial.write("echo is $grub_platform on $grub_cpu\r");
    await serial.expect(/is efi on x86_64/, PATIENCE);
    serial.write("halt\r");
    assertEquals(await pc.wait(), { reason: "poweroff", status: 0 });
  },
);
