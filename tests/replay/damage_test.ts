/** Recordings that are cut off, changed, or of another machine. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { ReplayError } from "../../core/replay/error.ts";
import { hash32 } from "../../core/replay/hash.ts";
import {
  CHECK,
  END,
  EntryWriter,
  HEADER,
  INPUTS,
  OWN_END,
} from "../../core/replay/log.ts";
import { LogFile } from "../../core/replay/log_file.ts";
import { DefinitionError } from "../../core/machine/document.ts";
import { Machine } from "../../machines/machine.ts";
import { within } from "../limit.ts";
import { forSeeds, Random } from "../random.ts";
import { ISAPC, type Recorded, withListener } from "./guests.ts";

/** Where records begin. */
function recordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer);
  const starts: number[] = [];
  for (let at = 8; at < bytes.length; at += view.getUint32(at, true) + 9) {
    starts.push(at);
  }
  return starts;
}

/**
 * Replay bytes to the end, or for so many milliseconds; the error, if it is one
 * of those that users see.
 */
async function replay(
  { log }: Recorded,
  bytes: Uint8Array,
  limitMs = 60_000,
): Promise<{ instructions: number; output: string } | Error> {
  const path = `${log}.changed`;
  await Deno.writeFile(path, bytes);
  let machine: Machine | undefined;
  const limit = setTimeout(() => machine?.quit(), limitMs);
  try {
    machine = await Machine.replay(path);
    await within("the end of the run", machine.run());
    const { instructions } = machine.cpu;
    return { instructions, output: machine.serial(0).output };
  } catch (error) {
    if (error instanceof ReplayError || error instanceof DefinitionError) {
      return error;
    }
    throw error;
  } finally {
    clearTimeout(limit);
    await machine?.stop();
  }
}

Deno.test("a recording that is cut off is replayed up to there", () =>
  withListener(3, async (made) => {
    const bytes = await Deno.readFile(made.log);
    const starts = recordsOf(bytes);
    const { output, instructions } = made.recorded;
    for (const start of starts.slice(1)) {
      const cut = await replay(made, bytes.subarray(0, start + start % 9));
      if (cut instanceof Error) throw cut;
      assert(output.startsWith(cut.output));
      assert(cut.instructions <= instructions);
    }
    // Nobody knows what a crash leaves behind a file's end.
    const zeros = new Uint8Array(bytes.length + 100);
    const last = starts.at(-1)!;
    zeros.set(bytes.subarray(0, last));
    assert(!(await replay(made, zeros) instanceof Error));
    for (const length of [0, 5, 8, 12, 100]) {
      const error = await replay(made, bytes.subarray(0, length));
      assert(error instanceof ReplayError && error.kind === "damaged");
    }
  }));

Deno.test("a changed byte is noticed, whichever it is", () =>
  withListener(2, async (made) => {
    const bytes = await Deno.readFile(made.log);
    for (let at = 0; at < bytes.length; at += at < 40 ? 1 : 97) {
      const changed = bytes.slice();
      changed[at] ^= 1 << at % 8;
      try {
        // A length may lead beyond the end, as when it is cut off.
        assert(new LogFile(changed).isTruncated, `byte ${at}`);
      } catch (error) {
        assert(error instanceof ReplayError, `${error}`);
      }
    }
  }));

Deno.test("a recording with other inputs ends, or says where it differs", () =>
  withListener(3, async (made) => {
    const bytes = await Deno.readFile(made.log);
    const starts = recordsOf(bytes);
    const view = new DataView(bytes.buffer);
    await forSeeds(25, async (seed) => {
      const random = new Random(seed);
      const changed = bytes.slice();
      const changes = new DataView(changed.buffer);
      for (let i = 0; i <= random.below(3); i++) {
        const start = random.of(starts);
        const length = view.getUint32(start, true);
        const payload = changed.subarray(start + 5, start + 5 + length);
        payload[random.below(length)] = random.of([0, 1, 0x7f, 0x80, 0xff]);
        const body = changed.subarray(start + 4, start + 5 + length);
        changes.setUint32(start + 5 + length, hash32(body), true);
      }
      // What is changed may be when the guest is asked to end.
      await replay(made, changed, 3_000);
    });
  }));

Deno.test("an input at another time is noticed", () =>
  withListener(4, async (made) => {
    const bytes = await Deno.readFile(made.log);
    const header = bytes.subarray(0, recordsOf(bytes)[1]);
    const entries = [...new LogFile(bytes)];
    const inputs = entries.filter(({ type }) => type === INPUTS);
    assert(inputs.length >= 4);
    for (const [i, entry] of entries.entries()) {
      if (entry.type !== INPUTS) continue;
      for (const nanoseconds of [-1, 1, 1000]) {
        const time = entry.time + nanoseconds;
        // Those behind it keep theirs.
        if (time > entries[i + 1].time) continue;
        const writer = new EntryWriter({ count: 0, time: 0 });
        const changed = entries.with(i, { ...entry, time });
        const records = changed.flatMap((one) => [...writer.write(one)]);
        const error = await replay(made, Uint8Array.of(...header, ...records));
        assert(
          error instanceof ReplayError && error.kind === "diverged",
          `${entry.count} at ${entry.time} and ${nanoseconds}: ${error}`,
        );
      }
    }
  }));

