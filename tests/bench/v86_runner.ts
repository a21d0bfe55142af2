/**
 * Runs a guest in v86, for comparison: a multiboot kernel or, given a RAM disk
 * and a command line, Linux. The first serial port is standard input and
 * output. Runs until it is ended from outside.
 *
 *   deno run -A v86_runner.ts MEGABYTES KERNEL [INITRD APPEND]
 *
 * @module
 */

// deno-lint-ignore no-import-prefix -- a yardstick, not a dependency
import { V86 } from "npm:v86@0.5.462";

const SEABIOS = "/usr/share/seabios";

async function image(path: string): Promise<{ buffer: ArrayBuffer }> {
  return { buffer: (await Deno.readFile(path)).buffer };
}

const [megabytes, kernel, initrd, cmdline] = Deno.args;
const guest = initrd === undefined ? { multiboot: await image(kernel) } : {
  bios: await image(`${SEABIOS}/bios.bin`),
  vga_bios: await image(`${SEABIOS}/vgabios-stdvga.bin`),
  bzimage: await image(kernel),
  initrd: await image(initrd),
  cmdline,
};
const machine = new V86(
  {
    wasm_path: new URL(import.meta.resolve("npm:v86@0.5.462/build/v86.wasm"))
      .pathname,
    memory_size: Number(megabytes) << 20,
    vga_memory_size: 2 << 20,
    disable_keyboard: true,
    disable_mouse: true,
    autostart: true,
    ...guest,
  } as ConstructorParameters<typeof V86>[0],
);

machine.add_listener("serial0-output-byte", (byte: number) => {
  Deno.stdout.writeSync(Uint8Array.of(byte));
});

const decoder = new TextDecoder();
for await (const chunk of Deno.stdin.readable) {
  machine.serial0_send(decoder.decode(chunk, { stream: true }));
}
