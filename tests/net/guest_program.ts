/**
 * What a guest with a kernel runs: `exchange PORT BYTES`, `many PORT COUNT` or
 * `serve PORT`, all with the host at 10.0.2.2.
 *
 * @module
 */

import { exchange, randomBytes, same } from "./exchange.ts";

const [mode, port, amount] = [
  Deno.args[0],
  Number(Deno.args[1]),
  Number(Deno.args[2]),
];
const hostname = "10.0.2.2";

switch (mode) {
  case "exchange": {
    const bytes = randomBytes(amount);
    console.log(
      same(bytes, await exchange(hostname, port, bytes)) ? "same" : "different",
    );
    break;
  }
  case "many": {
    const all = await Promise.all(
      Array.from({ length: amount }, async () => {
        const bytes = randomBytes(5000);
        return same(bytes, await exchange(hostname, port, bytes));
      }),
    );
    console.log("same", all.filter((is) => is).length);
    break;
  }
  case "serve": {
    const listener = Deno.listen({ port });
    console.log("serving");
    for (let i = 0; i < amount; i++) {
      const socket = await listener.accept();
      await socket.readable.pipeTo(socket.writable).catch(() => {});
    }
    listener.close();
    break;
  }
}
