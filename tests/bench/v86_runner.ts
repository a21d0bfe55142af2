/**
 * Runs a multiboot kernel in v86 and copies its first serial port to standard
 * output, for comparison. Ends at a line that starts with `END`.
 *
 *   deno run -A v86_runner.ts KERNEL
 *
 * @module
 */

// deno-lint-ignore no-import-prefix -- a yardstick, not a dependency
import { V86 } from "npm:v86@0.5.462";

const kernel = await Deno.readFile(Deno.args[0]);
const machine = new V86(
  {
    wasm_path: new URL(import.meta.resolve("npm:v86@0.5.462/build/v86.wasm"))
      .pathname,
    memory_size: 64 << 20,
    vga_memory_size: 2 << 20,
    disable_keyboard: true,
    disable_mouse: true,
    autostart: true,
    multiboot: { buffer: kernel.buffer },
  } as ConstructorParameters<typeof V86>[0],
);

let line = "";
machine.add_listener("serial0-output-byte", (byte: number) => {
  const c = String.fromCharCode(byte);
  line += c;
  if (c !== "\n") return;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
  if (line.startsWith("END")) Deno.exit(0);
  line = "";
});
