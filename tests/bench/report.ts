/**
 * Prints what was measured, judges it, and writes it as JSON.
 *
 * @module
 */

import type { Bits } from "./guests.ts";
import { geometricMean, type Group, type Result } from "./results.ts";

const NAME_WIDTH = 12;
const CELL_WIDTH = 9;

/** One of the aims, and what was reached. */
export interface Verdict {
  /** What is judged. */
  readonly what: string;
  /** What was measured. */
  readonly value: number;
  /** The most that it may be, if there is an aim. */
  readonly limit?: number;
  /** The unit of both; empty for a ratio. */
  readonly unit: string;
  /** Which benchmark is the worst, where one is meant. */
  readonly worst?: string;
}

/** A limit on the ratio of one group of benchmarks to a yardstick. */
interface Aim {
  readonly group: Group;
  readonly yardstick: string;
  /** For the geometric mean; none where a group has one member. */
  readonly mean?: number;
  /** For the worst single one. */
  readonly single?: number;
}

const AIMS: readonly Aim[] = [
  { group: "bare", yardstick: "tcg", mean: 0.9, single: 1.5 },
  { group: "bare", yardstick: "v86", mean: 0.5, single: 1.0 },
  { group: "boot", yardstick: "tcg", single: 1.3 },
  { group: "boot", yardstick: "v86", single: 0.4 },
  { group: "linux", yardstick: "tcg", mean: 1.1, single: 1.8 },
];
/** What computes in SSE's and AVX's registers. */
const FLOATING: readonly string[] = ["matmul_sse2", "matmul_avx2"];
const FLOATING_LIMIT = 0.5;
const MEGABYTE = 1 << 20;
const MEMORY_LIMIT = 250;
const START_LIMIT_MS = 250;

function cell(value: number, digits: number): string {
  return (Number.isFinite(value) ? value.toFixed(digits) : "-")
    .padStart(CELL_WIDTH);
}

/** Whose speed is judged: Rhea, or whatever comes first. */
function subjectOf(targets: readonly string[]): string {
  return targets.find(isSubject) ?? targets[0];
}

/** Whether a target is Rhea as it is by default, of whichever checkout. */
function isSubject(target: string): boolean {
  return target === "jit" || target.startsWith("jit@");
}

/** What it is compared with; native code is the limit, not a yardstick. */
function yardsticksOf(targets: readonly string[]): string[] {
  const subject = subjectOf(targets);
  return targets.filter((name) => name !== subject && name !== "native");
}

