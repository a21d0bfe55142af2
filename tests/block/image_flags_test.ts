/** The rarer flags of `rhea image`, each with `qemu-img` as the judge. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { cLibrary } from "../../plugins/block/c_library.ts";
import { contents, oracleTest, qemuImg, qemuIo, withFolder } from "./oracle.ts";
import {
  assertClean,
  assertSame,
  assertZero,
  image,
  json,
  rhea,
  writeRaw,
} from "./rhea_image.ts";

const MEGABYTE = 1 << 20;

/** An image with holes of every kind, on a raw one; what it reads as. */
async function overlay(folder: string): Promise<Uint8Array> {
  await writeRaw(`${folder}/low`, 3 * MEGABYTE, 4);
  const top = `${folder}/top`;
  await qemuImg("create", "-f", "qcow2", "-b", "low", "-F", "raw", top, "4M");
  await qemuIo(top, "write -P 9 1M 100k", "write -z 2M 128k", "write 3M 64k");
  return await contents(top);
}

oracleTest(
  "image convert -B: only what the source has itself",
  () =>
    withFolder(async (folder) => {
      const bytes = await overlay(folder);
      for (const flags of [[], ["-c"], ["-o", "cluster_size=4k"]]) {
        const args = ["convert", ...flags, "-O", "qcow2", "-B", "low", "-F"]
          .concat("raw", `${folder}/top`);
        await rhea(...args, `${folder}/ours`);
        await assertClean(`${folder}/ours`);
        assertSame(await contents(`${folder}/ours`), bytes, `${flags}`);
        // What lies behind is not copied.
        const map = await json(
          qemuImg("map", "--output=json", `${folder}/ours`),
        );
        assertEquals(map[0].depth, 1, `${flags}`);
        const info = await json(
          rhea("info", "--output=json", `${folder}/ours`),
        );
        assertEquals(info["backing-filename"], "low");
      }
      const said = "backing_file=low,backing_fmt=raw";
      const out = `${folder}/out`;
      await rhea("convert", "-O", "qcow2", "-o", said, `${folder}/top`, out);
      assertSame(await contents(out), bytes);
    }),
);

oracleTest(
  "image convert -n: into an image that is there",
  () =>
    withFolder(async (folder) => {
      const bytes = await overlay(folder);
      const out = `${folder}/out`;
      for (const format of ["raw", "qcow2"]) {
        for (
          const flags of [[], ["-W", "-m", "16"], ["-t", "none", "-T", "none"]]
        ) {
          await qemuImg("create", "-f", format, out, "5M");
          await qemuIo(out, "write -P 77 0 5M");
          const { ino } = await Deno.stat(out);
          await rhea(
            "convert",
            ...flags,
            "-n",
            "-O",
            format,
            `${folder}/top`,
            out,
          );
          assertEquals((await Deno.stat(out)).ino, ino);
          const now = format === "raw"
            ? await Deno.readFile(out)
            : await contents(out);
          assertSame(now.subarray(0, bytes.length), bytes, format);
          assertEquals(now[4 * MEGABYTE], 77);
        }
        // What is all zero already takes no more room for that.
        await qemuImg("create", "-f", format, out, "4M");
        const flags = ["-n", "--target-is-zero", "-O", format];
        await rhea("convert", ...flags, `${folder}/top`, out);
        await qemuImg("compare", `${folder}/top`, out);
        // Holes stay holes, whether it is said that they are or not.
        const before = (await Deno.stat(out)).blocks!;
        await rhea("convert", "-n", "-O", format, `${folder}/top`, out);
        const after = (await Deno.stat(out)).blocks!;
        assert(after <= before + 256, `${format}: ${before}, ${after} blocks`);
      }
    }),
);

