import { assertEquals, assertThrows } from "@std/assert";
import { I32 } from "../ir/types.ts";
import { FunctionBody } from "./function_body.ts";
import { ModuleBuilder } from "./module.ts";
import * as W from "./opcodes.ts";
import { FunctionPrinter } from "./text.ts";

Deno.test("a function's text has names, marks and hints", async () => {
  const module = new ModuleBuilder(1);
  const type = module.type([0x7f], [0x7f]);
  const call = module.importFunction("helper", "3", type);
  const body = new FunctionBody([I32, I32]);
  body.start();
  const { e } = body;
  e.localGet(0);
  body.mark(10);
  body.mark(11); // nothing was emitted for 10
  body.openUnlikely(1);
  e.i32Const(5);
  body.mark(12);
  e.localSet(1);
  e.u8(W.ELSE);
  body.mark(13);
  e.localGet(body.newLocal(I32));
  e.localSet(1);
  body.close();
  e.localGet(1);
  e.u8(W.CALL);
  e.u32(call);
  const code = body.finish();
  module.addFunction(type, code, 7, undefined, body.hints);
  const bytes = module.build();
  const printer = await FunctionPrinter.load();
  const notes = {
    importName: (from: string, name: string) => `${from}${name}`,
    name: "f",
    locals: ["in", "out"],
    marks: body.marks,
  };
  const { head, lines } = printer.print(bytes, notes);
  assertEquals(head, [
    "(func $f (type 0) (param $in i32) (result i32)",
    "(local $out i32) (local i32)",
  ]);
  assertEquals(
    lines.map(({ mark, depth, text }) =>
      `${mark ?? "-"} ${"  ".repeat(depth)}${text}`
    ),
    [
      "- local.get $in",
      "11 if  ;; label = @1  ;; unlikely",
      "11   i32.const 5",
      "12   local.set $out",
      "12 else",
      "13   local.get 2",
      "13   local.set $out",
      "13 end",
      "13 local.get $out",
      "13 call $helper3",
    ],
  );
  // The last mark lies behind the function.
  assertThrows(() =>
    printer.print(bytes, { ...notes, marks: [code.length + 5, 1] })
  );
});
