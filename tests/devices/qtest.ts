/**
 * QEMU without a guest: its CPU halts at once, and this process does what a
 * driver would, by QEMU's qtest protocol.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { withFolder } from "../block/oracle.ts";
import { QEMU } from "../qemu.ts";

const HLT = 0xf4;

/** Why there is no QEMU to compare with; undefined where there is one. */
export const noQemu = await (async (): Promise<string | undefined> => {
  try {
    await new Deno.Command(QEMU, { args: ["--version"] }).output();
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `there is no ${QEMU}`;
    throw error;
  }
})();

/** A test with QEMU beside it; skipped with the reason where there is none. */
export function qemuTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: name + (noQemu === undefined ? "" : ` (skipped: ${noQemu})`),
    ignore: noQemu !== undefined,
    fn,
  });
}

/** A card beside its like; `end` gives back all frames on the wire. */
interface Comparable {
  end(): Promise<Uint8Array[]>;
}

/**
 * QEMU's card does this, then Rhea's; what is seen in them must be alike, and
 * so must be what was on the wire, which is given back.
 */
export async function onBoth<C extends Comparable>(
  qemu: (folder: string) => Promise<C>,
  rhea: () => Promise<C>,
  run: (card: C) => Promise<unknown>,
): Promise<Uint8Array[]> {
  let wire: Uint8Array[] = [];
  await withFolder(async (folder) => {
    const theirs = await qemu(folder);
    let expected;
    try {
      expected = await run(theirs);
    } finally {
      wire = await theirs.end();
    }
    const ours = await rhea();
    assertEquals(await run(ours), expected);
    assertEquals(await ours.end(), wire);
  });
  return wire;
}

/** A PC of QEMU's, by its buses. */
export class Qtest {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #encoder = new TextEncoder();
  #text = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#output = child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** Start one with these devices; `folder` is for what it needs. */
  static async start(
    folder: string,
    devices: readonly string[],
  ): Promise<Qtest> {
    const bios = join(folder, "bios.bin");
    await Deno.writeFile(bios, new Uint8Array(65536).fill(HLT));
    const child = new Deno.Command(QEMU, {
      args: [
        ...["-M", "pc", "-m", "4", "-accel", "tcg", "-nodefaults"],
        ...["-bios", bios],
        ...["-display", "none", "-qtest", "stdio", "-qtest-log", "none"],
        ...devices,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    return new Qtest(child);
  }

  async #line(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#output.read();
      if (done) throw new Error("QEMU has ended");
      this.#text += value;
    }
    const end = this.#text.indexOf("\n");
    const first = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return first;
  }

  /** Give a command; gives back what is behind `OK`. */
  async ask(command: string): Promise<string> {
    await this.#input.write(this.#encoder.encode(`${command}\n`));
    const answer = await this.#line();
    assert(answer.startsWith("OK"), `${command}: ${answer}`);
    return answer.slice(3);
  }

  /** Write a double word of the configuration of the function in a slot. */
  async config(slot: number, register: number, value: number): Promise<void> {
    await this.ask(`outl 0xcf8 ${0x80000000 + slot * 0x800 + register}`);
    await this.ask(`outl 0xcfc ${value}`);
  }

  /** Write guest memory. */
  async store(at: number, bytes: Uint8Array): Promise<void> {
    await this.ask(`write ${at} ${bytes.length} 0x${bytes.toHex()}`);
  }

  /** Read guest memory. */
  async load(at: number, length: number): Promise<Uint8Array> {
    return Uint8Array.fromHex(
      (await this.ask(`read ${at} ${length}`)).slice(2),
    );
  }

  /** End it. */
  async end(): Promise<void> {
    await this.#input.close();
    this.#child.kill("SIGTERM");
    await this.#output.cancel();
    await this.#child.status;
  }
}
