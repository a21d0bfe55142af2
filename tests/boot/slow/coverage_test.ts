/**
 * The example that reports a guest's coverage, with a distribution's kernel:
 * Debian's has no symbols, and says itself what it has.
 */

import { assert, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { boot, isapc, withScript } from "../guest.ts";

const EXAMPLE = fromFileUrl(
  new URL("../../../examples/coverage.ts", import.meta.url),
);
const APPEND = "console=ttyS0 nokaslr";

async function run(
  command: string,
  args: string[],
  cwd: string,
): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    assert(success, `${command}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

boot(
  "coverage: genhtml has a report of Debian's kernel as it boots",
  async ({ kernel }) => {
    const folder = await Deno.makeTempDir();
    try {
      const symbols = `${folder}/kallsyms`;
      const script = `mknod /dev/ttyS1 c 4 65
stty -F /dev/ttyS1 -opost
cat /proc/kallsyms > /dev/ttyS1
poweroff -f
`;
      await withScript(script, async (initrd) => {
        await using machine = await isapc({
          kernel,
          initrd,
          append: APPEND,
          serial: ["memory", `file:${symbols}`],
        });
        await machine.run();
      });
      await withScript("poweroff -f\n", async (initrd) => {
        const said = await run(Deno.execPath(), [
          ...["run", "-A", EXAMPLE, "--initrd", initrd, "--append", APPEND],
          ...["--memory", "256M", "--symbols", symbols, kernel, "linux.info"],
        ], folder);
        assertStringIncludes(said!, "reboot: System halted");
        assertMatch(said!, /The guest ended \(halt\)/);
      });
      const info = await Deno.readTextFile(`${folder}/linux.info`);
      const called = (name: string): number =>
        Number(new RegExp(`^FNDA:(\\d+),${name}$`, "m").exec(info)?.[1]);
      for (const name of ["start_kernel", "rest_init", "kernel_init"]) {
        assert(called(name) === 1, `${name} ${called(name)}`);
      }
      assert(called("schedule") > 100);
      assert(called("panic") === 0);
      const said = await run("genhtml", ["-o", "html", "linux.info"], folder);
      if (said === undefined) return console.log("lcov is not installed");
      const [, executed, all] = /\((\d+) of (\d+) functions\)/.exec(said)!;
      assert(Number(executed) > 4000 && Number(all) > 30_000, said);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
