import { assertEquals, assertThrows } from "@std/assert";
import { parseCommand, UsageError } from "./arguments.ts";

Deno.test("arguments: a flag's value is what follows it, whatever it is", () => {
  const { machine, options } = parseCommand([
    ...["m.json", "--append", "-v --x=1", "--serial=null", "--serial", "stdio"],
    ...["--set", "a.b=c=d", "--icount"],
  ]);
  assertEquals(machine, "m.json");
  assertEquals(options.append, "-v --x=1");
  assertEquals(options.serial, ["null", "stdio"]);
  assertEquals(options.set, ["a.b=c=d"]);
  assertEquals(options.icount, true);
  assertEquals(parseCommand(["m", "--append", ""]).options.append, "");
  assertEquals(parseCommand(["007"]).machine, "007");
});

Deno.test("arguments: --gdb has an address or none", () => {
  const gdb = (...args: string[]) => {
    const { machine, gdb, wait } = parseCommand(args);
    return [machine, gdb, wait];
  };
  assertEquals(gdb("m.json"), ["m.json", undefined, false]);
  assertEquals(gdb("--gdb", "m.json", "--wait"), ["m.json", "", true]);
  assertEquals(gdb("m.json", "--wait"), ["m.json", undefined, true]);
  assertEquals(gdb("m.json", "--gdb"), ["m.json", "", false]);
  assertEquals(gdb("m.json", "--gdb", "tcp::1"), ["m.json", "tcp::1", false]);
  assertEquals(gdb("--gdb=unix:/a", "m.json"), ["m.json", "unix:/a", false]);
});

Deno.test("arguments: a region's address has up to 64 bits, as traces write it", () => {
  const address = (text: string): number =>
    parseCommand(["m.json", "--dump-region", text]).dumpRegions[0];
  assertEquals(address("5000"), 0x5000);
  assertEquals(address("0xC0101234"), 0xc0101234);
  assertEquals(address("7fffffffffff"), 2 ** 47 - 1);
  assertEquals(address("ffffffff81543720"), 0x81543720 - 2 ** 32);
  assertEquals(address("ffff888000000000"), -(2 ** 47) + 2 ** 43 + 2 ** 39);
  for (const wrong of ["main", "0x", "8000000000000000", "1ffffffff81543720"]) {
    const error = assertThrows(() => address(wrong), UsageError);
    assertEquals(
      error.message,
      `--dump-region takes a hexadecimal address such as c0101234, not "${wrong}"`,
    );
  }
});

Deno.test("arguments: mistakes name the flag", () => {
  const cases: [string[], string][] = [
    [["m.json", "--nic", ""], "--nic needs a value"],
    [["m.json", "--nic"], "--nic needs a value"],
    [["m.json", "--nic="], "--nic needs a value"],
    [["--nic", "--pcap", "a", "m.json"], "--nic needs a value"],
    [["m.json", "--vnc", ":1", "--vnc", ":2"], "--vnc is there twice"],
    [["m.json", "--memory=1G", "--memory", "2G"], "--memory is there twice"],
    [["m.json", "-nic", "user"], 'unknown flag "-nic"; did you mean "--nic"?'],
    [
      ["resolv", "m.json"],
      'there is no command "resolv"; did you mean "resolve"?',
    ],
    [
      ["m.json", "--zzzzzzzz"],
      'unknown flag "--zzzzzzzz"; "--help" lists them',
    ],
    [["m.json", "--gdb", "--gdb"], "--gdb is there twice"],
    [["m.json", "--icount=off"], "--icount takes no value"],
    [["--", "a.json", "--vnc"], 'expected one machine file, not also "--vnc"'],
    [["a.json", "b.json"], 'expected one machine file, not also "b.json"'],
    [["schema", "a", "b"], 'expected one machine file, not also "b"'],
    [
      ["--replay", "a", "--record", "b"],
      "--replay and --record exclude each other",
    ],
    [
      ["--replay", "a", "--loadvm", "b"],
      "the recording has its beginning, --loadvm is not for --replay",
    ],
  ];
  for (const [args, message] of cases) {
    const error = assertThrows(() => parseCommand(args), UsageError);
    assertEquals(error.message, message);
  }
});

Deno.test("arguments: help and the version are there whatever else is", () => {
  assertEquals(parseCommand([]).action, "help");
  assertEquals(parseCommand(["--help", "a", "b"]).action, "help");
  assertEquals(parseCommand(["--version", "a", "b"]).action, "version");
});
