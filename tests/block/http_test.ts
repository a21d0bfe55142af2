/** Images on a web server: right servers, and servers that are wrong. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import { BlockModel } from "../../core/backend/block_contract.ts";
import http from "../../plugins/block/http.ts";
import {
  HttpStore,
  type HttpStoreOptions,
} from "../../plugins/block/http_store.ts";
import image from "../../plugins/block/image.ts";
import { oracleTest, qemuImg, qemuIo, withFolder } from "./oracle.ts";

const SIZE = 1_500_000;
const BYTES = new BlockModel(new Uint8Array(1), 3).random(SIZE).slice();
const CONTEXT = { name: "test", log: { guest() {}, warn() {} }, quit() {} };
const QUICK = { retries: 2, delay: 1 };

type Answer = (
  request: Request,
  count: number,
) => Response | Promise<Response> | undefined;

/** A range of bytes as a server answers it. */
function ranged(request: Request, bytes = BYTES): Response {
  const [from, to] = /^bytes=(\d+)-(\d+)$/
    .exec(request.headers.get("range") ?? "")!.slice(1).map(Number);
  const end = Math.min(to + 1, bytes.length);
  return new Response(bytes.slice(from, end), {
    status: 206,
    headers: {
      "content-range": `bytes ${from}-${end - 1}/${bytes.length}`,
      "etag": '"1"',
    },
  });
}

/** The answer, with other headers or another status. */
async function changed(
  response: Response,
  headers: Record<string, string>,
  status = response.status,
): Promise<Response> {
  const all = new Headers(response.headers);
  for (const [name, value] of Object.entries(headers)) all.set(name, value);
  return new Response(await response.bytes(), { status, headers: all });
}

/** Run with a server; an answer that is undefined is the right one. */
async function serve(
  answer: Answer,
  test: (url: string, requests: Request[]) => Promise<void>,
): Promise<void> {
  const requests: Request[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      requests.push(request);
      return answer(request, requests.length) ?? ranged(request);
    },
  );
  try {
    await test(`http://127.0.0.1:${server.addr.port}/disk`, requests);
  } finally {
    await server.shutdown();
  }
}

function right(): undefined {}

async function refuses(
  answer: Answer,
  message: string,
  options: HttpStoreOptions = QUICK,
): Promise<void> {
  await serve(answer, async (url) => {
    const error = await assertRejects(
      async () => {
        const store = await HttpStore.open(url, options);
        await store.read(1_000_000, new Uint8Array(10));
      },
      BlockError,
      message,
    );
    assertEquals(error.kind, "io");
    assert(error.message.includes(url), error.message);
  });
}

Deno.test("http: it reads what the server has", () =>
  serve(right, async (url) => {
    for (const cacheBytes of [0, 64 << 20]) {
      const store = await HttpStore.open(url, { cacheBytes });
      assertEquals(store.size, SIZE);
      const random = new BlockModel(BYTES, 1);
      for (let i = 0; i < 60; i++) {
        const { offset, length } = random.range(300_000);
        const bytes = new Uint8Array(length).fill(1);
        await store.read(offset, bytes);
        random.compare(bytes, offset);
      }
      const all = new Uint8Array(SIZE + 100).fill(1);
      await store.read(0, all);
      assertEquals(all.subarray(0, SIZE), BYTES);
      assert(all.subarray(SIZE).every((byte) => byte === 0));
      await store.close();
    }
  }));

Deno.test("http: reads that follow each other take few requests", () =>
  serve(right, async (url, requests) => {
    const store = await HttpStore.open(url);
    const part = new Uint8Array(4096);
    for (let at = 0; at < SIZE; at += part.length) await store.read(at, part);
    // 23 chunks of 64 KiB; ever more of them at once.
    assert(requests.length <= 7, `${requests.length} requests`);
    // All of it is kept; reads at once ask once.
    const before = requests.length;
    await store.read(0, new Uint8Array(SIZE));
    assertEquals(requests.length, before);
    await store.close();
    const other = await HttpStore.open(url);
    requests.length = 0;
    await Promise.all(
      [1, 2, 3].map((i) => other.read(700_000 + i, new Uint8Array(10))),
    );
    assertEquals(requests.length, 1);
    await other.close();
  }));

