import { assertEquals, assertThrows } from "@std/assert";
import { formatAddress } from "./addresses.ts";
import {
  readConfig,
  type UserNetConfig,
  UserNetError,
  userNetPermissions,
} from "./config.ts";

const BASE: UserNetConfig = {
  net: "10.0.2.0/24",
  restrict: false,
  hostfwd: [],
  guestfwd: [],
};

Deno.test("addresses follow from the network", () => {
  const settings = readConfig({ ...BASE, net: "192.168.76.9/24" });
  const { gateway, dns, firstGuest } = settings;
  assertEquals([gateway, dns, firstGuest].map(formatAddress), [
    "192.168.76.2",
    "192.168.76.3",
    "192.168.76.15",
  ]);
});

Deno.test("forwards", () => {
  const { hostForwards, guestForwards } = readConfig({
    ...BASE,
    hostfwd: ["tcp::2222-:22", "udp:0.0.0.0:5353-10.0.2.16:53", ":80-:80"],
    guestfwd: ["tcp:10.0.2.100:80-example.org:8080"],
  });
  assertEquals(
    hostForwards.map(({ protocol, listen, guest, guestPort }) =>
      `${protocol} ${listen.hostname}:${listen.port} ` +
      `${formatAddress(guest)}:${guestPort}`
    ),
    [
      "tcp 127.0.0.1:2222 10.0.2.15:22",
      "udp 0.0.0.0:5353 10.0.2.16:53",
      "tcp 127.0.0.1:80 10.0.2.15:80",
    ],
  );
  assertEquals(guestForwards[0].target, {
    hostname: "example.org",
    port: 8080,
  });
});

Deno.test("what means nothing is an error that says so", () => {
  const wrong: Partial<UserNetConfig>[] = [
    { net: "10.0.2.0" },
    { net: "10.0.2.0/30" },
    { net: "10.0.2.256/24" },
    { host: "10.0.3.2" },
    { host: "10.0.2.255" },
    { dns: "10.0.2.2" },
    { hostfwd: ["tcp::22"] },
    { hostfwd: ["sctp::22-:22"] },
    { hostfwd: ["tcp::22-:0"] },
    { hostfwd: ["tcp::70000-:22"] },
    { hostfwd: ["tcp::22-10.1.2.3:22"] },
    { hostfwd: ["tcp::22-10.0.2.2:22"] },
    { guestfwd: ["tcp:10.0.2.100:80-:80"] },
    { guestfwd: ["tcp:10.0.2.15:80-a:80"] },
    { guestfwd: ["tcp::80-a:80"] },
  ];
  for (const config of wrong) {
    assertThrows(() => readConfig({ ...BASE, ...config }), UserNetError);
  }
});

Deno.test("permissions: all of IPv4, or what the forwards name", () => {
  assertEquals(userNetPermissions(BASE).net, ["0.0.0.0/0"]);
  assertEquals(userNetPermissions({ ...BASE, restrict: true }).net, []);
  assertEquals(
    userNetPermissions({
      ...BASE,
      restrict: true,
      hostfwd: ["tcp::2222-:22", "udp::5353-:53"],
      guestfwd: ["tcp:10.0.2.100:80-example.org:8080"],
    }).net,
    ["127.0.0.1:2222", "127.0.0.1:5353", "127.0.0.1", "example.org:8080"],
  );
});
