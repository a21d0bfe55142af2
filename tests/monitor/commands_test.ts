/** The monitor's commands, each on a machine. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { BootDrives } from "../../core/machine/boot_drive.ts";
import type { HumanMonitor } from "../../core/monitor/contract.ts";
import { parseNic } from "../../core/machine/nics.ts";
import { COMMANDS } from "../../core/monitor/hmp/commands.ts";
import { INFO_COMMANDS } from "../../core/monitor/hmp/info_commands.ts";
import { withFolder } from "../block/oracle.ts";
import { Machine } from "../../machines/machine.ts";
import { standingGuest } from "./guests.ts";
import { ECHO, ISAPC, PC, withMonitor } from "./machine.ts";

const LISTER = fromFileUrl(new URL("lister.ts", import.meta.url));

/** What `info` says is not there, as QEMU does. */
const ABSENT = ["balloon", "usb", "vm-generation-id"];
/** Commands that end the test's machine, or need a file of the host. */
const ENDS = ["quit|q"];

Deno.test("monitor: help lists every command", () =>
  withMonitor(ISAPC, {}, async (monitor) => {
    const help = await monitor.run("help");
    for (const { name, help: text } of COMMANDS) {
      const line = help.split("\n").find((one) => one.startsWith(`${name} `));
      assertStringIncludes(line ?? "", `-- ${text}`, name);
      // What `help info` lists is looked at below.
      if (name === "info") continue;
      for (const one of name.split("|")) {
        assertEquals(await monitor.run(`help ${one}`), `${line}\n`);
      }
    }
    const info = await monitor.run("info");
    assertEquals(info, await monitor.run("help info"));
    for (const { name, help: text } of INFO_COMMANDS) {
      assertMatch(info, new RegExp(`^info ${name} .*-- `, "m"));
      assertStringIncludes(info, text);
    }
    assertEquals(await monitor.run("help frob"), "unknown command: 'frob'\n");
    assertEquals(await monitor.run("frob"), "unknown command: 'frob'\n");
  }));

Deno.test("monitor: each info answers on each machine", async () => {
  for (const file of [ISAPC, PC]) {
    const nics = [parseNic("user")];
    await withMonitor(file, { nics }, async (monitor) => {
      assertStringIncludes(await monitor.run("info usernet"), "Dest. Address");
      assertStringIncludes(await monitor.run("info network"), "type=user");
      for (const { name, args } of INFO_COMMANDS) {
        const needs = args !== undefined && !/\?|:-/.test(args);
        const line = `info ${name}${needs ? " pic" : ""}`;
        const text = await monitor.run(line);
        assertEquals(text.includes("Error"), ABSENT.includes(name), line);
        assert(text === "" || text.endsWith("\n"), line);
        // deno-lint-ignore no-control-regex
        assert(!/[\x00-\x08\x0b-\x1f]/.test(text), line);
      }
    });
  }
});

Deno.test("monitor: the guest stands still between stop and cont", () =>
  withMonitor(PC, {}, async (monitor, machine) => {
    await monitor.run("stop");
    assertEquals(await monitor.run("info status"), "VM status: paused\n");
    const registers = await monitor.run("info registers");
    const { instructions } = machine.cpu;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(machine.cpu.instructions, instructions);
    assertEquals(await monitor.run("info registers"), registers);
    await monitor.run("c");
    assertEquals(await monitor.run("info status"), "VM status: running\n");
    await machine.serial(0).write("hi\n");
    await machine.serial(0).expect("hi");
  }));

Deno.test("monitor: system_reset, and quit ends the run", () =>
  withMonitor(PC, {}, async (monitor, machine) => {
    await monitor.run("system_reset");
    await machine.serial(0).expect("# ");
    const end = machine.wait();
    assertEquals(await monitor.run("q"), "");
    assertEquals((await end).reason, "quit");
  }));

Deno.test("monitor: looking at memory disturbs no device", () =>
  withMonitor(PC, { icount: true }, async (monitor, machine) => {
    await monitor.run("stop");
    const before = JSON.stringify(machine.device("lapic").save());
    const counts = machine.space("memory").unassigned;
    const lines = [
      "xp/64xb 0xfee00000",
      "xp/64xw 0xfec00000",
      "xp/20i 0xfee000b0",
      "x/8xg 0xfed00000",
      "sum 0xfee00000 4096",
      "xp/4xw 0x123456789a",
      "xp/4xw 0xfffffffffffffff0",
    ];
    for (const line of lines) {
      assertStringIncludes(
        await monitor.run(line),
        "Cannot access memory",
        line,
      );
    }
    assertEquals(JSON.stringify(machine.device("lapic").save()), before);
    assertEquals(machine.space("memory").unassigned, counts);
    // Where RAM ends the dump ends.
    assertMatch(
      await monitor.run("xp/8xw 0xfffff8"),
      /^0{10}fffff8: Cannot access memory\n$/,
    );
  }));

