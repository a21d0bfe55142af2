/**
 * Commands about networks: the cables of their cards, the host's ports that
 * lead to the guest.
 *
 * @module
 */

import type { NetBackend } from "../../backend/net.ts";
import { cabledCards, setCable } from "../../machine/cables.ts";
import type { Arguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

/** A network with the host behind it. */
type HostNetwork =
  & NetBackend
  & Required<Pick<NetBackend, "addForward" | "removeForward">>;

/** Networks in which the host has ports that lead to the guest, by name. */
function hostNetworks({ machine, parts }: MonitorContext): [
  string,
  HostNetwork,
][] {
  return machine.plan.backends.flatMap(({ name, plugin }) => {
    if (plugin.type !== "net") return [];
    const net = parts.backends.get(name) as NetBackend | undefined;
    return net?.addForward === undefined ? [] : [[name, net as HostNetwork]];
  });
}

/** The network and the forward that a command is about: the first, unless one is named. */
function choose(
  context: MonitorContext,
  args: Arguments,
): { net: HostNetwork; text: string } {
  const [first, second] = [args.text("first")!, args.text("second")];
  const all = hostNetworks(context);
  const chosen = second === undefined
    ? all[0]
    : all.find(([name]) => name === first);
  if (chosen !== undefined) return { net: chosen[1], text: second ?? first };
  throw new MonitorError(
    second === undefined
      ? "user mode network stack not in use"
      : `unrecognized netdev id '${first}'`,
  );
}

async function addForward(
  context: MonitorContext,
  args: Arguments,
): Promise<void> {
  const { net, text } = choose(context, args);
  try {
    await net.addForward(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    throw new MonitorError(
      `could not set up host forwarding rule '${text}': ${reason}`,
    );
  }
}

function removeForward(context: MonitorContext, args: Arguments): string {
  const { net, text } = choose(context, args);
  let isFound;
  try {
    isFound = net.removeForward(text);
  } catch {
    throw new MonitorError("invalid format");
  }
  return `host forwarding rule for ${text} ${
    isFound ? "removed" : "not found"
  }\n`;
}

const networkNames = (context: MonitorContext): string[] =>
  hostNetworks(context).map(([name]) => name);

/** The commands. */
export const NET_COMMANDS: readonly Command[] = [
  {
    name: "set_link",
    args: "name:s,up:b",
    params: "name on|off",
    help: "change the link status of a network adapter",
    run({ parts }, args) {
      const name = args.text("name")!;
      if (setCable(parts, name, args.isOn("up")!)) return;
      throw new MonitorError(`Error: Device '${name}' not found`);
    },
    words: ({ parts }) => [
      ...cabledCards(parts).map(({ name }) => name),
      "on",
      "off",
    ],
  },
  {
    name: "hostfwd_add",
    args: "first:s,second:s?",
    params: "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
    help: "redirect TCP or UDP connections from host to guest (requires -net " +
      "user)",
    run: addForward,
    words: networkNames,
  },
  {
    name: "hostfwd_remove",
    args: "first:s,second:s?",
    params: "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
    help: "remove host-to-guest TCP or UDP redirection",
    run: removeForward,
    words: networkNames,
  },
];
