/**
 * Commands about what is as it is for as long as the machine runs: no hot plug,
 * no ballooning, no passwords. They are refused in QEMU's words.
 *
 * @module
 */

import {
  action,
  type Command,
  type Monitor,
  query,
  withOthers,
} from "../command.ts";
import { GenericError, noDevice, QmpError } from "../error.ts";
import {
  bool,
  int,
  type Member,
  oneOf,
  open,
  optional,
  str,
  struct,
  type Type,
} from "../types.ts";

const DisplayProtocol = oneOf("DisplayProtocol", ["vnc", "spice"]);

const ChardevKind = oneOf("ChardevBackendKind", [
  "file",
  "serial",
  "parallel",
  "pipe",
  "socket",
  "udp",
  "pty",
  "null",
  "mux",
  "msmouse",
  "wctablet",
  "braille",
  "testdev",
  "stdio",
  "console",
  "spicevmc",
  "spiceport",
  "qemu-vdagent",
  "dbus",
  "vc",
  "ringbuf",
  "memory",
]);

/** QEMU's types of objects that a user adds. */
const ObjectType = oneOf("ObjectType", [
  "authz-list",
  "authz-listfile",
  "authz-pam",
  "authz-simple",
  "can-bus",
  "can-host-socketcan",
  "colo-compare",
  "cryptodev-backend",
  "cryptodev-backend-builtin",
  "cryptodev-backend-lkcf",
  "cryptodev-vhost-user",
  "dbus-vmstate",
  "filter-buffer",
  "filter-dump",
  "filter-mirror",
  "filter-redirector",
  "filter-replay",
  "filter-rewriter",
  "input-barrier",
  "input-linux",
  "iothread",
  "main-loop",
  "memory-backend-epc",
  "memory-backend-file",
  "memory-backend-memfd",
  "memory-backend-ram",
  "pef-guest",
  "pr-manager-helper",
  "qtest",
  "rng-builtin",
  "rng-egd",
  "rng-random",
  "secret",
  "secret_keyring",
  "sev-guest",
  "thread-context",
  "s390-pv-guest",
  "throttle-group",
  "tls-creds-anon",
  "tls-creds-psk",
  "tls-creds-x509",
  "tls-cipher-suites",
  "x-remote-object",
  "x-vfio-user-server",
]);

function noFile(name: string, end: string): GenericError {
  return new GenericError(`File descriptor named '${name}' ${end}`);
}

/** Commands about a block job: there is none. */
function noJob(
  command: string,
  members: Readonly<Record<string, Type | Member>> = {},
): Command {
  return action(command, { device: str, ...members }, (_monitor, args) => {
    throw new QmpError(
      "DeviceNotActive",
      `Block job '${(args as { device: string }).device}' not found`,
    );
  });
}

function noPassword(): never {
  throw new GenericError("Could not set password");
}

/** There is no balloon. */
export function noBalloon(): never {
  throw new QmpError(
    "DeviceNotActive",
    "No balloon device has been activated",
  );
}

function checkChardev({ machine: { plan } }: Monitor, id: string): void {
  const found = plan.backends.some(({ name, plugin }) =>
    plugin.type === "char" && name === id
  );
  if (!found) throw new GenericError(`Chardev '${id}' not found`);
}

function checkDriver(
  { parts, machine: { plan } }: Monitor,
  name: string,
): void {
  const isUsed = plan.devices.some(({ plugin }) => plugin.name === name);
  if (isUsed || Object.hasOwn(parts.options.plugins.device ?? {}, name)) return;
  throw new GenericError(`'${name}' is not a valid device model name`);
}

/** The commands. */
export const REFUSALS: readonly Command[] = [
  action("balloon", { value: int }, noBalloon),
  // (What the driver takes besides is nobody's business then.)
  withOthers(action(
    "device_add",
    { driver: str, bus: optional(str), id: optional(str) },
    (monitor, { driver, bus }) => {
      checkDriver(monitor, driver);
      const { plan } = monitor.machine;
      if (bus !== undefined && !plan.devices.some(({ name }) => name === bus)) {
        throw new GenericError(`Bus '${bus}' not found`);
      }
      throw new GenericError(
        `Bus '${bus ?? "main-system-bus"}' does not support hotplugging`,
      );
    },
  )),
  action("device_del", { id: str }, ({ machine: { plan } }, { id }) => {
    const name = id.replace(/^\/machine\/peripheral\//, "");
    const found = plan.devices.find((device) => device.name === name);
    if (found === undefined) throw noDevice(id);
    throw new GenericError(
      `Device '${found.plugin.name}' does not support hotplugging`,
    );
  }),
  withOthers(action(
    "object-add",
    { "qom-type": ObjectType, id: str },
    (_monitor, { "qom-type": type }) => {
      throw new GenericError(`invalid object type: ${type}`);
    },
  )),
  action("object-del", { id: str }, (_monitor, { id }) => {
    throw new GenericError(`object '${id}' not found`);
  }),
  action(
    "chardev-add",
    { id: str, backend: open(struct("ChardevBackend", { type: ChardevKind })) },
    ({ machine: { plan } }, { id }) => {
      if (plan.backends.some(({ name }) => name === id)) {
        throw new GenericError(`Chardev with id '${id}' already exists`);
      }
      throw new GenericError(
        "Character devices are added by the machine's definition, or by " +
          "--serial: no device could use another",
      );
    },
  ),
  action("chardev-remove", { id: str }, (monitor, { id }) => {
    checkChardev(monitor, id);
    throw new GenericError(`Chardev '${id}' is busy`);
  }),
  action(
    "add_client",
    {
      protocol: str,
      fdname: str,
      skipauth: optional(bool),
      tls: optional(bool),
    },
    (_monitor, { fdname }) => {
      throw noFile(fdname, "has not been found");
    },
  ),
  action("getfd", { fdname: str }, () => {
    throw new GenericError("No file descriptor supplied via SCM_RIGHTS");
  }),
  action("closefd", { fdname: str }, (_monitor, { fdname }) => {
    throw noFile(fdname, "not found");
  }),
  query(
    "add-fd",
    { "fdset-id": optional(int), opaque: optional(str) },
    struct("AddfdInfo", { "fdset-id": int, fd: int }),
    () => {
      throw new GenericError("No file descriptor supplied via SCM_RIGHTS");
    },
  ),
  action(
    "remove-fd",
    { "fdset-id": int, fd: optional(int) },
    (_monitor, { "fdset-id": set, fd }) => {
      const what = fd === undefined
        ? `fdset-id:${set}`
        : `fdset-id:${set}, fd:${fd}`;
      throw noFile(what, "not found");
    },
  ),
  action("change-vnc-password", { password: str }, noPassword),
  withOthers(action(
    "set_password",
    {
      protocol: DisplayProtocol,
      password: str,
      connected: optional(
        oneOf("SetPasswordAction", ["keep", "fail", "disconnect"]),
      ),
    },
    noPassword,
  )),
  withOthers(
    action("expire_password", { protocol: DisplayProtocol, time: str }, () => {
      throw new GenericError("Could not set password expire time");
    }),
  ),
  noJob("block-job-cancel", { force: optional(bool) }),
  noJob("block-job-pause"),
  noJob("block-job-resume"),
  noJob("block-job-complete"),
  noJob("block-job-set-speed", { speed: int }),
];
