/**
 * Snapshots of strangers and of bad luck: each is refused with a sentence, or
 * makes a machine that does not harm whoever runs it.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { DefinitionError, Machine, SnapshotError } from "../../mod.ts";
import { decodeRecord } from "../../core/state/record_codec.ts";
import type { StateRecord, StateValue } from "../../core/state/state.ts";
import { withFolder } from "../block/oracle.ts";
import { Random } from "../random.ts";
import { EVERYTHING, everything, otherNetworks } from "./everything.ts";
import { runTo, stateDifferences, stateOf } from "./exact.ts";
import {
  type Block,
  blocksIn,
  valueAt,
  valuePaths,
  withRecord,
  withValue,
  writeBlocks,
} from "./rewrite.ts";

const MICROVM = fromFileUrl(
  new URL("../../machines/microvm.json", import.meta.url),
);
const PROBE = fromFileUrl(
  new URL("../fixtures/access_probe.ts", import.meta.url),
);
const MS = 1_000_000;
const CASES = Number(Deno.env.get("RHEA_CASES") ?? 150);
const SEED = Number(Deno.env.get("RHEA_SEED") ?? 1);
/** A module that tells when it is run. */
const RUNS = "globalThis.rheaWasHere = true; export default {};";
const PROGRAM = `data:text/javascript,${encodeURIComponent(RUNS)}`;

/** What no field of any record is to be. */
const EVIL: readonly (StateValue | undefined)[] = [
  ...[2 ** 31, 2 ** 32, 2 ** 53, 1e300, -1, -(2 ** 31), 0.5, -0, 0, 1, 65535],
  ...[NaN, Infinity, -Infinity, 2n ** 100n, -1n, null, true, "", "constructor"],
  ...["x".repeat(100_000), "\x1b[2J\r\n", "1000T", "/dev/zero", PROGRAM],
  ...[[], {}, [[[]]], new Array(70_000).fill(0), { toString: null }],
  ...[new Uint8Array(0), new Uint8Array(1 << 20), undefined],
];

/** Whether a module of a snapshot has been run. */
function wasRun(): boolean {
  const found = Object.hasOwn(globalThis, "rheaWasHere");
  if (found) Reflect.deleteProperty(globalThis, "rheaWasHere");
  return found;
}

/** An error that a user understands: one line, with nothing for the terminal. */
function isSentence(error: unknown): void {
  const isTyped = error instanceof SnapshotError ||
    error instanceof DefinitionError;
  assert(isTyped, error instanceof Error ? error.stack : `${error}`);
  if (!(error instanceof SnapshotError)) return;
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x1f\x7f-\x9f]/.test(error.message), error.message);
  assert(error.message.length < 2100, "a message as long as the file");
}

for (const kind of Object.keys(EVERYTHING)) {
  Deno.test(`${kind}: a file in which any value is another does no harm`, () =>
    withFolder(async (folder) => {
      await using machine = await everything(kind, folder);
      const random = new Random(SEED);
      // In the midst of different things.
      await runTo(machine, (3 + random.below(60)) * MS);
      const { path } = await machine.saveSnapshot("good");
      const good = stateOf(machine);
      const blocks = blocksIn(path);
      const records = new Map<string, StateRecord>(
        ["HEAD", "MACH", "STAT", "DISK"].map((tag) => [
          tag,
          decodeRecord(blocks.find((block) => block.tag === tag)!.bytes),
        ]),
      );
      const set = otherNetworks(EVERYTHING[kind].cards.length);
      const tags = ["HEAD", "MACH", "MACH", "STAT", "STAT", "STAT", "DISK"];
      const paths = new Map(
        [...records].map(([tag, record]) => [
          tag,
          // Registers in a long list are all alike.
          valuePaths(record, tag === "STAT" ? 9 : undefined),
        ]),
      );
      const bad = join(folder, "bad.rhea");
      let refused = 0;
      for (let i = 0; i < CASES; i++) {
        const tag = random.of(tags);
        const place = random.of(paths.get(tag)!);
        const value = random.of(EVIL);
        await writeBlocks(
          bad,
          withRecord(blocks, tag, (record) => withValue(record, place, value)),
        );
        try {
          if (tag === "MACH") {
            await (await Machine.restore(bad, { set })).stop();
          } else {
            await machine.loadSnapshot(bad);
            // What has been taken is something that can run and be saved.
            await runTo(machine, machine.clock.now() + MS / 10);
            machine.save();
          }
        } catch (error) {
          refused++;
          isSentence(error);
        }
        assert(!wasRun(), `${tag} ${place.join(".")}`);
      }
      assert(refused > 0);
      await machine.loadSnapshot(path);
      assertEquals(stateDifferences(good, stateOf(machine)), []);
    }));
}