/** A target's name in few letters: of another checkout, its folder's name. */
function short(target: string): string {
  return target.replace(/@.*?([^/]+)\/*$/, "@$1").slice(0, CELL_WIDTH - 2);
}

/** The first line of the table. */
export function header(targets: readonly string[]): string {
  const columns = [
    ...targets.map((target) => `${short(target)} s`),
    ...yardsticksOf(targets).map((target) => `/${short(target)}`),
    ...yardsticksOf(targets).map((target) => `CPU/${short(target)}`),
    "MB over",
  ];
  return ["benchmark".padEnd(NAME_WIDTH)]
    .concat(columns.map((column) => column.padStart(CELL_WIDTH))).join(" ");
}

/** A benchmark's line of the table, and lines about what went wrong. */
export function row(result: Result, targets: readonly string[]): string {
  const subject = subjectOf(targets);
  const cells = [
    ...targets.map((target) => cell(result.median(target) / 1000, 3)),
    ...yardsticksOf(targets).map((y) => cell(result.ratio(subject, y), 2)),
    ...yardsticksOf(targets).map((y) => cell(result.cpuRatio(subject, y), 2)),
    cell(result.overhead(subject) / MEGABYTE, 0),
  ];
  const lines = [[result.name.padEnd(NAME_WIDTH), ...cells].join(" ")];
  for (const [target, error] of result.errors) {
    lines.push(`  ${target}: ${error}`);
  }
  const sums = [...result.checksums()];
  if (sums.length > 1) {
    const who = sums.map(([sum, by]) => `${sum} (${by.join(", ")})`);
    lines.push(`  checksums differ: ${who.join(", ")}`);
  }
  return lines.join("\n");
}

/** Measures the results against the aims; those without data are left out. */
export function judge(
  results: readonly Result[],
  targets: readonly string[],
  bits: Bits = 32,
): Verdict[] {
  const subject = subjectOf(targets);
  const verdicts: Verdict[] = [];
  for (const group of ["bare", "boot", "linux"] as const) {
    const members = results.filter((result) => result.group === group);
    for (const yardstick of yardsticksOf(targets)) {
      const ratios = members
        .map((r) => ({ name: r.name, ratio: r.ratio(subject, yardstick) }))
        .filter(({ ratio }) => Number.isFinite(ratio));
      const aim = isSubject(subject)
        ? AIMS.find((a) => a.group === group && a.yardstick === yardstick)
        : undefined;
      verdicts.push(...judgeRatios(
        `${group} ${short(subject)}/${short(yardstick)}`,
        ratios,
        aim,
      ));
    }
  }
  if (bits === 64) verdicts.push(...judgeFloating(results, targets));
  return [
    ...verdicts,
    ...judgeMemory(results, subject),
    ...judgeStart(results, subject),
  ];
}

function judgeRatios(
  label: string,
  ratios: readonly { readonly name: string; readonly ratio: number }[],
  aim: Aim | undefined,
): Verdict[] {
  if (ratios.length === 0) return [];
  const { name, ratio } = ratios.reduce((a, b) => b.ratio > a.ratio ? b : a);
  const worst = { value: ratio, limit: aim?.single, unit: "" };
  if (ratios.length === 1) return [{ what: `${label} ${name}`, ...worst }];
  return [
    {
      what: `${label} geometric mean`,
      value: geometricMean(ratios.map((r) => r.ratio)),
      limit: aim?.mean,
      unit: "",
    },
    { what: `${label} worst single`, ...worst, worst: name },
  ];
}

/** SSE and AVX floating point, which 64-bit programs have all of theirs in. */
function judgeFloating(
  results: readonly Result[],
  targets: readonly string[],
): Verdict[] {
  const subject = subjectOf(targets);
  if (!isSubject(subject) || !targets.includes("tcg")) return [];
  const ratios = results.filter(({ name }) => FLOATING.includes(name))
    .map((r) => ({ name: r.name, ratio: r.ratio(subject, "tcg") }))
    .filter(({ ratio }) => Number.isFinite(ratio));
  return judgeRatios("floating point", ratios, {
    group: "bare",
    yardstick: "tcg",
    mean: FLOATING_LIMIT,
    single: FLOATING_LIMIT,
  });
}

function judgeMemory(
  results: readonly Result[],
  subject: string,
): Verdict[] {
  const members = results
    .map((r) => ({ name: r.name, over: r.overhead(subject) / MEGABYTE }))
    .filter(({ over }) => Number.isFinite(over));
  if (members.length === 0) return [];
  const { name, over } = members.reduce((a, b) => b.over > a.over ? b : a);
  return [{
    what: "memory over the guest's RAM",
    value: over,
    limit: MEMORY_LIMIT,
    unit: " MB",
    worst: name,
  }];
}

function judgeStart(
  results: readonly Result[],
  subject: string,
): Verdict[] {
  const value = results.find(({ group }) => group === "start")
    ?.median(subject) ?? NaN;
  if (!Number.isFinite(value)) return [];
  const what = "start to the first guest instruction";
  return [{ what, value, limit: START_LIMIT_MS, unit: " ms" }];
}

/** The verdicts as text. */
export function verdictLines(verdicts: readonly Verdict[]): string {
  return verdicts.map((verdict) => {
    const { what, value, limit, unit, worst } = verdict;
    const ok = isMet(verdict);
    return [
      what.padEnd(36),
      `${value.toFixed(unit === "" ? 2 : 0)}${unit}`.padStart(8),
      (limit === undefined ? "" : `at most ${limit}${unit}`).padEnd(16),
      (ok === undefined ? "" : ok ? "ok" : "missed").padEnd(6),
      worst ?? "",
    ].join("  ").trimEnd();
  }).join("\n");
}

/** Whether an aim is reached; undefined where there is none. */
function isMet({ value, limit }: Verdict): boolean | undefined {
  return limit === undefined ? undefined : value <= limit;
}

/** Everything as a record for `JSON.stringify`. */
export function toJson(
  results: readonly Result[],
  targets: readonly string[],
  verdicts: readonly Verdict[],
): unknown {
  return {
    date: new Date().toISOString(),
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    processors: navigator.hardwareConcurrency,
    targets,
    benchmarks: results.map((result) => ({
      group: result.group,
      name: result.name,
      checksums: [...result.checksums().keys()],
      errors: Object.fromEntries(result.errors),
      targets: Object.fromEntries(targets.map((target) => [target, {
        wallMedianMs: result.median(target),
        cpuMedianMs: result.cpuMedian(target),
        samples: result.samples(target).map(({ wall, cpu, peak }) => ({
          wallMs: wall,
          cpuMs: cpu,
          peakBytes: peak,
        })),
      }])),
    })),
    verdicts: verdicts.map((verdict) => ({
      ...verdict,
      ok: isMet(verdict),
    })),
  };
}
