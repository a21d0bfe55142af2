/**
 * Random commands, drawn from the schema that the server gives, of several
 * clients at once: each is answered by the schema's types or in words, and the
 * guest goes on.
 */

import { assertEquals } from "@std/assert";
import { parseNic } from "../../core/machine/nics.ts";
import { Machine } from "../../machines/machine.ts";
import { forSeeds, Random } from "../random.ts";
import { type Message, QmpClient } from "./client.ts";
import { Schema } from "./schema.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
const ECHO = new URL("../fixtures/echo.elf", import.meta.url).pathname;

/** Commands of a client in a run, and clients. */
const COMMANDS = 250;
const CLIENTS = 3;
/**
 * Not these: they end the guest (an NMI, for which it has no handler), or load
 * it again, and what was echoed is forgotten.
 */
const LEFT_OUT = new Set([
  "quit",
  "inject-nmi",
  "system_reset",
  "snapshot-load",
  "qmp_capabilities",
  "human-monitor-command",
]);
/** What an error of the program's own would say. */
const BUG = /undefined|is not a function|Cannot (read|set)|\[object|NaN/;
const CLASSES = [
  "GenericError",
  "CommandNotFound",
  "DeviceNotActive",
  "DeviceNotFound",
];
const NUMBERS = [0, 1, 2, -1, 16, 4096, 0x100000, 2 ** 31, 2 ** 53 - 1, -5e15];
const WRONG = [null, true, 7, 1.5, "", [], {}, [[]], { a: { b: [] } }];

/** Makes arguments by a schema. */
class Arguments {
  readonly #schema: Schema;
  readonly #random: Random;
  readonly #words: readonly string[];
  readonly #files: readonly string[];
  /** Words by the member that they are for. */
  readonly #fitting: Readonly<Record<string, readonly string[]>>;

  constructor(
    schema: Schema,
    random: Random,
    words: readonly string[],
    files: readonly string[],
    fitting: Readonly<Record<string, readonly string[]>>,
  ) {
    this.#fitting = fitting;
    this.#schema = schema;
    this.#random = random;
    this.#words = words;
    this.#files = files;
  }

  /** A value of a type, or sometimes of another; `name` is the member's. */
  value(type: string, name: string, depth = 0): unknown {
    const random = this.#random;
    if (random.below(25) === 0) return random.of(WRONG);
    const entry = this.#schema.entry(type);
    switch (entry["meta-type"]) {
      case "builtin":
        return this.#builtin(entry["json-type"], name);
      case "enum":
        return random.below(20) === 0 ? "x" : random.of(entry.values);
      case "array":
        return Array.from(
          { length: depth > 3 ? 0 : random.below(4) },
          () => this.value(entry["element-type"], name, depth + 1),
        );
      case "alternate":
        return this.value(random.of(entry.members as Message[]).type, name);
      default:
        return this.#object(entry, depth);
    }
  }

  #builtin(kind: string, name: string): unknown {
    const random = this.#random;
    if (kind === "boolean") return random.below(2) === 0;
    if (kind === "int" || kind === "number") return random.of(NUMBERS);
    if (kind !== "string") return random.of(WRONG);
    // Nothing is written but where it may be.
    if (/file|snapshot/.test(name)) return random.of(this.#files);
    if (name === "protocol") return `file:${random.of(this.#files)}`;
    const fitting = this.#fitting[name];
    return random.of(
      fitting === undefined || random.below(3) === 0 ? this.#words : fitting,
    );
  }

  #object(entry: Message, depth: number): Record<string, unknown> {
    const random = this.#random;
    const made: Record<string, unknown> = {};
    const add = (members: readonly Message[]): void => {
      for (const { name, type, ...rest } of members) {
        const isOptional = "default" in rest;
        if (random.below(isOptional ? 3 : 30) < (isOptional ? 2 : 1)) continue;
        made[name] = this.value(type, name, depth + 1);
      }
    };
    add(entry.members);
    const variant = entry.variants?.find((one: Message) =>
      one.case === made[entry.tag]
    );
    if (variant !== undefined) add(this.#schema.entry(variant.type).members);
    if (random.below(30) === 0) {
      Object.defineProperty(made, random.of(this.#words), {
        value: 1,
        enumerable: true,
        configurable: true,
      });
    }
    return made;
  }
}

/** What is wrong with an answer. */
function problemsOf(
  schema: Schema,
  name: string,
  { return: value, error }: Message,
): string[] {
  if (error === undefined) return schema.problems(name, value);
  const { class: of, desc, ...rest } = error;
  if (!CLASSES.includes(of) || Object.keys(rest).length > 0) {
    return [`${name}: an error of "${of}"`];
  }
  const isSaid = typeof desc === "string" && desc !== "" && !BUG.test(desc) &&
    !desc.includes("\n");
  return isSaid ? [] : [`${name}: "${desc}"`];
}

async function run(seed: number, folder: string): Promise<void> {
  const [disc, floppy, disk] = ["disc", "floppy", "disk"].map((name) =>
    `${folder}/${name}`
  );
  for (const file of [disc, floppy, disk]) {
    await Deno.writeFile(file, new Uint8Array(1474560));
  }
  const log: string[] = [];
  await using machine = await Machine.load(PC, {
    kernel: ECHO,
    memory: "16M",
    cdrom: disc,
    floppy: [floppy],
    drives: [{ file: disk, format: "raw", snapshot: true, if: "virtio" }],
    nics: [parseNic("user,model=e1000"), parseNic("hub,model=virtio")],
    snapshots: folder,
    log: (line) => log.push(line),
  });
  const path = `${folder}/qmp`;
  await machine.serveQmp(`unix:${path}`);
  machine.start();
  const serial = machine.serial(0);
  await serial.expect("# ");
  using first = await QmpClient.connect(path);
  const schema = new Schema((await first.execute("query-qmp-schema")).return);
  const names = schema.names("command").filter((name) => !LEFT_OUT.has(name));
  const words = [
    ...machine.plan.devices.map(({ name }) => name),
    ...machine.plan.devices.map(({ plugin }) => plugin.name),
    ...machine.plan.backends.map(({ name }) => name),
    ...machine.media.drives.keys(),
    ...["one", "two", "/machine", "/machine/peripheral", "type", "raw"],
    ...["", "*", "/", "..", "__proto__", "constructor", "é\u{1f4be}", "%s%n"],
    "x".repeat(5000),
  ];
  const files = [`${folder}/a`, `${folder}/b`, disc, "/nope/x", "", "\0"];
  const drives = [...machine.media.drives.keys()];
  const nodes = ["node0", "node1", "node2"];
  const fitting = {
    id: [...drives, "one", "net0", "nic0"],
    device: drives,
    "node-name": nodes,
    file: nodes,
    name: [...machine.plan.devices.map(({ name }) => name), "ide.*"],
    path: ["/machine", "/machine/unattached/device[0]", "/machine/peripheral"],
    property: ["type", "kernel", "realized"],
    typename: machine.plan.devices.map(({ plugin }) => plugin.name),
    "job-id": ["one", "two"],
    tag: ["first", "second"],
    vmstate: [""],
    devices: [""],
    format: ["raw", "qcow2"],
  };
  const client = async (number: number): Promise<void> => {
    const random = new Random(seed * 100 + number);
    const made = new Arguments(schema, random, words, files, fitting);
    using own = await QmpClient.connect(path);
    for (let i = 0; i < COMMANDS; i++) {
      const name = random.of(names);
      const type = schema.entry(name)["arg-type"];
      const args = made.value(type, name) as object;
      const answer = await own.execute(name, args);
      // Events are told in order, and are nobody's here.
      own.events.length = 0;
      assertEquals(
        problemsOf(schema, name, answer),
        [],
        `${name} ${JSON.stringify(args)?.slice(0, 500)}`,
      );
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
  assertEquals(log.filter((line) => line.includes("has failed")), []);
  // What goes on, and stops the guest for it, comes to its end.
  const busy = async (): Promise<boolean> => {
    const [jobs, dump] = [
      await first.execute("query-jobs"),
      await first.execute("query-dump"),
    ];
    return dump.return.status === "active" ||
      jobs.return.some(({ status }: Message) => status !== "concluded");
  };
  while (await busy()) await new Promise((resolve) => setTimeout(resolve, 5));
  await first.execute("cont");
  await serial.write("still there\n");
  await serial.expect("still there");
  assertEquals((await first.execute("query-status")).return.running, true);
}

Deno.test("QMP: random commands of several clients are answered, and the guest goes on", async () => {
  await forSeeds(3, async (seed) => {
    const folder = await Deno.makeTempDir();
    try {
      await run(seed, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
