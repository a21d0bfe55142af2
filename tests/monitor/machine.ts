/**
 * A machine with a small guest that echoes on its serial port, and its
 * monitor.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import type { HumanMonitor } from "../../core/monitor/contract.ts";
import { Machine, type MachineOptions } from "../../machines/machine.ts";

const path = (relative: string): string =>
  fromFileUrl(new URL(relative, import.meta.url));
/** The machine with a PCI bus. */
export const PC: string = path("../../machines/pc.json");
/** The machine without. */
export const ISAPC: string = path("../../machines/isapc.json");
/** The guest. */
export const ECHO: string = path("../fixtures/echo.elf");

/** Run a test with a machine whose guest has prompted. */
export async function withMonitor(
  file: string,
  options: Partial<MachineOptions>,
  test: (monitor: HumanMonitor, machine: Machine) => Promise<void>,
): Promise<void> {
  await using machine = await Machine.load(file, {
    kernel: ECHO,
    memory: "16M",
    ...options,
  });
  machine.start();
  await machine.serial(0).expect("# ");
  await test(await machine.monitor(), machine);
}
