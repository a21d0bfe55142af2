/**
 * The machine definition: the schema of everything in it but what plugins add.
 *
 * @module
 */

import type { ConfigSchema } from "./schema_types.ts";
import { MAX_CPUS } from "./several_cpus.ts";

const text = (description: string): ConfigSchema => ({
  type: "string",
  description,
});

const size = (description: string): ConfigSchema => ({
  format: "size",
  description,
});

const address = (description: string): ConfigSchema => ({
  format: "address",
  description,
});

const map = (
  description: string,
  additionalProperties: ConfigSchema,
): ConfigSchema => ({ type: "object", description, additionalProperties });

const FILE: ConfigSchema = { type: "string", format: "path" };

/** A value whose form the planner checks: a shorthand and a long form. */
const ANY: ConfigSchema = {};

/** The `boot` object: what the machine starts. */
export const BOOT_SCHEMA: ConfigSchema = {
  type: "object",
  description: "The firmware and what it starts, or a kernel without it",
  properties: {
    firmware: {
      ...FILE,
      words: ["builtin"],
      description: "The firmware's image: its file, or builtin",
    },
    kernel: { ...FILE, description: "The kernel's file" },
    initrd: { ...FILE, description: "The initial RAM disk's file" },
    append: text("The kernel's command line"),
    seed: {
      type: "string",
      description:
        "The random bytes that a kernel is given, hexadecimal; the host's when absent, and zeros with icount",
    },
    parameters: {
      type: "array",
      description: "What the machine adds to Linux's command line",
      items: { type: "string" },
      default: [],
    },
    modules: {
      type: "array",
      description: "Modules for a multiboot kernel",
      items: {
        type: "object",
        required: ["file"],
        properties: {
          file: { ...FILE, description: "The module's file" },
          append: text("The module's command line"),
        },
      },
    },
    loaders: {
      type: "array",
      description: "Loader plugins, asked in this order about the kernel",
      items: { type: "string" },
      default: [],
    },
    order: text(
      "What firmware tries to start, in this order: letters of " +
        "acdn for floppy, disk, CD-ROM and network",
    ),
    menu: {
      type: "boolean",
      description: "Firmware offers a boot menu",
    },
  },
};

/** The `time` object. */
export const TIME_SCHEMA: ConfigSchema = {
  type: "object",
  description: "What virtual time follows",
  default: {},
  properties: {
    mode: {
      type: "string",
      enum: ["host", "icount"],
      default: "host",
      description: "The host's clock, or the count of guest instructions",
    },
    nsPerInstruction: {
      type: "integer",
      minimum: 1,
      maximum: 1000,
      default: 4,
      description: "Virtual nanoseconds an instruction takes with icount",
    },
    epoch: {
      type: "integer",
      default: 946_684_800_000,
      description:
        "Wall-clock time at start with icount, in milliseconds since 1970",
    },
    precise: {
      type: "boolean",
      default: false,
      description:
        "With icount: an instruction that reaches a device does so as if it were run alone, which is slower; recorded runs are like that",
    },
  },
};

const WIRES = map(
  'What its outputs drive: "device.input", or a list of them',
  ANY,
);

/** The `drives` object: where `--drive` and its kin put images. */
export const DRIVES_SCHEMA: ConfigSchema = map(
  "Where drives are, by the name of the interface; the first is the default",
  {
    type: "object",
    required: ["slots"],
    properties: {
      slots: {
        type: "array",
        description: 'The drives by index: "device.role", a block backend',
        items: { type: "string" },
      },
      cdrom: {
        type: "integer",
        minimum: 0,
        description: "The index of the CD-ROM drive that --cdrom is about",
      },
      add: {
        ...map("Devices that are added when a drive is to be theirs", ANY),
        default: {},
      },
    },
  },
);

/** The `nics` object: the network cards that `--nic` adds. */
export const NICS_SCHEMA: ConfigSchema = {
  type: "object",
  description: "The network cards that --nic adds",
  default: {},
  properties: {
    default: text("The model of a card when none is named; else the first"),
    models: {
      ...map("Cards by the name of the model", {
        type: "object",
        required: ["device", "places"],
        properties: {
          device: {
            ...ANY,
            description: "The device that is added; its backend's role is net",
          },
          places: {
            type: "array",
            description:
              "What is laid over the device for card 0, 1, ...: where it sits",
            items: ANY,
          },
        },
      }),
      default: {},
    },
  },
};

