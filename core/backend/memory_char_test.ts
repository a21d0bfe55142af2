import { assertEquals, assertRejects } from "@std/assert";
import { ExpectError, MemoryChar } from "./memory_char.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("expect goes from match to match", async () => {
  const char = new MemoryChar();
  char.write(bytes("one\r\n# "));
  assertEquals(await char.expect(/# $/), "one\r\n# ");
  const next = char.expect("two");
  char.write(bytes("\r\nt"));
  char.write(bytes("wo three"));
  assertEquals(await next, "\r\ntwo");
  assertEquals(await char.expect(/THREE/i), " three");
  assertEquals(char.output, "one\r\n# \r\ntwo three");
});

Deno.test("several waiters are served in order", async () => {
  const char = new MemoryChar();
  const both = Promise.all([char.expect("a"), char.expect("b")]);
  char.write(bytes("xaxb"));
  assertEquals(await both, ["xa", "xb"]);
});

Deno.test("a query after the prompt is not in the way", async () => {
  const char = new MemoryChar();
  char.write(bytes("# \x1b[6n"));
  assertEquals(await char.expect(/# $/), "# ");
  char.write(bytes("\r\n# \x1b[6n"));
  assertEquals(await char.expect(/# $/), "\x1b[6n\r\n# ");
});

Deno.test("characters in several writes, and rubbish", () => {
  const char = new MemoryChar();
  const [first, second] = bytes("ä");
  char.write(new Uint8Array([first]));
  char.write(new Uint8Array([second, 0xff]));
  assertEquals(char.output, "ä\ufffd");
});

Deno.test("the output is bounded", async () => {
  const char = new MemoryChar(10);
  for (let i = 0; i < 100; i++) char.write(bytes(`${i} `));
  assertEquals(char.output.length <= 20, true);
  assertEquals(await char.expect("99 "), char.output);
});

Deno.test("what is waited for is found where the output was cut, too", async () => {
  const char = new MemoryChar(10);
  char.write(bytes("0123456789abcde"));
  assertEquals(await char.expect("abc"), "0123456789abc");
  char.write(bytes("fghijk"));
  assertEquals(char.output, "bcdefghijk");
  assertEquals(await char.expect("f"), "def");
});

Deno.test("a time limit, an end and a close are errors that say why", async () => {
  const char = new MemoryChar();
  char.write(bytes("boot"));
  await assertRejects(
    () => char.expect("login", { timeout: 5 }),
    ExpectError,
    'no "login" within 5 ms; the output ends with "boot"',
  );
  const waiting = char.expect(/never/);
  char.end("the machine ended (halt)");
  await assertRejects(() => waiting, ExpectError, "ended (halt)");
  await char.close();
  await assertRejects(() => char.expect("x"), ExpectError);
});

Deno.test("input waits for a receiver and for one that is slow", async () => {
  const char = new MemoryChar();
  const seen: string[] = [];
  await char.send("early");
  let release = (): void => {};
  char.onInput((data) => {
    seen.push(new TextDecoder().decode(data));
    return new Promise((resolve) => release = resolve);
  });
  const second = char.send("late");
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(seen, ["early"]);
  release();
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(seen, ["early", "late"]);
  release();
  await second;
});

Deno.test("sending ends with the machine", async () => {
  const char = new MemoryChar();
  const seen: string[] = [];
  // The guest switches off while it takes this.
  char.onInput((data) => {
    seen.push(new TextDecoder().decode(data));
    return new Promise(() => {});
  });
  const taken = char.send("poweroff\n");
  const later = char.send("lost");
  await Promise.resolve();
  await Promise.resolve();
  char.end("the machine ended (poweroff)");
  await taken;
  await later;
  await char.send("lost too");
  assertEquals(seen, ["poweroff\n"]);
});
