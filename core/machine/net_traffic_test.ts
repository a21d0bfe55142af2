import { assert, assertEquals } from "@std/assert";
import { MemoryNet } from "../backend/memory_net.ts";
import { NetTraffic } from "./net_traffic.ts";

Deno.test("traffic: frames both ways are passed on and noted, and are forgotten", () => {
  let time = 1000;
  const traffic = new NetTraffic(() => time);
  let begins = 0;
  traffic.onBegin = () => begins++;
  const inner = new MemoryNet();
  const net = traffic.on(inner);
  const seen: number[] = [];
  net.attach({
    offload: false,
    receive: (frame) => {
      seen.push(frame.length);
      return true;
    },
  });
  assertEquals([traffic.isRecent, begins], [false, 0]);
  net.send(new Uint8Array(60));
  assertEquals(inner.sent.length, 1);
  assertEquals([traffic.isRecent, begins], [true, 1]);
  time += 4;
  assert(traffic.isRecent);
  time += 2;
  assertEquals(traffic.isRecent, false);
  inner.inject(new Uint8Array(64));
  assertEquals(seen, [64]);
  assertEquals(begins, 2);
  assert(traffic.isRecent);
});
