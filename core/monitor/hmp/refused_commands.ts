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
import type { Arguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

/** Arguments of a QMP command. */
type Given = Readonly<Record<string, unknown>>;

const COMMANDS = new Map(
  [...REFUSALS, ...MIGRATION, ...NET].map((command) => [
    command.name,
    command,
  ]),
);

/** The options of `driver,id=name,...`. */
function options(text: string, first: string): Given {
  return Object.fromEntries(
    text.split(",").map((part, i) => {
      const [key, ...value] = part.split("=");
      return i === 0 && value.length === 0
        ? [first, key]
        : [key, value.join("=")];
    }),
  );
}

/** A command that is what one of QMP is. */
function asQmp(
  qmp: string,
  command: Omit<Command, "run">,
  given: (args: Arguments) => Given,
): Command {
  const { run } = COMMANDS.get(qmp)!;
  return {
    ...command,
    async run({ machine, parts }: MonitorContext, args): Promise<void> {
      try {
        // Those commands look at nothing else.
        await run({ machine, parts } as Monitor, given(args) as never);
      } catch (error) {
        const reason = error instanceof Error ? error.message : `${error}`;
        throw new MonitorError(`Error: ${reason}`);
      }
    },
  };
}

const byId = (args: Arguments): Given => ({ id: args.text("id") });
const byDevice = (args: Arguments): Given => ({ device: args.text("device") });

/** A command about a block job by its drive. */
function jobCommand(verb: string, help: string, args = ""): Command {
  return asQmp(`block-job-${verb.replaceAll("_", "-")}`, {
    name: `block_job_${verb}`,
    args: verb === "cancel" ? "force:-f,device:B" : `device:B${args}`,
    params: verb === "cancel" ? "[-f] device" : "device",
    help,
  }, byDevice);
}

/** The commands. */
export const REFUSED_COMMANDS: readonly Command[] = [
  asQmp("device_add", {
    name: "device_add",
    args: "device:S",
    params: "driver[,prop=value][,...]",
    help: "add device, like -device on the command line",
  }, (args) => options(args.text("device")!, "driver")),
  asQmp("device_del", {
    name: "device_del",
    args: "id:s",
    params: "device",
    help: "remove device",
  }, byId),
  asQmp("netdev_add", {
    name: "netdev_add",
    args: "netdev:S",
    params: "[user|tap|socket|stream|dgram|vde|bridge|hubport|netmap|" +
      "vhost-user|...],id=str[,prop=value][,...]",
    help: "add host network device",
  }, (args) => options(args.text("netdev")!, "type")),
  asQmp("netdev_del", {
    name: "netdev_del",
    args: "id:s",
    params: "id",
    help: "remove host network device",
  }, byId),
  asQmp("object-add", {
    name: "object_add",
    args: "object:S",
    params: "[qom-type=]type,id=str[,prop=value][,...]",
    help: "create QOM object",
  }, (args) => options(args.text("object")!, "qom-type")),
  asQmp("object-del", {
    name: "object_del",
    args: "id:s",
    params: "id",
    help: "destroy QOM object",
  }, byId),
  asQmp("chardev-add", {
    name: "chardev-add",
    args: "args:S",
    params: "args",
    help: "add chardev",
  }, (args) => options(args.text("args")!, "backend")),
  asQmp("chardev-remove", {
    name: "chardev-remove",
    args: "id:s",
    params: "id",
    help: "remove chardev",
  }, byId),
  jobCommand("cancel", "stop an active background block operation"),
  jobCommand("complete", "stop an active background block operation"),
  jobCommand("pause", "pause an active background block operation"),
  jobCommand("resume", "resume a paused background block operation"),
  asQmp("migrate", {
    name: "migrate",
    args: "detach:-d,blk:-b,inc:-i,resume:-r,uri:s",
    params: "[-d] [-b] [-i] [-r] uri",
    help: "migrate to URI",
  }, () => ({})),
  asQmp("migrate_cancel", {
    name: "migrate_cancel",
    help: "cancel the current VM migration",
  }, () => ({})),
  asQmp("set_password", {
    name: "set_password",
    args: "protocol:s,password:s,display:-ds,connected:s?",
    params: "protocol password [-d display] [action-if-connected]",
    help: "set spice/vnc password",
  }, () => ({})),
  asQmp("expire_password", {
    name: "expire_password",
    args: "protocol:s,time:s,display:-ds",
    params: "protocol time [-d display]",
    help: "set spice/vnc password expire-time",
  }, () => ({})),
];