Deno.test("monitor: device states by name and path", () =>
  withMonitor(PC, {}, async (monitor) => {
    assertMatch(
      await monitor.run("info qom-tree"),
      /^\/machine \(pc-machine\)\n[^]*^ {2}\/peripheral \(container\)\n[^]*^ {4}\/pic \(i8259\)$/m,
    );
    assertMatch(
      await monitor.run("info qom-tree /machine/peripheral/pic"),
      /^\/pic \(i8259\)\n$/,
    );
    assertEquals(
      await monitor.run("info device pic.master.lowest"),
      "pic.master.lowest: 7\n",
    );
    assertMatch(await monitor.run("info device lapic"), /^ {2}LVT: \[6\]$/m);
    assertMatch(
      await monitor.run("info device pci.pci.config"),
      /^ {2}0000: 86 80 37 12 /m,
    );
    assertEquals(
      await monitor.run("info device nobody"),
      'there is no device "nobody"\n',
    );
    assertEquals(
      await monitor.run("info device pic.master.nothing.at.all"),
      'there is no "master.nothing.at.all" in "pic"\n',
    );
    assertEquals(
      await monitor.run("info device pic.constructor"),
      'there is no "constructor" in "pic"\n',
    );
  }));

/** A guest that prints what it reads from port 60h would need a driver: the state tells. */
async function keyboardBytes(monitor: HumanMonitor): Promise<string> {
  return await monitor.run("info device keyboard");
}

Deno.test("monitor: sendkey and the mouse reach the guest's chips", () =>
  withMonitor(PC, {}, async (monitor) => {
    const before = await keyboardBytes(monitor);
    assertEquals(await monitor.run("sendkey ctrl-alt-f1 10"), "");
    while (await keyboardBytes(monitor) === before) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (
      const line of ["mouse_move 3 -4", "mouse_move 0x10 2 1", "mouse_button 1"]
    ) {
      assertEquals(await monitor.run(line), "", line);
    }
    assertEquals(
      await monitor.run("sendkey a-b-frob"),
      "invalid parameter: frob\n",
    );
    assertEquals(
      await monitor.run("mouse_move left right"),
      '"left" is no distance\n',
    );
  }));

Deno.test("monitor: files of memory, of the screen, of a trace", () =>
  withFolder((folder) =>
    withMonitor(PC, {}, async (monitor, machine) => {
      const file = join(folder, "memory");
      await monitor.run("stop");
      assertEquals(await monitor.run(`pmemsave 0x100000 4096 "${file}"`), "");
      const bytes = new Uint8Array(4096);
      machine.space("memory").readBytes(0x100000, bytes);
      assertEquals(await Deno.readFile(file), bytes);
      // As in QEMU, a name that begins with "/" needs quotes after a number.
      await monitor.run(`memsave 0x100010 16 "${file}"`);
      assertEquals(await Deno.readFile(file), bytes.slice(16, 32));
      assertMatch(
        await monitor.run(`pmemsave 0xfee00000 16 "${file}"`),
        /^Error: Invalid addr/,
      );
      assertMatch(
        await monitor.run(`pmemsave 0 0xffffffffffff "${file}"`),
        /^Error: Parameter 'size'/,
      );
      const core = join(folder, "core");
      assertEquals(await monitor.run("info dump"), "Status: none\n");
      assertEquals(
        await monitor.run(`dump-guest-memory ${core} 0x100000 4096`),
        "",
      );
      assertEquals((await Deno.readFile(core)).slice(-4096), bytes);
      assertEquals(await monitor.run("info dump"), "Status: completed\n");
      assertEquals(
        await monitor.run(`dump-guest-memory ${core} 0xa0000 4096`),
        "Error: dump: no guest memory to dump\n",
      );
      assertMatch(
        await monitor.run(`dump-guest-memory -p ${core}`),
        /^Error: there are ELF files without paging only/,
      );
      await monitor.run("cont");
      const ppm = join(folder, "screen.ppm");
      assertEquals(await monitor.run(`screendump ${ppm}`), "");
      const head = new TextDecoder().decode(
        (await Deno.readFile(ppm)).subarray(0, 15),
      );
      assertEquals(head, "P6\n720 400\n255\n");
      const png = join(folder, "screen.png");
      await monitor.run(`screendump ${png} -f png`);
      assertEquals((await Deno.readFile(png))[1], 0x50);
      assertEquals(await monitor.run("trace on"), "");
      assertEquals(await monitor.run("trace on"), "there is a trace already\n");
      await machine.serial(0).write("new code\n");
      await machine.serial(0).expect("# ");
      await monitor.run("trace off");
      assertEquals(await monitor.run("trace off"), "there is no trace\n");
      // What devices do, in the log.
      assertEquals(
        await monitor.run("trace-event nobody.* on"),
        'there is no event "nobody.*"\n',
      );
      assertEquals(await monitor.run("trace-event com1.by* on"), "");
      assertMatch(
        await monitor.run("info trace-events com1.*"),
        /^com1.bytes : state 1 : Bytes have passed/,
      );
      await machine.serial(0).write("!");
      await machine.serial(0).expect("!");
      await monitor.run("trace-event * off");
      assertMatch(
        await monitor.run("info log"),
        /^\d+\.\d{6} com1\.bytes backend=char sent=true bytes=21$/m,
      );
      assertMatch(
        await monitor.run("info trace-events"),
        /^ide.command : state 0/m,
      );
      assertMatch(
        await monitor.run(`screendump ${folder}/no/such/folder`),
        /^Error: /,
      );
    })
  ));

