/**
 * What a command of the monitor is.
 *
 * @module
 */

import type { Arguments } from "./arguments.ts";
import type { MonitorContext } from "./context.ts";

/** What a command prints, when it prints anything: lines, each with its end. */
export type CommandOutput = string | void | Promise<string | void>;

/** A command. */
export interface Command {
  /** Its name and others that it has, as `stop|s`. */
  readonly name: string;
  /** Its arguments, as `readArguments` takes them. */
  readonly args?: string;
  /** Its arguments in words, for `help`. */
  readonly params?: string;
  /** What it does, for `help`. */
  readonly help: string;
  /** Do it. Throws a `MonitorError` when it cannot be done. */
  run(context: MonitorContext, args: Arguments): CommandOutput;
  /** What the last word of its arguments, typed so far, may be, for completion. */
  words?(
    context: MonitorContext,
    typed: string,
  ): Iterable<string> | Promise<Iterable<string>>;
}

/** The names of a command. */
export function namesOf({ name }: Command): readonly string[] {
  return name.split("|");
}

/** Lines as a command prints them. */
export function lines(all: Iterable<string>): string {
  let text = "";
  for (const line of all) text += `${line}\n`;
  return text;
}

/** A line of `help`. */
export function helpLine(
  { name, params = "", help }: Command,
  prefix = "",
): string {
  return `${prefix}${name} ${params} -- ${help}\n`;
}
