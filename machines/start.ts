/**
 * Boots Linux to a shell on this terminal: what `deno task start` runs.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { start } from "../core/cli/start.ts";
import { PLUGINS } from "./registry.ts";

if (import.meta.main) {
  const here = (path: string): string =>
    fromFileUrl(new URL(path, import.meta.url));
  Deno.exit(
    await start({
      machine: here("isapc.json"),
      cache: here("../.cache/guest-i386"),
      plugins: PLUGINS,
      args: Deno.args,
    }),
  );
}
