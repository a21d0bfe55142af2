import { assertEquals } from "@std/assert";
import { ACK, SYN, TcpSegment } from "../pdu/tcp.ts";
import { GuestWindow } from "./guest_window.ts";

const says = (window: number, rest: Partial<TcpSegment> = {}): TcpSegment =>
  Object.assign(new TcpSegment(), { flags: ACK, window, ...rest });

Deno.test("a window is shifted as the SYN says, that of the SYN is not", () => {
  for (const [shift, factor] of [[-1, 1], [0, 1], [7, 128], [14, 16384]]) {
    const window = new GuestWindow();
    window.begin(says(0xffff, { flags: SYN, shift, sequence: 5 }));
    assertEquals(window.size, 0xffff);
    window.update(says(0xfffe, { flags: SYN | ACK, sequence: 6 }), 0);
    assertEquals(window.size, 0xfffe);
    window.update(says(0xffff, { sequence: 7 }), 0);
    assertEquals(window.size, 0xffff * factor);
    // 1 GiB at most: sequence numbers can be told apart.
    assertEquals(window.size < 2 ** 30, true);
  }
});

Deno.test("what comes late says nothing of the window, also around the numbers' end", () => {
  for (const base of [0, 0x7fff_ffff, -1]) {
    const at = (offset: number) => ({ sequence: base + offset | 0 });
    const window = new GuestWindow();
    window.begin(says(1000, { flags: SYN, ...at(0) }));
    window.update(says(500, at(10)), 100);
    assertEquals(window.size, 500);
    window.update(says(2000, at(1)), 0);
    assertEquals(window.size, 500);
    window.update(says(9, at(20)), -1);
    assertEquals(window.size, 500);
    // With the same numbers only more is news.
    window.update(says(400, at(10)), 0);
    assertEquals(window.size, 500);
    window.update(says(600, at(10)), 0);
    assertEquals(window.size, 600);
    window.update(says(0, at(11)), 0);
    assertEquals([window.size, window.greatest], [0, 1000]);
  }
});
