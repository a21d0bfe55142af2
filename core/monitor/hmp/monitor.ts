/**
 * The human monitor: QEMU's commands, a line at a time.
 *
 * A command runs between slices of the guest's execution, which goes on
 * meanwhile unless the command says otherwise. Nothing here knows an ISA: what
 * a CPU's registers and tables look like says its plugin
 * (`core/cpu/inspector.ts`).
 *
 * @module
 */

import type { Machine } from "../../machine/machine.ts";
import type { Parts } from "../../machine/parts.ts";
import { checkCommand } from "../../replay/commands.ts";
import type { HumanMonitor } from "../contract.ts";
import { readArguments } from "./arguments.ts";
import { type Command, helpLine, lines, namesOf } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { MonitorContext } from "./context.ts";
import { MonitorError, SyntaxProblem } from "./error.ts";
import type { RegisterReader } from "./expression.ts";
import { INFO_COMMANDS } from "./info_commands.ts";

/** The longest line that is read at all. */
const MAX_LINE = 65536;

/** The monitor of a machine. */
export class Monitor implements HumanMonitor {
  /** What its commands work on. */
  readonly context: MonitorContext;
  #last: Promise<unknown> = Promise.resolve();

  /** A monitor for a machine that is made of these parts. */
  constructor(machine: Machine, parts: Parts) {
    this.context = new MonitorContext(
      machine,
      parts,
      COMMANDS,
      INFO_COMMANDS,
    );
  }

  /** See `HumanMonitor.run`. */
  run(line: string): Promise<string> {
    const answer = this.#last.then(() => this.#run(line));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #run(text: string): Promise<string> {
    const line = text.slice(0, MAX_LINE).trim();
    if (line === "" || line.startsWith("#")) return "";
    this.context.remember(line);
    const [word] = /^[^\s/]+|^\S/.exec(line)!;
    try {
      const rest = line.slice(word.length);
      const command = findCommand(COMMANDS, word);
      if (command === undefined) return unknown(word);
      if (word === "help" || word === "?") return this.#help(rest.trim());
      if (word === "info") return await this.#info(rest);
      return await this.#do(command, word, rest);
    } catch (error) {
      return failure(error, word);
    }
  }

  async #info(rest: string): Promise<string> {
    const [word] = /^[^\s/]*/.exec(rest.trim())!;
    if (word === "") return this.#help("info");
    const command = findCommand(INFO_COMMANDS, word);
    if (command === undefined) return unknown(`info ${word}`);
    const after = rest.trimStart().slice(word.length);
    return await this.#do(command, `info ${word}`, after);
  }

  async #do(command: Command, word: string, rest: string): Promise<string> {
    const { context } = this;
    try {
      checkCommand(context.parts.inputs, namesOf(command)[0]);
      const args = readArguments(command.args ?? "", rest, {
        command: command.name,
        registers: await this.#registers(rest),
        defaults: context.defaults,
      });
      return await command.run(context, args) ?? "";
    } catch (error) {
      return failure(error, word);
    }
  }

  /** The registers that a line may name. */
  async #registers(line: string): Promise<RegisterReader> {
    if (!line.includes("$")) return () => undefined;
    const inspector = await this.context.inspect();
    return (name) => inspector.register(name);
  }

  #help(text: string): string {
    const [name = "", second, ...more] = text === "" ? [] : text.split(/\s+/);
    if (name === "info") {
      const all = second === undefined
        ? INFO_COMMANDS
        : INFO_COMMANDS.filter((one) => namesOf(one).includes(second));
      if (all.length === 0 || more.length > 0) return unknown(`${text}`);
      return sorted(all).map((one) => helpLine(one, "info ")).join("");
    }
    if (name === "") return sorted(COMMANDS).map((c) => helpLine(c)).join("");
    const command = findCommand(COMMANDS, name);
    if (command === undefined || second !== undefined) return unknown(text);
    return helpLine(command);
  }

  /**
   * What may stand in place of the last word of a line that is being typed:
   * whole words.
   */
  async completions(line: string): Promise<readonly string[]> {
    const words = line.trimStart().split(/\s+/);
    const last = words.at(-1)!;
    const matching = (all: Iterable<string>): string[] =>
      [...new Set(all)].filter((one) => one.startsWith(last)).sort();
    const namesIn = (all: readonly Command[]): string[] => all.flatMap(namesOf);
    if (words.length === 1) return matching(namesIn(COMMANDS));
    const [name, second] = words;
    if (words.length === 2 && (name === "help" || name === "?")) {
      return matching(namesIn(COMMANDS));
    }
    if (name === "info" || name === "help" && second === "info") {
      const at = name === "info" ? 1 : 2;
      if (words.length === at + 1) return matching(namesIn(INFO_COMMANDS));
      const info = findCommand(INFO_COMMANDS, words[at]);
      return matching(await info?.words?.(this.context, last) ?? []);
    }
    const command = findCommand(COMMANDS, name);
    return matching(await command?.words?.(this.context, last) ?? []);
  }
}

function findCommand(
  commands: readonly Command[],
  word: string,
): Command | undefined {
  return commands.find((command) => namesOf(command).includes(word));
}

function sorted(commands: readonly Command[]): Command[] {
  return commands.toSorted((a, b) => a.name < b.name ? -1 : 1);
}

function unknown(text: string): string {
  return `unknown command: '${text}'\n`;
}

/** What a command prints that failed. */
function failure(error: unknown, word: string): string {
  if (error instanceof SyntaxProblem) {
    return lines([error.message, `Try "help ${word}" for more information`]);
  }
  if (error instanceof MonitorError) return `${error.message}\n`;
  if (!(error instanceof Error)) throw error;
  // A file of the host, an image, a range: one line that says why.
  return `Error: ${error.message.split("\n")[0]}\n`;
}
