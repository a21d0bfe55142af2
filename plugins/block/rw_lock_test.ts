import { assertEquals, assertRejects } from "@std/assert";
import { RwLock } from "./rw_lock.ts";

/** Actions that say when they start and are ended by the test. */
function actions() {
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const action = (name: string) => async () => {
    log.push(name);
    await new Promise<void>((end) => ends.set(name, end));
  };
  const end = async (name: string) => {
    ends.get(name)!();
    await new Promise((settled) => setTimeout(settled));
  };
  return { log, action, end };
}

Deno.test("lock: shared together, exclusive alone, first come first", async () => {
  const lock = new RwLock();
  const { log, action, end } = actions();
  const all = [
    lock.shared(action("a")),
    lock.shared(action("b")),
    lock.exclusive(action("C")),
    lock.shared(action("d")),
    lock.exclusive(action("E")),
    lock.exclusive(action("F")),
  ];
  assertEquals(log.join(""), "ab");
  await end("a");
  assertEquals(log.join(""), "ab");
  await end("b");
  assertEquals(log.join(""), "abC");
  await end("C");
  assertEquals(log.join(""), "abCd");
  await end("d");
  assertEquals(log.join(""), "abCdE");
  await end("E");
  assertEquals(log.join(""), "abCdEF");
  await end("F");
  await Promise.all(all);
});

Deno.test("lock: an action that fails gives it up", async () => {
  const lock = new RwLock();
  const failing = () => Promise.reject(new Error("no"));
  await assertRejects(() => lock.exclusive(failing), Error, "no");
  await assertRejects(() => lock.shared(failing), Error, "no");
  assertEquals(await lock.exclusive(() => Promise.resolve(3)), 3);
});
