import { assertEquals } from "@std/assert";
import { InputQueue } from "../input_queue.ts";
import { RfbScreen } from "./screen.ts";

/** A connection on which nothing comes. */
class Silence {
  readonly #end = Promise.withResolvers<null>();
  isClosed = false;

  read(): Promise<null> {
    return this.#end.promise;
  }

  write(bytes: Uint8Array): Promise<number> {
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.isClosed = true;
    this.#end.resolve(null);
  }
}

Deno.test("rfb screen: all are hung up on when it is closed, and who comes then", async () => {
  const warnings: string[] = [];
  const screen = new RfbScreen({
    input: new InputQueue(),
    shared: true,
    warn: (text) => warnings.push(text),
  });
  const connections = [new Silence(), new Silence()];
  screen.connect(connections[0]);
  assertEquals([screen.connections, screen.viewers], [1, 0]);
  await screen.close();
  screen.connect(connections[1]);
  assertEquals(connections.map(({ isClosed }) => isClosed), [true, true]);
  assertEquals([screen.connections, screen.viewers], [0, 0]);
  assertEquals(warnings, []);
});
