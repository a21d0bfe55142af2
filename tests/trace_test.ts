/**
 * Traces of the translator: by the command line, with its permissions, and by
 * the library.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine } from "../machines/machine.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const ECHO = join(ROOT, "tests/fixtures/echo.elf");
const ISAPC = join(ROOT, "machines/isapc.json");
/** In the fixture: the loop that writes a text, and the routine it calls. */
const GREET = 0x100016;

async function rhea(args: readonly string[]): Promise<[number, string]> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-P", "--no-prompt", "mod.ts", "machines/isapc.json"]
      .concat("--kernel", ECHO, "--set", "cpu.config.threshold=3", args),
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode("q"));
  const { code, stderr } = await process.output();
  await writer.close().catch(() => {
    // It has ended before it read everything.
  });
  return [code, new TextDecoder().decode(stderr)];
}

Deno.test("--trace-blocks and --dump-region", async () => {
  const [status, text] = await rhea([
    "--trace-blocks",
    ...["--dump-region", GREET.toString(16), "--dump-region=0x5000"],
  ]);
  assertEquals(status, 1);
  assertMatch(
    text,
    /^block 00100016 physical 00100016 insns \d+ bytes \d+ mode protected cpl0 code32 stack32 flat-cs flat-data /m,
  );
  assertMatch(
    text,
    /^region \d+ entry 001000\w\w physical 001000\w\w blocks \d+ insns \d+ wasm \d+ ms /m,
  );
  assertMatch(text, /^region \d+ at 001000\w\w: blocks /m);
  assertMatch(
    text,
    /^00100016 {2}lodsb al,ds:\[esi\] +\| v\d+ = esi +\| +local\.get \$esi/m,
  );
  assertMatch(text, /^rhea: no region with code at 5000 was compiled$/m);
});

Deno.test("an address must be one", async () => {
  const [status, text] = await rhea(["--dump-region", "main"]);
  assertEquals(status, 2);
  assertMatch(
    text,
    /^rhea: --dump-region takes a hexadecimal address .*"main"/m,
  );
});

Deno.test("the library traces from when it is asked to", async () => {
  const machine = await Machine.load(ISAPC, {
    kernel: ECHO,
    set: ["cpu.config.threshold=3"],
  });
  try {
    let text = "";
    const write = (part: string): void => void (text += part);
    const trace = await machine.trace({ regions: [GREET], write });
    assertEquals(trace.missing, [GREET]);
    await machine.serial(0).expect(/# $/);
    assertEquals(trace.missing, []);
    assertMatch(text, /^region /);
    trace.stop();
    const { length } = text;
    await machine.serial(0).write("more\n");
    await machine.serial(0).expect(/more\s+# $/);
    assertEquals(text.length, length);
  } finally {
    await machine.stop();
  }
});

Deno.test("what is for traces only is not loaded without one", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "mod.ts"],
    cwd: ROOT,
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: {
      specifier: string;
      dependencies?: {
        isDynamic?: boolean;
        code?: { specifier?: string };
      }[];
    }[];
  };
  const lazy = ["npm:wabt@", "core/machine/trace.ts", "x86/listing.ts"];
  for (const part of lazy) {
    const edges = modules.flatMap((m) => m.dependencies ?? [])
      .filter((d) => d.code?.specifier?.includes(part));
    assert(edges.length > 0, `nothing imports ${part}`);
    assert(edges.every((d) => d.isDynamic), `${part} is imported statically`);
  }
});
