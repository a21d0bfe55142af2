import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { isOwnHost, isOwnOrigin, isToken, parseWeb } from "./admission.ts";
import { webFiles } from "./files.ts";
import { KEPT_BYTES, KeptOutput, type WebLine, WebLines } from "./line.ts";
import terminal from "./terminal.ts";
import {
  clientFrame,
  handshake,
  RawClient,
  TEST_CONFIG,
  type TestContext,
  testContext,
} from "./testing.ts";
import type { PageSocket } from "./socket.ts";
import { WebDisplay, WebDisplayError } from "./web.ts";
import plugin from "./web.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const CLOSE = 8;

interface Setup {
  readonly display: WebDisplay;
  readonly context: TestContext;
  readonly port: number;
  readonly line: WebLine;
  connect(): Promise<RawClient>;
}

/** A display with one serial line; everything is closed afterwards. */
async function withDisplay(
  use: (setup: Setup) => Promise<void>,
  config = TEST_CONFIG,
): Promise<void> {
  const context = testContext();
  const line = await terminal.create({}, { ...context, name: "serial0" });
  const display = await WebDisplay.open(config, context);
  const clients: RawClient[] = [];
  try {
    await use({
      display,
      context,
      port: display.port,
      line: line as WebLine,
      async connect() {
        const client = await RawClient.connect(display.port);
        clients.push(client);
        return client;
      },
    });
  } finally {
    for (const client of clients) client.close();
    await display.close();
    await line.close();
  }
}

/** The status of a raw request. */
async function ask(
  { connect }: Pick<Setup, "connect">,
  request: string,
): Promise<number> {
  const client = await connect();
  await client.send(request);
  return await client.status();
}

Deno.test("web: Host headers of this server and of others", () => {
  const own = { address: "127.0.0.1", hosts: ["vm.example"] };
  const any = { address: "0.0.0.0", hosts: [] };
  const v6 = { address: "::1", hosts: [] };
  for (
    const [header, config, expected] of [
      ["127.0.0.1:8080", own, true],
      ["localhost:8080", own, true],
      ["LOCALHOST:8080", own, true],
      ["vm.example:8080", own, true],
      ["[::1]:8080", v6, true],
      ["192.168.1.2:8080", any, true],
      ["[fe80::1]:8080", any, true],
      ["192.168.1.2:8080", own, false],
      ["127.0.0.1", own, false],
      ["127.0.0.1:8081", own, false],
      ["evil.example:8080", own, false],
      ["evil.example:8080", any, false],
      ["127.0.0.1.evil.example:8080", any, false],
      ["localhost:8080@evil.example", own, false],
      ["evil.example", any, false],
      ["", own, false],
      [null, own, false],
    ] as const
  ) {
    assertEquals(isOwnHost(header, config, 8080), expected, `${header}`);
  }
  assert(isOwnHost("localhost", own, 80));
});

Deno.test("web: only the page's own origin", () => {
  const host = "127.0.0.1:8080";
  assert(isOwnOrigin("http://127.0.0.1:8080", host));
  for (
    const origin of [
      null,
      "",
      "null",
      "http://127.0.0.1",
      "http://localhost:8080",
      "https://127.0.0.1:8080",
      "http://127.0.0.1:8080.evil.example",
    ]
  ) {
    assert(!isOwnOrigin(origin, host), `${origin}`);
  }
});

Deno.test("web: tokens", async () => {
  assert(await isToken("", ""));
  assert(await isToken("secret", "secret"));
  for (const wrong of ["", "secre", "secret ", "Secret", "x".repeat(1e6)]) {
    assert(!await isToken(wrong, "secret"));
  }
});

Deno.test("web: the short form", () => {
  assertEquals(parseWeb("8080"), { port: 8080 });
  assertEquals(parseWeb("0.0.0.0:80,token=a,b"), {
    address: "0.0.0.0",
    port: 80,
    token: "a,b",
  });
  assertEquals(parseWeb("[::1]:8080"), { address: "::1", port: 8080 });
  for (const wrong of ["", "x", "65536", "8080,", "8080,token=", ":8080"]) {
    assertThrows(() => parseWeb(wrong), TypeError, "is not PORT");
  }
});

