import { assertEquals, assertThrows } from "@std/assert";
import plugin, { VncDisplay } from "./vnc.ts";

Deno.test("vnc: the short form on the command line", () => {
  const parse = plugin.parse!;
  assertEquals(parse(":1"), { port: 5901 });
  assertEquals(parse("0.0.0.0:0,password=abc"), {
    port: 5900,
    address: "0.0.0.0",
    password: "abc",
  });
  assertEquals(parse("[::1]:2,shared=off"), {
    port: 5902,
    address: "::1",
    shared: false,
  });
  assertEquals(parse(":1,password=a,,b=c"), {
    port: 5901,
    password: "a,b=c",
  });
  assertEquals(parse("localhost::80"), { port: 80, address: "localhost" });
  for (
    const wrong of ["", "1", ":", ":99999", ":x", ":1,pass=x", ":1,shared"]
  ) {
    assertThrows(() => parse(wrong), TypeError);
  }
});

Deno.test("vnc: permissions and passwords", async () => {
  const config = { address: "127.0.0.1", port: 5901, shared: true };
  assertEquals(await plugin.permissions!(config), { net: ["127.0.0.1:5901"] });
  assertEquals(await plugin.permissions!({ ...config, address: "::1" }), {
    net: ["[::1]:5901"],
  });
  for (const password of ["", "123456789", "pässword"]) {
    assertEquals((await plugin.check!({ ...config, password })).length, 1);
  }
  assertEquals(await plugin.check!({ ...config, password: "12345678" }), []);
});

Deno.test("vnc: it goes on when it could not accept a viewer", async () => {
  const { listen } = Deno;
  const tried = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<never>();
  const warnings: string[] = [];
  let tries = 0;
  // A host without files to spare: Deno throws an `Error` of no other class.
  Deno.listen = (() => ({
    accept() {
      if (++tries < 2) return Promise.reject(new Error("Too many open files"));
      tried.resolve();
      return ended.promise;
    },
    close: () => ended.reject(new Deno.errors.BadResource("closed")),
  })) as unknown as typeof Deno.listen;
  try {
    const config = { address: "127.0.0.1", port: 0, shared: true };
    const log = { guest() {}, warn: (text: string) => warnings.push(text) };
    const display = new VncDisplay(config, { log });
    await tried.promise;
    await display.close();
  } finally {
    Deno.listen = listen;
  }
  assertEquals(warnings.length, 1);
});