oracleTest(
  "image convert -S: how many zeroes are left out",
  () =>
    withFolder(async (folder) => {
      const raw = `${folder}/raw`;
      await qemuImg("create", "-f", "raw", raw, "4M");
      for (let i = 0; i < 16; i++) {
        await qemuIo(raw, `write -P 5 ${i * 256}k 512`);
      }
      const out = `${folder}/out`;
      const blocks: number[] = [];
      for (const sparse of ["512", "64k", "1M", "0"]) {
        await rhea("convert", "-O", "raw", "-S", sparse, raw, out);
        assertSame(await Deno.readFile(out), await Deno.readFile(raw), sparse);
        blocks.push((await Deno.stat(out)).blocks!);
      }
      assertEquals(blocks, blocks.toSorted((a, b) => a - b));
      assert(blocks[0] < blocks[1] && blocks[1] < blocks[2], blocks.join());
      assert(blocks[3] >= 4 * MEGABYTE / 512, blocks.join());
      await rhea("convert", "-O", "qcow2", "-S", "0", raw, out);
      const [{ length, zero, data }] = await json(
        qemuImg("map", "--output=json", out),
      );
      assertEquals([length, zero, data], [4 * MEGABYTE, false, true]);
    }),
);

oracleTest(
  "image convert -l: a snapshot in the disk's place",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      await writeRaw(`${folder}/low`, MEGABYTE, 7);
      const behind = ["-b", "low", "-F", "raw"];
      await qemuImg("create", "-f", "qcow2", ...behind, file, "1M");
      await qemuIo(file, "write -P 1 0 100k", "write -c -P 8 512k 64k");
      const first = await contents(file);
      await qemuImg("snapshot", "-c", "2", file);
      await qemuImg("resize", file, "2M");
      await qemuIo(file, "write -P 2 50k 1M");
      const second = await contents(file);
      await qemuImg("snapshot", "-c", "a,b", file);
      await qemuIo(file, "discard 0 2M", "write -P 3 0 2M");
      const out = `${folder}/out`;
      // An id goes before a name, as in QEMU.
      const cases: [string, Uint8Array][] = [
        ["1", first],
        ["2", second],
        ["a,b", second],
        ["snapshot.id=1", first],
        ["snapshot.name=2", first],
        ["snapshot.id=1,snapshot.name=2", first],
      ];
      for (const [which, expected] of cases) {
        await rhea("convert", "-l", which, "-O", "raw", file, out);
        // QEMU gives each the size that the disk has now.
        assertSame(await Deno.readFile(out), expected, which);
        await qemuImg("convert", "-l", which, "-O", "raw", file, `${folder}/q`);
        const theirs = await Deno.readFile(`${folder}/q`);
        assertSame(theirs.subarray(0, expected.length), expected, which);
      }
      const { messages } = await image("convert", "-l", "3", file, out);
      assertMatch(messages[0], /there is no snapshot "3"/);
    }),
);

oracleTest(
  "image commit -b: through a chain, which stays as it is",
  () =>
    withFolder(async (folder) => {
      for (const options of ["cluster_size=64k", "extended_l2=on"]) {
        const make = async (
          name: string,
        ): Promise<(which: string) => string> => {
          const path = (which: string) => `${folder}/${name}-${which}`;
          const create = (
            which: string,
            low: string,
            format: string,
            size = "",
          ) =>
            qemuImg(
              ...[
                "create",
                "-f",
                "qcow2",
                "-o",
                options,
                "-b",
                path(low),
                "-F",
              ],
              ...[format, path(which), ...size === "" ? [] : [size]],
            );
          await writeRaw(path("low"), MEGABYTE, 3);
          await create("base", "low", "raw");
          await qemuIo(path("base"), "write -P 1 300k 10k");
          // The one between is shorter: zeroes follow it.
          await create("middle", "base", "qcow2", "700k");
          await qemuIo(
            path("middle"),
            "write -P 2 400k 100k",
            "write -z 0 64k",
          );
          await create("top", "middle", "qcow2", "2M");
          await qemuIo(
            path("top"),
            "write -P 3 450k 10k",
            "write -P 4 1900k 8k",
          );
          return path;
        };
        const [ours, theirs] = [await make("ours"), await make("theirs")];
        for (
          const [path, commit] of [[ours, rhea], [theirs, qemuImg]] as const
        ) {
          await commit("commit", "-b", path("base"), path("top"));
        }
        for (const which of ["base", "top"]) {
          await assertClean(ours(which));
          assertSame(
            await contents(ours(which)),
            await contents(theirs(which)),
            `${options} ${which}`,
          );
        }
        assertEquals(
          await json(qemuImg("map", "--output=json", ours("top")))
            .then((map) =>
              map.some(({ depth }: { depth: number }) => depth === 0)
            ),
          true,
        );
        const { messages } = await image("commit", "-b", folder, ours("top"));
        assertMatch(messages[0], /does not lie behind/);
      }
    }),
);

