/**
 * Boots of Debian's i386 kernel: to a shell that answers, to the installer's
 * first screen, to a proper end; with both executors, and twice alike with
 * the instruction count as time.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import {
  characterDevice,
  directory,
  file,
  gzip,
  writeCpio,
} from "../../core/cli/cpio.ts";
import {
  ensureGuest,
  GuestError,
  type GuestFiles,
} from "../../core/cli/guest.ts";
import { Machine, type MachineOptions, type SerialPort } from "../../mod.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const CACHE = join(ROOT, ".cache/guest-i386");
const ISAPC = join(ROOT, "machines/isapc.json");
const PROMPT = /# $/;
/** For a machine that does other things at the same time. */
const PATIENCE = { timeout: 300_000 };

let guest: GuestFiles | undefined;
let reason = "";
try {
  guest = await ensureGuest(CACHE);
} catch (error) {
  if (!(error instanceof GuestError)) throw error;
  reason = error.message;
}

/** A test that needs the guest; skipped with the reason where it is not. */
function boot(name: string, test: (guest: GuestFiles) => Promise<void>): void {
  Deno.test({
    name: guest === undefined ? `${name} (skipped: ${reason})` : name,
    ignore: guest === undefined,
    fn: () => test(guest!),
  });
}

async function startLinux(options: MachineOptions): Promise<Machine> {
  return await Machine.load(ISAPC, {
    append: "console=ttyS0",
    ...options,
  });
}

/** Type a command and give back what it prints. */
async function shell(serial: SerialPort, command: string): Promise<string> {
  await serial.write(`${command}\n`);
  await serial.expect("\n", PATIENCE);
  const text = await serial.expect(PROMPT, PATIENCE);
  return text.slice(0, text.lastIndexOf("\n") + 1).replaceAll("\r", "");
}

/** An initial RAM disk whose only program is this script. */
async function scriptDisk(script: string): Promise<string> {
  const busybox = await Deno.readFile(join(CACHE, "busybox"));
  const archive = writeCpio([
    directory("bin"),
    directory("dev"),
    directory("root"),
    characterDevice("dev/console", 5, 1),
    file("bin/busybox", busybox, 0o755),
    file("init", `#!/bin/busybox sh\n${script}\n`, 0o755),
  ]);
  const path = await Deno.makeTempFile({ suffix: ".gz" });
  await Deno.writeFile(path, await gzip(archive));
  return path;
}

/** Errors and warnings of a kernel without PCI and ACPI, which is right. */
const EXPECTED = [
  /A valid RSDP was not found/,
  /PCI: Fatal: No config space access function found/,
  /PnPBIOS: /,
  /PMU not available due to virtualization/,
];

for (const accel of ["jit", "interp"] as const) {
  boot(`Linux to a shell, ${accel}`, async ({ kernel, initramfs }) => {
    const machine = await startLinux({ kernel, initrd: initramfs, accel });
    try {
      const serial = machine.serial(0);
      await serial.expect(PROMPT, PATIENCE);
      assertEquals(await shell(serial, "echo $((6 * 7))"), "42\n");
      assertEquals(await shell(serial, "uname -m"), "i686\n");
      assertMatch(await shell(serial, "cat /proc/cpuinfo"), /model name/);
      // Real time: a second of the guest's is a second.
      const before = performance.now();
      await shell(serial, "sleep 2");
      const slept = performance.now() - before;
      assert(slept > 1500 && slept < 6000, `sleep 2 took ${slept} ms`);
      const log = await shell(serial, "dmesg -r");
      const loud = log.split("\n").filter((line) =>
        /^<[0-4]>/.test(line) && !EXPECTED.some((e) => e.test(line))
      );
      assertEquals(
        loud.filter((line) => /warn|error|bug|fail/i.test(line)),
        [],
      );
      assertEquals(/WARNING:|BUG:|Oops|unstable/i.test(log), false);
      await serial.write("poweroff -f\n");
      assertEquals((await machine.wait()).reason, "halt");
      assertMatch(serial.output, /System halted|Power down/);
    } finally {
      await machine.stop();
    }
  });

  boot(`a reset boots again, ${accel}`, async ({ kernel }) => {
    const initrd = await scriptDisk("echo up; /bin/busybox reboot -f");
    const options = { kernel, initrd, accel, append: "console=ttyS0 quiet" };
    const machine = await startLinux(options);
    try {
      for (let i = 0; i < 2; i++) {
        await machine.serial(0).expect(/up\r\n/, PATIENCE);
      }
    } finally {
      await machine.stop();
      await Deno.remove(initrd);
    }
  });

  boot(`the installer's first screen, ${accel}`, async (files) => {
    const machine = await startLinux({
      kernel: files.kernel,
      initrd: files.installer,
      memory: "512M",
      append: "console=ttyS0 fb=false",
      accel,
    });
    try {
      await machine.serial(0).expect(/Select a language/, PATIENCE);
    } finally {
      await machine.stop();
    }
  });
}

boot("reboot -f ends with --no-reboot", async ({ kernel }) => {
  const initrd = await scriptDisk("/bin/busybox reboot -f");
  const append = "console=ttyS0 quiet";
  const machine = await startLinux({ kernel, initrd, append, noReboot: true });
  try {
    assertEquals(await machine.run(), { reason: "reset", status: 0 });
  } finally {
    await machine.stop();
    await Deno.remove(initrd);
  }
});

boot("two runs with the instruction count are the same", async ({ kernel }) => {
  const initrd = await scriptDisk("echo up; /bin/busybox poweroff -f");
  const run = async (): Promise<[number, number, string]> => {
    const machine = await startLinux({ kernel, initrd, icount: true });
    try {
      await machine.run();
      return [
        machine.cpu.instructions,
        machine.clock.now(),
        machine.serial(0).output,
      ];
    } finally {
      await machine.stop();
    }
  };
  try {
    assertEquals(await run(), await run());
  } finally {
    await Deno.remove(initrd);
  }
});

/** CPU time of this process so far, in milliseconds. */
function cpuTime(): number {
  let time = 0;
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    const text = Deno.readTextFileSync(`/proc/self/task/${name}/schedstat`);
    time += Number(text.split(" ")[0]) / 1e6;
  }
  return time;
}

boot("an idle guest takes next to nothing", async ({ kernel, initramfs }) => {
  const machine = await startLinux({ kernel, initrd: initramfs });
  try {
    await machine.serial(0).expect(PROMPT, PATIENCE);
    // Until the tick's code has been compiled.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const before = cpuTime();
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const share = (cpuTime() - before) / 50;
    console.log(`an idle guest takes ${share.toFixed(1)} % of a core`);
    // 250 ticks a second on a machine that may be busy: QEMU takes 5 % there.
    assert(share < 8, `${share} %`);
  } finally {
    await machine.stop();
  }
});