Deno.test("web: what it needs", async () => {
  const needs = await plugin.permissions?.({ ...TEST_CONFIG, port: 8080 });
  assertEquals(needs?.net, ["127.0.0.1:8080"]);
  assertStringIncludes(needs?.read?.[0] ?? "", "novnc");
});

Deno.test("web: the page has all modules of noVNC that it may load", async () => {
  const files = await webFiles();
  const decoder = new TextDecoder();
  for (const [path, { body }] of files) {
    if (!path.startsWith("/novnc/")) continue;
    for (
      const [, specifier] of decoder.decode(body).matchAll(
        /\b(?:from|import)\s*\(?["'](\.[^"']+)["']/g,
      )
    ) {
      const { pathname } = new URL(specifier, `http://localhost${path}`);
      assert(files.has(pathname), `${path} imports ${specifier}`);
    }
  }
  assert(files.has("/novnc/core/decoders/zrle.js"));
  assert(files.has("/novnc/vendor/pako/lib/zlib/inflate.js"));
});

Deno.test("web: requests and their statuses", async () => {
  await withDisplay(async (setup) => {
    const { port } = setup;
    const host = `Host: 127.0.0.1:${port}\r\n`;
    const get = (path: string, more = host): string =>
      `GET ${path} HTTP/1.1\r\n${more}\r\n`;
    for (
      const [request, expected] of [
        [get("/"), 200],
        [get("/?query"), 200],
        [get("/page.js"), 200],
        [get("/novnc/core/rfb.js"), 200],
        [get("/../page.js"), 200],
        [`HEAD / HTTP/1.1\r\n${host}\r\n`, 200],
        [get("/favicon.ico"), 404],
        [get("/novnc/package.json"), 404],
        [get("/novnc/../../deno.json"), 404],
        [get("/novnc/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), 404],
        [get("/novnc/..%2f..%2f..%2fetc%2fpasswd"), 404],
        [get("//etc/passwd"), 404],
        [get("/constructor"), 404],
        [get("/serial/serial9"), 404],
        [get("/serial/%ff"), 404],
        [get("/control"), 426],
        [get("/serial/serial0"), 426],
        [get("/", "Host: evil.example\r\n"), 403],
        [get("/", `Host: evil.example:${port}\r\n`), 403],
        [get(`http://evil.example/`, `Host: evil.example\r\n`), 403],
        [get(`http://evil.example:${port}/`), 403],
        [get(`http://localhost:${port}/`), 200],
        [get("/page.js", "Host: \r\n"), 403],
        [`POST / HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`, 405],
        [`TRACE / HTTP/1.1\r\n${host}\r\n`, 405],
        ["GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400],
        ["GET / HTTP/9.9\r\n\r\n", 400],
        ["\x00\x01\x02\r\n\r\n", 400],
        ["GET \x01 HTTP/1.1\r\n\r\n", 400],
      ] as const
    ) {
      assertEquals(await ask(setup, request), expected, request.slice(0, 90));
    }
    // Deno's server has limits for these, and either status.
    for (
      const headers of [
        `X: ${"x".repeat(2 << 20)}\r\n`,
        "X: x\r\n".repeat(10_000),
      ]
    ) {
      const status = await ask(setup, get("/", host + headers));
      assert(status === 400 || status === 431, `${status}`);
    }
    assertEquals(await ask(setup, get("/")), 200);
  });
});

Deno.test("web: only the page's own handshake opens a socket", async () => {
  await withDisplay(async (setup) => {
    const { port } = setup;
    for (
      const [changes, expected] of [
        [{}, 101],
        [{
          Host: `localhost:${port}`,
          Origin: `http://localhost:${port}`,
        }, 101],
        [{ Origin: undefined }, 403],
        [{ Origin: "null" }, 403],
        [{ Origin: "http://evil.example" }, 403],
        [{ Origin: `http://localhost:${port}` }, 403],
        [{ Host: "evil.example", Origin: "http://evil.example" }, 403],
        [{ Upgrade: undefined }, 426],
        [{ Upgrade: "h2c" }, 426],
        [{ "Sec-WebSocket-Key": undefined }, 400],
        [{ Connection: "close" }, 400],
      ] as const
    ) {
      for (const path of ["/screen", "/control", "/serial/serial0"]) {
        const status = await ask(setup, handshake(path, port, changes));
        assertEquals(status, expected, `${path} ${JSON.stringify(changes)}`);
      }
    }
  });
});

Deno.test("web: a token guards the sockets", async () => {
  await withDisplay(async (setup) => {
    const { port, context } = setup;
    const open = (query: string): Promise<number> =>
      ask(setup, handshake(`/control${query}`, port));
    assertEquals(await open(""), 401);
    assertEquals(await open("?token=wrong"), 401);
    assertEquals(await open("?token=s%26e"), 101);
    assert(!context.warnings.join().includes("s&e"));
  }, { ...TEST_CONFIG, token: "s&e" });
});

Deno.test("web: buttons", async () => {
  await withDisplay(async ({ connect, port, context }) => {
    const client = await connect();
    await client.send(handshake("/control", port));
    assertEquals(await client.status(), 101);
    const hello = await client.frame();
    assertEquals(JSON.parse(decode(hello!.payload)), { serial: ["serial0"] });
    await client.send(clientFrame(1, encode("reset")));
    await client.send(clientFrame(1, encode("power")));
    await client.send(clientFrame(1, encode("self-destruct")));
    // What is none of the buttons ends it.
    assertEquals((await client.frame())?.opcode, CLOSE);
    assertEquals(context.pressed, ["reset", "power"]);
  });
});

Deno.test("web: a serial line in both directions, and what was kept", async () => {
  await withDisplay(async ({ connect, port, line }) => {
    line.write(encode("before "));
    const open = async (): Promise<RawClient> => {
      const client = await connect();
      await client.send(handshake("/serial/serial0", port));
      assertEquals(await client.status(), 101);
      return client;
    };
    const client = await open();
    assertEquals(decode((await client.frame())!.payload), "before ");
    line.write(encode("after"));
    assertEquals(decode((await client.frame())!.payload), "after");
    const second = await open();
    assertEquals(decode((await second.frame())!.payload), "before after");
    // What is typed before the device listens is kept.
    await client.send(clientFrame(1, encode("hé")));
    await client.send(clientFrame(2, encode("!")));
    await client.send(clientFrame(9, encode("ping")));
    assertEquals((await client.frame())?.opcode, 10);
    let typed = "";
    const all = Promise.withResolvers<void>();
    line.onInput((bytes) => {
      typed += decode(bytes);
      if (typed.endsWith("!")) all.resolve();
    });
    await all.promise;
    assertEquals(typed, "hé!");
  });
});

Deno.test("web: Ctrl-A c leads to the monitor and back", async () => {
  for (
    const [config, hasMonitor] of [
      [TEST_CONFIG, true],
      // Whoever reaches that may not write this host's files.
      [{ ...TEST_CONFIG, address: "0.0.0.0" }, false],
      [{ ...TEST_CONFIG, address: "0.0.0.0", token: "t" }, true],
    ] as const
  ) {
    const context = testContext("serial0");
    const asked: string[] = [];
    const typed: string[] = [];
    const line = await terminal.create({}, {
      ...context,
      monitor: (console) =>
        Promise.resolve({
          input: (bytes: Uint8Array) => void asked.push(decode(bytes)),
          show: () => console.write("(rhea) "),
          erased: "<",
          drawn: ">",
          done: () => Promise.resolve(),
        }),
    }) as WebLine;
    line.onInput((bytes) => void typed.push(decode(bytes)));
    const display = await WebDisplay.open(config, context);
    const shown: string[] = [];
    line.attach({
      send: (bytes: Uint8Array) => void shown.push(decode(bytes)),
      full: false,
    } as unknown as PageSocket);
    line.type(encode("a\x01cinfo\r\x01\x01"));
    for (let turns = 0; turns < 20; turns++) await Promise.resolve();
    line.write(encode("guest\n"));
    line.type(encode("\x01cb"));
    for (let turns = 0; turns < 20; turns++) await Promise.resolve();
    assertEquals(
      [typed.join(""), asked.join(""), shown.join("")],
      hasMonitor
        ? ["ab", "info\r\x01", "(rhea) <guest\n>\r\n"]
        : ["a\x01cinfo\r\x01\x01\x01cb", "", "guest\n"],
    );
    await display.close();
    await line.close();
  }
});

Deno.test("web: viewers of the screen are told of", async () => {
  await withDisplay(async ({ connect, port, context }) => {
    const client = await connect();
    await client.send(handshake("/screen", port, {}));
    assertEquals(await client.status(), 101);
    assertEquals(decode((await client.frame())!.payload), "RFB 003.008\n");
    await client.send(clientFrame(2, encode("RFB 003.008\n")));
    await client.frame();
    await client.send(clientFrame(2, new Uint8Array([1])));
    await client.frame();
    await client.send(clientFrame(2, new Uint8Array([1])));
    await client.frame();
    client.close();
    while (context.viewed.length < 3) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assertEquals(context.viewed, [
      "connected true true",
      "initialized true true",
      "disconnected true true",
    ]);
  });
});

Deno.test("web: a line that nothing shows says so", async () => {
  const context = testContext("serial0");
  const line = await terminal.create({}, context);
  line.write(encode("a"));
  line.write(encode("b"));
  assertEquals(context.warnings.length, 1);
  assertStringIncludes(context.warnings[0], "--display web");
});

Deno.test("web: kept output is the last of it, from the start of a line", () => {
  const kept = new KeptOutput();
  let all = "";
  for (let n = 0; n < 20_000; n++) {
    const text = `line ${n}\n`.repeat(1 + n % 3);
    kept.add(encode(text));
    all += text;
    if (n === 100) assertEquals(decode(kept.bytes()), all);
  }
  const bytes = kept.bytes();
  assert(bytes.length > KEPT_BYTES - 20 && bytes.length <= KEPT_BYTES);
  assert(all.endsWith("\n" + decode(bytes)));
  kept.add(new Uint8Array(3 * KEPT_BYTES).fill(0x78));
  assertEquals(kept.bytes().length, KEPT_BYTES);
});

Deno.test("web: typing that the guest does not take is bounded", async () => {
  const lines = new WebLines();
  const line = await terminal.create(
    {},
    { ...testContext(), shared: <T>() => lines as T },
  ) as WebLine;
  let taken = 0;
  let calls = 0;
  const first = Promise.withResolvers<void>();
  line.onInput((bytes) => {
    taken += bytes.length;
    calls++;
    return first.promise;
  });
  for (let n = 0; n < 1000; n++) {
    line.type(new Uint8Array(1000));
    // Empty messages have a length of nothing, but wait as others do.
    line.type(new Uint8Array(0));
  }
  first.resolve();
  // Whatever was accepted has been taken some turns later.
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([taken, calls], [65_000, 65]);
  line.type(new Uint8Array(1));
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(taken, 65_001);
});

Deno.test("web: a page that reads slowly gets everything, and the guest waits", async () => {
  await withDisplay(async ({ connect, port, line }) => {
    const client = await connect();
    await client.send(handshake("/serial/serial0", port));
    assertEquals(await client.status(), 101);
    const total = 24 << 20;
    let held = 0;
    const writing = (async () => {
      for (let at = 0; at < total; at += 32768) {
        const piece = new Uint32Array(8192).map((_, n) => at + n * 4);
        const room = line.write(new Uint8Array(piece.buffer));
        if (room !== undefined) held++;
        await room;
      }
    })();
    for (let at = 0; at < total;) {
      const { payload } = (await client.frame())!;
      const words = new Uint32Array(payload.buffer);
      for (let n = 0; n < words.length; n++) {
        if (words[n] !== at + n * 4) assertEquals(words[n], at + n * 4);
      }
      at += payload.length;
      await new Promise((resolve) => setTimeout(resolve));
    }
    await writing;
    assert(held > 0);
  });
});

Deno.test("web: a page that reads nothing holds the guest, not memory, and is hung up", async () => {
  await withDisplay(async ({ connect, port, line }) => {
    const client = await connect();
    await client.send(handshake("/serial/serial0", port));
    assertEquals(await client.status(), 101);
    const piece = new Uint8Array(65536).fill(0x61);
    let written = 0;
    // What the host's sockets take is some MiB; then the line says to wait.
    let held: void | Promise<void> = undefined;
    while (held === undefined) {
      held = line.write(piece);
      written += piece.length;
      if (written % (1 << 20) === 0) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assert(written < 64 << 20, "it never says to wait");
    }
    await held;
    // Either there was room after all, or the page is gone: both let go.
    for (let n = 0; n < 400; n++) await line.write(piece);
    assertEquals(line.write(piece), undefined);
  });
});

/** Speak RFB until the screen's size is known; asks for raw pixels. */
async function beginRfb(client: RawClient, port: number): Promise<void> {
  await client.send(handshake("/screen", port));
  assertEquals(await client.status(), 101);
  let received = 0;
  const expect = async (bytes: number): Promise<void> => {
    for (const end = received + bytes; received < end;) {
      received += (await client.frame())!.payload.length;
    }
  };
  const say = (...bytes: number[]): Promise<boolean> =>
    client.send(clientFrame(2, Uint8Array.from(bytes)));
  await expect("RFB 003.008\n".length);
  await client.send(clientFrame(1, encode("RFB 003.008\n")));
  await expect(2);
  await say(1);
  await expect(4);
  await say(1);
  await expect(24 + "Rhea".length);
  await say(2, 0, 0, 1, 0, 0, 0, 0);
}

/** FramebufferUpdateRequest for all of a screen of 640x400. */
const WHOLE_SCREEN = Uint8Array.of(3, 0, 0, 0, 0, 0, 0x02, 0x80, 0x01, 0x90);

Deno.test("web: a page that asks for pictures and reads none is hung up", async () => {
  await withDisplay(async ({ connect, display, port }) => {
    let looks = 0;
    const pixels = new Uint8Array(640 * 400 * 4);
    const size = { width: 640, height: 400 };
    display.picture({
      look() {
        looks++;
        const changed = [{ x: 0, y: 0, ...size }];
        return { ...size, pixels, generation: looks, changed };
      },
      watchPicture() {},
    });
    const client = await connect();
    await beginRfb(client, port);
    assertEquals(display.viewers, 1);
    while (display.viewers > 0) {
      await client.send(clientFrame(2, WHOLE_SCREEN));
      await new Promise((resolve) => setTimeout(resolve, 1));
      // 1 MB each: what the host's sockets take, and no more.
      assert(looks < 200, "it sends what is not read");
    }
  });
});

Deno.test("web: RFB messages that are none", async () => {
  await withDisplay(async ({ connect, display, port, context }) => {
    const before = context.warnings.length;
    for (
      const bytes of [
        encode("HTTP/1.1 200"),
        encode("RFB 003.008\n\x07"),
        encode("RFB 003.008\n\x01\x01\xff"),
        // An unknown message, too many encodings, a text without end.
        Uint8Array.of(...encode("RFB 003.008\n"), 1, 1, 99),
        Uint8Array.of(...encode("RFB 003.008\n"), 1, 1, 2, 0, 0xff, 0xff),
        Uint8Array.of(
          ...encode("RFB 003.008\n"),
          ...[1, 1, 6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff],
        ),
      ]
    ) {
      const client = await connect();
      await client.send(handshake("/screen", port));
      assertEquals(await client.status(), 101);
      await client.send(clientFrame(2, bytes));
      // Byte by byte is the same as at once.
      for (const byte of bytes) {
        await client.send(clientFrame(2, Uint8Array.of(byte)));
      }
      await client.send(clientFrame(CLOSE, new Uint8Array(0)));
      await client.ended();
    }
    while (display.viewers > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(context.warnings.slice(before), []);
  });
});

Deno.test("web: frames that are none, and messages that are too long", async () => {
  await withDisplay(async ({ connect, port, context }) => {
    const frames: Uint8Array[] = [
      clientFrame(2, new Uint8Array(70_000)),
      clientFrame(1, new Uint8Array(100_000).fill(0x61)),
      clientFrame(1, Uint8Array.of(0xff, 0xfe)),
      // Reserved opcodes and bits, no mask, a fragmented and a long ping.
      Uint8Array.of(0x83, 0x80, 0, 0, 0, 0),
      Uint8Array.of(0xf2, 0x80, 0, 0, 0, 0),
      Uint8Array.of(0x82, 0x01, 0),
      Uint8Array.of(0x09, 0x80, 0, 0, 0, 0),
      Uint8Array.of(0x89, 0xfe, 0, 200, 0, 0, 0, 0),
      // A continuation of nothing, and 2^63 - 1 bytes.
      Uint8Array.of(0x80, 0x80, 0, 0, 0, 0),
      Uint8Array.of(0x82, 0xff, 0x7f, ...Array(7).fill(0xff), 0, 0, 0, 0),
      Uint8Array.of(0x88, 0x81, 0, 0, 0, 0, 1),
    ];
    for (const frame of frames) {
      const client = await connect();
      await client.send(handshake("/serial/serial0", port));
      assertEquals(await client.status(), 101);
      await client.send(frame);
      // A close frame or none, and it hangs up when we answer.
      await client.send(clientFrame(CLOSE, new Uint8Array(0)));
      await client.ended();
    }
    assertEquals(context.warnings.length, 1, context.warnings.join());
    // It still works.
    const client = await connect();
    await client.send(handshake("/control", port));
    assertEquals(await client.status(), 101);
  });
});

Deno.test("web: random bytes instead of HTTP and instead of frames", async () => {
  await withDisplay(async (setup) => {
    const { connect, port } = setup;
    let seed = 1;
    const random = (): number => {
      seed = Math.imul(seed, 1664525) + 1013904223 | 0;
      return seed >>> 8;
    };
    const noise = (length: number): Uint8Array =>
      Uint8Array.from({ length }, () => random());
    const templates = ["GET / HTTP/1.1\r\n", handshake("/control", port)];
    for (let n = 0; n < 150; n++) {
      const client = await connect();
      const bytes = encode(templates[n % 2]);
      // A handshake with some bytes changed.
      for (let k = 0; k < n % 7; k++) {
        bytes[random() % bytes.length] = random();
      }
      await client.send(bytes);
      await client.send(noise(random() % 2000));
      client.close();
    }
    for (let n = 0; n < 150; n++) {
      const client = await connect();
      const path = ["/control", "/serial/serial0", "/screen"][n % 3];
      await client.send(handshake(path, port));
      assertEquals(await client.status(), 101);
      await client.send(noise(random() % 4000));
      client.close();
    }
    const get = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
    assertEquals(await ask(setup, get), 200);
  });
});

Deno.test("web: sockets are counted", async () => {
  await withDisplay(async (setup) => {
    const { connect, port } = setup;
    const clients: RawClient[] = [];
    for (let n = 0; n < 64; n++) {
      const client = await connect();
      await client.send(handshake("/serial/serial0", port));
      assertEquals(await client.status(), 101);
      clients.push(client);
    }
    assertEquals(await ask(setup, handshake("/control", port)), 503);
    await clients[0].send(clientFrame(CLOSE, new Uint8Array(0)));
    await clients[0].ended();
    assertEquals(await ask(setup, handshake("/control", port)), 101);
  });
});

Deno.test("web: a port that is taken", async () => {
  await withDisplay(async ({ port }) => {
    await assertRejects(
      () => WebDisplay.open({ ...TEST_CONFIG, port }, testContext()),
      WebDisplayError,
      `Cannot listen on 127.0.0.1:${port}`,
    );
  });
});
