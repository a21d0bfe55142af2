/**
 * An encoder of AML, the byte code of ACPI's tables: each function gives the
 * bytes of one term.
 *
 * ACPI Specification 6.4, chapter 20 "ACPI Machine Language (AML)
 * Specification"; the functions have the names of the operators in chapter 19.
 * A term list is any number of terms one after the other.
 *
 * @module
 */

/** The bytes of a term. */
export type Aml = Uint8Array;

/** What a term may be made of: `Aml`, an integer or a string of ASCII. */
export type Operand = Aml | number | string;

const ZERO = 0x00;
const ONE = 0x01;
const NAME = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const STRING_PREFIX = 0x0d;
const SCOPE = 0x10;
const BUFFER = 0x11;
const PACKAGE = 0x12;
const METHOD = 0x14;
const DUAL_NAME = 0x2e;
const MULTI_NAME = 0x2f;
const EXTENDED = 0x5b;
const LOCAL0 = 0x60;
const ARG0 = 0x68;
const STORE = 0x70;
const AND = 0x7b;
const OR = 0x7d;
const CREATE_DWORD_FIELD = 0x8a;
const LLESS = 0x95;
const IF = 0xa0;
const ELSE = 0xa1;
const RETURN = 0xa4;
/** Second bytes after `EXTENDED`. */
const OPERATION_REGION = 0x80;
const FIELD = 0x81;
const DEVICE = 0x82;

/** METHOD: its flags beside the number of arguments. */
const SERIALIZED = 0x08;
/** FIELD: accesses of one byte, no lock, other bits keep their value. */
const BYTE_ACCESS_PRESERVE = 0x01;

/** The address spaces of operation regions. */
export const REGION_SPACE = {
  /** Physical memory. */
  systemMemory: 0,
  /** Ports. */
  systemIo: 1,
  /** The configuration space of the PCI function that the region is in. */
  pciConfig: 2,
} as const;

/** The bytes of all parts one after the other. */
export function join(parts: readonly Aml[]): Aml {
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function op(...bytes: number[]): Aml {
  return Uint8Array.from(bytes);
}

/** An integer of up to 32 bits in the shortest form. */
export function integer(value: number): Aml {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new RangeError(`AML integer ${value}: expected 32 bits, unsigned`);
  }
  if (value === 0) return op(ZERO);
  if (value === 1) return op(ONE);
  if (value <= 0xff) return op(BYTE_PREFIX, value);
  if (value <= 0xffff) return op(WORD_PREFIX, value & 0xff, value >>> 8);
  return op(
    DWORD_PREFIX,
    value & 0xff,
    value >>> 8 & 0xff,
    value >>> 16 & 0xff,
    value >>> 24,
  );
}

/** A string of ASCII. */
export function string(text: string): Aml {
  // deno-lint-ignore no-control-regex
  if (!/^[\x01-\x7f]*$/.test(text)) {
    throw new RangeError(`AML string ${JSON.stringify(text)}: expected ASCII`);
  }
  return join([op(STRING_PREFIX), new TextEncoder().encode(text), op(0)]);
}

/**
 * A name: segments of up to four characters joined by dots, after `\` for the
 * root or any number of `^` for the scope around.
 */
export function path(text: string): Aml {
  const [, prefix, names] = /^(\\|\^*)(.*)$/.exec(text)!;
  const segments = names === "" ? [] : names.split(".");
  for (const segment of segments) {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) {
      throw new RangeError(`"${text}" is no name of the ACPI namespace`);
    }
  }
  const count = segments.length;
  const lead = count === 0
    ? op(0)
    : count === 1
    ? op()
    : count === 2
    ? op(DUAL_NAME)
    : op(MULTI_NAME, count);
  const ascii = new TextEncoder();
  return join([
    ascii.encode(prefix),
    lead,
    ...segments.map((segment) => ascii.encode(segment.padEnd(4, "_"))),
  ]);
}

/** A term of an operand. */
function term(operand: Operand): Aml {
  if (typeof operand === "number") return integer(operand);
  return typeof operand === "string" ? string(operand) : operand;
}

/** A length in the encoding of `PkgLength`, without what it takes itself. */
function packed(length: number): Aml {
  if (length < 0x40) return op(length);
  const bytes = length < 1 << 12 ? 1 : length < 1 << 20 ? 2 : 3;
  const out = [bytes << 6 | length & 0x0f];
  for (let i = 0; i < bytes; i++) out.push(length >>> 4 + 8 * i & 0xff);
  return op(...out);
}

