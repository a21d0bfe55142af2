/**
 * Runs floating-point instructions on the host CPU: builds
 * `x87_oracle.c` with gcc and feeds it 64-byte requests over a pipe.
 * @module
 */

/** Bytes of one request and of one answer. */
export const RECORD = 64;

const SOURCE = new URL("./x87_oracle.c", import.meta.url);

/** The built oracle: instruction numbers by name, and a way to run a batch. */
export class X87Oracle {
  private constructor(
    /** Instruction number by the name in `x87_oracle.c`. */
    readonly ops: Map<string, number>,
    private readonly binary: string,
    private readonly folder: string,
  ) {}

  /** Builds the oracle, or says in one line why it cannot be had here. */
  static async build(): Promise<X87Oracle | string> {
    if (Deno.build.arch !== "x86_64" || Deno.build.os !== "linux") {
      return "the host is not x86-64 Linux";
    }
    for (const name of ["run", "write"] as const) {
      const { state } = await Deno.permissions.query({ name });
      if (state !== "granted") return `no --allow-${name} permission`;
    }
    const folder = await Deno.makeTempDir({ prefix: "rhea_x87_" });
    const binary = `${folder}/oracle`;
    const source = await Deno.readTextFile(SOURCE);
    try {
      const gcc = await new Deno.Command("gcc", {
        args: ["-O1", "-m64", "-o", binary, SOURCE.pathname],
      }).output();
      if (!gcc.success) {
        const text = new TextDecoder().decode(gcc.stderr);
        throw new Error(`gcc failed on x87_oracle.c:\n${text}`);
      }
    } catch (error) {
      await Deno.remove(folder, { recursive: true });
      if (error instanceof Deno.errors.NotFound) return "gcc is not installed";
      throw error;
    }
    const ops = new Map<string, number>();
    for (const m of source.matchAll(/^ +(?:X87|SSE)\((\d+), (\w+),/gm)) {
      ops.set(m[2], Number(m[1]));
    }
    return new X87Oracle(ops, binary, folder);
  }

  /** Executes a batch of requests and gives back as many answers. */
  async run(requests: Uint8Array): Promise<Uint8Array> {
    const child = new Deno.Command(this.binary, {
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const writer = child.stdin.getWriter();
    const [, { stdout, code }] = await Promise.all([
      writer.write(requests).then(() => writer.close()),
      child.output(),
    ]);
    if (code !== 0 || stdout.length !== requests.length) {
      throw new Error(`The x87 oracle stopped with status ${code}`);
    }
    return stdout;
  }

  /** Removes the binary. */
  dispose(): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}
