/**
 * How far a long work is: on a terminal a bar on one line, with the rate and
 * the time that is left, which goes when the work is done; elsewhere a line
 * for each step and no control characters, so that a log stays readable.
 *
 * @module
 */

import { hostColumns } from "../backend/terminal_size.ts";

/** What is shown of one step of a work. */
export interface ProgressBar {
  /** So much is done, of so much; 0: nobody knows. */
  update(done: number, total: number): void;
  /** The step has ended, done or not. */
  end(): void;
}

/** What is known of a step beside its name. */
export interface StepOptions {
  /** What is counted: bytes, for which there is a rate, or something. */
  readonly unit?: "bytes" | "parts";
}

/** Begins to show a step: `title` says in a few words what is done. */
export type ProgressDisplay = (
  title: string,
  options?: StepOptions,
) => ProgressBar;

/** Where progress is shown. */
export interface ProgressOutput {
  /** Takes text. */
  write(text: string): void;
  /** Whether it is a terminal. */
  readonly isTerminal: boolean;
  /** How wide it is, in columns. */
  columns(): number;
  /** The host's time, in milliseconds. */
  now(): number;
}

/** Milliseconds between two pictures of a bar. */
const REFRESH_MS = 100;
/** Before that much has passed a rate is a guess. */
const RATE_MS = 300;
/** Columns of a bar: at least, at most. */
const MIN_BAR = 8;
const MAX_BAR = 40;

/** A number of bytes in the unit in which it has one to three digits before the point. */
export function byteText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes, unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** A time as `m:ss` or `h:mm:ss`. */
export function timeText(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const two = (value: number): string => `${value}`.padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${
    two(seconds % 60)
  }`;
}

/** What a bar shows. */
export interface BarState {
  /** The step. */
  readonly title: string;
  /** How much is done. */
  readonly done: number;
  /** Of how much; 0: nobody knows. */
  readonly total: number;
  /** Since when, in milliseconds. */
  readonly elapsed: number;
  /** Whether bytes are counted. */
  readonly bytes: boolean;
}

/**
 * A bar as text of at most so many columns. What has no room is left out: the
 * bar itself first, then the rate, then the time; the title is cut last.
 */
export function barText(state: BarState, columns: number): string {
  const { title, done, total, elapsed, bytes } = state;
  const part = total > 0 ? Math.min(Math.max(done / total, 0), 1) : undefined;
  const percent = part === undefined
    ? bytes && done > 0 ? byteText(done) : ""
    : `${Math.floor(part * 100)}%`.padStart(5);
  const perMs = elapsed >= RATE_MS && done > 0 ? done / elapsed : 0;
  const rate = bytes && perMs > 0 ? `  ${byteText(perMs * 1000)}/s` : "";
  const left = part !== undefined && perMs > 0 && part < 1
    ? `  eta ${timeText((total - done) / perMs)}`
    : "";
  const fits = (text: string): boolean => text.length <= columns;
  const texts = [
    `${percent}${rate}${left}`,
    `${percent}${left}`,
    percent,
  ];
  const free = columns - title.length - texts[0].length - " []".length;
  if (part !== undefined && free >= MIN_BAR) {
    const width = Math.min(free, MAX_BAR);
    const full = Math.floor(part * width);
    const head = full > 0 && full < width ? ">" : "";
    const bar = "=".repeat(full - head.length) + head;
    return `${title} [${bar.padEnd(width)}]${texts[0]}`;
  }
  const best = texts.map((text) => `${title} ${text}`.trimEnd()).find(fits);
  if (best !== undefined) return best;
  return fits(percent)
    ? `${title.slice(0, Math.max(columns - percent.length - 1, 0))} ${percent}`
      .trimStart().slice(0, columns)
    : "";
}

/** Shows progress there. */
export function progressOn(output: ProgressOutput): ProgressDisplay {
  return (title, { unit = "bytes" } = {}) =>
    output.isTerminal
      ? terminalBar(output, title, unit === "bytes")
      : lineBar(output, title);
}

function terminalBar(
  output: ProgressOutput,
  title: string,
  bytes: boolean,
): ProgressBar {
  const start = output.now();
  let drawn = -Infinity;
  let isShown = false;
  const draw = (done: number, total: number): void => {
    const now = output.now();
    if (now - drawn < REFRESH_MS) return;
    drawn = now;
    const state = { title, done, total, elapsed: now - start, bytes };
    // The last column is left free: a terminal may go to the next line there.
    const text = barText(state, Math.max(output.columns() - 1, 1));
    output.write(`\r\x1b[K${text}`);
    isShown = true;
  };
  draw(0, 0);
  return {
    update: draw,
    end: () => {
      if (isShown) output.write("\r\x1b[K");
      isShown = false;
    },
  };
}

function lineBar(output: ProgressOutput, title: string): ProgressBar {
  output.write(`rhea: ${title}\n`);
  return { update: () => {}, end: () => {} };
}

/** The display that an output asks for, if any. */
export function displayOf(
  wanted: ProgressDisplay | "standard" | undefined,
): ProgressDisplay | undefined {
  return wanted === "standard" ? standardProgress() : wanted;
}

/** Shows progress on standard error. */
export function standardProgress(): ProgressDisplay {
  const encoder = new TextEncoder();
  return progressOn({
    write: (text) => {
      const bytes = encoder.encode(text);
      for (let at = 0; at < bytes.length;) {
        at += Deno.stderr.writeSync(bytes.subarray(at));
      }
    },
    isTerminal: Deno.stderr.isTerminal(),
    columns: hostColumns,
    now: () => performance.now(),
  });
}
