/**
 * Boots Linux in v86 and copies its first serial port to standard output, for
 * comparison. Runs until it is ended from outside.
 *
 *   deno run -A v86_linux.ts KERNEL INITRD APPEND
 *
 * @module
 */

// deno-lint-ignore no-import-prefix -- a yardstick, not a dependency
import { V86 } from "npm:v86@0.5.462";

const SEABIOS = "/usr/share/seabios";

async function image(path: string): Promise<{ buffer: ArrayBuffer }> {
  return { buffer: (await Deno.readFile(path)).buffer };
}

const [kernel, initrd, cmdline] = Deno.args;
const machine = new V86(
  {
    wasm_path: new URL(import.meta.resolve("npm:v86@0.5.462/build/v86.wasm"))
      .pathname,
    memory_size: 256 << 20,
    vga_memory_size: 2 << 20,
    disable_keyboard: true,
    disable_mouse: true,
    autostart: true,
    bios: await image(`${SEABIOS}/bios.bin`),
    vga_bios: await image(`${SEABIOS}/vgabios-stdvga.bin`),
    bzimage: await image(kernel),
    initrd: await image(initrd),
    cmdline,
  } as ConstructorParameters<typeof V86>[0],
);

machine.add_listener("serial0-output-byte", (byte: number) => {
  Deno.stdout.writeSync(Uint8Array.of(byte));
});