Deno.test("monitor: media are changed and ejected", () =>
  withFolder((folder) => {
    const disc = join(folder, "disc.iso");
    Deno.writeFileSync(disc, new Uint8Array(4096));
    return withMonitor(ISAPC, { floppy: [disc] }, async (monitor) => {
      assertStringIncludes(await monitor.run("info block"), disc);
      const details = await monitor.run("info block -v floppy.drive0");
      assertStringIncludes(
        details,
        `image: ${disc}\nfile format: image\n` +
          "virtual size: 4 KiB (4096 bytes)\n",
      );
      assertEquals(
        await monitor.run("info block -n"),
        `floppy0: ${disc} (raw)\n`,
      );
      assertEquals(await monitor.run("info block nobody"), "");
      const [name] = /^(\S+): .*disc/m.exec(await monitor.run("info block"))!
        .slice(1);
      assertEquals(await monitor.run(`eject ${name}`), "");
      assertStringIncludes(
        await monitor.run("info block"),
        `${name}: [not inserted]`,
      );
      const other = join(folder, "other.img");
      Deno.writeFileSync(other, new Uint8Array(8192));
      assertEquals(
        await monitor.run(`change ${name} ${other} raw read-only`),
        "",
      );
      assertStringIncludes(
        await monitor.run("info block"),
        `${name}: ${other} (raw, read-only)`,
      );
      assertMatch(await monitor.run("eject nobody"), /there is no drive/);
      assertMatch(
        await monitor.run(`change ${name} ${folder}/none`),
        /^Error: /,
      );
    });
  }));

Deno.test("monitor: snapshots by name", () =>
  withFolder(async (folder) => {
    const file = join(folder, "disk.img");
    await Deno.writeFile(file, new Uint8Array(1 << 20).fill(1));
    const disk = {
      file,
      format: "raw",
      if: "virtio",
      option: "--drive",
    } as const;
    await withMonitor(
      PC,
      { snapshots: folder, drives: [disk] },
      async (monitor, machine) => {
        const [drive] = (machine.device("blk0") as unknown as BootDrives)
          .bootDrives();
        assertEquals(
          await monitor.run("info snapshots"),
          "There is no snapshot available.\n",
        );
        assertEquals(await monitor.run("savevm booted"), "");
        assertMatch(await monitor.run("info snapshots"), /^booted /m);
        await machine.serial(0).write("later\n");
        await machine.serial(0).expect("# ");
        await drive.write(9, new Uint8Array(512).fill(2));
        assertEquals(await monitor.run("loadvm booted"), "");
        assertEquals((await drive.read(9, 1))[0], 1);
        await machine.serial(0).write("again\n");
        await machine.serial(0).expect("again");
        assertEquals(await monitor.run("delvm booted"), "");
        assertMatch(await monitor.run("loadvm booted"), /^Error: /);
        assertEquals(await monitor.run("savevm"), "");
        const [, name] = /^(vm-\d{14}) /m.exec(
          await monitor.run("info snapshots"),
        )!;
        assertEquals(await monitor.run(`delvm ${name}`), "");
        assertEquals([...Deno.readDirSync(folder)].length, 1);
      },
    );
  }));

