/** Rhea's QMP beside QEMU's: the schema, answers, events and errors. */

import { assert, assertEquals } from "@std/assert";
import { Machine, type MachineOptions } from "../../machines/machine.ts";
import { hasTools, qemuImg, withFolder } from "../block/oracle.ts";
import { Random } from "../random.ts";
import { type Message, QemuServer, QmpClient } from "./client.ts";
import { Schema } from "./schema.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;

/** Both, and a client of each. */
interface Pair {
  readonly machine: Machine;
  readonly rhea: QmpClient;
  readonly qemu: QmpClient;
  readonly folder: string;
  readonly path: string;
}

/** Run a test with both, each with a disc, a disk and a floppy. */
async function withPair(
  test: (pair: Pair) => Promise<void>,
  options: MachineOptions = {},
  qemuArgs: readonly string[] = [],
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const file = (name: string): string => `${folder}/${name}`;
    for (const name of ["disc", "disk", "floppy", "disk2", "floppy2"]) {
      await Deno.writeFile(file(name), new Uint8Array(1474560));
    }
    await using qemu = await QemuServer.start(folder, [
      ...["-drive", `file=${file("disk2")},format=raw,if=ide,snapshot=on`],
      ...["-drive", `file=${file("floppy2")},format=raw,if=floppy,snapshot=on`],
      ...["-cdrom", file("disc")],
      ...qemuArgs,
    ]);
    if (qemu === undefined) {
      console.log("skipped: qemu-system-i386 is not installed");
      return;
    }
    await using machine = await Machine.load(PC, {
      firmware: "builtin",
      memory: "16M",
      drives: [{ file: file("disk"), format: "raw", snapshot: true }],
      cdrom: file("disc"),
      floppy: [file("floppy")],
      snapshots: folder,
      ...options,
    });
    const path = file("rhea.sock");
    await machine.serveQmp(`unix:${path}`);
    machine.start();
    using rhea = await QmpClient.connect(path);
    await test({ machine, rhea, qemu: qemu.client, folder, path });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function schemaOf(client: QmpClient): Promise<Schema> {
  return new Schema((await client.execute("query-qmp-schema")).return);
}

/** Commands and arguments that both answer, or both refuse. */
const QUESTIONS: readonly (readonly [name: string, args?: object])[] = [
  ["query-version"],
  ["query-commands"],
  ["query-status"],
  ["query-name"],
  ["query-uuid"],
  ["query-kvm"],
  ["query-iothreads"],
  ["query-target"],
  ["query-cpus-fast"],
  ["query-hotpluggable-cpus"],
  ["query-machines"],
  ["query-current-machine"],
  ["query-cpu-definitions"],
  ["query-memory-size-summary"],
  ["query-pci"],
  ["query-mice"],
  ["query-block"],
  ["query-blockstats"],
  ["query-blockstats", { "query-nodes": true }],
  ["query-named-block-nodes"],
  ["query-named-block-nodes", { flat: true }],
  ["query-block-jobs"],
  ["query-chardev"],
  ["query-vnc"],
  ["query-vnc-servers"],
  ["query-jobs"],
  ["query-qmp-schema"],
  ["query-migrate"],
  ["query-migrate-capabilities"],
  ["migrate-set-capabilities", {
    capabilities: [{ capability: "events", state: true }],
  }],
  ["query-migrate-parameters"],
  ["query-dirty-rate"],
  ["query-stats", { target: "vm" }],
  ["query-stats", { target: "vcpu", providers: [{ provider: "kvm" }] }],
  ["query-stats-schemas"],
  ["query-display-options"],
  ["query-rx-filter"],
  ["set-action", { reboot: "shutdown", panic: "none", watchdog: "none" }],
  ["set-action", { reboot: "reset" }],
  ["watchdog-set-action", { action: "poweroff" }],
  ["x-query-numa"],
  ["trace-event-get-state", { name: "ide*" }],
  ["trace-event-set-state", { name: "ide*", enable: false }],
  ["query-memdev"],
  ["query-memory-devices"],
  ["query-block-exports"],
  ["query-fdsets"],
  ["query-tpm"],
  ["query-tpm-models"],
  ["query-tpm-types"],
  ["query-pr-managers"],
  ["query-yank"],
  ["query-acpi-ospm-status"],
  ["query-replay"],
  ["query-dump"],
  ["query-dump-guest-memory-capability"],
  ["query-spice"],
  ["query-chardev-backends"],
  ["query-command-line-options"],
  ["query-cpu-model-expansion", { type: "full", model: { name: "max" } }],
  ["x-query-irq"],
  ["x-query-jit"],
  ["x-query-roms"],
  ["migrate_cancel"],
  ["qom-list", { path: "/" }],
  ["qom-list", { path: "/machine" }],
  ["qom-list", { path: "machine" }],
  ["qom-list", { path: "/machine/peripheral" }],
  ["qom-list", { path: "/machine/unattached/device[0]" }],
  ["qom-get", { path: "/machine", property: "type" }],
  ["qom-get", { path: "/machine/unattached/device[0]", property: "realized" }],
  ["qom-list-types"],
  ["qom-list-types", { implements: "device" }],
  ["qom-list-types", { implements: "cpu", abstract: true }],
  ["qom-list-properties", { typename: "e1000" }],
  ["device-list-properties", { typename: "e1000" }],
  ["human-monitor-command", { "command-line": "info version" }],
  ["stop"],
  ["query-status"],
  ["stop"],
  ["cont"],
  ["inject-nmi"],
  ["system_reset"],
  ["send-key", { keys: [{ type: "qcode", data: "ctrl" }] }],
  ["send-key", { keys: [{ type: "number", data: 30 }], "hold-time": 1 }],
  ["send-key", { keys: [] }],
  ["input-send-event", {
    events: [
      {
        type: "key",
        data: { down: true, key: { type: "qcode", data: "a" } },
      },
      {
        type: "key",
        data: { down: false, key: { type: "number", data: 30 } },
      },
      { type: "btn", data: { down: true, button: "left" } },
      { type: "btn", data: { down: false, button: "left" } },
      { type: "btn", data: { down: true, button: "wheel-up" } },
      { type: "rel", data: { axis: "x", value: 10 } },
      { type: "rel", data: { axis: "y", value: -10 } },
    ],
  }],
  ["input-send-event", { events: [] }],
];

Deno.test("QMP: each command and event is one of QEMU's, and its types fit", async () => {
  await withPair(async ({ rhea, qemu }) => {
    const mine = await schemaOf(rhea);
    const theirs = await schemaOf(qemu);
    const known = new Set([
      ...theirs.names("command"),
      ...theirs.names("event"),
    ]);
    const names = [...mine.names("command"), ...mine.names("event")];
    assert(names.length > 70, `${names.length} names`);
    assertEquals(names.filter((name) => !known.has(name)), []);
    assertEquals(names.flatMap((name) => mine.unlike(theirs, name)), []);
    const { return: listed } = await rhea.execute("query-commands");
    assertEquals(
      listed.map(({ name }: Message) => name),
      mine.names("command"),
    );
  });
});

Deno.test("QMP: each answer is of the type that QEMU's and its own schema say", async () => {
  await withPair(async ({ rhea, qemu }) => {
    const mine = await schemaOf(rhea);
    const theirs = await schemaOf(qemu);
    for (const [name, args] of QUESTIONS) {
      const [a, b] = [
        await rhea.execute(name, args),
        await qemu.execute(name, args),
      ];
      const what = `${name} ${JSON.stringify(args)}`;
      assertEquals(a.error, undefined, what);
      assertEquals(b.error, undefined, what);
      assertEquals(theirs.argumentProblems(name, args ?? {}), []);
      assertEquals(mine.argumentProblems(name, args ?? {}), []);
      assertEquals(theirs.problems(name, b.return), []);
      assertEquals(theirs.problems(name, a.return), []);
      assertEquals(mine.problems(name, a.return), []);
    }
  });
});

/** What is sent before the capabilities are negotiated. */
const EARLY = [
  '{"execute":"query-status"}',
  '{"execute":"nope","id":1}',
  '{"execute":"qmp_capabilities","arguments":{"enable":["x"]}}',
  '{"execute":"qmp_capabilities","arguments":{"enable":"oob"}}',
  '{"execute":"qmp_capabilities","arguments":{"enable":[]},"id":{"a":[1.5]}}',
];

/** What a client sends that wants commands out of band. */
const OUT_OF_BAND = [
  '{"execute":"qmp_capabilities","arguments":{"enable":["oob","x"]}}',
  '{"exec-oob":"query-name","id":1}',
  '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":1}',
  '{"exec-oob":"query-name","id":1}',
  '{"exec-oob":"query-name"}',
  '{"exec-oob":"nope","id":2}',
  '{"exec-oob":7,"id":2}',
  '{"exec-oob":"query-name","execute":"query-name","id":1}',
  '{"exec-oob":"query-name","arguments":{"x":1},"id":1}',
  '{"execute":"query-status","arguments":{"x":1},"id":1}',
];

/** What is sent afterwards: each is answered once, with the same error. */
const WRONG: readonly string[] = [
  '{"execute":"qmp_capabilities"}',
  '{"execute":"nope"}',
  '{"execute":"nope","id":"é\\u00e9\\ud83d\\ude00"}',
  '{"execute":"nope","id":[1,-2,3.5,true,null,{"a":{}},"x"]}',
  '{"execute":"nope","id":9223372036854775807}',
  '{"execute":"nope","id":18446744073709551615}',
  '{"execute":"nope","id":-9223372036854775808}',
  '{"execute":"getfd","arguments":{"fdname":"x"}}'.replace("getfd", "no-fd"),
  '{"execute":7}',
  "{}",
  '{"arguments":{}}',
  '{"id":3}',
  '{"execute":"query-status","arguments":[]}',
  '{"execute":"query-status","arguments":{"a":1}}',
  '{"execute":"query-status","extra":1}',
  '{"execute":"query-status","exec-oob":"query-status"}',
  '{"exec-oob":"query-status"}',
  "[]",
  "5",
  '"text"',
  "null ",
  "true\n",
  "{'execute':'nope','id':'single \"quotes\"'}",
  "{'execute':'nope','id':'it\\'s'}",
  "nonsense\n",
  "{]",
  "[}",
  "}",
  "]",
  ",",
  ":",
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{"a":1 "b":2}',
  "{1:2}",
  "{[]:2}",
  "[1,]",
  "[1 2]",
  "[,]",
  '{"a":1,"a":2}',
  '{"a":[1,2,{"b":nul}]}',
  '{"a":"\\x"}',
  '{"a":"\\u12"}',
  '{"a":"\\ud800"}',
  '{"a":"\\ud800\\u0041"}',
  '{"a":"\\udc00"}',
  '{"a":"\\uffff"}',
  "[01]",
  "[1.]\n",
  "[-]\n",
  "[1e]\n",
  "[+1]\n",
  "[.5]\n",
  "[1.5e+3x]\n",
  '{"a":"line\nbreak"}\n'.replace("}", ""),
  "%\n",
  "\x01\n",
  '{"execute":"nope","id":"\\u0000"}',
  '{"execute":"screendump"}',
  '{"execute":"screendump","arguments":{"filename":null}}',
  '{"execute":"screendump","arguments":{"filename":["x"]}}',
  '{"execute":"screendump","arguments":{"filename":"x","head":1.5}}',
  '{"execute":"screendump","arguments":{"filename":"x","head":1.0}}',
  '{"execute":"screendump","arguments":{"filename":"x","head":18446744073709551615}}',
  '{"execute":"screendump","arguments":{"filename":"x","head":"1"}}',
  '{"execute":"screendump","arguments":{"filename":"x","head":0}}',
  '{"execute":"screendump","arguments":{"filename":"x","format":"jpg"}}',
  '{"execute":"screendump","arguments":{"filename":"x","format":1}}',
  '{"execute":"screendump","arguments":{"filename":"x","y":1}}',
  '{"execute":"screendump","arguments":{"filename":"/no/such/folder/x"}}',
  '{"execute":"screendump","arguments":{"filename":"/"}}',
  '{"execute":"send-key"}',
  '{"execute":"send-key","arguments":{"keys":1}}',
  '{"execute":"send-key","arguments":{"keys":[1]}}',
  '{"execute":"send-key","arguments":{"keys":[{}]}}',
  '{"execute":"send-key","arguments":{"keys":[{"type":"qcode"}]}}',
  '{"execute":"send-key","arguments":{"keys":[{"type":"x","data":1}]}}',
  '{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"x1"}]}}',
  '{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"a","b":1}]}}',
  '{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"a"},{"type":"number","data":"a"}]}}',
  '{"execute":"input-send-event","arguments":{"events":[{"type":"key","data":{"down":1}}]}}',
  '{"execute":"input-send-event","arguments":{"events":[{"type":"key","data":{"key":{"type":"qcode","data":"a"},"down":1}}]}}',
  '{"execute":"eject"}',
  '{"execute":"eject","arguments":{"device":"a","id":"b"}}',
  '{"execute":"eject","arguments":{"device":"no-such"}}',
  '{"execute":"eject","arguments":{"device":"no-such","force":"yes"}}',
  '{"execute":"blockdev-open-tray","arguments":{"device":"no-such"}}',
  '{"execute":"blockdev-change-medium","arguments":{"device":"no-such","filename":"/x"}}',
  '{"execute":"blockdev-change-medium","arguments":{"id":"no-such"}}',
  '{"execute":"system_wakeup"}',
  '{"execute":"query-balloon"}',
  '{"execute":"balloon","arguments":{"value":1}}',
  '{"execute":"balloon","arguments":{"value":"1"}}',
  '{"execute":"device_add","arguments":{}}',
  '{"execute":"device_add","arguments":{"driver":"nope","x":1}}',
  '{"execute":"device_add","arguments":{"driver":"e1000","bus":"nope"}}',
  '{"execute":"device_del","arguments":{"id":"nope"}}',
  '{"execute":"device_del","arguments":{"id":null}}',
  '{"execute":"object-del","arguments":{"id":"nope"}}',
  '{"execute":"netdev_del","arguments":{"id":"nope"}}',
  '{"execute":"chardev-remove","arguments":{"id":"nope"}}',
  '{"execute":"chardev-remove","arguments":{"id":"serial0"}}',
  '{"execute":"add_client","arguments":{"protocol":"vnc","fdname":"nope"}}',
  '{"execute":"add_client","arguments":{"protocol":"vnc"}}',
  '{"execute":"getfd","arguments":{"fdname":"x"}}',
  '{"execute":"closefd","arguments":{"fdname":"x"}}',
  '{"execute":"add-fd"}',
  '{"execute":"remove-fd","arguments":{"fdset-id":1}}',
  '{"execute":"remove-fd","arguments":{"fdset-id":1,"fd":2}}',
  '{"execute":"change-vnc-password","arguments":{"password":"x"}}',
  '{"execute":"set_link","arguments":{"name":"nope","up":true}}',
  '{"execute":"block-job-cancel","arguments":{"device":"nope"}}',
  '{"execute":"block-job-pause","arguments":{"device":"nope"}}',
  '{"execute":"block-job-resume","arguments":{"device":"nope"}}',
  '{"execute":"block-job-complete","arguments":{"device":"nope"}}',
  '{"execute":"block-job-set-speed","arguments":{"device":"nope","speed":1}}',
  '{"execute":"query-vm-generation-id"}',
  '{"execute":"query-command-line-options","arguments":{"option":"nope"}}',
  '{"execute":"query-cpu-model-expansion","arguments":{"type":"full","model":{"name":"nope"}}}',
  '{"execute":"query-cpu-model-expansion","arguments":{"type":"x","model":{"name":"nope"}}}',
  '{"execute":"qom-set","arguments":{"path":"/no","property":"x","value":1}}',
  '{"execute":"qom-set","arguments":{"path":"/objects","property":"nope","value":1}}',
  '{"execute":"qom-set","arguments":{"path":"/objects","property":"nope"}}',
  '{"execute":"qom-list","arguments":{"path":"/no/such"}}',
  '{"execute":"qom-get","arguments":{"path":"/no","property":"type"}}',
  '{"execute":"qom-get","arguments":{"path":"/objects","property":"nope"}}',
  '{"execute":"qom-list-properties","arguments":{"typename":"nope"}}',
  '{"execute":"device-list-properties","arguments":{"typename":"nope"}}',
  '{"execute":"device-list-properties","arguments":{"typename":"container"}}',
  '{"execute":"memsave","arguments":{"val":0,"size":1,"filename":"/no/such/x"}}',
  '{"execute":"memsave","arguments":{"val":0,"size":1,"filename":"x","cpu-index":9}}',
  '{"execute":"pmemsave","arguments":{"val":0,"size":1,"filename":"/no/such/x"}}',
  '{"execute":"dump-guest-memory","arguments":{"protocol":"file:/x"}}',
  '{"execute":"dump-guest-memory","arguments":{"paging":false}}',
  ...[
    '"x"',
    '"file:/no/such/x"',
    '"fd:x"',
    '"file:/x","begin":1',
    '"file:/x","length":1',
    '"file:/x","begin":0,"length":0',
    '"file:/x","format":"kdump-lzo"',
    '"file:/x","format":"nope"',
  ].map((rest) =>
    `{"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":${rest}}}`
  ),
  '{"execute":"job-dismiss","arguments":{"id":"none"}}',
  '{"execute":"job-cancel","arguments":{"id":"none"}}',
  '{"execute":"human-monitor-command","arguments":{"command-line":"info status","cpu-index":9}}',
];

/** All answers to a text, which a line's end and a question behind it end. */
async function answers(client: QmpClient, text: string): Promise<Message[]> {
  await client.send(`${text}\n{"execute":"query-name","id":"last"}`);
  const all: Message[] = [];
  for (;;) {
    const answer = await client.answer().catch((error) => {
      throw new Error(`${text}: ${error.message}`);
    });
    if (answer.id === "last") return all;
    all.push(answer);
  }
}

Deno.test("QMP: the format that an image was found to have is told", async () => {
  if (!hasTools) {
    console.log("skipped: QEMU's tools are not installed");
    return;
  }
  await withFolder(async (folder) => {
    // Each has its own: they would not share one.
    const drives = async (side: string): Promise<string[]> => {
      const [raw, qcow2] = [`${folder}/${side}.raw`, `${folder}/${side}.qcow2`];
      await Deno.writeFile(raw, new Uint8Array(1 << 20));
      await qemuImg("create", "-q", "-f", "qcow2", qcow2, "1M");
      return [raw, qcow2];
    };
    const [mine, theirs] = [await drives("rhea"), await drives("qemu")];
    const formats = async (client: QmpClient, of: string[]) => {
      const { return: blocks } = await client.execute("query-block");
      return of.map((file) => {
        const { inserted: { drv, image } } = blocks.find(
          ({ inserted }: Message) => inserted?.file === file,
        );
        return [drv, image.format];
      });
    };
    await withPair(
      async ({ rhea, qemu }) =>
        assertEquals(await formats(rhea, mine), await formats(qemu, theirs)),
      { drives: mine.map((file) => ({ file, if: "virtio" })) },
      theirs.flatMap((file) => ["-drive", `file=${file},if=virtio`]),
    );
  });
});

Deno.test("QMP: what is wrong is refused in QEMU's words", async () => {
  await withPair(async ({ rhea, qemu, path }) => {
    using earlyRhea = await QmpClient.connect(path, false);
    await using fresh = await freshQemu();
    if (fresh !== undefined) {
      for (const text of EARLY) {
        const [a, b] = [await earlyRhea.raw(text), await fresh.raw(text)];
        assertEquals(a, b, text);
      }
    }
    await using other = await freshQemu();
    using oob = await QmpClient.connect(path, false);
    if (other !== undefined) {
      for (const text of OUT_OF_BAND) {
        const [a, b] = [await oob.raw(text), await other.raw(text)];
        assertEquals(a, b, text);
      }
    }
    for (const text of WRONG) {
      assertEquals(await answers(rhea, text), await answers(qemu, text), text);
    }
  });
});

/** What random messages are made of. */
const PIECES = [
  ..."[]{}:,\"'\\ \n\t0aztf17-9.eE+%/u",
  '{"execute":',
  '"query-name"',
  '"nope"',
  '"arguments":',
  '"id":',
  '{"a":[1,{"b":null}]}',
  "true",
  "false",
  "null",
  "1.5e-3",
  "-0",
  "123456789012345678901234567890",
  '"\\u00e9"',
  '"\\ud83d\\ude00"',
  '"\\ud83d"',
  "'single'",
  "}",
  "}",
];

Deno.test("QMP: random messages are answered as QEMU answers them", async () => {
  await withPair(async ({ rhea, qemu }) => {
    const random = new Random(Number(Deno.env.get("RHEA_SEED") ?? 15));
    const texts = Array.from({ length: 400 }, () => {
      const length = 1 + random.below(12);
      let text = "";
      for (let i = 0; i < length; i++) {
        text += PIECES[random.below(PIECES.length)];
      }
      // A control character ends whatever was begun.
      return `${text}\x01`;
    });
    for (const text of texts) {
      assertEquals(
        withoutNames(await answers(rhea, text)),
        withoutNames(await answers(qemu, text)),
        JSON.stringify(text),
      );
    }
  });
});

/** Answers to `query-name`, which differ, are as good as none. */
function withoutNames(all: Message[]): Message[] {
  return all.map((answer) =>
    "return" in answer ? { ...answer, return: {} } : answer
  );
}

/** A client of another QEMU, that has not negotiated. */
async function freshQemu(): Promise<
  AsyncDisposable & { raw(text: string): Promise<Message> } | undefined
> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/fresh.sock`;
  const server = await QemuServer.start(folder, [
    "-qmp",
    `unix:${path},server=on,wait=off`,
  ]);
  if (server === undefined) return undefined;
  const client = await QmpClient.connect(path, false);
  return {
    raw: (text) => client.raw(text),
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("QMP: each event is of the type that QEMU's schema says", async () => {
  await withPair(async ({ machine, rhea, qemu, folder, path }) => {
    const theirs = await schemaOf(qemu);
    const seen = new Set<string>();
    const check = ({ event, data, timestamp }: Message): Message => {
      seen.add(event);
      assertEquals(theirs.problems(event, data ?? {}), []);
      assert(Number.isInteger(timestamp.seconds));
      assert(timestamp.microseconds >= 0 && timestamp.microseconds < 1e6);
      return data;
    };
    const done = async (name: string, args?: object): Promise<void> => {
      const { error } = await rhea.execute(name, args);
      assertEquals(error, undefined, name);
    };
    await done("stop");
    check(await rhea.event("STOP"));
    await done("cont");
    check(await rhea.event("RESUME"));
    await done("system_reset");
    assertEquals(check(await rhea.event("RESET")), {
      guest: false,
      reason: "host-qmp-system-reset",
    });
    await done("system_powerdown");
    check(await rhea.event("POWERDOWN"));
    const drive = { id: "ide.disk2" };
    await done("blockdev-open-tray", drive);
    assertEquals(check(await rhea.event("DEVICE_TRAY_MOVED")), {
      device: "ide.disk2",
      id: "ide.disk2",
      "tray-open": true,
    });
    await done("blockdev-close-tray", drive);
    check(await rhea.event("DEVICE_TRAY_MOVED"));
    const job = { "job-id": "job0", tag: "one", vmstate: "", devices: [] };
    await done("snapshot-save", job);
    const states: string[] = [];
    while (states.at(-1) !== "concluded") {
      states.push(check(await rhea.event("JOB_STATUS_CHANGE")).status);
    }
    const { return: jobs } = await rhea.execute("query-jobs");
    assertEquals(jobs[0].error, undefined);
    assertEquals(states, [
      "created",
      "running",
      "waiting",
      "pending",
      "concluded",
    ]);
    assertEquals(
      theirs.problems("query-jobs", (await rhea.execute("query-jobs")).return),
      [],
    );
    const [viewer] = [
      await Deno.connect({
        port: vncPort((await rhea.execute("query-vnc")).return),
      }),
    ];
    const connected = check(await rhea.event("VNC_CONNECTED"));
    assertEquals(connected.client.host, "127.0.0.1");
    // Version, no security, shared.
    await viewer.write(new TextEncoder().encode("RFB 003.008\n"));
    await viewer.write(new Uint8Array([1, 1]));
    check(await rhea.event("VNC_INITIALIZED"));
    for (const query of ["query-vnc", "query-vnc-servers"]) {
      const { return: answer } = await rhea.execute(query);
      assertEquals(theirs.problems(query, answer), []);
      assertEquals([answer].flat()[0].clients.length, 1);
    }
    viewer.close();
    check(await rhea.event("VNC_DISCONNECTED"));
    // The disk is gone under the guest's hands: what it reads next fails.
    machine.events.emit({
      type: "block-error",
      backend: "ide.disk0",
      operation: "read",
      error: new Error("Input/output error"),
    });
    check(await rhea.event("BLOCK_IO_ERROR"));
    machine.events.emit({ type: "rtc", device: "rtc", offset: -3600 });
    check(await rhea.event("RTC_CHANGE"));
    using other = await QmpClient.connect(path);
    await done("quit");
    for (const client of [rhea, other]) {
      assertEquals(check(await client.event("SHUTDOWN")), {
        guest: false,
        reason: "host-qmp-quit",
      });
    }
    assertEquals((await machine.wait()).reason, "quit");
    const mine = new Set(EVENT_NAMES);
    assertEquals(seen, mine);
    assert((await Deno.stat(`${folder}/one.rhea`)).size > 0);
  }, { vnc: "127.0.0.1::0", drives: [], floppy: [] });
});

/** All events that Rhea has. */
const EVENT_NAMES = [
  "STOP",
  "RESUME",
  "RESET",
  "POWERDOWN",
  "DEVICE_TRAY_MOVED",
  "JOB_STATUS_CHANGE",
  "VNC_CONNECTED",
  "VNC_INITIALIZED",
  "VNC_DISCONNECTED",
  "BLOCK_IO_ERROR",
  "RTC_CHANGE",
  "SHUTDOWN",
];

function vncPort({ service }: Message): number {
  return Number(service);
}