Deno.test("http: what it keeps is bounded", () =>
  serve(right, async (url, requests) => {
    const large = 8 << 20;
    await serve(
      (request) => ranged(request, new Uint8Array(large)),
      async (url, requests) => {
        const store = await HttpStore.open(url, { cacheBytes: 4 << 20 });
        await store.read(0, new Uint8Array(large));
        const before = requests.length;
        await store.read(0, new Uint8Array(large));
        // Half of it at least has gone, a MiB comes at a time.
        assert(requests.length >= before + 4, `${requests.length - before}`);
        await store.close();
      },
    );
    // Here all of it is kept.
    const store = await HttpStore.open(url, { cacheBytes: 4 << 20 });
    await store.read(0, new Uint8Array(SIZE));
    const before = requests.length;
    await store.read(0, new Uint8Array(SIZE));
    assertEquals(requests.length, before);
    await store.close();
  }));

Deno.test("http: a server that fails now and then", () => {
  const attempts = new Map<string, number>();
  return serve((request) => {
    const range = request.headers.get("range")!;
    const attempt = (attempts.get(range) ?? 0) + 1;
    attempts.set(range, attempt);
    if (attempt === 1) return new Response("busy", { status: 503 });
    if (attempt === 2) {
      const whole = ranged(request);
      // It breaks off.
      const half = new ReadableStream<Uint8Array>({
        async start(controller) {
          const bytes = await whole.bytes();
          controller.enqueue(bytes.subarray(0, bytes.length / 2));
          controller.close();
        },
      });
      return new Response(half, { status: 206, headers: whole.headers });
    }
    return undefined;
  }, async (url) => {
    const store = await HttpStore.open(url, QUICK);
    const bytes = new Uint8Array(SIZE);
    await store.read(0, bytes);
    assertEquals(bytes, BYTES);
    await store.close();
  });
});

Deno.test("http: a failure is told, and the next read asks again", () => {
  let broken = false;
  return serve(
    () => broken ? new Response("gone", { status: 500 }) : undefined,
    async (url) => {
      const store = await HttpStore.open(url, QUICK);
      broken = true;
      const bytes = new Uint8Array(10);
      await assertRejects(
        () => store.read(1_000_000, bytes),
        BlockError,
        "status 500 (3 attempts)",
      );
      broken = false;
      await store.read(1_000_000, bytes);
      assertEquals(bytes, BYTES.slice(1_000_000, 1_000_010));
      await store.close();
    },
  );
});

