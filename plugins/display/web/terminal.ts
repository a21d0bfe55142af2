/**
 * The `web-terminal` char backend: a terminal in the page of the display `web`.
 *
 * @module
 */

import type { CharPlugin } from "../../../core/machine/plugin.ts";
import { WebLine, WebLines } from "./line.ts";

/** The plugin. */
const plugin: CharPlugin<Record<never, never>> = {
  type: "char",
  name: "web-terminal",
  version: "1.0.0",
  description: "A terminal in the page of --display web",
  create(_config, context) {
    const lines = context.shared(WebLines.NAME, () => new WebLines());
    const { monitor } = context;
    const line = new WebLine(
      () => {
        if (!lines.shown) {
          context.log.warn("nothing shows it: expected --display web=PORT");
        }
      },
      monitor,
      () => monitor !== undefined && lines.hasMonitor,
    );
    lines.byName.set(context.name, line);
    return line;
  },
};
export default plugin;
