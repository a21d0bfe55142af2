/**
 * gdb's `monitor` commands, where the machine has no monitor of its own.
 *
 * @module
 */

import type { DebugCpu } from "../contract.ts";
import { toHex } from "./packet.ts";

/** Does what a line says, and gives back what is to be printed. */
export type GdbMonitor = (command: string) => Promise<string>;

/** What the few commands need. */
export interface MonitorContext {
  /** The CPU that gdb looks at now. */
  cpu(): Promise<DebugCpu>;
  /** Press the machine's reset button. */
  reset(): void;
}

const HELP = `help            print this
info registers  the registers of the CPU that gdb looks at
reset           press the reset button: takes effect when the guest goes on
`;

/** The few commands that there always are. */
export function basicMonitor(context: MonitorContext): GdbMonitor {
  return async (command) => {
    switch (command.trim().replaceAll(/\s+/g, " ")) {
      case "":
        return "";
      case "help":
        return HELP;
      case "reset":
        context.reset();
        return "The machine is reset when it goes on\n";
      case "info registers":
        return listRegisters(await context.cpu());
      default:
        return `There is no command "${command.trim()}"; try "help"\n`;
    }
  };
}

/** A line each. */
function listRegisters({ registers }: DebugCpu): string {
  let text = "";
  for (const { registers: list } of registers.features) {
    for (const { name } of list) {
      const value = toHex(registers.read(name).toReversed());
      text += `${name.padEnd(8)} 0x${value}\n`;
    }
  }
  return text;
}
