/**
 * A small initial RAM file system around a static busybox.
 *
 * @module
 */

import {
  characterDevice,
  type CpioEntry,
  directory,
  file,
  writeCpio,
} from "./cpio.ts";

/**
 * Mounts what a shell needs and starts one on the console. `setsid -c` makes
 * the console the shell's terminal, so that Ctrl-C works. When the shell ends
 * the machine is switched off.
 */
const INIT = `#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=linux
/bin/busybox mkdir -p /proc /sys /dev /tmp /root /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev 2>/dev/null
cd /root
echo
echo "Welcome to Linux in Rhea. poweroff -f or Ctrl-A x leaves."
setsid -c sh -i
poweroff -f
`;

/** The archive, not compressed; `more` comes behind what is always there. */
export function buildInitramfs(
  busybox: Uint8Array,
  more: readonly CpioEntry[] = [],
): Uint8Array<ArrayBuffer> {
  return writeCpio([
    directory("bin"),
    directory("dev"),
    directory("proc"),
    directory("sys"),
    directory("root", 0o700),
    directory("tmp", 0o1777),
    characterDevice("dev/console", 5, 1),
    characterDevice("dev/null", 1, 3, 0o666),
    characterDevice("dev/ttyS0", 4, 64),
    file("bin/busybox", busybox, 0o755),
    file("init", INIT, 0o755),
    ...more,
  ]);
}
