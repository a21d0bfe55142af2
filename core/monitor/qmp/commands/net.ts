/**
 * Commands about networks and their cards: QEMU's `qapi/net.json`.
 *
 * @module
 */

import { cabledCards, setCable } from "../../../machine/cables.ts";
import { action, type Command, query, withOthers } from "../command.ts";
import { GenericError, noDevice } from "../error.ts";
import { bool, int, list, oneOf, optional, str, struct } from "../types.ts";

/** QEMU's kinds of networks. */
const NetKind = oneOf("NetClientDriver", [
  "none",
  "nic",
  "user",
  "tap",
  "l2tpv3",
  "socket",
  "stream",
  "dgram",
  "vde",
  "bridge",
  "hubport",
  "netmap",
  "vhost-user",
  "vhost-vdpa",
]);

const RxState = oneOf("RxState", ["normal", "none", "all"]);

const RxFilterInfo = struct("RxFilterInfo", {
  name: str,
  promiscuous: bool,
  multicast: RxState,
  unicast: RxState,
  vlan: RxState,
  "broadcast-allowed": bool,
  "multicast-overflow": bool,
  "unicast-overflow": bool,
  "main-mac": str,
  "vlan-table": list(int),
  "unicast-table": list(str),
  "multicast-table": list(str),
});

/** The commands. */
export const NET: readonly Command[] = [
  action(
    "set_link",
    { name: str, up: bool },
    ({ parts }, { name, up }) => {
      if (!setCable(parts, name, up)) throw noDevice(name);
    },
  ),
  // (What a network takes besides is nobody's business then.)
  withOthers(action(
    "netdev_add",
    { type: NetKind, id: str },
    ({ machine: { plan } }, { id }) => {
      if (plan.backends.some(({ name }) => name === id)) {
        throw new GenericError(`Duplicate ID '${id}' for netdev`);
      }
      throw new GenericError(
        "Networks are added by the machine's definition, or by --nic: its " +
          "buses do not support hotplugging, and no card could use another",
      );
    },
  )),
  action("netdev_del", { id: str }, ({ machine: { plan } }, { id }) => {
    const found = plan.backends.some(({ name, plugin }) =>
      plugin.type === "net" && name === id
    );
    if (!found) throw noDevice(id);
    throw new GenericError(`Device '${id}' is in use`);
  }),
  query(
    "query-rx-filter",
    { name: optional(str) },
    list(RxFilterInfo),
    ({ parts, machine: { plan } }, { name }) => {
      if (name === undefined) return [];
      if (cabledCards(parts).some((card) => card.name === name)) {
        throw new GenericError(
          `net client(${name}) doesn't support rx-filter querying`,
        );
      }
      if (plan.backends.some((backend) => backend.name === name)) {
        throw new GenericError(`net client(${name}) isn't a NIC`);
      }
      throw new GenericError(`invalid net client name: ${name}`);
    },
  ),
];
