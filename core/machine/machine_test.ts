import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemoryChar } from "../backend/memory_char.ts";
import { MILLISECOND } from "../time/clock.ts";
import type { CpuCore, CpuExit, EntryState } from "./cpu.ts";
import { DefinitionError } from "./document.ts";
import type { MachineEvent } from "./events.ts";
import { Machine } from "./machine.ts";
import type { LoadOptions } from "./options.ts";
import type {
  CharPlugin,
  CpuContext,
  CpuPlugin,
  Device,
  DeviceContext,
  DevicePlugin,
  LoaderPlugin,
} from "./plugin.ts";
import { LoadError } from "./plugin.ts";
import type { JsonObject } from "./schema_types.ts";
import { within } from "../../tests/limit.ts";

/**
 * A CPU whose instructions are bytes in memory: `.` nothing, `o` write the
 * next byte to port 0, `i` wait for an interrupt and write its vector to port
 * 0, `h` halt for good, `t` shut down, `r` pulse the reset port, `e` end with
 * status 7 by port 3, `p` raise the output `power`, `j` start again.
 */
class ToyCpu implements CpuCore {
  instructions = 0;
  a20 = false;
  #pc = 0;
  #irq = false;
  #stop = false;
  readonly #context: CpuContext;
  constructor(context: CpuContext) {
    this.#context = context;
  }
  reset(): void {
    this.#pc = 0;
  }
  enter(state: EntryState): void {
    this.#pc = state.pc;
  }
  run(budget: number): CpuExit {
    this.#stop = false;
    const { physical, ports } = this.#context;
    for (let i = 0; i < budget && !this.#stop; i++) {
      const op = String.fromCharCode(physical.read(this.#pc, 1));
      if (op === "i" && !this.#irq) return "halted";
      this.instructions++;
      this.#pc++;
      switch (op) {
        case "o":
          ports!.write(0, 1, physical.read(this.#pc++, 1));
          break;
        case "i":
          ports!.write(0, 1, this.#context.interrupts!.acknowledge());
          break;
        case "h":
          return "dead";
        case "t":
          return "shutdown";
        case "r":
          ports!.write(2, 1, 1);
          break;
        case "e":
          ports!.write(3, 1, 7);
          break;
        case "p":
          this.#context.output("power").raise();
          break;
        case "j":
          this.#pc = 0;
      }
    }
    return this.#stop ? "stop" : "budget";
  }
  requestStop(): void {
    this.#stop = true;
  }
  setIrq(level: boolean): void {
    this.#irq = level;
  }
  nmi(): void {}
  setInput(_name: string, level: boolean): void {
    this.a20 = level;
  }
  invalidate(): void {}
  flushMapping(): void {}
  save(): { pc: number } {
    return { pc: this.#pc };
  }
  load(record: Record<string, unknown>): void {
    this.#pc = record.pc as number;
  }
  stats(): Record<string, number> {
    return { toys: 1 };
  }
  describe(): string {
    return `pc ${this.#pc}`;
  }
}

const toyCpu: CpuPlugin = {
  type: "cpu",
  name: "toy",
  version: "1",
  models: ["small", "large"],
  inputs: ["a20"],
  outputs: ["power"],
  create: (_config, context) => new ToyCpu(context),
};

interface BoardConfig {
  /** Of the timer, in milliseconds; 0: none. */
  readonly period: number;
  /** It pulses its reset line while it is reset. */
  readonly pulses: boolean;
}

/** A console at port 0, input interrupts; a timer; reset; exit. */
class Board implements Device {
  #vector = 0;
  #interrupt: (level: boolean) => void;
  #arm: () => void;
  constructor(config: BoardConfig, context: DeviceContext) {
    const char = context.char("console");
    const irq = context.output("irq");
    const reset = context.output("reset");
    const a20 = context.output("a20");
    this.#interrupt = (level) => irq.set(level);
    const timer = context.clock.timer(() => {
      this.#vector = 0x54;
      irq.raise();
    });
    this.#arm = () => {
      a20.raise();
      if (config.pulses) reset.pulse();
      if (config.period > 0) {
        timer.arm(context.clock.now() + config.period * MILLISECOND);
      }
    };
    char.onInput((bytes) => {
      this.#vector = bytes[0];
      irq.raise();
    });
    context.io("registers", {
      widths: [1],
      read: () => 0,
      write: (offset, _width, value) => {
        if (offset === 0) char.write(new Uint8Array([value]));
        if (offset === 2) reset.pulse();
        if (offset === 3) context.exit(value);
      },
    });
  }
  acknowledge(): number {
    this.#interrupt(false);
    return this.#vector;
  }
  reset(): void {
    this.#arm();
  }
  save(): { vector: number } {
    return { vector: this.#vector };
  }
  load(record: Record<string, unknown>): void {
    this.#vector = record.vector as number;
  }
}

const board: DevicePlugin<BoardConfig> = {
  type: "device",
  name: "board",
  version: "1",
  config: {
    type: "object",
    properties: {
      period: { type: "integer", default: 0 },
      pulses: { type: "boolean", default: false },
    },
  },
  regions: { registers: { space: "ports", size: 4 } },
  outputs: ["irq", "reset", "a20"],
  backends: { console: { type: "char" } },
  provides: ["interrupt-controller"],
  exits: true,
  create: (config, context) => new Board(config, context),
};

const memoryChar: CharPlugin = {
  type: "char",
  name: "memory",
  version: "1",
  create: () => new MemoryChar(),
};

const loader: LoaderPlugin = {
  type: "loader",
  name: "text",
  version: "1",
  description: "a text that starts with #",
  probe: (image) => image[0] === 0x23,
  load(context) {
    if (context.kernel.bytes.length > context.ram[0].size) {
      throw new LoadError("Cannot load the text: it is longer than RAM");
    }
    context.dma.write(0, context.kernel.bytes);
    return { pc: 1 };
  },
};

const plugins: LoadOptions["plugins"] = {
  cpu: { toy: () => Promise.resolve({ default: toyCpu }) },
  device: { board: () => Promise.resolve({ default: board }) },
  char: { memory: () => Promise.resolve({ default: memoryChar }) },
  loader: { text: () => Promise.resolve({ default: loader }) },
};

const definition: JsonObject = {
  cpu: { plugin: "toy", physical: "memory", ports: "ports", intc: "board" },
  memories: { ram: { size: "64K" } },
  spaces: {
    memory: {
      size: "1M",
      regions: { ram: { memory: "ram", at: 0 } },
    },
    ports: { size: "64K" },
  },
  devices: {
    board: {
      plugin: "board",
      at: 0,
      wires: { irq: "cpu.intr", reset: "machine.reset", a20: "cpu.a20" },
      backends: { console: "serial0" },
    },
  },
  backends: { serial0: { plugin: "memory" } },
  boot: { loaders: ["text"] },
  translator: { arena: "1M" },
};

async function boot(
  program: string,
  options: Partial<LoadOptions> = {},
): Promise<Machine> {
  const kernel = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(kernel, `#${program}`);
    return await Machine.load(definition, { plugins, kernel, ...options });
  } finally {
    await Deno.remove(kernel);
  }
}

Deno.test("a machine boots, talks, halts and says where", async () => {
  await using machine = await boot("oHoih");
  const run = machine.run();
  assertEquals(await machine.serial(0).expect("Hi"), "Hi");
  assertEquals(await run, { reason: "halt", status: 0, where: "pc 6" });
  assert((machine.cpu as ToyCpu).a20);
  assertEquals(machine.stats().toys, 1);
});

Deno.test("what is typed wakes an idle guest", async () => {
  await using machine = await boot("o>iij");
  const serial = machine.serial(0);
  await serial.expect(">");
  await serial.write("x");
  await serial.expect("x");
  await serial.write("y");
  assertEquals(await serial.expect(/y/), "y");
  assertEquals(machine.running, true);
  assertEquals((await machine.stop()).reason, "stop");
  assertEquals(machine.running, false);
});

Deno.test("a timer wakes an idle guest", async () => {
  await using machine = await boot("ih", {
    set: ["devices.board.config.period=5"],
  });
  await machine.run();
  assertEquals(machine.serial(0).output, "T");
});

Deno.test("exit, shutdown, reset and no reboot", async () => {
  {
    await using machine = await boot("e");
    assertEquals(await machine.run(), { reason: "exit", status: 7 });
  }
  {
    await using machine = await boot("t");
    const { reason, status } = await machine.run();
    assertEquals([reason, status], ["shutdown", 1]);
  }
  {
    await using machine = await boot("oAr", { noReboot: true });
    assertEquals(await machine.run(), { reason: "reset", status: 0 });
    assertEquals(machine.serial(0).output, "A");
  }
  {
    await using machine = await boot("oAr");
    await machine.serial(0).expect("AAAA");
  }
});

Deno.test("a reset line that is pulsed while the machine is reset does not reset it anew", async () => {
  const set = ["devices.board.config.pulses=true"];
  await using machine = await boot("oAh", { noReboot: true, set });
  const { reason } = await machine.run();
  assertEquals([reason, machine.serial(0).output], ["halt", "A"]);
});

Deno.test("a CPU drives lines as devices do", async () => {
  {
    await using machine = await boot("p", {
      set: ['cpu.wires={"power":"machine.poweroff"}'],
    });
    assertEquals(await machine.run(), { reason: "poweroff", status: 0 });
  }
  {
    // Connected to nothing it drives nothing.
    await using machine = await boot("pe");
    assertEquals(await machine.run(), { reason: "exit", status: 7 });
  }
  const fails = async (wires: string, message: string) => {
    await assertRejects(
      () => boot("h", { set: [`cpu.wires=${wires}`] }),
      DefinitionError,
      message,
    );
  };
  await fails('{"powr":"machine.reset"}', 'did you mean "power"?');
  await fails('{"power":"machine.rset"}', 'did you mean "reset"?');
  await fails('{"power":"machine.reset"}', "has two drivers");
});

Deno.test("a device may use the ports and collect who provides a contract", async () => {
  let seen: DeviceContext | undefined;
  const firmware: DevicePlugin = {
    type: "device",
    name: "firmware",
    version: "1",
    collects: ["interrupt-controller", "nobody"],
    usesPorts: true,
    create(_config, context) {
      seen = context;
      return { reset() {}, save: () => ({}), load() {} };
    },
  };
  await using machine = await boot("h", {
    plugins: {
      ...plugins,
      device: {
        ...plugins.device,
        firmware: () => Promise.resolve({ default: firmware }),
      },
    },
    // What it collects may stand after it.
    set: [
      'devices.afirst={"plugin":"firmware"}',
      'devices.second={"plugin":"board","at":4,"backends":{}}',
    ],
  });
  assertEquals(seen!.providers("interrupt-controller"), [
    machine.device("board"),
    machine.device("second"),
  ]);
  assertEquals(seen!.providers("nobody"), []);
  seen!.ports.write(0, 1, 0x41);
  assertEquals(machine.serial(0).output, "A");
  assertEquals(seen!.ports.read(1, 1), 0);
  assertEquals(seen!.ports.read(0x1000, 2), 0xffff);
  assertThrows(() => seen!.providers("text-source"), Error, "does not declare");
});

Deno.test("pausing and going on, saving and loading", async () => {
  await using machine = await boot("iiiih");
  machine.start();
  const serial = machine.serial(0);
  await serial.write("a");
  await serial.expect("a");
  await machine.pause();
  const saved = machine.save();
  await serial.write("b");
  await serial.expect("b");
  await machine.pause();
  assert(machine.save().cpu !== saved.cpu);
  machine.load(saved);
  assertEquals(machine.save(), saved);
});

Deno.test("a guest stands still within its run, and monitors hear of what happens", async () => {
  await using machine = await boot("iiiie", { noReboot: false });
  const events: MachineEvent[] = [];
  const unlisten = machine.events.on((event) => events.push(event));
  const states = [machine.runState];
  const run = machine.run();
  const serial = machine.serial(0);
  await serial.write("a");
  await serial.expect("a");
  states.push(machine.runState);
  machine.stopGuest();
  machine.stopGuest();
  const { instructions } = machine.cpu;
  await serial.write("b");
  machine.reset("host-qmp-system-reset");
  for (let turns = 0; turns < 10; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  states.push(machine.runState);
  assertEquals(machine.cpu.instructions, instructions);
  machine.continueGuest();
  machine.continueGuest();
  for (const key of "cdef") await serial.write(key);
  assertEquals((await run).reason, "exit");
  states.push(machine.runState);
  unlisten();
  machine.reset();
  assertEquals(states, ["prelaunch", "running", "paused", "shutdown"]);
  assertEquals(events, [
    { type: "stop" },
    { type: "reset", cause: "host-qmp-system-reset" },
    { type: "resume" },
    { type: "shutdown", cause: "guest-shutdown" },
  ]);
});

Deno.test("a timer of the first slice pauses a machine", async () => {
  await using machine = await boot("j", { icount: true });
  const timer = machine.clock.timer(() => void machine.pause());
  timer.arm(1);
  assertEquals((await machine.run()).reason, "stop");
  assertEquals(machine.running, false);
});

Deno.test("a machine is paused and stopped as soon as it is started", async () => {
  const machine = await boot("i");
  machine.start();
  await within("the pause", machine.pause());
  assertEquals(machine.running, false);
  machine.start();
  const result = await within("the stop", machine.stop());
  assertEquals(result, { reason: "stop", status: 0 });
});

Deno.test("with icount two runs are alike", async () => {
  const run = async (): Promise<[number, string, number]> => {
    await using machine = await boot("o.iiioeh", {
      icount: true,
      set: ["devices.board.config.period=5"],
    });
    const done = machine.run();
    await machine.serial(0).expect("T");
    await machine.pause();
    const result: [number, string, number] = [
      machine.cpu.instructions,
      machine.serial(0).output,
      machine.clock.now(),
    ];
    await machine.stop();
    await done;
    return result;
  };
  assertEquals(await run(), await run());
});

Deno.test("waiting for what does not come fails with the reason", async () => {
  await using machine = await boot("oXh");
  await assertRejects(
    () => machine.serial(0).expect("never"),
    Error,
    'no "never": the machine ended (halt); the output ends with "X"',
  );
});

Deno.test("a kernel of no known kind is refused", async () => {
  const kernel = await Deno.makeTempFile();
  await Deno.writeTextFile(kernel, "?");
  await assertRejects(
    () => Machine.load(definition, { plugins, kernel }),
    LoadError,
    "expected a text that starts with #",
  );
  await Deno.writeTextFile(kernel, "#".padEnd(70_000));
  await assertRejects(
    () => Machine.load(definition, { plugins, kernel }),
    LoadError,
    "longer than RAM",
  );
  await Deno.remove(kernel);
});

Deno.test("options that do not fit are refused", async () => {
  const fails = async (options: Partial<LoadOptions>, message: string) => {
    await assertRejects(
      () => Machine.load(definition, { plugins, ...options }),
      DefinitionError,
      message,
    );
  };
  await fails({ serial: ["memroy"] }, 'did you mean "memory"?');
  await fails({ serial: ["memory:x"] }, "takes no argument");
  await fails({ serial: [undefined, "memory"] }, 'no backend "serial1"');
  await fails({ memory: "1Q" }, "--memory: expected a size such as 256M");
  await fails(
    { cpu: "smal" },
    '--cpu: cpu.model: there is no CPU model "smal"',
  );
  await fails({ kernel: "/nowhere" }, "--kernel: boot.kernel: cannot read");
  await fails({ set: ["x"] }, "expected path=value");
  await fails({ memory: "8G" }, "does not fit");
});
