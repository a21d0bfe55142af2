/** Lines that nobody would type: the monitor answers, and the guest runs on. */

import { assert } from "@std/assert";
import { COMMANDS } from "../../core/monitor/hmp/commands.ts";
import { INFO_COMMANDS } from "../../core/monitor/hmp/info_commands.ts";
import { withFolder } from "../block/oracle.ts";
import { forSeeds, Random } from "../random.ts";
import { PC, withMonitor } from "./machine.ts";

const LINES = 300;
/**
 * Not these: they end the run (an NMI, of a guest that has no handler), or wait
 * for who is not there.
 */
const LEFT_OUT = /^(quit|q|o|nmi|gdbserver)$/;
const NAMES = [
  ...COMMANDS.flatMap(({ name }) => name.split("|")),
  ...INFO_COMMANDS.map(({ name }) => `info ${name}`),
].filter((name) => !LEFT_OUT.test(name));
const PARTS = [
  "/",
  "/4xw",
  "/20i",
  "/9999999999x",
  "/c",
  "-f",
  "-a",
  "0",
  "1",
  "-1",
  "$eip",
  "$pc + 4 * (2 - 1)",
  "$",
  "((((",
  "))",
  "0xffffffffffffffff",
  "0xfee00000",
  "0x100000",
  '"',
  '"\\',
  "'a'",
  "on",
  "off",
  "pic",
  "pic.master",
  "lapic.timer.initial",
  "__proto__",
  "constructor.prototype",
  "ctrl-alt-delete",
  "a-b-c-d-e-f",
  "\0",
  "\x1b[A",
  "💾",
  "%s%n",
  "x".repeat(300),
];

/** A line: a command with arguments, or something like it. */
function line(random: Random): string {
  let text = random.below(10) === 0 ? "" : random.of(NAMES);
  for (let n = random.below(5); n > 0; n--) {
    text += random.below(4) === 0 ? "" : " ";
    text += random.below(8) === 0
      ? String.fromCharCode(random.below(0x180))
      : random.of(PARTS);
  }
  return LEFT_OUT.test(text.trim().split(/[\s/]/)[0]) ? "" : text;
}

Deno.test("monitor: any line gets an answer", () =>
  withFolder(async (folder) => {
    const before = Deno.cwd();
    // Names of files are among the lines.
    Deno.chdir(folder);
    try {
      await forSeeds(4, (seed) =>
        withMonitor(
          PC,
          { snapshots: folder, memory: "4M" },
          async (monitor, machine) => {
            const random = new Random(seed);
            for (let i = 0; i < LINES; i++) {
              const text = line(random);
              const answer = await monitor.run(text);
              const isWhole = answer === "" || answer.endsWith("\n");
              assert(isWhole, JSON.stringify([text, answer]));
            }
            await monitor.run("system_reset");
            await monitor.run("cont");
            await machine.serial(0).expect("# ");
          },
        ));
    } finally {
      Deno.chdir(before);
    }
  }));
