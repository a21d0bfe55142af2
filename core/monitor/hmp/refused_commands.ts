/**
 * Commands about what is as it is for as long as the machine runs: those of QMP
 * say why, and so these do.
 *
 * @module
 */

import type { Monitor } from "../qmp/command.ts";
import { MIGRATION } from "../qmp/commands/migration.ts";
import { NET } from "../qmp/commands/net.ts";
import { REFUSALS } from "../qmp/commands/refusals.ts";
import { QmpError } from "../qmp/error.ts";
import type { JsonValue } from "../qmp/json_value.ts";
import { parseValue } from "../qmp/types.ts";
import type { Arguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

/** Arguments of a QMP command, as a client sends them. */
type Given = Map<string, JsonValue>;

const COMMANDS = new Map(
  [...REFUSALS, ...MIGRATION, ...NET].map((command) => [
    command.name,
    command,
  ]),
);

/** The options of `driver,id=name,...`, of which the first may be a value alone. */
function options(first: string, text: string = ""): Given {
  const given: Given = new Map();
  for (const [i, part] of text.split(",").entries()) {
    if (part === "") continue;
    const [key, ...value] = part.split("=");
    if (i === 0 && value.length === 0) given.set(first, key);
    else given.set(key, value.join("="));
  }
  return given;
}

/** A command that is what one of QMP is. */
function asQmp(
  qmp: string,
  command: Omit<Command, "run">,
  given: (args: Arguments) => Given,
): Command {
  const { run, arguments: type } = COMMANDS.get(qmp)!;
  return {
    ...command,
    async run({ machine, parts }: MonitorContext, args): Promise<void> {
      try {
        const values = parseValue(type, given(args));
        // Those commands look at nothing else.
        await run({ machine, parts } as Monitor, values as never);
      } catch (error) {
        if (!(error instanceof QmpError)) throw error;
        throw new MonitorError(`Error: ${error.message}`);
      }
    },
  };
}

/** The arguments of these names. */
function named(...names: string[]): (args: Arguments) => Given {
  return (args) => {
    const given: Given = new Map();
    for (const name of names) {
      const text = args.text(name);
      if (text !== undefined) given.set(name, text);
    }
    return given;
  };
}

/** A command about a block job by its drive. */
function jobCommand(verb: string, help: string): Command {
  return asQmp(`block-job-${verb.replaceAll("_", "-")}`, {
    name: `block_job_${verb}`,
    args: verb === "cancel" ? "force:-f,device:B" : "device:B",
    params: verb === "cancel" ? "[-f] device" : "device",
    help,
  }, named("device"));
}

/** The commands. */
export const REFUSED_COMMANDS: readonly Command[] = [
  asQmp("device_add", {
    name: "device_add",
    args: "device:S?",
    params: "driver[,prop=value][,...]",
    help: "add device, like -device on the command line",
  }, (args) => options("driver", args.text("device"))),
  asQmp("device_del", {
    name: "device_del",
    args: "id:s",
    params: "device",
    help: "remove device",
  }, named("id")),
  asQmp("netdev_add", {
    name: "netdev_add",
    args: "netdev:S?",
    params: "[user|tap|socket|stream|dgram|vde|bridge|hubport|netmap|" +
      "vhost-user|...],id=str[,prop=value][,...]",
    help: "add host network device",
  }, (args) => options("type", args.text("netdev"))),
  asQmp("netdev_del", {
    name: "netdev_del",
    args: "id:s",
    params: "id",
    help: "remove host network device",
  }, named("id")),
  asQmp("object-add", {
    name: "object_add",
    args: "object:S",
    params: "[qom-type=]type,id=str[,prop=value][,...]",
    help: "create QOM object",
  }, (args) => options("qom-type", args.text("object"))),
  asQmp("object-del", {
    name: "object_del",
    args: "id:s",
    params: "id",
    help: "destroy QOM object",
  }, named("id")),
  asQmp("chardev-add", {
    name: "chardev-add",
    args: "args:S",
    params: "args",
    help: "add chardev",
  }, (args) => {
    const backend = options("type", args.text("args"));
    const id = backend.get("id");
    backend.delete("id");
    const given: Given = new Map([["backend", backend]]);
    return id === undefined ? given : given.set("id", id);
  }),
  asQmp("chardev-remove", {
    name: "chardev-remove",
    args: "id:s",
    params: "id",
    help: "remove chardev",
  }, named("id")),
  jobCommand("cancel", "stop an active background block operation"),
  jobCommand("complete", "stop an active background block operation"),
  jobCommand("pause", "pause an active background block operation"),
  jobCommand("resume", "resume a paused background block operation"),
  asQmp("migrate", {
    name: "migrate",
    args: "detach:-d,blk:-b,inc:-i,resume:-r,uri:s",
    params: "[-d] [-b] [-i] [-r] uri",
    help: "migrate to URI",
  }, named("uri")),
  asQmp("migrate_cancel", {
    name: "migrate_cancel",
    help: "cancel the current VM migration",
  }, named()),
  asQmp("set_password", {
    name: "set_password",
    args: "protocol:s,password:s,display:-ds,connected:s?",
    params: "protocol password [-d display] [action-if-connected]",
    help: "set spice/vnc password",
  }, named("protocol", "password", "connected")),
  asQmp("expire_password", {
    name: "expire_password",
    args: "protocol:s,time:s,display:-ds",
    params: "protocol time [-d display]",
    help: "set spice/vnc password expire-time",
  }, named("protocol", "time")),
];
