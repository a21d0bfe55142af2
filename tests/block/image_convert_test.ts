/** `rhea image convert`, with `qemu-img` as the judge. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  contents,
  oracleTest,
  qemuImg,
  qemuIo,
  run,
  withFolder,
} from "./oracle.ts";
import { assertClean, assertSame, rhea, writeRaw } from "./rhea_image.ts";

const CONVERSIONS = [
  ["raw", ""],
  ["qcow2", "cluster_size=64k"],
  ["qcow2", "cluster_size=512"],
  ["qcow2", "compat=0.10"],
  ["qcow2", "extended_l2=on"],
  ["qcow2", "cluster_size=64k", "-c"],
  ["qcow2", "cluster_size=512", "-c"],
  ["qcow2", "cluster_size=2M", "-c"],
  ["qcow2", "cluster_size=4k,compression_type=zstd", "-c"],
  ["qcow2", "cluster_size=64k,compression_type=zstd", "-c"],
  ["qcow2", "cluster_size=16k,extended_l2=on", "-c"],
  ["qcow2", "cluster_size=512,refcount_bits=1", "-c"],
  ["qcow2", "cluster_size=512,refcount_bits=2", "-c"],
];
oracleTest(
  "image convert: QEMU reads what was put in",
  () =>
    withFolder(async (folder) => {
      const size = (3 << 20) + 512;
      const bytes = await writeRaw(`${folder}/low`, size, 4);
      const middle = `${folder}/middle`;
      await qemuImg(
        ...["create", "-f", "qcow2", "-b", "low", "-F", "raw", middle],
      );
      await qemuIo(middle, "write -P 9 1M 100k", "write -z 2M 128k");
      bytes.fill(9, 1 << 20, (1 << 20) + (100 << 10));
      bytes.fill(0, 2 << 20, (2 << 20) + (128 << 10));
      for (const [format, options, ...flags] of CONVERSIONS) {
        const out = `${folder}/out`;
        const args = ["convert", ...flags, "-O", format];
        if (options !== "") args.push("-o", options);
        await rhea(...args, middle, out);
        const say = `${format} ${options} ${flags}`;
        if (format === "raw") {
          assertSame(await Deno.readFile(out), bytes, say);
        } else {
          await assertClean(out);
          assertSame(await contents(out), bytes, say);
          // And Rhea reads it, and writes over it.
          await rhea("convert", "-O", "raw", out, `${folder}/back`);
          assertSame(await Deno.readFile(`${folder}/back`), bytes, say);
          if (flags.includes("-c")) {
            const { out: text } = await run("qemu-img", "check", out);
            assert(!text.includes(" 0.00% compressed"), text);
          }
        }
      }
      // Nothing but the images is left.
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
        .sort();
      assertEquals(names, ["back", "low", "middle", "out"]);
    }),
);

oracleTest(
  "image convert: the output is sparse, and as small as QEMU's",
  () =>
    withFolder(async (folder) => {
      const sparse = `${folder}/sparse`;
      await qemuImg("create", "-f", "raw", sparse, "200M");
      await qemuIo(sparse, "write -P 1 100M 1M", "write -P 2 150M 300k");
      for (const [format, ...flags] of [["raw"], ["qcow2"], ["qcow2", "-c"]]) {
        const [ours, theirs] = [`${folder}/ours`, `${folder}/theirs`];
        const args = ["convert", "-f", "raw", ...flags, "-O", format, sparse];
        await rhea(...args, ours);
        await qemuImg(...args, theirs);
        const blocks = async (file: string) => (await Deno.stat(file)).blocks!;
        const [a, b] = [await blocks(ours), await blocks(theirs)];
        assert(a <= b + 256, `${format} ${flags}: ${a} and ${b} blocks`);
        await qemuImg("compare", ours, theirs);
      }
    }),
);

oracleTest(
  "image convert: what is empty is not read",
  () =>
    withFolder(async (folder) => {
      // Bytes that would take minutes.
      await qemuImg("create", "-f", "qcow2", `${folder}/low`, "3T");
      await qemuIo(`${folder}/low`, "write -P 1 2T 64k");
      const behind = ["-b", "low", "-F", "qcow2"];
      const top = `${folder}/top`;
      await qemuImg("create", "-f", "qcow2", ...behind, top, "4T");
      await qemuIo(top, "write -P 2 1T 64k", "write -z 2T 4k");
      await rhea("convert", "-O", "qcow2", top, `${folder}/out`);
      await assertClean(`${folder}/out`);
      await qemuImg("compare", top, `${folder}/out`);
    }),
);

Deno.test({
  name: "image convert: nothing is left when it is interrupted",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (folder) => {
      const stuck = Promise.withResolvers<Response>();
      const asked = Promise.withResolvers<void>();
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        (request) => {
          if (request.headers.get("range") !== "bytes=0-65535") {
            asked.resolve();
            return stuck.promise;
          }
          const headers = { "content-range": "bytes 0-65535/1048576" };
          return new Response(new Uint8Array(65536).fill(1), {
            status: 206,
            headers,
          });
        },
      );
      const url = `http://127.0.0.1:${server.addr.port}/a`;
      const main = new URL("../../mod.ts", import.meta.url).pathname;
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", main, "image", "convert"]
          .concat("-f", "raw", url, `${folder}/out`),
        stdin: "null",
        stderr: "piped",
      }).spawn();
      await asked.promise;
      const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name);
      assertMatch(names().join(), /^out\.[^,]*\.part$/);
      child.kill("SIGINT");
      const { code, stderr } = await child.output();
      assertEquals(code, 1);
      assertMatch(new TextDecoder().decode(stderr), /out" was not finished/);
      assertEquals(names(), []);
      stuck.resolve(new Response());
      await server.shutdown();
    }),
});
