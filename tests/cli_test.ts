/**
 * The command line as a process: status, messages, permissions.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { decode } from "fast-png";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const ECHO = join(ROOT, "tests/fixtures/echo.elf");
/** Where the fixture's only segment is in the file and in memory. */
const SEGMENT_OFFSET = 0x60;
const SEGMENT_ADDRESS = 0x100000;

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly messages: string;
}

/** Run `deno run -P mod.ts machines/isapc.json ...args`. */
async function rhea(
  args: readonly string[],
  input = "",
  flags: readonly string[] = [],
): Promise<Outcome> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-P",
      "--no-prompt",
      ...flags,
      "mod.ts",
      "machines/isapc.json",
      ...args,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  const { code, stdout, stderr } = await process.output();
  await writer.close().catch(() => {
    // The process has ended first, which is what a test may want.
  });
  const decoder = new TextDecoder();
  return {
    status: code,
    out: decoder.decode(stdout),
    // Deno warns that permissions in deno.json are experimental.
    messages: decoder.decode(stderr).split("\n")
      .filter((line) => line.startsWith("rhea:")).join("\n"),
  };
}

/** All that `permissions` prints, messages too. */
async function permissions(...args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-P", "mod.ts", "permissions", "machines/isapc.json"]
      .concat(args),
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return decoder.decode(stdout) + decoder.decode(stderr);
}

/** The fixture with other code at its entry. */
async function withKernel(
  code: readonly number[],
  use: (kernel: string) => Promise<void>,
): Promise<void> {
  const image = await Deno.readFile(ECHO);
  const entry = new DataView(image.buffer).getUint32(24, true);
  image.set(code, entry - SEGMENT_ADDRESS + SEGMENT_OFFSET);
  const kernel = await Deno.makeTempFile({ suffix: ".elf" });
  try {
    await Deno.writeFile(kernel, image);
    await use(kernel);
  } finally {
    await Deno.remove(kernel);
  }
}

Deno.test("a kernel talks on the terminal and ends with its status", async () => {
  const { status, out, messages } = await rhea(
    ["--kernel", ECHO, "--stats"],
    "hi\nq",
  );
  assertEquals(out, "Hello from the guest\r\n# hi\n# ");
  // Debug exit of 0: (0 << 1) | 1.
  assertEquals(status, 1);
  assertMatch(messages, /rhea: instructions +\d+/);
  assertMatch(messages, /rhea: wall time ms +\d+/);
});

Deno.test("a halt with interrupts off says where", async () => {
  // cli; hlt
  await withKernel([0xfa, 0xf4], async (kernel) => {
    const { status, messages } = await rhea(["--kernel", kernel]);
    assertEquals(status, 0);
    assertMatch(
      messages,
      /^rhea: the guest halted with interrupts off at cs:eip [0-9a-f]{4}:001000/,
    );
  });
});

Deno.test("a triple fault says where", async () => {
  // mov esp, 0x7000; push 0; push 0; lidt [esp]; int3
  const code = [0xbc, 0, 0x70, 0, 0, 0x6a, 0, 0x6a, 0, 0x0f, 1, 0x1c, 0x24];
  await withKernel([...code, 0xcc], async (kernel) => {
    for (const accel of ["jit", "interp"]) {
      const { status, messages } = await rhea([
        ...["--kernel", kernel],
        ...["--accel", accel],
      ]);
      assertEquals(status, 1);
      assertMatch(messages, /triple fault\) at cs:eip [0-9a-f]{4}:00100/);
    }
  });
});

Deno.test("a reset boots again, or ends the run", async () => {
  // mov al, 0xfe; out 0x64, al; hlt
  const reset = [0xb0, 0xfe, 0xe6, 0x64, 0xf4];
  await withKernel(reset, async (kernel) => {
    const { status, messages } = await rhea([
      "--kernel",
      kernel,
      "--no-reboot",
    ]);
    assertEquals([status, messages], [0, ""]);
  });
});

Deno.test("a device may import the module that is the command line", async () => {
  // cli; mov eax, [the timer's ID]; out 0xf4, al; hlt
  const code = [0xfa, 0xa1, 0x10, 0, 0xd0, 0xfe, 0xe6, 0xf4, 0xf4];
  const timer = join(ROOT, "tests/fixtures/interval_timer.ts");
  await withKernel(code, async (kernel) => {
    const { status, messages } = await rhea([
      ...["--kernel", kernel],
      ...["--set", `devices.timer.plugin=${timer}`],
      ...["--set", "devices.timer.at=0xfed00000"],
    ]);
    // isa-debug-exit, of "T".
    assertEquals([status, messages], [("T".charCodeAt(0) << 1 | 1) & 255, ""]);
  });
});

