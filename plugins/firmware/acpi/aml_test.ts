import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertSameTable, throughIasl } from "../../../tests/devices/iasl.ts";
import {
  type Aml,
  and,
  arg,
  buffer,
  byteField,
  createDwordField,
  device,
  eisaId,
  iff,
  integer,
  join,
  lLess,
  local,
  method,
  name,
  operationRegion,
  or,
  otherwise,
  path,
  pkg,
  REGION_SPACE,
  returns,
  scope,
  store,
  string,
} from "./aml.ts";
import {
  busNumbers,
  dma,
  interrupt,
  io,
  ioWindow,
  irqNoFlags,
  memory32Fixed,
  memoryWindow,
  resources,
} from "./aml_resources.ts";
import { table } from "./tables.ts";

/** Each statement's terms and what they are in ASL. */
const STATEMENTS: readonly (readonly [Aml, RegExp])[] = [
  [name("\\NUL0", 0), /Name \(\\NUL0, Zero\)/],
  [name("NUM1", 1), /Name \(NUM1, One\)/],
  [name("NUM2", 2), /Name \(NUM2, 0x02\)/],
  [name("NUM3", 0xff), /Name \(NUM3, 0xFF\)/],
  [name("NUM4", 0x100), /Name \(NUM4, 0x0100\)/],
  [name("NUM5", 0x10000), /Name \(NUM5, 0x00010000\)/],
  [name("NUM6", 0xfffffffe), /Name \(NUM6, 0xFFFFFFFE\)/],
  [name("TXT", "a text"), /Name \(TXT, "a text"\)/],
  [
    device("EIS0", name("_HID", eisaId("INT33FE"))),
    /Name \(_HID, EisaId \("INT33FE"\)/,
  ],
  [
    device("EIS1", name("_HID", eisaId("PNP0000"))),
    /Name \(_HID, EisaId \("PNP0000"\)/,
  ],
  [
    name("PKG", pkg(1, "two", pkg(3), path("\\_SB.DEV0"), 0x12345)),
    /Package \(0x05\)\s*\{\s*One,\s*"two",\s*Package \(0x01\)\s*\{\s*0x03\s*\},\s*\\_SB\.DEV0,\s*0x00012345/,
  ],
  [
    name("BUF", buffer(Uint8Array.of(1, 2, 3))),
    /Buffer \(0x03\)\s*\{\s*0x01, 0x02, 0x03/,
  ],
  // Lengths that take one byte to three.
  [name("LEN1", buffer(new Uint8Array(59))), /Buffer \(0x3B\)/],
  [name("LEN2", buffer(new Uint8Array(60))), /Buffer \(0x3C\)/],
  [name("LEN3", buffer(new Uint8Array(4090))), /Buffer \(0x0FFA\)/],
  [name("LEN4", buffer(new Uint8Array(4091))), /Buffer \(0x0FFB\)/],
  [
    method("MTH", 2, returns(and(arg(0), arg(1)))),
    /Method \(MTH, 2, Serialized\)\s*\{\s*Return \(\(Arg0 & Arg1\)\)/,
  ],
  [
    method(
      "CODE",
      1,
      store(arg(0), local(0)),
      iff(
        lLess(local(0), 0x80),
        or(path("NUM2"), and(local(0), 3), path("NUM2")),
      ),
      otherwise(
        store(resources(interrupt(0)), local(2)),
        createDwordField(local(2), 5, "IRQN"),
        store(7, path("IRQN")),
      ),
      returns(string("done")),
    ),
    /If \(\(Local0 < 0x80\)\)\s*\{\s*NUM2 \|= \(Local0 & 0x03\)\s*\}\s*Else\s*\{[^]*CreateDWordField \(Local2, 0x05, IRQN\)\s*IRQN = 0x07\s*\}\s*Return \("done"\)/,
  ],
  [
    scope(
      "\\_SB",
      device(
        "DEV0",
        name("_ADR", 0x10000),
        operationRegion("REG", REGION_SPACE.pciConfig, 0x60, 4),
        byteField("REG", "FLDA", "FLDB"),
        method("UP", 0, store(path("^FLDA"), path("^^DEV0.FLDB"))),
      ),
      device(
        "DEV1",
        name("_HID", eisaId("PNP0A03")),
        name("_UID", 0),
        name(
          "_CRS",
          resources(
            io(0x3f8, 8),
            irqNoFlags(4),
            dma(2),
            interrupt(5, 10, 11),
            memory32Fixed(0xfed00000, 0x400),
            busNumbers(0, 255),
            ioWindow(0xd00, 0xffff),
            memoryWindow(0xa0000, 0xbffff, true),
            memoryWindow(0xe0000000, 0xfebfffff, false),
          ),
        ),
      ),
    ),
    new RegExp(
      [
        "OperationRegion \\(REG, PCI_Config, 0x60, 0x04\\)",
        "Field \\(REG, ByteAcc, NoLock, Preserve\\)[^]*FLDA,\\s*8,\\s*FLDB,\\s*8",
        "\\^\\^DEV0\\.FLDB = \\^FLDA",
        "IO \\(Decode16,\\s*0x03F8,[^]*0x03F8,[^]*0x01,[^]*0x08,",
        "IRQNoFlags \\(\\)\\s*\\{4\\}",
        "DMA \\(Compatibility, NotBusMaster, Transfer8, \\)\\s*\\{2\\}",
        "Interrupt \\(ResourceConsumer, Level, ActiveHigh, Shared, ,, \\)\\s*" +
        "\\{\\s*0x00000005,\\s*0x0000000A,\\s*0x0000000B,",
        "Memory32Fixed \\(ReadWrite,\\s*0xFED00000,[^]*0x00000400,",
        "WordBusNumber \\(ResourceProducer, MinFixed, MaxFixed, PosDecode,",
        "WordIO \\(ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange",
        "DWordMemory \\(ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite",
        "DWordMemory \\(ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite",
      ].join("[^]*"),
    ),
  ],
];

Deno.test("aml: iasl reads what was written, and writes the same", async () => {
  const terms = join(STATEMENTS.map(([aml]) => aml));
  const bytes = table("DSDT", 2, terms);
  bytes[9] = -bytes.reduce((a, b) => a + b, 0);
  const result = await throughIasl(bytes);
  if (result === undefined) return;
  for (const [, asl] of STATEMENTS) {
    assert(asl.test(result.source), `${asl}\n${result.source}`);
  }
  assertSameTable(bytes, result.again);
});

Deno.test("aml: what cannot be encoded", () => {
  assertThrows(() => integer(-1), RangeError, "AML integer -1");
  assertThrows(() => integer(2 ** 32), RangeError);
  assertThrows(() => integer(0.5), RangeError);
  assertThrows(() => string("\u00e9"), RangeError, "expected ASCII");
  assertThrows(() => string("\0"), RangeError);
  assertThrows(() => path("TOOLONG"), RangeError, '"TOOLONG" is no name');
  assertThrows(() => path("1ST"), RangeError);
  assertThrows(() => path("A..B"), RangeError);
  assertThrows(() => eisaId("PNP00"), RangeError, "no EISA ID");
  assertThrows(() => pkg(...new Array(256).fill(0)), RangeError, "256");
  assertEquals(path("\\"), Uint8Array.of(0x5c, 0));
});
