/**
 * The `user` network backend: a network of the guest's own behind which the
 * host's is, without privileges, as QEMU's `-netdev user`.
 *
 * @module
 */

import type { NetPlugin } from "../../../core/machine/plugin.ts";
import { HOST_CLOCK } from "./clock.ts";
import {
  readConfig,
  USER_NET_SCHEMA,
  type UserNetConfig,
  UserNetError,
  userNetPermissions,
} from "./config.ts";
import { DENO_NETWORK } from "./host.ts";
import { UserNet } from "./user_net.ts";

/** The `user` plugin. */
const plugin: NetPlugin<UserNetConfig> = {
  type: "net",
  name: "user",
  version: "1.0.0",
  description: "A network with DHCP, DNS and the host's network behind it",
  config: USER_NET_SCHEMA,
  check(config) {
    try {
      readConfig(config);
      return [];
    } catch (error) {
      if (error instanceof UserNetError) return [error.message];
      throw error;
    }
  },
  permissions: userNetPermissions,
  create: (config, context) =>
    UserNet.open(readConfig(config), {
      host: DENO_NETWORK,
      clock: HOST_CLOCK,
      refused: (target) =>
        context.log.guest(
          "no permission",
          `Deno's permissions do not allow the guest ${target} (--allow-net)`,
        ),
    }),
};
export default plugin;
