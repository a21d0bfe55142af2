/**
 * `rhea image` against `qemu-img`: each looks at, checks and changes what the
 * other made.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  contents,
  oracleTest,
  qemuImg,
  qemuIo,
  run,
  withFolder,
} from "./oracle.ts";
import {
  assertClean,
  assertSame,
  assertZero,
  image,
  json,
  rhea,
  withoutSizes,
  writeRaw,
} from "./rhea_image.ts";

const OPTIONS = [
  "cluster_size=512",
  "cluster_size=64k",
  "cluster_size=2M",
  "compat=0.10,cluster_size=4k",
  "lazy_refcounts=on",
  "extended_l2=on,cluster_size=16k",
  "compression_type=zstd",
  "preallocation=metadata",
  "preallocation=metadata,extended_l2=on",
  "preallocation=full,cluster_size=4k",
  ...[1, 2, 64].map((bits) => `refcount_bits=${bits},cluster_size=512`),
];
oracleTest(
  "image create: as qemu-img makes them",
  () =>
    withFolder(async (folder) => {
      for (const options of OPTIONS) {
        const [ours, theirs] = [`${folder}/ours`, `${folder}/theirs`];
        const args = ["create", "-f", "qcow2", "-o", options];
        await rhea(...args, ours, "5M");
        await qemuImg(...args, theirs, "5M");
        await assertClean(ours);
        const info = async (file: string) =>
          withoutSizes(await json(qemuImg("info", "--output=json", file)));
        assertEquals(await info(ours), await info(theirs), options);
        // What QEMU can write to, and read back.
        await qemuIo(ours, "write -P 7 100k 3M");
        await assertClean(ours);
      }
      await rhea("create", `${folder}/raw`, "1000");
      assertEquals((await Deno.stat(`${folder}/raw`)).size, 1024);
      // 8 TiB, and a size that small clusters cannot have.
      await rhea("create", "-f", "qcow2", `${folder}/large`, "8T");
      await assertClean(`${folder}/large`);
      const { status, messages } = await image(
        ...["create", "-f", "qcow2", "-o", "cluster_size=512"],
        ...[`${folder}/no`, "8T"],
      );
      assertEquals(status, 1);
      assertMatch(messages[0], /are too many with a cluster_size of 512$/);
    }),
);

oracleTest(
  "image create: on a backing file",
  () =>
    withFolder(async (folder) => {
      const low = await writeRaw(`${folder}/low`, 700 << 10, 1);
      const top = `${folder}/top`;
      await rhea("create", "-f", "qcow2", "-b", "low", "-F", "raw", top);
      await assertClean(top);
      assertSame(await contents(top), low);
      await rhea(
        ...[
          "create",
          "-f",
          "qcow2",
          "-o",
          "backing_file=top,backing_fmt=qcow2",
        ],
        ...[`${folder}/higher`, "1M"],
      );
      const bytes = await contents(`${folder}/higher`);
      assertEquals(bytes.length, 1 << 20);
      assertSame(bytes.subarray(0, low.length), low);
      const { messages } = await image(
        ...["create", "-f", "qcow2", "-b", "none", "-F", "raw", `${folder}/x`],
      );
      assertMatch(messages[0], /Cannot open image ".*\/none"/);
    }),
);

oracleTest(
  "image info: what qemu-img says",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      await writeRaw(`${folder}/low`, 1 << 20, 1);
      for (
        const options of OPTIONS.filter((o) => !/prealloc|bits=1,/.test(o))
      ) {
        await qemuImg(
          ...["create", "-f", "qcow2", "-o", options, "-b", `${folder}/low`],
          ...["-F", "raw", file],
        );
        await qemuIo(file, "write -P 1 0 100k");
        await qemuImg("snapshot", "-c", "first", file);
        await qemuImg("snapshot", "-c", "the second one", file);
        const args = ["info", "--output=json"];
        assertEquals(
          await json(rhea(...args, file)),
          await json(qemuImg(...args, file)),
          options,
        );
        assertEquals(
          await rhea("snapshot", "-l", file),
          await qemuImg("snapshot", "-l", file),
        );
        const ours = (await rhea("info", file)).trim().split("\n");
        const theirs = (await qemuImg("info", file)).trim().split("\n");
        assertEquals(ours, theirs);
        const chain = ["info", "--backing-chain", "--output=json", file];
        assertEquals(await json(rhea(...chain)), await json(qemuImg(...chain)));
      }
      const raw = ["info", "--output=json", `${folder}/low`];
      assertEquals(await json(rhea(...raw)), await json(qemuImg(...raw)));
    }),
);

oracleTest(
  "image check: what qemu-img finds",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      /** A check by both, which must agree. */
      const both = async (say: string) => {
        const args = ["check", "--output=json", file];
        const ours = await image(...args);
        const { code, out } = await run("qemu-img", ...args);
        const theirs = JSON.parse(out.slice(0, out.indexOf("}") + 1));
        assertEquals(JSON.parse(ours.out), theirs, say);
        assertEquals(ours.status, code, say);
        return code;
      };
      for (const options of OPTIONS) {
        await qemuImg("create", "-f", "qcow2", "-o", options, file, "7M");
        await qemuIo(
          file,
          "write -P 1 0 700k",
          "write -P 2 3M 1M",
          ...options.includes("prealloc") ? [] : ["write -c -P 3 4M 2M"],
          "write -P 4 1M 300k",
        );
        if (!/bits=[12],/.test(options)) {
          await qemuImg("snapshot", "-c", "one", file);
          await qemuIo(file, "write -P 5 100k 200k", "discard 3M 512k");
        }
        assertEquals(await both(options), 0);
      }
      // Damage: flags and counts; what both find and what both repair.
      await qemuImg("create", "-f", "qcow2", file, "5M");
      await qemuIo(file, "write -P 1 0 1M");
      // With room behind it: only what is in the file can leak.
      const used = await Deno.readFile(file);
      const good = new Uint8Array(used.length + (2 << 20));
      good.set(used);
      const at = (offset: number) => {
        const view = new DataView(good.buffer);
        return Number(view.getBigUint64(offset) & 0xffffffffffff00n);
      };
      const l2 = at(at(40));
      const block = at(at(48));
      const damages: [string, number, number, number][] = [
        ["a leak", block + 2 * 40 + 1, 1, 3],
        ["a count too many", block + 2 * 8 + 1, 2, 2],
        ["a count too few", block + 2 * 8 + 1, 0, 2],
        ["a flag that is missing", l2, 0, 2],
        ["two entries for one cluster", l2 + 5, good[l2 + 8 + 5], 2],
      ];
      for (const [say, offset, byte, status] of damages) {
        const bytes = good.slice();
        assert(bytes[offset] !== byte, say);
        bytes[offset] = byte;
        await Deno.writeFile(file, bytes);
        assertEquals(await both(say), status);
        const fixed = await image("check", "-r", "all", file);
        assertEquals([fixed.status, ...fixed.messages], [0], say);
        await assertClean(file);
      }
      // A leak alone is repaired alone.
      const leaked = good.slice();
      leaked[block + 2 * 40 + 1] = 1;
      await Deno.writeFile(file, leaked);
      await rhea("check", "-r", "leaks", file);
      assertSame(await Deno.readFile(file), good);
      const raw = await image("check", "-f", "raw", file);
      assertEquals(raw.status, 63);
    }),
);

