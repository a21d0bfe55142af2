import { assertEquals, assertThrows } from "@std/assert";
import { DefinitionError } from "./document.ts";
import { bootOrderProblem, parseBoot, parseDrive } from "./drives.ts";

/** What a drive says, without where it was said and what it does not say. */
function said(text: string) {
  const { option, ...drive } = parseDrive(text);
  assertEquals(option, `--drive ${text}`);
  return JSON.parse(JSON.stringify(drive));
}

Deno.test("drive: its keys", () => {
  assertEquals(said("file=a.img"), { file: "a.img" });
  assertEquals(said("a.img"), { file: "a.img" });
  assertEquals(
    said(
      "file=a,if=ide,format=raw,media=cdrom,index=3,readonly,snapshot,serial=S",
    ),
    {
      file: "a",
      if: "ide",
      format: "raw",
      media: "cdrom",
      index: 3,
      readOnly: true,
      snapshot: true,
      serial: "S",
    },
  );
  assertEquals(said("if=pflash,unit=1,file=v"), {
    file: "v",
    if: "pflash",
    index: 1,
  });
  assertEquals(said("readonly=off,file=a,snapshot=on"), {
    file: "a",
    readOnly: false,
    snapshot: true,
  });
  assertEquals(said("file=a,,b=c,if=x"), { file: "a,b=c", if: "x" });
  assertEquals(said("https://host/a?b=c"), { file: "https://host/a?b=c" });
});

Deno.test("drive: mistakes name the option and the nearest key", () => {
  const cases: [string, string][] = [
    ["", '"file" needs a value'],
    ["if=ide", 'the key "file" is missing'],
    ["file=", '"file" needs a value'],
    ["fiel=a", 'unknown key "fiel"; did you mean "file"?'],
    ["file=a,readony", 'unknown key "readony"; did you mean "readonly"?'],
    ["file=a,file=b", '"file" is there twice'],
    ["file=a,index=x", 'index: expected a number, not "x"'],
    ["file=a,snapshot=yes", 'snapshot: expected "on" or "off", not "yes"'],
    ["file=a,if", '"if" needs a value'],
  ];
  for (const [text, message] of cases) {
    const error = assertThrows(() => parseDrive(text), DefinitionError);
    assertEquals(error.message, `--drive ${text}: ${message}`);
  }
});

Deno.test("boot: order and menu", () => {
  const said = (text: string) => {
    const { option, ...boot } = parseBoot(text);
    assertEquals(option, `--boot ${text}`);
    return boot;
  };
  assertEquals(said("order=cdn,menu=on"), { order: "cdn", menu: true });
  assertEquals(said("dc"), { order: "dc" });
  assertEquals(said("menu=off"), { menu: false });
  for (const text of ["order=c,order=d", "c,order=d", "menu=on,menu=on"]) {
    assertThrows(() => parseBoot(text), DefinitionError, "is there twice");
  }
  assertEquals(said("menu"), { menu: true });
  assertThrows(() => parseBoot("menu=x"), DefinitionError, '"on" or "off"');
  assertThrows(() => parseBoot("odrer=c"), DefinitionError, '"order"');
  assertEquals(bootOrderProblem("acdn"), undefined);
  for (const order of ["", "cc", "x", "c d"]) {
    assertEquals(typeof bootOrderProblem(order), "string");
  }
});
