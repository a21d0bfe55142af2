import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  describePlace,
  isOpenToOthers,
  listenAt,
  parseServerPlace,
  parseSocketPlace,
  PlaceOptionError,
  placePermissions,
  type SocketPlace,
} from "./socket_place.ts";

Deno.test("places: of TCP and of sockets with names", () => {
  const good: [string, SocketPlace, string][] = [
    ["tcp::99", { host: "127.0.0.1", port: 99 }, "127.0.0.1:99"],
    ["tcp:0.0.0.0:0", { host: "0.0.0.0", port: 0 }, "0.0.0.0:0"],
    ["tcp:[::1]:65535", { host: "::1", port: 65535 }, "[::1]:65535"],
    ["tcp:a.example:1", { host: "a.example", port: 1 }, "a.example:1"],
    ["unix:/a:b,c", { path: "/a:b,c" }, "/a:b,c"],
  ];
  for (const [text, place, description] of good) {
    assertEquals(parseSocketPlace(text), place);
    assertEquals(describePlace(place), description);
  }
  for (
    const bad of [
      ...["", "1234", "tcp:1234", "tcp::65536", "tcp::x", "tcp::-1"],
      ...["tcp:1:2:3", "tcp:::1:4", "tcp:[]:1", "tcp:[a:1", "unix:", "udp::1"],
    ]
  ) {
    assertEquals(parseSocketPlace(bad), undefined, bad);
  }
});

Deno.test("places: what QEMU says of a server behind them", () => {
  const place = { host: "127.0.0.1", port: 9 };
  const good = ["server=on,wait=off", "server,nowait", "nodelay", "pretty=off"];
  for (const options of good) {
    assertEquals(parseServerPlace(`tcp::9,${options}`), place);
  }
  assertEquals(parseServerPlace("tcp::9"), place);
  assertEquals(parseServerPlace("udp:9,server"), undefined);
  const bad = [
    ["server=off", '"server=off" cannot be, expected server=on or server'],
    ["wait=on", '"wait=on" cannot be, expected wait=off'],
    ["colour=red", 'there is no option "colour", expected server=on or'],
    ["__proto__=1", 'there is no option "__proto__"'],
    ["", 'there is no option ""'],
  ];
  for (const [option, message] of bad) {
    assertThrows(
      () => parseServerPlace(`tcp::9,${option}`),
      PlaceOptionError,
      message,
    );
  }
});

Deno.test("places: what they need and who reaches them", () => {
  assertEquals(placePermissions({ path: "/tmp/a:b" }), {
    read: ["/tmp/a:b"],
    write: ["/tmp/a:b"],
    net: ["unix:/tmp/a:b"],
  });
  assertEquals(placePermissions({ host: "::1", port: 9 }), {
    net: ["[::1]:9"],
  });
  for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) {
    assert(!isOpenToOthers({ host, port: 1 }), host);
  }
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "a.example"]) {
    assert(isOpenToOthers({ host, port: 1 }), host);
  }
  assert(!isOpenToOthers({ path: "/tmp/a" }));
});

Deno.test("places: only an abandoned socket is replaced", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/socket`;
    const first = await listenAt({ path });
    await assertRejects(() => listenAt({ path }), Deno.errors.AddrInUse);
    first.close();
    // Deno removes the file of a listener that it closes: a process that dies
    // leaves it.
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `Deno.listen({transport:"unix",path:"${path}"});Deno.exit(3)`,
      ],
    }).output();
    assertEquals(code, 3);
    assert((await Deno.lstat(path)).isSocket);
    (await listenAt({ path })).close();
    const file = `${folder}/file`;
    await Deno.writeTextFile(file, "mine");
    await assertRejects(() => listenAt({ path: file }), Deno.errors.AddrInUse);
    assertEquals(await Deno.readTextFile(file), "mine");
    await assertRejects(() => listenAt({ path: folder }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
