/**
 * Soak test: a guest that keeps generating code and running it, to see whether
 * memory stays flat. Not part of `task test`:
 *
 *     deno run -A tests/soak/codegen.ts --minutes 10
 *
 * Prints the resident set every ten seconds. Exits with status 1 if it was, in
 * the last third, more than 10 % above what it was after warming up, or if the
 * guest found a wrong result.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Machine } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";

const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;
const INTERVAL_MS = 10_000;
/** The run's share that is warming up: the arena fills, V8 sizes its heap. */
const WARM_FROM = 1 / 6, WARM_TO = 1 / 3;
/** How far above the warm one the last third may be. */
const TOLERANCE = 1.1;
const MIB = 1024 * 1024;

/**
 * Functions of one loop, each with constants and a rotation of its own, at
 * pseudo-random places in a megabyte: they overwrite each other. Most run a few
 * times, one in 64 often enough to be compiled. The guest computes each result
 * a second time with fixed code.
 */
const GUEST = `
  mov esp, 0x90000
  xor ebp, ebp
  mov esi, 12345
next:
  imul esi, esi, 1664525
  add esi, 1013904223
  mov edi, esi
  shr edi, 18
  shl edi, 6
  add edi, 0x400000
  mov edx, 3
  test ebp, 63
  jnz cold
  mov edx, 4000
cold:
  mov ebx, esi
  shr ebx, 5
  and ebx, 31
  mov byte [edi], 0xb8          ; mov eax, esi's value
  mov [edi + 1], esi
  mov byte [edi + 5], 0xb9      ; mov ecx, edx's value
  mov [edi + 6], edx
  mov byte [edi + 10], 0x05     ; add eax, ebp's value
  mov [edi + 11], ebp
  mov word [edi + 15], 0xc0c1   ; rol eax, bl's value
  mov [edi + 17], bl
  mov byte [edi + 18], 0x49     ; dec ecx
  mov word [edi + 19], 0xf575   ; jnz to the add
  mov byte [edi + 21], 0xc3     ; ret
  call edi
  push eax
  mov eax, esi
  mov ecx, ebx
again:
  add eax, ebp
  rol eax, cl
  dec edx
  jnz again
  pop ecx
  cmp eax, ecx
  jne wrong
  inc ebp
  jmp next
wrong:
  mov al, 1
  out 0xf4, al
  hlt
`;

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Runs the guest for `minutes`: the exit status. */
async function soak(
  minutes: number,
  accel: "jit" | "interp",
): Promise<number> {
  const payload = await assemble(GUEST);
  if (payload === undefined) {
    console.error("nasm is needed to assemble the guest");
    return 2;
  }
  const kernel = await Deno.makeTempFile({ suffix: ".elf" });
  await Deno.writeFile(kernel, multiboot(payload));
  const machine = await Machine.load(ISAPC, {
    kernel,
    memory: "16M",
    accel,
    noReboot: true,
  });
  const total = minutes * 60_000;
  const start = performance.now();
  const samples: { at: number; rss: number }[] = [];
  const look = (): void => {
    const at = performance.now() - start;
    const { rss, heapUsed } = Deno.memoryUsage();
    samples.push({ at, rss });
    const s = machine.stats();
    const n = (name: string): string => String(s[name] ?? 0);
    console.log(
      `${(at / 1000).toFixed(0).padStart(5)} s  ` +
        `RSS ${(rss / MIB).toFixed(1)} MiB  ` +
        `heap ${(heapUsed / MIB).toFixed(1)} MiB  ` +
        `instructions ${n("instructions")}  ` +
        `blocks ${n("blocksTranslated")}  regions ${n("regions")}  ` +
        `invalidated ${n("blocksInvalidated")}  flushes ${n("arenaFlushes")}`,
    );
  };
  const timer = setInterval(look, INTERVAL_MS);
  const ended = machine.run();
  const timeout = new Promise<undefined>((done) =>
    setTimeout(() => done(undefined), total)
  );
  const early = await Promise.race([ended, timeout]);
  clearInterval(timer);
  look();
  await machine.stop();
  await ended;
  await Deno.remove(kernel);
  if (early !== undefined) {
    console.error(`the guest ended: ${early.reason}, status ${early.status}`);
    return 1;
  }
  const between = (from: number, to: number): number[] =>
    samples.filter((s) => s.at >= from * total && s.at <= to * total + 1000)
      .map((s) => s.rss / MIB);
  const warm = mean(between(WARM_FROM, WARM_TO));
  const last = mean(between(2 / 3, 1));
  const ratio = last / warm;
  console.log(
    `warm ${warm.toFixed(1)} MiB, last third ${last.toFixed(1)} MiB: ` +
      `${((ratio - 1) * 100).toFixed(1)} %`,
  );
  return ratio <= TOLERANCE ? 0 : 1;
}

if (import.meta.main) {
  const options = parseArgs(Deno.args, {
    string: ["minutes", "accel"],
    default: { minutes: "10", accel: "jit" },
  });
  const minutes = Number(options.minutes);
  // Less does not leave a sample in each part.
  if (!(minutes >= 1)) throw new RangeError("--minutes: at least 1");
  const { accel } = options;
  if (accel !== "jit" && accel !== "interp") {
    throw new RangeError("--accel: jit or interp");
  }
  Deno.exit(await soak(minutes, accel));
}
