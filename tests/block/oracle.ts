/**
 * QEMU's tools as the oracle of image formats.
 *
 * @module
 */

/** Run a program; gives back its status and output. */
export async function run(
  program: string,
  ...args: string[]
): Promise<{ code: number; out: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout) + text.decode(stderr) };
}

/** Whether QEMU's tools are there. */
export const hasTools: boolean = await (async () => {
  try {
    const [img, io] = await Promise.all([
      run("qemu-img", "--version"),
      run("qemu-io", "--version"),
    ]);
    return img.code === 0 && io.code === 0;
  } catch {
    return false;
  }
})();

/** A test that needs QEMU's tools: its name says when they are absent. */
export function oracleTest(name: string, test: () => Promise<void>): void {
  Deno.test({
    name: hasTools ? name : `${name} (skipped: no qemu-img and qemu-io)`,
    ignore: !hasTools,
    fn: test,
  });
}

/** `qemu-img`, which must succeed; gives back its output. */
export async function qemuImg(...args: string[]): Promise<string> {
  const { code, out } = await run("qemu-img", ...args);
  if (code !== 0) throw new Error(`qemu-img ${args.join(" ")}: ${out}`);
  return out;
}

/** Commands to `qemu-io` on an image, which must succeed. */
export async function qemuIo(
  image: string,
  ...commands: string[]
): Promise<string> {
  const { code, out } = await run(
    "qemu-io",
    ...commands.flatMap((command) => ["-c", command]),
    image,
  );
  if (code !== 0) throw new Error(`qemu-io ${commands.join("; ")}: ${out}`);
  return out;
}

/** What `qemu-img check` finds: leaks are no errors. */
export async function checkImage(
  image: string,
): Promise<{ clean: boolean; errors: boolean; out: string }> {
  const { code, out } = await run("qemu-img", "check", "-f", "qcow2", image);
  return { clean: code === 0, errors: code !== 0 && code !== 3, out };
}

/** What an image reads as, by QEMU. */
export async function contents(image: string): Promise<Uint8Array> {
  const raw = `${image}.raw`;
  await qemuImg("convert", "-f", "qcow2", "-O", "raw", image, raw);
  const bytes = await Deno.readFile(raw);
  await Deno.remove(raw);
  return bytes;
}

/** Run with a folder that goes afterwards. */
export async function withFolder(
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "rhea-block-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