oracleTest(
  "image create: a disk of no bytes, which grows",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      for (const options of OPTIONS) {
        await rhea("create", "-f", "qcow2", "-o", options, file, "0");
        await assertClean(file);
        assertEquals((await contents(file)).length, 0, options);
        await rhea("resize", file, "3M");
        await qemuIo(file, "write -P 7 1M 2M");
        await assertClean(file);
        const now = await contents(file);
        assertZero(now.subarray(0, 1 << 20));
        assertSame(now.subarray(1 << 20), new Uint8Array(2 << 20).fill(7));
      }
    }),
);

oracleTest(
  "image resize: larger and smaller, read by both",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const low = await writeRaw(`${folder}/low`, 3 << 20, 5);
      const kinds: [options: string, backing: boolean][] = [
        ["cluster_size=64k", false],
        ["cluster_size=64k", true],
        ["cluster_size=512", true],
        ["cluster_size=512,refcount_bits=64", false],
        ["compat=0.10,cluster_size=4k", true],
        ["extended_l2=on,cluster_size=16k", true],
      ];
      for (const [options, backing] of kinds) {
        const behind = backing ? ["-b", "low", "-F", "raw"] : [];
        await qemuImg(
          ...["create", "-f", "qcow2", "-o", options, ...behind, file, "1M"],
        );
        await qemuIo(file, "write -P 3 900k 124k");
        const expected = (await contents(file)).slice();
        await rhea("resize", file, "+20M");
        await assertClean(file);
        let now = await contents(file);
        assertEquals(now.length, 21 << 20, options);
        // What lies behind does not come up.
        assertSame(now.subarray(0, expected.length), expected, options);
        assertZero(now.subarray(1 << 20));
        await qemuIo(file, "write -P 4 15M 1M");
        const { messages } = await image("resize", file, "950k");
        assertMatch(messages[0], /with --shrink it loses/);
        await rhea("resize", "--shrink", file, "-19000k");
        await assertClean(file);
        now = await contents(file);
        assertEquals(now.length, (21 << 20) - 19000 * 1024);
        await rhea("resize", "--shrink", file, "950k");
        await assertClean(file);
        assertSame(await contents(file), expected.slice(0, 950 << 10), options);
        await rhea("resize", file, "2M");
        now = await contents(file);
        assertSame(now.subarray(0, 950 << 10), expected.slice(0, 950 << 10));
        assertZero(now.subarray(950 << 10));
        await assertClean(file);
      }
      await rhea("resize", "-f", "raw", `${folder}/low`, "+512");
      assertEquals(
        (await Deno.readFile(`${folder}/low`)).length,
        low.length + 512,
      );
    }),
);

