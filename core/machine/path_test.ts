import { assert, assertEquals } from "@std/assert";
import * as std from "@std/path";
import { basename, dirname, isAbsolute, resolve, toFileUrl } from "./path.ts";

Deno.test("paths are those of @std/path", () => {
  for (const path of ["a", "a/b", "/a/../b//c/", ".", "..", "/", "", "a b%"]) {
    assertEquals(basename(path), std.basename(path));
    assertEquals(dirname(path), std.dirname(path));
    assertEquals(isAbsolute(path), std.isAbsolute(path));
    assertEquals(resolve(path), std.resolve(path));
    assertEquals(resolve("x/y", path), std.resolve("x/y", path));
    assertEquals(
      toFileUrl(resolve(path)).href,
      std.toFileUrl(resolve(path)).href,
    );
  }
  assert(isAbsolute(resolve("a")));
});
