/** 64-bit Linux to a shell that answers, on one CPU and on four: the quick part. */

import { bootAndUse, type Case } from "./amd64.ts";
import { boot, bootsOf } from "./guest.ts";

const boot64 = await bootsOf("amd64");

const CASES: readonly Case[] = [
  { machine: "pc", cpu: "x86-64-v2", smp: 4 },
  { machine: "pc", cpu: "max" },
  { machine: "microvm", cpu: "x86-64-v3" },
];

for (const options of CASES) {
  const { machine, cpu, smp = 1 } = options;
  boot64(
    `64-bit Linux on ${machine}, ${smp} x ${cpu}: a shell answers`,
    (guest) => bootAndUse(guest, options),
  );
}

boot(
  "32-bit Linux on pc, 4 x x86-64-v2: a shell answers",
  (guest) =>
    bootAndUse(guest, { machine: "pc", cpu: "x86-64-v2", smp: 4, bits: 32 }),
);
