/** QMP with a guest that runs: what commands do, and what clients cannot do. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { decode } from "fast-png";
import { QmpServerError } from "../../mod.ts";
import { parsePpm } from "../pixels.ts";
import { Random } from "../random.ts";
import { runTo, stateDifferences, stateOf } from "../snapshot/exact.ts";
import { type Message, QmpClient } from "./client.ts";
import { COUNTS, Guest, TYPES } from "./rhea.ts";

/** An answer that is no error. */
async function ok(
  client: QmpClient,
  name: string,
  args?: object,
): Promise<Message> {
  const { error, return: result } = await client.execute(name, args);
  assertEquals(error, undefined, name);
  return result;
}

/** Wait for a job to end; gives back what is known of it, and dismiss it. */
async function endOf(client: QmpClient, id: string): Promise<Message> {
  for (;;) {
    const { data } = await client.event("JOB_STATUS_CHANGE");
    if (data.id === id && data.status === "concluded") break;
  }
  const jobs: Message[] = (await client.execute("query-jobs")).return;
  await ok(client, "job-dismiss", { id });
  assertEquals((await client.execute("query-jobs")).return, []);
  return jobs.find((job) => job.id === id)!;
}

/** What a guest has counted to. */
function counted(guest: Guest): number {
  return guest.machine.space("memory").read(0x500, 4);
}

/** Wait until it counts. */
async function untilItCounts(guest: Guest): Promise<void> {
  const start = counted(guest);
  while (counted(guest) === start) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("QMP: a guest stands still, goes on, is reset and ended", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  assertEquals((await ok(client, "query-status")).status, "prelaunch");
  const run = guest.machine.run();
  await untilItCounts(guest);
  await ok(client, "stop");
  assertEquals((await ok(client, "query-status")).status, "paused");
  const count = counted(guest);
  const time = guest.machine.clock.now();
  for (let i = 0; i < 20; i++) await ok(client, "query-status");
  assertEquals([counted(guest), guest.machine.clock.now()], [count, time]);
  // A reset is done at once, and nothing runs after it.
  await ok(client, "system_reset");
  await client.event("RESET");
  assertEquals((await ok(client, "query-status")).status, "paused");
  await ok(client, "cont");
  await untilItCounts(guest);
  await ok(client, "stop");
  await ok(client, "quit");
  await client.event("SHUTDOWN");
  assertEquals((await run).reason, "quit");
  await guest.machine.stop();
  assertEquals(await client.next(), undefined);
  await assertRejects(() => Deno.lstat(guest.path), Deno.errors.NotFound);
});

Deno.test("QMP: a reset is the end where a client has said so", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  const { machine } = guest;
  machine.start();
  await ok(client, "set-action", { reboot: "shutdown" });
  await ok(client, "set-action", { panic: "none" });
  await ok(client, "system_reset");
  assertEquals((await machine.wait()).reason, "reset");
});