/** An operator and its operands behind their length, which counts itself. */
function block(operator: Aml, parts: readonly Aml[]): Aml {
  const body = join(parts);
  const own = body.length + 1 < 0x40
    ? 1
    : body.length + 2 < 1 << 12
    ? 2
    : body.length + 3 < 1 << 20
    ? 3
    : 4;
  return join([operator, packed(body.length + own), body]);
}

/** `Name (name, value)` */
export function name(where: string, value: Operand): Aml {
  return join([op(NAME), path(where), term(value)]);
}

/** `Scope (where) {terms}` */
export function scope(where: string, ...terms: Aml[]): Aml {
  return block(op(SCOPE), [path(where), ...terms]);
}

/** `Device (where) {terms}` */
export function device(where: string, ...terms: Aml[]): Aml {
  return block(op(EXTENDED, DEVICE), [path(where), ...terms]);
}

/**
 * `Method (where, arguments) {terms}`; serialized, as one must be that creates
 * names.
 */
export function method(where: string, args: number, ...terms: Aml[]): Aml {
  return block(op(METHOD), [path(where), op(SERIALIZED | args), ...terms]);
}

/** `Package () {elements}`; 255 at most. */
export function pkg(...elements: Operand[]): Aml {
  if (elements.length > 255) {
    throw new RangeError(`AML package: ${elements.length} elements, most: 255`);
  }
  return block(op(PACKAGE), [op(elements.length), ...elements.map(term)]);
}

/** `Buffer () {bytes}` */
export function buffer(bytes: Uint8Array): Aml {
  return block(op(BUFFER), [integer(bytes.length), bytes]);
}

/** `EisaId (id)`: three letters and four hexadecimal digits, as `PNP0A03`. */
export function eisaId(id: string): Aml {
  if (!/^[A-Z]{3}[0-9A-F]{4}$/.test(id)) {
    throw new RangeError(`"${id}" is no EISA ID, expected one as PNP0A03`);
  }
  const [a, b, c] = [0, 1, 2].map((i) => id.charCodeAt(i) - 0x40);
  const letters = a << 10 | b << 5 | c;
  const product = parseInt(id.slice(3), 16);
  // Big-endian, of which an integer's bytes are the other way round.
  const swap = (word: number): number => (word & 0xff) << 8 | word >> 8;
  return integer((swap(product) * 0x10000) + swap(letters));
}

/** `OperationRegion (where, space, offset, length)` */
export function operationRegion(
  where: string,
  space: number,
  offset: number,
  length: number,
): Aml {
  return join([
    op(EXTENDED, OPERATION_REGION),
    path(where),
    op(space),
    integer(offset),
    integer(length),
  ]);
}

/** `Field (region, ByteAcc, NoLock, Preserve) {names}`, a byte each. */
export function byteField(region: string, ...names: string[]): Aml {
  return block(op(EXTENDED, FIELD), [
    path(region),
    op(BYTE_ACCESS_PRESERVE),
    ...names.map((unit) => join([path(unit), packed(8)])),
  ]);
}

/** `CreateDWordField (source, index, where)` */
export function createDwordField(
  source: Aml,
  index: number,
  where: string,
): Aml {
  return join([op(CREATE_DWORD_FIELD), source, integer(index), path(where)]);
}

/** `Store (value, target)` */
export function store(value: Operand, target: Aml): Aml {
  return join([op(STORE), term(value), target]);
}

/** `And (a, b)`, or with a target that takes the result. */
export function and(a: Operand, b: Operand, target: Aml = op(ZERO)): Aml {
  return join([op(AND), term(a), term(b), target]);
}

/** `Or (a, b)`, or with a target that takes the result. */
export function or(a: Operand, b: Operand, target: Aml = op(ZERO)): Aml {
  return join([op(OR), term(a), term(b), target]);
}

/** `LLess (a, b)` */
export function lLess(a: Operand, b: Operand): Aml {
  return join([op(LLESS), term(a), term(b)]);
}

/** `If (condition) {terms}` */
export function iff(condition: Aml, ...terms: Aml[]): Aml {
  return block(op(IF), [condition, ...terms]);
}

/** `Else {terms}`, right after `If`. */
export function otherwise(...terms: Aml[]): Aml {
  return block(op(ELSE), terms);
}

/** `Return (value)` */
export function returns(value: Operand): Aml {
  return join([op(RETURN), term(value)]);
}

/** `Local0` to `Local7` */
export function local(n: number): Aml {
  return op(LOCAL0 + n);
}

/** `Arg0` to `Arg6` */
export function arg(n: number): Aml {
  return op(ARG0 + n);
}