Deno.test("a snapshot has no programs run", () =>
  withFolder(async (folder) => {
    const machine = await everything("isapc", folder);
    const { path } = await machine.saveSnapshot("good");
    const blocks = blocksIn(path);
    const bad = join(folder, "bad.rhea");
    /** A value of the definition is another. */
    const renamed = (record: StateRecord, from: string, to: string) => {
      const place = valuePaths(record).find((path) =>
        path[0] === "document" && valueAt(record, path) === from &&
        valueAt(record, [...path.slice(0, -1), "2"]) === "value"
      );
      assert(place !== undefined, from);
      return withValue(record, place!, to);
    };
    for (const name of ["x86", "ide", "raw", "null", "hub", "none"]) {
      await writeBlocks(
        bad,
        withRecord(blocks, "MACH", (record) => renamed(record, name, PROGRAM)),
      );
      const error = await assertRejects(
        () => Machine.restore(bad, { set: otherNetworks(3) }),
        DefinitionError,
        "the snapshot names a program",
      );
      assertMatch(error.message, /load the snapshot into the machine/);
      assert(!wasRun(), name);
    }
    const before = stateOf(machine);
    await writeBlocks(
      bad,
      withRecord(blocks, "DISK", (record) => ({
        ...record,
        media: { "ide1.disk0": { plugin: PROGRAM } },
        planned: [],
      })),
    );
    await assertRejects(
      () => machine.loadSnapshot(bad),
      SnapshotError,
      "the snapshot names a program",
    );
    assert(!wasRun());
    assertEquals(stateDifferences(before, stateOf(machine)), []);
    await machine.stop();
  }));

Deno.test("a machine with plugins of its own has its snapshots", () =>
  withFolder(async (folder) => {
    const define = () =>
      Machine.load(MICROVM, {
        memory: "2M",
        icount: true,
        snapshots: folder,
        set: [
          `devices.probe={"plugin":${JSON.stringify(PROBE)},` +
          '"at":{"ports":"0x600","memory":"0xfea00000"}}',
        ],
      });
    {
      await using machine = await define();
      await machine.saveSnapshot("own");
      await machine.loadSnapshot("own");
    }
    await using machine = await define();
    await machine.loadSnapshot("own");
    await assertRejects(
      () => Machine.restore("own", { snapshots: folder }),
      DefinitionError,
      "the snapshot names a program",
    );
  }));

Deno.test("bytes of disks that are for none, or nowhere, are refused", () =>
  withFolder(async (folder) => {
    await using machine = await everything("microvm", folder);
    await runTo(machine, 2 * MS);
    const { path } = await machine.saveSnapshot("good");
    const blocks = blocksIn(path);
    const before = stateOf(machine);
    const bad = join(folder, "bad.rhea");
    const data = (index: number, offset: number, length: number): Block => {
      const bytes = new Uint8Array(12 + length);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, index, true);
      view.setFloat64(4, offset, true);
      return { tag: "DATA", bytes };
    };
    for (
      const block of [
        ...[2, 3, 0xffffffff].map((index) => data(index, 0, 512)),
        ...[-512, NaN, Infinity, 0.5, 1e300, 2 ** 53, 1 << 20, (1 << 20) - 511]
          .map((offset) => data(0, offset, 512)),
        { tag: "DATA", bytes: new Uint8Array(11) },
      ]
    ) {
      await writeBlocks(bad, [...blocks, block]);
      isSentence(await assertRejects(() => machine.loadSnapshot(bad)));
      await machine.loadSnapshot(path);
      assertEquals(stateDifferences(before, stateOf(machine)), []);
    }
  }));

Deno.test("what is no snapshot, or two, or half of one, is told", () =>
  withFolder(async (folder) => {
    await using machine = await everything("microvm", folder);
    const { path } = await machine.saveSnapshot("good");
    const good = await Deno.readFile(path);
    const blocks = blocksIn(path);
    const bad = join(folder, "bad.rhea");
    const refused = async (message: RegExp): Promise<void> => {
      for (
        const load of [
          () => machine.loadSnapshot(bad),
          () => Machine.restore(bad, { set: otherNetworks(2) }),
        ]
      ) {
        const error = await assertRejects(load, SnapshotError);
        isSentence(error);
        assertMatch(error.message, message);
      }
    };
    await Deno.writeFile(bad, Uint8Array.of(...good, ...good));
    await refused(/something follows its end/);
    await Deno.writeFile(bad, good.subarray(0, good.length / 2));
    await refused(/ends too early/);
    await Deno.writeTextFile(bad, "QFI\xfb");
    await refused(/no snapshot of Rhea's/);
    await writeBlocks(bad, [...blocks, blocks.find((b) => b.tag === "MEMO")!]);
    await refused(/a block of memory is wrong/);
    for (const tag of ["HEAD", "MACH", "STAT", "DISK"]) {
      await writeBlocks(bad, blocks.filter((block) => block.tag !== tag));
      await refused(/is missing|has no machine|how much memory/);
    }
    // A million lists in each other.
    const deep = new Uint8Array(2_000_000).fill(1);
    for (let i = 0; i < deep.length; i += 2) deep[i] = 8;
    await writeBlocks(
      bad,
      blocks.map((block) =>
        block.tag === "STAT" ? { tag: "STAT", bytes: deep } : block
      ),
    );
    await refused(/too deep/);
    await Deno.remove(bad);
    await Deno.symlink("/dev/zero", bad);
    await refused(/is no file/);
    await Deno.remove(bad);
    await Deno.mkdir(bad);
    await refused(/is no file/);
    if (Deno.build.os === "windows") return;
    // Nobody is at the pipe's other end.
    const pipe = new Deno.Command("mkfifo", { args: [join(folder, "p.rhea")] });
    await pipe.output();
    assertEquals(
      (await machine.snapshots()).map(({ name }) => name),
      ["good"],
    );
  }));