Deno.test("QMP: keys reach the guest", async () => {
  await using guest = await Guest.of(TYPES);
  using client = await guest.serve();
  guest.machine.start();
  const serial = guest.machine.serial(0);
  const qcode = (data: string) => ({ type: "qcode", data });
  // The BIOS asks for no key before it starts the guest.
  while (!serial.output.includes("a")) {
    await ok(client, "send-key", { keys: [qcode("a")], "hold-time": 10 });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await ok(client, "send-key", {
    keys: [qcode("shift"), { type: "number", data: 0x30 }],
    "hold-time": 10,
  });
  await ok(client, "send-key", { keys: [qcode("d")], "hold-time": 10 });
  // Shift was released before the next key.
  await serial.expect("Bd");
  const key = (data: string, down: boolean) => ({
    type: "key",
    data: { down, key: qcode(data) },
  });
  await ok(client, "input-send-event", {
    events: [key("c", true), key("c", false), key("lf", true)],
  });
  await serial.expect("c");
  await ok(client, "stop");
  assertEquals(
    (await client.execute("input-send-event", { events: [] })).error.desc,
    "VM not running",
  );
});

Deno.test("QMP: the screen and memory are written to files", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  guest.machine.start();
  await untilItCounts(guest);
  await ok(client, "stop");
  const file = (name: string): string => `${guest.folder}/${name}`;
  await ok(client, "screendump", { filename: file("a.ppm") });
  await ok(client, "screendump", {
    filename: file("a.png"),
    format: "png",
    device: "vga",
  });
  const { width, height, pixels } = guest.machine.screenshot();
  const ppm = parsePpm(await Deno.readFile(file("a.ppm")));
  const png = decode(await Deno.readFile(file("a.png")));
  assertEquals([ppm.width, ppm.height], [width, height]);
  assertEquals([png.width, png.height], [width, height]);
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = pixels[4 * i + 2 - c];
  }
  const raw = (await Deno.readFile(file("a.ppm"))).slice(-rgb.length);
  assert(raw.every((byte, i) => byte === rgb[i]), "the colours");
  assert(png.data.length % rgb.length === 0);
  // Paging is off: the guest's addresses are those of memory.
  const BEHIND = 0x100000;
  guest.machine.space("memory").write(BEHIND, 4, 0xfeedface);
  for (const command of ["pmemsave", "memsave"]) {
    const size = 2 << 20;
    const filename = file(command);
    await ok(client, command, { val: 0x400, size, filename });
    const bytes = await Deno.readFile(filename);
    assertEquals(bytes.length, size);
    const view = new DataView(bytes.buffer);
    assertEquals(view.getUint32(0x100, true), counted(guest));
    // What is behind the screen's memory is there, too.
    assertEquals(view.getUint32(BEHIND - 0x400, true), 0xfeedface);
  }
  // Of where there is no memory there is a hole, and soon.
  const hole = { val: 2 ** 31, size: 2 ** 31, filename: file("hole") };
  await ok(client, "pmemsave", hole);
  const { size, blocks } = await Deno.stat(hole.filename);
  assertEquals([size, blocks! < 10_000], [2 ** 31, true]);
  const wrong = { val: 2 ** 41, size: 1, filename: file("x") };
  assertMatch(
    (await client.execute("pmemsave", wrong)).error.desc,
    /^Invalid addr 0x0000020000000000\/size 1 specified$/,
  );
});

Deno.test("QMP: memory is dumped while the guest stands still, one dump at a time", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  guest.machine.start();
  const core = `${guest.folder}/core`;
  const dump = (file: string, more: object = {}) =>
    client.execute("dump-guest-memory", {
      paging: false,
      protocol: `file:${file}`,
      ...more,
    });
  assertEquals((await dump(core, { detach: true })).error, undefined);
  assertEquals(
    (await dump(core)).error.desc,
    "There is a dump in process, please wait.",
  );
  const { data } = await client.event("DUMP_COMPLETED");
  assertEquals(data.result.status, "completed");
  assertEquals(data.result.completed, data.result.total);
  assertEquals(await ok(client, "query-dump"), data.result);
  assertEquals(
    client.events.map(({ event }) => event).filter((name) => name === "STOP"),
    ["STOP"],
  );
  await client.event("RESUME");
  const bytes = await Deno.readFile(core);
  assertEquals(bytes.slice(0, 4), Uint8Array.of(0x7f, 0x45, 0x4c, 0x46));
  assert(bytes.length > data.result.total);

  const failed = await dump("/dev/full");
  assertMatch(failed.error.desc, /^dump: failed to save memory: .*space/);
  const told = await client.event("DUMP_COMPLETED");
  assertEquals(told.data.result.status, "failed");
  assertEquals(told.data.error, failed.error.desc);
  assertEquals((await ok(client, "query-dump")).status, "failed");
  assertEquals((await ok(client, "query-status")).status, "running");
});

