/**
 * How commands and events are described. One table of each kind is the source
 * of dispatch, checks and introspection.
 *
 * @module
 */

import type { Machine } from "../../machine/machine.ts";
import type { Parts } from "../../machine/parts.ts";
import type { HumanMonitor } from "../contract.ts";
import type { Jobs } from "./jobs.ts";
import type { JsonOutput } from "./json_value.ts";
import {
  type Members,
  open,
  struct,
  type StructType,
  type Type,
  type Values,
} from "./types.ts";

/** What a command works on. */
export interface Monitor {
  /** The machine. */
  readonly machine: Machine;
  /** What it is made of. */
  readonly parts: Parts;
  /** Work that goes on after a command was answered. */
  readonly jobs: Jobs;
  /** The human monitor, if the machine has one; made when it is first asked. */
  readonly human: (() => Promise<HumanMonitor>) | undefined;
  /** Where the monitor listens, as `query-chardev` shows it. */
  readonly places: readonly string[];
  /** All commands, as a client may list them. */
  readonly commands: ReadonlyMap<string, Command>;
  /** All events. */
  readonly events: ReadonlyMap<string, EventType>;
}

/** A command. */
export interface Command {
  /** Its name. */
  readonly name: string;
  /** Its arguments. */
  readonly arguments: StructType;
  /** What it gives back; nothing when absent. */
  readonly returns: Type | undefined;
  /** Does it; throws a `QmpError` when it cannot. */
  readonly run: (
    monitor: Monitor,
    args: never,
  ) => unknown;
}

/** No members. */
export const EMPTY: StructType = struct("q_empty", {});

/** Arguments as the members of an object, or a type that is a union. */
function argumentsOf(name: string, members: Members | StructType): StructType {
  if (members.kind === "object") return members as StructType;
  const isEmpty = Object.keys(members).length === 0;
  return isEmpty ? EMPTY : struct(`q_obj_${name}-arg`, members as Members);
}

/** A command that gives something back. */
export function query<const M extends Members, R>(
  name: string,
  members: M,
  returns: Type<R>,
  run: (monitor: Monitor, args: Values<M>) => R | Promise<R>,
): Command {
  return { name, arguments: argumentsOf(name, members), returns, run };
}

/** A command that gives nothing back. */
export function action<const M extends Members>(
  name: string,
  members: M,
  run: (monitor: Monitor, args: Values<M>) => void | Promise<void>,
): Command {
  return {
    name,
    arguments: argumentsOf(name, members),
    returns: undefined,
    run,
  };
}

/** A command with further arguments, which are not looked at. */
export function withOthers(command: Command): Command {
  return { ...command, arguments: open(command.arguments) };
}

/** An event. */
export interface EventType {
  /** Its name. */
  readonly name: string;
  /** What it says. */
  readonly data: StructType;
}

/** An event's data, if it has any. */
export type EventData = Readonly<Record<string, JsonOutput>>;

/** An event and what it says. */
export function event(name: string, members: Members = {}): EventType {
  return { name, data: argumentsOf(name, members) };
}
