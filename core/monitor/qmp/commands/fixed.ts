/**
 * Commands about what is not here, or is as it is for as long as the machine
 * runs: no hot plug, no migration, no ballooning. Tools ask such things of any
 * machine before they use it; they get QEMU's answer for one that has none.
 *
 * @module
 */

import { action, type Command, type Monitor, query } from "../command.ts";
import { GenericError, noDevice, QmpError } from "../error.ts";
import {
  any,
  bool,
  int,
  list,
  type Member,
  oneOf,
  optional,
  str,
  struct,
  type Type,
} from "../types.ts";

/** A list that has nothing in it: of these, a member's name and its type. */
function none(
  command: string,
  name: string,
  members: Readonly<Record<string, Type>>,
): Command {
  return query(command, {}, list(struct(name, members)), () => []);
}

function noFile(name: string, end: string): GenericError {
  return new GenericError(`File descriptor named '${name}' ${end}`);
}

/** Commands about a block job: there is none. */
function noJob(
  command: string,
  members: Readonly<Record<string, Type | Member>> = {},
): Command {
  return action(command, { device: str, ...members }, (_monitor, args) => {
    throw new QmpError(
      "DeviceNotActive",
      `Block job '${(args as { device: string }).device}' not found`,
    );
  });
}

function noPassword(): never {
  throw new GenericError("Could not set password");
}

/** There is no balloon. */
export function noBalloon(): never {
  throw new QmpError(
    "DeviceNotActive",
    "No balloon device has been activated",
  );
}

function checkChardev({ machine: { plan } }: Monitor, id: string): void {
  const found = plan.backends.some(({ name, plugin }) =>
    plugin.type === "char" && name === id
  );
  if (!found) throw new GenericError(`Chardev '${id}' not found`);
}

function checkDriver(
  { parts, machine: { plan } }: Monitor,
  name: string,
): void {
  const isUsed = plan.devices.some(({ plugin }) => plugin.name === name);
  if (isUsed || Object.hasOwn(parts.options.plugins.device ?? {}, name)) return;
  throw new GenericError(`'${name}' is not a valid device model name`);
}

/** The same with further arguments, which are not looked at. */
function withOthers(command: Command): Command {
  return { ...command, arguments: { ...command.arguments, isOpen: true } };
}

const TpmModel = oneOf("TpmModel", []);
const TpmType = oneOf("TpmType", []);
const Model = struct("CpuModelInfo", { name: str, props: optional(any) });

/** Text for humans, as the commands that may change give it. */
const Readable = struct("HumanReadableText", { "human-readable-text": str });

/** A text of the human monitor's. */
function readable(command: string, line: string): Command {
  return query(command, {}, Readable, async ({ human }) => ({
    "human-readable-text": await (await human?.())?.run(line) ?? "",
  }));
}

/** Questions. */
const QUERIES: readonly Command[] = [
  query("query-migrate", {}, struct("MigrationInfo", {}), () => ({})),
  none("query-migrate-capabilities", "MigrationCapabilityStatus", {
    capability: oneOf("MigrationCapability", []),
    state: bool,
  }),
  query(
    "query-memdev",
    {},
    list(struct("Memdev", {
      id: optional(str),
      size: int,
      merge: bool,
      dump: bool,
      prealloc: bool,
      share: bool,
      "host-nodes": list(int),
      policy: oneOf("HostMemPolicy", ["default"]),
    })),
    ({ machine: { plan } }) =>
      plan.memories.filter(({ kind }) => kind === "ram")
        .map(({ name, size }) => ({
          id: name,
          size,
          merge: false,
          dump: true,
          prealloc: false,
          share: true,
          "host-nodes": [],
          policy: "default" as const,
        })),
  ),
  none("query-memory-devices", "MemoryDeviceInfo", {
    type: oneOf("MemoryDeviceInfoKind", []),
  }),
  none("query-block-exports", "BlockExportInfo", {
    id: str,
    type: oneOf("BlockExportType", []),
    "node-name": str,
    "shutting-down": bool,
  }),
  none("query-fdsets", "FdsetInfo", {
    "fdset-id": int,
    fds: list(struct("FdsetFdInfo", { fd: int })),
  }),
  none("query-tpm", "TPMInfo", {
    id: str,
    model: TpmModel,
    options: struct("TpmTypeOptions", { type: TpmType }),
  }),
  query("query-tpm-models", {}, list(TpmModel), () => []),
  query("query-tpm-types", {}, list(TpmType), () => []),
  none("query-pr-managers", "PRManagerInfo", { id: str, connected: bool }),
  none("query-yank", "YankInstance", { type: oneOf("YankInstanceType", []) }),
  none("query-acpi-ospm-status", "ACPIOSTInfo", {
    slot: str,
    "slot-type": oneOf("ACPISlotType", []),
    source: int,
    status: int,
  }),
  query(
    "query-replay",
    {},
    struct("ReplayInfo", {
      mode: oneOf("ReplayMode", ["none", "record", "play"]),
      icount: int,
    }),
    ({ machine, parts: { inputs } }) => ({
      mode: inputs === undefined ? "none" : inputs.isLive ? "record" : "play",
      icount: inputs === undefined ? 0 : machine.cpu.instructions,
    }),
  ),
  query("query-vm-generation-id", {}, struct("GuidInfo", { guid: str }), () => {
    throw new GenericError("VM Generation ID device not found");
  }),
  query(
    "query-spice",
    {},
    struct("SpiceInfo", {
      enabled: bool,
      migrated: bool,
      "mouse-mode": oneOf("SpiceQueryMouseMode", ["client"]),
    }),
    () => ({
      enabled: false,
      migrated: false,
      "mouse-mode": "client" as const,
    }),
  ),
  query(
    "query-chardev-backends",
    {},
    list(struct("ChardevBackendInfo", { name: str })),
    ({ parts }) =>
      Object.keys(parts.options.plugins.char ?? {}).map((name) => ({ name })),
  ),
  query(
    "query-command-line-options",
    { option: optional(str) },
    list(struct("CommandLineOptionInfo", {
      option: str,
      parameters: list(struct("CommandLineParameterInfo", {
        name: str,
        type: oneOf("CommandLineParameterType", []),
      })),
    })),
    (_monitor, { option }) => {
      if (option === undefined) return [];
      throw new GenericError(`invalid option name: ${option}`);
    },
  ),
  query(
    "query-cpu-model-expansion",
    {
      type: oneOf("CpuModelExpansionType", ["static", "full"]),
      model: Model,
    },
    struct("CpuModelExpansionInfo", { model: Model }),
    ({ machine: { plan } }, { model }) => {
      if (plan.cpu.models.includes(model.name)) return { model };
      throw new GenericError(`CPU model '${model.name}' not found`);
    },
  ),
  readable("x-query-irq", "info irq"),
  readable("x-query-jit", "info jit"),
  readable("x-query-roms", "info roms"),
];