Deno.test("QMP: media are changed, and a drive that is locked is not", async () => {
  await using guest = await Guest.of(COUNTS, {
    set: ["devices.ide.config.disk2.kind=cdrom"],
  });
  const { machine, folder } = guest;
  using client = await guest.serve();
  machine.start();
  await untilItCounts(guest);
  const disc = `${folder}/disc,with a comma`;
  await Deno.writeFile(disc, new Uint8Array(65536));
  const id = "ide.disk2";
  const look = async (): Promise<Message> => {
    const all: Message[] = (await client.execute("query-block")).return;
    return all.find(({ qdev }) => qdev === id)!;
  };
  assertEquals((await look()).inserted, undefined);
  await ok(client, "blockdev-change-medium", { id, filename: disc });
  const { inserted, tray_open, locked } = await look();
  assertEquals([inserted.file, inserted.ro, tray_open, locked], [
    disc,
    true,
    false,
    false,
  ]);
  assertEquals(inserted.image["virtual-size"], 65536);
  const refused = async (name: string, args: object): Promise<string> => {
    const { error } = await client.execute(name, { id, ...args });
    return error?.desc ?? `${name} ${JSON.stringify(args)} was done`;
  };
  assertMatch(
    await refused("blockdev-change-medium", { filename: `${folder}/none` }),
    /none/,
  );
  assertMatch(
    await refused("blockdev-change-medium", { filename: disc, format: "x" }),
    /^Unknown driver 'x'$/,
  );
  assertEquals((await look()).inserted.file, disc);
  assertMatch(await refused("blockdev-remove-medium", {}), /is not open$/);
  lock(guest);
  assertMatch(await refused("eject", {}), /is locked and force was not/);
  await ok(client, "blockdev-open-tray", { id });
  assertEquals((await look()).tray_open, false);
  await ok(client, "blockdev-open-tray", { id, force: true });
  assertEquals((await look()).tray_open, true);
  await ok(client, "blockdev-remove-medium", { id });
  assertEquals((await look()).inserted, undefined);
  await ok(client, "blockdev-change-medium", { device: id, filename: disc });
  await ok(client, "eject", { id });
  // The tray stays open, as with QEMU.
  assertEquals([(await look()).inserted, (await look()).tray_open], [
    undefined,
    true,
  ]);
  await ok(client, "blockdev-close-tray", { id });
  assertEquals((await look()).tray_open, false);
  await ok(client, "blockdev-change-medium", { id, filename: disc });
  const moves = client.events.filter(({ event }) =>
    event === "DEVICE_TRAY_MOVED"
  );
  assertEquals(moves.map(({ data }) => data["tray-open"]), [
    ...[true, false],
    ...[true, false],
    ...[true, false],
    ...[true, false],
  ]);
  assertEquals(
    (await client.execute("eject", { id: "ide.disk0" })).error.class,
    "DeviceNotFound",
  );
});

/** The guest's disc drive keeps its disc: PREVENT ALLOW MEDIUM REMOVAL. */
function lock({ machine }: Guest): void {
  const ports = machine.space("ports");
  // The first packet after a change of discs is only told of that.
  for (let tries = 0; tries < 2; tries++) {
    ports.write(0x176, 1, 0xa0);
    ports.write(0x177, 1, 0xa0);
    for (const word of [0x1e, 0, 1, 0, 0, 0]) ports.write(0x170, 2, word);
  }
}

Deno.test("QMP: snapshots are jobs", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  guest.machine.start();
  await untilItCounts(guest);
  await ok(client, "stop");
  const count = counted(guest);
  const args = (id: string) => ({
    "job-id": id,
    tag: "first",
    vmstate: "",
    devices: [],
  });
  await ok(client, "snapshot-save", args("save"));
  assertEquals((await endOf(client, "save")).error, undefined);
  await ok(client, "cont");
  await untilItCounts(guest);
  await ok(client, "stop");
  assert(counted(guest) !== count);
  await ok(client, "snapshot-load", args("load"));
  const loaded = await endOf(client, "load");
  assertEquals([loaded.error, counted(guest)], [undefined, count]);
  // As QEMU's schema says, that the machine was reset for it is not told.
  await ok(client, "system_reset");
  const { data } = await client.event("RESET");
  assertEquals(data.reason, "host-qmp-system-reset");
  await ok(client, "snapshot-save", args("over"));
  assertMatch((await endOf(client, "over")).error, /first.* already/);
  await ok(client, "snapshot-load", args("still"));
  assertEquals((await endOf(client, "still")).error, undefined);
  assertEquals(counted(guest), count);
  const { vmstate: _, ...rest } = args("delete");
  await ok(client, "snapshot-delete", rest);
  assertEquals((await endOf(client, "delete")).error, undefined);
  await ok(client, "snapshot-load", args("again"));
  assertMatch((await endOf(client, "again")).error, /first/);
  for (const tag of ["../x", "/etc/x", "", "x.rhea"]) {
    const { error } = await client.execute("snapshot-save", {
      ...args("bad"),
      tag,
    });
    assertMatch(error.desc, /is not a name/);
  }
  assertMatch(
    (await client.execute("snapshot-save", args("1bad"))).error.desc,
    /^Invalid job ID '1bad'$/,
  );
});

