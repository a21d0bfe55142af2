import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeMachine } from "../../../tests/gdb/fake_machine.ts";
import { fromHex, textToHex } from "./packet.ts";
import type { ReverseDebugger, ReverseStop } from "./reverse.ts";
import { Seat } from "./seat.ts";
import { Session } from "./session.ts";
import type { GdbTarget } from "./target.ts";

/** A machine, a session with it, and what the session has sent by itself. */
function make(more: Partial<GdbTarget> = {}) {
  const machine = new FakeMachine();
  const sent: string[] = [];
  const asked: string[] = [];
  const target: GdbTarget = {
    debug: () => machine,
    reset: () => asked.push("reset"),
    kill: () => asked.push("kill"),
    ...more,
  };
  const seat = new Seat(target);
  const session = new Session(seat, (packet) => {
    sent.push(packet);
    return Promise.resolve();
  });
  const ask = (packet: string) => session.handle(packet);
  return { machine, seat, session, sent, asked, ask };
}

const FEATURES = "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+";

Deno.test("session: what it offers follows what the client has", async () => {
  const { ask } = make();
  assertEquals(
    await ask(FEATURES),
    "PacketSize=10000;QStartNoAckMode+;qXfer:features:read+;vContSupported+;" +
      "binary-upload+;multiprocess+;swbreak+;hwbreak+",
  );
  assertEquals(await ask("?"), "T05thread:p01.01;");
  const plain = make();
  assert(!(await plain.ask("qSupported"))!.includes("break"));
  assertEquals(await plain.ask("?"), "T05thread:01;");
});

Deno.test("session: the target description, in parts", async () => {
  const { ask } = make();
  let xml = "";
  for (;;) {
    const at = xml.length.toString(16);
    const part = await ask(`qXfer:features:read:target.xml:${at},40`);
    xml += part!.slice(1);
    if (part![0] === "l") break;
    assertEquals(part![0], "m");
    assertEquals(part!.length, 0x41);
  }
  assertMatch(xml, /<architecture>fake<\/architecture>/);
  assertMatch(
    xml,
    /<reg name="wide" bitsize="128" type="uint128" regnum="2" group="vector"\/>/,
  );
  assertEquals(await ask("qXfer:features:read:other.xml:0,40"), "E00");
  assertEquals(await ask("qXfer:features:read:target.xml:ffff,40"), "E22");
  assertEquals(await ask("qXfer:features:read:target.xml:-1,40"), "E22");
  assertEquals(await ask("qXfer:memory-map:read::0,40"), "");
});

Deno.test("session: registers, all and one", async () => {
  const { ask, machine } = make();
  assertEquals(await ask("P0=78563412"), "OK");
  assertEquals(await ask("p0"), "78563412");
  assertEquals(await ask("g"), `78563412${"0".repeat(40)}`);
  assertEquals(await ask(`G01000000${"02".repeat(20)}`), "OK");
  assertEquals(machine.cpus[0].registers.read("wide")[15], 2);
  // What the CPU does not take.
  assertEquals(await ask("P0=000000ff"), "E.a is small");
  assertEquals(await ask("p0"), "01000000");
  for (
    const bad of ["p3", "p", "pxyz", "P0", "P0=", "P0=00", "P9=00", "G00", "Gx"]
  ) {
    assertEquals(await ask(bad), "E22", bad);
  }
});

Deno.test("session: memory, in hexadecimal and as it is", async () => {
  const { ask, machine } = make();
  assertEquals(await ask("M100,3:010203"), "OK");
  assertEquals(await ask("X103,2:\x7d\x00"), "OK");
  assertEquals(await ask("m100,5"), "0102037d00");
  assertEquals(await ask("x100,5"), "b\x01\x02\x03\x7d\x00");
  assertEquals(await ask("X100,0:"), "OK");
  assertEquals(await ask("m100,0"), "");
  // The end of memory.
  assertEquals(await ask("mfffe,4"), "0000");
  assertEquals(await ask("m10000,4"), "E14");
  assertEquals(await ask("Mfffe,4:01020304"), "E14");
  // More than an answer holds.
  machine.memory.fill(0xee);
  const most = await ask("m0,ffffffff");
  assertMatch(most!, /^(ee)+$/);
  assert(most!.length < 0x10000);
  for (const bad of ["m", "m1", "m1,2,3", "mx,1", "M1,1:", "M1,1", "X1,2:a"]) {
    assertEquals(await ask(bad), "E22", bad);
  }
  assertEquals(await ask("m10000000000000000,1"), "E14");
});

