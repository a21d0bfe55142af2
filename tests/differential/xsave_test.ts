/**
 * XSAVE, XSAVEOPT, XSAVEC and XRSTOR against the host CPU: images, headers of
 * both formats, partial masks, initial components, bad headers; of 32 and 64 bits.
 */

import { assertEquals } from "@std/assert";
import { placeCode } from "./generate.ts";
import { place64 } from "./generate64.ts";
import { isIntel } from "./host_cpu.ts";
import { Oracle } from "./oracle.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import { CaseRecord, DATA } from "./record.ts";
import { CaseRecord64 } from "./record64.ts";
import { RheaSubject } from "./rhea.ts";
import { RheaSubject64 } from "./rhea64.ts";

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build(directory);
const oracle64 = await Oracle.build64(directory);
if (typeof oracle === "string") console.log(`XSAVE: skipped, ${oracle}`);

const AREA = 0x400, AREA_BYTES = 832;
const MXCSR_MASK = AREA + 28;
/** `op [ESI]`, by name: the opcode and ModRM's reg field. */
const SAVES: Readonly<Record<string, readonly [number, number]>> = {
  xsave: [0xae, 4],
  xsaveopt: [0xae, 6],
  xsavec: [0xc7, 4],
};
const XRSTOR = [0xae, 5] as const;
const VZEROUPPER = [0xc5, 0xf8, 0x77], VZEROALL = [0xc5, 0xfc, 0x77];
const FNINIT = [0xdb, 0xe3];

type AnyRecord = CaseRecord | CaseRecord64;

interface Case<R> {
  readonly name: string;
  readonly record: R;
}

/** The vector registers of a mode. */
function registers(record: AnyRecord): number {
  return record instanceof CaseRecord64 ? 16 : 8;
}

function setRegister(record: AnyRecord, n: number, value: number): void {
  if (record instanceof CaseRecord64) record.setGpr(n, BigInt(value));
  else record.setGpr(n, value);
}

const access = ([opcode, reg]: readonly [number, number]): number[] => [
  0x0f,
  opcode,
  reg << 3 | 6,
];

/** A case that starts with all components in use, and random data. */
function start<R extends AnyRecord>(
  p: Prng,
  record: R,
  mask: number,
  address = DATA + AREA,
): R {
  for (let k = 0; k < record.data.length; k++) record.data[k] = p.below(256);
  for (let n = 0; n < registers(record); n++) {
    for (let k = 0; k < 16; k++) {
      record.xmm(n)[k] = 1 + p.below(255);
      record.ymmh(n)[k] = 1 + p.below(255);
    }
    if (n < 8) record.st(n).set([1, 2, 3, 4, 5, 6, n, 0x80, 0xff, 0x3f]);
  }
  record.fcw = 0x37f;
  record.fsw = p.below(8) << 11;
  record.ftw = 1 + p.below(255);
  setRegister(record, 0, mask);
  setRegister(record, 2, p.u32()); // there are no such components
  setRegister(record, 6, address);
  return record;
}

function save<R extends AnyRecord>(p: Prng, empty: R): Case<R> {
  const name = p.pick(Object.keys(SAVES));
  const mask = p.oneIn(3) ? 7 : p.below(8);
  const bad = p.oneIn(12) ? 1 + p.below(63) : 0;
  const record = start(p, empty, mask, DATA + AREA + bad);
  if (p.oneIn(3)) record.mxcsr = 0x1f80 | p.below(64);
  const before = p.pick([[], [], VZEROUPPER, VZEROALL, FNINIT]);
  return finish(name, record, [
    ...before,
    ...rex(p, record),
    ...access(SAVES[name]),
  ]);
}