Deno.test("QMP: that the guest sets the date is told, once a second at most", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  const { machine } = guest;
  machine.start();
  await untilItCounts(guest);
  await ok(client, "stop");
  const ports = machine.space("ports");
  const cmos = (index: number, value?: number): number => {
    ports.write(0x70, 1, index);
    if (value !== undefined) ports.write(0x71, 1, value);
    return ports.read(0x71, 1);
  };
  // The year in BCD, from this one to the next ones.
  const year = cmos(9);
  const day = 24 * 3600;
  for (let later = 1; later <= 3; later++) {
    cmos(9, year & 0xf0 | ((year & 15) + later) % 10);
  }
  const [first, second] = [
    await client.event("RTC_CHANGE"),
    await client.event("RTC_CHANGE"),
  ];
  assertEquals(first.data["qom-path"], "/machine/peripheral/rtc");
  assert(Math.abs(first.data.offset) >= 365 * day - 1, "a year");
  assert(second.data.offset !== first.data.offset, "the last one");
  await ok(client, "query-status");
  assertEquals(
    client.events.filter(({ event }) => event === "RTC_CHANGE"),
    [],
  );
});

Deno.test("QMP: each of several clients gets its own answers, and all events", async () => {
  await using guest = await Guest.of(COUNTS);
  using first = await guest.serve();
  guest.machine.start();
  const clients = [first];
  for (let i = 0; i < 7; i++) clients.push(await QmpClient.connect(guest.path));
  await Promise.all(clients.map(async (client, i) => {
    const texts: string[] = [];
    for (let n = 0; n < 50; n++) {
      texts.push(`{"execute":"query-status","id":[${i},${n}]}`);
    }
    await client.send(texts.join(""));
    for (let n = 0; n < 50; n++) {
      assertEquals((await client.answer()).id, [i, n]);
    }
  }));
  await ok(first, "stop");
  for (const client of clients) await client.event("STOP");
  for (const client of clients) client[Symbol.dispose]();
});

Deno.test("QMP: who does not read events is hung up on, and who does not read answers is not read from", async () => {
  await using guest = await Guest.of(COUNTS);
  const server = await guest.machine.serveQmp(`unix:${guest.path}`);
  guest.machine.start();
  using deaf = await QmpClient.connect(guest.path);
  using greedy = await QmpClient.connect(guest.path);
  assertEquals(server.clients, 2);
  // The second one asks and asks: at some point the socket takes no more.
  const question = '{"execute":"query-qmp-schema"}'.repeat(1000);
  const asked = greedy.send(question.repeat(20)).catch(() => {});
  let events = 0;
  while (server.clients > 0) {
    guest.machine.events.emit({ type: "powerdown" });
    if (++events % 100 === 0) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert(events < 200_000, "somebody holds what nobody reads");
  }
  await asked;
  assertEquals((await deaf.event("POWERDOWN")).event, "POWERDOWN");
  using other = await QmpClient.connect(guest.path);
  await ok(other, "query-status");
});

Deno.test("QMP: a guest does not notice what clients do", async () => {
  const END = 6e9;
  const options = { icount: true } as const;
  await using alone = await Guest.of(COUNTS, options);
  await runTo(alone.machine, END);
  await using watched = await Guest.of(COUNTS, options);
  using client = await watched.serve();
  let isOver = false;
  const run = runTo(watched.machine, END).then(() => isOver = true);
  assert(await harass(watched, client, () => isOver) > 4);
  await run;
  assertEquals(
    stateDifferences(stateOf(watched.machine), stateOf(alone.machine)),
    [],
  );
  assert(counted(alone) > 1_000_000);
});