oracleTest(
  "image resize --preallocation: room for what is gained",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      for (const how of ["off", "metadata", "falloc", "full"]) {
        for (const options of ["cluster_size=4k", "extended_l2=on"]) {
          await qemuImg("create", "-f", "qcow2", "-o", options, file, "1M");
          // With free clusters in the file, which have something.
          await qemuIo(file, "write -P 6 0 1M", "discard 256k 512k");
          const before = await contents(file);
          await rhea("resize", `--preallocation=${how}`, file, "3M");
          await assertClean(file);
          const now = await contents(file);
          assertSame(now.subarray(0, MEGABYTE), before, how);
          assertZero(now.subarray(MEGABYTE));
          const { size } = await Deno.stat(file);
          assert(how === "off" || size >= 2.5 * MEGABYTE, `${how}: ${size}`);
        }
      }
      const raw = `${folder}/raw`;
      await rhea("create", raw, "1M");
      await rhea("resize", "-f", "raw", "--preallocation=full", raw, "+1M");
      const { size, blocks } = await Deno.stat(raw);
      assertEquals(size, 2 * MEGABYTE);
      assert(blocks! * 512 >= MEGABYTE, `${blocks}`);
      const { messages } = await image(
        ...["resize", "-f", "raw", "--preallocation=metadata", raw, "+1M"],
      );
      assertMatch(messages[0], /Raw images have no metadata/);
    }),
);

oracleTest(
  "image: -U looks at what others write to",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      await qemuImg("create", "-f", "qcow2", file, "1M");
      await qemuIo(file, "write -P 5 0 64k");
      const other = await Deno.open(file, { read: true, write: true });
      await other.lock(true);
      const out = `${folder}/out`;
      for (const args of [["check", file], ["convert", file, out]]) {
        const { status, messages } = await image(...args);
        assertEquals(status, 1);
        assertMatch(messages[0], /open for writing elsewhere/);
        await rhea(args[0], "-U", ...args.slice(1));
      }
      await rhea("info", "-U", file);
      await rhea("snapshot", "-U", "-l", file);
      other.close();
      await qemuImg("compare", file, out);
    }),
);

