import { assert } from "@std/assert";
import { LoadError } from "../../core/machine/plugin.ts";
import { Prng } from "../differential/prng.ts";
import { multiboot, run } from "./guest.ts";

/** HLT in a loop. */
const IDLE = Uint8Array.of(0xf4, 0xeb, 0xfd);

/** Loads and runs a damaged kernel: it may be refused with a typed error, or run and fail as a guest. */
async function survive(
  kernel: Uint8Array,
  what: string,
): Promise<"refused" | "ran"> {
  try {
    await run(kernel, { accel: "jit", milliseconds: 40 });
    return "ran";
  } catch (e) {
    if (!(e instanceof LoadError)) throw new Error(what, { cause: e });
    assert(e.message.length > 10 && !e.message.endsWith("."), e.message);
    return "refused";
  }
}

/** A small ELF kernel with a multiboot header behind its program header. */
function elf(): Uint8Array {
  const out = new Uint8Array(0x80);
  const v = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  v.setUint16(16, 2, true); // ET_EXEC
  v.setUint16(18, 3, true); // EM_386
  v.setUint32(20, 1, true);
  v.setUint32(24, 0x100060, true); // entry
  v.setUint32(28, 52, true); // program headers
  v.setUint16(40, 52, true);
  v.setUint16(42, 32, true);
  v.setUint16(44, 1, true);
  const load = [1, 0, 0x100000, 0x100000, 0x80, 0x1000, 7, 0x1000];
  load.forEach((x, i) => v.setUint32(52 + 4 * i, x, true));
  [0x1badb002, 0, -0x1badb002].forEach((x, i) =>
    v.setUint32(0x54 + 4 * i, x >>> 0, true)
  );
  out.set(IDLE, 0x60);
  return out;
}

/** Enough of a bzImage for the loader: boot sector, setup, and protected-mode code. */
function bzImage(): Uint8Array {
  const setup = 1;
  const out = new Uint8Array(512 * (setup + 1) + 1024);
  const v = new DataView(out.buffer);
  out[0x1f1] = setup;
  v.setUint32(0x1f4, 64, true); // syssize, in paragraphs
  v.setUint16(0x1fe, 0xaa55, true);
  out.set(new TextEncoder().encode("HdrS"), 0x202);
  v.setUint16(0x206, 0x20a, true);
  out[0x211] = 1; // loaded high
  v.setUint32(0x214, 0x100000, true);
  v.setUint32(0x22c, 0x37ffffff, true); // initrd_addr_max
  v.setUint32(0x230, 0x1000, true);
  v.setUint32(0x238, 255, true); // cmdline_size
  v.setUint32(0x260, 0x10000, true); // init_size
  out.set(IDLE, 512 * (setup + 1));
  return out;
}

const KERNELS: Record<string, Uint8Array> = {
  "multiboot, by address": multiboot(IDLE),
  "multiboot ELF": elf(),
  bzImage: bzImage(),
};

for (const [name, kernel] of Object.entries(KERNELS)) {
  Deno.test(`faults: ${name} as it is runs`, async () => {
    const { result } = await run(kernel, { accel: "jit", milliseconds: 300 });
    assert(result.reason === "halt" || result.reason === "stop", result.reason);
  });

  Deno.test(`faults: ${name}, truncated at each length of interest`, async () => {
    let refused = 0;
    const lengths = new Set([
      0,
      1,
      2,
      3,
      4,
      8,
      16,
      31,
      32,
      33,
      51,
      52,
      83,
      84,
      95,
    ]);
    for (let n = 0; n <= kernel.length; n += Math.max(1, kernel.length >> 4)) {
      lengths.add(n);
    }
    for (const n of lengths) {
      if (n > kernel.length) continue;
      const what = `${name}, ${n} of ${kernel.length} bytes`;
      if (await survive(kernel.slice(0, n), what) === "refused") refused++;
    }
    assert(refused > 0, "nothing was refused");
  });

  Deno.test(`faults: ${name} with damaged fields`, async () => {
    const p = new Prng(7);
    const header = name === "bzImage" ? [0x1f1, 0x268] : [0, 0x60];
    for (let i = 0; i < 60; i++) {
      const bad = kernel.slice();
      const damage = 1 + p.below(3);
      for (let k = 0; k < damage; k++) {
        const at = header[0] + p.below(header[1] - header[0]) & ~3;
        const value = p.pick([
          0,
          0xffffffff,
          0x7fffffff,
          0x80000000,
          1,
          0xfffff000,
          p.u32(),
        ]);
        new DataView(bad.buffer).setUint32(
          Math.min(at, bad.length - 4),
          value,
          true,
        );
      }
      await survive(bad, `${name}, damage ${i}`);
    }
  });
}

Deno.test("faults: files that are no kernels are refused by name", async () => {
  const p = new Prng(3);
  for (const size of [0, 10, 1000, 20000]) {
    const noise = Uint8Array.from({ length: size }, () => p.below(256));
    assert(await survive(noise, `${size} bytes of noise`) === "refused");
  }
});
