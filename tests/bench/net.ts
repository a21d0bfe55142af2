/**
 * Measures TCP between Linux and a server on the host's loopback interface, by
 * the network `user` and a card, against QEMU's TCG with its own, taking turns.
 * Prints medians in milliseconds, of CPU time too, and their ratio.
 *
 *   deno run -A tests/bench/net.ts [--rounds=3] [--megabytes=400]
 *                                  [--model=virtio|e1000|ne2k_pci]
 *                                  [--targets=jit,tcg]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";
import { directory, file, gzip } from "../../core/cli/cpio.ts";
import { ensureGuest } from "../../core/cli/guest.ts";
import { buildInitramfs } from "../../core/cli/initramfs.ts";
import { kernelModules } from "../boot/modules.ts";
import { busiestThread, Session, SessionError } from "./session.ts";
import { type Command, LINUX_MEGABYTES } from "./targets.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const LIMIT_MS = 300_000;
const PROMPT = /\/root # /;
const WORKLOADS = ["download", "upload"] as const;

/** How a card is driven, and what QEMU calls it. */
const MODELS: Readonly<Record<string, [modules: string[], qemu: string]>> = {
  virtio: [["virtio_pci", "virtio_net"], "virtio-net-pci"],
  e1000: [["e1000"], "e1000"],
  ne2k_pci: [["ne2k_pci"], "ne2k_pci"],
};

/** What lies between the lines BEGIN and END is measured. */
const RUN = `#!/bin/sh
# run.sh download|upload PORT MEGABYTES
echo "BEGIN $1"
case $1 in
download) wget -q -O - http://10.0.2.2:$2/ | tail -c 65536 | md5sum >/tmp/sum ;;
upload) dd if=/dev/zero bs=64k count=$(($3 * 16)) 2>/dev/null | nc 10.0.2.2 $2 >/tmp/sum ;;
esac
echo "END $1"
echo "SUM $(cat /tmp/sum)"
`;

/** A server that sends so many bytes to each that comes, or says how many came. */
class Peer {
  readonly #download = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #upload = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor(bytes: number) {
    const chunk = crypto.getRandomValues(new Uint8Array(65536));
    const large = new Uint8Array(1 << 20);
    for (let at = 0; at < large.length; at += chunk.length) {
      large.set(chunk, at);
    }
    void this.#serve(this.#download, async (connection) => {
      await connection.read(large.slice());
      await connection.write(new TextEncoder().encode(
        `HTTP/1.0 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`,
      ));
      for (let left = bytes; left > 0;) {
        const from = (bytes - left) % chunk.length;
        left -= await connection.write(large.subarray(from, from + left));
      }
      await connection.closeWrite();
    });
    void this.#serve(this.#upload, async (connection) => {
      let count = 0;
      for (let n: number | null = 0; n !== null;) {
        count += n;
        n = await connection.read(large);
      }
      await connection.write(new TextEncoder().encode(`${count}\n`));
    });
  }

  port(workload: string): number {
    return (workload === "upload" ? this.#upload : this.#download).addr.port;
  }

  async #serve(
    listener: Deno.TcpListener,
    talk: (connection: Deno.TcpConn) => Promise<void>,
  ): Promise<void> {
    for await (const connection of listener) {
      talk(connection).catch((error) => console.error(`${error}`))
        .finally(() => connection.close());
    }
  }

  [Symbol.dispose](): void {
    this.#download.close();
    this.#upload.close();
  }
}