Deno.test("image: -o help lists the options", async () => {
  for (const command of [["create"], ["convert"], ["create", "x", "1M"]]) {
    for (const flag of ["-f", "-O"]) {
      if ((flag === "-O") !== (command[0] === "convert")) continue;
      const text = await rhea(...command, flag, "qcow2", "-o", "help");
      assertMatch(text, /cluster_size=<size> .*\n.*compat=.* \(0\.10, v2, /);
      assertMatch(text, /lazy_refcounts=<boolean> .*\(on, off\), else off/);
      assertMatch(text, /backing_file=/);
    }
  }
  const raw = await rhea("create", "-o", "?");
  assert(!raw.includes("backing_file") && raw.includes("size="), raw);
});

/** As `qemu-img` refuses them, too: status 1 and nothing made. */
const REFUSED: [string, RegExp][] = [
  ["convert -O qcow2 -B low low out", /needs its format, with -F/],
  ["convert -B low -F raw low out", /raw have no backing files/],
  ["convert -O qcow2 -F raw low out", /what -B names/],
  ["convert -n low out", /Cannot open image ".*out"/],
  ["convert -n low small", /has 512 bytes, 1048576 are to go there/],
  ["convert -n -o preallocation=full low low", /-n makes none/],
  ["convert --target-is-zero low out", /needs -n/],
  ["convert -S 100 low out", /-S is 100, expected a multiple of 512/],
  ["convert -S 32M low out", /up to 16777216/],
  ["convert -m 17 low out", /-m is 17, expected 1 to 16/],
  ["convert -m 0 low out", /expected 1 to 16/],
  ["convert -t write-back low out", /-t: .* did you mean "writeback"/],
  ["convert -T x low out", /-T: there is no cache mode "x"/],
  ["convert -l one low out", /there is no snapshot "one"/],
  ["convert -l snapshot.tag=1 low out", /expected snapshot\.id=/],
  ["convert -o size=1M low out", /takes no size/],
  ["check -U -r all low", /what others have open is not repaired/],
  ["resize --preallocation=some low 2M", /no preallocation "some"/],
  ["resize --shrink --preallocation=full low 512k", /what an image gains/],
  ["create -f qcow2 out 8E", /8E is too large/],
  ["create -f qcow2 out 1e100", /expected a size/],
  ["create -f qcow2 -u -b none -F raw out", /needs a size/],
  ["info nbd://host/disk", /expected a file, or an http: or https: URL/],
  ["create -f qcow2 nbd://host/disk 1M", /nbd:/],
  ["convert low http://127.0.0.1:1/x", /what a server has is only read/],
  ["snapshot -c one low", /unknown flag "-c"/],
  ["compare low low", /image compare is not there: use qemu-img/],
];
Deno.test("image: flags that are refused, in one line", () =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/low`, new Uint8Array(MEGABYTE));
    await Deno.writeFile(`${folder}/small`, new Uint8Array(512));
    for (const [line, message] of REFUSED) {
      const args = line.split(" ").map((word) =>
        /^(low|out|small)$/.test(word) ? `${folder}/${word}` : word
      );
      const { status, out, messages } = await image(...args);
      assertEquals([status, out, messages.length], [1, "", 1], line);
      assertMatch(messages[0], message, line);
    }
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assertEquals(names.sort(), ["low", "small"]);
  }));

Deno.test("image: progress is shown unless it is to be quiet", () =>
  withFolder(async (folder) => {
    const { imageMain } = await import("../../core/cli/image.ts");
    const { PLUGINS } = await import("../../machines/registry.ts");
    const raw = `${folder}/raw`;
    await Deno.writeFile(raw, new Uint8Array(MEGABYTE));
    const room = "--preallocation=full";
    const commands = [
      ["convert", raw, `${folder}/out`],
      ["resize", room, raw, "+1M"],
      ["resize", room, `${folder}/qcow2`, "+1M"],
    ];
    await rhea("create", "-f", "qcow2", `${folder}/qcow2`, "1M");
    for (const [command, ...rest] of commands) {
      for (
        const [flags, shows] of [[[], true], [["-p"], true], [["-q"], false], [[
          "-pq",
        ], false]]
      ) {
        const updates: number[] = [];
        await imageMain(
          [command, ...flags as string[], ...rest],
          PLUGINS,
          {
            out() {},
            message() {},
            trace() {},
            progress: () => ({
              update: (done, total) => updates.push(done / total),
              end() {},
            }),
          },
        );
        assertEquals(updates.length > 0, shows, `${command} ${flags}`);
        if (shows) assertEquals(updates.at(-1), 1, command);
      }
    }
  }));

const sees = cLibrary() !== undefined;
Deno.test({
  name: `image convert: holes of raw files are not read${
    sees ? "" : " (skipped: no C library to ask)"
  }`,
  ignore: !sees,
  fn: () =>
    withFolder(async (folder) => {
      const [raw, out] = [`${folder}/raw`, `${folder}/out`];
      // 7 TiB that would take an hour to read.
      await Deno.writeFile(raw, new Uint8Array());
      await Deno.truncate(raw, 7 * 2 ** 40);
      const file = await Deno.open(raw, { write: true });
      const bytes = new Uint8Array(5000).fill(3);
      await file.seek(5 * 2 ** 40 + 1000, Deno.SeekMode.Start);
      await file.write(bytes);
      file.close();
      await rhea("convert", "-f", "raw", "-O", "qcow2", raw, out);
      await rhea("convert", "-O", "raw", out, raw);
      const { size, blocks } = await Deno.stat(raw);
      assertEquals(size, 7 * 2 ** 40);
      assert(blocks! < 1000, `${blocks} blocks`);
      const back = await Deno.open(raw);
      await back.seek(5 * 2 ** 40, Deno.SeekMode.Start);
      const read = new Uint8Array(7000);
      await back.read(read);
      back.close();
      const expected = new Uint8Array(7000);
      expected.set(bytes, 1000);
      assertSame(read, expected);
    }),
});

oracleTest(
  "image info: backing files that cannot be opened",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const create = ["create", "-f", "qcow2", "-u", "-F", "raw", "-b"];
      for (const name of ["nbd://host/disk", 'json:{"driver":"null-co"}']) {
        await qemuImg(...create, name, file, "1M");
        const ours = await json(rhea("info", "--output=json", file));
        const theirs = await json(qemuImg("info", "--output=json", file));
        assertEquals(ours["backing-filename"], theirs["backing-filename"]);
        for (
          const command of ["convert -Oraw", "commit", "info --backing-chain"]
        ) {
          const args = [...command.split(" "), file];
          if (args[0] === "convert") args.push(`${folder}/out`);
          const { status, messages } = await image(...args);
          assertEquals([status, messages.length], [1, 1], command);
          assertMatch(messages[0], /only files are supported|expected a file/);
        }
      }
      // Without its format, and in a circle.
      const [a, b] = [`${folder}/a`, `${folder}/b`];
      await qemuImg("create", "-f", "qcow2", a, "1M");
      await qemuImg("create", "-f", "qcow2", "-b", a, "-F", "qcow2", b);
      await qemuImg("rebase", "-u", "-b", b, "-F", "qcow2", a);
      for (
        const args of [["info", "--backing-chain", a], ["commit", a], [
          "convert",
          a,
          `${folder}/out`,
        ]]
      ) {
        const { status, messages } = await image(...args);
        assertEquals([status, messages.length], [1, 1], args.join(" "));
        assertMatch(messages[0], /loop|in use elsewhere|open for writing/);
      }
    }),
);

Deno.test({
  name: "image: an output that is there keeps its place and its mode",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (folder) => {
      const [real, link] = [`${folder}/real`, `${folder}/link`];
      await Deno.writeFile(real, new Uint8Array(MEGABYTE), { mode: 0o600 });
      await Deno.symlink(real, link);
      await rhea("create", "-f", "qcow2", link, "1M");
      await rhea("info", "-f", "qcow2", real);
      assert((await Deno.lstat(link)).isSymlink);
      await rhea("convert", link, real + ".raw");
      await Deno.chmod(`${real}.raw`, 0o640);
      await rhea("convert", "-O", "qcow2", link, `${real}.raw`);
      assertEquals((await Deno.stat(real)).mode! & 0o777, 0o600);
      assertEquals((await Deno.stat(`${real}.raw`)).mode! & 0o777, 0o640);
    }),
});

Deno.test("image: names that look like numbers are names", async () => {
  for (const name of ["007", "0x10", "1e3"]) {
    const { status, messages } = await image("info", name);
    assertEquals(status, 1);
    assertMatch(messages[0], new RegExp(`Cannot open image "${name}"`));
  }
});

oracleTest(
  "image create: a size in hexadecimal",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/disk`;
      for (const size of ["0x100000", "1e6"]) {
        const theirs = await qemuImg("create", "-f", "raw", file, size)
          .then(() => 0, () => 1);
        const { status } = await image("create", "-f", "raw", file, size);
        assertEquals(status, theirs, size);
      }
      assertEquals((await Deno.stat(file)).size, 0x100000);
    }),
);
