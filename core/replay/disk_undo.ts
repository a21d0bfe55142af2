/**
 * Takes back what a replayed guest has written to its disks, which are
 * throw-away overlays, when the replay goes back.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";

interface Change {
  readonly disk: BlockBackend;
  readonly offset: number;
  /** What was there before. */
  readonly bytes: Uint8Array;
}

/** What was written to all disks of a machine, so that it can be undone. */
export class DiskUndo {
  readonly #changes: Change[] = [];
  /** Whether changes are noted: while somebody may go back. */
  isOn = false;
  /** Requests are carried out one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** How much was changed so far: for `undo`. */
  get mark(): number {
    return this.#changes.length;
  }

  /** A disk whose changes are noted. */
  noting(disk: BlockBackend): BlockBackend {
    const changing = (
      offset: number,
      length: number,
      change: () => Promise<void>,
    ): Promise<void> =>
      this.#inTurn(async () => {
        if (this.isOn) {
          const bytes = (await disk.read(offset, length)).slice();
          this.#changes.push({ disk, offset, bytes });
        }
        await change();
      });
    return {
      get size(): number {
        return disk.size;
      },
      get readOnly(): boolean {
        return disk.readOnly;
      },
      read: (offset, length, room) =>
        this.#inTurn(() => disk.read(offset, length, room)),
      write: (offset, bytes) =>
        changing(offset, bytes.length, () => disk.write(offset, bytes)),
      discard: (offset, length) =>
        changing(offset, length, () => disk.discard(offset, length)),
      writeZeroes: (offset, length) =>
        changing(offset, length, () => disk.writeZeroes(offset, length)),
      flush: () => this.#inTurn(() => disk.flush()),
      close: () => disk.close(),
    };
  }

  #inTurn<T>(request: () => Promise<T>): Promise<T> {
    const answer = this.#last.then(request);
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Settles when all requests are done. */
  async settled(): Promise<void> {
    for (let last; last !== this.#last;) await (last = this.#last);
  }

  /** Make the disks what they were when `mark` was so much. */
  async undo(mark: number): Promise<void> {
    await this.settled();
    for (
      const { disk, offset, bytes } of this.#changes.splice(mark).reverse()
    ) {
      await disk.write(offset, bytes);
    }
  }
}