/** The command that boots a target. */
function commandOf(
  target: string,
  model: string,
  kernel: string,
  initrd: string,
): Command {
  const boot = ["-kernel", kernel, "-initrd", initrd];
  const append = "console=ttyS0";
  if (target === "tcg") {
    return ["qemu-system-i386", [
      ...["-M", "pc", "-accel", "tcg", "-cpu", "pentium3", "-no-reboot"],
      ...["-m", `${LINUX_MEGABYTES}`, "-display", "none", "-serial", "stdio"],
      ...["-netdev", "user,id=n", "-device", `${MODELS[model][1]},netdev=n`],
      ...[...boot, "-append", append],
    ]];
  }
  if (target !== "jit") throw new Error(`There is no target "${target}"`);
  return [Deno.execPath(), [
    ...["run", "-P=net", "--no-prompt", join(ROOT, "mod.ts")],
    ...[join(ROOT, "machines/pc.json"), "--nic", `user,model=${model}`],
    ...["--memory", `${LINUX_MEGABYTES}M`, "--serial", "stdio"],
    ...["--kernel", kernel, "--initrd", initrd, "--append", append],
  ]];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

async function main(): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["rounds", "megabytes", "model", "targets"],
    default: {
      rounds: "3",
      megabytes: "400",
      model: "virtio",
      targets: "jit,tcg",
    },
  });
  const targets: string[] = args.targets.split(",");
  const names = MODELS[args.model];
  if (names === undefined) throw new Error(`There is no model "${args.model}"`);
  const { kernel, busybox } = await ensureGuest(
    join(ROOT, ".cache/guest-i386"),
  );
  const modules = await kernelModules(kernel, names[0]);
  if (typeof modules === "string") throw new Error(modules);
  const load = `${modules.script}
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
`;
  const folder = await Deno.makeTempDir();
  using peer = new Peer(Number(args.megabytes) * 1048576);
  try {
    const initrd = join(folder, "initrd.gz");
    const archive = buildInitramfs(await Deno.readFile(busybox), [
      ...modules.entries,
      directory("bench"),
      file("bench/load.sh", load, 0o755),
      file("bench/run.sh", RUN, 0o755),
    ]);
    await Deno.writeFile(initrd, await gzip(archive));
    const times = new Map<string, [wall: number, cpu: number][]>();
    const sums = new Map<string, Set<string>>();
    for (let round = 0; round < Number(args.rounds); round++) {
      for (const target of targets) {
        await using session = new Session(
          commandOf(target, args.model, kernel, initrd),
        );
        await session.until(PROMPT, LIMIT_MS);
        await session.type(
          ". /bench/load.sh; sleep 2; stty -echo; echo ready\n",
        );
        await session.until(/^ready\r?\n/m, LIMIT_MS);
        await session.until(PROMPT, LIMIT_MS);
        for (const name of WORKLOADS) {
          const line = `/bench/run.sh ${name} ${peer.port(name)}`;
          await session.type(`${line} ${args.megabytes}\n`);
          const begin = await session.until(/^BEGIN \S+\r?\n/m, LIMIT_MS);
          const end = await session.until(/^END \S+\r?\n/m, LIMIT_MS);
          const sum = await session.until(/^SUM (\S.*)\r?\n/m, LIMIT_MS);
          await session.until(PROMPT, LIMIT_MS);
          const key = `${name} ${target}`;
          times.set(key, [
            ...times.get(key) ?? [],
            [end.wall - begin.wall, busiestThread(end, begin)],
          ]);
          sums.set(name, (sums.get(name) ?? new Set()).add(sum.match[1]));
        }
      }
    }
    for (const name of WORKLOADS) {
      const of = (index: 0 | 1): number[] =>
        targets.map((target) =>
          median(times.get(`${name} ${target}`)!.map((time) => time[index]))
        );
      const [wall, cpu] = [of(0), of(1)];
      const cells = targets.map((target, i) =>
        `${target} ${wall[i].toFixed(0)} (CPU ${cpu[i].toFixed(0)})`
      );
      const ratio = (wall[0] / wall[wall.length - 1]).toFixed(2);
      const alike = sums.get(name)!.size === 1 ? "" : "  RESULTS DIFFER";
      console.log(
        `${name.padEnd(9)} ${cells.join("  ")}  ratio ${ratio}${alike}`,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
