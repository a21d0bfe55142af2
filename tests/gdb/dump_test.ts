/**
 * The core files of `dump-guest-memory`, taken at a breakpoint: gdb finds in
 * Rhea's what it finds in QEMU's, and each CPU's notes are the same.
 */

import { assert, assertEquals } from "@std/assert";
import {
  answers,
  type Guest,
  missing,
  runGdb,
  startQemu,
  startRhea,
  withGuest,
} from "./harness.ts";

const absent = missing(
  ...["gdb", "gcc", "objcopy", "qemu-system-x86_64", "qemu-system-i386"],
);

/** What gdb says of a core file. */
const LOOK = `
  core-file $REMOTE
  bt
  info registers
  p counter
  p text
  x/8i square
  up
  info locals
`;

interface Note {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
}

/** The notes of a core file, which stand in its first segment. */
function notesOf(file: Uint8Array): Note[] {
  const view = new DataView(file.buffer);
  const isWide = file[4] === 2;
  const header = isWide ? Number(view.getBigUint64(32, true)) : 52;
  let at = isWide
    ? Number(view.getBigUint64(header + 8, true))
    : view.getUint32(header + 4, true);
  const size = isWide
    ? Number(view.getBigUint64(header + 32, true))
    : view.getUint32(header + 16, true);
  assertEquals(view.getUint32(header, true), 4);
  const notes: Note[] = [];
  for (const end = at + size; at < end;) {
    const [name, data, type] = [0, 4, 8].map((o) =>
      view.getUint32(at + o, true)
    );
    const from = at + 12 + (name + 3 & ~3);
    notes.push({
      name: new TextDecoder().decode(
        file.subarray(at + 12, at + 12 + name - 1),
      ),
      type,
      data: file.slice(from, from + data),
    });
    at = from + (data + 3 & ~3);
  }
  return notes;
}

/** A note in words, for what is different to be seen. */
function words({ name, type, data }: Note): string[] {
  const view = new DataView(data.buffer);
  const all: string[] = [`${name} ${type}`];
  for (let at = 0; at < data.length; at += 4) {
    all.push(`${at}: ${view.getUint32(at, true).toString(16)}`);
  }
  return all;
}

async function dumpOf(
  guest: Guest,
  remote: string,
): Promise<{ path: string; notes: Note[] }> {
  const path = `${remote}.core`;
  const said = await runGdb(
    guest,
    remote,
    `target remote $REMOTE
     break floats_here
     continue
     monitor dump-guest-memory $REMOTE.core
     kill`,
  );
  assert(said.includes("Breakpoint 1"), said);
  return { path, notes: notesOf(await Deno.readFile(path)) };
}

for (const bits of [32, 64] as const) {
  Deno.test({
    name: `gdb: core files are as QEMU's, ${bits} bits${absent}`,
    ignore: absent !== "",
    fn: () =>
      withGuest(bits, async (guest) => {
        const { machine, remote } = await startRhea(guest);
        await using _machine = machine;
        const mine = await dumpOf(guest, remote);
        const { child, remote: other } = await startQemu(guest);
        let theirs: Awaited<ReturnType<typeof dumpOf>>;
        try {
          theirs = await dumpOf(guest, other);
        } finally {
          try {
            child.kill("SIGKILL");
          } catch {
            // gdb's `kill` has done so.
          }
          await child.status;
        }
        const names = (notes: Note[]) => notes.map(({ name }) => name);
        assertEquals(names(mine.notes), names(theirs.notes));
        // CPU 1 waits in QEMU's firmware.
        for (const i of [0, 2]) {
          assertEquals(words(mine.notes[i]), words(theirs.notes[i]));
        }
        const look = async (path: string) => {
          const said = answers(await runGdb(guest, path, LOOK));
          // QEMU's firmware at the end of 4 GiB makes its file one of 64 bits,
          // of which gdb warns.
          said.delete("errors");
          return [...said];
        };
        assertEquals(await look(mine.path), await look(theirs.path));
      }),
  });
}
