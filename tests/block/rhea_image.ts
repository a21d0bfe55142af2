/**
 * `rhea image` for tests that compare it with `qemu-img`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { BlockModel } from "../../core/backend/block_contract.ts";
import { main } from "../../core/cli/main.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { checkImage } from "./oracle.ts";

/** `rhea image`; gives back its status and all it says. */
export async function image(...args: string[]) {
  let out = "";
  const messages: string[] = [];
  const status = await main(["image", ...args], PLUGINS, {
    out: (text) => out += text,
    message: (line) => messages.push(line),
    trace: () => {},
  });
  return { status, out, messages };
}

/** The same, which must succeed; gives back its output. */
export async function rhea(...args: string[]): Promise<string> {
  const { status, out, messages } = await image(...args);
  assertEquals([status, ...messages], [0], args.join(" "));
  return out;
}

/** Content with data, zeroes and repetition, as a raw file. */
export async function writeRaw(path: string, size: number, seed: number) {
  const model = new BlockModel(new Uint8Array(size), seed);
  for (let i = 0; i < 10; i++) {
    const { offset, length } = model.range(size / 8);
    // Some of it can be compressed.
    const bytes = i % 2 === 0
      ? model.random(length)
      : new Uint8Array(length).map((_, k) => k >> 6);
    model.bytes.set(bytes, offset);
  }
  await Deno.writeFile(path, model.bytes);
  return model.bytes;
}

/** Bytes that must be equal: what `assertEquals` takes seconds for. */
export function assertSame(a: Uint8Array, b: Uint8Array, say = ""): void {
  assertEquals(a.length, b.length, say);
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) throw new Error(`${say}: byte ${i}: ${a[i]}, ${b[i]}`);
  }
}

/** Bytes that must all be zero. */
export function assertZero(bytes: Uint8Array): void {
  assertSame(bytes, new Uint8Array(bytes.length));
}

/** JSON that a tool has printed. */
export async function json(text: string | Promise<string>) {
  return JSON.parse(await text);
}

/** `qemu-img check` finds nothing. */
export async function assertClean(file: string): Promise<void> {
  const { clean, out } = await checkImage(file);
  assert(clean, out);
}

/** Sizes are of the host's file, which each makes in its own way. */
export function withoutSizes(info: Record<string, unknown>) {
  const { "actual-size": size, filename: _, ...rest } = info;
  assert(typeof size === "number");
  return rest;
}
