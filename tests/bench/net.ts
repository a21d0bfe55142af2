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
import { file } from "../../core/cli/cpio.ts";
import { NetPeer } from "./net_peer.ts";
import {
  benchmark,
  makeBoot,
  qemuCommand,
  rheaCommand,
  row,
  takeTurns,
} from "./turns.ts";

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
download)
  { wget -q -O - http://10.0.2.2:$2/ || echo "FAIL download" >/dev/console; } |
    tail -c 65536 | md5sum >/tmp/sum ;;
upload) dd if=/dev/zero bs=64k count=$(($3 * 16)) 2>/dev/null | nc 10.0.2.2 $2 >/tmp/sum ;;
esac
echo "END $1"
echo "SUM $(cat /tmp/sum)"
`;

async function main(folder: string): Promise<void> {
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
  const model = MODELS[args.model];
  if (model === undefined) throw new Error(`There is no model "${args.model}"`);
  const [drivers, qemu] = model;
  using peer = new NetPeer(Number(args.megabytes) * 1048576);
  const address = "ip addr add 10.0.2.15/24 dev eth0\nip link set eth0 up\n";
  const boot = await makeBoot(
    folder,
    drivers,
    (load) => `${load}\n${address}`,
    [file("bench/run.sh", RUN, 0o755)],
  );
  const workloads = new Map(WORKLOADS.map((name) => [
    name,
    `/bench/run.sh ${name} ${peer.port(name)} ${args.megabytes}`,
  ]));
  const samples = await takeTurns(
    Number(args.rounds),
    targets,
    workloads,
    (target) => {
      if (target === "tcg") {
        const device = ["-netdev", "user,id=n", "-device", `${qemu},netdev=n`];
        return qemuCommand(boot, device);
      }
      if (target !== "jit") throw new Error(`There is no target "${target}"`);
      return rheaCommand(boot, ["--nic", `user,model=${args.model}`], "-P=net");
    },
  );
  for (const [name, all] of samples) console.log(row(name, targets, all));
}

if (import.meta.main) await benchmark(main);
