/**
 * Tests that any block backend passes.
 *
 * ```ts ignore
 * import { type BlockSubject, blockContract } from "./block_contract.ts";
 *
 * declare const make: () => Promise<BlockSubject>;
 * for (const { name, run } of blockContract("raw", make)) Deno.test(name, run);
 * ```
 *
 * @module
 */

import {
  type BlockBackend,
  BlockError,
  readInto,
  SECTOR_BYTES,
} from "./block.ts";

/** An image to be tested: some megabytes at most, and all zero. */
export interface BlockSubject {
  /** Open it; called again when it has been closed. */
  open(readOnly: boolean): Promise<BlockBackend>;
  /** It is needed no more. */
  dispose(): Promise<void>;
}

/** One test. */
export interface BlockContractTest {
  /** Its name: the backend's and what is promised. */
  readonly name: string;
  /** Rejects when the backend breaks the promise. */
  readonly run: () => Promise<void>;
}

/** A backend breaks the contract. */
export class BlockContractError extends Error {
  /** The name of the error's class. */
  override readonly name = "BlockContractError";
}

/** Random steps of one test, and the most bytes of one. */
const STEPS = 200;
const MAX_BYTES = 100_000;
const SEEDS: readonly number[] = [1, 2, 3];

/** Random requests to a backend, beside what it must read as. */
export class BlockModel {
  /** What the image reads as. */
  readonly bytes: Uint8Array;
  #x: number;

  /** A model of what an image reads as now; the seed is not 0. */
  constructor(bytes: Uint8Array, seed: number) {
    this.bytes = bytes;
    this.#x = Math.imul(seed, 0x9e3779b9) | 1;
  }

  /** A number from 0 to `limit` - 1 (xorshift32). */
  below(limit: number): number {
    this.#x ^= this.#x << 13;
    this.#x ^= this.#x >>> 17;
    this.#x ^= this.#x << 5;
    return (this.#x >>> 0) % limit;
  }

  /** A random range, in half of all cases of whole sectors. */
  range(maxBytes: number): { offset: number; length: number } {
    const size = this.bytes.length;
    let offset = this.below(size);
    let length = 1 + this.below(Math.min(maxBytes, size - offset));
    if (this.below(2) === 0) {
      offset -= offset % SECTOR_BYTES;
      length = Math.min(
        Math.ceil(length / SECTOR_BYTES) * SECTOR_BYTES,
        size - offset,
      );
    }
    return { offset, length };
  }

  /** Bytes that are not zero. */
  random(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const start = this.below(255);
    for (let i = 0; i < length; i++) bytes[i] = 1 + (start + i * 7) % 255;
    return bytes;
  }

  /** One request, and the same for the model. */
  async step(backend: BlockBackend, maxBytes: number): Promise<void> {
    const { offset, length } = this.range(maxBytes);
    switch (this.below(8)) {
      case 0:
        await backend.writeZeroes(offset, length);
        this.bytes.fill(0, offset, offset + length);
        break;
      case 1: {
        await backend.discard(offset, length);
        // Each byte may be as it was or zero: which, only it can say.
        const now = await backend.read(offset, length);
        const kept = (byte: number, i: number): boolean =>
          byte === 0 || byte === this.bytes[offset + i];
        if (!now.every(kept)) fail(`discard changes bytes at ${offset}`);
        this.bytes.set(now, offset);
        break;
      }
      case 2:
        await backend.flush();
        break;
      case 3: {
        const room = this.random(length);
        this.compare(await backend.read(offset, length, room), offset);
        await readInto(backend, offset, room.fill(1));
        this.compare(room, offset);
        break;
      }
      default: {
        const bytes = this.random(length);
        await backend.write(offset, bytes);
        this.bytes.set(bytes, offset);
      }
    }
  }

  /** Throws unless these bytes are the model's at `offset`. */
  compare(bytes: Uint8Array, offset: number): void {
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] === this.bytes[offset + i]) continue;
      fail(
        `byte ${offset + i} is ${bytes[i]}, expected ${this.bytes[offset + i]}`,
      );
    }
  }
}

function fail(message: string): never {
  throw new BlockContractError(message);
}