/** What is asked for and cannot be. */
const REFUSALS: readonly Command[] = [
  action("balloon", { value: int }, noBalloon),
  // (What the driver takes besides is nobody's business then.)
  withOthers(action(
    "device_add",
    { driver: str, bus: optional(str), id: optional(str) },
    (monitor, { driver, bus }) => {
      checkDriver(monitor, driver);
      const { plan } = monitor.machine;
      if (bus !== undefined && !plan.devices.some(({ name }) => name === bus)) {
        throw new GenericError(`Bus '${bus}' not found`);
      }
      throw new GenericError(
        `Bus '${bus ?? "main-system-bus"}' does not support hotplugging`,
      );
    },
  )),
  action("device_del", { id: str }, ({ machine: { plan } }, { id }) => {
    const name = id.replace(/^\/machine\/peripheral\//, "");
    const found = plan.devices.find((device) => device.name === name);
    if (found === undefined) throw noDevice(id);
    throw new GenericError(
      `Device '${found.plugin.name}' does not support hotplugging`,
    );
  }),
  action("object-del", { id: str }, (_monitor, { id }) => {
    throw new GenericError(`object '${id}' not found`);
  }),
  action("netdev_del", { id: str }, ({ machine: { plan } }, { id }) => {
    const found = plan.backends.some(({ name, plugin }) =>
      plugin.type === "net" && name === id
    );
    if (!found) throw noDevice(id);
    throw new GenericError(`Device '${id}' is in use`);
  }),
  action("chardev-remove", { id: str }, (monitor, { id }) => {
    checkChardev(monitor, id);
    throw new GenericError(`Chardev '${id}' is busy`);
  }),
  action(
    "add_client",
    {
      protocol: str,
      fdname: str,
      skipauth: optional(bool),
      tls: optional(bool),
    },
    (_monitor, { fdname }) => {
      throw noFile(fdname, "has not been found");
    },
  ),
  action("getfd", { fdname: str }, () => {
    throw new GenericError("No file descriptor supplied via SCM_RIGHTS");
  }),
  action("closefd", { fdname: str }, (_monitor, { fdname }) => {
    throw noFile(fdname, "not found");
  }),
  query(
    "add-fd",
    { "fdset-id": optional(int), opaque: optional(str) },
    struct("AddfdInfo", { "fdset-id": int, fd: int }),
    () => {
      throw new GenericError("No file descriptor supplied via SCM_RIGHTS");
    },
  ),
  action(
    "remove-fd",
    { "fdset-id": int, fd: optional(int) },
    (_monitor, { "fdset-id": set, fd }) => {
      const what = fd === undefined
        ? `fdset-id:${set}`
        : `fdset-id:${set}, fd:${fd}`;
      throw noFile(what, "not found");
    },
  ),
  action("change-vnc-password", { password: str }, noPassword),
  noJob("block-job-cancel", { force: optional(bool) }),
  noJob("block-job-pause"),
  noJob("block-job-resume"),
  noJob("block-job-complete"),
  noJob("block-job-set-speed", { speed: int }),
  action(
    "migrate",
    {
      uri: str,
      blk: optional(bool),
      inc: optional(bool),
      detach: optional(bool),
      resume: optional(bool),
    },
    () => {
      throw new GenericError("this machine cannot be migrated");
    },
  ),
  // There is none under way.
  action("migrate_cancel", {}, () => {}),
  action(
    "set_link",
    { name: str, up: bool },
    ({ machine: { plan } }, { name }) => {
      const found = plan.backends.some(({ name: backend, plugin }) =>
        plugin.type === "net" && name === backend
      );
      if (!found) throw noDevice(name);
      throw new GenericError(`The link of '${name}' cannot be changed`);
    },
  ),
];

/** The commands. */
export const FIXED: readonly Command[] = [...QUERIES, ...REFUSALS];
