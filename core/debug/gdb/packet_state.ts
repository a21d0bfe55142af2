/**
 * Packets that read and write registers and memory: `g` `G` `p` `P`, `m` `M`
 * `x` `X`. Each function gives back the answer.
 *
 * @module
 */

import type { DebugCpu } from "../contract.ts";
import { fromBytes, fromHex, PACKET_SIZE, toBytes, toHex } from "./packet.ts";
import type { RegisterMap } from "./target_description.ts";

/** A packet that is wrong, or asks for what there is not. */
export const E_INVAL = "E22";
/** Memory that is not there. */
export const E_FAULT = "E14";

/** A hexadecimal number up to 2^53. */
export function parseNumber(text: string): number | undefined {
  if (!/^[0-9a-f]{1,16}$/i.test(text)) return undefined;
  const value = parseInt(text, 16);
  return Number.isSafeInteger(value) ? value : undefined;
}

// Registers. What the CPU does not take throws a RangeError.

/** All registers. */
export function readRegisters(
  { registers }: DebugCpu,
  map: RegisterMap,
): string {
  let text = "";
  for (const { register } of map.registers) {
    text += toHex(registers.read(register.name));
  }
  return text;
}

/** Write all registers. */
export function writeRegisters(
  { registers }: DebugCpu,
  map: RegisterMap,
  text: string,
): string {
  const bytes = fromHex(text);
  if (bytes === undefined || bytes.length !== map.size) return E_INVAL;
  for (const { register: { name }, offset, size } of map.registers) {
    const value = bytes.subarray(offset, offset + size);
    const old = registers.read(name);
    // What is the same need not be something that can be written.
    if (value.every((byte, i) => byte === old[i])) continue;
    registers.write(name, value);
  }
  return "OK";
}

/** A register by its number. */
export function readRegister(
  { registers }: DebugCpu,
  map: RegisterMap,
  text: string,
): string {
  const placed = map.registers[parseNumber(text) ?? -1];
  if (placed === undefined) return E_INVAL;
  return toHex(registers.read(placed.register.name));
}

/** Write one: `number=value`. */
export function writeRegister(
  { registers }: DebugCpu,
  map: RegisterMap,
  text: string,
): string {
  const [number, value, ...more] = text.split("=");
  const placed = map.registers[parseNumber(number) ?? -1];
  const bytes = fromHex(value ?? "");
  if (
    placed === undefined || more.length > 0 || bytes?.length !== placed.size
  ) return E_INVAL;
  registers.write(placed.register.name, bytes);
  return "OK";
}

/** Go on from an address: that of `c` and `s`. Throws a `RangeError` for what is none. */
export function setPc(
  { registers }: DebugCpu,
  { pc }: RegisterMap,
  text: string,
): void {
  const bytes = fromHex(text.padStart(2 * pc.size, "0").slice(-2 * pc.size));
  if (bytes === undefined || text.length > 16) {
    throw new RangeError(`there is no address ${text}`);
  }
  registers.write(pc.register.name, bytes.reverse());
}

// Memory.

/** The memory that a packet's addresses mean. */
export interface PacketMemory {
  /** The address that a text says; undefined where there is none such. */
  parse(text: string): number | undefined;
  /** Read; gives back how many bytes could be. */
  read(address: number, into: Uint8Array): number;
  /** Write; gives back how many bytes could be. */
  write(address: number, bytes: Uint8Array): number;
}

interface Range {
  readonly address: number;
  readonly length: number;
}

/** What `address,length` says, or the answer where it says nothing. */
function parseRange(memory: PacketMemory, text: string): Range | string {
  const [from, count, ...more] = text.split(",");
  const length = parseNumber(count ?? "");
  if (length === undefined || more.length > 0) return E_INVAL;
  const address = memory.parse(from);
  if (address !== undefined) return { address, length };
  return /^[0-9a-f]+$/i.test(from) ? E_FAULT : E_INVAL;
}

/** Read memory, in hexadecimal or as it is. */
export function readMemory(
  memory: PacketMemory,
  text: string,
  isBinary: boolean,
): string {
  const range = parseRange(memory, text);
  if (typeof range === "string") return range;
  // A shorter answer than was asked for is allowed.
  const most = PACKET_SIZE / 2 - 16;
  const bytes = new Uint8Array(Math.min(range.length, most));
  const count = memory.read(range.address, bytes);
  if (count === 0 && range.length > 0) return E_FAULT;
  const read = bytes.subarray(0, count);
  return isBinary ? `b${fromBytes(read)}` : toHex(read);
}

/** Write memory: `address,length:data`. */
export function writeMemory(
  memory: PacketMemory,
  text: string,
  isBinary: boolean,
): string {
  const colon = text.indexOf(":");
  if (colon < 0) return E_INVAL;
  const range = parseRange(memory, text.slice(0, colon));
  if (typeof range === "string") return range;
  const data = text.slice(colon + 1);
  const bytes = isBinary ? toBytes(data) : fromHex(data);
  if (bytes?.length !== range.length) return E_INVAL;
  if (range.length === 0) return "OK";
  const count = memory.write(range.address, bytes);
  return count === bytes.length ? "OK" : E_FAULT;
}
