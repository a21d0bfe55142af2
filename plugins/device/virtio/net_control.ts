/**
 * The commands of a virtio network card's control queue (VIRTIO 1.2, 5.1.6.5).
 *
 * @module
 */

import {
  fillTable,
  type FilterState,
  MAC_BYTES,
  setVlan,
} from "./net_filter.ts";
import { type DescriptorChain, VirtqueueError } from "./virtqueue.ts";

/** Classes of commands, and the commands. */
const CTRL_RX = 0;
const CTRL_RX_PROMISC = 0;
const CTRL_RX_ALLMULTI = 1;
const CTRL_MAC = 1;
const CTRL_MAC_TABLE_SET = 0;
const CTRL_MAC_ADDR_SET = 1;
const CTRL_VLAN = 2;
const CTRL_VLAN_ADD = 0;
const CTRL_VLAN_DEL = 1;
const CTRL_ANNOUNCE = 3;
const CTRL_ANNOUNCE_ACK = 0;
/** Bytes of class and command. */
const COMMAND_BYTES = 2;
/** Bytes of the number of addresses before each table. */
const COUNT_BYTES = 4;

/** What commands change. */
export interface NetState extends FilterState {
  /** The driver is to announce the guest. */
  announce: boolean;
  /** There is a cable. */
  cable: boolean;
}

/** What the driver has accepted. */
export interface ControlFeatures {
  /** CTRL_RX. */
  readonly rx: boolean;
  /** CTRL_VLAN. */
  readonly vlan: boolean;
  /** CTRL_MAC_ADDR. */
  readonly mac: boolean;
}

/**
 * Carry out the command in a chain; false if it cannot be, and nothing has
 * changed then. Throws a `VirtqueueError` for a chain that is no command.
 */
export function obey(
  chain: DescriptorChain,
  state: NetState,
  features: ControlFeatures,
): boolean {
  if (chain.readable < COMMAND_BYTES || chain.writable < 1) {
    throw new VirtqueueError("a command without head or answer");
  }
  const [kind, command] = bytesAt(chain, 0, COMMAND_BYTES);
  switch (kind) {
    case CTRL_RX:
      return features.rx && setMode(chain, state, command);
    case CTRL_MAC:
      if (command === CTRL_MAC_TABLE_SET) {
        return features.rx && setTables(chain, state);
      }
      return command === CTRL_MAC_ADDR_SET && features.mac &&
        setMac(chain, state);
    case CTRL_VLAN:
      return features.vlan && changeVlan(chain, state, command);
    case CTRL_ANNOUNCE:
      if (command !== CTRL_ANNOUNCE_ACK || !state.announce) return false;
      state.announce = false;
      return true;
    default:
      return false;
  }
}

function bytesAt(
  chain: DescriptorChain,
  at: number,
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(length);
  chain.read(at, bytes);
  return bytes;
}

/** The data of a command when it has just so many bytes. */
function dataOf(
  chain: DescriptorChain,
  length: number,
): Uint8Array | undefined {
  return chain.readable === COMMAND_BYTES + length
    ? bytesAt(chain, COMMAND_BYTES, length)
    : undefined;
}

function setMode(
  chain: DescriptorChain,
  state: NetState,
  command: number,
): boolean {
  const data = dataOf(chain, 1);
  if (data === undefined) return false;
  const isOn = data[0] !== 0;
  if (command === CTRL_RX_PROMISC) state.promiscuous = isOn;
  else if (command === CTRL_RX_ALLMULTI) state.allMulticast = isOn;
  else return false;
  return true;
}

function setMac(chain: DescriptorChain, state: NetState): boolean {
  const data = dataOf(chain, MAC_BYTES);
  if (data === undefined) return false;
  state.mac = data;
  return true;
}

function changeVlan(
  chain: DescriptorChain,
  state: NetState,
  command: number,
): boolean {
  const data = dataOf(chain, 2);
  const isKnown = command === CTRL_VLAN_ADD || command === CTRL_VLAN_DEL;
  if (data === undefined || !isKnown) return false;
  return setVlan(state, data[0] | data[1] << 8, command === CTRL_VLAN_ADD);
}

/** Two tables, each with its count before it: unicast, multicast. */
function setTables(chain: DescriptorChain, state: NetState): boolean {
  let at = COMMAND_BYTES;
  const tables = [];
  for (let i = 0; i < 2; i++) {
    if (at + COUNT_BYTES > chain.readable) return false;
    const word = bytesAt(chain, at, COUNT_BYTES);
    const count = new DataView(word.buffer).getUint32(0, true);
    at += COUNT_BYTES;
    const end = at + count * MAC_BYTES;
    if (end > chain.readable) return false;
    const from = at;
    tables.push(fillTable(count, (into) => chain.read(from, into)));
    at = end;
  }
  if (at !== chain.readable) return false;
  [state.unicast, state.multicast] = tables;
  return true;
}
