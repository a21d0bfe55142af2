/**
 * Which frames a virtio network card takes, as the driver says by its control
 * queue (VIRTIO 1.2, 5.1.6.5): promiscuous modes, a table of MAC addresses, a
 * set of VLANs.
 *
 * @module
 */

/** Bytes of a MAC address. */
export const MAC_BYTES = 6;
/** The most addresses of each kind; with more, all of the kind are taken. */
const ENTRIES = 64;
/** The numbers of VLANs. */
const VLANS = 4096;
/** Ethernet: the type's place, that of 802.1Q, and the number in its tag. */
const ETHER_TYPE = 12;
const TYPE_VLAN = 0x8100;
const VLAN_TAG = 14;
const VLAN_ID = 0xfff;
/** The bit of the first byte of an address that is of a group. */
const GROUP = 1;

/** A part of the table. */
export interface MacTable {
  /** The addresses, one behind the other. */
  addresses: Uint8Array;
  /** How many there are. */
  count: number;
  /** The driver has more of them. */
  overflow: boolean;
}

/** The filter: part of the card's state. */
export interface FilterState {
  /** The card's address. */
  mac: Uint8Array;
  /** Takes everything. */
  promiscuous: boolean;
  /** Takes all that is for groups. */
  allMulticast: boolean;
  /** Other addresses that are taken. */
  unicast: MacTable;
  /** Addresses of groups that are taken. */
  multicast: MacTable;
  /** A bit for each VLAN that is taken. */
  vlans: Uint8Array;
}

function freshTable(): MacTable {
  return {
    addresses: new Uint8Array(ENTRIES * MAC_BYTES),
    count: 0,
    overflow: false,
  };
}

/** After reset it takes everything: a driver may have no control queue. */
export function freshFilter(mac: Uint8Array): FilterState {
  return {
    mac: mac.slice(),
    promiscuous: true,
    allMulticast: false,
    unicast: freshTable(),
    multicast: freshTable(),
    vlans: new Uint8Array(VLANS / 8),
  };
}

/**
 * A table of so many addresses, which `read` copies: as many bytes as there
 * are, or as there is room for.
 */
export function fillTable(
  count: number,
  read: (into: Uint8Array) => void,
): MacTable {
  const table = freshTable();
  if (count > ENTRIES) return { ...table, overflow: true };
  read(table.addresses.subarray(0, count * MAC_BYTES));
  return { ...table, count };
}

/** Take the frames of a VLAN, or no more; false for one that cannot be. */
export function setVlan(
  { vlans }: FilterState,
  id: number,
  on: boolean,
): boolean {
  if (id >= VLANS) return false;
  if (on) vlans[id >> 3] |= 1 << (id & 7);
  else vlans[id >> 3] &= ~(1 << (id & 7));
  return true;
}

/** Whether the frame is for this address in a list of them. */
function isFor(frame: Uint8Array, list: Uint8Array, at: number): boolean {
  for (let i = 0; i < MAC_BYTES; i++) {
    if (frame[i] !== list[at + i]) return false;
  }
  return true;
}

function has({ addresses, count }: MacTable, frame: Uint8Array): boolean {
  // A state that was loaded may say more.
  const most = Math.min(count, ENTRIES);
  for (let i = 0; i < most; i++) {
    if (isFor(frame, addresses, i * MAC_BYTES)) return true;
  }
  return false;
}

const BROADCAST = new Uint8Array(MAC_BYTES).fill(0xff);

/**
 * Whether the card takes a frame (of 14 bytes or more). VLANs are looked at
 * when the driver says which it wants.
 */
export function takes(
  state: FilterState,
  frame: Uint8Array,
  filtersVlans: boolean,
): boolean {
  if (state.promiscuous) return true;
  const type = frame[ETHER_TYPE] << 8 | frame[ETHER_TYPE + 1];
  if (filtersVlans && type === TYPE_VLAN) {
    const id = (frame[VLAN_TAG] << 8 | frame[VLAN_TAG + 1]) & VLAN_ID;
    if ((state.vlans[id >> 3] & 1 << (id & 7)) === 0) return false;
  }
  if ((frame[0] & GROUP) !== 0) {
    return isFor(frame, BROADCAST, 0) || state.allMulticast ||
      state.multicast.overflow || has(state.multicast, frame);
  }
  return isFor(frame, state.mac, 0) || state.unicast.overflow ||
    has(state.unicast, frame);
}