Deno.test("session: memory by physical address", async () => {
  const { ask } = make();
  assertEquals(await ask("qqemu.PhyMemMode"), "0");
  assertEquals(await ask("Qqemu.PhyMemMode:1"), "OK");
  assertEquals(await ask("qqemu.PhyMemMode"), "1");
  assertEquals(await ask("M200,1:55"), "OK");
  assertEquals(await ask("m200,1"), "55");
  // Beyond what a number says exactly.
  assertEquals(await ask("mffffffffffffffff,1"), "E14");
  assertEquals(await ask("Qqemu.PhyMemMode:x"), "E22");
  assertEquals(
    await ask("qqemu.sstepbits"),
    "ENABLE=1,NOIRQ=2,NOTIMER=4",
  );
  assertEquals(await ask("qqemu.sstep"), "0x1");
  assertEquals(await ask("Qqemu.sstep=7"), "OK");
  assertEquals(await ask("qqemu.sstep"), "0x7");
  for (const wrong of ["8", "x", "", "0x", "-1", "7:"]) {
    assertEquals(await ask(`Qqemu.sstep=${wrong}`), "E22", wrong);
  }
});

Deno.test("session: threads are CPUs", async () => {
  const { ask, machine } = make();
  await ask(FEATURES);
  assertEquals(await ask("qfThreadInfo"), "mp01.01,p01.02");
  assertEquals(await ask("qsThreadInfo"), "l");
  assertEquals(await ask("qC"), "QCp01.01");
  assertEquals(
    await ask("qThreadExtraInfo,p1.2"),
    textToHex("CPU#1 [halted ]"),
  );
  assertEquals(
    await ask("qThreadExtraInfo,p1.1"),
    textToHex("CPU#0 [running]"),
  );
  assertEquals(await ask("Tp1.2"), "OK");
  assertEquals(await ask("Tp1.3"), "E22");
  assertEquals(await ask("Tp2.1"), "E22");
  assertEquals(await ask("Hgp1.2"), "OK");
  assertEquals(await ask("P0=07000000"), "OK");
  assertEquals(machine.cpus[1].registers.read("a")[0], 7);
  assertEquals(machine.cpus[0].registers.read("a")[0], 0);
  for (const bad of ["H", "Hx1", "Hgp1.9", "Hgp", "T", "qThreadExtraInfo,9"]) {
    assertEquals(await ask(bad), "E22", bad);
  }
});

Deno.test("session: breakpoints, and how a stop at one is told", async () => {
  const { ask, machine } = make();
  await ask(FEATURES);
  assertEquals(await ask("Z0,20,1"), "OK");
  assertEquals(await ask("Z0,20,1"), "OK");
  assertEquals(machine.breakpoints, new Map([[0x20, 1]]));
  assertEquals(await ask("vCont;c"), "T05thread:p01.01;swbreak:;");
  assertEquals(await ask("Z1,30,1"), "OK");
  assertEquals(await ask("c"), "T05thread:p01.01;hwbreak:;");
  assertEquals(await ask("p1"), "30000000");
  assertEquals(await ask("z1,30,1"), "OK");
  assertEquals(await ask("z1,30,1"), "OK");
  assertEquals(machine.breakpoints, new Map([[0x20, 1]]));
  // A client that begins has none.
  await ask("?");
  assertEquals(machine.breakpoints.size, 0);
  assertEquals(await ask("Z5,1,1"), "");
  for (const bad of ["Z0", "Z0,1", "Z0,x,1", "Z0,1,1;X1,0", "Z2,1,0"]) {
    assertMatch((await ask(bad))!, /^E/, bad);
  }
  assertMatch((await ask("Z2,1,100001"))!, /^E\./);
});

Deno.test("session: there is an end of breakpoints", async () => {
  const { ask, machine } = make();
  for (let n = 0; n < 4096; n++) await ask(`Z0,${n.toString(16)},1`);
  assertMatch((await ask("Z0,ffff,1"))!, /^E\./);
  assertEquals(machine.breakpoints.size, 4096);
});

Deno.test("session: a stop says which kind of watchpoint it was", async () => {
  for (const [type, name] of [[2, "watch"], [4, "awatch"]] as const) {
    const { ask, machine } = make();
    await ask(FEATURES);
    assertEquals(await ask(`Z${type},7ffe,4`), "OK");
    assertEquals(await ask("vCont;c"), `T05thread:p01.01;${name}:8000;`);
    assertEquals(await ask("s"), `T05thread:p01.01;${name}:8000;`);
    assertEquals(await ask(`z${type},7ffe,4`), "OK");
    assertEquals(machine.watchpoints.size, 0);
  }
});

