/**
 * What the boots share: the guest that `task start` boots too, a shell in it
 * that a test types to, and initial RAM disks with a script instead.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import {
  characterDevice,
  type CpioEntry,
  directory,
  file,
  gzip,
  writeCpio,
} from "../../core/cli/cpio.ts";
import {
  ensureGuest,
  type GuestArchitecture,
  GuestError,
  type GuestFiles,
} from "../../core/cli/guest.ts";
import { Machine, type MachineOptions, type SerialPort } from "../../mod.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const ISAPC = join(ROOT, "machines/isapc.json");

/**
 * How long a test waits before it calls a guest dead. It is no measure of
 * speed: the host may do anything else at the same time.
 */
export const PATIENCE = { timeout: 900_000 };

/** The prompt of the shell in `/root`. */
const PROMPT = /\/root # /;

/** A test that needs a guest; skipped with the reason where there is none. */
type Boot = (name: string, test: (guest: GuestFiles) => Promise<void>) => void;

/** Where an architecture's guest is kept. */
function cacheOf(architecture: GuestArchitecture): string {
  return join(ROOT, `.cache/guest-${architecture}`);
}

/** An architecture's guest, fetched if need be; the reason where it fails. */
export async function guestOf(
  architecture: GuestArchitecture,
): Promise<GuestFiles | string> {
  try {
    return await ensureGuest(architecture, cacheOf(architecture));
  } catch (error) {
    if (error instanceof GuestError) return error.message;
    throw error;
  }
}

/** What makes tests that need an architecture's guest. */
export async function bootsOf(architecture: GuestArchitecture): Promise<Boot> {
  const guest = await guestOf(architecture);
  return (name, test) =>
    typeof guest === "string"
      ? Deno.test({
        name: `${name} (skipped: ${guest})`,
        ignore: true,
        fn() {},
      })
      : Deno.test({ name, fn: () => test(guest) });
}

/** A test that needs the i386 guest. */
export const boot: Boot = await bootsOf("i386");

/** The ISA PC with a kernel that talks on its first serial port. */
export async function isapc(options: MachineOptions): Promise<Machine> {
  return await Machine.load(ISAPC, {
    append: "console=ttyS0",
    memory: "256M",
    ...options,
  });
}

/**
 * Route INTA# of a slot whose pin is PIRQD's (4, 8, ...) to this interrupt, of
 * 8 to 15, as firmware does.
 */
export function routePin(machine: Machine, slot: number, irq: number): void {
  const ports = machine.space("ports");
  const write = (slot: number, register: number, value: number): void => {
    ports.write(0xcf8, 4, 0x80000000 + slot * 0x800 + (register & ~3));
    ports.write(0xcfc + (register & 3), 1, value);
  };
  write(1, 0x63, irq);
  write(slot, 0x3c, irq);
  // Level triggered.
  ports.write(0x4d1, 1, 1 << irq - 8);
}

/** What a command gave. */
export interface Answer {
  /** Its exit status. */
  readonly status: number;
  /** What it printed, with line feeds alone. */
  readonly output: string;
}

/** The shell on the first serial port. */
export class Shell {
  readonly #serial: SerialPort;

  private constructor(serial: SerialPort) {
    this.#serial = serial;
  }

  /** Wait for the prompt of a guest that boots. */
  static async of(machine: Machine): Promise<Shell> {
    const serial = machine.serial(0);
    await serial.expect(PROMPT, PATIENCE);
    const shell = new Shell(serial);
    // From here on the kernel's messages stay out of the answers.
    await shell.run("dmesg -n 1");
    return shell;
  }

  /**
   * Log in on a disk's Debian (`debian.ts`), from before its `login:` on; ends
   * when systemd has started all that it starts.
   */
  static async login(machine: Machine): Promise<Shell> {
    const serial = machine.serial(0);
    // systemd may still write there: a prompt need not be the last.
    await serial.expect("rhea login: ", PATIENCE);
    await serial.write("root\n");
    await serial.expect("Password:", PATIENCE);
    await serial.write("rhea\n");
    await serial.expect("root@rhea:~# ", PATIENCE);
    const shell = new Shell(serial);
    // The echo is the terminal's, without an editor's line breaks.
    await shell.run("set +o emacs; systemctl is-system-running --wait");
    await shell.run("dmesg -n 1");
    return shell;
  }

  /** Type a command and wait for what it prints and its status. */
  async run(command: string): Promise<Answer> {
    // The echo of what is typed has the quotes, its output has not.
    await this.#serial.write(
      `echo "be""gin"; ${command}; echo "en""d $?"\n`,
    );
    await this.#serial.expect(/begin\r\n/, PATIENCE);
    const text = await this.#serial.expect(/end \d+\r\n/, PATIENCE);
    const [, output, status] = /^(.*)end (\d+)\r\n$/s.exec(text)!;
    return { status: Number(status), output: output.replaceAll("\r\n", "\n") };
  }

  /** Type a command that does not come back. */
  async type(command: string): Promise<void> {
    await this.#serial.write(`${command}\n`);
  }
}

/**
 * Use an initial RAM disk (a temporary file) whose `init` is this script of a
 * shell that finds busybox's commands; `more` comes behind what is always
 * there. The shell is an architecture's.
 */
export async function withScript<T>(
  script: string,
  use: (initrd: string) => Promise<T>,
  more: readonly CpioEntry[] = [],
  architecture: GuestArchitecture = "i386",
): Promise<T> {
  const busybox = join(cacheOf(architecture), "busybox");
  const init = `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc none /proc
${script}
`;
  const archive = writeCpio([
    directory("bin"),
    directory("dev"),
    directory("proc"),
    directory("root", 0o700),
    characterDevice("dev/console", 5, 1),
    characterDevice("dev/null", 1, 3, 0o666),
    file("bin/busybox", await Deno.readFile(busybox), 0o755),
    file("init", init, 0o755),
    ...more,
  ]);
  const path = await Deno.makeTempFile({ suffix: ".gz" });
  try {
    await Deno.writeFile(path, await gzip(archive));
    return await use(path);
  } finally {
    await Deno.remove(path);
  }
}