function restore<R extends AnyRecord>(p: Prng, empty: R): Case<R> {
  const mask = p.oneIn(3) ? 7 : p.below(8);
  const record = start(p, empty, mask);
  const area = new DataView(record.data.buffer, record.data.byteOffset + AREA);
  for (let k = 0; k < 512; k += 4) area.setUint32(k, p.u32(), true);
  area.setUint16(0, 0x37f, true);
  area.setUint16(2, p.below(8) << 11, true);
  area.setUint8(5, 0);
  for (let k = 6; k < 24; k += 2) area.setUint16(k, 0, true);
  area.setUint32(24, p.oneIn(10) ? 0x80000000 : 0x1f80 | p.below(64), true);
  for (let n = 0; n < 8; n++) area.setUint16(32 + 16 * n + 8, 0x3fff, true);
  for (let k = 512; k < 576; k++) area.setUint8(k, 0);
  const compact = p.oneIn(2);
  const has = p.below(8);
  area.setUint32(512, has, true);
  if (compact) {
    const layout = has | p.below(8);
    // AVX's place depends on nothing but its own presence.
    area.setUint32(520, p.oneIn(10) ? p.below(8) : layout, true);
    area.setUint32(524, 0x80000000, true);
  }
  if (p.oneIn(8)) {
    // Of the bits of components that a host may have only MPX's, long gone.
    const at = p.below(64), isHosts = (at & ~8) < 3;
    area.setUint8(512 + at, 1 << (isHosts ? 3 + p.below(2) : p.below(8)));
  }
  return finish("xrstor", record, [...rex(p, record), ...access(XRSTOR)]);
}

/** REX.W, perhaps, where it is a prefix. */
function rex(p: Prng, record: AnyRecord): number[] {
  return record instanceof CaseRecord64 && p.oneIn(2) ? [0x48] : [];
}

function finish<R extends AnyRecord>(
  name: string,
  record: R,
  bytes: number[],
): Case<R> {
  const piece = { bytes, form: name, undefinedBefore: 0, undefinedAfter: 0 };
  if (record instanceof CaseRecord64) place64(record, [piece], 0);
  else placeCode(record, [piece], 0);
  return { name, record };
}

/** What is compared: everything that the instructions read or write. */
function state(r: AnyRecord): string {
  const hex = (b: Uint8Array): string =>
    Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  const data = r.data.slice();
  // The host's has a bit of its own.
  data.fill(0, MXCSR_MASK, MXCSR_MASK + 4);
  const lines = [`vector ${r.vector}`, `mxcsr ${r.mxcsr.toString(16)}`];
  // An XRSTOR that refuses an MXCSR may have loaded the rest, on Intel.
  if (!isIntel || r.vector === 3) {
    lines.push(`fcw ${r.fcw} fsw ${r.fsw} ftw ${r.ftw}`);
    for (let n = 0; n < registers(r); n++) {
      if (n < 8) lines.push(`st${n}: ${hex(r.st(n))}`);
      lines.push(`${n}: ${hex(r.xmm(n))} ${hex(r.ymmh(n))}`);
    }
  }
  for (let k = AREA; k < AREA + AREA_BYTES + 64; k += 32) {
    lines.push(`+${k - AREA}: ${hex(data.subarray(k, k + 32))}`);
  }
  return lines.join("\n");
}

/** Runs cases on the host and in Rhea. */
async function compare<R extends AnyRecord>(
  host: Oracle<R>,
  subject: { run(record: R): R },
  make: (p: Prng) => Case<R>,
): Promise<void> {
  const seed = seedFrom(1), p = new Prng(seed);
  const cases = Array.from({ length: casesFrom(1000) }, () => make(p));
  const expected = await host.run(cases.map((c) => c.record));
  cases.forEach(({ name, record }, n) => {
    const mine = state(subject.run(record)), theirs = state(expected[n]);
    if (mine === theirs) return;
    assertEquals(mine, theirs, `${name}, case ${n}, RHEA_SEED=${seed}`);
  });
}

for (const [title, make] of [["saves", save], ["restores", restore]] as const) {
  Deno.test({
    name: `XSAVE areas: ${title} are those of the host`,
    ignore: typeof oracle === "string",
    fn: () =>
      compare(
        oracle as Oracle,
        new RheaSubject("interp"),
        (p) => make(p, new CaseRecord()),
      ),
  });
  Deno.test({
    name: `XSAVE areas of 64-bit mode: ${title} are those of the host`,
    ignore: typeof oracle64 === "string",
    fn: () =>
      compare(
        oracle64 as Oracle<CaseRecord64>,
        new RheaSubject64("interp"),
        (p) => make(p, new CaseRecord64()),
      ),
  });
}

Deno.test({
  name: "remove the oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