Deno.test("session: steps, of one CPU and of all, from where it is told", async () => {
  const { ask, machine } = make();
  const pcs = () => machine.cpus.map(({ pc }) => pc);
  await ask(FEATURES);
  assertEquals(await ask("vCont;s:p1.1"), "T05thread:p01.01;");
  assertEquals(pcs(), [1, 0]);
  // CPU 1 waits, and goes on waiting.
  assertEquals(await ask("vCont;s:p1.1;c"), "T05thread:p01.01;");
  assertEquals(pcs(), [2, 0]);
  assertEquals(await ask("vCont;s:p1.2;c:p1.1"), "T05thread:p01.02;");
  assertEquals(pcs(), [3, 1]);
  await ask("Hgp1.1");
  assertEquals(await ask("s40"), "T05thread:p01.01;");
  assertEquals(pcs()[0], 0x41);
  assertEquals(await ask("vCont;r40,48:p1.1"), "T05thread:p01.01;");
  assertEquals(pcs()[0], 0x48);
  // A breakpoint within the range ends it.
  await ask("Z0,4c,1");
  assertEquals(await ask("vCont;r48,50:p1.1"), "T05thread:p01.01;");
  assertEquals(pcs()[0], 0x4c);
  assertEquals(await ask("S05"), "T05thread:p01.01;");
  assertEquals(await ask("C05;4b"), "T05thread:p01.01;swbreak:;");
  for (
    const bad of [
      "vCont;",
      "vCont;x",
      "vCont;c:p1.9",
      "vCont;t",
      "vCont;r1",
      "Sx",
      "sxyz",
    ]
  ) assertMatch((await ask(bad))!, /^E/, bad);
  assertEquals(await ask("vCont?"), "vCont;c;C;s;S;r");
});

Deno.test("session: one CPU alone goes on by steps, until it is told to stop", async () => {
  const { ask, machine, session } = make();
  await ask(FEATURES);
  await ask("Z0,100,1");
  assertEquals(await ask("vCont;c:p1.1"), "T05thread:p01.01;swbreak:;");
  assertEquals(machine.cpus[1].pc, 0);
  const running = ask("vCont;c:p1.2");
  setTimeout(() => session.interrupt(), 20);
  assertMatch((await running)!, /^T0[25]thread:p01\.02;/);
});

Deno.test("session: an interrupt stops what goes on, and nothing else", async () => {
  const { ask, session, machine } = make();
  session.interrupt();
  await ask("?");
  const running = ask("vCont;c");
  setTimeout(() => {
    assert(session.isRunning);
    session.interrupt();
  }, 5);
  assertEquals(await running, "T02thread:01;");
  assertEquals(machine.isRunning, false);
  // One that comes before the guest runs.
  const before = machine.cpus[0].pc;
  const next = ask("c");
  session.interrupt();
  assertEquals(await next, "T02thread:01;");
  assertEquals(machine.cpus[0].pc, before);
  assertEquals(await ask("s"), "T05thread:01;");
});

Deno.test("session: the end of the run", async () => {
  const { ask, machine } = make();
  machine.end = 0x10;
  assertEquals(await ask("c"), "W03");
  assertEquals(await ask("?"), "W03");
});

Deno.test("session: where the guest died can be looked at, once", async () => {
  const { ask, machine } = make();
  machine.resume = () =>
    Promise.resolve({
      kind: "end",
      cpu: 0,
      result: { reason: "shutdown", status: 1 },
    });
  assertEquals(await ask("c"), "T06thread:01;");
  assertEquals(await ask("?"), "T06thread:01;");
  assertEquals(await ask("p0"), "00000000");
  assertEquals(await ask("c"), "X06");
});

Deno.test("session: detached, the guest goes on; a packet attaches again", async () => {
  const { ask, machine } = make();
  await ask("Z0,20,1");
  assertEquals(await ask("D"), "OK");
  assertEquals([machine.detached, machine.breakpoints.size], [1, 0]);
  assertEquals(await ask("?"), "T05thread:01;");
  assertEquals(machine.detached, 1);
});

/** Another client, after one that was lost. */
function next(seat: Seat): (packet: string) => Promise<string | undefined> {
  const session = new Session(seat, () => Promise.resolve());
  return (packet) => session.handle(packet);
}

Deno.test("session: a lost client's points stay until one begins anew", async () => {
  const { ask, machine, seat } = make();
  await ask("Z0,20,1");
  await ask("Z2,40,4");
  const second = next(seat);
  assertEquals(await second("c"), "T05thread:01;");
  assertEquals(await second("p1"), "20000000");
  assertEquals(machine.detached, 0);
  const third = next(seat);
  assertEquals(await third("?"), "T05thread:01;");
  assertEquals([machine.breakpoints.size, machine.watchpoints.size], [0, 0]);
  await third("Z0,20,1");
  seat.close();
  assertEquals([machine.detached, machine.breakpoints.size], [1, 0]);
});

