/**
 * The thread of `memory_ahead.ts`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import * as zlib from "node:zlib";
import type { ReadAheads } from "./block_file.ts";
import { AheadReader } from "./ahead_reader.ts";
import type { Range } from "./memory_ahead.ts";
import { useNode } from "./node.ts";

/** What it is to do. */
export type AheadRequest =
  | {
    readonly type: "begin";
    readonly path: string;
    readonly buffer: SharedArrayBuffer;
    readonly guestStart: number;
    readonly guestBytes: number;
    readonly bytes: number;
  }
  | { readonly type: "finish"; readonly ranges: readonly Range[] };

/** What it has read; null when it has failed. */
export type AheadAnswer = ReadAheads | null;

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<AheadRequest>) => void;
  postMessage(answer: AheadAnswer): void;
};

useNode(zlib, Buffer);
let reader: AheadReader | undefined;

scope.onmessage = ({ data }) => {
  try {
    if (data.type === "begin") {
      const { path, buffer, guestStart, guestBytes, bytes } = data;
      const pages = { u8: new Uint8Array(buffer), guestStart };
      reader = new AheadReader(path, pages, guestBytes);
      reader.read(bytes);
    } else scope.postMessage(reader?.finish(data.ranges) ?? null);
  } catch {
    // The thread that asked reads the file itself, and finds out why.
    scope.postMessage(null);
  }
};