Deno.test("what a recording says the guest was like is compared, at its end, too", () =>
  withListener(1, async (made) => {
    const bytes = await Deno.readFile(made.log);
    const view = new DataView(bytes.buffer);
    const types = new Set<number>();
    for (const start of recordsOf(bytes)) {
      const type = bytes[start + 4];
      if (type !== CHECK && type !== END && type !== OWN_END) continue;
      types.add(type);
      const end = start + 5 + view.getUint32(start, true);
      // The last four words of the record, before its own sum.
      for (let part = 1; part <= 4; part++) {
        const changed = bytes.slice();
        changed[end - 4 * part] ^= 1;
        const body = changed.subarray(start + 4, end);
        new DataView(changed.buffer).setUint32(end, hash32(body), true);
        const error = await replay(made, changed);
        assert(
          error instanceof ReplayError && error.kind === "diverged",
          `record ${type} at ${start}, part ${part}: ${error}`,
        );
      }
    }
    assert(types.has(OWN_END), `${[...types]}`);
  }));

Deno.test("headers that are none are refused", () =>
  withListener(1, async (made) => {
    const bytes = await Deno.readFile(made.log);
    const length = new DataView(bytes.buffer).getUint32(8, true);
    const rest = bytes.subarray(8 + length + 9);
    const text = new TextDecoder().decode(bytes.subarray(13, 13 + length));
    const header = JSON.parse(text);
    const withHeader = (value: unknown): Uint8Array => {
      const payload = new TextEncoder().encode(JSON.stringify(value));
      const out = new Uint8Array(8 + payload.length + 9 + rest.length);
      const view = new DataView(out.buffer);
      out.set(bytes.subarray(0, 8));
      view.setUint32(8, payload.length, true);
      out[12] = HEADER;
      out.set(payload, 13);
      const body = out.subarray(12, 13 + payload.length);
      view.setUint32(13 + payload.length, hash32(body), true);
      out.set(rest, 13 + payload.length + 4);
      return out;
    };
    const same = await replay(made, withHeader(header));
    if (same instanceof Error) throw same;
    assertEquals(same.output, made.recorded.output);
    const { definition } = header;
    for (
      const wrong of [
        null,
        5,
        [],
        {},
        { ...header, definition: 5 },
        { ...header, plugins: { a: 1 } },
        { ...header, channels: [1] },
        { ...header, channels: [] },
        { ...header, channels: header.channels.toReversed() },
        { ...header, networks: [] },
        { ...header, plugins: { ...header.plugins, "cpu x86": "0.0.1" } },
        { ...header, definition: { ...definition, cpu: {} } },
        { ...header, definition: { ...definition, cpu: { plugin: "y86" } } },
        {
          ...header,
          definition: { ...definition, time: { mode: "host" } },
        },
        {
          ...header,
          definition: { ...definition, extends: "/dev/null" },
        },
      ]
    ) {
      const error = await replay(made, withHeader(wrong));
      assert(error instanceof Error, JSON.stringify(wrong)?.slice(0, 80));
    }
    const other = await replay(made, withHeader({ ...header, rhea: "0.0.1" }));
    assertStringIncludes(`${other}`, "Rhea 0.0.1 has recorded it, this is ");
  }));

Deno.test("another kernel is refused", () =>
  withListener(1, async ({ kernel, log }) => {
    const bytes = await Deno.readFile(kernel);
    bytes[bytes.length - 1] ^= 1;
    await Deno.writeFile(kernel, bytes);
    await assertRejects(
      () => Machine.replay(log),
      ReplayError,
      `Cannot replay: the file "${kernel}" is not what it was`,
    );
    await Deno.remove(kernel);
    await assertRejects(() => Machine.replay(log), DefinitionError);
    await assertRejects(
      () => Machine.replay(`${log}.none`),
      ReplayError,
      "there is no such file",
    );
  }));

Deno.test("a recording is written over another one, and over nothing else", () =>
  withListener(1, async ({ log, kernel }) => {
    const disk = `${log}.img`;
    await Deno.writeFile(disk, new Uint8Array(512).fill(1));
    const snapshot = `${log}.rhea`;
    {
      await using machine = await Machine.load(ISAPC, {
        kernel,
        display: "none",
        memory: "4M",
      });
      await machine.saveSnapshot(snapshot);
    }
    for (const path of [disk, snapshot, kernel]) {
      const before = await Deno.readFile(path);
      const error = await assertRejects(
        () => Machine.restore(snapshot, { record: path }),
        ReplayError,
        `Cannot record to "${path}": it is there, and is no recording`,
      );
      assertEquals(error.kind, "io");
      assertEquals(await Deno.readFile(path), before);
    }
    const empty = `${log}.empty`;
    await Deno.writeFile(empty, new Uint8Array());
    for (const path of [log, empty]) {
      await using machine = await Machine.restore(snapshot, { record: path });
      await machine.stop();
      assert(new LogFile(await Deno.readFile(path)).header !== undefined);
    }
  }));
