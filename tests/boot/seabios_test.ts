/**
 * SeaBIOS as Debian has it starts the PC and boots from its drives.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine } from "../../mod.ts";
import {
  assembleDisk,
  firmwareTest,
  ISAPC,
  NASM,
  PATIENCE,
  PC,
  SEABIOS,
  SEABIOS_256K,
  SEABIOS_PACKAGE,
  seabiosPc,
} from "./firmware.ts";
import { PCI_VGA } from "../pci_vga.ts";

const SERVICES = fromFileUrl(new URL("services.asm", import.meta.url));
const MIB = 1024 * 1024;
const BANNER = /^SeaBIOS \(version \S+\)$/m;

/** How often SeaBIOS has come to its end, by its log. */
async function bootsIn(path: string): Promise<number> {
  const log = await Deno.readTextFile(path);
  return log.match(/^No bootable device/gm)?.length ?? 0;
}

for (
  const [name, machine, firmware] of [
    ["the PC, 128 KiB", PC, SEABIOS],
    ["the PC, 256 KiB", PC, SEABIOS_256K],
    ["the ISA PC", ISAPC, SEABIOS],
  ]
) {
  firmwareTest(
    `SeaBIOS finds nothing to boot from: ${name}`,
    [SEABIOS_PACKAGE],
    async (folder) => {
      const path = join(folder, "log");
      const log = { plugin: "file", config: { path } };
      await using pc = await Machine.load(machine, {
        firmware,
        set: [
          "devices.debug.at=0x402",
          `backends.debug=${JSON.stringify(log)}`,
        ],
      });
      const screen = pc.screen();
      assertMatch(
        await screen.expect("No bootable device.", PATIENCE),
        BANNER,
      );
      // A reset starts it anew, whatever it has written over its copy. (What
      // the screen shows meanwhile may be gone before anybody looks.)
      await screen.press("ControlLeft", "AltLeft", "Delete");
      const end = Date.now() + PATIENCE.timeout;
      while ((await bootsIn(path)) < 2 && Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assertEquals(await bootsIn(path), 2);
      await screen.expect("No bootable device.", PATIENCE);
    },
  );
}

firmwareTest(
  "SeaBIOS starts the other CPUs",
  [SEABIOS_PACKAGE],
  async () => {
    await using pc = await Machine.load(PC, {
      firmware: SEABIOS_256K,
      cpu: "max",
      smp: 4,
    });
    // It waits until all have said that they are there.
    await pc.screen().expect("No bootable device.", PATIENCE);
    for (let i = 0; i < 4; i++) {
      assertMatch(pc.cpu.describe(), new RegExp(`CPU ${i}: cs:eip`));
    }
  },
);

/** A boot sector that says hello and writes what is typed on the screen. */
const ECHO = `
  org 0x7c00
  bits 16
  xor ax, ax
  mov ds, ax
  mov si, hello
.text:
  lodsb
  test al, al
  jz .key
  mov ah, 0x0e
  mov bx, 7
  int 0x10
  jmp .text
.key:
  mov ah, 0
  int 0x16
  mov ah, 0x0e
  mov bx, 7
  int 0x10
  cmp al, 13
  jne .key
  mov ax, 0x0e0a
  int 0x10
  jmp .key
hello: db "Hello from the boot sector", 13, 10, 0
  times 510 - ($ - $$) db 0
  dw 0xaa55
`;

firmwareTest(
  "SeaBIOS boots what is chosen in its menu",
  [SEABIOS_PACKAGE, NASM],
  async (folder) => {
    const source = join(folder, "echo.asm");
    const disk = join(folder, "disk.img");
    await Deno.writeTextFile(source, ECHO);
    await assembleDisk(source, disk, MIB);
    const cdrom = join(folder, "blank.iso");
    await Deno.writeFile(cdrom, new Uint8Array(64 * 1024));
    await using pc = await seabiosPc({ drives: [{ file: disk }], cdrom });
    const screen = pc.screen();
    await screen.expect("Press ESC for boot menu.", PATIENCE);
    await screen.press("Escape");
    const menu = await screen.expect(/^2\. .*\]$/m, PATIENCE);
    assertMatch(menu, /^1\. ata0-0: RHEA HARDDISK .*\(1 MiBytes\)$/m);
    assertMatch(menu, /^2\. DVD\/CD \[ata1-0: RHEA DVD-ROM .*\]$/m);
    await screen.type("2");
    // There is nothing on the disc: the disk is next.
    const text = await screen.expect("Hello from the boot sector", PATIENCE);
    assertMatch(
      text,
      /^Booting from DVD\/CD\.\.\.\nBoot failed: .*\n+Booting from Hard Disk\.\.\.$/m,
    );
    await screen.type("abc 123");
    await screen.expect(/^abc 123$/m, PATIENCE);
    // Beyond the last line it scrolls.
    for (let i = 0; i < 30; i++) await screen.press("Enter");
    await screen.expect(/^\s*$/, PATIENCE);
  },
);