oracleTest(
  "image commit: as qemu-img does",
  () =>
    withFolder(async (folder) => {
      for (const options of ["cluster_size=64k", "extended_l2=on"]) {
        for (const format of ["raw", "qcow2"]) {
          const make = async (name: string) => {
            const low = `${folder}/${name}-low`;
            const top = `${folder}/${name}`;
            await writeRaw(`${folder}/content`, 1 << 20, 6);
            await qemuImg("convert", "-O", format, `${folder}/content`, low);
            await qemuImg(
              ...["create", "-f", "qcow2", "-o", options],
              ...["-b", `${name}-low`, "-F", format, top, "2M"],
            );
            await qemuIo(
              top,
              "write -P 1 100k 100k",
              "write -z 512k 64k",
              "write -P 2 1500k 8k",
            );
            return { low, top };
          };
          const ours = await make("ours");
          const theirs = await make("theirs");
          const before = await contents(ours.top);
          await rhea("commit", ours.top);
          await qemuImg("commit", theirs.top);
          await assertClean(ours.top);
          await qemuImg("compare", ours.low, theirs.low);
          assertSame(await contents(ours.top), before);
          // The image is empty: what is behind it alone shows.
          const map = await json(qemuImg("map", "--output=json", ours.top));
          assert(map.every(({ depth }: { depth: number }) => depth > 0));
        }
      }
    }),
);

Deno.test("image: failures are a line, status 1, and leave nothing", () =>
  withFolder(async (folder) => {
    const raw = `${folder}/a.raw`;
    await Deno.writeFile(raw, new Uint8Array(1 << 20));
    await Deno.writeFile(`${folder}/vmdk`, new TextEncoder().encode("KDMV"));
    await rhea("create", "-f", "qcow2", `${folder}/cut`, "1M");
    const cut = await Deno.readFile(`${folder}/cut`);
    await Deno.writeFile(`${folder}/cut`, cut.subarray(0, 70_000));
    const cases: [string[], RegExp][] = [
      [["crate", "x"], /no command "image crate"; did you mean "create"\?/],
      [["create", "x"], /needs a size/],
      [["create", "-f", "qcow", "x", "1M"], /no format "qcow"; did you mean/],
      [["create", "-f", "qcow2", "x", "lots"], /expected a size such as/],
      [
        ["create", "-f", "qcow2", "-o", "clustersize=1", "x", "1M"],
        /-o of qcow2: clustersize: unknown key .* did you mean "cluster_size"/,
      ],
      [
        ["create", "-f", "qcow2", "-o", "cluster_size=3000", "x", "1M"],
        /expected a power of two/,
      ],
      [
        ["create", "-f", "qcow2", "-o", "compat=0.10,lazy_refcounts=on"]
          .concat("x", "1M"),
        /lazy_refcounts wants compat=1\.1/,
      ],
      [["create", "-f", "qcow2", "-b", raw, "x"], /needs its format, with -F/],
      [
        ["create", "-f", "qcow2", "-b", "http://h/i", "-F", "raw", "x", "1M"],
        /"http:\/\/h\/i" is no file/,
      ],
      [["create", "-b", raw, "-F", "raw", "x"], /have no backing files/],
      [
        ["create", "-f", "qcow2", "-b", "none", "-F", "raw", "x", "1M"],
        /Cannot open image ".*\/none"/,
      ],
      [["create", "-ffoo", "x", "1M"], /no format "foo"/],
      [
        ["create", "-f", "qcow2", "-ocluster_size=3k", "x", "1M"],
        /cluster_size is 3072/,
      ],
      [["create", "-o", "size=1M", "--ouput=json", "x"], /unknown flag/],
      [["info", `${folder}/none`], /Cannot open image/],
      [["info", `${folder}/vmdk`], /Cannot tell the format/],
      [["info", "-f", "qcow2", raw], /no qcow2 image/],
      [["info", `${folder}/cut`], /Damaged qcow2 header/],
      [["info", "--output=xml", raw], /no output "xml"/],
      [["check", "-r", "some", raw], /no repair "some"/],
      [["create"], /expected at least 1 argument, not 0/],
      [["create", "x", "1M", "y"], /expected at most 2 arguments, not 3/],
      [["convert", raw], /expected 2 arguments, not 1/],
      [["convert", "-c", raw, `${folder}/out`], /cannot be compressed/],
      [["convert", `${folder}/cut`, `${folder}/out`], /Damaged/],
      [["convert", raw, `${folder}/no/out`], /No such file/],
      [["convert", raw, folder], /not a regular file/],
      [["convert", raw, raw], /in use elsewhere/],
      [["resize", raw, "-2M"], /not 2097152 to lose/],
      [["resize", "--shrink", raw, "0"], /must be positive/],
      [["commit", raw], /has no backing file/],
      [["snapshot", raw], /needs -l/],
    ];
    const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name);
    const before = names();
    for (const [args, message] of cases) {
      const inside = args.map((arg) => arg === "x" ? `${folder}/x` : arg);
      const { status, out, messages } = await image(...inside);
      assertEquals([status, out, messages.length], [1, "", 1], args.join(" "));
      assertMatch(messages[0], message);
    }
    assertEquals(names(), before);
    assertMatch(await rhea(), /image convert/);
  }));
