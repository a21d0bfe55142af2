/** What a backend at which a human sits can do to its machine. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { MemoryDisplay } from "../../core/backend/memory_display.ts";
import type {
  ConsoleContext,
  DisplayPlugin,
} from "../../core/machine/plugin.ts";
import { within } from "../limit.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { Machine, type MachineOptions } from "../../mod.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** A machine with a display that hands over what it was given. */
async function machineOf(
  file: string,
  options: MachineOptions = {},
): Promise<{ machine: Machine; context: ConsoleContext }> {
  let context: ConsoleContext | undefined;
  const probe: DisplayPlugin = {
    type: "display",
    name: "probe",
    version: "1.0.0",
    create(_config, given) {
      context = given;
      return new MemoryDisplay();
    },
  };
  const machine = await Machine.load(join(ROOT, "machines", file), {
    firmware: "builtin",
    ...options,
    plugins: {
      ...PLUGINS,
      display: {
        ...PLUGINS.display,
        probe: () => Promise.resolve({ default: probe }),
      },
    },
    display: "probe",
  });
  return { machine, context: context! };
}

Deno.test("control: reset", async () => {
  const { machine, context } = await machineOf("isapc.json", {
    noReboot: true,
  });
  machine.start();
  context.control.reset();
  const { reason } = await within("the reset", machine.wait());
  assertEquals(reason, "reset");
  await machine.stop();
});

Deno.test("control: a power button asks the guest", async () => {
  const { machine, context } = await machineOf("pc.json");
  const status = (): number => {
    const { registers } = machine.device("pm").save();
    if (!(registers instanceof Uint8Array)) throw new Error("no registers");
    return registers[1] & 1;
  };
  assertEquals(status(), 0);
  context.control.pressPowerButton();
  // PWRBTN_STS in PMSTS, which a guest that knows ACPI answers.
  assertEquals(status(), 1);
  await machine.stop();
});

Deno.test("control: without a power button the run ends", async () => {
  const { machine, context } = await machineOf("isapc.json");
  machine.start();
  context.control.pressPowerButton();
  const { reason } = await within("the end of the run", machine.wait());
  assertEquals(reason, "quit");
  await machine.stop();
});

Deno.test("control: what backends share is one machine's", async () => {
  const one = await machineOf("isapc.json");
  const other = await machineOf("isapc.json");
  const make = () => ({});
  const shared = one.context.shared("thing", make);
  assert(one.context.shared("thing", make) === shared);
  assert(one.context.shared("another", make) !== shared);
  assert(other.context.shared("thing", make) !== shared);
  await one.machine.stop();
  await other.machine.stop();
});

/** Run the command line in a process with these flags until it is up. */
async function serve(
  flags: readonly string[],
  args: readonly string[],
): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, join(ROOT, "mod.ts"), ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let text = "";
  let url: string | undefined;
  for await (const bytes of child.stderr) {
    text += new TextDecoder().decode(bytes);
    const [, found] = /screen is at (\S+\/)/.exec(text) ?? [];
    if (url !== undefined || found === undefined) continue;
    url = found;
    const response = await fetch(`${url}novnc/core/rfb.js`);
    assertEquals(response.status, 200);
    assertMatch(await response.text(), /class RFB/);
    child.kill("SIGTERM");
  }
  const { code } = await child.status;
  assert(url !== undefined, text);
  assertEquals(code, 0, text);
}

Deno.test("web: the permissions that it names are enough", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const machine = join(ROOT, "machines/isapc.json");
  const args = [
    machine,
    ...["--firmware", "builtin", "--serial", "web-terminal"],
    ...["--display", `web=${port}`],
  ];
  await within("the page, with -P=display", serve(["-P=display"], args));
  const asked = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-P", join(ROOT, "mod.ts"), "permissions", ...args],
    cwd: ROOT,
  }).output();
  const flags = new TextDecoder().decode(asked.stdout).trim().split("\n");
  assert(flags.includes(`--allow-net=127.0.0.1:${port}`));
  await within("the page, with the permissions", serve(flags, args));
});