for (const packet of ["c", "vCont;c:1", "vCont;r0,fffff:1"]) {
  Deno.test(`session: what goes on for a lost client, the next one stops; ${packet}`, async () => {
    const { ask, seat } = make();
    assertEquals(await ask("?"), "T05thread:01;");
    const lost = ask(packet);
    await new Promise((resolve) => setTimeout(resolve));
    const second = next(seat);
    assertEquals(await second("?"), "T05thread:01;");
    assertEquals(await lost, "T02thread:01;");
    const at = await second("p1");
    await new Promise((resolve) => setTimeout(resolve, 10));
    assertEquals(await second("p1"), at);
  });
}

Deno.test("session: what goes back for a lost client, the next one ends", async () => {
  const way = Promise.withResolvers<ReverseStop>();
  const reverse: ReverseDebugger = {
    step: () => way.promise,
    resume: () => way.promise,
    pause: () => way.resolve({ kind: "pause", cpu: 0 }),
  };
  const { ask, seat } = make({ reverse });
  const lost = ask("bc");
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(await next(seat)("?"), "T05thread:01;");
  assertEquals(await lost, "T02thread:01;");
});

Deno.test("session: kill, by either packet", async () => {
  const { ask, asked, sent } = make();
  assertEquals(await ask("k"), undefined);
  assertEquals(await ask("vKill;1"), undefined);
  // Where gdb then wants to start a program it waits for no answer.
  assertEquals(await ask("R0"), undefined);
  assertEquals(asked, ["kill", "kill"]);
  assertEquals(sent, ["OK"]);
});

Deno.test("session: monitor commands", async () => {
  const { ask, sent, asked } = make();
  const text = () =>
    sent.splice(0).map((packet) => {
      assertEquals(packet[0], "O");
      return new TextDecoder().decode(fromHex(packet.slice(1)));
    }).join("");
  const command = (line: string) => ask(`qRcmd,${textToHex(line)}`);
  await ask("P0=78563412");
  assertEquals(await command("info  registers"), "OK");
  assertEquals(
    text(),
    `a        0x12345678\npc       0x00000000\nwide     0x${"0".repeat(32)}\n`,
  );
  assertEquals(await command("reset"), "OK");
  assertEquals(asked, ["reset"]);
  text();
  await command("help");
  assertMatch(text(), /info registers/);
  await command("nonsense");
  assertMatch(text(), /no command "nonsense"/);
  assertEquals(await ask("qRcmd,6"), "E22");
});

Deno.test("session: a monitor of the machine's, and what it fails with", async () => {
  const { ask, sent } = make({
    monitor: (line) =>
      line === "fail"
        ? Promise.reject(new Error("it failed"))
        : Promise.resolve("x".repeat(100_000)),
  });
  assertEquals(await ask(`qRcmd,${textToHex("fail")}`), "OK");
  assertEquals(sent.splice(0), [`O${textToHex("it failed\n")}`]);
  assertEquals(await ask(`qRcmd,${textToHex("long")}`), "OK");
  assertEquals(sent.map((packet) => packet.length < 0x10000), [
    true,
    true,
    true,
    true,
  ]);
  assertEquals(sent.map((p) => p.slice(1)).join(""), "78".repeat(100_000));
});

Deno.test("session: backwards, where there is a recording", async () => {
  const plain = make();
  assertEquals(await plain.ask("bs"), "");
  const reverse: ReverseDebugger = {
    step: (cpu) => Promise.resolve({ kind: "step", cpu }),
    resume: () => Promise.resolve({ kind: "beginning", cpu: 0 }),
    pause: () => {},
  };
  const { ask } = make({ reverse });
  assertMatch((await ask("qSupported"))!, /ReverseStep\+;ReverseContinue\+/);
  assertEquals(await ask("bs"), "T05thread:01;");
  assertEquals(await ask("bc"), "T05thread:01;replaylog:begin;");
  assertEquals(await ask("bx"), "");
});

Deno.test("session: an extended client attaches again", async () => {
  const { ask, machine } = make();
  assertEquals(await ask("!"), "OK");
  assertEquals(await ask("D;1"), "OK");
  assertEquals(machine.detached, 1);
  assertEquals(await ask("vAttach;7"), "E22");
  assertEquals(await ask("vAttach;"), "E22");
  assertEquals(await ask("vAttach;1"), "T05thread:01;");
});

Deno.test("session: what it does not know has an empty answer", async () => {
  const { ask } = make();
  for (
    const packet of [
      "",
      "vMustReplyEmpty",
      "vRun;61",
      "qTStatus",
      "qSymbol::",
      "QNonStop:1",
      "zz",
      "\xff",
    ]
  ) assertEquals(await ask(packet), "", packet);
});
