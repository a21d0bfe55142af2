/**
 * Questions about what is not here. Tools ask such things of any machine before
 * they use it; they get QEMU's answer for one that has none.
 *
 * @module
 */

import { type Command, query } from "../command.ts";
import { GenericError } from "../error.ts";
import {
  alternate,
  any,
  bool,
  int,
  list,
  oneOf,
  optional,
  str,
  struct,
  type Type,
  union,
} from "../types.ts";

/** A list that has nothing in it: of these, a member's name and its type. */
function none(
  command: string,
  name: string,
  members: Readonly<Record<string, Type>>,
): Command {
  return query(command, {}, list(struct(name, members)), () => []);
}

const TpmModel = oneOf("TpmModel", []);
const TpmType = oneOf("TpmType", []);
const Model = struct("CpuModelInfo", { name: str, props: optional(any) });

const StatsTarget = oneOf("StatsTarget", ["vm", "vcpu"]);
const StatsProvider = oneOf("StatsProvider", ["kvm"]);

const StatsFilter = union(
  "StatsFilter",
  {
    target: StatsTarget,
    providers: optional(list(struct("StatsRequest", {
      provider: StatsProvider,
      names: optional(list(str)),
    }))),
  },
  "target",
  { vcpu: struct("StatsVCPUFilter", { vcpus: optional(list(str)) }) },
);
const StatsValue = alternate<number | boolean | number[]>("StatsValue", [
  int,
  bool,
  list(int),
]);

const SevInfo = struct("SevInfo", {
  enabled: bool,
  "api-major": int,
  "api-minor": int,
  "build-id": int,
  policy: int,
  state: oneOf("SevState", []),
  handle: int,
});

const SevCapability = struct("SevCapability", {
  pdh: str,
  "cert-chain": str,
  "cpu0-id": str,
  cbitpos: int,
  "reduced-phys-bits": int,
});

const SgxInfo = struct("SGXInfo", {
  sgx: bool,
  sgx1: bool,
  sgx2: bool,
  flc: bool,
  "section-size": int,
  sections: list(struct("SGXEPCSection", { node: int, size: int })),
});

/** A question about what no CPU has here. */
function notEnabled(name: string, words: string, returns: Type): Command {
  return query(name, {}, returns, () => {
    throw new GenericError(words);
  });
}

/** Text for humans, as the commands that may change give it. */
const Readable = struct("HumanReadableText", { "human-readable-text": str });

/** A text of the human monitor's. */
function readable(command: string, line: string): Command {
  return query(command, {}, Readable, async ({ human }) => ({
    "human-readable-text": await (await human?.())?.run(line) ?? "",
  }));
}

/** The commands. */
export const FIXED: readonly Command[] = [
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
  // There are none without KVM.
  {
    name: "query-stats",
    arguments: StatsFilter,
    returns: list(struct("StatsResult", {
      provider: StatsProvider,
      "qom-path": optional(str),
      stats: list(struct("Stats", { name: str, value: StatsValue })),
    })),
    run: () => [],
  },
  query(
    "query-stats-schemas",
    { provider: optional(StatsProvider) },
    list(struct("StatsSchema", {
      provider: StatsProvider,
      target: StatsTarget,
      stats: list(struct("StatsSchemaValue", {
        name: str,
        type: oneOf("StatsType", []),
        exponent: int,
      })),
    })),
    () => [],
  ),
  query(
    "query-display-options",
    {},
    struct("DisplayOptions", { type: oneOf("DisplayType", ["none"]) }),
    () => ({ type: "none" as const }),
  ),
  notEnabled("query-sev", "SEV is not enabled", SevInfo),
  notEnabled(
    "query-sev-capabilities",
    "SEV is not enabled in KVM",
    SevCapability,
  ),
  notEnabled("query-sgx", "SGX is not enabled on machine", SgxInfo),
  notEnabled("query-sgx-capabilities", "SGX is not enabled in KVM", SgxInfo),
  readable("x-query-irq", "info irq"),
  readable("x-query-jit", "info jit"),
  readable("x-query-numa", "info numa"),
  readable("x-query-roms", "info roms"),
  notEnabled("x-query-usb", "USB support not enabled", Readable),
];