/**
 * Clients that break the protocol, and one that asks, while the guest runs a
 * little between two stops; gives back how often.
 */
async function harass(
  { path, folder }: Guest,
  client: QmpClient,
  isOver: () => boolean,
): Promise<number> {
  const random = new Random(20260715);
  let rounds = 0;
  for (; rounds < 12 && !isOver(); rounds++) {
    const rubbish = new Uint8Array(random.below(5000));
    for (let i = 0; i < rubbish.length; i++) rubbish[i] = random.below(256);
    const attacks: (string | Uint8Array)[] = [
      rubbish,
      '{"execute":'.repeat(3000),
      "[".repeat(20_000),
      `"${"x".repeat(40_000)}`,
      `[${"1,".repeat(20_000)}1]`,
      '{"execute":"query-status"}'.repeat(50),
    ];
    // While it runs each wait for a socket is one of many turns of the loop.
    await ok(client, "stop");
    const rude = await QmpClient.connect(path, false);
    const attack = rude.send(attacks[rounds % attacks.length]);
    if (rounds % 2 === 0) await attack.catch(() => {});
    for (const command of ["query-status", "query-pci", "query-qmp-schema"]) {
      await client.execute(command);
    }
    await client.execute("qom-list", { path: "x/".repeat(10_000) });
    await client.execute("cont");
    await client.execute("screendump", { filename: `${folder}/s.ppm` });
    await attack.catch(() => {});
    rude[Symbol.dispose]();
  }
  return rounds;
}

Deno.test("QMP: places where it can listen, and where not", async () => {
  await using guest = await Guest.of(COUNTS);
  const { machine, folder } = guest;
  const server = await machine.serveQmp("tcp:127.0.0.1:0,server=on,wait=off");
  assert("port" in server.address && server.address.port > 0);
  for (
    const place of [
      "udp:1:2",
      "tcp:1",
      "tcp::99999",
      "unix:",
      "unix:/x,server=off",
      "unix:/x,wait=on",
      "unix:/x,colour=red",
      "unix:/x,__proto__=1",
    ]
  ) {
    await assertRejects(() => machine.serveQmp(place), QmpServerError);
  }
  const socket = `${folder}/a.sock`;
  await machine.serveQmp(`unix:${socket},server=on,wait=off`);
  await assertRejects(
    () => machine.serveQmp(`unix:${socket}`),
    Error,
    "Cannot listen at",
  );
  // A file is not taken away, an abandoned socket is.
  await Deno.writeTextFile(`${folder}/file`, "mine");
  await assertRejects(() => machine.serveQmp(`unix:${folder}/file`));
  assertEquals(await Deno.readTextFile(`${folder}/file`), "mine");
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `Deno.listen({transport:"unix",path:"${folder}/old.sock"});Deno.exit(3)`,
    ],
  }).output();
  assertEquals(code, 3);
  await machine.serveQmp(`unix:${folder}/old.sock`);
});

Deno.test("QMP: lines without an end of many clients take no more than some memory", async () => {
  await using guest = await Guest.of(COUNTS);
  using client = await guest.serve();
  const piece = new Uint8Array(1 << 20).fill(0x61);
  const place = { transport: "unix", path: guest.path } as const;
  const connections = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const connection = await Deno.connect(place);
      const greeting = new Uint8Array(4096);
      assert(await connection.read(greeting) !== null);
      return connection;
    }),
  );
  const isSent = await Promise.all(connections.map(async (connection) => {
    try {
      await connection.write(new TextEncoder().encode('{"execute":"'));
      for (let n = 0; n < 60; n++) {
        for (let done = 0; done < piece.length;) {
          done += await connection.write(piece.subarray(done));
        }
      }
      return true;
    } catch {
      return false;
    }
  }));
  let left = 0;
  for (const [i, connection] of connections.entries()) {
    try {
      if (!isSent[i]) continue;
      await connection.write(new TextEncoder().encode('"}'));
      const answer = new Uint8Array(4096);
      if (await connection.read(answer) !== null) left++;
    } catch {
      // It was hung up on.
    } finally {
      connection.close();
    }
  }
  assert(left >= 1 && left <= 4, `${left} are left`);
  assertEquals((await client.execute("query-status")).error, undefined);
});
