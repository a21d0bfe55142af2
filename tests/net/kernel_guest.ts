/**
 * The host's own kernel as the guest: in a network namespace of its own, with a
 * tap device whose frames come and go by a pipe.
 *
 * @module
 */

import type { NetBackend } from "../../core/backend/net.ts";
import { Capture } from "./judge.ts";

const SETUP = `exec 4<&0
ip link set lo up
ip tuntap add dev tap0 mode tap
"$1" tap0 <&4 &
tap=$!
until ip link show tap0 | grep -q LOWER_UP; do
  ip link set tap0 up
done
`;

const ADDRESS = `ip addr add 10.0.2.15/24 dev tap0
ip route add default via 10.0.2.2
`;

/**
 * Ends what carries the frames when nothing that the guest has sent last is
 * unanswered: connections that are ESTABLISHED, in FIN_WAIT1, CLOSE_WAIT,
 * LAST_ACK or CLOSING. The other side would wait for it for ever.
 */
const END = `for i in $(seq 200); do
  cat /proc/net/tcp /proc/net/tcp6 |
    grep -Eq ': [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ (01|04|08|09|0B) ' ||
    break
  sleep 0.05
done
kill $tap`;

/** Compile what carries the frames; undefined when that is not possible here. */
export async function buildTap(): Promise<string | undefined> {
  const path = await Deno.makeTempFile();
  const source = new URL("tap.c", import.meta.url).pathname;
  try {
    const built = await new Deno.Command("gcc", {
      args: ["-O2", "-o", path, source],
    }).output();
    const probe = built.success && await new Deno.Command("unshare", {
      args: ["-rn", "ip", "tuntap", "add", "dev", "tap0", "mode", "tap"],
    }).output();
    if (probe !== false && probe.success) return path;
  } catch {
    // gcc or unshare is missing.
  }
  await Deno.remove(path);
  return undefined;
}

/** Run a shell script as the guest; gives what it prints and all frames. */
export async function runGuest(
  tap: string,
  net: NetBackend,
  script: string,
  addressed = true,
): Promise<{ readonly output: string; readonly capture: Capture }> {
  const capture = new Capture();
  const log = await Deno.makeTempFile();
  const text = `${SETUP}${addressed ? ADDRESS : ""}
( ${script}
) </dev/null >"$2" 2>&1
${END}`;
  const child = new Deno.Command("unshare", {
    args: ["-rn", "sh", "-c", text, "guest", tap, log],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  net.attach({
    offload: false,
    receive(frame) {
      capture.add(frame);
      const message = new Uint8Array(frame.length + 2);
      message[0] = frame.length >> 8;
      message[1] = frame.length;
      message.set(frame, 2);
      writer.write(message).catch(() => {});
      return true;
    },
  });
  let bytes = new Uint8Array(0);
  for await (const chunk of child.stdout) {
    const more = new Uint8Array(bytes.length + chunk.length);
    more.set(bytes);
    more.set(chunk, bytes.length);
    bytes = more;
    while (bytes.length >= 2) {
      const end = 2 + (bytes[0] << 8 | bytes[1]);
      if (bytes.length < end) break;
      const frame = bytes.subarray(2, end);
      capture.add(frame);
      net.send(frame);
      bytes = bytes.subarray(end);
    }
  }
  await writer.close().catch(() => {});
  await child.status;
  const output = await Deno.readTextFile(log);
  await Deno.remove(log);
  return { output, capture };
}
