/**
 * Boots Linux to a shell on this terminal: what `deno task start` runs.
 *
 * @module
 */

import { start } from "../core/cli/start.ts";
import { resolve } from "../core/machine/path.ts";
import { PLUGINS } from "./registry.ts";

if (import.meta.main) {
  const here = (path: string): string => resolve(import.meta.dirname!, path);
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