firmwareTest(
  "SeaBIOS boots in the order of --boot",
  [SEABIOS_PACKAGE, NASM],
  async (folder) => {
    const image = async (name: string, bytes: number): Promise<string> => {
      const source = join(folder, `${name}.asm`);
      const hello = ECHO.replace("the boot sector", name);
      await Deno.writeTextFile(source, hello);
      await assembleDisk(source, join(folder, name), bytes);
      return join(folder, name);
    };
    const floppy = [await image("floppy", 1440 * 1024)];
    const drives = [{ file: await image("disk", MIB), format: "raw" }];
    const cdrom = join(folder, "blank.iso");
    await Deno.writeFile(cdrom, new Uint8Array(64 * 1024));
    for (const order of ["ac", "ca", "dca"]) {
      const boot = { order };
      await using pc = await seabiosPc({ drives, floppy, cdrom, boot });
      const first = order.includes("ac") ? "floppy" : "disk";
      const text = await pc.screen().expect("Hello from", PATIENCE);
      assertMatch(text, new RegExp(`Hello from ${first}$`, "m"));
      assertEquals(text.includes("DVD/CD"), order === "dca");
    }
  },
);

/** The same on QEMU; undefined where it is not installed. */
async function inQemu(disk: string): Promise<string | undefined> {
  const args = "-M pc -accel tcg -cpu pentium3 -m 64 -nodefaults " +
    "-display none -device VGA -serial stdio -monitor none -no-reboot " +
    `-device isa-debug-exit,iobase=0xf4,iosize=1 -bios ${SEABIOS_256K} ` +
    `-drive if=ide,format=raw,file=${disk}`;
  try {
    const { stdout } = await new Deno.Command("qemu-system-i386", {
      args: args.split(" "),
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(PATIENCE.timeout),
    }).output();
    return new TextDecoder().decode(stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * The output without what depends on the size of ACPI's tables, which lie at
 * the end of RAM: memory above 1 MiB as three services tell it.
 */
function withoutTables(output: string): string {
  return output.split(/\r?\n/)
    .filter((line) => !/^(extended|e801|e820|range): /.test(line))
    .join("\n");
}

/** What INT 15h, E820h says: base, end and type of each range. */
function ranges(output: string): string[] {
  const number = (text: string): number =>
    parseInt(text.match(/../g)!.reverse().join(""), 16);
  return [...output.matchAll(/^range: (.{16})(.{16})(.{8})/gm)]
    .map(([, base, size, type]) => {
      const end = number(base) + number(size);
      return `${number(base).toString(16)}-${end.toString(16)} ${number(type)}`;
    });
}

firmwareTest(
  "SeaBIOS gives the same answers as on QEMU",
  [SEABIOS_PACKAGE, NASM],
  async (folder) => {
    const [ours, theirs] = ["rhea.img", "qemu.img"]
      .map((name) => join(folder, name));
    await assembleDisk(SERVICES, ours, 64 * MIB);
    await Deno.copyFile(ours, theirs);
    await using pc = await seabiosPc({
      drives: [{ file: ours, format: "raw" }],
      boot: {},
      memory: "64M",
      // QEMU has one serial port here.
      set: ["devices.com2=null", ...PCI_VGA],
    });
    const { reason, status } = await pc.run();
    assertEquals({ reason, status }, { reason: "exit", status: 1 });
    const { output } = pc.serial(0);
    const map = ranges(output);
    assertEquals(map.slice(0, 3), [
      "0-9fc00 1",
      "9fc00-a0000 2",
      "f0000-100000 2",
    ]);
    assertMatch(
      map.slice(3).join(", "),
      /^100000-3f[0-9a-f]+ 1, 3f[0-9a-f]+-4000000 2, fffc0000-100000000 2$/,
    );
    const expected = await inQemu(theirs);
    if (expected === undefined) return;
    assertEquals(withoutTables(output), withoutTables(expected));
    // What was written with INT 13h is on the disk.
    assertEquals(await Deno.readFile(ours), await Deno.readFile(theirs));
  },
);
