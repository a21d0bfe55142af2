/**
 * Commands that control the machine: `stop`, `cont`, `quit`, the buttons, the
 * CPU that is chosen, traces.
 *
 * @module
 */

import { providerOf } from "../../machine/boot.ts";
import type { BootOrder } from "../../machine/boot_order.ts";
import type { Trace } from "../../machine/trace.ts";
import type { Arguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

/** Text that a trace may leave for the monitor to show, in characters. */
const TRACE_CHARACTERS = 1 << 20;

/** A trace that the monitor has started, by its machine. */
const traces = new WeakMap<MonitorContext, RunningTrace>();

interface RunningTrace {
  readonly trace: Trace;
  /** Ends the trace; gives back what is to be shown. */
  end(): string;
}

/** Start a trace of the translator: into a file, or kept until it is ended. */
async function startTrace(
  context: MonitorContext,
  name: string | undefined,
): Promise<void> {
  if (traces.has(context)) throw new MonitorError("there is a trace already");
  const file = name === undefined ? undefined : await Deno.open(name, {
    write: true,
    create: true,
    truncate: true,
  });
  let kept = "";
  const encoder = new TextEncoder();
  const write = (text: string): void => {
    if (file === undefined) {
      kept = (kept + text).slice(-TRACE_CHARACTERS);
      return;
    }
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) {
      at += file.writeSync(bytes.subarray(at));
    }
  };
  try {
    const trace = await context.machine.trace({ blocks: true, write });
    traces.set(context, {
      trace,
      end() {
        trace.stop();
        file?.close();
        return kept;
      },
    });
  } catch (error) {
    file?.close();
    throw error;
  }
}

async function trace(
  context: MonitorContext,
  args: Arguments,
): Promise<string | void> {
  if (args.isOn("on")) return await startTrace(context, args.text("file"));
  const running = traces.get(context);
  if (running === undefined) throw new MonitorError("there is no trace");
  traces.delete(context);
  return running.end();
}

/** Letters that a boot order has at most. */
const MAX_BOOT_ORDER = 3;

function setBootOrder(
  { parts }: MonitorContext,
  args: Arguments,
): string {
  const order = args.text("bootdevice")!;
  for (const [i, letter] of [...order].entries()) {
    if (!/[a-p]/.test(letter)) {
      throw new MonitorError(`Invalid boot device '${letter}'`);
    }
    if (order.indexOf(letter) < i) {
      throw new MonitorError(`Boot device '${letter}' was given twice`);
    }
  }
  const firmware = providerOf<BootOrder>(parts, "boot-order");
  if (firmware?.setBootOrder === undefined) {
    throw new MonitorError(
      "no function defined to set boot device list for this machine",
    );
  }
  if (parts.inputs !== undefined) {
    throw new MonitorError("a run that is recorded or replayed keeps its own");
  }
  if (order.length > MAX_BOOT_ORDER) {
    throw new MonitorError("Too many boot devices for PC");
  }
  const unknown = /[^acdn]/.exec(order);
  if (unknown !== null) {
    throw new MonitorError(`Invalid boot device for PC: '${unknown[0]}'`);
  }
  firmware.setBootOrder(order);
  return `boot device list now set to ${order}\n`;
}

/** The commands. */
export const CONTROL_COMMANDS: readonly Command[] = [
  {
    name: "stop|s",
    help: "stop emulation",
    run: ({ machine }) => machine.stopGuest(),
  },
  {
    name: "cont|c",
    help: "resume emulation",
    run: ({ machine }) => machine.continueGuest(),
  },
  {
    name: "system_reset",
    help: "reset the system",
    run: ({ machine }) => machine.reset("host-qmp-system-reset"),
  },
  {
    name: "system_powerdown",
    help: "send system power down event",
    run: ({ machine }) => machine.pressPowerButton(),
  },
  {
    name: "quit|q",
    help: "quit the emulator",
    run: ({ machine }) => machine.quit("host-qmp-quit"),
  },
  {
    name: "boot_set",
    args: "bootdevice:s",
    params: "bootdevice",
    help: "define new values for the boot device list",
    run: setBootOrder,
  },
  {
    name: "nmi",
    help: "inject an NMI",
    run: ({ parts }) => parts.control.nmi(),
  },
  {
    name: "cpu",
    args: "index:i",
    params: "index",
    help: "set the default CPU",
    run(context, args) {
      const index = Number(args.integer("index"));
      if (context.parts.cpus[index] === undefined) {
        throw new MonitorError("invalid CPU index");
      }
      context.cpu = index;
    },
    words: ({ parts }) => parts.cpus.map((_, i) => `${i}`),
  },
  {
    name: "log",
    args: "on:b",
    params: "on|off",
    help: "write what devices have to say to the log, or do not; 'info log' " +
      "shows it anyway",
    run({ parts }, args) {
      parts.log.isOn = args.isOn("on")!;
    },
    words: () => ["on", "off"],
  },
  {
    name: "trace",
    args: "on:b,file:F?",
    params: "on|off [file]",
    help: "write a line for each block that is translated and each region " +
      "that is compiled or dies to 'file', or show them when the trace ends",
    run: trace,
    words: () => ["on", "off"],
  },
];
