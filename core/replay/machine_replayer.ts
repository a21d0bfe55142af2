/**
 * A machine that replays a recording, as what goes to and fro in its run has it.
 *
 * @module
 */

import type { StopEvent } from "../debug/contract.ts";
import type { DebugControl } from "../debug/control.ts";
import type { Media } from "../machine/media.ts";
import type { Parts } from "../machine/parts.ts";
import type { RunLoop } from "../machine/run_loop.ts";
import { loadMachine, saveMachine } from "../snapshot/machine_state.ts";
import { ReplayError } from "./error.ts";
import { hashRecord } from "./hash.ts";
import type { Moment } from "./history.ts";
import { Player } from "./player.ts";
import { Replayer } from "./replayer.ts";
import type { ReplayDebugger } from "./reverse.ts";

/** What of a machine is needed. */
export interface ReplayedMachine {
  /** Its parts. */
  readonly parts: Parts;
  /** Its loop. */
  readonly loop: RunLoop;
  /** Its drives. */
  readonly media: Media;
  /** All of its memory that is the guest's. */
  readonly memory: Uint8Array;
  /** Instructions of each CPU up to here, less those that it counts. */
  readonly earlier: number[];
  /** What debuggers share. */
  control(): Promise<DebugControl>;
  /** Whether it runs or has run. */
  isStarted(): boolean;
}

/** Make what goes to and fro. Throws a `ReplayError` when it is not a replay, or has been started. */
export async function createReplayer(
  machine: ReplayedMachine,
): Promise<ReplayDebugger> {
  const { parts, loop, media, memory, earlier } = machine;
  const { inputs: player, undo, cpus, blocks, requests } = parts;
  if (!(player instanceof Player) || undo === undefined) {
    throw new ReplayError("unsupported", "The machine is not a replay");
  }
  const control = await machine.control();
  if (machine.isStarted()) {
    throw new ReplayError("unsupported", "The machine has been started");
  }
  media.keep();
  const counts = (): number[] =>
    cpus.map((cpu, i) => cpu.instructions + earlier[i]);
  const run = async (
    stopped?: (event: StopEvent) => void,
    isStep = false,
  ): Promise<void> => {
    let isDone = false;
    const { onEnd } = player;
    player.onStop = () => isDone = true;
    player.onEnd = () => false;
    const held = async (): Promise<void> =>
      void await loop.runHeld(() => isDone);
    try {
      await control.search(held, stopped, isStep);
    } finally {
      player.onEnd = onEnd;
    }
  };
  player.onEnd = () => {
    // Who debugs is not at the end when the recording is.
    const stands = control.isAwaited;
    if (stands) control.pause();
    return stands;
  };
  /** Make everything but the memory what it was. */
  const goBack = async (moment: Moment): Promise<void> => {
    await undo.undo(moment.disks);
    requests.end = undefined;
    media.restore(moment.media);
    loadMachine(parts, moment.record);
    cpus.forEach((cpu, i) => earlier[i] = moment.counts[i] - cpu.instructions);
    player.restore(moment.place);
    // What devices do behind their loading.
    await new Promise<void>((resolve) => setImmediate(() => resolve()));
  };
  return new Replayer({
    player,
    memory,
    counts,
    reaches: ({ disks, media: { changes } }) =>
      undo.reaches(disks) && changes <= media.changes,
    passed: () => void undo.keep(),
    retain: (moments) => undo.retain(new Set(moments.map((m) => m.disks))),
    get isFull(): boolean {
      return undo.isFull;
    },
    mark: (cpu) => hashRecord(cpus[cpu].save()),
    save: () => ({
      ...player.position,
      record: saveMachine(parts),
      counts: counts(),
      place: player.place,
      disks: undo.keep(),
      media: media.mark,
    }),
    settle: () => blocks.settle(true),
    load: goBack,
    run,
    runOne: () => run(() => player.stop(), true),
    stop: () => player.stop(),
  });
}