Deno.test("--screendump writes the screen at the end", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "screen.png");
    const args = ["--kernel", ECHO, "--screendump", file];
    const allowed = [`--allow-write=${folder}`];
    await rhea(args, "q", allowed);
    const { width, height, channels } = decode(await Deno.readFile(file));
    assertEquals([width, height, channels], [720, 400, 3]);
    await Deno.remove(file);
    await Deno.mkdir(file);
    const late = await rhea(args, "q", allowed);
    assertMatch(late.messages, /^rhea: Cannot write the screen to /);
    assertEquals(late.status, 1, "the run counts");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("--screendump: what cannot be is said before the guest starts", async () => {
  const refused = async (
    file: string,
    message: RegExp,
    ...more: string[]
  ): Promise<void> => {
    const args = ["--kernel", ECHO, "--screendump", file, ...more];
    const { status, messages } = await rhea(args, "q", ["--allow-write=/tmp"]);
    assertMatch(messages, message);
    assertEquals([status, messages.split("\n").length], [2, 1]);
  };
  await refused("/var/x.png", /^rhea: --screendump \S+: .* write access to/);
  await refused("/tmp/there/is/no", /no directory "\/tmp\/there\/is"$/);
  await refused("/tmp/a.png", /no screen$/, "--set", "devices.vga=null");
});

Deno.test({
  name: "--screendump writes the screen at each SIGUSR1",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const file = join(folder, "screen.png");
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-P", "--no-prompt", `--allow-write=${folder}`, "mod.ts"],
        ...["machines/isapc.json", "--kernel", ECHO, "--screendump", file],
      ],
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const [writer, reader] = [
      process.stdin.getWriter(),
      process.stdout.getReader(),
    ];
    try {
      // The guest's first word: it runs, and the signal is listened for.
      await reader.read();
      for (let n = 0; n < 2; n++) {
        process.kill("SIGUSR1");
        let width: number | undefined;
        while (width === undefined) {
          await new Promise((resolve) => setTimeout(resolve, 10));
          try {
            width = decode(await Deno.readFile(file)).width;
          } catch {
            // Not there yet, or not all of it.
          }
        }
        assertEquals(width, 720);
        await Deno.remove(file);
      }
      await writer.write(new TextEncoder().encode("q"));
      assertEquals((await process.status).code, 1);
      assertEquals(decode(await Deno.readFile(file)).height, 400);
    } finally {
      await writer.close().catch(() => {});
      await reader.cancel();
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended, as it should.
      }
      await process.status;
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("what is for a kernel is refused without one", async () => {
  for (
    const [flag, value] of [["--append", "quiet"], ["--initrd", "README.md"]]
  ) {
    const { status, messages } = await rhea([flag, value]);
    assertEquals([status, messages], [
      2,
      `rhea: ${flag}: there is no kernel that it is for: expected --kernel, too`,
    ]);
  }
});

Deno.test("-P does not let it write; what it needs is printed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const log = join(folder, "out.log");
    const args = ["--kernel", ECHO, "--serial", `file:${log}`];
    const refused = await rhea(args);
    assertEquals(refused.status, 2);
    assertMatch(refused.messages, /^rhea: .*write access/);
    const flags = (await permissions(...args)).split("\n")
      .filter((line) => line.startsWith("--allow-"));
    assert(flags.includes(`--allow-write=${log}`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what permissions prints is enough for a name with a comma", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "a,b", "c,d.png");
    await Deno.mkdir(join(folder, "a,b"));
    const args = ["--kernel", ECHO, "--screendump", file];
    const flags = (await permissions(...args)).split("\n")
      .filter((line) => line.startsWith("--allow-"));
    assert(flags.includes(`--allow-write=${folder}`), flags.join(" "));
    const { status, messages } = await rhea(args, "q", flags);
    assertEquals([status, messages], [1, ""]);
    assertEquals(decode(await Deno.readFile(file)).width, 720);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("--gdb: what it needs is permitted, and refused with a word", async () => {
  assertMatch(await permissions("--gdb"), /^--allow-net=127.0.0.1:1234$/m);
  assertMatch(
    await permissions("--gdb", "unix:/tmp/gdb"),
    /^--allow-net=unix:\/tmp\/gdb$/m,
  );
  const args = ["--kernel", ECHO, "--gdb"];
  assertEquals(await rhea([...args, "tcp::1"]), {
    status: 2,
    out: "",
    messages: "rhea: Cannot listen on 127.0.0.1:1 for gdb: Requires net " +
      'access to "127.0.0.1:1", run again with the --allow-net flag',
  });
});

Deno.test("--vnc is short for a display, and its port is permitted", async () => {
  const short = await permissions("--vnc", ":7");
  assertMatch(short, /^--allow-net=127\.0\.0\.1:5907$/m);
  assertEquals(await permissions("--display", "vnc=:7"), short);
  for (
    const [args, message] of [
      [["--display", "vnc=7"], /rhea: --display vnc=7: "7" is not a display/],
      [["--vnc", "7"], /rhea: --vnc 7: "7" is not a display/],
      [["--display", "text=7"], /"text" takes no argument$/m],
      [["--vnc", ":7", "--display", "none"], /--vnc and --display are both/],
    ] as const
  ) assertMatch(await permissions(...args), message);
  // Without the permission it is the user's mistake.
  for (
    const [display, message] of [
      [":7", /^rhea: .*127\.0\.0\.1:5907/],
      [":7,password=123456789", /have up to eight characters/],
    ] as const
  ) {
    const refused = await rhea(["--kernel", ECHO, "--vnc", display]);
    assertEquals(refused.status, 2);
    assertMatch(refused.messages, message);
  }
});