/** The `displays` object: what `--display` changes besides the display. */
export const DISPLAYS_SCHEMA: ConfigSchema = map(
  "What is laid over the machine when --display names this plugin",
  {
    type: "object",
    properties: {
      devices: {
        ...map("Devices, as they differ from the machine's", ANY),
        default: {},
      },
    },
  },
);

/** The whole definition. Plugins' own parts are checked by their schemas. */
export const MACHINE_SCHEMA: ConfigSchema = {
  type: "object",
  required: ["cpu", "spaces"],
  properties: {
    $schema: text("Where an editor finds the schema (rhea schema)"),
    name: { ...text("The machine's name"), default: "machine" },
    description: text("One line about the machine"),
    extends: text("A definition that this one is laid over, by path"),
    cpu: {
      type: "object",
      description: "The CPU",
      required: ["plugin", "physical"],
      properties: {
        plugin: text("The CPU plugin"),
        model: text("The CPU model"),
        count: {
          type: "integer",
          description: "How many CPUs there are, which take turns",
          minimum: 1,
          maximum: MAX_CPUS,
          default: 1,
        },
        physical: text("The space of physical memory"),
        ports: text("The space of ports"),
        intc: text("The device that gives interrupt vectors"),
        wires: { ...WIRES, default: {} },
        config: { ...ANY, description: "Configuration of the plugin" },
      },
    },
    memories: {
      ...map("RAM and ROM, to be placed in spaces", {
        type: "object",
        properties: {
          kind: { type: "string", enum: ["ram", "rom"], default: "ram" },
          size: size("Its size; a ROM's is its file's when absent"),
          file: { ...FILE, description: "What it contains at first" },
        },
      }),
      default: {},
    },
    spaces: map("Address spaces", {
      type: "object",
      required: ["size"],
      properties: {
        size: size("One more than the last address"),
        regions: {
          ...map("Memory in the space", {
            type: "object",
            required: ["memory", "at"],
            properties: {
              memory: text("The name in `memories`"),
              at: address("Its first address"),
              offset: { ...size("Where in the memory it starts"), default: 0 },
              size: size("Its size; to the end of the memory when absent"),
              maxSize: size("The most that it has when it goes to the end"),
              priority: {
                type: "integer",
                default: 0,
                description: "A higher one shadows lower ones",
              },
            },
          }),
          default: {},
        },
      },
    }),
    devices: {
      ...map("Devices", {
        type: "object",
        required: ["plugin"],
        properties: {
          plugin: text("The device plugin"),
          at: {
            ...ANY,
            description:
              "Where its regions sit: an address for the only region, or by " +
              "region an address or {space, base, priority}",
          },
          wires: { ...WIRES, default: {} },
          use: {
            ...map("Collaborating devices by role", { type: "string" }),
            default: {},
          },
          backends: {
            ...map("Backends by role", { type: "string" }),
            default: {},
          },
          config: { ...ANY, description: "Configuration of the plugin" },
        },
      }),
      default: {},
    },
    lines: {
      ...map("How several drivers of one line join", {
        type: "string",
        enum: ["or"],
      }),
      default: {},
    },
    backends: {
      ...map("Backends", {
        type: "object",
        required: ["plugin"],
        properties: {
          plugin: text("The backend plugin"),
          config: { ...ANY, description: "Configuration of the plugin" },
          pcap: {
            ...FILE,
            description: "The file to which a network's frames are captured",
          },
        },
      }),
      default: {},
    },
    displays: { ...DISPLAYS_SCHEMA, default: {} },
    drives: { ...DRIVES_SCHEMA, default: {} },
    nics: NICS_SCHEMA,
    boot: { ...BOOT_SCHEMA, default: {} },
    time: TIME_SCHEMA,
    translator: {
      type: "object",
      description: "The translator of guest code",
      default: {},
      properties: {
        arena: {
          ...size("Memory for translated blocks before they are flushed"),
          default: "64M",
        },
        accel: {
          type: "string",
          enum: ["jit", "interp"],
          default: "jit",
          description: "jit uses the interpreter for cold code; interp always",
        },
      },
    },
  },
};

