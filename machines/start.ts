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
      machine: here("pc.json"),
      architecture: "amd64",
      cache: here("../.cache/guest-amd64"),
      plugins: PLUGINS,
      args: Deno.args,
    }),
  );
}
