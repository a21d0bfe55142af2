/**
 * Rhea, a machine emulator that translates guest code to WebAssembly.
 *
 * ```ts ignore
 * import { Machine } from "@rhea/emulator";
 *
 * const machine = await Machine.load("machines/isapc.json", {
 *   kernel: "linux",
 *   initrd: "initramfs.gz",
 *   append: "console=ttyS0",
 * });
 * await machine.serial(0).expect(/# $/);
 * await machine.serial(0).write("uname -a\n");
 * console.log(await machine.serial(0).expect(/# $/));
 * await machine.stop();
 * ```
 *
 * @module
 */

import "./machines/modules.ts";
import { main } from "./core/cli/main.ts";
import { PLUGINS } from "./machines/registry.ts";

export {
  Machine,
  type MachineFactory,
  type MachineOptions,
} from "./machines/machine.ts";
export { Machine as MachineInstance } from "./core/machine/machine.ts";
export type { RunResult, RunState } from "./core/machine/machine.ts";
export type {
  ScreenPort,
  Screenshot,
  SerialPort,
} from "./core/machine/ports.ts";
export type { GdbMonitor } from "./core/debug/gdb/monitor.ts";
export type { GdbOptions, GdbServer } from "./core/debug/gdb/server.ts";
export * from "./core/replay/error.ts";
export type {
  CHECK,
  CUT_END,
  Digest,
  END,
  Entries,
  Entry,
  INPUTS,
  LoggedEvent,
  OWN_END,
  Position,
} from "./core/replay/log.ts";
export type * from "./core/debug/gdb/reverse.ts";
export type * from "./core/replay/reverse.ts";
export type { Header, Recording, SnapshotMark } from "./core/replay/session.ts";
export type { Trace, TraceOptions } from "./core/machine/trace.ts";
export type * from "./core/debug/contract.ts";
export type { Coverage, CoverageOptions } from "./core/debug/coverage.ts";
export { addressText, linearAddress } from "./core/debug/addresses.ts";
export type * from "./core/debug/events.ts";
export { HookError } from "./core/debug/hook_error.ts";
export type * from "./core/exec/debug_port.ts";
export type {
  Cause,
  EventListener,
  MachineEvent,
  MachineEvents,
} from "./core/machine/events.ts";
export type { EventObserver } from "./core/cpu/frontend.ts";
export type { GuardedRange, GuardHit } from "./core/mmu/access_guard.ts";
export type { AccessObserver } from "./core/bus/overlay.ts";
export type { Disassembler } from "./core/cpu/disassembler.ts";
export type * from "./core/cpu/inspector.ts";
export {
  type BootOptions,
  type DriveOptions,
  parseDrive,
} from "./core/machine/drives.ts";
export { type NicOptions, parseNic } from "./core/machine/nics.ts";
export type { LoadOptions } from "./core/machine/options.ts";
export * from "./core/backend/block.ts";
export * from "./core/backend/canvas.ts";
export type * from "./core/backend/char.ts";
export type * from "./core/backend/display.ts";
export type {
  Extent,
  ImageBacking,
  ImageCheck,
  ImageFormat,
  ImageInfo,
  ImageSnapshot,
  ImageUndo,
  NewImage,
  OpenImage,
  OpenOptions,
  Preallocation,
  PREALLOCATIONS,
  UndoSnapshot,
} from "./core/backend/image_format.ts";
export type * from "./core/backend/input.ts";
export * from "./core/backend/input_queue.ts";
export * from "./core/backend/memory_card.ts";
export * from "./core/backend/memory_char.ts";
export * from "./core/backend/memory_display.ts";
export type * from "./core/backend/net.ts";
export type * from "./core/backend/removable.ts";
export * from "./core/bus/address_space.ts";
export type * from "./core/bus/handler.ts";
export * from "./core/bus/irq_line.ts";
export * from "./core/bus/movable_region.ts";
export * from "./core/bus/pci.ts";
export * from "./core/bus/pci_function.ts";
export * from "./core/bus/register_map.ts";
export * from "./core/machine/conformance.ts";
export type {
  DeviceEvent,
  DeviceEventSpec,
  DeviceFilter,
  DeviceListener,
  EventData,
  EventValue,
  EventValueType,
  ToldEvent,
} from "./core/machine/device_events.ts";
export type {
  CpuCore,
  CpuExit,
  EntryState,
  InterruptController,
} from "./core/machine/cpu.ts";
export * from "./core/machine/definition.ts";
export * from "./core/machine/document.ts";
export type * from "./core/machine/firmware.ts";
export * from "./core/machine/logger.ts";
export {
  type ChangeOptions,
  type DriveContent,
  type Media,
  MediaError,
  type MediaMark,
  type Medium,
} from "./core/machine/media.ts";
export * from "./core/machine/memory.ts";
export * from "./core/machine/plan.ts";
export * from "./core/machine/plan_types.ts";
export * from "./core/machine/read_definition.ts";
export type { PlannedFile } from "./core/machine/plan_device.ts";
export * from "./core/machine/plugin.ts";
export * from "./core/machine/registry.ts";
export * from "./core/machine/schema.ts";
export * from "./core/machine/testing.ts";
export type * from "./core/monitor/console.ts";
export type * from "./core/monitor/contract.ts";
export { QmpServerError } from "./core/monitor/qmp/error.ts";
export type { SnapshotInfo } from "./core/snapshot/folder.ts";
export {
  SnapshotError,
  type SnapshotErrorKind,
} from "./core/snapshot/error.ts";
export type { SavedSnapshot, SaveOptions } from "./core/snapshot/save.ts";
export * from "./core/state/state.ts";
export * from "./core/time/clock.ts";
export * from "./core/time/time_source.ts";
export * from "./core/time/virtual_clock.ts";

// Not awaited: a plugin of the machine's may import this module, which would
// wait for itself.
if (import.meta.main) void main(Deno.args, PLUGINS).then(Deno.exit);