const WRONG: [string, string, Answer][] = [
  ["there is nothing", "status 404", () => new Response("", { status: 404 })],
  [
    "it is forbidden",
    "status 403",
    () => new Response("", { status: 403 }),
  ],
  ["there are no ranges", "gives no ranges", () => new Response(BYTES)],
  [
    "another range comes",
    "expected 0 to 65535",
    (r) => changed(ranged(r), { "content-range": `bytes 1-65536/${SIZE}` }),
  ],
  [
    "a shorter range comes",
    "expected 0 to 65535",
    (r) => changed(ranged(r), { "content-range": `bytes 0-9/${SIZE}` }),
  ],
  [
    "the range is none",
    "Content-Range",
    (r) => changed(ranged(r), { "content-range": "bytes 0-x/9" }),
  ],
  [
    "the size is absurd",
    "its size",
    (r) =>
      changed(ranged(r), { "content-range": `bytes 0-9/${"9".repeat(20)}` }),
  ],
  [
    "less comes than is said",
    "of 65536 bytes came",
    async (r) =>
      new Response((await ranged(r).bytes()).slice(0, 50), {
        status: 206,
        headers: ranged(r).headers,
      }),
  ],
  [
    "more comes than is said",
    "more than 65536 bytes came",
    (r) =>
      new Response(BYTES.slice(0, 70_000), {
        status: 206,
        headers: ranged(r).headers,
      }),
  ],
  [
    "it is encoded",
    "encodes it as br",
    (r) => changed(ranged(r), { "content-encoding": "br" }),
  ],
  [
    "the size is nowhere",
    "does not say its size",
    (r) =>
      r.method === "HEAD"
        ? new Response(null, { status: 405 })
        : changed(ranged(r), { "content-range": "bytes 0-65535/*" }),
  ],
  [
    "its ETag changes",
    "has changed on the server",
    (r, n) => n > 1 ? changed(ranged(r), { etag: '"2"' }) : undefined,
  ],
  [
    "its date changes",
    "has changed on the server",
    (r, n) => changed(ranged(r), { "last-modified": `then ${n}` }),
  ],
  [
    "its size changes",
    "has changed on the server",
    (r, n) => n > 1 ? ranged(r, BYTES.slice(0, 1_200_000)) : undefined,
  ],
  [
    "it shrinks away",
    "has changed on the server",
    (_r, n) => n > 1 ? new Response(null, { status: 416 }) : undefined,
  ],
  [
    "it redirects for ever",
    "more than 5 times",
    (r) => Response.redirect(r.url, 302),
  ],
  [
    "it redirects elsewhere",
    "redirects to file:",
    () =>
      new Response(null, {
        status: 302,
        headers: { location: "file:///etc/passwd" },
      }),
  ],
  [
    "it redirects to nowhere",
    "redirects to nowhere",
    () => new Response(null, { status: 307 }),
  ],
];
for (const [name, message, answer] of WRONG) {
  Deno.test(`http: refused when ${name}`, () => refuses(answer, message));
}

Deno.test("http: refused when no answer comes in time", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await serve(() => promise, async (url) => {
    const options = { retries: 1, delay: 1, timeout: 20 };
    await assertRejects(
      () => HttpStore.open(url, options),
      BlockError,
      "(2 attempts)",
    );
    resolve(new Response());
  });
});

/** An answer whose bytes come in pieces of `size`, one after each `wait`. */
async function slow(
  request: Request,
  size: number,
  wait: (piece: number) => Promise<void>,
): Promise<Response> {
  const right = ranged(request);
  const bytes = await right.clone().bytes();
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await wait(at / size);
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
      if (at >= bytes.length) controller.close();
    },
  });
  // Without a length, the server sends it in chunks.
  return new Response(body, { status: 206, headers: right.headers });
}

Deno.test("http: an answer in chunks", () =>
  serve((request) => slow(request, 999, async () => {}), async (url) => {
    const store = await HttpStore.open(url, QUICK);
    const bytes = new Uint8Array(SIZE + 10);
    await store.read(0, bytes);
    assertEquals(bytes.subarray(0, SIZE), BYTES);
    assertEquals([...bytes.subarray(SIZE)], Array(10).fill(0));
    await store.close();
  }));

Deno.test("http: refused when an answer stops in its middle", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stops = (request: Request) =>
    slow(request, 1000, (piece) => piece < 3 ? Promise.resolve() : promise);
  const options = { retries: 1, delay: 1, timeout: 50 };
  try {
    await refuses(stops, "(2 attempts)", options);
  } finally {
    resolve();
  }
});

Deno.test("http: refused where nobody listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = `http://127.0.0.1:${port}/a`;
  await assertRejects(() => HttpStore.open(url, QUICK), BlockError, url);
  await assertRejects(() => HttpStore.open("http://"), BlockError, "not a URL");
});

Deno.test("http: the size by HEAD, and an empty resource", async () => {
  await serve(async (request) => {
    if (request.method === "HEAD") {
      return new Response(null, { headers: { "content-length": `${SIZE}` } });
    }
    const answer = ranged(request);
    const range = answer.headers.get("content-range")!;
    return await changed(answer, {
      "content-range": range.replace(/\d+$/, "*"),
    });
  }, async (url) => {
    const store = await HttpStore.open(url);
    assertEquals(store.size, SIZE);
    const end = new Uint8Array(20);
    await store.read(SIZE - 10, end);
    assertEquals(end.subarray(0, 10), BYTES.slice(-10));
    await store.close();
  });
  await serve(
    () =>
      new Response(null, {
        status: 416,
        headers: { "content-range": "bytes */0" },
      }),
    async (url) => {
      const store = await HttpStore.open(url);
      assertEquals(store.size, 0);
      await store.close();
    },
  );
});

