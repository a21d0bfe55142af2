/**
 * The `http` block backend: a raw disk that a server has, read by ranges.
 *
 * @module
 */

import type { BlockPlugin } from "../../core/machine/plugin.ts";
import { isUrl } from "../../core/machine/schema.ts";
import { hostsOf, HttpStore } from "./http_store.ts";
import { OverlayBlock } from "./overlay.ts";
import { RawBlock } from "./raw_image.ts";

/** Configuration of the backend. */
export interface HttpConfig {
  /** The disk's URL. */
  readonly url: string;
  /** Writes go to a throw-away overlay; without it they are refused. */
  readonly snapshot: boolean;
  /** The most bytes that are kept of what was read. */
  readonly cache: number;
  /** Further attempts after a request that fails. */
  readonly retries: number;
}

/** The `http` plugin. */
const plugin: BlockPlugin<HttpConfig> = {
  type: "block",
  name: "http",
  version: "1.0.0",
  description: "A read-only disk that a web server has",
  config: {
    type: "object",
    properties: {
      url: { type: "string", description: "The disk's http: or https: URL" },
      snapshot: {
        type: "boolean",
        description: "Writes go to a throw-away overlay instead of nowhere",
        default: false,
      },
      cache: {
        format: "size",
        description: "The most bytes that are kept of what was read",
        default: "32M",
      },
      retries: {
        type: "integer",
        minimum: 0,
        maximum: 100,
        description: "Further attempts after a request that fails",
        default: 4,
      },
    },
    required: ["url"],
  },
  check: ({ url }) =>
    isUrl(url) && URL.canParse(url)
      ? []
      : [`"${url}" is not an http: or https: URL`],
  permissions: ({ url }) => ({ net: hostsOf(url) }),
  parse: (argument) => ({ url: argument }),
  async create({ url, snapshot, cache, retries }) {
    const store = await HttpStore.open(url, { cacheBytes: cache, retries });
    const image = new RawBlock(store, true);
    return snapshot ? new OverlayBlock(image) : image;
  },
};
export default plugin;