/** A definition after `MACHINE_SCHEMA` has checked and completed it. */
export interface MachineDefinition {
  /** The machine's name. */
  readonly name: string;
  /** One line about it. */
  readonly description?: string;
  /** The CPU. */
  readonly cpu: {
    /** The plugin. */
    readonly plugin: string;
    /** The model. */
    readonly model?: string;
    /** How many there are. */
    readonly count: number;
    /** The space of physical memory. */
    readonly physical: string;
    /** The space of ports. */
    readonly ports?: string;
    /** The device that gives interrupt vectors. */
    readonly intc?: string;
    /** What its outputs drive. */
    readonly wires: Readonly<Record<string, unknown>>;
    /** The plugin's configuration. */
    readonly config?: unknown;
  };
  /** RAM and ROM. */
  readonly memories: Readonly<
    Record<string, {
      /** What it is. */
      readonly kind: "ram" | "rom";
      /** Its size. */
      readonly size?: number;
      /** What it contains at first. */
      readonly file?: string;
    }>
  >;
  /** Address spaces. */
  readonly spaces: Readonly<
    Record<string, {
      /** One more than the last address. */
      readonly size: number;
      /** Memory in it. */
      readonly regions: Readonly<
        Record<string, {
          /** The name in `memories`. */
          readonly memory: string;
          /** Its first address. */
          readonly at: number;
          /** Where in the memory it starts. */
          readonly offset: number;
          /** Its size. */
          readonly size?: number;
          /** The most that it has without a size. */
          readonly maxSize?: number;
          /** A higher one shadows lower ones. */
          readonly priority: number;
        }>
      >;
    }>
  >;
  /** Devices. */
  readonly devices: Readonly<
    Record<string, {
      /** The plugin. */
      readonly plugin: string;
      /** Where its regions sit. */
      readonly at?: unknown;
      /** What its outputs drive. */
      readonly wires: Readonly<Record<string, unknown>>;
      /** Collaborating devices. */
      readonly use: Readonly<Record<string, string>>;
      /** Backends. */
      readonly backends: Readonly<Record<string, string>>;
      /** The plugin's configuration. */
      readonly config?: unknown;
    }>
  >;
  /** How drivers join. */
  readonly lines: Readonly<Record<string, "or">>;
  /** Backends. */
  readonly backends: Readonly<
    Record<string, {
      /** The plugin. */
      readonly plugin: string;
      /** The plugin's configuration. */
      readonly config?: unknown;
      /** For a network: where its frames are captured. */
      readonly pcap?: string;
    }>
  >;
  /** What is laid over the machine for a display, by its plugin. */
  readonly displays: Readonly<
    Record<string, {
      /** Devices, as they differ. */
      readonly devices: Readonly<Record<string, unknown>>;
    }>
  >;
  /** Where drives are, by interface. */
  readonly drives: Readonly<
    Record<string, {
      /** The drives: `device.role`. */
      readonly slots: readonly string[];
      /** Which of them `--cdrom` is about. */
      readonly cdrom?: number;
      /** Devices that are added when a drive is to be theirs. */
      readonly add: Readonly<Record<string, unknown>>;
    }>
  >;
  /** Network cards that are added when they are asked for. */
  readonly nics: {
    /** The model when none is named. */
    readonly default?: string;
    /** Cards by model. */
    readonly models: Readonly<
      Record<string, {
        /** The device. */
        readonly device: unknown;
        /** What is laid over it for each card. */
        readonly places: readonly unknown[];
      }>
    >;
  };
  /** What is started. */
  readonly boot: {
    /** The firmware's image: a file, or `builtin`. */
    readonly firmware?: string;
    /** The kernel's file. */
    readonly kernel?: string;
    /** The initial RAM disk's file. */
    readonly initrd?: string;
    /** The command line. */
    readonly append?: string;
    /** The random bytes for it: 64 hexadecimal digits. */
    readonly seed?: string;
    /** What the machine adds to Linux's. */
    readonly parameters: readonly string[];
    /** Multiboot modules. */
    readonly modules?: readonly {
      /** The module's file. */
      readonly file: string;
      /** Its command line. */
      readonly append?: string;
    }[];
    /** Loader plugins. */
    readonly loaders: readonly string[];
    /** What firmware tries, in this order: letters of `acdn`. */
    readonly order?: string;
    /** Whether firmware offers a menu. */
    readonly menu?: boolean;
  };
  /** What time follows. */
  readonly time: {
    /** Which of both. */
    readonly mode: "host" | "icount";
    /** Nanoseconds an instruction with icount. */
    readonly nsPerInstruction: number;
    /** The date at start with icount. */
    readonly epoch: number;
    /** With icount: see `CpuContext.precise`. */
    readonly precise: boolean;
  };
  /** The translator. */
  readonly translator: {
    /** Bytes of its arena. */
    readonly arena: number;
    /** Which executor. */
    readonly accel: "jit" | "interp";
  };
}