Deno.test("http: a redirect to another host is followed", () =>
  serve(
    right,
    (target) =>
      serve(() => Response.redirect(target, 302), async (url) => {
        const store = await HttpStore.open(url);
        const bytes = new Uint8Array(100);
        await store.read(1_000_000, bytes);
        assertEquals(bytes, BYTES.slice(1_000_000, 1_000_100));
        await store.close();
      }),
  ));

Deno.test({
  name: "http: a redirect to a host without permission is not followed",
  permissions: { net: ["127.0.0.1"] },
  fn: () =>
    serve(
      (request) =>
        Response.redirect(request.url.replace("127.0.0.1", "localhost"), 302),
      async (url) => {
        await assertRejects(
          () => HttpStore.open(url, QUICK),
          BlockError,
          "net access",
        );
      },
    ),
});

Deno.test("http: the plugin", () =>
  serve(right, async (url) => {
    assertEquals(http.parse!(url), { url });
    assertEquals(await http.check!({ ...http.parse!(url) } as never), []);
    const [problem] = await http.check!({ url: "ftp://x" } as never);
    assertEquals(problem, '"ftp://x" is not an http: or https: URL');
    assertEquals(
      await http.permissions!({ url: "https://a.example/x" } as never),
      { net: ["a.example:443"] },
    );
    const config = { url, cache: 1 << 20, retries: 1, snapshot: false };
    const disk = await http.create(config, CONTEXT);
    assertEquals([disk.size % 512, disk.readOnly], [0, true]);
    const error = await assertRejects(
      () => disk.write(0, new Uint8Array(512)),
      BlockError,
    );
    assertEquals(error.kind, "read-only");
    await disk.close();
    const thrown = await http.create({ ...config, snapshot: true }, CONTEXT);
    await thrown.write(100, new Uint8Array([1, 2, 3]));
    const expected = BYTES.slice(0, 512);
    expected.set([1, 2, 3], 100);
    assertEquals(await thrown.read(0, 512), expected);
    await thrown.close();
  }));

oracleTest(
  "http: qcow2 images with backing files beside them",
  () =>
    withFolder(async (folder) => {
      await qemuImg("create", "-f", "raw", `${folder}/low`, "4M");
      await qemuIo(`${folder}/low`, "write -P 1 1M 1M");
      const top = `${folder}/top.qcow2`;
      await qemuImg(
        ...["create", "-f", "qcow2", "-b", "low", "-F", "raw", top],
      );
      await qemuIo(top, "write -P 2 1536k 1M");
      const files = async (request: Request) => {
        const name = new URL(request.url).pathname.split("/").at(-1)!;
        return ranged(request, await Deno.readFile(`${folder}/${name}`));
      };
      await serve(files, async (url) => {
        const file = url.replace(/disk$/, "top.qcow2");
        const config = { file, readOnly: false, snapshot: true };
        const disk = await image.create(config, CONTEXT);
        const at = async (offset: number) => (await disk.read(offset, 1))[0];
        await disk.write(0, new Uint8Array([5]));
        assertEquals(
          [await at(0), await at(1), await at(1 << 20), await at(2 << 20)],
          [5, 0, 1, 2],
        );
        await disk.close();
      });
      // What a server's image names is never a file of this host.
      await qemuImg("rebase", "-u", "-F", "raw", "-b", "/etc/hostname", top);
      await serve(
        (request) =>
          request.url.endsWith("/etc/hostname")
            ? new Response(null, { status: 404 })
            : files(request),
        async (url) => {
          await assertRejects(
            () =>
              Promise.resolve(image.create({
                file: url.replace(/disk$/, "top.qcow2"),
                readOnly: true,
                snapshot: false,
              }, CONTEXT)),
            BlockError,
            "/etc/hostname",
          );
        },
      );
    }),
);
