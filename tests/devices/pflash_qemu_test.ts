/**
 * The flash chips beside QEMU's: the same commands, and what each read between
 * them gives. Not compared is a write buffer that is given up or overrun, which
 * versions of QEMU do differently.
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { DeviceBench } from "../../core/machine/testing.ts";
import pflash from "../../plugins/device/flash/pflash.ts";
import { withFolder } from "../block/oracle.ts";
import { FakeBlock } from "./ide_bench.ts";
import { qemuTest, Qtest } from "./qtest.ts";

const HLT = 0xf4;
const CODE_BYTES = 128 * 1024;
const VARS_BYTES = 64 * 1024;
const VARS_BASE = 2 ** 32 - CODE_BYTES - VARS_BYTES;
const STEPS = 1500;
/** Steps before a difference that a message has. */
const CONTEXT = 12;

/** What a driver does: a byte written, or read. */
interface Bus {
  write(offset: number, value: number): Promise<unknown>;
  read(offset: number): Promise<number>;
}

/** Numbers that are the same in each run (xorshift32). */
function* numbers(seed: number): Generator<number, never> {
  let x = seed;
  for (;;) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}

/** Random commands and what reads give. */
async function use(on: Bus, seed: number): Promise<string[]> {
  const bus: Bus = {
    read: on.read,
    write(offset, value) {
      seen.push(`0x${value.toString(16)} to ${offset}`);
      return on.write(offset, value);
    },
  };
  const source = numbers(seed);
  const below = (n: number): number => source.next().value % n;
  const seen: string[] = [];
  const look = async (offset: number, what: string): Promise<void> => {
    seen.push(`${what} ${offset}: ${await bus.read(offset)}`);
  };
  for (let step = 0; step < STEPS; step++) {
    const offset = below(VARS_BYTES);
    const value = below(256);
    switch (below(9)) {
      case 0:
        await bus.write(offset, [0x40, 0x10][below(2)]);
        await bus.write(offset, value);
        break;
      case 1:
        await bus.write(offset, [0x20, 0x28][below(2)]);
        await bus.write(offset, [0xd0, 0xff, 0x11][below(3)]);
        break;
      case 2: {
        const block = offset - offset % 256;
        const count = below(16);
        await bus.write(block, 0xe8);
        await bus.write(block, count);
        for (let i = 0; i <= count; i++) {
          await bus.write(block + below(256), below(256));
        }
        await bus.write(block, 0xd0);
        break;
      }
      case 3:
        await bus.write(offset, 0x60);
        await bus.write(offset, [0x01, 0xd0, 0xff, 0x33][below(4)]);
        break;
      case 4:
        await bus.write(offset, 0x98);
        for (let at = 0; at < 0x40; at++) await look(at, "query");
        await bus.write(offset, value);
        await look(offset, "after a query");
        await bus.write(offset, 0xff);
        break;
      case 5:
        await bus.write(offset, [0x70, 0x90][below(2)]);
        break;
      case 6:
        await bus.write(offset, [0x50, 0xff, 0x00, 0xf0][below(4)]);
        break;
      default:
        await look(offset, "bytes");
    }
    await look(below(VARS_BYTES), "after");
  }
  await bus.write(0, 0xff);
  await bus.write(0, 0xff);
  for (let at = 0; at < VARS_BYTES; at += 61) await look(at, "at the end");
  return seen;
}

for (
  const [seed, readOnly] of [[11, false], [12, false], [13, true]] as const
) {
  const name = readOnly ? ", read-only" : "";
  qemuTest(`pflash: commands beside QEMU's, seed ${seed}${name}`, async () => {
    const vars = new FakeBlock(VARS_BYTES, readOnly);
    const code = new FakeBlock(CODE_BYTES, true);
    code.bytes.fill(HLT);
    await withFolder(async (folder) => {
      const drive = async (file: string, bytes: Uint8Array, only: boolean) => {
        await Deno.writeFile(join(folder, file), bytes);
        const more = only ? ",readonly=on" : "";
        return [
          "-drive",
          `if=pflash,format=raw,file=${join(folder, file)}${more}`,
        ];
      };
      const qemu = await Qtest.start(folder, [
        ...await drive("code", code.bytes, true),
        ...await drive("vars", vars.bytes, readOnly),
      ]);
      let expected: string[];
      try {
        expected = await use({
          write: (offset, value) =>
            qemu.ask(`writeb ${VARS_BASE + offset} ${value}`),
          read: async (offset) =>
            Number(await qemu.ask(`readb ${VARS_BASE + offset}`)),
        }, seed);
      } finally {
        await qemu.end();
      }
      const bench = await DeviceBench.create({
        ...pflash,
        create: (config, context) =>
          pflash.create(config, {
            ...context,
            block: (role) => role === "flash0" ? code : vars,
          }),
      });
      const found = await use({
        write: (offset, value) =>
          Promise.resolve(bench.memory.write(VARS_BASE + offset, 1, value)),
        read: (offset) =>
          Promise.resolve(bench.memory.read(VARS_BASE + offset, 1)),
      }, seed);
      const first = expected.findIndex((line, i) => line !== found[i]);
      assertEquals(
        found.slice(first - CONTEXT, first + 1),
        expected.slice(first - CONTEXT, first + 1),
      );
      assertEquals(found.length, expected.length);
    });
  });
}