async function expectError(
  kind: BlockError["kind"],
  request: () => Promise<unknown>,
): Promise<void> {
  try {
    await request();
  } catch (error) {
    if (error instanceof BlockError && error.kind === kind) return;
    fail(`a ${kind} error was expected, not ${error}`);
  }
  fail(`a ${kind} error was expected`);
}

/** The tests for a backend; `make` gives a new image for each. */
export function blockContract(
  name: string,
  make: () => Promise<BlockSubject>,
): BlockContractTest[] {
  const tests: Record<string, (subject: BlockSubject) => Promise<void>> = {
    async "a new image is whole sectors of zero"(subject) {
      const backend = await subject.open(false);
      if (backend.size % SECTOR_BYTES !== 0) fail(`size is ${backend.size}`);
      const bytes = await backend.read(0, backend.size);
      if (!bytes.every((byte) => byte === 0)) fail("it is not zero");
      await backend.close();
    },

    async "it reads as written, and does when opened again"(subject) {
      for (const seed of SEEDS) {
        const backend = await subject.open(false);
        const { size } = backend;
        const model = new BlockModel(await backend.read(0, size), seed);
        for (let i = 0; i < STEPS; i++) await model.step(backend, MAX_BYTES);
        model.compare(await backend.read(0, size), 0);
        await backend.close();
        const again = await subject.open(true);
        model.compare(await again.read(0, size), 0);
        await again.close();
      }
    },

    async "requests may be outstanding together"(subject) {
      const backend = await subject.open(false);
      const { size } = backend;
      const model = new BlockModel(new Uint8Array(size), 7);
      const part = 3 * SECTOR_BYTES + 1;
      const requests: Promise<void>[] = [];
      for (let at = 0; at + part <= size && requests.length < 500; at += part) {
        const bytes = model.random(part);
        const zero = model.below(4) === 0;
        if (!zero) model.bytes.set(bytes, at);
        requests.push(
          zero ? backend.writeZeroes(at, part) : backend.write(at, bytes),
        );
        if (model.below(50) === 0) requests.push(backend.flush());
      }
      await Promise.all(requests);
      model.compare(await backend.read(0, size), 0);
      await backend.close();
    },

    async "what is read is the caller's own"(subject) {
      const backend = await subject.open(false);
      await backend.write(0, new Uint8Array(SECTOR_BYTES).fill(1));
      (await backend.read(0, SECTOR_BYTES)).fill(2);
      if ((await backend.read(0, 1))[0] !== 1) fail("a read can be written to");
      await backend.close();
    },

    async "requests outside the image are refused"(subject) {
      const backend = await subject.open(false);
      const { size } = backend;
      const wrong = [[size, 1], [size - 1, 2], [-1, 1], [0, size + 1]];
      for (const [offset, length] of [...wrong, [0.5, 1], [NaN, 1]]) {
        await expectError("range", () => backend.read(offset, length));
        await expectError("range", () => backend.discard(offset, length));
        await expectError("range", () => backend.writeZeroes(offset, length));
        await expectError(
          "range",
          () => backend.write(offset, new Uint8Array(length)),
        );
      }
      await expectError("range", () => backend.read(0, -1));
      for (const offset of [0, size]) {
        await backend.read(offset, 0);
        await backend.write(offset, new Uint8Array(0));
        await backend.discard(offset, 0);
        await backend.writeZeroes(offset, 0);
      }
      await backend.write(size - 1, new Uint8Array([9]));
      if ((await backend.read(size - 1, 1))[0] !== 9) fail("the last byte");
      await backend.close();
    },

    async "a read-only image takes no writes"(subject) {
      const backend = await subject.open(true);
      if (!backend.readOnly) fail("it does not say that it is read-only");
      const bytes = new Uint8Array(SECTOR_BYTES);
      await expectError("read-only", () => backend.write(0, bytes));
      await expectError("read-only", () => backend.writeZeroes(0, 1));
      await expectError("read-only", () => backend.discard(0, 1));
      await backend.flush();
      await backend.close();
    },
  };
  return Object.entries(tests).map(([promise, test]) => ({
    name: `${name}: ${promise}`,
    run: async () => {
      const subject = await make();
      try {
        await test(subject);
      } finally {
        await subject.dispose();
      }
    },
  }));
}
