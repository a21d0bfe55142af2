/**
 * 64-bit Debian from its disk: systemd to a login on the serial port without a
 * unit that failed, packages that apt installs from a mirror on the host, and
 * a power-off that leaves the disk clean. On one CPU and on four, with each
 * firmware, disk and card.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { Machine, type MachineOptions } from "../../../mod.ts";
import { DebianError, ensureDebian, fsck, ROOT_OFFSET } from "../debian.ts";
import {
  firmwareTest,
  type Need,
  PC,
  SEABIOS_256K,
  SEABIOS_PACKAGE,
} from "../firmware.ts";
import { Shell } from "../guest.ts";
import { MIRROR, Mirror } from "../mirror.ts";
import {
  newVariables,
  uefi,
  UEFI_DISK,
  UEFI_ROOT_OFFSET,
  uefiDisk,
} from "../uefi.ts";

let disk: string | undefined;
let why = "";
try {
  disk = await ensureDebian("amd64");
} catch (error) {
  if (!(error instanceof DebianError)) throw error;
  why = error.message;
}

/** A disk of its own for a machine, and what starts it. */
interface Start {
  readonly options: MachineOptions;
  readonly image: string;
  /** Where its root begins, in bytes. */
  readonly root: number;
}

/** By firmware: what it needs, and how a machine in a folder starts by it. */
const STARTS: Readonly<
  Record<
    string,
    { needs: readonly Need[]; start(folder: string): Promise<Start> }
  >
> = {
  "the built-in BIOS": { needs: [], start: (folder) => bios(folder) },
  SeaBIOS: {
    needs: [SEABIOS_PACKAGE],
    start: (folder) => bios(folder, SEABIOS_256K),
  },
  OVMF: {
    needs: UEFI_DISK,
    async start(folder) {
      const image = await uefiDisk(disk!, folder);
      const options = uefi(await newVariables(folder));
      return { options, image, root: UEFI_ROOT_OFFSET };
    },
  },
};

async function bios(
  folder: string,
  firmware: string = "builtin",
): Promise<Start> {
  const image = join(folder, "disk.img");
  await Deno.copyFile(disk!, image);
  return { options: { firmware }, image, root: ROOT_OFFSET };
}

/** Two with no library that is not there, and one with two. */
const PACKAGES = ["hello", "jq", "libjq1", "libonig5"];
const SOURCE = "/etc/apt/sources.list";
const KEY = "/etc/apt/keyrings/mirror.asc";

const CASES = [
  ["the built-in BIOS", "virtio", "e1000", "x86-64-v2", 1],
  ["the built-in BIOS", "ide", "virtio", "x86-64-v3", 4],
  ["SeaBIOS", "ide", "e1000", "x86-64-v2", 4],
  ["SeaBIOS", "virtio", "virtio", "max", 1],
  ["OVMF", "virtio", "e1000", "x86-64-v2", 4],
  ["OVMF", "ide", "virtio", "x86-64-v3", 1],
  ["OVMF", "virtio", "virtio", "max", 4],
] as const;

for (const [firmware, bus, card, cpu, smp] of CASES) {
  const { needs, start } = STARTS[firmware];
  const name = `64-bit Debian by ${firmware} on ${bus}, ${smp} CPU${
    smp > 1 ? "s" : ""
  } ${cpu}: apt installs by ${card}`;
  if (disk === undefined) {
    Deno.test({ name: `${name} (skipped: ${why})`, ignore: true, fn() {} });
    continue;
  }
  firmwareTest(name, [...needs, ...MIRROR], async (folder) => {
    await using mirror = await Mirror.of(PACKAGES, folder);
    const { options, image, root } = await start(folder);
    await using machine = await Machine.load(PC, {
      ...options,
      memory: "512M",
      ...{ cpu, smp },
      drives: [
        ...options.drives ?? [],
        { file: image, format: "raw", if: bus },
      ],
      nics: [{ network: "user", model: card }],
    });
    const shell = await Shell.login(machine);
    const says = async (command: string): Promise<string> => {
      const { status, output } = await shell.run(command);
      assertEquals(status, 0, `${command}: ${output}`);
      return output;
    };
    assertEquals(await says("uname -m; nproc"), `x86_64\n${smp}\n`);
    assertEquals(await says("systemctl is-system-running"), "running\n");
    assertEquals(await says("systemctl --failed --plain --no-legend"), "");
    await says(
      "/usr/lib/systemd/systemd-networkd-wait-online --timeout=60",
    );
    await says(
      `/usr/lib/apt/apt-helper download-file ${mirror.url}/key.asc ${KEY}`,
    );
    await says(`echo 'deb [signed-by=${KEY}] ${mirror.url} ./' > ${SOURCE}`);
    const update = await says("apt-get update");
    assertMatch(update, /^Get:\d+ \S+ \.\/ Packages \[/m);
    const install = await says("apt-get install -y hello jq");
    assertMatch(install, /^Setting up jq \(/m);
    assertEquals(await says("hello"), "Hello, world!\n");
    assertEquals(await says("jq -Mn '[range(1e4)] | add / 4'"), "12498750\n");
    assertEquals(await says("dpkg --audit; dpkg --verify hello jq"), "");
    assertEquals(
      mirror.asked.filter((path) => path.endsWith(".deb")).length,
      PACKAGES.length,
    );
    assertEquals(await says("systemctl --failed --plain --no-legend"), "");
    assertEquals(await says("dmesg -l emerg,alert,crit"), "");
    await shell.type("poweroff");
    const { reason, status } = await machine.wait();
    assertEquals({ reason, status }, { reason: "poweroff", status: 0 });
    await machine.stop();
    const { code, text } = await fsck(image, root);
    assertEquals(code, 0, text);
  });
}