Deno.test("monitor: several CPUs", () =>
  withMonitor(PC, { smp: 2 }, async (monitor) => {
    assertMatch(
      await monitor.run("info cpus"),
      /^\* CPU #0: .*\n {2}CPU #1: .*\n$/,
    );
    const all = await monitor.run("info registers -a");
    assertEquals(all.match(/^CPU#\d$/gm), ["CPU#0", "CPU#1"]);
    assertEquals(await monitor.run("cpu 1"), "");
    assertMatch(await monitor.run("info registers"), /CPU#1/);
    assertMatch(await monitor.run("info lapic"), /for CPU 1 /);
    assertEquals(await monitor.run("cpu 2"), "invalid CPU index\n");
    assertEquals(
      await monitor.run("info registers 9"),
      "CPU#9 not available\n",
    );
  }));

Deno.test("monitor: commands run one after another", () =>
  withMonitor(PC, {}, async (monitor) => {
    const answers = await Promise.all([
      monitor.run("stop"),
      monitor.run("info status"),
      monitor.run("cont"),
      monitor.run("info status"),
    ]);
    assertEquals(answers, [
      "",
      "VM status: paused\n",
      "",
      "VM status: running\n",
    ]);
  }));

Deno.test("monitor: every command says what is wrong rather than throws", () =>
  withMonitor(PC, {}, async (monitor) => {
    for (const { name } of COMMANDS) {
      if (ENDS.includes(name)) continue;
      const [word] = name.split("|");
      const text = await monitor.run(`${word} ""`);
      assert(text === "" || text.endsWith("\n"), word);
    }
  }));

Deno.test("monitor: gdb is let in, and not any more", () =>
  withMonitor(PC, {}, async (monitor) => {
    const socket = await Deno.makeTempFile();
    await Deno.remove(socket);
    assertEquals(
      await monitor.run(`gdbserver unix:${socket}`),
      `Waiting for gdb connection on device 'unix:${socket}'\n`,
    );
    const gdb = await Deno.connect({ transport: "unix", path: socket });
    await gdb.write(new TextEncoder().encode("$qRcmd,696e666f206e616d65#9e"));
    const buffer = new Uint8Array(64);
    let answer = "";
    const decoder = new TextDecoder();
    while (!answer.includes("$OK#")) {
      const length = await gdb.read(buffer);
      if (length === null) throw new Error(`only ${answer}`);
      answer += decoder.decode(buffer.subarray(0, length));
    }
    // "pc", and a line feed, in hexadecimal.
    assertStringIncludes(answer, "$O70630a#");
    gdb.close();
    assertEquals(await monitor.run("gdbserver none"), "Disabled gdbserver\n");
    assertMatch(await monitor.run("gdbserver frob"), /^Error: /);
  }));

Deno.test("monitor: cables are pulled out, ports lead to the guest", async () => {
  const nics = [parseNic("user,model=e1000"), parseNic("user,model=ne2k_pci")];
  await withMonitor(PC, { nics }, async (monitor, machine) => {
    const [first, second] = [...machine.plan.devices].filter(({ name }) =>
      machine.device(name).cable === true
    );
    assertEquals(await monitor.run(`set_link ${first.name} off`), "");
    assertMatch(
      await monitor.run("info network"),
      new RegExp(` ${first.name}: .*,link=off$`, "m"),
    );
    assertEquals(machine.device(second.name).cable, true);
    await monitor.run("system_reset");
    assertEquals(machine.device(first.name).cable, false);
    // By the network's name it is the card on it.
    const network = second.backends.get("net");
    assertEquals(await monitor.run(`set_link ${network} off`), "");
    assertEquals(await monitor.run(`set_link ${first.name} on`), "");
    const cables = [first, second].map(({ name }) =>
      machine.device(name).cable
    );
    assertEquals(cables, [true, false]);

    const socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = socket.addr;
    const add = `hostfwd_add ${network} tcp::${port}-:7`;
    assertMatch(
      await monitor.run(add),
      /^could not set up host forwarding rule 'tcp::\d+-:7': Cannot listen/,
    );
    socket.close();
    assertEquals(await monitor.run(add), "");
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.close();
    assertEquals(
      await monitor.run(`hostfwd_remove tcp::${port}`),
      `host forwarding rule for tcp::${port} not found\n`,
    );
    assertEquals(
      await monitor.run(`hostfwd_remove ${network} tcp::${port}`),
      `host forwarding rule for tcp::${port} removed\n`,
    );
    assertEquals(await monitor.run("hostfwd_remove x"), "invalid format\n");
    assertMatch(await monitor.run("hostfwd_add x"), /^could not set up/);
    assertEquals(
      await monitor.run("hostfwd_add nobody tcp::1-:2"),
      "unrecognized netdev id 'nobody'\n",
    );
  });
});

Deno.test("monitor: the log is silenced, and shown", async () => {
  const written: string[] = [];
  const log = (line: string): number => written.push(line);
  await withMonitor(PC, { log }, async (monitor) => {
    await monitor.run("log off");
    // ICW1 to ICW4 of the slave: a mode that nobody has.
    for (const line of ["0xa0 0x11", "0xa1 8", "0xa1 2", "0xa1 0"]) {
      assertEquals(await monitor.run(`o/b ${line}`), "");
    }
    assertEquals(written, []);
    const shown = await monitor.run("info log");
    await monitor.run("log on");
    assertEquals(
      await monitor.run("log maybe"),
      "Expected 'on' or 'off'\n" +
        'Try "help log" for more information\n',
    );
    assertMatch(shown, /^pic: MCS-80 mode/);
    // A command that the keyboard controller does not know.
    await monitor.run("o/b 0x64 0xc5");
    assertMatch(written.join(), /^keyboard: /);
  });
});

Deno.test("monitor: tables that lead to themselves end", async () => {
  const guest = await standingGuest("loop");
  if (guest === undefined) {
    console.log("skipped: nasm is not installed");
    return;
  }
  await withFolder(async (folder) => {
    const kernel = join(folder, "kernel");
    await Deno.writeFile(kernel, guest);
    await using machine = await Machine.load(PC, { kernel, memory: "16M" });
    machine.start();
    const monitor = await machine.monitor();
    while (!/HLT=1/.test(await monitor.run("info registers"))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const mem = await monitor.run("info mem");
    assertMatch(mem, /^0{16}-0{10}200000 0{10}200000 -rw$/m);
    assertMatch(mem, /^there is more: the tables are more than \d+\n$/m);
    const tlb = (await monitor.run("info tlb")).split("\n");
    assertMatch(tlb.at(-2)!, /^\(and more than these|^there is more/);
  });
});

Deno.test("monitor: a listing without the permission to read Capstone", async () => {
  const root = fromFileUrl(new URL("../..", import.meta.url));
  const run = async (read: string): Promise<string> => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", read, LISTER, ECHO],
      stderr: "inherit",
    }).output();
    return new TextDecoder().decode(stdout);
  };
  const folders = ["machines", "tests"].map((name) => join(root, name));
  const own = await run(`--allow-read=${folders}`);
  const capstone = await run("--allow-read");
  assertStringIncludes(own, "mov esp,0x100178");
  assertStringIncludes(capstone, "movl     $0x100178, %esp");
  const bytes = (text: string): string[] => text.match(/^0x\S+ ( \w\w)+/gm)!;
  assertEquals(bytes(own), bytes(capstone));
});

Deno.test("boot_set says what firmware starts from the next reset on", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // Each prints its letter on the serial port, and halts.
    const disk = async (letter: string, bytes: number): Promise<string> => {
      const image = new Uint8Array(bytes);
      // MOV DX, 3F8h; MOV AL, letter; OUT DX, AL; STI; HLT; JMP $-1
      image.set([0xba, 0xf8, 3, 0xb0, letter.charCodeAt(0), 0xee, 0xfb, 0xf4]);
      image.set([0xeb, 0xfd], 8);
      image.set([0x55, 0xaa], 510);
      const file = `${folder}/${letter}`;
      await Deno.writeFile(file, image);
      return file;
    };
    await using machine = await Machine.load(PC, {
      firmware: "builtin",
      memory: "16M",
      drives: [
        { file: await disk("A", 1474560), if: "floppy" },
        { file: await disk("C", 1 << 20) },
      ],
    });
    machine.start();
    const monitor = await machine.monitor();
    const serial = machine.serial(0);
    await serial.expect("C");
    const answers: [string, string][] = [
      [
        "boot_set",
        'boot_set: string expected\nTry "help boot_set" for more information\n',
      ],
      ["boot_set xyz", "Invalid boot device 'x'\n"],
      ["boot_set cc", "Boot device 'c' was given twice\n"],
      ["boot_set abcd", "Too many boot devices for PC\n"],
      ["boot_set b", "Invalid boot device for PC: 'b'\n"],
      ["boot_set ac", "boot device list now set to ac\n"],
    ];
    for (const [line, answer] of answers) {
      assertEquals(await monitor.run(line), answer, line);
    }
    for (let n = 0; n < 2; n++) {
      await monitor.run("system_reset");
      await serial.expect("A");
    }
    await monitor.run("boot_set c");
    await monitor.run("system_reset");
    await serial.expect("C");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
